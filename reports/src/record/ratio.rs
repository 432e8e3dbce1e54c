//! One row of a ratio table: a figure of the engine over a bound measured in the same run.

use serde::{Deserialize, Serialize};

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// At least the target.
    #[default]
    HigherIsBetter,
    /// At most the target.
    LowerIsBetter,
}

/// One measured (or not measured) ratio.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RatioRow {
    /// Identifier; the criterion of the same id judges the row.
    pub id: String,
    /// What was measured.
    pub what: String,
    /// What it is compared with.
    pub against: String,
    /// The ratio; `null` when it was not measured.
    #[serde(default)]
    pub value: Option<f64>,
    /// What the ratio is a ratio of, for instance `flushes/s` or `bytes`.
    #[serde(default)]
    pub unit: String,
    /// First target.
    #[serde(default)]
    pub target: Option<f64>,
    /// Stretch target.
    #[serde(default)]
    pub stretch: Option<f64>,
    /// Which way is better.
    #[serde(default)]
    pub direction: Direction,
    /// Rows of the table when it was measured; `null` in older records, where that was the target's scale.
    #[serde(default)]
    pub rows: Option<u64>,
    /// Bytes of a value, likewise.
    #[serde(default)]
    pub value_size_bytes: Option<u64>,
    /// Rows from which on the target is defined.
    #[serde(default)]
    pub target_rows: Option<u64>,
    /// The size of a value for which it is.
    #[serde(default)]
    pub target_value_size_bytes: Option<u64>,
    /// The ratio of each interleaved pair that went into the value, in order of measurement.
    #[serde(default)]
    pub samples: Vec<f64>,
    /// The engine's own figure, in `unit`, in the middle of its samples.
    #[serde(default)]
    pub engine_value: Option<f64>,
    /// The bound's figure, likewise.
    #[serde(default)]
    pub bound_value: Option<f64>,
    /// Why there is no value, or what to know about it.
    #[serde(default)]
    pub note: Option<String>,
}
