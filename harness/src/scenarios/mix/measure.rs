//! The child's side of a measurement: load, warm-up, timed run, verification.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use reports::record::{Measurement, Settings, Status, Verification, Warning};
use workloads::driver::{
    EffectiveSettings, ErrorKind, OpenMode, OpenOptions, Target, TargetError, TargetFactory,
};
use workloads::oracle::ThreadLog;
use workloads::spec::Spec;
use workloads::stream::Plan;

use super::describe::describe;
use super::job::{RunJob, open_options, settings};
use super::load::load;
use super::loop_cost::loop_cost;
use super::timed::timed_run;
use crate::child::files::bytes_below;
use crate::child::process::{follow_parent, write_json};
use crate::child::progress;
use crate::drivers::factory;
use crate::error::Result;
use crate::scenarios::findings::FindingKind;
use crate::scenarios::levels::{Levels, levels};

/// What a child does for a mix.
///
/// # Errors
/// Only for what is not the engine's, such as a result that cannot be written.
pub(super) fn work(job: &RunJob) -> Result<()> {
    let measurement = measure(job, follow_parent())?;
    write_json(&job.result, &measurement)
}

/// Makes the measurement that `job` asks for. What goes wrong with the engine is part of the measurement.
///
/// # Errors
/// Only for what is not the engine's: an unknown engine, an unreadable specification.
fn measure(job: &RunJob, stop: &AtomicBool) -> Result<Measurement> {
    let factory = factory(&job.engine)?;
    let spec = job.spec.clone();
    let capabilities = factory.capabilities();
    let mut measurement = Measurement {
        engine: job.engine.clone(),
        engine_version: Some(capabilities.version.clone()),
        repetition: job.repetition,
        varied: job.varied.clone(),
        settings: settings(job, &spec, capabilities),
        ..Measurement::default()
    };
    let levels = match levels(capabilities, &spec) {
        Ok(levels) => levels,
        Err(reason) => {
            measurement.status = Status::Unsupported { reason };
            return Ok(measurement);
        }
    };
    if let Err(error) = run(job, spec, &levels, factory.as_ref(), stop, &mut measurement)? {
        let reason = error.to_string();
        measurement.status = match error.kind() {
            ErrorKind::Unsupported => Status::Unsupported { reason },
            _ => Status::Failed { reason },
        };
    }
    Ok(measurement)
}

/// The outer result is the harness's own trouble, the inner one the engine's.
fn run(
    job: &RunJob,
    spec: Spec,
    levels: &Levels,
    factory: &dyn TargetFactory,
    stop: &AtomicBool,
    measurement: &mut Measurement,
) -> Result<Result<(), TargetError>> {
    // What the engine is asked for is what it is judged by.
    let spec = Spec {
        isolation: levels.isolation,
        durability: levels.durability,
        ..spec
    };
    let plan = Arc::new(Plan::new(spec));
    let mut options = open_options(&job.directory, &job.options, levels, plan.table_names());
    if let Some(prepared) = &job.prepared {
        prepared.copy_to(&job.directory)?;
        options.mode = OpenMode::Existing;
    }
    let target = match factory.open(&options) {
        Ok(target) => target,
        Err(error) => {
            // It was whole when it was prepared.
            if job.prepared.is_some() && error.kind() == ErrorKind::Fatal {
                let what = vec![FindingKind::NotOpened.with(&error)];
                measurement.verification = Verification::Failed { what };
            }
            return Ok(Err(error.context("open")));
        }
    };
    told(&mut measurement.settings, target.settings());
    if job.prepared.is_none() {
        match load(target.as_ref(), &plan, levels.isolation, stop) {
            Ok(Some(load)) => measurement.load = Some(load),
            Ok(None) => {
                measurement.status = Status::NotRun;
                measurement.warnings.push(Warning::Interrupted);
                return Ok(Ok(()));
            }
            Err(error) => return Ok(Err(error.context("load"))),
        }
    }
    measurement.loop_cost = Some(loop_cost(&plan));
    let timed = timed_run(job, &plan, target.as_ref(), stop)?;
    let stats_end = target.stats();
    let (logs, fatal) = describe(measurement, &plan, timed)?;
    if let Some(error) = fatal {
        if let Some(finding) = damage(target, factory, &options) {
            measurement.verification = Verification::Failed { what: vec![finding] };
        }
        return Ok(Err(error));
    }
    measurement.status = Status::Ok;
    progress::phase("verify", 0, "");
    let (verification, live_logical_bytes) = verify(target, factory, &options, &plan, logs);
    progress::done(
        0,
        match &verification {
            Verification::Verified {
                transactions, rows, ..
            } => {
                format!(
                    "{} transactions, {} rows agree",
                    units::count(*transactions),
                    units::count(*rows)
                )
            }
            Verification::Failed { .. } => "failed".to_owned(),
            Verification::NotRun { reason } => format!("not verified: {reason}"),
        },
    );
    measurement.verification = verification;
    measurement.engine_stats.live_logical_bytes = live_logical_bytes;
    measurement.engine_stats.file_bytes = measurement
        .engine_stats
        .file_bytes
        .or_else(|| bytes_below(&job.directory).ok())
        .or(stats_end.file_bytes);
    Ok(Ok(()))
}

/// What the open database tells of its settings. What it does not have, or does not tell, is said so.
pub(super) fn told(settings: &mut Settings, effective: EffectiveSettings) {
    let EffectiveSettings {
        cache_size_bytes,
        page_size_bytes,
        compression,
        sync_method,
        all,
    } = effective;
    let none = || Some("none".to_owned());
    settings.cache_size_bytes = cache_size_bytes.or(settings.cache_size_bytes);
    settings.page_size_bytes = page_size_bytes;
    settings.compression = compression.or(settings.compression.take()).or_else(none);
    settings.sync_method = sync_method.or_else(none);
    settings.engine_options = all.into_iter().collect();
}

/// What is wrong with the files of a database whose run ended by an error: whether it was the engine's error or the data's.
fn damage(target: Box<dyn Target>, factory: &dyn TargetFactory, options: &OpenOptions) -> Option<String> {
    if !factory.capabilities().persistent {
        return None;
    }
    drop(target);
    let existing = OpenOptions {
        mode: OpenMode::Existing,
        ..options.clone()
    };
    let opened = factory
        .open(&existing)
        .map_err(|error| (FindingKind::NotOpened, error));
    let checked = opened.and_then(|target| target.verify().map_err(|error| (FindingKind::Structure, error)));
    match checked {
        Err((kind, error)) if error.kind() == ErrorKind::Fatal => Some(kind.with(error)),
        _ => None,
    }
}

/// Compares the end state with the oracle. A persistent database is closed and opened again before, so that what is
/// compared is what was kept. Also returns the bytes of live keys and values.
fn verify(
    target: Box<dyn Target>,
    factory: &dyn TargetFactory,
    options: &OpenOptions,
    plan: &Plan,
    logs: Vec<ThreadLog>,
) -> (Verification, Option<u64>) {
    let failed = |what: String| (Verification::Failed { what: vec![what] }, None);
    let target = if factory.capabilities().persistent {
        drop(target);
        match factory.open(&OpenOptions {
            mode: OpenMode::Existing,
            ..options.clone()
        }) {
            Ok(target) => target,
            Err(error) => return failed(FindingKind::NotOpened.with(error)),
        }
    } else {
        target
    };
    let structure = match target.verify() {
        Ok(()) => Some(true),
        Err(error) if error.kind() == ErrorKind::Unsupported => None,
        Err(error) => return failed(FindingKind::Structure.with(error)),
    };
    super::verification::judge(target.as_ref(), plan, logs, structure)
}
