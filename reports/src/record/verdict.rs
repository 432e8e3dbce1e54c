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
    /// Measured, and the samples lie on both sides of the target.
    Inconclusive,
    /// Measured, but not at the scale for which the target is defined.
    NotJudged,
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
            Self::Inconclusive => "INCONCLUSIVE",
            Self::NotJudged => "NOT JUDGED",
            Self::NotMeasured => "NOT MEASURED",
        }
    }

    /// Whether there is a value.
    #[must_use]
    pub fn is_measured(self) -> bool {
        self != Self::NotMeasured
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
    /// PASS, FAIL, INCONCLUSIVE, NOT JUDGED or NOT MEASURED.
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
    /// What the failure goes back to, where the record tells it elsewhere too: the reason why a measurement failed, or the first
    /// finding.
    #[serde(default)]
    pub cause: Option<String>,
}
