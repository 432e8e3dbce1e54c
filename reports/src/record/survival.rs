//! What commits that were not synchronised survived, measured by killing the process that made them.

use serde::{Deserialize, Serialize};

/// What was there after processes of an engine had been killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Survival {
    /// Processes killed.
    pub kills: u64,
    /// Commits that they had acknowledged.
    pub acknowledged: u64,
    /// Those of them that were gone.
    pub missing: u64,
}

impl Survival {
    /// In words: what a commit survives.
    #[must_use]
    pub fn survives(&self) -> &'static str {
        if self.missing == 0 {
            "a killed process"
        } else {
            "nothing"
        }
    }
}
