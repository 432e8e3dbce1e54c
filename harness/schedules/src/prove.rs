//! The proof that schedules find what takes two threads in a particular order: bugs injected into the engine, each of which
//! has to be found from each of several first seeds on.

use engine::injected::Bug;

use crate::many::{Limit, watched};

/// Schedules after which a fault counts as not found.
const SCHEDULES_MAX: u64 = 4_000;

/// What is found within some hundred schedules. The first ones were made for this, and nothing else looks for them; the
/// others are looked for by the crash test as well.
pub const QUICK: &[Bug] = &[
    Bug::ReadNotValidated,
    Bug::LeadNotPassed,
    Bug::LeadLostWithItsHolder,
    Bug::QueueNotLookedAtAgain,
    Bug::WaiterNotWoken,
    Bug::LocksReleasedTooEarly,
    Bug::UnsyncedOvertakes,
    Bug::FlushCoversLaterCommits,
    Bug::CheckpointDoesNotPause,
    Bug::PageBroughtInTwice,
    Bug::ArrivalNotAnnounced,
    Bug::DroppedTableNotNoticed,
    Bug::RowsNotLocked,
    Bug::ConflictOverlooked,
    Bug::LockedRowReadsOldSnapshot,
    Bug::GroupAcknowledgesOneMore,
    Bug::DirtyMarkCleared,
    Bug::RedoPositionTooLate,
    Bug::BeforeImageMissing,
];

/// What takes thousands of schedules, and is not found from every seed on within `SCHEDULES_MAX`.
pub const SLOW: &[Bug] = &[
    Bug::SnapshotLooksOnce,
    Bug::HorizonLooksBackwards,
    Bug::EvictionDoesNotLookAgain,
    Bug::HalfCommitCopied,
    Bug::GhostPurgedTooEarly,
    Bug::DroppedTableFreedTooEarly,
];

/// How a fault was found.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The fault.
    pub fault: Bug,
    /// For each first seed, how many schedules it took; `None` if it was not found.
    pub schedules: Vec<Option<u64>>,
    /// What the first one that found it said.
    pub finding: String,
}

impl Proof {
    /// Whether it was found from each first seed on.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.schedules.iter().all(Option::is_some)
    }
}

/// Looks for a fault from each of these first seeds on; nothing if `go_on` said no before all were done.
#[must_use]
pub fn prove(fault: Bug, first: &[u64], threads: usize, go_on: &mut dyn FnMut() -> bool) -> Option<Proof> {
    let mut proof = Proof {
        fault,
        schedules: Vec::new(),
        finding: String::new(),
    };
    for &first in first {
        if !go_on() {
            return None;
        }
        let limit = Limit::Schedules(SCHEDULES_MAX);
        let summary = watched(first, limit, threads, Some(fault), Some(&mut |_| go_on()));
        // Those that other threads were at do not count.
        let found = summary.failures.first();
        if found.is_none() && summary.schedules < SCHEDULES_MAX {
            return None;
        }
        proof
            .schedules
            .push(found.map(|(seed, _)| seed.wrapping_sub(first) + 1));
        if let (true, Some((_, what))) = (proof.finding.is_empty(), found) {
            proof.finding.clone_from(what);
        }
    }
    Some(proof)
}
