//! What was checked about a measurement's end state and history. A figure without it is only a rumour.

use serde::{Deserialize, Serialize};

/// The outcome of verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Verification {
    /// The end state agrees with the oracle.
    Verified {
        /// Committed transactions that the oracle followed.
        transactions: u64,
        /// Rows compared.
        rows: u64,
        /// Values read during the run that were checked against what was ever committed.
        #[serde(default)]
        reads: Option<u64>,
        /// Whether the engine's own structural check also passed; `null` when it has none.
        #[serde(default)]
        structure: Option<bool>,
    },
    /// Something does not agree.
    Failed {
        /// What, one finding each; long lists are cut by the writer.
        what: Vec<String>,
    },
    /// Nothing was checked.
    NotRun {
        /// Why not.
        reason: String,
    },
}

impl Default for Verification {
    fn default() -> Self {
        Self::NotRun {
            reason: "not recorded".to_owned(),
        }
    }
}

impl Verification {
    /// Whether the end state was compared and agreed.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        matches!(self, Self::Verified { .. })
    }
}
