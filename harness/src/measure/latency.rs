//! Latency recording: one HdrHistogram per recorder, integer nanoseconds, three significant digits.
//!
//! Every worker thread owns its recorders and they are merged when the threads have ended, so that recording a value
//! is a few instructions and never touches memory that another thread writes.

use hdrhistogram::Histogram;

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

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.histogram.reset();
    }

    /// How many durations were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The duration below which the fraction `quantile` (0 to 1) of the recorded ones lie; `None` when there are none.
    pub(crate) fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        (self.count() > 0).then(|| self.histogram.value_at_quantile(quantile))
    }

    /// The longest one; `None` when there are none.
    pub(crate) fn max_ns(&self) -> Option<u64> {
        (self.count() > 0).then(|| self.histogram.max())
    }

    /// The histogram itself, for summaries and storage.
    pub(crate) fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_follow_the_values_and_nothing_is_not_zero() {
        let mut recorder = Recorder::default();
        assert_eq!(recorder.quantile_ns(0.5), None);
        assert_eq!(recorder.max_ns(), None);
        for value in 1..=1000 {
            recorder.record(value * 1000);
        }
        let median = recorder.quantile_ns(0.5).unwrap();
        assert!((499_000..=502_000).contains(&median), "{median}");
        recorder.record(u64::MAX);
        assert!(recorder.max_ns().unwrap() >= LATENCY_NS_MAX);
    }

    #[test]
    fn merging_adds_counts() {
        let (mut a, mut b) = (Recorder::default(), Recorder::default());
        a.record(10);
        b.record(20);
        a.merge(&b);
        assert_eq!(a.count(), 2);
        a.clear();
        assert_eq!(a.count(), 0);
    }
}
