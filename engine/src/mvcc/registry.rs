//! The snapshot registry: which commit IDs are being read.
//!
//! A snapshot is one number in a cache-padded slot. Beginning one: take a free slot with the visible commit ID S,
//! then look at the visible commit ID again, and follow it until slot and visible agree. The horizon is computed by
//! reading the visible commit ID first and the slots after. Either the collector meets the slot, or the slot was
//! stored after the collector's reading of the visible commit ID, and then the snapshot's second look finds at least
//! that value: so no registered snapshot is ever below a horizon. All four accesses are sequentially consistent.
//!
//! A free slot is found without looking at those that are taken: a thread tries the one that it had last, then the first
//! ones, of which there are few, then those that a list says were given back. The list is only a hint, so that whoever finds a
//! slot free can take it; but no free one is missing from it. A horizon looks at all slots that were ever taken.

use std::cell::Cell;

use crossbeam_utils::CachePadded;

use crate::growing::{FIRST_CHUNK, GrowingArray};
use crate::ids::CommitId;
use crate::injected::{Bug, makes};
use crate::sync::atomic::Ordering::{Relaxed, Release, SeqCst};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use crate::sync::{Mutex, thread, thread_local};
use crate::work::{Kind, done};

const FREE: u64 = u64::MAX;
/// The slot is taken, but reads nothing at the moment.
const PARKED: u64 = u64::MAX - 1;
/// Slots that threads prefer at first, each its own.
const HINTS: usize = 64;
/// Enough for two million slots.
const CHUNKS: usize = 16;

#[derive(Debug)]
struct Slot(CachePadded<SlotState>);

#[derive(Debug)]
struct SlotState {
    commit: AtomicU64,
    /// It is in the list of those that may be free.
    is_listed: AtomicBool,
}

impl Default for Slot {
    fn default() -> Self {
        Self(CachePadded::new(SlotState {
            commit: AtomicU64::new(FREE),
            is_listed: AtomicBool::new(false),
        }))
    }
}

/// Slots behind the first ones, which are not looked through one by one.
#[derive(Debug)]
struct Deep {
    /// Those that have been given back. Some may be taken again, by a thread that has found it free itself.
    listed: Vec<usize>,
    /// Those from here on were never taken.
    unused: usize,
}

#[derive(Debug)]
pub(crate) struct SnapshotRegistry {
    slots: GrowingArray<Slot, CHUNKS>,
    deep: Mutex<Deep>,
    /// One more than the highest slot ever taken.
    high: AtomicUsize,
    visible: CachePadded<AtomicU64>,
}

/// A registered snapshot; given up on drop.
#[derive(Debug)]
pub(crate) struct SnapshotSlot<'r> {
    registry: &'r SnapshotRegistry,
    slot: &'r AtomicU64,
    index: usize,
}

thread_local! {
    /// Where this thread found a free slot last time.
    static HINT: Cell<usize> = Cell::new(thread::number() % HINTS);
}

impl SnapshotRegistry {
    pub(crate) fn new(visible: CommitId) -> Self {
        Self {
            slots: GrowingArray::default(),
            deep: Mutex::new(Deep {
                listed: Vec::new(),
                unused: HINTS,
            }),
            high: AtomicUsize::new(0),
            visible: CachePadded::new(AtomicU64::new(visible.0)),
        }
    }

    /// The newest commit that readers are shown.
    #[inline]
    pub(crate) fn visible(&self) -> CommitId {
        CommitId(self.visible.load(SeqCst))
    }

    /// Shows readers all commits up to `commit`; never goes back.
    pub(crate) fn publish(&self, commit: CommitId) {
        self.visible.fetch_max(commit.0, SeqCst);
    }

    fn slot(&self, index: usize) -> Option<&AtomicU64> {
        self.slots.get(index).map(|slot| &slot.0.commit)
    }

    /// Takes a slot with a provisional commit ID in it, if it is free.
    fn try_take(&self, index: usize, commit: CommitId) -> Option<SnapshotSlot<'_>> {
        done(Kind::Slots, 1);
        let slot = self
            .slot(index)
            .expect("more than two million snapshots are open at once");
        // In the order of all others, since who gives a slot back looks whether it is listed, and this whether it was given back.
        if slot.load(SeqCst) != FREE || slot.compare_exchange(FREE, commit.0, SeqCst, Relaxed).is_err() {
            return None;
        }
        crate::reach::mark_if(index >= FIRST_CHUNK, crate::reach::Mechanism::SecondSlotChunk);
        // As ordered: if somebody else has raised it, the collector that saw it lower has read what was visible before that.
        if self.high.load(SeqCst) <= index {
            self.high.fetch_max(index + 1, SeqCst);
        }
        Some(SnapshotSlot {
            registry: self,
            slot,
            index,
        })
    }

    /// Takes a free slot with a provisional commit ID in it: where this thread found one last time, else one of the first,
    /// so that slots stay few, else one that was given back, else a new one.
    fn take_slot(&self, commit: CommitId) -> SnapshotSlot<'_> {
        // It may be of another database's, which has more of them.
        let hint = match HINT.get() {
            hint if hint < self.high.load(Relaxed).max(HINTS) => hint,
            hint => hint % HINTS,
        };
        if let Some(taken) = self.try_take(hint, commit) {
            return taken;
        }
        let first = (0..HINTS).find_map(|index| self.try_take((hint + index) % HINTS, commit));
        let taken = first.unwrap_or_else(|| self.take_deep(commit));
        HINT.set(taken.index);
        taken
    }

    #[cold]
    fn take_deep(&self, commit: CommitId) -> SnapshotSlot<'_> {
        loop {
            let index = {
                let mut deep = self.deep.lock();
                deep.listed.pop().unwrap_or_else(|| {
                    deep.unused += 1;
                    deep.unused - 1
                })
            };
            // Before it is tried: whoever has it now lists it again when giving it back.
            if let Some(slot) = self.slots.get(index) {
                slot.0.is_listed.store(false, SeqCst);
            }
            if let Some(taken) = self.try_take(index, commit) {
                return taken;
            }
        }
    }

    /// Lists a slot that has just been given back.
    #[cold]
    fn list(&self, index: usize) {
        if let Some(slot) = self.slots.get(index)
            && !slot.0.is_listed.load(SeqCst)
            && !slot.0.is_listed.swap(true, SeqCst)
        {
            self.deep.lock().listed.push(index);
        }
    }

    /// Slots that [`SnapshotRegistry::horizon`] looks at.
    pub(crate) fn slots(&self) -> usize {
        self.high.load(Relaxed)
    }

    /// Registers a snapshot of the newest visible commit.
    #[inline]
    pub(crate) fn begin(&self) -> (SnapshotSlot<'_>, CommitId) {
        let visible = self.visible();
        crate::interleave::here(crate::interleave::Place::SnapshotBegins);
        let slot = self.take_slot(visible);
        if makes(Bug::SnapshotLooksOnce) {
            return (slot, visible);
        }
        // The slot may lie above the collector's old `high`, so `high` is raised before the second look as well.
        let commit = slot.follow(visible, CommitId(0));
        (slot, commit)
    }

    /// Registers a snapshot of a given commit. The caller then checks that its versions are still there.
    pub(crate) fn begin_at(&self, commit: CommitId) -> SnapshotSlot<'_> {
        self.take_slot(commit)
    }

    /// The oldest commit that some snapshot reads or can still begin to read: what only older ones need can go.
    pub(crate) fn horizon(&self) -> CommitId {
        self.horizon_from(CommitId(0))
    }

    /// The same without regard to snapshots below `floor`, which get told that they are too old whenever they meet
    /// something that has changed.
    pub(crate) fn horizon_from(&self, floor: CommitId) -> CommitId {
        let visible = self.visible.load(SeqCst);
        let mut horizon = visible;
        for index in 0..self.high.load(SeqCst) {
            done(Kind::Slots, 1);
            if index >= FIRST_CHUNK && makes(Bug::HorizonMissesSecondChunk) {
                break;
            }
            if let Some(slot) = self.slot(index) {
                let commit = slot.load(SeqCst);
                if commit >= floor.0 {
                    horizon = horizon.min(commit);
                }
            }
        }
        if makes(Bug::HorizonLooksBackwards) && horizon == visible {
            horizon = self.visible.load(SeqCst);
        }
        CommitId(horizon)
    }

    /// Number of snapshots open now; parked ones read nothing.
    pub(crate) fn open_snapshots(&self) -> usize {
        (0..self.high.load(SeqCst))
            .filter_map(|i| self.slot(i))
            .filter(|s| s.load(Relaxed) < PARKED)
            .count()
    }
}

impl SnapshotSlot<'_> {
    fn follow(&self, mut registered: CommitId, at_least: CommitId) -> CommitId {
        loop {
            let commit = self.registry.visible().max(at_least);
            if commit == registered {
                return registered;
            }
            self.slot.store(commit.0, SeqCst);
            registered = commit;
        }
    }

    /// Keeps the slot, but holds no commit until the next [`SnapshotSlot::refresh`].
    #[inline]
    pub(crate) fn park(&self) {
        self.slot.store(PARKED, Release);
    }

    /// Moves the snapshot to the newest visible commit.
    #[inline]
    pub(crate) fn refresh(&self) -> CommitId {
        self.refresh_from(CommitId(0))
    }

    /// Moves the snapshot to the newest visible commit, or to `at_least` if that is newer: a commit that has been applied
    /// and is not visible yet. No horizon passes the newest visible commit, so none has passed that one either.
    #[inline]
    pub(crate) fn refresh_from(&self, at_least: CommitId) -> CommitId {
        self.follow(CommitId(self.slot.load(Relaxed)), at_least)
    }
}

impl Drop for SnapshotSlot<'_> {
    fn drop(&mut self) {
        if self.index < HINTS {
            self.slot.store(FREE, Release);
        } else {
            // In one order with what is said about its being listed.
            self.slot.store(FREE, SeqCst);
            self.registry.list(self.index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_horizon_is_the_oldest_open_snapshot() {
        let registry = SnapshotRegistry::new(CommitId(5));
        assert_eq!(registry.horizon(), CommitId(5));
        let (old, commit) = registry.begin();
        assert_eq!(commit, CommitId(5));
        registry.publish(CommitId(9));
        let (new, commit) = registry.begin();
        assert_eq!(commit, CommitId(9));
        assert_eq!(registry.horizon(), CommitId(5));
        assert_eq!(registry.open_snapshots(), 2);
        assert_eq!(old.refresh(), CommitId(9));
        assert_eq!(registry.horizon(), CommitId(9));
        registry.publish(CommitId(7));
        assert_eq!(registry.visible(), CommitId(9), "visible never goes back");
        drop((old, new));
        let old = registry.begin_at(CommitId(3));
        assert_eq!(registry.horizon(), CommitId(3));
        old.park();
        assert_eq!(registry.horizon(), CommitId(9), "a parked slot holds nothing");
        assert_eq!(registry.open_snapshots(), 0);
        assert_eq!(old.refresh(), CommitId(9));
        assert_eq!(registry.open_snapshots(), 1);
        assert_eq!(old.refresh_from(CommitId(8)), CommitId(9));
        assert_eq!(
            old.refresh_from(CommitId(11)),
            CommitId(11),
            "ahead of what is visible"
        );
        assert_eq!(registry.horizon(), CommitId(9), "and no horizon follows it there");
        registry.publish(CommitId(12));
        assert_eq!(registry.horizon(), CommitId(11));
        assert_eq!(old.refresh_from(CommitId(11)), CommitId(12));
        drop(old);
        assert_eq!(registry.open_snapshots(), 0);
        let (too_old, _) = registry.begin();
        registry.publish(CommitId(20));
        let (_old, _) = registry.begin();
        registry.publish(CommitId(21));
        assert_eq!(registry.horizon(), CommitId(12));
        assert_eq!(registry.horizon_from(CommitId(12)), CommitId(12));
        assert_eq!(registry.horizon_from(CommitId(13)), CommitId(20));
        drop(too_old);
    }

    #[test]
    fn many_snapshots_of_one_thread_get_slots_of_their_own() {
        let registry = SnapshotRegistry::new(CommitId(1));
        let open: Vec<_> = (0..1000).map(|_| registry.begin().0).collect();
        assert_eq!(registry.open_snapshots(), 1000);
        drop(open);
        assert_eq!(registry.open_snapshots(), 0);
        let slots = registry.slots();
        // They are used again, however many others stay open meanwhile.
        let mut open: Vec<_> = (0..500).map(|_| registry.begin().0).collect();
        for _ in 0..100 {
            open.truncate(100);
            open.extend((0..500).map(|_| registry.begin().0));
            open.drain(..100);
        }
        assert_eq!(registry.slots(), slots);
    }

    #[test]
    fn threads_beside_many_open_snapshots_share_no_slot() {
        let registry = SnapshotRegistry::new(CommitId(1));
        let open: Vec<_> = (0..100).map(|_| registry.begin().0).collect();
        let taken: Vec<_> = (0..200).map(|_| AtomicBool::new(false)).collect();
        open.iter().for_each(|slot| taken[slot.index].store(true, SeqCst));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 0..2000 {
                        let several: Vec<_> = (0..round % 4).map(|_| registry.begin().0).collect();
                        for slot in &several {
                            assert!(!taken[slot.index].swap(true, SeqCst), "two have {}", slot.index);
                        }
                        several
                            .iter()
                            .for_each(|slot| taken[slot.index].store(false, SeqCst));
                    }
                });
            }
        });
        assert_eq!(registry.open_snapshots(), 100);
        assert!(registry.slots() <= 100 + 3 * 4 + HINTS, "{}", registry.slots());
    }

    #[test]
    fn no_snapshot_is_ever_below_a_horizon() {
        let registry = SnapshotRegistry::new(CommitId(1));
        let horizon = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let (_slot, commit) = registry.begin();
                        assert!(commit.0 >= horizon.load(SeqCst), "{commit} is below the horizon");
                    }
                });
            }
            for commit in 2..20_000 {
                registry.publish(CommitId(commit));
                horizon.fetch_max(registry.horizon().0, SeqCst);
            }
        });
    }
}
