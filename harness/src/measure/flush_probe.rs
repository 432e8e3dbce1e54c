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
use std::path::Path;
use std::time::{Duration, Instant};

use super::latency::Recorder;

const BLOCK: usize = 4096;
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
    /// The slower way's flushes a second; `None` when the file system cannot do it.
    pub other_flushes_per_second: Option<f64>,
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
struct Tally {
    flushes: u64,
    spent: Duration,
    latency_ns: Recorder,
}

impl Tally {
    fn rate(&self) -> Option<f64> {
        (self.flushes > 0 && !self.spent.is_zero()).then(|| self.flushes as f64 / self.spent.as_secs_f64())
    }
}

/// Probes the device under `directory` for about `duration`. The probe's file is removed again.
///
/// # Errors
/// The operating system's answer when the directory cannot be written or synced.
pub(crate) fn probe_flushes(directory: &Path, duration: Duration) -> io::Result<FlushProbe> {
    let path = directory.join(format!("flush-probe-{}.tmp", std::process::id()));
    let result = probe_file(&path, duration);
    match std::fs::remove_file(&path) {
        Err(error) if result.is_ok() => Err(error),
        _ => result,
    }
}

fn probe_file(path: &Path, duration: Duration) -> io::Result<FlushProbe> {
    let blocks = 256_u64;
    let mut plain = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    plain.write_all(&vec![0; BLOCK * blocks as usize])?;
    plain.sync_all()?;
    let direct_flags = (rustix::fs::OFlags::DIRECT | rustix::fs::OFlags::DSYNC).bits();
    let direct = OpenOptions::new()
        .write(true)
        .custom_flags(direct_flags.cast_signed())
        .open(path)
        .ok();

    let storage = vec![0x5a_u8; BLOCK * 2];
    let start = storage.as_ptr().align_offset(BLOCK);
    let block = &storage[start..start + BLOCK];

    let burst = duration / (BURSTS * 2);
    let mut synced = Tally::default();
    let mut dsynced = Tally::default();
    let mut direct_works = direct.is_some();
    for _ in 0..BURSTS {
        run_burst(&plain, block, blocks, burst, true, &mut synced)?;
        if let Some(direct) = direct.as_ref().filter(|_| direct_works) {
            // Some file systems open with O_DIRECT and refuse the write.
            direct_works = run_burst(direct, block, blocks, burst, false, &mut dsynced).is_ok();
        }
    }
    let synced_rate = synced
        .rate()
        .ok_or_else(|| io::Error::other("no flush completed within the probe"))?;
    let dsynced_rate = dsynced.rate().filter(|_| direct_works);
    Ok(match dsynced_rate {
        Some(rate) if rate > synced_rate => FlushProbe {
            method: FlushMethod::DirectDsync,
            flushes_per_second: rate,
            latency_ns: dsynced.latency_ns,
            other_flushes_per_second: Some(synced_rate),
        },
        other => FlushProbe {
            method: FlushMethod::Fdatasync,
            flushes_per_second: synced_rate,
            latency_ns: synced.latency_ns,
            other_flushes_per_second: other,
        },
    })
}

fn run_burst(
    file: &File,
    block: &[u8],
    blocks: u64,
    length: Duration,
    sync: bool,
    tally: &mut Tally,
) -> io::Result<()> {
    let begun = Instant::now();
    let mut last = begun;
    loop {
        file.write_all_at(block, (tally.flushes % blocks) * BLOCK as u64)?;
        if sync {
            file.sync_data()?;
        }
        let now = Instant::now();
        tally.latency_ns.record((now - last).as_nanos() as u64);
        tally.flushes += 1;
        last = now;
        if now - begun >= length {
            tally.spent += now - begun;
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
        assert!(
            probe
                .other_flushes_per_second
                .is_none_or(|other| other <= probe.flushes_per_second)
        );
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(probe_flushes(&directory.path().join("absent"), Duration::from_millis(1)).is_err());
    }
}
