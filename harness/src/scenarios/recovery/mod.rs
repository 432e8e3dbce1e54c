//! Kill and reopen: whatever was acknowledged must survive the death of the process, and nothing may survive in part.
//!
//! 1. A *worker* process opens the database and commits transactions of several rows on several threads. It writes a
//!    line before each commit and after each acknowledgement to a pipe.
//! 2. The parent, which outlives it, copies these lines to a journal file and kills the worker (SIGKILL) at a random
//!    moment: in the middle of commits, sometimes while it still opens the database.
//! 3. A *checker* process opens the database, which runs recovery, checks its structure, reads every row and compares it with
//!    the journal and with what the round before left.
//! 4. The next round goes on with the same database; every tenth begins with a fresh one.
//!
//! Engines without commit IDs are judged by time: of two acknowledged writes of a row, one that began after the other was
//! acknowledged is the later one.

pub(crate) mod checker;
pub(crate) mod counts;
pub(crate) mod processes;
pub(crate) mod rounds;
pub(super) mod run;
mod worker;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use workloads::driver::{Durability, OpenMode, OpenOptions};
use workloads::spec::{Overrides, Spec};
use workloads::stream::Plan;

pub(crate) use rounds::{Rounds, WORK_MAX, rounds};

use super::{EMPTY, Scenario};
use crate::drivers::factory;
use crate::engine_options::EngineOptions;
use crate::error::{HarnessError, Result};
use crate::scenarios::levels::{levels, refusals};

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "recovery",
    about: "kill a process in the middle of synchronous commits, reopen, verify that nothing acknowledged is lost",
    text: include_str!("about.txt"),
    accepts: &[
        ("rounds", "how often it is killed (40)"),
        ("duration", "longest work before that (60 ms)"),
        ("threads", "sessions that commit, each on its own thread"),
        ("rows", "rows that are loaded first"),
        ("value-size", "bytes of a value"),
        (
            "durability",
            "what is promised: with no-sync the last commits may be missing, in order",
        ),
        ("isolation", "isolation level of every transaction"),
        ("cache-size", "memory for the engine's page cache"),
        ("compression", "compression of stored data"),
        (
            "busy-timeout",
            "how long a transaction waits for another's lock (50 ms)",
        ),
        (
            "set",
            "settings of the engine, for instance palimpsest.page-size=8KiB",
        ),
        ("seed", "of the work, and of the moments"),
    ],
    prepare: run::prepare,
    work: run::work,
    ..EMPTY
};

/// The mix of transactions.
pub(crate) const MIX: &str = include_str!("mix.toml");

/// What worker and checker need to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RecoveryJob {
    /// The engine, by name.
    pub engine: String,
    /// What is done to it.
    pub spec: Spec,
    /// How it is opened.
    pub options: EngineOptions,
    /// Directory of the database.
    #[serde(with = "crate::child::paths")]
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
        /// A checkpoint is asked for whenever so many milliseconds have passed.
        checkpoint_every_ms: Option<u64>,
        /// Nanoseconds since the first round began, so that the times of all processes can be compared.
        clock_ns: u64,
    },
    /// Open the database, which recovers it, and close it.
    Open,
    /// Compare after each kill.
    Check,
}

/// The engine that is to be cut off, and its work.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The engine, by name.
    pub engine: String,
    /// Its work, at an isolation that it has.
    pub spec: Spec,
    /// How it is opened.
    pub options: EngineOptions,
    /// What differs from the built-in mix, in words.
    pub notes: Vec<String>,
}

impl Subject {
    /// The built-in mix, with changes, on an engine.
    ///
    /// # Errors
    /// Usage: the engine is unknown, keeps nothing, or does not have the levels.
    pub(crate) fn new(engine: &str, overrides: &Overrides, options: EngineOptions) -> Result<Self> {
        let usage = |error: workloads::spec::SpecError| HarnessError::Usage(error.to_string());
        let spec = Spec::parse("recovery", "built-in recovery", MIX).map_err(usage)?;
        let spec = spec.with_overrides(overrides).map_err(usage)?;
        let factory = factory(engine)?;
        let capabilities = factory.capabilities();
        if !capabilities.persistent {
            return Err(HarnessError::Usage(format!(
                "{engine} keeps nothing, so nothing of it can be recovered"
            )));
        }
        let refusals = refusals(factory.as_ref(), &spec, false);
        if !refusals.is_empty() {
            return Err(HarnessError::Usage(refusals.join("; ")));
        }
        let levels = levels(capabilities, &spec).map_err(HarnessError::Usage)?;
        if spec.durability == Durability::NoSync && !capabilities.commit_ids {
            return Err(HarnessError::Usage(format!(
                "{engine} gives no commit IDs, without which the order of unsynchronised commits cannot be checked"
            )));
        }
        Ok(Self {
            engine: engine.to_owned(),
            spec: Spec {
                isolation: levels.isolation,
                ..spec
            },
            options,
            notes: levels.notes,
        })
    }
}

fn open_options(directory: &Path, mode: OpenMode, plan: &Plan, engine: &EngineOptions) -> OpenOptions {
    let mut options = OpenOptions::create(directory, plan.table_names());
    options.mode = mode;
    options.durability = plan.spec().durability;
    // No deadlock detection is assumed: two transactions that wait for each other must not wait long.
    options.busy_timeout = Duration::from_millis(50);
    engine.apply(&mut options);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_mix_is_a_good_specification() {
        let spec = Spec::parse("recovery", "built-in recovery", MIX).unwrap();
        assert_eq!(spec.durability, Durability::Sync);
        assert!(!spec.is_read_only());
    }

    #[test]
    fn an_engine_that_cannot_be_judged_is_refused() {
        let refusal = |engine: &str| {
            let error = Subject::new(engine, &Overrides::default(), EngineOptions::default()).unwrap_err();
            error.to_string()
        };
        assert!(refusal("memory").contains("keeps nothing"));
        assert!(refusal("none").contains("unknown engine"));
        let subject = Subject::new("palimpsest", &Overrides::default(), EngineOptions::default()).unwrap();
        assert!(subject.notes.is_empty());
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn an_engine_without_commit_ids_is_judged_at_durability_sync_only() {
        let subject = Subject::new("sqlite", &Overrides::default(), EngineOptions::default()).unwrap();
        assert!(subject.notes[0].contains("stronger"));
        let overrides = Overrides {
            durability: Some(Durability::NoSync),
            ..Overrides::default()
        };
        let error = Subject::new("sqlite", &overrides, EngineOptions::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("no commit IDs"), "{error}");
    }
}
