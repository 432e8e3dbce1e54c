//! Merging latency distributions: percentiles of several runs come from the merged histogram, never from averaging
//! percentiles.

use crate::record::{Latency, LatencyError, LatencySummary, percentile};
use hdrhistogram::Histogram;

/// The distributions added up; `None` when there are none, or when one of them kept only its percentiles.
///
/// # Errors
/// [`LatencyError`] when a histogram is damaged or cannot be added.
pub fn merge<'a>(
    latencies: impl IntoIterator<Item = &'a Latency>,
) -> Result<Option<Histogram<u64>>, LatencyError> {
    let mut merged: Option<Histogram<u64>> = None;
    for latency in latencies {
        let Some(mut histogram) = latency.decode()? else {
            return Ok(None);
        };
        histogram.auto(true);
        match &mut merged {
            None => merged = Some(histogram),
            Some(merged) => merged
                .add(&histogram)
                .map_err(|error| LatencyError::Merge(error.to_string()))?,
        }
    }
    Ok(merged)
}

/// Percentiles over several distributions: of the only one, or of the merged histogram.
/// `None` when there is nothing to merge or a histogram is missing or damaged.
#[must_use]
pub fn merged_summary<'a>(latencies: impl IntoIterator<Item = &'a Latency>) -> Option<LatencySummary> {
    let latencies: Vec<&Latency> = latencies.into_iter().collect();
    if let [only] = latencies.as_slice() {
        // Older records have no p95 beside their histogram.
        let histogram = || only.decode().ok().flatten();
        let told = only.summary.latency_ns_p95;
        return Some(LatencySummary {
            latency_ns_p95: told.or_else(|| percentile(&histogram()?, 0.95)),
            ..only.summary
        });
    }
    let merged = merge(latencies).ok()??;
    LatencySummary::from_histogram(&merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(values: &[u64]) -> Latency {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for value in values {
            histogram.record(*value).unwrap();
        }
        Latency::from_histogram(&histogram).unwrap().unwrap()
    }

    #[test]
    fn percentiles_come_from_the_merged_distribution() {
        let (fast, slow) = (latency(&[1_000; 100]), latency(&[10_000_000; 100]));
        let merged = merged_summary([&fast, &slow, &fast]).unwrap();
        assert_eq!(merged.count, 300);
        assert_eq!(merged.latency_ns_p50, fast.summary.latency_ns_p50);
        assert_eq!(merged.latency_ns_p90, slow.summary.latency_ns_p90);
        assert!(merged.latency_ns_max >= 10_000_000);
    }

    #[test]
    fn nothing_is_made_up_when_a_histogram_is_missing() {
        let full = latency(&[5]);
        let bare = Latency {
            histogram: None,
            ..full.clone()
        };
        assert_eq!(merged_summary([&full, &bare]), None);
        assert_eq!(merged_summary([&bare]), Some(bare.summary));
        let mut old = latency(&(1..=300).map(|at| at * 1_000).collect::<Vec<u64>>());
        let p95 = old.summary.latency_ns_p95.take();
        assert_eq!(merged_summary([&old]).unwrap().latency_ns_p95, p95);
        assert!(p95.is_some());
        assert_eq!(merged_summary([]), None);
        let damaged = Latency {
            histogram: Some("HISTFAAAAxx".into()),
            ..full.clone()
        };
        assert!(merge([&damaged]).is_err());
    }
}
