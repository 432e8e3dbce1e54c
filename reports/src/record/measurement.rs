//! One engine, one repetition: what it did and what it cost.

use super::{EngineStats, Interval, Latency, Resources, Settings, Varied, Verification, Warning};
use serde::{Deserialize, Serialize};

/// Whether a measurement took place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Status {
    /// It ran to its end (or to a clean interruption).
    Ok,
    /// The engine cannot honour what was asked, and was not asked for less instead.
    Unsupported {
        /// What it cannot do.
        reason: String,
    },
    /// It did not end well; figures beside this are not to be trusted.
    Failed {
        /// What happened.
        reason: String,
    },
    /// It was planned but never started.
    #[default]
    NotRun,
}

impl Status {
    /// Whether the measurement ran.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok)
    }
}

/// The load phase.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Load {
    /// Rows loaded.
    pub rows: u64,
    /// Time it took, in nanoseconds.
    pub duration_ns: u64,
    /// Logical bytes loaded: keys and values.
    pub logical_bytes: u64,
}

impl Load {
    /// Rows loaded each second.
    #[must_use]
    pub fn rows_per_second(&self) -> Option<f64> {
        units::per_second(self.rows, self.duration_ns)
    }
}

/// What became of one type of transaction during the timed run (warm-up excluded).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TransactionType {
    /// Name from the specification.
    pub name: String,
    /// Transactions that committed.
    pub committed: u64,
    /// Transactions aborted for good, after retries.
    #[serde(default)]
    pub aborted: u64,
    /// Attempts made again after a retryable error.
    #[serde(default)]
    pub retries: u64,
    /// Attempts ended by a write conflict.
    #[serde(default)]
    pub conflicts: u64,
    /// Attempts ended by waiting too long for a lock.
    #[serde(default)]
    pub busy: u64,
    /// Attempts ended as the victim of a deadlock.
    #[serde(default)]
    pub deadlocks: u64,
    /// Attempts ended by any other error.
    #[serde(default)]
    pub errors: u64,
    /// Operations (reads, writes, scans) inside the committed transactions, when counted.
    #[serde(default)]
    pub operations: Option<u64>,
    /// Point reads and ranges inside the committed transactions, when counted.
    #[serde(default)]
    pub reads: Option<u64>,
    /// Those of them that found no row at all.
    #[serde(default)]
    pub reads_missed: Option<u64>,
    /// Reads for update that found no row (of read-modify-writes; a blind update does not look).
    #[serde(default)]
    pub updates_missed: Option<u64>,
    /// Deletes that found no row.
    #[serde(default)]
    pub deletes_missed: Option<u64>,
    /// Ranges among the reads.
    #[serde(default)]
    pub ranges: Option<u64>,
    /// Rows that those ranges returned.
    #[serde(default)]
    pub rows_scanned: Option<u64>,
    /// Rows that all of them returned.
    #[serde(default)]
    pub rows_returned: Option<u64>,
    /// Latency from the (intended) start to the acknowledged commit, retries included.
    #[serde(default)]
    pub latency: Option<Latency>,
}

/// What the measuring loop costs by itself: the transactions of the specification, on an engine that does nothing. It is in
/// every latency.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LoopCost {
    /// Nanoseconds of processor time for each transaction on one thread.
    #[serde(default)]
    pub transaction_ns: Option<f64>,
    /// Nanoseconds for each operation on one thread.
    #[serde(default)]
    pub operation_ns: Option<f64>,
    /// Nanoseconds for each transaction on as many threads as the run has.
    #[serde(default)]
    pub transaction_ns_all_threads: Option<f64>,
    /// Allocations of memory for each transaction, once buffers have found their size.
    #[serde(default)]
    pub allocations: Option<f64>,
}

/// The result of one engine in one repetition.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Measurement {
    /// Engine name.
    pub engine: String,
    /// Engine version.
    #[serde(default)]
    pub engine_version: Option<String>,
    /// Repetition, from 1.
    pub repetition: u32,
    /// Options that have several values in the run, with those of this measurement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub varied: Vec<Varied>,
    /// What it ran with.
    #[serde(default)]
    pub settings: Settings,
    /// Whether it ran.
    pub status: Status,
    /// The load phase.
    #[serde(default)]
    pub load: Option<Load>,
    /// Length of the warm-up, in nanoseconds.
    #[serde(default)]
    pub warmup_ns: Option<u64>,
    /// Length of the timed run as measured, in nanoseconds.
    #[serde(default)]
    pub duration_ns: Option<u64>,
    /// Committed transactions each second of the timed run.
    #[serde(default)]
    pub transactions_per_second: Option<f64>,
    /// Operations inside committed transactions each second of the timed run.
    #[serde(default)]
    pub operations_per_second: Option<f64>,
    /// Open loop only: whether the engine fell behind what was offered.
    #[serde(default)]
    pub overloaded: Option<bool>,
    /// Results for each transaction type.
    #[serde(default)]
    pub transaction_types: Vec<TransactionType>,
    /// The run over time, warm-up included.
    #[serde(default)]
    pub intervals: Vec<Interval>,
    /// What the engine counted.
    #[serde(default)]
    pub engine_stats: EngineStats,
    /// What the process used.
    #[serde(default)]
    pub resources: Resources,
    /// What the measuring loop costs by itself.
    #[serde(default)]
    pub loop_cost: Option<LoopCost>,
    /// Delays an idle thread saw during the timed run.
    #[serde(default)]
    pub hiccup: Option<Latency>,
    /// What was verified.
    #[serde(default)]
    pub verification: Verification,
    /// What is wrong with this measurement.
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

impl Measurement {
    /// Transactions committed in the timed run, over all types.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.transaction_types.iter().map(|t| t.committed).sum()
    }

    /// Share of the time of all threads that they spent waiting for locks.
    #[must_use]
    pub fn lock_wait_share(&self) -> Option<f64> {
        let threads = u64::from(self.settings.threads?);
        let available = self.duration_ns?.checked_mul(threads)?;
        units::quotient(self.engine_stats.lock_wait_ns?, available)
    }

    /// Committed transactions each second: as recorded, else from the counts, else `None`.
    #[must_use]
    pub fn throughput(&self) -> Option<f64> {
        if !self.status.is_ok() {
            return None;
        }
        self.transactions_per_second.or_else(|| {
            if self.transaction_types.is_empty() {
                return None;
            }
            units::per_second(self.committed(), self.duration_ns?)
        })
    }
}
