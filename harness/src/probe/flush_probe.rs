//! The durable bound: how many flushes a second the device under the data directory does with nothing above it.
//!
//! A file is filled with zeros and synced first, so that no flush has to write file-system metadata for growth. Then
//! blocks of 4 KiB are written one after another, each made durable before the next, in two ways:
//! 1. `pwrite` followed by `fdatasync`;
//! 2. `pwrite` on a file opened with `O_DIRECT | O_DSYNC`, where the file system can do it.
//!
//! The better of the two is the bound that durable commits are compared with. The two ways alternate in short
//! bursts, so that a slow moment of the device hits both.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::latency::Recorder;

/// Bytes written before each flush.
pub(crate) const BLOCK: usize = 4096;
/// Blocks of the file.
const BLOCKS: u64 = 256;
const BURSTS: u32 = 4;

/// What the probe found.
#[derive(Clone, Debug)]
pub(crate) struct FlushProbe {
    /// Which of the two ways was faster.
    pub method: FlushMethod,
    /// Flushes a second of the faster way.
    pub flushes_per_second: f64,
    /// Latency of each flush of the faster way, in nanoseconds.
    pub latency_ns: Recorder,
}

/// A way of making one block durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlushMethod {
    /// `pwrite`, then `fdatasync`.
    Fdatasync,
    /// `pwrite` on an `O_DIRECT | O_DSYNC` file.
    DirectDsync,
}

impl FlushMethod {
    /// Name for reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fdatasync => "pwrite + fdatasync",
            Self::DirectDsync => "O_DIRECT|O_DSYNC pwrite",
        }
    }
}

#[derive(Default)]
struct FlushCounts {
    flushes: u64,
    spent: Duration,
    latency_ns: Recorder,
}

impl FlushCounts {
    fn rate(&self) -> Option<f64> {
        (self.flushes > 0 && !self.spent.is_zero()).then(|| self.flushes as f64 / self.spent.as_secs_f64())
    }
}

/// A file to flush, made and synced once, so that making it disturbs no probe. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct FlushProber {
    path: PathBuf,
    plain: File,
    /// The same file without the page cache, where the file system can do that.
    direct: Option<File>,
    /// Twice a block, so that an aligned block lies in it.
    storage: Vec<u8>,
    /// Blocks written so far: the next goes behind the last.
    written: u64,
}

impl FlushProber {
    /// Makes the file in `directory`.
    ///
    /// # Errors
    /// The operating system's answer when the directory cannot be written or synced.
    pub(crate) fn create(directory: &Path) -> io::Result<Self> {
        let path = directory.join(format!("flush-probe-{}.tmp", std::process::id()));
        let mut plain = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        plain.write_all(&vec![0; BLOCK * BLOCKS as usize])?;
        plain.sync_all()?;
        let flags = (rustix::fs::OFlags::DIRECT | rustix::fs::OFlags::DSYNC).bits();
        let direct = OpenOptions::new()
            .write(true)
            .custom_flags(flags.cast_signed())
            .open(&path)
            .ok();
        Ok(Self {
            path,
            plain,
            direct,
            storage: vec![0x5a; BLOCK * 2],
            written: 0,
        })
    }

    /// Flushes for about `duration`.
    ///
    /// # Errors
    /// The operating system's answer when a write or a flush fails.
    pub(crate) fn probe(&mut self, duration: Duration) -> io::Result<FlushProbe> {
        let start = self.storage.as_ptr().align_offset(BLOCK);
        let block = &self.storage[start..start + BLOCK];
        let burst = duration / (BURSTS * 2);
        let (mut synced, mut dsynced) = (FlushCounts::default(), FlushCounts::default());
        for _ in 0..BURSTS {
            run_burst(&self.plain, block, &mut self.written, burst, true, &mut synced)?;
            // Some file systems open with O_DIRECT and refuse the write.
            self.direct = self.direct.take().filter(|direct| {
                run_burst(direct, block, &mut self.written, burst, false, &mut dsynced).is_ok()
            });
        }
        let synced_rate = synced
            .rate()
            .ok_or_else(|| io::Error::other("no flush completed within the probe"))?;
        Ok(match dsynced.rate().filter(|_| self.direct.is_some()) {
            Some(rate) if rate > synced_rate => FlushProbe {
                method: FlushMethod::DirectDsync,
                flushes_per_second: rate,
                latency_ns: dsynced.latency_ns,
            },
            _ => FlushProbe {
                method: FlushMethod::Fdatasync,
                flushes_per_second: synced_rate,
                latency_ns: synced.latency_ns,
            },
        })
    }
}

impl Drop for FlushProber {
    fn drop(&mut self) {
        // Nothing depends on it; what is left behind is a small file in a directory of the run.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Probes the device under `directory` for about `duration`, once.
///
/// # Errors
/// The operating system's answer when the directory cannot be written or synced.
pub(crate) fn probe_flushes(directory: &Path, duration: Duration) -> io::Result<FlushProbe> {
    FlushProber::create(directory)?.probe(duration)
}

fn run_burst(
    file: &File,
    block: &[u8],
    written: &mut u64,
    length: Duration,
    sync: bool,
    counts: &mut FlushCounts,
) -> io::Result<()> {
    let begun = Instant::now();
    let mut last = begun;
    loop {
        file.write_all_at(block, (*written % BLOCKS) * BLOCK as u64)?;
        if sync {
            file.sync_data()?;
        }
        let now = Instant::now();
        counts.latency_ns.record((now - last).as_nanos() as u64);
        counts.flushes += 1;
        *written += 1;
        last = now;
        if now - begun >= length {
            counts.spent += now - begun;
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_counts_flushes_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let probe = probe_flushes(directory.path(), Duration::from_millis(20)).unwrap();
        assert!(probe.flushes_per_second > 0.0);
        assert!(probe.latency_ns.count() > 0);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(probe_flushes(&directory.path().join("absent"), Duration::from_millis(1)).is_err());
    }
}
