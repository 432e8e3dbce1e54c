//! Places where a thread can be held up, so that what is a matter of nanoseconds elsewhere becomes a window that other
//! threads get through: between two changes of a commit, between copying a page and writing it, and so on.
//!
//! A [`Schedule`] decides by its seed which passings are held up. A thread that is held waits until others have passed a
//! few places, but only for a moment: they may be waiting for it. It is switched on for a thread and what it calls, and
//! does not exist in builds without debug assertions. Under a scheduler (`sync.rs`) each place is one of its points.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::injected;

/// How long a thread is held at most.
const HELD_MAX: Duration = Duration::from_micros(1500);
/// How long it sleeps between two looks.
const LOOK_AGAIN: Duration = Duration::from_micros(20);
/// How often the background thread looks around while a schedule is on.
const TICK: Duration = Duration::from_micros(300);

/// Where a thread can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// A commit has changed a page, and is not complete.
    InCommit,
    /// A commit is applied and not visible yet.
    CommitApplied,
    /// A file is being synced.
    Syncing,
    /// Log bytes are taken from the buffer and not written yet.
    LogTaken,
    /// The log is flushed, and its commits are not visible yet.
    LogFlushed,
    /// A page is about to be copied for the data file.
    BeforeCopy,
    /// A page is being copied.
    Copying,
    /// A page is copied and not written yet.
    AfterCopy,
    /// A page is written, and still dirty.
    AfterWrite,
    /// A checkpoint has taken the set of changed pages.
    SetTaken,
    /// A checkpoint has frozen the page map.
    MapFrozen,
    /// A checkpoint is durable, and the log behind it not recycled yet.
    CheckpointDurable,
    /// A snapshot has read the visible commit and not registered yet.
    SnapshotBegins,
    /// The horizon is known, and nothing collected yet.
    HorizonKnown,
}

/// Decides who is held where.
#[derive(Debug)]
pub struct Schedule {
    seed: u64,
    /// One of so many passings is held.
    one_in: u64,
    /// Holds that are left.
    left: AtomicU64,
    passed: AtomicU64,
}

impl Schedule {
    /// Holds one of `one_in` passings, `holds` times at most.
    #[must_use]
    pub fn new(seed: u64, one_in: u64, holds: u64) -> Arc<Self> {
        Arc::new(Self {
            seed,
            one_in: one_in.max(1),
            left: AtomicU64::new(holds),
            passed: AtomicU64::new(0),
        })
    }

    fn pass(&self, place: Place) {
        let passed = self.passed.fetch_add(1, Relaxed) + 1;
        let drawn = mix(self.seed ^ mix(passed << 8 | place as u64));
        if !drawn.is_multiple_of(self.one_in) {
            return;
        }
        let take = |left: u64| left.checked_sub(1);
        if self.left.fetch_update(Relaxed, Relaxed, take).is_err() {
            return;
        }
        let until = passed + 1 + (drawn >> 32) % 6;
        let begun = Instant::now();
        while self.passed.load(Relaxed) < until && begun.elapsed() < HELD_MAX {
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// A thread passes here. No latch may be held.
#[inline]
#[track_caller]
pub(crate) fn here(place: Place) {
    crate::sync::point();
    if cfg!(debug_assertions)
        && let Some(schedule) = injected::schedule()
    {
        schedule.pass(place);
    }
}

/// How long the background thread waits between two looks.
pub(crate) fn tick(usual: Duration) -> Duration {
    if cfg!(debug_assertions) && injected::schedule().is_some() {
        TICK.min(usual)
    } else {
        usual
    }
}

/// SplitMix64.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_held_until_others_pass_and_only_for_a_moment() {
        let schedule = Schedule::new(7, 1, 2);
        let begun = Instant::now();
        schedule.pass(Place::InCommit);
        assert!(begun.elapsed() >= HELD_MAX, "nobody else passes");
        std::thread::scope(|scope| {
            let held = scope.spawn(|| schedule.pass(Place::InCommit));
            while !held.is_finished() {
                // There are no holds left for this thread.
                schedule.pass(Place::BeforeCopy);
            }
        });
        let before = schedule.passed.load(Relaxed);
        schedule.pass(Place::InCommit);
        assert_eq!(schedule.passed.load(Relaxed), before + 1);
    }
}
