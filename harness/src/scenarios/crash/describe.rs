//! From what the search tried and found to the record of it. Everything is taken apart by name here, so that a counter which
//! is new does not get lost.

use std::time::Duration;

use reports::record::{
    CrashFailure, CrashPhase, CrashScenario, CrashTest, DamageSweep, DamagedBlock, FaultSweep, InjectedBug,
    RandomMixes, Reached, Schedules,
};

use super::damage::{Damaged, Outcome};
use super::explore::{Failure, PhaseTally, Tally, survival_text};
use super::failures::Kept;
use super::faults;
use super::minimise::Failing;
use super::prove::{Proof, Search};
use super::schedules;
use super::script::Script;
use super::search::{Asked, Found, Reach, Wrong};

/// All of it.
pub(super) fn test(
    engine: &str,
    asked: &Asked,
    found: &Found<'_>,
    kept: &[Kept],
    duration: Duration,
) -> CrashTest {
    let Asked { seed, threads, .. } = *asked;
    let Found {
        faults,
        scripts,
        damage,
        mixes,
        schedules,
        reach,
        injected,
    } = found;
    CrashTest {
        engine: engine.to_owned(),
        seed,
        threads,
        scenarios: scripts.iter().map(scenario).collect(),
        random: mixes.as_ref().map(random),
        faults: sweeps(faults),
        damage: damage.as_deref().map(damaged),
        injected: injected.iter().map(proof).collect(),
        schedules: schedules.as_ref().map(scheduled),
        reach: reached(reach),
        failures: kept.iter().map(failure).collect(),
        duration_ns: nanoseconds(duration),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

fn scenario((script, tally): &(&Script, Tally)) -> CrashScenario {
    let Tally {
        commits,
        operations,
        phases,
        choices,
        images,
        recoveries,
        failures: _,
        failure_count,
        duration,
    } = tally;
    CrashScenario {
        name: script.name.clone(),
        title: script.title.clone(),
        commits: *commits,
        operations: *operations,
        phases: phases.iter().map(phase).collect(),
        images: *images,
        choices: *choices,
        recoveries: *recoveries,
        duration_ns: nanoseconds(*duration),
        failures: *failure_count,
    }
}

fn phase((name, tally): (&String, &PhaseTally)) -> CrashPhase {
    let PhaseTally {
        points,
        images,
        by_operation,
    } = tally;
    let by_operation = by_operation.iter();
    CrashPhase {
        name: name.clone(),
        points: *points,
        images: *images,
        by_operation: by_operation
            .map(|(operation, points)| ((*operation).to_owned(), *points))
            .collect(),
    }
}

/// Of mixes, phases are not told.
fn random((mixes, tally): &(u64, Tally)) -> RandomMixes {
    RandomMixes {
        mixes: *mixes,
        operations: tally.operations,
        images: tally.images,
        recoveries: tally.recoveries,
        duration_ns: nanoseconds(tally.duration),
        failures: tally.failure_count,
    }
}

/// The one that it is, or a new one at the end.
fn entry<T>(all: &mut Vec<T>, is_it: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    let at = all.iter().position(is_it).unwrap_or(all.len());
    if at == all.len() {
        all.push(new());
    }
    &mut all[at]
}

/// By kind of operation and of failure, in order of first appearance.
fn sweeps(runs: &[faults::Run]) -> Vec<FaultSweep> {
    let mut sweeps: Vec<FaultSweep> = Vec::new();
    for run in runs {
        let (kind, effect, lasting) = (run.kind(), run.injection.effect(), run.injection.is_lasting());
        let is_it =
            |sweep: &FaultSweep| (&sweep.kind, &*sweep.effect, sweep.lasting) == (&kind, effect, lasting);
        let sweep = entry(&mut sweeps, is_it, || FaultSweep {
            kind: kind.clone(),
            effect: effect.to_owned(),
            lasting,
            ..FaultSweep::default()
        });
        sweep.runs += 1;
        sweep.duration_ns += nanoseconds(run.duration);
        match run.outcome {
            Ok(faults::Outcome {
                struck,
                refused,
                is_poisoned,
                reopened,
            }) => {
                sweep.struck += struck;
                sweep.refused += refused;
                sweep.poisoned += u64::from(is_poisoned);
                sweep.reopened += reopened;
            }
            Err(_) => sweep.failures += 1,
        }
    }
    sweeps
}

/// By kind of block and of damage, in order of first appearance.
fn damaged(scripts: &[Damaged]) -> DamageSweep {
    let mut sweep = DamageSweep::default();
    for Damaged { outcomes, duration } in scripts {
        sweep.duration_ns += nanoseconds(*duration);
        for (kind, outcome) in outcomes {
            let is_it = |block: &DamagedBlock| block.kind == *kind;
            let block = entry(&mut sweep.blocks, is_it, || DamagedBlock {
                kind: (*kind).to_owned(),
                ..DamagedBlock::default()
            });
            block.flips += 1;
            *match outcome {
                Outcome::Detected => &mut block.detected,
                Outcome::Harmless => &mut block.harmless,
                Outcome::CutOff => &mut block.cut_off,
                Outcome::Missed(_) => &mut block.missed,
            } += 1;
        }
    }
    sweep
}

fn proof(proof: &Proof) -> InjectedBug {
    let Proof {
        fault,
        description,
        searches,
        duration,
    } = proof;
    let images = searches.iter().map(|Search { images, .. }| *images);
    let caught: Vec<_> = searches
        .iter()
        .filter_map(|search| search.caught.as_ref())
        .collect();
    let first = caught.first();
    InjectedBug {
        name: format!("{fault:?}"),
        description: (*description).to_owned(),
        caught: proof.is_complete(),
        seeds: searches.len() as u64,
        seeds_caught: caught.len() as u64,
        check: first.map(|(check, ..)| check.name().to_owned()),
        scenario: first.map(|(_, script, _)| script.clone()),
        images: images.max().unwrap_or(0),
        duration_ns: nanoseconds(*duration),
        finding: first.map(|(.., finding)| finding.clone()),
    }
}

fn reached(reach: &[Reach]) -> Vec<Reached> {
    let each = reach.iter().map(|(name, description, count)| Reached {
        name: name.clone(),
        description: (*description).to_owned(),
        count: *count,
    });
    each.collect()
}

#[cfg(not(feature = "schedules"))]
fn scheduled(found: &schedules::Found) -> Schedules {
    Schedules {
        not_run: Some(found.not_run.to_owned()),
        ..Schedules::default()
    }
}

#[cfg(feature = "schedules")]
fn scheduled(found: &schedules::Found) -> Schedules {
    let schedules::Found {
        first_seed,
        threads,
        sum,
        reach,
        injected,
    } = found;
    let ::schedules::Summary {
        schedules,
        points,
        commits,
        images,
        elapsed,
        failures,
        fingerprints,
    } = sum;
    let distinct: std::collections::HashSet<u64> = fingerprints.iter().map(|(_, print)| *print).collect();
    Schedules {
        not_run: None,
        first_seed: *first_seed,
        schedules: *schedules,
        distinct: distinct.len() as u64,
        points: *points,
        commits: *commits,
        images: *images,
        threads: *threads,
        duration_ns: nanoseconds(*elapsed),
        failures: failures.len() as u64,
        reach: reached(reach),
        injected: injected.iter().map(order).collect(),
    }
}

#[cfg(feature = "schedules")]
fn order((proof, duration): &(::schedules::Proof, Duration)) -> reports::record::InjectedOrder {
    let ::schedules::Proof {
        fault,
        schedules,
        finding,
    } = proof;
    let mut all = ::schedules::injected::Bug::ALL.iter();
    let most = schedules.iter().copied().collect::<Option<Vec<u64>>>();
    reports::record::InjectedOrder {
        name: format!("{fault:?}"),
        description: all
            .find(|(other, _)| other == fault)
            .map_or("", |(_, what)| what)
            .into(),
        caught: proof.is_complete(),
        schedules: schedules.clone(),
        schedules_max: most.and_then(|all| all.into_iter().max()),
        duration_ns: nanoseconds(*duration),
        finding: Some(finding.clone()).filter(|finding| !finding.is_empty()),
    }
}

fn failure(Kept { wrong, file }: &Kept) -> CrashFailure {
    let (scenario, point, choice, finding) = match wrong {
        Wrong::Script {
            script,
            is_damaged,
            finding,
        } => {
            let (point, choice) = match is_damaged {
                true => ("at rest", "damage"),
                false => ("the run itself", "no crash"),
            };
            (script.clone(), point.into(), choice.into(), finding)
        }
        Wrong::Fault(run) => {
            let opening = if run.is_opening { "opening after " } else { "" };
            let finding = run.outcome.as_ref().err().unwrap_or(const { &String::new() });
            let (place, effect) = (run.injection.place(), run.injection.effect());
            (
                format!("{opening}{}", run.script),
                place,
                effect.to_owned(),
                finding,
            )
        }
        Wrong::Power(Failing { script, failure }) => {
            let Failure {
                losses,
                after,
                finding,
            } = failure;
            let point = losses.first().map_or_else(
                || "the run itself".into(),
                |loss| format!("after operation {}: {after}", loss.point),
            );
            let choices = losses.iter();
            let choices =
                choices.map(|loss| loss.survival.map_or_else(|| "kill".into(), survival_text::text));
            let choices: Vec<String> = choices.collect();
            (script.name.clone(), point, choices.join(", then "), finding)
        }
        Wrong::Schedule { seed, finding, .. } => {
            ("schedules".into(), format!("seed {seed}"), String::new(), finding)
        }
    };
    CrashFailure {
        scenario,
        point,
        choice,
        finding: finding.clone(),
        replay: file.as_ref().map(|file| file.display().to_string()),
        feature: matches!(wrong, Wrong::Schedule { .. }).then(|| "schedules".into()),
    }
}
