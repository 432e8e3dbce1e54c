//! The snapshot registry: which commit IDs are being read.
//!
//! A snapshot is one number in a cache-padded slot. Beginning one: take a free slot with the visible commit ID S,
//! then look at the visible commit ID again, and follow it until slot and visible agree. The horizon is computed by
//! reading the visible commit ID first and the slots after. Either the collector meets the slot, or the slot was
//! stored after the collector's reading of the visible commit ID, and then the snapshot's second look finds at least
//! that value: so no registered snapshot is ever below a horizon. All four accesses are sequentially consistent.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU64, AtomicUsize};

use crossbeam_utils::CachePadded;

use crate::ids::CommitId;

const FREE: u64 = u64::MAX;
/// The slot is taken, but reads nothing at the moment.
const PARKED: u64 = u64::MAX - 1;
const FIRST_CHUNK: usize = 64;
const CHUNKS: usize = 16;

type Slot = CachePadded<AtomicU64>;

/// The slots come in chunks of 64, 64, 128, 256, ..., made when the ones before are all taken.
#[derive(Debug)]
pub(crate) struct SnapshotRegistry {
    chunks: [OnceLock<Box<[Slot]>>; CHUNKS],
    /// One more than the highest slot ever taken.
    high: AtomicUsize,
    visible: CachePadded<AtomicU64>,
}

/// A registered snapshot; given up on drop.
#[derive(Debug)]
pub(crate) struct SnapshotSlot<'r> {
    registry: &'r SnapshotRegistry,
    slot: &'r AtomicU64,
}

thread_local! {
    /// Where this thread found a free slot last time.
    static HINT: Cell<usize> = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Cell::new(NEXT.fetch_add(1, Relaxed) % FIRST_CHUNK)
    };
}

fn locate(index: usize) -> (usize, usize) {
    match (index / FIRST_CHUNK).checked_ilog2() {
        None => (0, index),
        Some(log) => (log as usize + 1, index - (FIRST_CHUNK << log)),
    }
}

impl SnapshotRegistry {
    pub(crate) fn new(visible: CommitId) -> Self {
        Self {
            chunks: Default::default(),
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
        let (chunk, offset) = locate(index);
        let len = FIRST_CHUNK << chunk.saturating_sub(1);
        let slots = self.chunks.get(chunk)?.get_or_init(|| {
            std::iter::repeat_with(|| CachePadded::new(AtomicU64::new(FREE)))
                .take(len)
                .collect()
        });
        slots.get(offset).map(|s| &**s)
    }

    /// Takes a free slot with a provisional commit ID in it.
    fn take_slot(&self, commit: CommitId) -> &AtomicU64 {
        let hint = HINT.get();
        let mut index = hint;
        let mut from_front = hint < FIRST_CHUNK;
        loop {
            let slot = self
                .slot(index)
                .expect("more than two million snapshots are open at once");
            if slot.load(Relaxed) == FREE && slot.compare_exchange(FREE, commit.0, SeqCst, Relaxed).is_ok() {
                crate::reach::mark_if(index >= FIRST_CHUNK, crate::reach::Mechanism::SecondSlotChunk);
                if index != hint {
                    HINT.set(index);
                }
                if self.high.load(Relaxed) <= index {
                    self.high.fetch_max(index + 1, SeqCst);
                }
                return slot;
            }
            // From a hint deep in the slots start again at the front, so that slots stay few.
            index = if from_front { index + 1 } else { 0 };
            from_front = true;
        }
    }

    /// Registers a snapshot of the newest visible commit.
    #[inline]
    pub(crate) fn begin(&self) -> (SnapshotSlot<'_>, CommitId) {
        let visible = self.visible();
        crate::interleave::here(crate::interleave::Place::SnapshotBegins);
        let slot = SnapshotSlot {
            registry: self,
            slot: self.take_slot(visible),
        };
        // The slot may lie above the collector's old `high`, so `high` is raised before the second look as well.
        let commit = slot.follow(visible);
        (slot, commit)
    }

    /// Registers a snapshot of a given commit. The caller then checks that its versions are still there.
    pub(crate) fn begin_at(&self, commit: CommitId) -> SnapshotSlot<'_> {
        SnapshotSlot {
            registry: self,
            slot: self.take_slot(commit),
        }
    }

    /// The oldest commit that some snapshot reads or can still begin to read: what only older ones need can go.
    pub(crate) fn horizon(&self) -> CommitId {
        let mut horizon = self.visible.load(SeqCst);
        for index in 0..self.high.load(SeqCst) {
            if index >= FIRST_CHUNK && crate::planted::makes(crate::planted::Fault::HorizonMissesSecondChunk)
            {
                break;
            }
            if let Some(slot) = self.slot(index) {
                horizon = horizon.min(slot.load(SeqCst));
            }
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
    fn follow(&self, mut registered: CommitId) -> CommitId {
        loop {
            let visible = self.registry.visible();
            if visible == registered {
                return registered;
            }
            self.slot.store(visible.0, SeqCst);
            registered = visible;
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
        self.follow(CommitId(self.slot.load(Relaxed)))
    }
}

impl Drop for SnapshotSlot<'_> {
    fn drop(&mut self) {
        self.slot.store(FREE, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_numbers_map_to_disjoint_chunks() {
        let mut expected = (0, 0);
        for index in 0..5000 {
            let (chunk, offset) = locate(index);
            assert_eq!((chunk, offset), expected);
            expected.1 += 1;
            if expected.1 == FIRST_CHUNK << chunk.saturating_sub(1) {
                expected = (chunk + 1, 0);
            }
        }
    }

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
        drop(old);
        assert_eq!(registry.open_snapshots(), 0);
    }

    #[test]
    fn many_snapshots_of_one_thread_get_slots_of_their_own() {
        let registry = SnapshotRegistry::new(CommitId(1));
        let open: Vec<_> = (0..1000).map(|_| registry.begin().0).collect();
        assert_eq!(registry.open_snapshots(), 1000);
        drop(open);
        assert_eq!(registry.open_snapshots(), 0);
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
