//! The thread that looks at the files while others write: often, and keeping of each tenth of a second the moment at which
//! the file was largest beside the rows.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reports::record::SpaceSample;

use super::super::ratios::is_log;
use crate::child::files::files_below;
use crate::error::Result;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(10);
/// What one sample stands for.
const WINDOW: Duration = Duration::from_millis(100);

/// What looks at the files, and what it is told by those who write.
pub(super) struct Watch<'a> {
    directory: &'a Path,
    live_floor: u64,
    begun: Instant,
    live_bytes: AtomicU64,
    phase: Mutex<&'static str>,
    over: AtomicBool,
    /// The last look's file bytes.
    file_bytes: AtomicU64,
}

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct SpaceSeries {
    pub looks: u64,
    pub samples: Vec<SpaceSample>,
    pub largest_ratio: Option<f64>,
    pub last_ratio: Option<f64>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(directory: &'a Path, live_floor: u64, begun: Instant) -> Self {
        Self {
            directory,
            live_floor,
            begun,
            live_bytes: AtomicU64::new(0),
            phase: Mutex::new("load"),
            over: AtomicBool::new(false),
            file_bytes: AtomicU64::new(0),
        }
    }

    /// The next phase begins.
    pub(super) fn begin(&self, phase: &'static str) {
        if let Ok(mut current) = self.phase.lock() {
            *current = phase;
        }
    }

    /// Rows of so many bytes were committed that were not there before.
    pub(super) fn grown_by(&self, bytes: u64) {
        self.live_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// There is nothing more to see.
    pub(super) fn finish(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// The state in words.
    pub(super) fn note(&self) -> String {
        format!(
            "{} of file for {} of rows",
            units::bytes(self.file_bytes.load(Ordering::Relaxed)),
            units::bytes(self.live_bytes.load(Ordering::Relaxed))
        )
    }

    /// Looks until it is over, and once more then.
    pub(super) fn look_on(&self) -> Result<SpaceSeries> {
        let mut series = SpaceSeries::default();
        let mut window = Instant::now();
        let mut kept: Option<SpaceSample> = None;
        loop {
            let is_last = self.over.load(Ordering::Relaxed);
            let look = self.look()?;
            series.take(&look, self.live_floor);
            let is_new_phase = kept.as_ref().is_some_and(|kept| kept.phase != look.phase);
            if is_last || is_new_phase || window.elapsed() >= WINDOW {
                series.samples.extend(kept.take());
                window = Instant::now();
            }
            if kept.as_ref().is_none_or(|kept| look.is_larger_than(kept)) {
                kept = Some(look);
            }
            if is_last {
                series.samples.extend(kept);
                return Ok(series);
            }
            std::thread::sleep(EVERY);
        }
    }

    fn look(&self) -> Result<SpaceSample> {
        // The rows first: those that come in between make the ratio too large rather than too small.
        let live_bytes = self.live_bytes.load(Ordering::Relaxed);
        let (mut file_bytes, mut log_bytes) = (0, 0);
        for (path, bytes) in files_below(self.directory)? {
            if is_log(&path) {
                log_bytes += bytes;
            } else {
                file_bytes += bytes;
            }
        }
        self.file_bytes.store(file_bytes, Ordering::Relaxed);
        Ok(SpaceSample {
            at_ns: self.begun.elapsed().as_nanos() as u64,
            phase: self
                .phase
                .lock()
                .map(|phase| (*phase).to_owned())
                .unwrap_or_default(),
            live_bytes,
            file_bytes,
            log_bytes,
        })
    }
}

impl SpaceSeries {
    fn take(&mut self, look: &SpaceSample, live_floor: u64) {
        self.looks += 1;
        if look.live_bytes >= live_floor
            && let Some(ratio) = look.ratio()
        {
            self.largest_ratio = Some(self.largest_ratio.map_or(ratio, |largest| largest.max(ratio)));
            self.last_ratio = Some(ratio);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_peak_is_kept_and_few_live_bytes_do_not_count() {
        const LIVE_FLOOR_BYTES: u64 = 1000;
        let mut series = SpaceSeries::default();
        let sample = |live_bytes, file_bytes| SpaceSample {
            live_bytes,
            file_bytes,
            ..SpaceSample::default()
        };
        series.take(
            &sample(LIVE_FLOOR_BYTES - 1, 100 * LIVE_FLOOR_BYTES),
            LIVE_FLOOR_BYTES,
        );
        assert_eq!(series.largest_ratio, None);
        for ratio in [1, 3, 2] {
            series.take(
                &sample(LIVE_FLOOR_BYTES, ratio * LIVE_FLOOR_BYTES),
                LIVE_FLOOR_BYTES,
            );
        }
        assert_eq!((series.largest_ratio, series.last_ratio), (Some(3.0), Some(2.0)));
        assert!(sample(10, 30).is_larger_than(&sample(20, 40)));
    }

    #[test]
    fn files_that_go_away_while_they_are_looked_at_are_no_error() {
        let directory = tempfile::tempdir().unwrap();
        let watch = Watch::new(directory.path(), 0, Instant::now());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..300 {
                    let path = directory.path().join(format!("{round}.log"));
                    std::fs::write(&path, [0; 10]).unwrap();
                    std::fs::remove_file(&path).unwrap();
                }
            });
            for _ in 0..300 {
                watch.look().unwrap();
            }
        });
    }
}
