//! What scenarios found: kill-and-reopen rounds, single figures, single checks.

use serde::{Deserialize, Deserializer, Serialize};

/// How an engine's work was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryKind {
    /// Its process was killed; the operating system kept what was written.
    #[default]
    Kill,
    /// The file system under it lost power; of what was not synced anything may be missing.
    PowerLoss,
}

impl RecoveryKind {
    /// What was done to the engine, as a heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Kill => "process killed",
            Self::PowerLoss => "power lost",
        }
    }
}

/// The outcome of cutting off an engine in the middle of its work and reopening it, over all rounds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Recovery {
    /// Engine name.
    pub engine: String,
    /// How its work was cut off.
    #[serde(default)]
    pub kind: RecoveryKind,
    /// What its commits were to survive, by name; `null` in older records.
    #[serde(default, deserialize_with = "super::levels::read")]
    pub durability: Option<String>,
    /// Rounds completed: cut off, reopened and checked.
    pub rounds: u64,
    /// Rounds asked for.
    #[serde(default)]
    pub rounds_planned: Option<u64>,
    /// How long all rounds took, in nanoseconds.
    #[serde(default)]
    pub duration_ns: Option<u64>,
    /// Commits that were acknowledged before the end of the process.
    pub acknowledged: u64,
    /// States of the files, over all rounds, in which the database could not be opened and read to its end. Nothing else is
    /// counted of them.
    #[serde(default)]
    pub unreadable: u64,
    /// Rows of acknowledged commits that were missing after reopening, or not as these left them, over all states that were
    /// checked: rows, while [`acknowledged`](Self::acknowledged) counts commits.
    pub lost: u64,
    /// Transactions of which only a part was there after reopening.
    pub partial: u64,
    /// Acknowledged commits that were missing after reopening and may be: the last ones, where the durability promises no more
    /// than that none survives without those before it.
    #[serde(default)]
    pub missing_with_leave: u64,
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
    /// Bytes of log that each of these openings replayed; empty where that is not known of every one.
    #[serde(default)]
    pub open_redo_bytes: Vec<u64>,
    /// Changes of files that were not durable when power was lost, over all rounds.
    #[serde(default)]
    pub unsynced_changes: Option<u64>,
    /// How the engine was run where that is not what was asked for, and what it needed.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What was wrong, one finding each.
    #[serde(default)]
    pub findings: Vec<String>,
}

impl Recovery {
    /// Whether no acknowledged commit was lost, none is partial, and nothing else was found.
    #[must_use]
    pub fn nothing_lost(&self) -> bool {
        self.unreadable == 0 && self.lost == 0 && self.partial == 0 && self.findings.is_empty()
    }

    /// What was found, in a line: first that it did not open, if so; then commits and rows, each with what it counts.
    #[must_use]
    pub fn statement(&self) -> String {
        let unreadable = match self.unreadable {
            0 => String::new(),
            1 => "the database DID NOT OPEN 1 time; ".to_owned(),
            times => format!("the database DID NOT OPEN {} times; ", units::count(times)),
        };
        format!(
            "{unreadable}{} acknowledged commits{}, of which {} rows were missing and {} transactions partial",
            units::count(self.acknowledged),
            self.missing_words(),
            units::count(self.lost),
            units::count(self.partial),
        )
    }

    /// What the durability has let go, in words; empty where nothing acknowledged was missing.
    #[must_use]
    pub fn missing_words(&self) -> String {
        match self.missing_with_leave {
            0 => String::new(),
            missing => format!(
                ", {} missing, as {} allows",
                units::count(missing),
                self.durability.as_deref().unwrap_or("their durability"),
            ),
        }
    }

    /// Bytes of log and time of each opening, by rising bytes; empty where the bytes are not known.
    #[must_use]
    pub fn openings(&self) -> Vec<(u64, u64)> {
        if self.open_redo_bytes.len() != self.open_duration_ns.len() {
            return Vec::new();
        }
        let times = self.open_duration_ns.iter().copied();
        let mut openings: Vec<(u64, u64)> = self.open_redo_bytes.iter().copied().zip(times).collect();
        openings.sort_unstable();
        openings
    }

    /// Bytes of log replayed each second.
    #[must_use]
    pub fn redo_bytes_per_second(&self) -> Option<f64> {
        units::per_second(self.redo_bytes?, self.redo_duration_ns?)
    }
}

/// Reads a list, or the single entry (or none) that older records have.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Recovery>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        Many(Vec<Recovery>),
        One(Box<Recovery>),
    }
    Ok(match Option::<OneOrMany>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(OneOrMany::Many(all)) => all,
        Some(OneOrMany::One(one)) => vec![*one],
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_are_told_by_rising_log_and_only_where_each_is_known() {
        let mut recovery = Recovery {
            open_duration_ns: vec![30, 10, 20],
            open_redo_bytes: vec![300, 100, 200],
            ..Recovery::default()
        };
        assert_eq!(recovery.openings(), [(100, 10), (200, 20), (300, 30)]);
        recovery.open_redo_bytes.pop();
        assert!(
            recovery.openings().is_empty(),
            "which opening had which log is not known"
        );
    }
}
