//! The scenario as the command line asks for it: scripts, random mixes, damage, injected bugs; with `--deep` as many
//! random mixes as the time allows, and real processes that are killed. Shows how far it is, and listens for Ctrl-C.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use reports::RunRecord;
use reports::record::Workload;
use workloads::spec::Overrides;

use super::SCENARIO;
use super::describe;
use super::failures::Failures;
use super::scripts::scenarios;
use super::search::{Asked, Search};
use super::watch::{Progress, Watch};
use crate::child::directories::Directories;
use crate::child::interrupt::{Interrupt, requested};
use crate::child::progress::{self, Display, Interval};
use crate::engine_options::EngineOptions;
use crate::error::{HarnessError, Result};
use crate::request::Request;
use crate::scenarios::machine::new_record;
use crate::scenarios::{Run as PreparedRun, recovery, save};
use crate::values::first;

/// How long `--deep` makes random mixes, and as long schedules, unless `--duration` says otherwise.
const DEEP: Duration = Duration::from_secs(600);
/// Rounds of killing real processes with `--deep`, unless `--rounds` says otherwise.
const KILLS: u32 = 3_000;
/// Most threads that recover and compare images.
const THREADS_MAX: u32 = 1024;
/// Seed without `--seed`.
const SEED: u64 = 1;

/// The scenario as requested.
///
/// # Errors
/// Usage: an engine that cannot be run on a simulated disk, or settings that need --deep.
pub(super) fn prepare(request: &Request) -> Result<PreparedRun> {
    check(request)?;
    let request = request.clone();
    Ok(Box::new(move |directories| run(directories, &request)))
}

/// Runs the scenario.
///
/// # Errors
/// Files that cannot be written, a script that fails without a crash.
fn run(directories: &Directories, request: &Request) -> Result<RunRecord> {
    let engine = request.one_engine(SCENARIO.name)?;
    let asked = Asked {
        seed: request.seed.unwrap_or(SEED),
        threads: first(&request.threads).map_or(2, u32::from),
        deep: request.deep.then(|| request.duration.unwrap_or(DEEP)),
    };
    let mut record = new_record(directories, workload(asked.seed, request));
    let display = Mutex::new(Display::new(Interval::new(request.report_interval)));
    with(&display, |display| display.start("crash"));
    let tell = |progress: Progress<'_>| show(&display, progress);
    let watch = Watch {
        tell: &tell,
        is_over: is_interrupted,
    };
    let begun = Instant::now();
    let scripted = scenarios();
    let mut failures = Failures {
        out: &directories.out,
        effort: asked.effort(watch),
        seed: asked.seed,
        kept: Vec::new(),
    };
    let mut search = Search::new(asked, &scripted, watch);
    // Each part is on disk when it ends.
    for part in Search::PARTS {
        part(&mut search, &mut |wrong| failures.keep(wrong))?;
        let test = describe::test(engine, &asked, &search.found, &failures.kept, begun.elapsed());
        record.crash = Some(test);
        save(&record, directories);
    }
    if request.deep && !is_interrupted() {
        let overrides = Overrides {
            seed: Some(asked.seed),
            ..Overrides::default()
        };
        let subject = recovery::Subject::new(engine, &overrides, EngineOptions::default())?;
        let how = recovery::Rounds {
            rounds: request.rounds.unwrap_or(KILLS),
            until: None,
            work_max: recovery::WORK_MAX,
            interval: Interval::new(request.report_interval),
        };
        record
            .recovery
            .push(recovery::rounds(&directories.data, &subject, &how)?);
    }
    if let Some(test) = &record.crash {
        let outcome = format!(
            "{} images, {} recoveries ({}/s), {} failures; injected bugs found: {} of {}",
            units::count(test.images()),
            units::count(test.recoveries()),
            units::or_missing(test.recoveries_per_second(), |rate| units::count(rate as u64)),
            test.failure_count(),
            test.injected_caught(),
            test.injected.len(),
        );
        with(&display, |display| display.finish(&outcome));
    }
    Ok(record)
}

fn is_interrupted() -> bool {
    requested() != Interrupt::None
}

fn with(display: &Mutex<Display>, change: impl FnOnce(&mut Display)) {
    if let Ok(mut display) = display.lock() {
        change(&mut display);
    }
}

/// Shows how far the search is.
fn show(display: &Mutex<Display>, progress: Progress<'_>) {
    with(display, |display| match progress {
        Progress::Phase { name, total, unit } => display.begin_phase(name, total, unit),
        Progress::Done { done, found } => {
            let note = note(found);
            display.show(&progress::Progress::Done { done, note });
        }
        Progress::LeftOut(what) => crate::console::note(format_args!("crash: {what}")),
    });
}

/// Whole numbers are counts, others rates.
fn note(found: &[(f64, &str)]) -> String {
    let number = |value: f64| {
        if value.fract() == 0.0 {
            units::count(value as u64)
        } else {
            units::number(value)
        }
    };
    let each = found
        .iter()
        .map(|(value, what)| format!("{} {what}", number(*value)));
    each.collect::<Vec<_>>().join(", ")
}

fn check(request: &Request) -> Result<()> {
    let engine = request.one_engine(SCENARIO.name)?;
    if engine != "palimpsest" {
        return Err(HarnessError::Usage(format!(
            "crash runs an engine on a simulated disk inside this process, which only palimpsest can do; for {engine} use \
             --workload recovery (kill) or powerloss (a file system that loses power)"
        )));
    }
    if first(&request.threads).is_some_and(|threads| !(1..=THREADS_MAX).contains(&u32::from(threads))) {
        return Err(HarnessError::Usage(format!(
            "--threads: the workload crash takes 1 to {THREADS_MAX}"
        )));
    }
    let refused = [
        ("--duration", request.duration.is_some()),
        ("--rounds", request.rounds.is_some()),
    ];
    match refused.iter().find(|(_, given)| *given && !request.deep) {
        Some((option, _)) => Err(HarnessError::Usage(format!(
            "{option} goes with the workload crash only together with --deep"
        ))),
        None => Ok(()),
    }
}

fn workload(seed: u64, request: &Request) -> Workload {
    Workload {
        name: "crash".into(),
        title: "Power loss between file operations, on a simulated disk".into(),
        description: "Scripted and random runs are recorded; power is lost after file operations all over them, with many \
                      choices of which unsynced changes survive, and every image is recovered and compared with what was \
                      promised."
            .into(),
        seed,
        overrides: request.settings(),
        ..Workload::default()
    }
}
