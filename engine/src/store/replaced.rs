//! What pages have replaced: how much of the file it may take.
//!
//! An extent that the durable page map refers to stays until another page map is durable, whoever has replaced it in memory. Under
//! writes all over a file larger than the cache that is soon as much as the file itself. So whenever it is much, the background
//! makes a page map durable between two checkpoints (`checkpoint.rs`). While it is twice as much, a checkpoint under way does
//! so too, and committers wait for it before they take the applier: else what can be written into the operating system's cache
//! while one map is being synced would have no bound. Their row locks are held meanwhile, so they wait half a second at most.
//! Where the cache has room for all pages, only checkpoints replace extents, each one once, and none of this is done.

use std::time::Duration;

use super::allocator::UnitCounts;
use super::data_file::DataFile;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{Condvar, Mutex};

/// Of what is in use, the part that what was replaced may take beside it, and how many units of it always may (64 KiB).
const MUCH_PART: u64 = 6;
const MUCH_UNITS_MIN: u64 = 128;
/// From how many times that on committers wait.
const WAITS_FROM: u64 = 2;
/// How long to wait at once, and how often, at most.
const WAIT: Duration = Duration::from_millis(50);
const WAITS_MAX: usize = 10;

/// How much it is, for those who must not take a lock to find out.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    /// In parts of what is much, rounded down.
    times_much: AtomicU64,
    pub(super) maps: Mutex<Maps>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct Maps {
    /// Whether the last page map that was to become durable did not.
    has_failed: bool,
    /// Who waits for the next one.
    pub(super) waiting: usize,
}

impl Replaced {
    /// What is replaced has changed.
    pub(super) fn note(&self, counts: UnitCounts) {
        let much = (counts.live / MUCH_PART).max(MUCH_UNITS_MIN);
        self.times_much.store(counts.pending / much, Relaxed);
    }

    /// A page map is durable, or failed to become so: then nobody waits for the next one.
    pub(super) fn map_ended(&self, is_durable: bool) {
        self.maps.lock().has_failed = !is_durable;
        self.changed.notify_all();
    }
}

impl DataFile {
    /// Whether what pages have replaced, and the durable checkpoint still refers to, takes so much that it is worth making a page
    /// map durable.
    pub(crate) fn has_much_replaced(&self) -> bool {
        self.replaced.times_much.load(Relaxed) > 0
    }

    /// Whether it is so much that committers wait.
    pub(crate) fn has_too_much_replaced(&self) -> bool {
        self.replaced.times_much.load(Relaxed) >= WAITS_FROM
    }

    /// Works out how much it is, after the accounts have changed.
    pub(super) fn note_replaced(&self) {
        let counts = self.space.lock().counts();
        self.replaced.note(counts);
    }

    /// Waits while it is, and somebody may be about to free it; returns whether it did. The caller holds nothing that a
    /// checkpoint needs.
    pub(crate) fn await_freed(&self) -> bool {
        if !self.has_too_much_replaced() {
            return false;
        }
        let mut maps = self.replaced.maps.lock();
        for wait in 0..WAITS_MAX {
            if !self.has_too_much_replaced() || maps.has_failed || self.poison.error().is_some() {
                return wait > 0;
            }
            maps.waiting += 1;
            self.replaced.changed.wait_for(&mut maps, WAIT);
            maps.waiting -= 1;
        }
        true
    }
}
