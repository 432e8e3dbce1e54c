//! The scenario as the command line asks for it.

use reports::RunRecord;

use super::rounds::{PowerLosses, WORK_MAX, rounds};
use crate::cli::args::RunArgs;
use crate::error::{HarnessError, Result};
use crate::runner::directories::Directories;
use crate::runner::interrupt::{Interrupt, requested};
use crate::runner::{parent, warnings};
use crate::scenarios::recovery::run::{subject, workload};

const ROUNDS: u32 = 40;

/// Runs the scenario on each engine in turn.
///
/// # Errors
/// Usage: options or engines that do not go with it, or no FUSE. Run: files or processes that cannot be made.
pub(crate) fn run(directories: &Directories, args: &RunArgs) -> Result<RunRecord> {
    let mut subjects = Vec::new();
    for engine in args.engine.iter().filter(|engine| *engine != "memory") {
        subjects.push(subject(engine, "powerloss", args)?);
    }
    let Some(first) = subjects.first() else {
        return Err(HarnessError::Usage(
            "powerloss needs an engine that keeps something; memory keeps nothing".into(),
        ));
    };
    let mut record = parent::new_record(directories, workload(first, "powerloss", args));
    let how = PowerLosses {
        rounds: args.rounds.unwrap_or(ROUNDS),
        until: None,
        work_max: args.duration.unwrap_or(WORK_MAX),
        drop_syncs: args.drop_syncs,
        keep: args.keep,
    };
    for subject in &subjects {
        let directory = directories.data.join(&subject.engine);
        std::fs::create_dir(&directory).map_err(|error| HarnessError::io("make", &directory, &error))?;
        record.recovery.push(rounds(&directory, subject, &how)?);
    }
    record.interrupted = requested() != Interrupt::None;
    record.warnings = warnings::warnings(&record);
    Ok(record)
}
