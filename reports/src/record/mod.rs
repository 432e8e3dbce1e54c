//! The run record: everything one run of the harness found out, as data.
//!
//! A record is written to `run.json` and is the only input of tables, plots, verdicts and reports, so
//! that drawing never depends on anything that was not recorded.
//!
//! Rules of the format:
//! - durations and offsets are integers in nanoseconds, counts and sizes are integers;
//! - a figure that was not measured is `null`, never zero; a rate is a float and also nullable;
//! - `schema_version` changes when a reader of the old version would misread the new one; a new optional
//!   field does not change it, and unknown fields are ignored.

mod crash;
mod engine_stats;
mod environment;
mod file;
mod interval;
mod latency;
mod levels;
mod measurement;
mod probe;
mod ratio;
mod recovery;
mod resources;
mod schedules;
mod settings;
mod space;
mod survival;
mod varied;
mod verdict;
mod verification;
mod warning;
mod workload;

pub use crash::{
    CrashFailure, CrashPhase, CrashScenario, CrashTest, DamageSweep, DamagedBlock, FaultSweep, InjectedBug,
    RandomMixes, Reached,
};
pub use engine_stats::{CheckpointSpan, EngineStats, GroupSize, StorageInfo};
pub use environment::{Build, Command, Environment, Profile};
pub use file::RecordError;
pub use interval::{Interval, Phase};
pub use latency::{Latency, LatencyError, LatencySummary, percentile};
pub use levels::level_name;
pub use measurement::{Load, LoopCost, Measurement, Status, TransactionType};
pub use probe::{FlushSample, Probes};
pub use ratio::{Direction, RatioRow};
pub use recovery::{Check, CheckStatus, Figure, Recovery, RecoveryKind};
pub use resources::Resources;
pub use schedules::{InjectedOrder, Schedules};
pub use settings::Settings;
pub use space::{SpaceOverTime, SpaceSample};
pub use survival::Survival;
pub use varied::Varied;
pub use verdict::{Outcome, Verdict};
pub use verification::Verification;
pub use warning::Warning;
pub use workload::Workload;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The version of the format that this crate writes and the only one it reads.
pub const SCHEMA_VERSION: u32 = 1;

/// The name of a record's file inside the directory of its run.
pub const RECORD_FILE_NAME: &str = "run.json";

/// All that one run of the harness measured, verified and noticed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunRecord {
    /// Always [`SCHEMA_VERSION`] in a record that this crate made or read.
    pub schema_version: u32,
    /// Name of the run, unique on its machine, for instance `oltp-20260728T101500`.
    pub run_id: String,
    /// What whoever started it has called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When the run started: RFC 3339, in UTC.
    pub created: String,
    /// The command that made this record.
    pub command: Command,
    /// How the program was built.
    pub build: Build,
    /// The machine and file system it ran on.
    pub environment: Environment,
    /// What was run.
    pub workload: Workload,
    /// Bounds and noise of the machine, measured in the same run.
    #[serde(default)]
    pub probes: Probes,
    /// One entry for each engine and repetition, in the order in which they ran.
    #[serde(default)]
    pub measurements: Vec<Measurement>,
    /// Rows of a ratio table, when the workload measures ratios.
    #[serde(default)]
    pub ratios: Vec<RatioRow>,
    /// What cutting off and reopening found, one entry for each engine, when the workload does that.
    #[serde(default, deserialize_with = "recovery::one_or_many")]
    pub recovery: Vec<Recovery>,
    /// What crash tests found, when the workload does that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash: Option<CrashTest>,
    /// What the files took while rows were written, one entry for each engine, when the workload looks at that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub space: Vec<SpaceOverTime>,
    /// Single named figures of scenarios, for instance the compression ratio of one codec.
    #[serde(default)]
    pub figures: Vec<Figure>,
    /// Single yes-or-no findings of scenarios, for instance one isolation anomaly.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Whether the run was stopped before its planned end.
    #[serde(default)]
    pub interrupted: bool,
    /// Whether the record was made up (for a demonstration) and not measured.
    #[serde(default)]
    pub synthetic: bool,
    /// What is wrong with the run as a whole; each measurement has its own list beside this.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// The success criteria as judged when the record was written.
    #[serde(default)]
    pub verdicts: Vec<Verdict>,
}

impl RunRecord {
    /// An empty record of the present schema version, to be filled.
    #[must_use]
    pub fn new(run_id: impl Into<String>, created: impl Into<String>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            run_id: run_id.into(),
            created: created.into(),
            ..Self::default()
        }
    }

    /// Whether options have several values in the run.
    #[must_use]
    pub fn is_varied(&self) -> bool {
        self.measurements.iter().any(|one| !one.varied.is_empty())
    }

    /// The record with each combination of varied values standing as an engine of its own (`palimpsest, threads 4`), as tables
    /// of a row for each engine have it; as it is where nothing is varied.
    #[must_use]
    pub fn by_case(&self) -> Cow<'_, Self> {
        if !self.is_varied() {
            return Cow::Borrowed(self);
        }
        let mut record = self.clone();
        for one in record
            .measurements
            .iter_mut()
            .filter(|one| !one.varied.is_empty())
        {
            one.engine = Varied::words(&one.engine, &one.varied);
        }
        Cow::Owned(record)
    }

    /// Its name, with its label if it has one.
    #[must_use]
    pub fn name_with_label(&self) -> String {
        match &self.label {
            Some(label) => format!("{} ({label})", self.run_id),
            None => self.run_id.clone(),
        }
    }

    /// Names of the engines in order of first appearance.
    #[must_use]
    pub fn engines(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for measurement in &self.measurements {
            if !names.contains(&measurement.engine.as_str()) {
                names.push(&measurement.engine);
            }
        }
        names
    }

    /// The measurements of one engine in order of repetition as run.
    pub fn of_engine<'a>(&'a self, engine: &'a str) -> impl Iterator<Item = &'a Measurement> {
        self.measurements
            .iter()
            .filter(move |measurement| measurement.engine == engine)
    }

    /// Whether every measurement that ran was also verified, and at least one was.
    #[must_use]
    pub fn all_verified(&self) -> bool {
        let mut verified = 0;
        for measurement in self.measurements.iter().filter(|m| m.status.is_ok()) {
            if !measurement.verification.is_verified() {
                return false;
            }
            verified += 1;
        }
        verified > 0
    }

    /// Whether anything was found wrong by verification: a failed oracle, a lost or partial commit, a failed check.
    #[must_use]
    pub fn verification_failed(&self) -> bool {
        let measured = self
            .measurements
            .iter()
            .any(|m| matches!(m.verification, Verification::Failed { .. }));
        let recovered = self.recovery.iter().any(|recovery| !recovery.nothing_lost());
        let checked = self
            .checks
            .iter()
            .any(|check| check.status == CheckStatus::Failed);
        let crashed = self.crash.as_ref().is_some_and(|crash| !crash.is_good());
        measured || recovered || checked || crashed
    }
}
