//! The scenario as requested, and what its child processes do.

use super::mount;
use super::rounds::{PowerLosses, WORK_MAX, rounds};
use crate::child::process::content;
use crate::child::progress::Interval;
use crate::error::{HarnessError, Result};
use crate::request::Request;
use crate::scenarios::machine::new_record;
use crate::scenarios::recovery::run::{subject, workload};
use crate::scenarios::{Run, save};

const ROUNDS: u32 = 40;

/// The scenario on each engine in turn, as requested.
///
/// # Errors
/// Usage: engines that do not go with it, or no FUSE.
pub(super) fn prepare(request: &Request) -> Result<Run> {
    let mut subjects = Vec::new();
    for engine in request.engine.iter().filter(|engine| *engine != "memory") {
        subjects.push(subject(engine, request)?);
    }
    let Some(first) = subjects.first() else {
        return Err(HarnessError::Usage(
            "powerloss needs an engine that keeps something; memory keeps nothing".into(),
        ));
    };
    let workload = workload(first, "powerloss", "Power loss under a working process", request);
    let how = PowerLosses {
        rounds: request.rounds.unwrap_or(ROUNDS),
        until: None,
        work_max: request.duration.unwrap_or(WORK_MAX),
        interval: Interval::new(request.report_interval),
        drop_syncs: request.drop_syncs,
        keep: request.keep,
    };
    Ok(Box::new(move |directories| {
        let mut record = new_record(directories, workload);
        for subject in &subjects {
            let directory = directories.data.join(&subject.engine);
            std::fs::create_dir(&directory).map_err(|error| HarnessError::io("make", &directory, &error))?;
            record.recovery.push(rounds(&directory, subject, &how)?);
            save(&record, directories);
        }
        Ok(record)
    }))
}

/// What a child of its own does: it is the file system, and takes requests until its input ends.
///
/// # Errors
/// What keeps it from mounting.
pub(super) fn work(job: serde_json::Value) -> Result<()> {
    mount::serve(&content(job)?)
}
