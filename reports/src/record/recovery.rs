//! What scenarios found: kill-and-reopen rounds, single figures, single checks.

use serde::{Deserialize, Serialize};

/// The outcome of killing an engine in the middle of its work and reopening it, over all rounds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Recovery {
    /// Engine name.
    pub engine: String,
    /// Rounds completed: killed, reopened and checked.
    pub rounds: u64,
    /// Rounds asked for.
    #[serde(default)]
    pub rounds_planned: Option<u64>,
    /// Commits that were acknowledged before the kills.
    pub acknowledged: u64,
    /// Acknowledged commits that were missing after reopening.
    pub lost: u64,
    /// Transactions of which only a part was there after reopening.
    pub partial: u64,
    /// Unacknowledged commits found complete, which is allowed.
    #[serde(default)]
    pub unacknowledged_present: Option<u64>,
    /// Bytes of log replayed.
    #[serde(default)]
    pub redo_bytes: Option<u64>,
    /// Time the replay took, in nanoseconds.
    #[serde(default)]
    pub redo_duration_ns: Option<u64>,
    /// Time from open to ready, for each round, in nanoseconds.
    #[serde(default)]
    pub open_duration_ns: Vec<u64>,
    /// What was wrong, one finding each.
    #[serde(default)]
    pub findings: Vec<String>,
}

impl Recovery {
    /// Whether no acknowledged commit was lost, none is partial, and nothing else was found.
    #[must_use]
    pub fn nothing_lost(&self) -> bool {
        self.lost == 0 && self.partial == 0 && self.findings.is_empty()
    }

    /// Bytes of log replayed each second.
    #[must_use]
    pub fn redo_bytes_per_second(&self) -> Option<f64> {
        crate::units::per_second(self.redo_bytes?, self.redo_duration_ns?)
    }
}

/// One named figure of a scenario.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Figure {
    /// Identifier, for instance `compression.zstd.ratio`.
    pub id: String,
    /// Title for tables.
    #[serde(default)]
    pub title: String,
    /// Engine or component it belongs to.
    #[serde(default)]
    pub subject: String,
    /// The value; `null` when it was not measured.
    #[serde(default)]
    pub value: Option<f64>,
    /// Its unit.
    #[serde(default)]
    pub unit: String,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// It held.
    Passed,
    /// It did not hold.
    Failed,
    /// It was not tried.
    #[default]
    NotRun,
}

/// One yes-or-no finding of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Check {
    /// Identifier, for instance `isolation.serializable`.
    pub id: String,
    /// Title for tables.
    #[serde(default)]
    pub title: String,
    /// How it ended.
    pub status: CheckStatus,
    /// What was seen.
    #[serde(default)]
    pub detail: String,
}
