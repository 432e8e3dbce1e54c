//! Counters and figures of a running database.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

/// A figure that nothing depends on.
pub(crate) type Count = AtomicU64;

/// Buckets of [`GroupSizes`]: 1, 2, 3-4, 5-8, ..., more than 2^14.
const GROUP_BUCKETS: usize = 16;

/// How many commits each flush made durable, counted by powers of two.
#[derive(Debug, Default)]
pub(crate) struct GroupSizes([AtomicU64; GROUP_BUCKETS]);

impl GroupSizes {
    pub(crate) fn record(&self, commits: u64) {
        debug_assert!(commits > 0);
        let bucket = commits.next_power_of_two().ilog2() as usize;
        self.0[bucket.min(GROUP_BUCKETS - 1)].fetch_add(1, Relaxed);
    }

    /// (largest group of the bucket, flushes with such a group), for buckets that were met.
    pub(crate) fn counts(&self) -> Vec<(u64, u64)> {
        let counts = self.0.iter().enumerate().map(|(i, n)| (1 << i, n.load(Relaxed)));
        counts.filter(|&(_, n)| n > 0).collect()
    }
}

/// Counters kept by the transaction manager.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) rollbacks: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) busy: AtomicU64,
    pub(crate) lock_waits: AtomicU64,
    pub(crate) lock_wait_ns: AtomicU64,
    pub(crate) rows_written: AtomicU64,
    pub(crate) logical_bytes: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) checkpoint_ns: AtomicU64,
    pub(crate) versions_collected: AtomicU64,
    pub(crate) quarantined_pages: AtomicU64,
}

/// Storage figures of a database at one moment (`PRAGMA storage_info` of the plan).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StorageMetrics {
    /// Page numbers ever handed out.
    pub page_count: u64,
    /// Pages in use.
    pub used_pages: u64,
    /// Page numbers free to be handed out again.
    pub free_pages: u64,
    /// Bytes of page images before compression over bytes after it; `None` while no page is stored.
    pub compression_ratio: Option<f64>,
    /// Bytes of log that a recovery would read now.
    pub wal_size: u64,
    /// When the page map became durable last: by a checkpoint, or by itself between two; `None` before the first time.
    pub last_checkpoint: Option<SystemTime>,
    /// Page size in bytes.
    pub page_size: u64,
    /// Length of the data file in bytes.
    pub file_bytes: u64,
    /// Bytes of the data file that hold pages, page map and superblocks.
    pub live_bytes: u64,
    /// Bytes of the data file that can be written.
    pub free_bytes: u64,
    /// Bytes of the data file that become free with the next checkpoint.
    pub pending_bytes: u64,
    /// Name of the codec for new pages.
    pub compression: &'static str,
    /// How the log is made durable: `fdatasync` or `direct`. `None` for a database that is open for reading only.
    pub wal_sync: Option<&'static str>,
}

/// Counters of a database since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Transactions committed with changes.
    pub commits: u64,
    /// Transactions rolled back, or dropped without a commit.
    pub rollbacks: u64,
    /// Write conflicts under snapshot isolation.
    pub conflicts: u64,
    /// Writes that gave up waiting for a row.
    pub busy: u64,
    /// Writes that waited for a row and got it.
    pub lock_waits: u64,
    /// Time that writes waited for rows, whether they got them or gave up, in nanoseconds.
    pub lock_wait_ns: u64,
    /// Rows put or deleted by commits.
    pub rows_written: u64,
    /// Bytes of keys and values put or deleted by commits.
    pub logical_bytes: u64,
    /// Log flushes.
    pub flushes: u64,
    /// Time spent in log flushes, in nanoseconds.
    pub flush_ns: u64,
    /// How many commits the flushes made durable: (largest size of the group's bucket, flushes).
    pub group_sizes: Vec<(u64, u64)>,
    /// Bytes of log frames.
    pub wal_bytes: u64,
    /// Bytes written to the log files, with padding and rewritten blocks.
    pub wal_bytes_written: u64,
    /// Bytes of zeros written to new log files ahead of use.
    pub wal_bytes_zeroed: u64,
    /// Pages brought in from the data file.
    pub pages_read: u64,
    /// Page images written to the data file.
    pub pages_written: u64,
    /// Clean pages moved out of the cache.
    pub pages_evicted_clean: u64,
    /// Dirty pages written and moved out of the cache.
    pub pages_evicted_dirty: u64,
    /// Bytes read from the data file.
    pub bytes_read: u64,
    /// Bytes written to the data file.
    pub bytes_written: u64,
    /// Reads of the data file that found something else than was written; each was refused with an error.
    pub corruptions_detected: u64,
    /// Pages that housekeeping could not read and leaves alone until the database is opened again.
    pub quarantined_pages: u64,
    /// Checkpoints completed.
    pub checkpoints: u64,
    /// Time spent in checkpoints, in nanoseconds.
    pub checkpoint_ns: u64,
    /// Frames of the page cache, and how many are in use.
    pub cache_frames: u64,
    /// Frames of the page cache in use.
    pub cache_frames_used: u64,
    /// Pages changed since the last checkpoint.
    pub dirty_pages: u64,
    /// Former row versions held for snapshots.
    pub versions: u64,
    /// Bytes of former row versions.
    pub version_bytes: u64,
    /// Former row versions dropped.
    pub versions_collected: u64,
    /// Snapshots open now.
    pub open_snapshots: u64,
    /// Row locks held now.
    pub row_locks: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_sizes_are_counted_by_powers_of_two() {
        let sizes = GroupSizes::default();
        for n in [1, 1, 2, 3, 4, 5, 64, 1 << 40] {
            sizes.record(n);
        }
        assert_eq!(
            sizes.counts(),
            [(1, 2), (2, 1), (4, 2), (8, 1), (64, 1), (1 << 15, 1)]
        );
    }
}
