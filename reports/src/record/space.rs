//! What the files of a database took while rows were written.

use serde::{Deserialize, Serialize};

/// The data file beside the live rows, over time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SpaceOverTime {
    /// Engine name.
    pub engine: String,
    /// Rows that were loaded.
    pub rows: u64,
    /// Rows that were replaced afterwards.
    pub updates: u64,
    /// Size of the page cache, in bytes.
    pub cache_size_bytes: u64,
    /// With fewer live bytes the ratio does not count.
    pub live_floor_bytes: u64,
    /// How often the files were looked at.
    pub looks: u64,
    /// The largest ratio of file bytes to live bytes that any look found; `null` if there never were enough live bytes.
    pub largest_ratio: Option<f64>,
    /// The ratio at the end.
    pub last_ratio: Option<f64>,
    /// Of each short time the look that found the largest ratio, in order.
    pub samples: Vec<SpaceSample>,
}

/// One look at the files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SpaceSample {
    /// When, in nanoseconds since the beginning.
    pub at_ns: u64,
    /// What was being done: `load`, `update`, ...
    pub phase: String,
    /// Bytes of keys and values of committed rows.
    pub live_bytes: u64,
    /// Bytes of the files that hold the rows.
    pub file_bytes: u64,
    /// Bytes of the files of the log.
    pub log_bytes: u64,
}

impl SpaceSample {
    /// File bytes over live bytes; `None` without live bytes.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        (self.live_bytes > 0).then(|| self.file_bytes as f64 / self.live_bytes as f64)
    }

    /// Whether its ratio is larger than another's.
    #[must_use]
    pub fn is_larger_than(&self, other: &Self) -> bool {
        u128::from(self.file_bytes) * u128::from(other.live_bytes)
            > u128::from(other.file_bytes) * u128::from(self.live_bytes)
    }
}
