//! The timed mixes: transactions of a specification on several engines, measured and verified.
//!
//! The parent starts one child for each engine and repetition, in turn ([`run`]); the child loads, warms up, runs, and
//! verifies ([`measure`]), and writes a measurement, which the parent puts into its record.

mod cases;
mod counts;
mod describe;
mod job;
mod load;
mod loop_cost;
mod measure;
mod pacing;
pub(crate) mod prepared;
mod run;
mod schedule;
mod series;
mod specification;
mod survival;
mod timed;
mod verification;
mod worker;

use serde::{Deserialize, Serialize};

use super::{EMPTY, Scenario};
use crate::child::process::content;
use crate::error::Result;
pub(super) use specification::explain;

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "mix",
    about: "a mix of transactions, built in or a TOML file",
    accepts: &[
        ("threads", "concurrent sessions, each on its own thread"),
        ("rows", "rows to load into each table"),
        ("value-size", "bytes of a value"),
        ("duration", "length of the timed run"),
        ("warmup", "length of the warm-up"),
        ("repeat", "repetitions of each engine"),
        (
            "rate",
            "transactions offered each second; without it as many as can be",
        ),
        (
            "durability",
            "what a commit must survive before it is acknowledged",
        ),
        ("isolation", "isolation level of every transaction"),
        ("cache-size", "memory for the engine's page cache"),
        ("compression", "compression of stored data"),
        (
            "checkpoint-every",
            "how often a checkpoint is asked for in the timed run",
        ),
        ("busy-timeout", "how long a transaction waits for another's lock"),
        (
            "set",
            "settings of one engine, for instance palimpsest.page-size=8KiB",
        ),
        (
            "use",
            "databases that --prepare has loaded, in place of loading them",
        ),
        ("seed", "of everything random"),
    ],
    takes_lists: true,
    prepare: run::prepare,
    work,
    ..EMPTY
};

/// What a child of a mix has to do.
#[derive(Debug, Serialize, Deserialize)]
enum Job {
    /// Measure one engine once.
    Measure(Box<job::RunJob>),
    /// Load one engine's database, to be used by runs.
    Prepare(Box<prepared::PrepareJob>),
    /// Commit until it is killed, or look what is left of that.
    Survive(survival::SurvivalJob),
}

fn work(job: serde_json::Value) -> Result<()> {
    match content(job)? {
        Job::Measure(job) => measure::work(&job),
        Job::Prepare(job) => prepared::work(&job),
        Job::Survive(job) => survival::work(&job),
    }
}
