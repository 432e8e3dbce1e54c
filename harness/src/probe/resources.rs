//! What the process used: CPU time, memory, bytes to and from the device, context switches, from `/proc/self`.
//!
//! Any figure that the kernel does not give (a restricted `/proc`) is `None`, never 0.

use procfs::process::Process;

/// A reading of the process's counters. Differences of two readings are what a phase used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// CPU time in user mode, in nanoseconds (resolution: one clock tick, usually 10 ms).
    pub cpu_user_ns: Option<u64>,
    /// CPU time in the kernel, in nanoseconds.
    pub cpu_system_ns: Option<u64>,
    /// Bytes this process caused to be read from the device.
    pub device_bytes_read: Option<u64>,
    /// Bytes this process caused to be written to the device.
    pub device_bytes_written: Option<u64>,
    /// Context switches because a thread waited.
    pub context_switches_voluntary: Option<u64>,
    /// Context switches because a thread's time was up.
    pub context_switches_involuntary: Option<u64>,
    /// Largest resident memory so far, in bytes.
    pub rss_bytes_peak: Option<u64>,
    /// Resident memory now, in bytes.
    pub rss_bytes: Option<u64>,
}

/// Reads the counters now.
pub(crate) fn usage_now() -> Usage {
    let Ok(process) = Process::myself() else {
        return Usage::default();
    };
    let tick_ns = 1_000_000_000 / procfs::ticks_per_second().max(1);
    let stat = process.stat().ok();
    let io = process.io().ok();
    let status = process.status().ok();
    // Context switches in /proc/self/status are those of the main thread only; sum over the threads that live.
    let (mut voluntary, mut involuntary) = (None, None);
    if let Ok(tasks) = process.tasks() {
        for task in tasks.flatten() {
            if let Ok(status) = task.status() {
                voluntary = add(voluntary, status.voluntary_ctxt_switches);
                involuntary = add(involuntary, status.nonvoluntary_ctxt_switches);
            }
        }
    }
    Usage {
        cpu_user_ns: stat.as_ref().map(|stat| stat.utime * tick_ns),
        cpu_system_ns: stat.as_ref().map(|stat| stat.stime * tick_ns),
        device_bytes_read: io.as_ref().map(|io| io.read_bytes),
        device_bytes_written: io.as_ref().map(|io| io.write_bytes),
        context_switches_voluntary: voluntary,
        context_switches_involuntary: involuntary,
        rss_bytes_peak: status
            .as_ref()
            .and_then(|status| status.vmhwm)
            .map(|kib| kib * 1024),
        rss_bytes: status
            .as_ref()
            .and_then(|status| status.vmrss)
            .map(|kib| kib * 1024),
    }
}

fn add(total: Option<u64>, more: Option<u64>) -> Option<u64> {
    match (total, more) {
        (Some(total), Some(more)) => Some(total + more),
        (total, more) => total.or(more),
    }
}

impl Usage {
    /// What was used between `earlier` and this reading. Memory figures are this reading's own.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let minus = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Self {
            cpu_user_ns: minus(self.cpu_user_ns, earlier.cpu_user_ns),
            cpu_system_ns: minus(self.cpu_system_ns, earlier.cpu_system_ns),
            device_bytes_read: minus(self.device_bytes_read, earlier.device_bytes_read),
            device_bytes_written: minus(self.device_bytes_written, earlier.device_bytes_written),
            context_switches_voluntary: minus(
                self.context_switches_voluntary,
                earlier.context_switches_voluntary,
            ),
            context_switches_involuntary: minus(
                self.context_switches_involuntary,
                earlier.context_switches_involuntary,
            ),
            rss_bytes_peak: self.rss_bytes_peak,
            rss_bytes: self.rss_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_need_both_readings() {
        let earlier = Usage {
            cpu_user_ns: Some(5),
            cpu_system_ns: None,
            ..Usage::default()
        };
        let later = Usage {
            cpu_user_ns: Some(9),
            cpu_system_ns: Some(3),
            rss_bytes: Some(7),
            ..Usage::default()
        };
        let used = later.since(&earlier);
        assert_eq!(used.cpu_user_ns, Some(4));
        assert_eq!(used.cpu_system_ns, None, "a missing figure stays missing");
        assert_eq!(used.rss_bytes, Some(7));
    }

    #[test]
    fn this_process_has_memory() {
        assert!(usage_now().rss_bytes.is_some_and(|bytes| bytes > 0));
    }
}
