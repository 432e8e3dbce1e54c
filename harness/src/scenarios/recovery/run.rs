//! The scenario as the command line asks for it.

use reports::RunRecord;
use reports::record::Workload;

use super::rounds::{Rounds, WORK_MAX, rounds};
use super::{MIX, Subject};
use crate::cli::args::RunArgs;
use crate::cli::run::one_engine;
use crate::cli::workload::{overrides, recorded_overrides};
use crate::error::{HarnessError, Result};
use crate::runner::directories::Directories;
use crate::runner::interrupt::{Interrupt, requested};
use crate::runner::{parent, warnings};

const ROUNDS: u32 = 40;

/// Runs the scenario.
///
/// # Errors
/// Usage: options or engines that do not go with it. Run: files or processes that cannot be made.
pub(crate) fn run(directories: &Directories, args: &RunArgs) -> Result<RunRecord> {
    let engine = one_engine(&args.engine, "recovery")?;
    let subject = subject(engine, "recovery", args)?;
    let mut record = parent::new_record(directories, workload(&subject, "recovery", args));
    let how = Rounds {
        rounds: args.rounds.unwrap_or(ROUNDS),
        until: None,
        work_max: args.duration.unwrap_or(WORK_MAX),
    };
    record.recovery.push(rounds(&directories.data, &subject, &how)?);
    record.interrupted = requested() != Interrupt::None;
    record.warnings = warnings::warnings(&record);
    Ok(record)
}

/// The workload for the record of `scenario`.
pub(crate) fn workload(subject: &Subject, scenario: &str, args: &RunArgs) -> Workload {
    Workload {
        name: scenario.into(),
        title: subject.spec.title.clone(),
        description: subject.spec.description.clone(),
        spec_toml: MIX.into(),
        seed: subject.spec.seed,
        overrides: recorded_overrides(args),
    }
}

/// What `scenario` works on, as the command line asks.
///
/// # Errors
/// Usage: options or engines that do not go with it.
pub(crate) fn subject(engine: &str, scenario: &str, args: &RunArgs) -> Result<Subject> {
    let refused = [
        ("--rate", args.rate.is_some(), "it runs as fast as it can"),
        ("--warmup", args.warmup.is_some(), "it has none"),
        (
            "--checkpoint-every",
            args.checkpoint_every.is_some(),
            "it decides that itself",
        ),
        ("--repeat", args.repeat.is_some(), "use --rounds"),
        (
            "--compression",
            args.compression.is_some(),
            "it takes the engine's default",
        ),
    ];
    if let Some((option, _, why)) = refused.iter().find(|(_, given, _)| *given) {
        return Err(HarnessError::Usage(format!(
            "{option} does not go with the workload {scenario}: {why}"
        )));
    }
    let mut overrides = overrides(args)?;
    overrides.run = None;
    Subject::new(engine, &overrides)
}
