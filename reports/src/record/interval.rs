//! The run over time, in short equal intervals.

use serde::{Deserialize, Serialize};

/// The phase an interval belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before the timed run; not part of any total.
    Warmup,
    /// The timed run.
    #[default]
    Run,
}

/// What happened in one interval. Offsets count from the start of the warm-up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Interval {
    /// Start, in nanoseconds from the start of the warm-up.
    pub start_ns: u64,
    /// Length as measured, in nanoseconds.
    pub length_ns: u64,
    /// Phase.
    #[serde(default)]
    pub phase: Phase,
    /// Transactions committed.
    pub committed: u64,
    /// Transactions aborted for good.
    #[serde(default)]
    pub aborted: u64,
    /// Median latency in nanoseconds; `null` when nothing was committed.
    #[serde(default)]
    pub latency_ns_p50: Option<u64>,
    /// 99th percentile of latency in nanoseconds; `null` for fewer than 1,000 transactions.
    #[serde(default)]
    pub latency_ns_p99: Option<u64>,
    /// Largest latency in nanoseconds.
    #[serde(default)]
    pub latency_ns_max: Option<u64>,
    /// WAL bytes written in the interval.
    #[serde(default)]
    pub wal_bytes: Option<u64>,
    /// Flushes in the interval.
    #[serde(default)]
    pub flushes: Option<u64>,
    /// Bytes the engine wrote in the interval, WAL included.
    #[serde(default)]
    pub bytes_written: Option<u64>,
    /// Live WAL size at the end of the interval, in bytes.
    #[serde(default)]
    pub wal_live_bytes: Option<u64>,
    /// Whether a checkpoint was active at any time in the interval.
    #[serde(default)]
    pub checkpoint_active: Option<bool>,
}

impl Interval {
    /// Committed transactions each second; `None` for an interval without length.
    #[must_use]
    pub fn throughput(&self) -> Option<f64> {
        units::per_second(self.committed, self.length_ns)
    }

    /// Middle of the interval in seconds from the start of the warm-up.
    #[must_use]
    pub fn middle_s(&self) -> f64 {
        (self.start_ns as f64 + self.length_ns as f64 / 2.0) / 1e9
    }
}
