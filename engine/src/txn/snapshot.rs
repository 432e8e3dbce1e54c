//! A read-only view of one commit.

use super::scan::Scan;
use super::{KeyRange, Table, TransactionManager};
use crate::btree::Direction;
use crate::error::{Error, Result};
use crate::ids::CommitId;
use crate::mvcc::SnapshotSlot;
use crate::sync::thread;
use std::time::Duration;

/// How long a snapshot that has to wait for a commit past the version budget sleeps between two looks.
const LOOK_AGAIN: Duration = Duration::from_micros(200);

/// The database as it was after one commit. Takes no locks and blocks nobody; as long as it is open, the row versions
/// that it needs are kept, and the tables that are dropped meanwhile. It can be read when the database has stopped, too:
/// what is visible is never what a failed flush should have made durable.
///
/// ```
/// # fn main() -> engine::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let db = engine::Database::open(dir.path().join("a.db"))?;
/// let table = db.create_table("accounts")?;
/// db.write(|tx| tx.put(table, b"alice", b"10"))?;
/// let snapshot = db.snapshot();
/// db.write(|tx| tx.put(table, b"alice", b"20"))?;
/// assert_eq!(snapshot.get(table, b"alice")?.as_deref(), Some(&b"10"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Snapshot<'db> {
    manager: &'db TransactionManager,
    slot: SnapshotSlot<'db>,
    commit: CommitId,
}

impl TransactionManager {
    pub(crate) fn snapshot(&self) -> Snapshot<'_> {
        let (slot, commit) = self.registry.begin();
        let commit = self.at_floor(&slot, commit);
        Snapshot {
            manager: self,
            slot,
            commit,
        }
    }

    /// Moves a new snapshot to where it can be read. Nearly always it can be read where it is; but when a commit is so large
    /// that its own versions had to be dropped for the budget, only what comes after it can be read, and is waited for.
    #[inline]
    pub(super) fn at_floor(&self, slot: &SnapshotSlot<'_>, commit: CommitId) -> CommitId {
        if self.versions.floor() <= commit {
            return commit;
        }
        self.wait_at_floor(slot, commit)
    }

    #[cold]
    fn wait_at_floor(&self, slot: &SnapshotSlot<'_>, mut commit: CommitId) -> CommitId {
        while self.versions.floor() > commit && self.check_usable().is_ok() {
            let floor = self.versions.floor();
            // What keeps it from becoming visible is told to whoever reads on.
            if self.applied() < floor || self.wait_visible(floor).is_err() {
                thread::sleep(LOOK_AGAIN);
            }
            commit = slot.refresh_from(commit);
        }
        commit
    }

    pub(crate) fn snapshot_at(&self, commit: CommitId) -> Result<Snapshot<'_>> {
        let newest = self.registry.visible();
        if commit > newest {
            return Err(Error::NotYetVisible {
                asked: commit,
                newest,
            });
        }
        let slot = self.registry.begin_at(commit);
        // Looked at after the slot is taken: what is there now stays.
        if self.versions.floor() > commit {
            return Err(Error::too_old(commit));
        }
        Ok(Snapshot {
            manager: self,
            slot,
            commit,
        })
    }
}

impl<'db> Snapshot<'db> {
    /// The commit that is seen, and all before it.
    #[must_use]
    pub fn commit_id(&self) -> CommitId {
        self.commit
    }

    /// The value of a row.
    ///
    /// # Errors
    /// [`Error::SnapshotTooOld`] when the version was dropped to stay within the budget; [`Error::TableDropped`] when the
    /// snapshot is not older than the table's drop, or is of an old commit and the table's pages have been freed; I/O
    /// errors and corruption.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = Vec::new();
        Ok(self.get_into(table, key, &mut value)?.then_some(value))
    }

    /// The value of a row, in place of what `value` held; `false`, with `value` empty, if there is no such row.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn get_into(&self, table: Table, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        self.manager.check_readable(table, self.commit)?;
        value.clear();
        self.manager
            .tree(table)
            .get(key, self.commit, &self.manager.versions, value)
    }

    /// Rows of a range in key order.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn scan(&self, table: Table, range: impl KeyRange) -> Result<Scan<'_>> {
        self.scan_in(table, range, Direction::Forward)
    }

    /// Rows of a range from the last to the first.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn scan_rev(&self, table: Table, range: impl KeyRange) -> Result<Scan<'_>> {
        self.scan_in(table, range, Direction::Backward)
    }

    fn scan_in(&self, table: Table, range: impl KeyRange, direction: Direction) -> Result<Scan<'_>> {
        self.manager.check_readable(table, self.commit)?;
        Ok(Scan::new(
            self.manager,
            table,
            range,
            direction,
            self.commit,
            false,
            None,
            None,
        ))
    }

    /// Moves the view to the newest visible commit.
    pub fn refresh(&mut self) {
        self.commit = self.manager.at_floor(&self.slot, self.slot.refresh());
    }
}
