//! What the process that ran an engine used during the timed run.

use serde::{Deserialize, Serialize};

/// Resources of one measurement.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resources {
    /// CPU time in user mode, in nanoseconds.
    #[serde(default)]
    pub cpu_user_ns: Option<u64>,
    /// CPU time in the kernel, in nanoseconds.
    #[serde(default)]
    pub cpu_system_ns: Option<u64>,
    /// Largest resident set, in bytes.
    #[serde(default)]
    pub rss_bytes_peak: Option<u64>,
    /// Bytes that the process caused to be read from storage, as the kernel counts them.
    #[serde(default, alias = "bytes_read")]
    pub process_bytes_read: Option<u64>,
    /// Bytes of pages that the process made dirty, as the kernel counts them: some count whole folios, many times what
    /// was written.
    #[serde(default, alias = "bytes_written")]
    pub process_bytes_written: Option<u64>,
    /// Bytes read from the device that holds the data, by all programs.
    #[serde(default)]
    pub device_bytes_read: Option<u64>,
    /// Bytes written to the device that holds the data, by all programs.
    #[serde(default)]
    pub device_bytes_written: Option<u64>,
    /// Context switches made voluntarily.
    #[serde(default)]
    pub context_switches_voluntary: Option<u64>,
    /// Context switches forced by the scheduler.
    #[serde(default)]
    pub context_switches_involuntary: Option<u64>,
}
