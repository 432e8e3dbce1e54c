//! The parent's side of a run: one child for each engine and repetition, interleaved, with flush probes between them.

use std::path::Path;
use std::time::{Duration, SystemTime};

use reports::RunRecord;
use reports::record::{Command, FlushSample, Measurement, Probes, Status, Verification, Workload};
use workloads::spec::Spec;

use super::directories::Directories;
use super::interrupt::{Interrupt, requested};
use super::job::{RunJob, settings};
use super::process::{ChildProcess, read_json, write_json};
use super::progress::{Display, Progress};
use super::schedule::interleaved;
use super::tally::latency_record;
use super::{Job, warnings};
use crate::adapters::factory;
use crate::error::{HarnessError, Result};
use crate::measure::clock::clock_read_ns;
use crate::measure::environment::{build, environment};
use crate::measure::flush_probe::{self, probe_flushes};
use crate::measure::hiccup::HiccupMeter;

/// Length of one flush probe.
const PROBE: Duration = Duration::from_millis(300);
/// Length of the look at an idle thread before anything runs.
const IDLE: Duration = Duration::from_millis(250);
/// Length of one interval of the series over time.
const INTERVAL_MS: u64 = 250;

/// A mix of transactions to run.
#[derive(Debug)]
pub(crate) struct MixRun<'a> {
    /// The engines, by name.
    pub engines: &'a [String],
    /// The specification with the command line's changes.
    pub spec: &'a Spec,
    /// What the record says about the workload.
    pub workload: Workload,
    /// Compression of stored data; `None` leaves each engine's default.
    pub compression: Option<String>,
    /// How often a checkpoint is asked for during the timed run; zero for never, `None` for once in its middle.
    pub checkpoint_every: Option<Duration>,
}

/// A record with everything about the machine and the command, and nothing measured yet.
pub(crate) fn new_record(directories: &Directories, workload: Workload) -> RunRecord {
    let mut record = RunRecord::new(
        directories.run_id.clone(),
        reports::time::rfc3339(SystemTime::now()),
    );
    record.command = Command {
        argv: std::env::args().collect(),
        display: Some(command_to_type()),
    };
    record.build = build();
    record.environment = environment(&directories.data);
    record.workload = workload;
    record.probes = Probes {
        raw_flush: Vec::new(),
        idle_hiccup: idle_hiccup(),
        clock_read_ns: Some(clock_read_ns()),
    };
    record
}

/// The command as a person would type it in a checkout: where the program's file happens to lie says nothing.
fn command_to_type() -> String {
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    let arguments = Command {
        argv: std::env::args().skip(1).collect(),
        display: None,
    };
    format!("cargo run{release} -p harness -- {}", arguments.to_shell())
}

fn idle_hiccup() -> Option<reports::record::Latency> {
    let meter = HiccupMeter::start().ok()?;
    std::thread::sleep(IDLE);
    latency_record(&meter.stop()).ok().flatten()
}

/// Runs a mix on all engines and repetitions. Whatever fails inside a measurement is in the record.
///
/// # Errors
/// When the run itself cannot be made: job files, child processes, the flush probe's directory.
pub(crate) fn run_mix(directories: &Directories, run: MixRun<'_>) -> Result<RunRecord> {
    let mut record = new_record(directories, run.workload.clone());
    let mut display = Display::new();
    let mut probed = 0;
    for (repetition, engine) in interleaved(run.engines.len(), run.spec.repeat) {
        let engine = &run.engines[engine];
        let job = job(directories, &run, engine, repetition);
        if requested() != Interrupt::None {
            record.interrupted = true;
            record.measurements.push(not_run(&job, run.spec)?);
            continue;
        }
        if probed < repetition {
            probed = repetition;
            record
                .probes
                .raw_flush
                .push(flush_sample(&directories.data, repetition)?);
        }
        display.start(format!("{engine} {repetition}/{}", run.spec.repeat));
        let measurement = measure(directories, &job, run.spec, &mut display)?;
        display.finish(&outcome(&measurement));
        record.measurements.push(measurement);
        directories.discard(&job.directory);
    }
    record.interrupted |= requested() != Interrupt::None;
    if !record.interrupted {
        record
            .probes
            .raw_flush
            .push(flush_sample(&directories.data, probed + 1)?);
    }
    record.warnings = warnings::warnings(&record);
    Ok(record)
}

fn job(directories: &Directories, run: &MixRun<'_>, engine: &str, repetition: u32) -> RunJob {
    let name = format!("{engine}-{repetition}");
    RunJob {
        engine: engine.to_owned(),
        repetition,
        spec_name: run.spec.name.clone(),
        spec_toml: run.spec.to_toml(),
        compression: run.compression.clone(),
        busy_timeout_ms: 1000,
        interval_ms: INTERVAL_MS,
        checkpoint_every_ms: Some(run.checkpoint_every.unwrap_or(run.spec.run / 2).as_millis() as u64)
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
    let name = format!("{}-{}.job", job.engine, job.repetition);
    let path = write_json(
        directories.data.join(format!("{name}.json")),
        &Job::Run(job.clone()),
    )?;
    let child: ChildProcess<Progress> = ChildProcess::start(&path)?;
    let ended = child.watch(|progress| display.show(progress))?;
    let failure = match ended.failure() {
        None => match read_json::<Measurement>(&job.result) {
            Ok(measurement) => return Ok(measurement),
            Err(error) => format!("the measuring process left no result: {error}"),
        },
        Some(failure) => failure,
    };
    Ok(Measurement {
        status: Status::Failed { reason: failure },
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

/// Probes the device under `directory` once.
///
/// # Errors
/// When the directory cannot be written or synchronised.
pub(crate) fn flush_sample(directory: &Path, repetition: u32) -> Result<FlushSample> {
    let probe = probe_flushes(directory, PROBE)
        .map_err(|error| HarnessError::io("measure flushes in", directory, &error))?;
    let flushes = probe.latency_ns.count();
    Ok(FlushSample {
        repetition,
        method: probe.method.name().to_owned(),
        write_bytes: flush_probe::BLOCK as u64,
        flushes,
        duration_ns: (flushes as f64 / probe.flushes_per_second * 1e9) as u64,
        latency: latency_record(&probe.latency_ns)?,
    })
}

/// The line that stays on the terminal for a measurement.
fn outcome(measurement: &Measurement) -> String {
    match &measurement.status {
        Status::Ok => {
            let rate = reports::units::or_missing(measurement.throughput(), reports::units::short);
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
