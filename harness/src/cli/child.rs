//! The hidden sub-command: what a child process does with its job file.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use workloads::target::OpenMode;

use crate::error::Result;
use crate::runner::process::{follow_parent, read_json, write_json};
use crate::runner::{Job, child, interrupt};
#[cfg(all(feature = "fuse", target_os = "linux"))]
use crate::scenarios::powerloss;
use crate::scenarios::ratios;
use crate::scenarios::recovery::{self, Role};
use crate::scenarios::space;

static STOP: AtomicBool = AtomicBool::new(false);

/// Whether it gets requests over standard input and ends with them.
fn takes_orders(job: &Job) -> bool {
    match job {
        Job::Recovery { role, .. } => matches!(role, Role::Check),
        #[cfg(all(feature = "fuse", target_os = "linux"))]
        Job::Mount(_) => true,
        _ => false,
    }
}

/// Does the job and writes its result where the job says.
///
/// # Errors
/// What the parent records as the reason of a failed measurement.
pub(crate) fn work(job: &Path) -> Result<()> {
    interrupt::ignore()?;
    let job = read_json(job)?;
    if !takes_orders(&job) {
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
        Job::Space(job) => {
            let result = space::measure(&job, &STOP)?;
            write_json(job.result, &result)?;
        }
        Job::Recovery {
            job,
            role: Role::Check,
        } => recovery::serve(&job)?,
        Job::Recovery {
            job,
            role: Role::Open,
        } => recovery::open_and_close(&job)?,
        Job::Recovery {
            job,
            role:
                Role::Work {
                    round,
                    fresh,
                    checkpoint_every_ms,
                    clock_ns,
                },
        } => {
            let how = recovery::Work {
                round,
                mode: if fresh {
                    OpenMode::Create
                } else {
                    OpenMode::Existing
                },
                checkpoint_every: checkpoint_every_ms.map(Duration::from_millis),
                clock: Duration::from_nanos(clock_ns),
            };
            recovery::work(&job, how, &STOP)?;
        }
        #[cfg(all(feature = "fuse", target_os = "linux"))]
        Job::Mount(job) => powerloss::serve(&job)?,
    }
    Ok(())
}
