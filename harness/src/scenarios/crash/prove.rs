//! The proof that the checks find what they are for: each of the engine's planted faults is switched on, and the
//! scenarios must fail. A fault that none of them finds is a hole in the checks.

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

/// Looks for one fault until something finds it. Also returns the failing script, where there is one.
pub(crate) fn find(
    fault: Fault,
    description: &str,
    scenarios: &[Scenario],
    effort: &Effort,
    seed: u64,
) -> (PlantedFault, Option<Failing>) {
    let begun = Instant::now();
    let effort = Effort {
        first_only: true,
        depth: 1,
        ..*effort
    };
    let mut found = PlantedFault {
        name: format!("{fault:?}"),
        description: description.to_owned(),
        ..PlantedFault::default()
    };
    let failing = planted::with(Some(fault), || search(&mut found, scenarios, &effort, seed));
    found.duration_ns = begun.elapsed().as_nanos() as u64;
    (found, failing)
}

fn search(found: &mut PlantedFault, scenarios: &[Scenario], effort: &Effort, seed: u64) -> Option<Failing> {
    let caught = |found: &mut PlantedFault, scenario: &str, finding: String| {
        found.caught = true;
        found.scenario = Some(scenario.to_owned());
        found.finding = Some(finding);
    };
    let mut scenarios: Vec<&Scenario> = scenarios.iter().collect();
    // A stable sort: the script where the fault should show comes first, the others as they are.
    let likely = likely_script(&found.name);
    scenarios.sort_by_key(|scenario| Some(scenario.script.name.as_str()) != likely);
    for (at, scenario) in scenarios.iter().enumerate() {
        let script = &scenario.script;
        let recording = match quietly(|| record(script, seed)) {
            Ok(recording) => recording,
            Err(finding) => {
                caught(found, &format!("{} (the run itself)", script.name), finding);
                return None;
            }
        };
        let tally = explore(&recording, &script.settings, effort, seed);
        found.images += tally.images;
        if let Some(failure) = tally.failures.into_iter().next() {
            caught(found, &script.name, failure.finding.clone());
            return Some(Failing {
                script: script.clone(),
                failure,
            });
        }
        let (sweep, miss) = damage::sweep(&recording, &script.settings, DAMAGES, effort.threads, seed);
        found.images += sweep.blocks.iter().map(|block| block.flips).sum::<u64>();
        if let Some(finding) = miss {
            caught(found, &format!("{} (damage at rest)", script.name), finding);
            return None;
        }
        // One script's failing operations at once: they are few, and some faults show in nothing else.
        if at == 0 && fails_with_faults(found, script, effort, seed) {
            return None;
        }
    }
    for scenario in scenarios.iter().skip(1) {
        if fails_with_faults(found, &scenario.script, effort, seed) {
            break;
        }
    }
    None
}

/// The script that does what the fault spoils, where most do not.
fn likely_script(fault: &str) -> Option<&'static str> {
    match fault {
        "DirectWithoutSync" => Some("direct"),
        "CrcWithoutSalt" => Some("recovery"),
        "RedoPositionTooLate" => Some("group-commit"),
        "SyncPromisesNothing" | "LogBehindPages" | "SuperblockNotSettled" => Some("durabilities"),
        "NoExtentIdentity" => Some("segments"),
        "FreedNotRedone" => Some("merge"),
        _ => None,
    }
}

/// Whether failing file operations find the fault in a script.
fn fails_with_faults(found: &mut PlantedFault, script: &Script, effort: &Effort, seed: u64) -> bool {
    let effort = FaultEffort {
        places: 3,
        ways: 1,
        threads: effort.threads,
    };
    let mut swept = Swept::default();
    let result = faults::sweep_script(script, &effort, seed, &mut swept);
    found.images += swept.sweeps.iter().map(|sweep| sweep.reopened).sum::<u64>();
    let failure = swept.failures.into_iter().next().map(|failure| failure.finding);
    let Some(finding) = result.err().or(failure) else {
        return false;
    };
    found.caught = true;
    found.scenario = Some(format!("{} (failing operations)", script.name));
    found.finding = Some(finding);
    true
}

/// Those planted faults that the checks here look for. The others wait for scripts with several threads.
pub(crate) fn looked_for() -> impl ExactSizeIterator<Item = &'static (Fault, &'static str)> {
    LOOKED_FOR.iter().map(|fault| {
        let mut all = Fault::ALL.iter();
        all.find(|(other, _)| other == fault)
            .expect("every fault is among them all")
    })
}

const LOOKED_FOR: [Fault; 26] = [
    Fault::FlushWithoutSync,
    Fault::SyncBeforeWrite,
    Fault::DirectWithoutSync,
    Fault::NoFrameCrc,
    Fault::CrcWithoutSalt,
    Fault::NamesNotSynced,
    Fault::IncompleteCommitRedone,
    Fault::DamageTruncatesLog,
    Fault::AbandonedSegmentRead,
    Fault::RecycleTooEarly,
    Fault::LogBehindPages,
    Fault::RedoPositionTooLate,
    Fault::DirtyPageForgotten,
    Fault::SuperblockBeforeData,
    Fault::SuperblockNotSynced,
    Fault::SuperblockNotSettled,
    Fault::SuperblockInPlace,
    Fault::ExtentReusedTooEarly,
    Fault::NoExtentCrc,
    Fault::NoExtentIdentity,
    Fault::RedoSkipsNextCommit,
    Fault::LastCommitNotRedone,
    Fault::FreedNotRedone,
    Fault::PageMissingFromLog,
    Fault::SyncPromisesNothing,
    Fault::FailedSyncForgotten,
];
