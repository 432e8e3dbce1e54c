//! The parent's side of a run: one child for each engine and repetition, interleaved, with flush probes between them.

use std::collections::BTreeMap;
use std::time::Duration;

use reports::RunRecord;
use reports::record::{Measurement, Status, Survival, Verification, Warning, Workload};
use workloads::driver::Durability;

use super::cases::{Case, cases};
use super::job::{RunJob, settings};
use super::prepared::{Manifest, Prepared};
use super::schedule::interleaved;
use super::specification::{changed, resolve};
use crate::child::directories::Directories;
use crate::child::interrupt::{Interrupt, requested};
use crate::child::process::result_of_child;
use crate::child::progress::{Display, Interval};
use crate::drivers::factory;
use crate::engine_options::EngineOptions;
use crate::error::Result;
use crate::request::Request;
use crate::scenarios::levels::levels;
use crate::scenarios::machine::{flush_sample, new_record};
use crate::scenarios::{Run, save};

/// Length of one interval of the series over time.
const INTERVAL_MS: u64 = 250;

/// A mix of transactions to run.
#[derive(Debug)]
struct Mix {
    /// What is measured; at least one.
    cases: Vec<Case>,
    /// What the record says about the workload.
    workload: Workload,
    /// Loaded databases to begin with, by engine.
    prepared: BTreeMap<String, Prepared>,
    /// How often a checkpoint is asked for during the timed run; zero for never, `None` for once in its middle.
    checkpoint_every: Option<Duration>,
    /// How often it is told how it goes.
    interval: Interval,
}

/// A mix as requested.
///
/// # Errors
/// Usage: what the specification, or a change of it, has wrong.
pub(super) fn prepare(request: &Request) -> Result<Run> {
    let name = request.workload.as_deref().unwrap_or_default();
    let (base, text) = resolve(name)?;
    let cases = cases(request, &base)?;
    let spec = changed(&base, &request.overrides())?;
    let mut prepared = BTreeMap::new();
    if let Some(directory) = &request.use_prepared {
        let manifest = Manifest::read(directory)?;
        for case in &cases {
            if let Some(found) = manifest.database(directory, case)? {
                prepared.insert(case.engine.clone(), found);
            }
        }
    }
    let mix = Mix {
        cases,
        prepared,
        workload: Workload {
            name: spec.name.clone(),
            title: spec.title.clone(),
            description: spec.description.clone(),
            spec_toml: text,
            seed: spec.seed,
            overrides: request.settings(),
        },
        checkpoint_every: request.checkpoint_every,
        interval: Interval::new(request.report_interval),
    };
    Ok(Box::new(move |directories| run(directories, mix)))
}

/// Runs all cases in all repetitions. Whatever fails inside a measurement is in the record.
fn run(directories: &Directories, mut mix: Mix) -> Result<RunRecord> {
    choose_once(directories, &mut mix.cases)?;
    let mix = mix;
    let mut record = new_record(directories, mix.workload.clone());
    tell_levels(&mix)?;
    let mut display = Display::new(mix.interval);
    let mut probed = 0;
    let mut survivals = BTreeMap::new();
    announce(&mix);
    for (repetition, index) in interleaved(mix.cases.len(), mix.repeat()) {
        let case = &mix.cases[index];
        let engine = &case.engine;
        let job = job(directories, &mix, index, repetition);
        if requested() != Interrupt::None {
            record.measurements.push(not_run(&job)?);
            continue;
        }
        if probed < repetition {
            probed = repetition;
            record
                .probes
                .raw_flush
                .push(flush_sample(&directories.data, repetition)?);
        }
        display.start(format!("{} {repetition}/{}", case.words(), mix.repeat()));
        // Measured once for each engine, and a failure told once.
        let mut failure = None;
        if !survivals.contains_key(engine) {
            let found = match survival(directories, case)? {
                Some(Ok(survival)) => Some(survival),
                Some(Err(message)) => {
                    failure = Some(message);
                    None
                }
                None => None,
            };
            survivals.insert(engine, found);
        }
        let mut measurement = if requested() == Interrupt::None {
            measure(directories, &job, &mut display)?
        } else {
            not_run(&job)?
        };
        measurement.settings.survival = survivals[engine];
        measurement.warnings.extend(failure.map(|message| Warning::Other {
            message: format!("What commits of {engine} at no-sync survive could not be measured: {message}"),
        }));
        display.finish(&outcome(&measurement));
        record.measurements.push(measurement);
        directories.discard(&job.directory);
        save(&record, directories);
    }
    if requested() == Interrupt::None {
        record
            .probes
            .raw_flush
            .push(flush_sample(&directories.data, probed + 1)?);
    }
    Ok(record)
}

impl Mix {
    /// Repetitions of each case; what is varied leaves them alone.
    fn repeat(&self) -> u32 {
        self.cases.first().map_or(1, |case| case.spec.repeat)
    }
}

/// Lets each engine choose what it would choose by trying out the machine, once, for all databases of the run.
fn choose_once(directories: &Directories, cases: &mut [Case]) -> Result<()> {
    let mut chosen: BTreeMap<String, EngineOptions> = BTreeMap::new();
    for case in cases {
        if !chosen.contains_key(&case.engine) {
            let mut options = EngineOptions::default();
            options.choose(
                factory(&case.engine)?.as_ref(),
                &directories.data.join(format!("{}-trial", case.engine)),
            )?;
            chosen.insert(case.engine.clone(), options);
        }
        if let Some(options) = chosen.get(&case.engine) {
            case.options.add_missing(&options.settings);
        }
    }
    Ok(())
}

/// Says of each engine at what it is run where that is not what was asked.
fn tell_levels(mix: &Mix) -> Result<()> {
    let mut told = Vec::new();
    for case in &mix.cases {
        let levels = levels(factory(&case.engine)?.capabilities(), &case.spec);
        for note in levels.into_iter().flat_map(|levels| levels.notes) {
            if !told.contains(&note) {
                crate::console::note(format_args!("note: {note}"));
                told.push(note);
            }
        }
    }
    Ok(())
}

/// Says how long it will take, where several values make many cases.
fn announce(mix: &Mix) {
    if mix.cases.iter().all(|case| case.varied.is_empty()) {
        return;
    }
    let once: Duration = mix
        .cases
        .iter()
        .map(|case| case.spec.warmup + case.spec.run)
        .sum();
    crate::console::note(format_args!(
        "{} cases, {} repetitions of each: {} of warm-up and timed runs, and loading and verification besides",
        mix.cases.len(),
        mix.repeat(),
        units::duration((once * mix.repeat()).as_nanos() as u64),
    ));
}

fn job(directories: &Directories, mix: &Mix, index: usize, repetition: u32) -> RunJob {
    let case = &mix.cases[index];
    let name = if mix
        .cases
        .iter()
        .filter(|other| other.engine == case.engine)
        .count()
        > 1
    {
        format!("{}-{}-{repetition}", case.engine, index + 1)
    } else {
        format!("{}-{repetition}", case.engine)
    };
    let every = mix.checkpoint_every.unwrap_or(case.spec.run / 2).as_millis() as u64;
    RunJob {
        engine: case.engine.clone(),
        repetition,
        spec: case.spec.clone(),
        varied: case.varied.clone(),
        options: case.options.clone(),
        interval_ms: INTERVAL_MS,
        report_every_ms: mix.interval.figures.as_millis() as u64,
        checkpoint_every_ms: Some(every).filter(|every| *every > 0),
        prepared: mix.prepared.get(&case.engine).cloned(),
        directory: directories.data.join(&name),
        result: directories.data.join(format!("{name}.result.json")),
    }
}

/// Runs one child to its end and reads what it measured; a crash becomes a failed measurement.
fn measure(directories: &Directories, job: &RunJob, display: &mut Display) -> Result<Measurement> {
    let name = job.directory.file_name().unwrap_or_default().to_string_lossy();
    let job_file = directories.data.join(format!("{name}.job.json"));
    let content = super::Job::Measure(Box::new(job.clone()));
    let reason = match result_of_child(&job_file, super::SCENARIO.name, &content, &job.result, display)? {
        Ok(measurement) => return Ok(measurement),
        Err(failure) => failure,
    };
    Ok(Measurement {
        status: Status::Failed { reason },
        ..not_run(job)?
    })
}

fn not_run(job: &RunJob) -> Result<Measurement> {
    let factory = factory(&job.engine)?;
    Ok(Measurement {
        engine: job.engine.clone(),
        engine_version: Some(factory.capabilities().version.clone()),
        repetition: job.repetition,
        varied: job.varied.clone(),
        settings: settings(job, &job.spec, factory.capabilities()),
        status: Status::NotRun,
        ..Measurement::default()
    })
}

/// What unsynchronised commits of a case's engine survive; `None` where it makes none in this mix.
fn survival(directories: &Directories, case: &Case) -> Result<Option<std::result::Result<Survival, String>>> {
    match levels(factory(&case.engine)?.capabilities(), &case.spec) {
        Ok(levels) if levels.durability == Durability::NoSync => {
            super::survival::survival(directories, &case.engine, &case.options, levels.isolation).map(Some)
        }
        _ => Ok(None),
    }
}

/// The line that stays on the terminal for a measurement.
fn outcome(measurement: &Measurement) -> String {
    match &measurement.status {
        Status::Ok => {
            let rate = units::or_missing(measurement.throughput(), units::short);
            let verified = match &measurement.verification {
                Verification::Verified { .. } => "verified".to_owned(),
                Verification::Failed { what } => what.join("\n  "),
                Verification::NotRun { reason } => format!("not verified: {reason}"),
            };
            format!("{rate} transactions/s, {verified}")
        }
        Status::Unsupported { reason } => format!("unsupported: {reason}"),
        Status::Failed { reason } => format!("FAILED: {reason}"),
        Status::NotRun => "not run".to_owned(),
    }
}
