//! The parent's side of a run: one child for each engine and repetition, interleaved, with flush probes between them.

use std::collections::BTreeMap;
use std::time::Duration;

use reports::RunRecord;
use reports::record::{Measurement, Status, Survival, Verification, Warning, Workload};
use workloads::driver::Durability;
use workloads::spec::Spec;

use super::job::{RunJob, settings};
use super::schedule::interleaved;
use super::specification::resolve;
use crate::child::directories::Directories;
use crate::child::interrupt::{Interrupt, requested};
use crate::child::process::result_of_child;
use crate::child::progress::Display;
use crate::drivers::factory;
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
    engines: Vec<String>,
    /// With the changes of the request.
    spec: Spec,
    /// What the record says about the workload.
    workload: Workload,
    /// Compression of stored data; `None` leaves each engine's default.
    compression: Option<String>,
    /// How often a checkpoint is asked for during the timed run; zero for never, `None` for once in its middle.
    checkpoint_every: Option<Duration>,
}

/// A mix as requested.
///
/// # Errors
/// Usage: what the specification, or a change of it, has wrong.
pub(super) fn prepare(request: &Request) -> Result<Run> {
    let name = request.workload.as_deref().unwrap_or_default();
    let (spec, text) = resolve(name, &request.overrides()?)?;
    let mix = Mix {
        engines: request.engine.clone(),
        workload: Workload {
            name: spec.name.clone(),
            title: spec.title.clone(),
            description: spec.description.clone(),
            spec_toml: text,
            seed: spec.seed,
            overrides: request.settings(),
        },
        spec,
        compression: request.compression.clone(),
        checkpoint_every: request.checkpoint_every,
    };
    Ok(Box::new(move |directories| run(directories, &mix)))
}

/// Runs a mix on all engines and repetitions. Whatever fails inside a measurement is in the record.
fn run(directories: &Directories, mix: &Mix) -> Result<RunRecord> {
    let mut record = new_record(directories, mix.workload.clone());
    let mut display = Display::new();
    let mut probed = 0;
    let mut survivals = BTreeMap::new();
    for (repetition, engine) in interleaved(mix.engines.len(), mix.spec.repeat) {
        let engine = &mix.engines[engine];
        let job = job(directories, mix, engine, repetition);
        if requested() != Interrupt::None {
            record.measurements.push(not_run(&job, &mix.spec)?);
            continue;
        }
        if probed < repetition {
            probed = repetition;
            record
                .probes
                .raw_flush
                .push(flush_sample(&directories.data, repetition)?);
        }
        display.start(format!("{engine} {repetition}/{}", mix.spec.repeat));
        if !survivals.contains_key(engine) {
            survivals.insert(engine, survival(directories, engine, &mix.spec)?);
        }
        let mut measurement = measure(directories, &job, &mix.spec, &mut display)?;
        match &survivals[engine] {
            Some(Ok(survival)) => measurement.settings.survival = Some(*survival),
            Some(Err(message)) => measurement.warnings.push(Warning::Other {
                message: format!(
                    "What commits of {engine} at no-sync survive could not be measured: {message}"
                ),
            }),
            None => {}
        }
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

fn job(directories: &Directories, mix: &Mix, engine: &str, repetition: u32) -> RunJob {
    let name = format!("{engine}-{repetition}");
    RunJob {
        engine: engine.to_owned(),
        repetition,
        spec: mix.spec.clone(),
        compression: mix.compression.clone(),
        busy_timeout_ms: 1000,
        interval_ms: INTERVAL_MS,
        checkpoint_every_ms: Some(mix.checkpoint_every.unwrap_or(mix.spec.run / 2).as_millis() as u64)
            .filter(|every| *every > 0),
        directory: directories.data.join(&name),
        result: directories.data.join(format!("{name}.result.json")),
    }
}

/// Runs one child to its end and reads what it measured; a crash becomes a failed measurement.
fn measure(
    directories: &Directories,
    job: &RunJob,
    spec: &Spec,
    display: &mut Display,
) -> Result<Measurement> {
    let job_file = directories
        .data
        .join(format!("{}-{}.job.json", job.engine, job.repetition));
    let content = super::Job::Measure(Box::new(job.clone()));
    let reason = match result_of_child(&job_file, super::SCENARIO.name, &content, &job.result, display)? {
        Ok(measurement) => return Ok(measurement),
        Err(failure) => failure,
    };
    Ok(Measurement {
        status: Status::Failed { reason },
        ..not_run(job, spec)?
    })
}

fn not_run(job: &RunJob, spec: &Spec) -> Result<Measurement> {
    let factory = factory(&job.engine)?;
    Ok(Measurement {
        engine: job.engine.clone(),
        engine_version: Some(factory.capabilities().version.clone()),
        repetition: job.repetition,
        settings: settings(job, spec, factory.capabilities()),
        status: Status::NotRun,
        ..Measurement::default()
    })
}

/// What unsynchronised commits of an engine survive; `None` where it makes none in this mix.
fn survival(
    directories: &Directories,
    engine: &str,
    spec: &Spec,
) -> Result<Option<std::result::Result<Survival, String>>> {
    match levels(factory(engine)?.capabilities(), spec) {
        Ok(levels) if levels.durability == Durability::NoSync => {
            super::survival::survival(directories, engine, levels.isolation).map(Some)
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
