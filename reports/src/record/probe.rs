//! What the machine itself can do and how noisy it is, measured in the same run as the engines.

use super::Latency;
use serde::{Deserialize, Serialize};

/// Probes of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Probes {
    /// Raw flushes of small writes to a pre-written file, taken between the repetitions: the durable bound.
    #[serde(default)]
    pub raw_flush: Vec<FlushSample>,
    /// Delays that an idle thread saw while nothing else of the run was active.
    #[serde(default)]
    pub idle_hiccup: Option<Latency>,
    /// Cost of reading the clock once, in nanoseconds.
    #[serde(default)]
    pub clock_read_ns: Option<u64>,
}

/// One sample of raw flushes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FlushSample {
    /// Repetition (from 1) before which it was taken; one past the last for the closing sample.
    pub repetition: u32,
    /// How it flushed, for instance `pwrite+fdatasync` or `O_DIRECT|O_DSYNC`.
    pub method: String,
    /// Bytes written before each flush.
    pub write_bytes: u64,
    /// Flushes counted.
    pub flushes: u64,
    /// Time they took together, in nanoseconds.
    pub duration_ns: u64,
    /// Latency of a single flush.
    #[serde(default)]
    pub latency: Option<Latency>,
}

impl FlushSample {
    /// Flushes each second; `None` when no time was measured.
    #[must_use]
    pub fn flushes_per_second(&self) -> Option<f64> {
        units::per_second(self.flushes, self.duration_ns)
    }
}
