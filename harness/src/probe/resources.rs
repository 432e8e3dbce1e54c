//! What the process used: CPU time, memory, bytes read and written, context switches, from `/proc/self`; and what the
//! device below its data read and wrote, from `/proc/diskstats`.
//!
//! The process's bytes written are of pages that it made dirty, and some kernels count the whole folio for each: beside small
//! writes to large files that has been 170 times what reached the device. The device's are what they say, but of all programs.
//! Any figure that the kernel does not give (a restricted `/proc`, a file system on more than one device) is `None`, never 0.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use procfs::process::Process;

/// A reading of the process's counters. Differences of two readings are what a phase used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// CPU time in user mode, in nanoseconds (resolution: one clock tick, usually 10 ms).
    pub cpu_user_ns: Option<u64>,
    /// CPU time in the kernel, in nanoseconds.
    pub cpu_system_ns: Option<u64>,
    /// Bytes this process caused to be read from storage.
    pub process_bytes_read: Option<u64>,
    /// Bytes of pages this process made dirty.
    pub process_bytes_written: Option<u64>,
    /// Bytes read from the device, by all programs.
    pub device_bytes_read: Option<u64>,
    /// Bytes written to the device, by all programs.
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

/// The device that holds a directory, where it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    major: u32,
    minor: u32,
}

impl Device {
    /// The one below `directory`.
    pub(crate) fn below(directory: &Path) -> Option<Self> {
        let number = std::fs::metadata(directory).ok()?.dev();
        Some(Self {
            major: rustix::fs::major(number),
            minor: rustix::fs::minor(number),
        })
    }

    /// Bytes that it has read and written since it was started.
    fn bytes(self) -> Option<(u64, u64)> {
        // The unit of these counters, whatever the sectors of the device are.
        const SECTOR_BYTES: u64 = 512;
        let known = procfs::diskstats().ok()?;
        let own = known.iter().find(|one| {
            u32::try_from(one.major) == Ok(self.major) && u32::try_from(one.minor) == Ok(self.minor)
        })?;
        Some((
            own.sectors_read * SECTOR_BYTES,
            own.sectors_written * SECTOR_BYTES,
        ))
    }
}

/// Reads the counters now.
pub(crate) fn usage_now(device: Option<Device>) -> Usage {
    let device_bytes = device.and_then(Device::bytes);
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
        process_bytes_read: io.as_ref().map(|io| io.read_bytes),
        process_bytes_written: io.as_ref().map(|io| io.write_bytes),
        device_bytes_read: device_bytes.map(|(read, _)| read),
        device_bytes_written: device_bytes.map(|(_, written)| written),
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
            process_bytes_read: minus(self.process_bytes_read, earlier.process_bytes_read),
            process_bytes_written: minus(self.process_bytes_written, earlier.process_bytes_written),
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
        assert!(usage_now(None).rss_bytes.is_some_and(|bytes| bytes > 0));
    }

    #[test]
    fn bytes_are_those_of_the_device_below_the_directory_and_of_no_other() {
        let nowhere = Device { major: 0, minor: 0 };
        assert_eq!(usage_now(Some(nowhere)).device_bytes_written, None);
        assert_eq!(Device::below(Path::new("/nonexistent/here")), None);
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let device = Device::below(directory.path());
        let before = usage_now(device);
        let file = directory.path().join("file");
        std::fs::write(&file, vec![1; 1 << 20]).unwrap();
        std::fs::File::open(&file).unwrap().sync_all().unwrap();
        let used = usage_now(device).since(&before);
        // On a file system without a device of its own (overlay, btrfs) nothing is known.
        if let Some(written) = used.device_bytes_written {
            assert!(written >= 1 << 20, "{written}");
        }
    }
}
