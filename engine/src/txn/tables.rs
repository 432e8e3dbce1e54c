//! Which table handles are still good, and for whom.
//!
//! A handle names a slot here, and the slot says from which commit on the table is gone:
//!
//! | state | gone from | who may read |
//! |---|---|---|
//! | live | never | everybody |
//! | dropped by commit D | D | snapshots older than D |
//! | its pages are being freed, or are free | the beginning | nobody |
//!
//! 1. *A reader registers its snapshot, then looks at the slot, then reads.* Pages are freed when the horizon has passed
//!    D, so those of a table that a registered reader found there stay until it has ended.
//! 2. *Whoever frees marks the slot, then looks at the horizon again.* A snapshot of an old commit can begin at any
//!    moment ([`crate::Database::begin_at`]). Either it finds the mark, or the second look finds the snapshot. All these
//!    accesses are sequentially consistent.
//! 3. *Whoever changes rows holds the applier*, as those who drop tables do.
//!
//! When the pages are free the slot is given to another table; the old handle finds an owner that is not its table.

use std::collections::VecDeque;

use super::Table;
use crate::growing::GrowingArray;
use crate::ids::{CommitId, TableId};
use crate::sync::Mutex;
use crate::sync::atomic::Ordering::SeqCst;
use crate::sync::atomic::{AtomicU32, AtomicU64};

/// Enough for as many tables as there are table numbers.
const CHUNKS: usize = 27;
/// Gone from no commit on.
const NEVER: u64 = u64::MAX;
/// The slot of the catalog.
pub(super) const CATALOG_SLOT: u32 = 0;

#[derive(Debug, Default)]
struct State {
    gone_from: AtomicU64,
    owner: AtomicU32,
    dropped_by: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct TableStates {
    states: GrowingArray<State, CHUNKS>,
    spare: Mutex<Spare>,
}

#[derive(Debug, Default)]
struct Spare {
    /// Slots that had an owner; the one that was given up first is used first, so that its end is remembered longest.
    free: VecDeque<u32>,
    /// Slots from this one on never had one.
    unused: u32,
}

impl TableStates {
    /// The states of a database that has nothing but the catalog.
    pub(super) fn new() -> Self {
        let states = Self::default();
        let slot = states.add(TableId::CATALOG);
        debug_assert_eq!(slot, CATALOG_SLOT);
        states
    }

    fn state(&self, slot: u32) -> &State {
        self.states
            .get(slot as usize)
            .expect("there are no more slots in use than table numbers")
    }

    /// A slot for a table that lives from now on.
    pub(super) fn add(&self, table: TableId) -> u32 {
        let slot = {
            let mut spare = self.spare.lock();
            spare.free.pop_front().unwrap_or_else(|| {
                spare.unused += 1;
                spare.unused - 1
            })
        };
        let state = self.state(slot);
        // The owner first: whoever finds the slot live finds out whose it is.
        state.owner.store(table.0, SeqCst);
        state.dropped_by.store(0, SeqCst);
        state.gone_from.store(NEVER, SeqCst);
        slot
    }

    /// Notes that `commit` drops the table, before anybody is shown that commit.
    pub(super) fn mark_dropped(&self, slot: u32, commit: CommitId) {
        let state = self.state(slot);
        state.dropped_by.store(commit.0, SeqCst);
        state.gone_from.store(commit.0, SeqCst);
    }

    /// Lets nobody read the dropped table any more. Its pages can be freed if the horizon, looked at after this, allows it.
    pub(super) fn mark_freed(&self, slot: u32) {
        self.state(slot).gone_from.store(0, SeqCst);
    }

    /// Gives up the slot of a table whose pages are free.
    pub(super) fn remove(&self, slot: u32) {
        self.spare.lock().free.push_back(slot);
    }

    /// Whether the table of the handle is gone for who reads the state of `commit`.
    #[inline]
    pub(super) fn is_gone(&self, table: Table, commit: CommitId) -> bool {
        let state = self.state(table.slot);
        commit.0 >= state.gone_from.load(SeqCst) || state.owner.load(SeqCst) != table.id.0
    }

    /// Whether the table has been dropped, visibly or not.
    #[inline]
    pub(super) fn is_dropped(&self, table: Table) -> bool {
        self.is_gone(table, CommitId(NEVER - 1))
    }

    /// The commit that dropped the table, as long as that is remembered.
    pub(super) fn dropped_by(&self, table: Table) -> Option<CommitId> {
        let state = self.state(table.slot);
        let commit = state.dropped_by.load(SeqCst);
        (commit > 0 && state.owner.load(SeqCst) == table.id.0).then_some(CommitId(commit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PageNumber;

    fn handle(id: u32, slot: u32) -> Table {
        Table {
            id: TableId(id),
            root: PageNumber(1),
            database: 1,
            slot,
        }
    }

    #[test]
    fn a_table_is_gone_from_its_drop_on_then_for_everybody_and_a_new_owner_is_another_table() {
        let states = TableStates::new();
        let slot = states.add(TableId(1));
        assert_ne!(slot, CATALOG_SLOT);
        let table = handle(1, slot);
        assert!(!states.is_dropped(table) && !states.is_gone(table, CommitId(1 << 60)));
        assert_eq!(states.dropped_by(table), None);
        states.mark_dropped(slot, CommitId(7));
        assert!(states.is_dropped(table));
        assert!(!states.is_gone(table, CommitId(6)) && states.is_gone(table, CommitId(7)));
        states.mark_freed(slot);
        assert!(states.is_gone(table, CommitId(0)));
        assert_eq!(states.dropped_by(table), Some(CommitId(7)));
        states.remove(slot);
        assert_eq!(states.add(TableId(2)), slot);
        assert!(states.is_gone(table, CommitId(0)) && states.is_dropped(table));
        assert_eq!(states.dropped_by(table), None, "it has been forgotten");
        assert!(!states.is_dropped(handle(2, slot)));
        assert_ne!(states.add(TableId(3)), slot);
    }
}
