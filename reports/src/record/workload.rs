//! What was run: the specification as text, its name and the changes made to it on the command line.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The workload of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Workload {
    /// Name by which it was asked for, for instance `oltp`.
    pub name: String,
    /// Title for headings.
    pub title: String,
    /// What it does, in a paragraph.
    #[serde(default)]
    pub description: String,
    /// The specification in TOML as it was read, before overrides; empty for built-in scenarios without one.
    #[serde(default)]
    pub spec_toml: String,
    /// The seed that everything random came from.
    pub seed: u64,
    /// Settings changed on the command line: name to value as given.
    #[serde(default)]
    pub overrides: BTreeMap<String, String>,
}
