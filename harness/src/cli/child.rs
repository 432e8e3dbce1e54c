//! The hidden sub-command: what a child process does with its job file.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use workloads::target::OpenMode;

use crate::error::Result;
use crate::runner::process::{follow_parent, read_json, write_json};
use crate::runner::{Job, child, interrupt};
use crate::scenarios::ratios;
use crate::scenarios::recovery::{self, Role};

static STOP: AtomicBool = AtomicBool::new(false);

/// Does the job and writes its result where the job says.
///
/// # Errors
/// What the parent records as the reason of a failed measurement.
pub(crate) fn work(job: &Path) -> Result<()> {
    interrupt::ignore()?;
    let job = read_json(job)?;
    if !matches!(
        job,
        Job::Recovery {
            role: Role::Check,
            ..
        }
    ) {
        // The checker gets its requests over standard input and ends with them.
        follow_parent(&STOP);
    }
    match job {
        Job::Run(job) => {
            let measurement = child::measure(&job, &STOP)?;
            write_json(job.result, &measurement)?;
        }
        Job::Ratios(job) => {
            let result = ratios::measure(&job, &STOP)?;
            write_json(job.result, &result)?;
        }
        Job::Recovery {
            job,
            role: Role::Check,
        } => recovery::serve(&job)?,
        Job::Recovery {
            job,
            role:
                Role::Work {
                    round,
                    fresh,
                    clock_ns,
                },
        } => {
            let mode = if fresh {
                OpenMode::Create
            } else {
                OpenMode::Existing
            };
            recovery::work(&job, round, mode, clock_ns, &STOP)?;
        }
    }
    Ok(())
}
