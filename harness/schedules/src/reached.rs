//! What schedules are there to bring together, and how often they came to it.

use engine::reach::{self, Mechanism};

/// So many schedules come to all of it.
pub const REACHED_AFTER: u64 = 800;

/// What schedules are there to bring together: a run that never came to one of these shows nothing.
pub(crate) const REACHED: &[Mechanism] = &[
    Mechanism::GroupFlush,
    Mechanism::LeadPassed,
    Mechanism::CommitQueued,
    Mechanism::CommitUnsynced,
    Mechanism::CleanEviction,
    Mechanism::DirtyEviction,
    Mechanism::CheckpointBesideCommits,
    Mechanism::PageChangedBehindCopy,
    Mechanism::PagePutAside,
    Mechanism::BackgroundCheckpoint,
    Mechanism::VersionsCollected,
    Mechanism::GhostPurged,
    Mechanism::FormerVersionRead,
    Mechanism::FormerAbsenceRead,
    Mechanism::DropUnderSnapshot,
    Mechanism::ChainFreed,
    Mechanism::LockWait,
    Mechanism::LockTimeout,
    Mechanism::WriteConflict,
    Mechanism::SegmentSwitchInCommit,
    Mechanism::SegmentRecycled,
    Mechanism::LeafSplit,
    Mechanism::LeafMerge,
];

/// How often each of these was gone through since the process began, with its name and what it is. Nothing in a build
/// that does not count.
#[must_use]
pub fn reached() -> Vec<(String, &'static str, u64)> {
    if !reach::is_counted() {
        return Vec::new();
    }
    let all = Mechanism::ALL.iter().zip(reach::counts());
    all.filter(|((mechanism, _), _)| REACHED.contains(mechanism))
        .map(|((mechanism, what), count)| (format!("{mechanism:?}"), *what, count))
        .collect()
}
