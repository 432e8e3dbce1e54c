//! The scenario as requested, and what its child processes do.

use std::time::Duration;

use reports::record::Workload;
use workloads::driver::OpenMode;

use super::rounds::{Rounds, WORK_MAX, rounds};
use super::worker::{self, Work, open_and_close};
use super::{MIX, RecoveryJob, Role, Subject, checker};
use crate::child::process::{content, follow_parent};
use crate::child::progress::Interval;
use crate::error::Result;
use crate::request::Request;
use crate::scenarios::Run;
use crate::scenarios::machine::new_record;

const ROUNDS: u32 = 40;

/// The scenario as requested.
///
/// # Errors
/// Usage: an engine that does not go with it, or more than one.
pub(super) fn prepare(request: &Request) -> Result<Run> {
    let subject = subject(request.one_engine("recovery")?, request)?;
    let workload = workload(&subject, "recovery", &subject.spec.title, request);
    let how = Rounds {
        rounds: request.rounds.unwrap_or(ROUNDS),
        until: None,
        work_max: request.duration.unwrap_or(WORK_MAX),
        interval: Interval::new(request.report_interval),
    };
    Ok(Box::new(move |directories| {
        let mut record = new_record(directories, workload);
        record.recovery.push(rounds(&directories.data, &subject, &how)?);
        Ok(record)
    }))
}

/// What a child does: work until it is killed, open and close, or compare.
///
/// # Errors
/// What keeps it from that.
pub(super) fn work(job: serde_json::Value) -> Result<()> {
    let (job, role): (RecoveryJob, Role) = content(job)?;
    match role {
        // Its requests come over standard input, and so does its end.
        Role::Check => checker::serve(&job),
        Role::Open => open_and_close(&job),
        Role::Work {
            round,
            fresh,
            checkpoint_every_ms,
            clock_ns,
        } => {
            let how = Work {
                round,
                mode: if fresh {
                    OpenMode::Create
                } else {
                    OpenMode::Existing
                },
                checkpoint_every: checkpoint_every_ms.map(Duration::from_millis),
                clock: Duration::from_nanos(clock_ns),
            };
            worker::work(&job, how, follow_parent())
        }
    }
}

/// The workload for the record of `scenario`, which has the title `title`.
pub(crate) fn workload(subject: &Subject, scenario: &str, title: &str, request: &Request) -> Workload {
    Workload {
        name: scenario.into(),
        title: title.into(),
        description: subject.spec.description.clone(),
        spec_toml: MIX.into(),
        seed: subject.spec.seed,
        overrides: request.settings(),
    }
}

/// An engine with the work that is requested.
///
/// # Errors
/// Usage: an engine that does not go with it.
pub(crate) fn subject(engine: &str, request: &Request) -> Result<Subject> {
    let mut overrides = request.overrides();
    overrides.run = None;
    Subject::new(engine, &overrides, request.engine_options(engine)?)
}
