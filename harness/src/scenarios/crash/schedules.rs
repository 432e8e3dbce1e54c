//! The engine under controlled schedules (the crate `schedules`), as part of the deep run: as many schedules as the time
//! allows, then the proof on planted faults that they find what takes two threads in a particular order.
//!
//! A schedule is a number. One that fails is written to a file that `harness replay` does again; the search goes on with
//! the next number.

use std::path::Path;
use std::time::{Duration, Instant};

use ::schedules::planted::{self, Fault};
use ::schedules::{Limit, QUICK, REACHED_AFTER, Summary, prove, reached, watched};
use reports::record::{CrashFailure, PlantedOrder, Reached, Schedules};

use super::replay::ScheduleReplay;
use crate::child::interrupt::{Interrupt, requested};
use crate::child::progress::{Display, Progress};
use crate::error::{Exit, HarnessError, Result};

/// Schedules without `--deep`.
const FEW: u64 = 100;
/// Failures that are written down; with so many the search ends.
const FAILURES_MAX: usize = 10;
/// First seeds from each of which a planted fault must be found, and how far they are apart.
const FIRST_SEEDS: u64 = 3;
const APART: u64 = 1_000_000;
/// From one seed of the run to the next.
const STEP: u64 = 1_000_000_007;

/// What is asked for.
pub(super) struct Asked<'a> {
    /// How long; without it a few schedules and no proof.
    pub deep: Option<Duration>,
    pub seed: u64,
    pub threads: u32,
    /// Where failures are written.
    pub out: &'a Path,
}

/// Runs schedules and, with `--deep`, the proof.
///
/// # Errors
/// When a failure cannot be written.
pub(super) fn run(
    asked: &Asked<'_>,
    display: &mut Display,
) -> Result<(Option<Schedules>, Vec<CrashFailure>)> {
    let (mut found, failures) = search(asked, None, display)?;
    if asked.deep.is_some() && requested() == Interrupt::None {
        if planted::are_possible() {
            found.planted = proofs(asked, display);
        } else {
            crate::console::note(format_args!(
                "crash: planted faults that take two threads are left out in builds without debug assertions"
            ));
        }
    }
    Ok((Some(found), failures))
}

/// As many schedules as there is time for, with a fault in the engine or without.
fn search(
    asked: &Asked<'_>,
    fault: Option<Fault>,
    display: &mut Display,
) -> Result<(Schedules, Vec<CrashFailure>)> {
    let (total, unit) = match asked.deep {
        Some(time) => (time.as_millis() as u64, "ms"),
        None => (FEW, "schedules"),
    };
    display.begin_phase("schedules", total, unit);
    let before = reached();
    let begun = Instant::now();
    let first_seed = asked.seed.wrapping_mul(STEP);
    let mut found = Schedules {
        first_seed,
        threads: asked.threads,
        ..Schedules::default()
    };
    let (mut failures, mut fingerprints) = (Vec::new(), Vec::new());
    loop {
        let limit = match asked.deep {
            Some(time) => Limit::Time(time.saturating_sub(begun.elapsed())),
            None => Limit::Schedules(FEW.saturating_sub(found.schedules)),
        };
        let next = first_seed.wrapping_add(found.schedules);
        let mut watch = |so_far: &Summary| {
            show(display, asked, &found, so_far, begun.elapsed());
            requested() == Interrupt::None
        };
        let summary = watched(next, limit, asked.threads as usize, fault, Some(&mut watch));
        found.schedules += summary.schedules;
        found.points += summary.points;
        found.commits += summary.commits;
        found.images += summary.images;
        found.failures += summary.failures.len() as u64;
        found.duration_ns = begun.elapsed().as_nanos() as u64;
        fingerprints.extend(
            summary
                .fingerprints
                .into_iter()
                .map(|(_, fingerprint)| fingerprint),
        );
        let is_over = summary.failures.is_empty();
        for (seed, what) in summary.failures {
            if failures.len() < FAILURES_MAX {
                failures.push(written(asked.out, failures.len() + 1, seed, fault, what)?);
            }
        }
        if is_over || failures.len() >= FAILURES_MAX || requested() != Interrupt::None {
            break;
        }
    }
    fingerprints.sort_unstable();
    fingerprints.dedup();
    found.distinct = fingerprints.len() as u64;
    if found.schedules >= REACHED_AFTER && fault.is_none() {
        let since = reached().into_iter().zip(before);
        found.reach = since
            .map(|((name, description, count), (_, _, before))| Reached {
                name,
                description: description.to_owned(),
                count: count - before,
            })
            .collect();
    }
    Ok((found, failures))
}

fn show(display: &mut Display, asked: &Asked<'_>, found: &Schedules, so_far: &Summary, elapsed: Duration) {
    let schedules = found.schedules + so_far.schedules;
    let done = match asked.deep {
        Some(_) => elapsed.as_millis() as u64,
        None => schedules,
    };
    let note = format!(
        "{} schedules, {} a second, {} points, {} images, {} failures",
        units::count(schedules),
        units::number(schedules as f64 / elapsed.as_secs_f64().max(1e-9)),
        units::count(found.points + so_far.points),
        units::count(found.images + so_far.images),
        found.failures + so_far.failures.len() as u64,
    );
    display.show(&Progress::Done { done, note });
}

fn written(
    out: &Path,
    number: usize,
    seed: u64,
    fault: Option<Fault>,
    finding: String,
) -> Result<CrashFailure> {
    let path = out.join(format!("schedule-{number}.json"));
    ScheduleReplay::new(seed, fault.map(|fault| format!("{fault:?}")), &finding).write(&path)?;
    Ok(CrashFailure {
        scenario: "schedules".into(),
        point: format!("seed {seed}"),
        choice: String::new(),
        finding,
        replay: Some(path.display().to_string()),
        feature: Some("schedules".into()),
    })
}

fn proofs(asked: &Asked<'_>, display: &mut Display) -> Vec<PlantedOrder> {
    display.begin_phase("planted faults, by schedules", QUICK.len() as u64, "faults");
    let first: Vec<u64> = (0..FIRST_SEEDS)
        .map(|nth| asked.seed.wrapping_add(nth * APART))
        .collect();
    let mut proofs = Vec::new();
    for fault in QUICK {
        if requested() != Interrupt::None {
            break;
        }
        let begun = Instant::now();
        let proof = prove(*fault, &first, asked.threads as usize);
        let most = proof.schedules.iter().copied().collect::<Option<Vec<u64>>>();
        proofs.push(PlantedOrder {
            name: format!("{fault:?}"),
            description: described(*fault).to_owned(),
            caught: proof.is_complete(),
            schedules_max: most.and_then(|all| all.into_iter().max()),
            schedules: proof.schedules,
            duration_ns: begun.elapsed().as_nanos() as u64,
            finding: Some(proof.finding).filter(|finding| !finding.is_empty()),
        });
        display.show(&Progress::Done {
            done: proofs.len() as u64,
            note: format!("{} found", proofs.iter().filter(|proof| proof.caught).count()),
        });
    }
    proofs
}

fn described(fault: Fault) -> &'static str {
    let mut all = Fault::ALL.iter();
    all.find(|(other, _)| *other == fault)
        .map_or("", |(_, what)| what)
}

/// Does a schedule again, and tells what happened.
///
/// # Errors
/// Usage, when the fault is none of this build. Verification, when it failed again.
pub(super) fn replay(replay: &ScheduleReplay) -> Result<Exit> {
    let named = |name: &String| {
        let mut all = Fault::ALL.iter();
        let found = all.find(|(fault, _)| format!("{fault:?}") == *name);
        found
            .filter(|_| planted::are_possible())
            .map(|(fault, _)| *fault)
            .ok_or_else(|| HarnessError::Usage(format!("this build does not have the planted fault {name}")))
    };
    let fault = replay.planted.as_ref().map(named).transpose()?;
    crate::console::tell(format_args!("schedule of seed {}", replay.seed));
    crate::console::tell(format_args!("recorded finding: {}", replay.finding));
    match ::schedules::replay(replay.seed, fault) {
        Err(what) => Err(HarnessError::Verification(format!("it fails again: {what}"))),
        Ok(outcome) => {
            crate::console::tell(format_args!(
                "it does not fail with this build: {} points, {} commits, {} images",
                outcome.points, outcome.commits, outcome.images
            ));
            Ok(Exit::Good)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::crash;

    #[test]
    fn a_schedule_that_fails_fails_the_run_and_its_file_fails_again() {
        let directory = tempfile::tempdir().unwrap();
        let asked = Asked {
            deep: Some(Duration::from_secs(60)),
            seed: 1,
            threads: 2,
            out: directory.path(),
        };
        let mut display = Display::new();
        let (found, failures) = search(&asked, Some(Fault::RowsNotLocked), &mut display).unwrap();
        assert!(found.failures >= FAILURES_MAX as u64 && !found.is_good());
        let failure = &failures[0];
        assert!(
            failure
                .command()
                .unwrap()
                .contains("--features schedules -- replay")
        );
        let mut record = reports::RunRecord::new("r", "now");
        record.crash = Some(reports::record::CrashTest {
            schedules: Some(found),
            failures: failures.clone(),
            ..reports::record::CrashTest::default()
        });
        assert!(record.verification_failed());
        // The file alone is enough.
        let again = crash::replay(Path::new(failure.replay.as_ref().unwrap()));
        let Err(HarnessError::Verification(what)) = again else {
            panic!("{again:?}");
        };
        let again = what.strip_prefix("it fails again: ").unwrap();
        assert!(
            failure.finding.ends_with(again),
            "{again} and {}",
            failure.finding
        );
    }

    #[test]
    fn few_schedules_are_run_when_not_deep_and_prove_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let asked = Asked {
            deep: None,
            seed: 3,
            threads: 2,
            out: directory.path(),
        };
        let (found, failures) = run(&asked, &mut Display::new()).unwrap();
        let found = found.unwrap();
        assert_eq!((found.schedules, found.first_seed), (FEW, 3 * STEP));
        assert!(found.planted.is_empty() && found.reach.is_empty() && found.is_good());
        assert_eq!(failures, Vec::new());
        assert!(found.images > FEW && found.distinct > FEW / 2, "{found:?}");
    }
}
