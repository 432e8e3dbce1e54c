//! How much a log keeps and checks.

/// How much a [`ThreadLog`](super::ThreadLog) keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Writes kept before the oldest are folded together; 56 bytes each. Folding costs a cache miss for each write, so
    /// the default is more than most runs make. A [`Executor`](crate::executor::Executor) takes its share of this: it is
    /// divided among the threads of the run.
    pub writes_max: usize,
    /// One of this many transactions has its reads checked; 0 checks none.
    pub read_check_interval: u32,
    /// Reads that are kept for the check at the end; 32 bytes each. Divided among the threads, as `writes_max` is.
    pub reads_max: usize,
    /// Ranges that are kept for the check at the end; 1 KiB each. Divided among the threads, as `writes_max` is.
    pub ranges_max: usize,
    /// One of this many rows has its read-modify-writes kept; 0 keeps none.
    pub update_row_interval: u32,
    /// Read-modify-writes kept; 24 bytes each.
    pub updates_max: usize,
    /// A transaction may see what another has not committed (isolation read-uncommitted), so reads are only checked
    /// for damage.
    pub dirty_reads: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions {
            writes_max: 2 * 1024 * 1024,
            read_check_interval: 16,
            reads_max: 1024 * 1024,
            ranges_max: 16 * 1024,
            update_row_interval: 16,
            updates_max: 256 * 1024,
            dirty_reads: false,
        }
    }
}

impl LogOptions {
    /// Everything is checked and kept: for tests and for scenarios about correctness.
    pub fn thorough() -> Self {
        LogOptions {
            read_check_interval: 1,
            reads_max: 16 * 1024 * 1024,
            ranges_max: 256 * 1024,
            update_row_interval: 1,
            updates_max: 16 * 1024 * 1024,
            ..LogOptions::default()
        }
    }
}
