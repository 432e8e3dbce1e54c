//! Running: children, their order, their pace, their progress.

pub(crate) mod child;
mod describe;
pub(crate) mod directories;
pub(crate) mod interrupt;
pub(crate) mod job;
mod load;
mod loop_cost;
mod pacing;
pub(crate) mod parent;
pub(crate) mod process;
pub(crate) mod progress;
mod schedule;
mod series;
mod tally;
mod timed;
mod verification;
pub(crate) mod warnings;
mod worker;

use serde::{Deserialize, Serialize};

use crate::scenarios::ratios::RatioJob;
use crate::scenarios::recovery::{RecoveryJob, Role};
use crate::scenarios::space::SpaceJob;

/// Whatever a child can be asked to do: the content of its job file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Job {
    /// A mix of transactions on one engine.
    Run(job::RunJob),
    /// The speed table.
    Ratios(RatioJob),
    /// Space over time.
    Space(SpaceJob),
    /// One process of the kill-and-reopen scenario.
    Recovery {
        /// What all its processes know.
        job: RecoveryJob,
        /// Which of them it is.
        role: Role,
    },
    /// The file system of the power-loss scenario.
    #[cfg(all(feature = "fuse", target_os = "linux"))]
    Mount(crate::scenarios::powerloss::MountJob),
}
