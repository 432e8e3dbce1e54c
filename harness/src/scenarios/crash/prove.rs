//! The proof that the checks find what they are for: each of the engine's planted faults is switched on, and the
//! scenarios must fail, with each of several seeds. A fault that is not found is a hole in the checks.
//!
//! A fault is looked for first where it should show ([`LIKELY`]), so that the proof is quick, and then everywhere, so that
//! it is no weaker than the checks. Everything that is looked at is looked at without a fault as well, by the rest of the
//! workload.

use std::time::Instant;

use engine::planted::{self, Fault};
use reports::record::PlantedFault;

use super::check::quietly;
use super::damage;
use super::explore::{Effort, explore};
use super::faults::{self, FaultEffort, Swept};
use super::minimise::Failing;
use super::play::record;
use super::script::Script;
use super::scripts::Scenario;

/// Damages of each kind that are tried.
const DAMAGES: usize = 40;

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

    fn name(self) -> &'static str {
        match self {
            Power => "power loss",
            Recovery => "power loss in recovery",
            Damage => "damage at rest",
            Operations => "failing operations",
        }
    }
}

/// Where each fault should show.
const LIKELY: &[(Fault, Check, &str)] = &[
    (Fault::FlushWithoutSync, Power, "insert"),
    (Fault::SyncBeforeWrite, Power, "insert"),
    (Fault::DirectWithoutSync, Power, "direct"),
    (Fault::OldSegmentNotSynced, Power, "segments"),
    (Fault::NamesNotSynced, Power, "insert"),
    (Fault::LogDirectoryNotSynced, Power, "insert"),
    (Fault::SuperblockBeforeData, Power, "checkpoint"),
    (Fault::SuperblockNotSynced, Power, "checkpoint"),
    (Fault::SuperblockNotSettled, Power, "segments"),
    (Fault::SuperblockInPlace, Power, "checkpoint"),
    (Fault::FailedSyncIgnored, Power, "insert"),
    (Fault::ShortWriteIgnored, Operations, "split"),
    (Fault::NoFrameCrc, Power, "insert"),
    (Fault::CrcWithoutSalt, Power, "recovery"),
    (Fault::IncompleteCommitRedone, Power, "split"),
    (Fault::DamageTruncatesLog, Damage, "insert"),
    (Fault::AbandonedSegmentRead, Recovery, "insert"),
    (Fault::SegmentWithoutHeaderIsSpare, Damage, "segments"),
    (Fault::RecycleTooEarly, Operations, "insert"),
    (Fault::RecycleTooFar, Power, "segments"),
    (Fault::FailedSyncForgotten, Operations, "insert"),
    (Fault::WriteOutTakenForFlush, Power, "background"),
    (Fault::LogRoomNotReserved, Operations, "segments"),
    (Fault::PageMissingFromLog, Power, "insert"),
    (Fault::SyncPromisesNothing, Power, "durabilities"),
    (Fault::UnchangedCommitNotFlushed, Power, "unchanged"),
    (Fault::GroupAcknowledgesOneMore, Power, "group-commit"),
    (Fault::VisibleBeforeDurable, Operations, "insert"),
    (Fault::RowsNotLocked, Power, "contended"),
    (Fault::ConflictOverlooked, Power, "contended"),
    (Fault::LockedRowReadsOldSnapshot, Power, "contended"),
    (Fault::BeforeImageMissing, Power, "held"),
    (Fault::VersionOffByOne, Power, "held"),
    (Fault::HorizonMissesSecondChunk, Power, "held"),
    (Fault::GhostPurgedTooEarly, Power, "held"),
    (Fault::DroppedTableFreedTooEarly, Power, "dropped"),
    (Fault::BoundSearchedUnchecked, Power, "split"),
    (Fault::SeparatorOffByOne, Power, "split"),
    (Fault::InnerMergeLosesChild, Power, "large-changes"),
    (Fault::FormerValueNotFreed, Power, "overflow"),
    (Fault::HalfCommitCopied, Power, "half-commits"),
    (Fault::DirtyMarkCleared, Power, "growing"),
    (Fault::EvictionDoesNotWrite, Power, "eviction"),
    (Fault::DirtyPageForgotten, Power, "checkpoint"),
    (Fault::RedoPositionTooLate, Power, "half-commits"),
    (Fault::LogBehindPages, Power, "durabilities"),
    (Fault::FailedCheckpointForgetsPages, Operations, "checkpoint"),
    (Fault::FailedCheckpointForgetsMap, Operations, "checkpoint"),
    (Fault::FailedCheckpointFreesExtents, Operations, "checkpoint"),
    (Fault::ExtentReusedTooEarly, Power, "checkpoint"),
    (Fault::OnlyFirstMapChunkWritten, Power, "large-changes"),
    (Fault::ShrinkCutsTooMuch, Power, "large-drop"),
    (Fault::RoomNotHeld, Operations, "eviction"),
    (Fault::NoExtentCrc, Damage, "insert"),
    (Fault::NoExtentIdentity, Damage, "segments"),
    (Fault::OlderSuperblockChosen, Power, "insert"),
    (Fault::EmptyDataFileIsNew, Damage, "insert"),
    (Fault::RedoSkipsNextCommit, Power, "insert"),
    (Fault::LastCommitNotRedone, Power, "insert"),
    (Fault::FreedNotRedone, Power, "merge"),
    (Fault::RedoneNumberStaysFree, Power, "insert"),
    (Fault::ParallelRedoLosesBatch, Power, "large-changes"),
    (Fault::SalvageIgnoresLog, Power, "insert"),
    (Fault::SalvageHidesLoss, Damage, "split"),
];

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breadth {
    /// Where the fault should show, and then everywhere.
    Everywhere,
    /// Where it should show only.
    Likely,
}

/// What one search came to.
#[derive(Default)]
struct Search {
    images: u64,
    /// The check and the script, and what was found.
    caught: Option<(Check, String, String)>,
    failing: Option<Failing>,
}

/// Looks for one fault with each seed until something finds it. Also returns a failing script, where there is one.
pub(crate) fn find(
    fault: Fault,
    description: &str,
    scenarios: &[Scenario],
    effort: &Effort,
    seeds: impl IntoIterator<Item = u64>,
    breadth: Breadth,
) -> (PlantedFault, Option<Failing>) {
    let begun = Instant::now();
    let effort = Effort {
        first_only: true,
        ..*effort
    };
    let mut found = PlantedFault {
        name: format!("{fault:?}"),
        description: description.to_owned(),
        ..PlantedFault::default()
    };
    let mut failing = None;
    for seed in seeds {
        let search = planted::with(Some(fault), || search(fault, scenarios, &effort, seed, breadth));
        found.seeds += 1;
        found.images = found.images.max(search.images);
        if let Some((check, script, finding)) = search.caught {
            found.seeds_caught += 1;
            found.check.get_or_insert(check.name().to_owned());
            found.scenario.get_or_insert(script);
            found.finding.get_or_insert(finding);
        }
        failing = failing.or(search.failing);
    }
    found.caught = found.seeds > 0 && found.seeds_caught == found.seeds;
    found.duration_ns = begun.elapsed().as_nanos() as u64;
    (found, failing)
}

fn search(fault: Fault, scenarios: &[Scenario], effort: &Effort, seed: u64, breadth: Breadth) -> Search {
    let mut search = Search::default();
    let likely = LIKELY.iter().find(|(other, ..)| *other == fault);
    let first = likely.into_iter().flat_map(|(_, check, name)| {
        let named = scenarios.iter().filter(|scenario| scenario.script.name == *name);
        named.map(|scenario| (*check, &scenario.script))
    });
    let all = Check::ALL.into_iter().flat_map(|check| {
        // Those take long, and show what the others do not only where they are likely to.
        let is_tried = |scenario: &&Scenario| breadth == Breadth::Everywhere && !scenario.script.is_large;
        let quick = scenarios.iter().filter(is_tried);
        quick.map(move |scenario| (check, &scenario.script))
    });
    for (check, script) in first.chain(all) {
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
        let recording = match quietly(|| record(script, seed)) {
            Ok(recording) => recording,
            Err(finding) => return Some(format!("the run itself: {finding}")),
        };
        let tally = explore(&recording, &script.settings, effort, seed);
        self.images += tally.images;
        let failure = tally.failures.into_iter().next()?;
        let finding = failure.finding.clone();
        self.failing = Some(Failing {
            script: script.clone(),
            failure,
        });
        Some(finding)
    }

    fn damage(&mut self, script: &Script, effort: &Effort, seed: u64) -> Option<String> {
        let recording = quietly(|| record(script, seed)).ok()?;
        let (sweep, miss) = damage::sweep(&recording, &script.settings, DAMAGES, effort.threads, seed);
        self.images += sweep.blocks.iter().map(|block| block.flips).sum::<u64>();
        miss
    }

    fn fail_operations(&mut self, script: &Script, effort: &Effort, seed: u64) -> Option<String> {
        let effort = FaultEffort {
            places: 3,
            ways: 1,
            threads: effort.threads,
        };
        let mut swept = Swept::default();
        let result = faults::sweep_script(script, &effort, seed, &mut swept);
        self.images += swept.sweeps.iter().map(|sweep| sweep.reopened).sum::<u64>();
        let failure = swept.failures.into_iter().next().map(|failure| failure.finding);
        result.err().or(failure)
    }
}
