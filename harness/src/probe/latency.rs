//! Latency recording: one HdrHistogram per recorder, integer nanoseconds, three significant digits.
//!
//! Every worker thread owns its recorders and they are merged when the threads have ended, so that recording a value
//! is a few instructions and never touches memory that another thread writes.

use hdrhistogram::Histogram;
use reports::record::Latency;

use crate::error::{HarnessError, Result};

/// Values above this are counted as this: one hour.
pub(crate) const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// A histogram of durations in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    histogram: Histogram<u64>,
}

impl Default for Recorder {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)
            .expect("the bounds are constants that the histogram accepts");
        Self { histogram }
    }
}

impl Recorder {
    /// Adds one duration, in nanoseconds.
    #[inline]
    pub(crate) fn record(&mut self, nanoseconds: u64) {
        self.histogram.saturating_record(nanoseconds);
    }

    /// Adds everything that `other` recorded.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.histogram
            .add(&other.histogram)
            .expect("recorders have the same bounds");
    }

    /// How many durations were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The histogram itself, for summaries and storage.
    pub(crate) fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }
}

/// A distribution as a record; `None` when nothing was recorded.
pub(crate) fn latency_record(recorder: &Recorder) -> Result<Option<Latency>> {
    Latency::from_histogram(recorder.histogram()).map_err(|error| HarnessError::Run(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_follow_the_values_and_long_ones_are_kept() {
        let mut recorder = Recorder::default();
        assert_eq!(recorder.count(), 0);
        for value in 1..=1000 {
            recorder.record(value * 1000);
        }
        let median = recorder.histogram().value_at_quantile(0.5);
        assert!((499_000..=502_000).contains(&median), "{median}");
        recorder.record(u64::MAX);
        assert!(recorder.histogram().max() >= LATENCY_NS_MAX);
    }

    #[test]
    fn merging_adds_counts() {
        let (mut a, mut b) = (Recorder::default(), Recorder::default());
        a.record(10);
        b.record(20);
        a.merge(&b);
        assert_eq!(a.count(), 2);
    }
}
