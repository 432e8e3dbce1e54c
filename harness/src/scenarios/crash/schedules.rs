//! The engine under controlled schedules (the crate `schedules`), as part of the deep run: as many schedules as the time
//! allows, then the proof on injected bugs that they find what takes two threads in a particular order.
//!
//! A schedule is a number. One that fails is handed over; the search goes on with the next number.

use std::time::{Duration, Instant};

use ::schedules::injected::{self, Bug};
use ::schedules::{Limit, Proof, QUICK, REACHED_AFTER, Summary, prove, reached, watched};

use super::replay::ScheduleReplay;
use super::search::{Asked, Keep, Reach, Wrong};
use super::watch::{Progress, Watch};
use crate::error::{HarnessError, Result};

/// For listings: nothing.
pub(super) const LACKS: Option<&str> = None;

/// Schedules when not deep.
const FEW: u64 = 100;
/// With so many failures the search ends.
const FAILURES_MAX: usize = 10;
/// First seeds from each of which an injected bug must be found, and how far they are apart.
const FIRST_SEEDS: u64 = 3;
const APART: u64 = 1_000_000;
/// From one seed of the run to the next.
const STEP: u64 = 1_000_000_007;

/// What was tried and found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub first_seed: u64,
    pub threads: u32,
    pub sum: Summary,
    /// What they went through; none where that is not counted or there were too few of them.
    pub reach: Vec<Reach>,
    /// Faults that were looked for to the end, and for how long.
    pub injected: Vec<(Proof, Duration)>,
}

/// Runs schedules and, when deep, the proof, until it is over.
///
/// # Errors
/// Those of `keep`.
pub(super) fn run(asked: &Asked, watch: Watch<'_>, keep: &mut Keep<'_>) -> Result<Option<Found>> {
    let mut found = search(asked, None, watch, keep)?;
    if asked.deep.is_some() && !(watch.is_over)() {
        if injected::are_possible() {
            found.injected = proofs(asked, watch);
        } else {
            (watch.tell)(Progress::LeftOut(
                "injected bugs that take two threads are left out in builds without debug assertions",
            ));
        }
    }
    Ok(Some(found))
}

/// As many schedules as there is time for, with a fault in the engine or without.
fn search(asked: &Asked, fault: Option<Bug>, watch: Watch<'_>, keep: &mut Keep<'_>) -> Result<Found> {
    let (total, unit) = match asked.deep {
        Some(time) => (time.as_millis() as u64, "ms"),
        None => (FEW, "schedules"),
    };
    watch.phase("schedules", total, unit);
    let before = reached();
    let begun = Instant::now();
    let first_seed = asked.seed.wrapping_mul(STEP);
    let mut found = Found {
        first_seed,
        threads: asked.threads,
        sum: Summary::default(),
        reach: Vec::new(),
        injected: Vec::new(),
    };
    loop {
        let sum = &mut found.sum;
        let limit = match asked.deep {
            Some(time) => Limit::Time(time.saturating_sub(begun.elapsed())),
            None => Limit::Schedules(FEW.saturating_sub(sum.schedules)),
        };
        let next = first_seed.wrapping_add(sum.schedules);
        let mut look = |so_far: &Summary| {
            show(asked, total, sum, so_far, begun.elapsed(), watch);
            !(watch.is_over)()
        };
        let summary = watched(next, limit, asked.threads as usize, fault, Some(&mut look));
        let kept = FAILURES_MAX.saturating_sub(sum.failures.len());
        for (seed, finding) in summary.failures.iter().take(kept) {
            keep(Wrong::Schedule {
                seed: *seed,
                injected: fault.map(|fault| format!("{fault:?}")),
                finding: finding.clone(),
            })?;
        }
        let is_over = summary.failures.is_empty();
        sum.merge(summary);
        sum.elapsed = begun.elapsed();
        show(asked, total, sum, &Summary::default(), sum.elapsed, watch);
        if is_over || sum.failures.len() >= FAILURES_MAX || (watch.is_over)() {
            break;
        }
    }
    if found.sum.schedules >= REACHED_AFTER && fault.is_none() {
        let since = reached().into_iter().zip(before);
        found.reach = since
            .map(|((name, what, count), (_, _, before))| (name, what, count - before))
            .collect();
    }
    Ok(found)
}

fn show(asked: &Asked, total: u64, sum: &Summary, more: &Summary, elapsed: Duration, watch: Watch<'_>) {
    let schedules = sum.schedules + more.schedules;
    let done = match asked.deep {
        Some(_) => elapsed.as_millis() as u64,
        None => schedules,
    };
    let found = [
        (schedules as f64, "schedules"),
        (schedules as f64 / elapsed.as_secs_f64().max(1e-9), "a second"),
        ((sum.points + more.points) as f64, "points"),
        ((sum.images + more.images) as f64, "images"),
        ((sum.failures.len() + more.failures.len()) as f64, "failures"),
    ];
    watch.done(done.min(total), &found);
}

fn proofs(asked: &Asked, watch: Watch<'_>) -> Vec<(Proof, Duration)> {
    watch.phase("injected bugs, by schedules", QUICK.len() as u64, "faults");
    let first: Vec<u64> = (0..FIRST_SEEDS)
        .map(|nth| asked.seed.wrapping_add(nth * APART))
        .collect();
    let mut proofs: Vec<(Proof, Duration)> = Vec::new();
    for fault in QUICK {
        let begun = Instant::now();
        let mut go_on = || !(watch.is_over)();
        let Some(proof) = prove(*fault, &first, asked.threads as usize, &mut go_on) else {
            break;
        };
        proofs.push((proof, begun.elapsed()));
        let caught = proofs.iter().filter(|(proof, _)| proof.is_complete()).count();
        watch.done(proofs.len() as u64, &[(caught as f64, "found")]);
    }
    proofs
}

/// What does a schedule again: it fails again, or what it came to.
///
/// # Errors
/// Usage, when the fault is none of this build.
pub(super) fn again(replay: &ScheduleReplay) -> Result<impl FnOnce() -> Result<String, String>> {
    let named = |name: &String| {
        let mut all = Bug::ALL.iter();
        let found = all.find(|(fault, _)| format!("{fault:?}") == *name);
        found
            .filter(|_| injected::are_possible())
            .map(|(fault, _)| *fault)
            .ok_or_else(|| HarnessError::Usage(format!("this build does not have the injected bug {name}")))
    };
    let (seed, fault) = (replay.seed, replay.injected.as_ref().map(named).transpose()?);
    Ok(move || {
        ::schedules::replay(seed, fault).map(|outcome| {
            let (points, commits, images) = (outcome.points, outcome.commits, outcome.images);
            format!("{points} points, {commits} commits, {images} images")
        })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::scenarios::crash;
    use crate::scenarios::crash::describe;
    use crate::scenarios::crash::failures::Failures;

    #[test]
    fn a_schedule_that_fails_fails_the_run_and_its_file_fails_again() {
        let directory = tempfile::tempdir().unwrap();
        let asked = Asked {
            deep: Some(Duration::from_secs(60)),
            seed: 1,
            threads: 2,
        };
        let mut failures = Failures {
            out: directory.path(),
            effort: asked.effort(Watch::NONE),
            seed: asked.seed,
            kept: Vec::new(),
        };
        let fault = Some(Bug::RowsNotLocked);
        let found = search(&asked, fault, Watch::NONE, &mut |wrong| failures.keep(wrong)).unwrap();
        assert!(found.sum.failures.len() >= FAILURES_MAX);
        assert_eq!(failures.kept.len(), FAILURES_MAX);
        let all = crash::search::Found {
            schedules: Some(found),
            ..crash::search::Found::default()
        };
        let test = describe::test("palimpsest", &asked, &all, &failures.kept, Duration::ZERO);
        assert!(!test.schedules.as_ref().unwrap().is_good());
        let failure = test.failures[0].clone();
        assert!(
            failure
                .command()
                .unwrap()
                .contains("--features schedules -- replay")
        );
        let mut record = reports::RunRecord::new("r", "now");
        record.crash = Some(test);
        assert!(record.verification_failed());
        // The file alone is enough.
        let again = crash::replay(failure.replay.as_ref().unwrap().as_ref());
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
        let asked = Asked {
            deep: None,
            seed: 3,
            threads: 2,
        };
        let told = Mutex::new(Vec::new());
        let watch = Watch {
            tell: &|progress| match progress {
                Progress::Done { done, .. } => told.lock().unwrap().push(done),
                other => assert!(matches!(other, Progress::Phase { total: FEW, .. })),
            },
            ..Watch::NONE
        };
        let found = run(&asked, watch, &mut |wrong| panic!("{wrong:?}"))
            .unwrap()
            .unwrap();
        assert_eq!((found.sum.schedules, found.first_seed), (FEW, 3 * STEP));
        assert!(found.injected.is_empty() && found.reach.is_empty());
        let schedules = crash::search::Found {
            schedules: Some(found),
            ..crash::search::Found::default()
        };
        let test = describe::test("palimpsest", &asked, &schedules, &[], Duration::ZERO);
        let found = test.schedules.unwrap();
        assert!(
            found.is_good() && found.images > FEW && found.distinct > FEW / 2,
            "{found:?}"
        );
        let told = told.into_inner().unwrap();
        assert!(told.is_sorted() && told.last() == Some(&FEW), "{told:?}");
    }

    #[test]
    fn what_is_over_ends_schedules_and_their_proof_at_once() {
        let asked = Asked {
            deep: Some(Duration::from_secs(600)),
            seed: 1,
            threads: 2,
        };
        let watch = Watch {
            is_over: || true,
            ..Watch::NONE
        };
        let begun = Instant::now();
        let found = run(&asked, watch, &mut |wrong| panic!("{wrong:?}"))
            .unwrap()
            .unwrap();
        assert!(found.injected.is_empty() && proofs(&asked, watch).is_empty());
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }
}
