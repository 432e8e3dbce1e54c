//! The judgement of one success criterion.

use serde::{Deserialize, Serialize};

/// How a criterion was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Measured, and the target is met.
    Pass,
    /// Measured, and the target is missed.
    Fail,
    /// This run does not measure it.
    #[default]
    NotMeasured,
}

impl Outcome {
    /// The outcome as tables print it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::NotMeasured => "NOT MEASURED",
        }
    }
}

/// One criterion and how it was judged.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// Identifier of the criterion.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Where it comes from, for instance `Part 1: Concurrency`.
    #[serde(default)]
    pub section: String,
    /// The target in words.
    pub target: String,
    /// PASS, FAIL or NOT MEASURED.
    pub outcome: Outcome,
    /// The measured value in words; `null` without a measurement.
    #[serde(default)]
    pub value: Option<String>,
    /// For criteria with a stretch target: whether that was met too.
    #[serde(default)]
    pub stretch_met: Option<bool>,
    /// Why it failed or was not measured, or how it was measured.
    #[serde(default)]
    pub detail: String,
}
