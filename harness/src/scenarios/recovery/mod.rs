//! Kill and reopen: whatever was acknowledged must survive the death of the process, and nothing may survive in part.
//!
//! 1. A *worker* process opens the database and commits transactions of several rows on several threads. It writes a
//!    line before each commit and after each acknowledgement to a pipe.
//! 2. The parent, which outlives it, copies these lines to a journal file and kills the worker (SIGKILL) at a random
//!    moment: in the middle of commits, sometimes while it still opens the database.
//! 3. A *checker* process opens the database, which runs recovery, checks its structure, reads every row and compares it with
//!    the journal and with what the round before left.
//! 4. The next round goes on with the same database; every tenth begins with a fresh one.

mod checker;
mod run;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use workloads::spec::Spec;
use workloads::stream::Plan;
use workloads::target::{Capabilities, OpenMode, OpenOptions};

pub(crate) use checker::serve;
pub(crate) use run::run;
pub(crate) use worker::work;

use crate::error::{HarnessError, Result};

/// The mix of transactions.
pub(crate) const MIX: &str = include_str!("mix.toml");

/// What worker and checker need to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RecoveryJob {
    /// The engine, by name.
    pub engine: String,
    /// The complete specification.
    pub spec_toml: String,
    /// Directory of the database.
    pub directory: PathBuf,
}

/// What one process of a round does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Commit until killed.
    Work {
        /// The round, counted from the last fresh database.
        round: u32,
        /// The database is to be made and loaded first.
        fresh: bool,
    },
    /// Compare after each kill.
    Check,
}

impl RecoveryJob {
    fn spec(&self) -> Result<Spec> {
        Spec::parse("recovery", "built-in recovery", &self.spec_toml)
            .map_err(|error| HarnessError::Usage(error.to_string()))
    }
}

fn open_options(job: &RecoveryJob, mode: OpenMode, plan: &Plan, capabilities: &Capabilities) -> OpenOptions {
    let mut options = OpenOptions::create(&job.directory, plan.table_names());
    options.mode = mode;
    options.durability = plan.spec().durability;
    options.cache_size_bytes = plan.spec().cache_size_bytes.filter(|_| capabilities.cache_size);
    // No deadlock detection is assumed: two transactions that wait for each other must not wait long.
    options.busy_timeout = Duration::from_millis(50);
    options
}
