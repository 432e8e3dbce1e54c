//! The proof that the checks find what they are for: each of the engine's injected bugs is switched on, and the
//! scenarios must fail, with each of several seeds. A fault that is not found is a hole in the checks.
//!
//! A fault is looked for first where it should show ([`LIKELY`]), so that the proof is quick, and then everywhere, so that
//! it is no weaker than the checks. Everything that is looked at is looked at without a fault as well, by the rest of the
//! workload.

use std::time::{Duration, Instant};

use engine::injected::{self, Bug};

use super::check::quietly;
use super::damage;
use super::effort::Effort;
use super::explore::explore;
use super::faults;
use super::play::record;
use super::script::Script;
use super::scripts::Scenario;

/// Damages of each kind that are tried.
const DAMAGES: usize = 40;

/// Runs of a script with threads, at most.
const RUNS: u64 = 6;

/// A way to look at a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Power is lost at its operations; or its run goes wrong by itself.
    Power,
    /// Power is lost at those of recoveries as well.
    Recovery,
    /// The files that it leaves are damaged.
    Damage,
    /// Its operations fail.
    Failing,
}

use Check::{Damage, Failing as Operations, Power, Recovery};

impl Check {
    const ALL: [Self; 4] = [Power, Damage, Operations, Recovery];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Power => "power loss",
            Recovery => "power loss in recovery",
            Damage => "damage at rest",
            Operations => "failing operations",
        }
    }
}

/// Where each fault should show.
const LIKELY: &[(Bug, Check, &str)] = &[
    (Bug::FlushWithoutSync, Power, "insert"),
    (Bug::SyncBeforeWrite, Power, "insert"),
    (Bug::DirectWithoutSync, Power, "direct"),
    (Bug::OldSegmentNotSynced, Power, "segments"),
    (Bug::NamesNotSynced, Power, "insert"),
    (Bug::LogDirectoryNotSynced, Power, "insert"),
    (Bug::SuperblockBeforeData, Power, "checkpoint"),
    (Bug::SuperblockNotSynced, Power, "checkpoint"),
    (Bug::SuperblockInPlace, Power, "checkpoint"),
    (Bug::FailedSyncIgnored, Power, "insert"),
    (Bug::ShortWriteIgnored, Operations, "split"),
    (Bug::NoFrameCrc, Power, "insert"),
    (Bug::CrcWithoutSalt, Power, "recovery"),
    (Bug::IncompleteCommitRedone, Power, "split"),
    (Bug::DamageTruncatesLog, Damage, "insert"),
    (Bug::RecycleTooEarly, Power, "segments"),
    (Bug::SpareNotSettled, Recovery, "insert"),
    (Bug::RecycleTooFar, Power, "half-commits"),
    (Bug::FailedSyncForgotten, Operations, "insert"),
    (Bug::WriteOutTakenForFlush, Power, "write-out"),
    (Bug::PageMissingFromLog, Power, "insert"),
    (Bug::SyncPromisesNothing, Power, "durabilities"),
    (Bug::UnchangedCommitNotFlushed, Power, "unchanged"),
    (Bug::GroupAcknowledgesOneMore, Power, "group-commit"),
    (Bug::VisibleBeforeDurable, Operations, "insert"),
    (Bug::RowsNotLocked, Power, "contended"),
    (Bug::ConflictOverlooked, Power, "contended"),
    (Bug::LockedRowReadsOldSnapshot, Power, "contended"),
    (Bug::BeforeImageMissing, Power, "held"),
    (Bug::VersionOffByOne, Power, "held"),
    (Bug::HorizonMissesSecondChunk, Power, "held"),
    (Bug::GhostPurgedTooEarly, Power, "held"),
    (Bug::DroppedTableFreedTooEarly, Power, "dropped"),
    (Bug::BoundSearchedUnchecked, Power, "split"),
    (Bug::SeparatorOffByOne, Power, "split"),
    (Bug::InnerMergeLosesChild, Power, "large-changes"),
    (Bug::FormerValueNotFreed, Power, "overflow"),
    (Bug::HalfCommitCopied, Power, "half-commits"),
    (Bug::DirtyMarkCleared, Power, "background"),
    (Bug::EvictionDoesNotWrite, Power, "eviction"),
    (Bug::DirtyPageForgotten, Power, "checkpoint"),
    (Bug::RedoPositionTooLate, Power, "half-commits"),
    (Bug::LogBehindPages, Power, "durabilities"),
    (Bug::FailedCheckpointForgetsPages, Operations, "tables"),
    (Bug::FailedCheckpointForgetsMap, Operations, "tables"),
    (Bug::FailedCheckpointFreesExtents, Operations, "insert"),
    (Bug::ExtentReusedTooEarly, Power, "checkpoint"),
    (Bug::OnlyFirstMapChunkWritten, Power, "large-changes"),
    (Bug::ShrinkCutsTooMuch, Power, "large-drop"),
    (Bug::NoExtentCrc, Damage, "checkpoint"),
    (Bug::NoExtentIdentity, Damage, "segments"),
    (Bug::OlderSuperblockChosen, Power, "insert"),
    (Bug::EmptyDataFileIsNew, Damage, "insert"),
    (Bug::RedoSkipsNextCommit, Power, "insert"),
    (Bug::LastCommitNotRedone, Power, "insert"),
    (Bug::FreedNotRedone, Power, "merge"),
    (Bug::RedoneNumberStaysFree, Power, "insert"),
    (Bug::ParallelRedoLosesBatch, Power, "large-changes"),
    (Bug::SalvageIgnoresLog, Power, "insert"),
    (Bug::SalvageHidesLoss, Damage, "half-commits"),
];

/// Those that this does not look for, and what finds them.
#[cfg(test)]
pub(crate) const ELSEWHERE: &[(Bug, &str)] = &[
    // It takes a power loss that undoes a superblock, within the first writes of the process that found it.
    (Bug::SuperblockNotSettled, "engine/tests/suite/checkpoints.rs"),
    // The time lines refuse most of what it leads to.
    (Bug::AbandonedSegmentRead, "engine/src/wal/chain.rs"),
    (Bug::LogNotReserved, "engine/tests/suite/nearly_full.rs"),
    (Bug::ReservationNotHeld, "engine/tests/suite/nearly_full.rs"),
    (Bug::RoomNotSetAside, "engine/tests/suite/emptied.rs"),
    (Bug::RetiredFreedTooEarly, "engine/tests/suite/given_back.rs"),
    // It takes many changed pages and a page map between checkpoints just before the power loss.
    (Bug::FreedMapMovesRedo, "engine/src/checkpoint/tests.rs"),
    // It takes a log of more than a batch of redo, or a commit of more than a part of one.
    (Bug::LongCommitNotAwaited, STEPS),
    (Bug::RedoBatchLosesLast, STEPS),
    (Bug::PageFreedInCacheStays, STEPS),
    // It takes two threads in a particular order.
    (Bug::ReadNotValidated, SCHEDULES),
    (Bug::LeadNotPassed, SCHEDULES),
    (Bug::LeadLostWithItsHolder, SCHEDULES),
    (Bug::QueueNotLookedAtAgain, SCHEDULES),
    (Bug::WaiterNotWoken, SCHEDULES),
    (Bug::LocksReleasedTooEarly, SCHEDULES),
    (Bug::UnsyncedOvertakes, SCHEDULES),
    (Bug::FlushCoversLaterCommits, SCHEDULES),
    (Bug::CheckpointDoesNotPause, SCHEDULES),
    (Bug::PageBroughtInTwice, SCHEDULES),
    (Bug::ArrivalNotAnnounced, SCHEDULES),
    (Bug::DroppedTableNotNoticed, SCHEDULES),
    (Bug::SnapshotLooksOnce, SCHEDULES),
    (Bug::HorizonLooksBackwards, SCHEDULES),
    (Bug::EvictionDoesNotLookAgain, SCHEDULES),
];

#[cfg(test)]
const STEPS: &str = "engine/src/recovery/tests/steps.rs";

#[cfg(test)]
const SCHEDULES: &str = "harness/schedules/src/prove.rs";

/// The faults that are looked for, with descriptions.
pub(crate) fn looked_for() -> impl ExactSizeIterator<Item = (Bug, &'static str)> {
    LIKELY.iter().map(|(fault, ..)| {
        let mut all = Bug::ALL.iter();
        let found = all.find(|(other, _)| other == fault);
        *found.expect("every fault is among them all")
    })
}

/// How a fault was looked for.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub fault: Bug,
    pub description: &'static str,
    /// With each seed.
    pub searches: Vec<Search>,
    pub duration: Duration,
}

/// What one search came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Search {
    pub images: u64,
    /// The check and the script, and what was found.
    pub caught: Option<(Check, String, String)>,
}

impl Proof {
    /// Whether it was found with every seed.
    pub(crate) fn is_complete(&self) -> bool {
        !self.searches.is_empty() && self.searches.iter().all(|search| search.caught.is_some())
    }
}

/// Looks for one fault with each seed until something finds it. A search that is cut short before it has found anything
/// says nothing and is left out.
pub(crate) fn find(
    fault: Bug,
    description: &'static str,
    scenarios: &[Scenario],
    effort: &Effort,
    seeds: impl IntoIterator<Item = u64>,
) -> Proof {
    let begun = Instant::now();
    let effort = Effort {
        first_only: true,
        ..*effort
    };
    let searches = seeds.into_iter().map_while(|seed| {
        let search = injected::with(Some(fault), || search(fault, scenarios, &effort, seed));
        (search.caught.is_some() || !(effort.is_over)()).then_some(search)
    });
    Proof {
        fault,
        description,
        searches: searches.collect(),
        duration: begun.elapsed(),
    }
}

fn search(fault: Bug, scenarios: &[Scenario], effort: &Effort, seed: u64) -> Search {
    let mut search = Search::default();
    let likely = LIKELY.iter().find(|(other, ..)| *other == fault);
    let first = likely.into_iter().flat_map(|(_, check, name)| {
        let named = scenarios.iter().filter(|scenario| scenario.script.name == *name);
        named.map(|scenario| (*check, &scenario.script))
    });
    let all = Check::ALL.into_iter().flat_map(|check| {
        // Those take long, and show what the others do not only where they are likely to.
        let quick = scenarios.iter().filter(|scenario| !scenario.script.is_large);
        quick.map(move |scenario| (check, &scenario.script))
    });
    for (check, script) in first.chain(all).take_while(|_| !(effort.is_over)()) {
        let found = match check {
            Power => search.lose_power(script, &Effort { depth: 1, ..*effort }, seed),
            Recovery => search.lose_power(script, effort, seed),
            Damage => search.damage(script, effort, seed),
            Operations => search.fail_operations(script, effort, seed),
        };
        if let Some(finding) = found {
            search.caught = Some((check, script.name.clone(), finding));
            break;
        }
    }
    search
}

impl Search {
    fn lose_power(&mut self, script: &Script, effort: &Effort, seed: u64) -> Option<String> {
        // What threads meet differs from run to run.
        let runs = if script.settings.has_threads() { RUNS } else { 1 };
        let mut runs = (0..runs).take_while(|_| !(effort.is_over)());
        runs.find_map(|run| {
            let seed = seed + 1_000 * run;
            let recording = match quietly(|| record(script, seed)) {
                Ok(recording) => recording,
                Err(finding) => return Some(format!("the run itself: {finding}")),
            };
            let tally = explore(&recording, &script.settings, effort, seed);
            self.images += tally.images;
            tally.failures.into_iter().next().map(|failure| failure.finding)
        })
    }

    fn damage(&mut self, script: &Script, effort: &Effort, seed: u64) -> Option<String> {
        let recording = quietly(|| record(script, seed)).ok()?;
        match damage::sweep(&recording, &script.settings, DAMAGES, effort, seed) {
            Ok(damaged) => {
                self.images += damaged.outcomes.len() as u64;
                damaged.misses().next().cloned()
            }
            Err(finding) => Some(finding),
        }
    }

    fn fail_operations(&mut self, script: &Script, effort: &Effort, seed: u64) -> Option<String> {
        // At few places first.
        [(3, 1), (15, 2)].into_iter().find_map(|places_and_ways| {
            let mut runs = Vec::new();
            let result = faults::sweep_script(script, places_and_ways, effort, seed, &mut runs);
            let outcomes = runs.iter().map(|run| run.outcome.as_ref());
            self.images += outcomes.clone().flatten().map(|went| went.reopened).sum::<u64>();
            let failure = outcomes.filter_map(Result::err).next().cloned();
            result.err().or(failure)
        })
    }
}
