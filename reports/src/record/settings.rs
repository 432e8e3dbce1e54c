//! The settings one measurement ran with, kept beside every figure so that unlike runs are not compared blindly.

use std::collections::BTreeMap;

use super::{Survival, levels};
use serde::{Deserialize, Serialize};

/// Settings of one measurement. Names of levels are those of the command line (`read-committed`, `no-sync`);
/// see [`level_name`](super::level_name).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Settings {
    /// Concurrent sessions.
    #[serde(default)]
    pub threads: Option<u32>,
    /// Rows loaded before the run, over all tables.
    #[serde(default)]
    pub rows: Option<u64>,
    /// Size of a value in bytes (the mean where sizes vary).
    #[serde(default)]
    pub value_size_bytes: Option<u64>,
    /// Durability asked of every commit: `sync`, `no-sync` or `in-memory` (nothing is kept on disk).
    #[serde(default, deserialize_with = "levels::read")]
    pub durability: Option<String>,
    /// What commits survived that were not synchronised; `null` where all are, or where it was not measured.
    #[serde(default)]
    pub survival: Option<Survival>,
    /// Isolation level of the transactions.
    #[serde(default, deserialize_with = "levels::read")]
    pub isolation: Option<String>,
    /// Memory that the engine may use for its cache; `null` when the engine has no such limit.
    #[serde(default)]
    pub cache_size_bytes: Option<u64>,
    /// Page size in bytes.
    #[serde(default)]
    pub page_size_bytes: Option<u64>,
    /// Compression of stored data, `none` when there is none.
    #[serde(default)]
    pub compression: Option<String>,
    /// How commits are made durable, in the engine's words; `none` where nothing is.
    #[serde(default)]
    pub sync_method: Option<String>,
    /// Every option of the engine with its value, defaults included.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub engine_options: BTreeMap<String, String>,
    /// Transactions offered each second over all threads in an open loop; `null` in a closed loop.
    #[serde(default)]
    pub offered_per_second: Option<f64>,
    /// What a reader must know to compare fairly, for instance an option of this engine that others lack.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Settings {
    /// The durability, with what it was found to survive where that is not in the name.
    #[must_use]
    pub fn durability_words(&self) -> Option<String> {
        let durability = self.durability.clone()?;
        Some(match &self.survival {
            Some(survival) => format!("{durability} (survives {})", survival.survives()),
            None => durability,
        })
    }
}
