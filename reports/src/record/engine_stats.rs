//! What an engine counted about itself. Every figure is optional: engines differ in what they tell.

use serde::{Deserialize, Serialize};

/// One bar of the group-size histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupSize {
    /// Commits made durable by one flush: the largest number that this bar counts.
    pub commits: u64,
    /// Flushes of that size.
    pub flushes: u64,
}

/// One checkpoint of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CheckpointSpan {
    /// Start, in nanoseconds from the start of the warm-up.
    pub start_ns: u64,
    /// End, likewise; `null` when it was still running at the end.
    #[serde(default)]
    pub end_ns: Option<u64>,
    /// Pages it wrote.
    #[serde(default)]
    pub pages_written: Option<u64>,
    /// Bytes it wrote.
    #[serde(default)]
    pub bytes_written: Option<u64>,
}

/// The storage figures that the engine reports at the end of the run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StorageInfo {
    /// Pages that the database has.
    #[serde(default)]
    pub page_count: Option<u64>,
    /// Pages in use.
    #[serde(default)]
    pub used_pages: Option<u64>,
    /// Pages free.
    #[serde(default)]
    pub free_pages: Option<u64>,
    /// Raw bytes of stored pages over their stored bytes.
    #[serde(default)]
    pub compression_ratio: Option<f64>,
    /// Size of the WAL, in bytes.
    #[serde(default)]
    pub wal_size_bytes: Option<u64>,
    /// When the last checkpoint ended, RFC 3339 in UTC.
    #[serde(default)]
    pub last_checkpoint: Option<String>,
}

/// Counters of an engine over the timed run, and its sizes at the end of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EngineStats {
    /// Commits of writing transactions.
    #[serde(default)]
    pub commits: Option<u64>,
    /// Transactions rolled back, by request or by failure.
    #[serde(default)]
    pub rollbacks: Option<u64>,
    /// Write conflicts.
    #[serde(default)]
    pub conflicts: Option<u64>,
    /// Deadlocks resolved.
    #[serde(default)]
    pub deadlocks: Option<u64>,
    /// Times that a transaction waited for a lock.
    #[serde(default)]
    pub lock_waits: Option<u64>,
    /// Time spent in that, all transactions together, in nanoseconds.
    #[serde(default)]
    pub lock_wait_ns: Option<u64>,
    /// Flushes of the log to stable storage.
    #[serde(default)]
    pub flushes: Option<u64>,
    /// Commits made durable by each flush.
    #[serde(default)]
    pub group_sizes: Vec<GroupSize>,
    /// Bytes appended to the WAL.
    #[serde(default)]
    pub wal_bytes: Option<u64>,
    /// Bytes written to the log's files, with padding and blocks that are written again, without zeros ahead of use.
    #[serde(default)]
    pub wal_bytes_written: Option<u64>,
    /// Bytes of zeros written to new files of the log ahead of use.
    #[serde(default)]
    pub wal_bytes_zeroed: Option<u64>,
    /// Live bytes of the WAL at the end.
    #[serde(default)]
    pub wal_live_bytes: Option<u64>,
    /// Size of the log's files at the end, in bytes: live ones, and those kept for use again.
    #[serde(default)]
    pub wal_file_bytes: Option<u64>,
    /// Bytes of keys and values that the workload changed.
    #[serde(default)]
    pub logical_bytes: Option<u64>,
    /// Bytes the engine read from files.
    #[serde(default)]
    pub bytes_read: Option<u64>,
    /// Bytes the engine wrote to files, WAL included.
    #[serde(default)]
    pub bytes_written: Option<u64>,
    /// Pages read.
    #[serde(default)]
    pub pages_read: Option<u64>,
    /// Pages written.
    #[serde(default)]
    pub pages_written: Option<u64>,
    /// Pages evicted from the cache.
    #[serde(default)]
    pub pages_evicted: Option<u64>,
    /// Page accesses answered from the cache.
    #[serde(default)]
    pub cache_hits: Option<u64>,
    /// Page accesses that had to read.
    #[serde(default)]
    pub cache_misses: Option<u64>,
    /// Checkpoints completed.
    #[serde(default)]
    pub checkpoints_completed: Option<u64>,
    /// Time during which one was running, in nanoseconds.
    #[serde(default)]
    pub checkpoint_ns: Option<u64>,
    /// Whether one was running at the end.
    #[serde(default)]
    pub checkpoint_active: Option<bool>,
    /// Checkpoints that touched the run, where their times are known.
    #[serde(default)]
    pub checkpoints: Vec<CheckpointSpan>,
    /// Pages in memory that differ from the data file, at the end.
    #[serde(default)]
    pub pages_dirty: Option<u64>,
    /// Bytes of cached pages at the end.
    #[serde(default)]
    pub cache_bytes: Option<u64>,
    /// Bytes of old row versions at the end.
    #[serde(default)]
    pub version_bytes: Option<u64>,
    /// Bytes of log that the last opening had to redo.
    #[serde(default)]
    pub redo_bytes: Option<u64>,
    /// Time that this took, in nanoseconds.
    #[serde(default)]
    pub redo_ns: Option<u64>,
    /// Size of all files of the database at the end, in bytes.
    #[serde(default)]
    pub file_bytes: Option<u64>,
    /// Bytes of keys and values live in the database at the end.
    #[serde(default)]
    pub live_logical_bytes: Option<u64>,
    /// Raw bytes of stored pages over their stored bytes.
    #[serde(default)]
    pub compression_ratio: Option<f64>,
    /// Bytes written over logical bytes changed, when the engine or the harness worked it out.
    #[serde(default)]
    pub write_amplification: Option<f64>,
    /// File bytes over live logical bytes, likewise.
    #[serde(default)]
    pub space_amplification: Option<f64>,
    /// What the engine's storage information said at the end.
    #[serde(default)]
    pub storage_info: Option<StorageInfo>,
}

impl EngineStats {
    /// Commits for each flush, in the mean.
    #[must_use]
    pub fn commits_per_flush(&self) -> Option<f64> {
        units::quotient(self.commits?, self.flushes?)
    }

    /// Write amplification: as recorded, else from the byte counts.
    #[must_use]
    pub fn write_amplification(&self) -> Option<f64> {
        self.write_amplification
            .or_else(|| units::quotient(self.bytes_written?, self.logical_bytes?))
    }

    /// Bytes written to the data file, where the engine counts its log apart.
    #[must_use]
    pub fn data_bytes_written(&self) -> Option<u64> {
        let zeroed = self.wal_bytes_zeroed.unwrap_or(0);
        let log = self.wal_bytes_written?.checked_add(zeroed)?;
        self.bytes_written?.checked_sub(log)
    }

    /// Size of the data file at the end, where that of the log is known.
    #[must_use]
    pub fn data_file_bytes(&self) -> Option<u64> {
        self.file_bytes?.checked_sub(self.wal_file_bytes?)
    }

    /// Bytes of the log's files that hold nothing live, at the end.
    #[must_use]
    pub fn wal_bytes_preallocated(&self) -> Option<u64> {
        self.wal_file_bytes?.checked_sub(self.wal_live_bytes?)
    }

    /// Space amplification: as recorded, else from the byte counts.
    #[must_use]
    pub fn space_amplification(&self) -> Option<f64> {
        self.space_amplification
            .or_else(|| units::quotient(self.file_bytes?, self.live_logical_bytes?))
    }

    /// WAL bytes for each logical byte changed.
    #[must_use]
    pub fn wal_amplification(&self) -> Option<f64> {
        units::quotient(self.wal_bytes?, self.logical_bytes?)
    }

    /// Share of page accesses answered from the cache, 0 to 1.
    #[must_use]
    pub fn cache_hit_ratio(&self) -> Option<f64> {
        let hits = self.cache_hits?;
        units::quotient(hits, hits.checked_add(self.cache_misses?)?)
    }
}
