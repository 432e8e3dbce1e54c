//! A latency distribution: its percentiles, and the whole histogram for whoever wants to merge or redraw it.
//!
//! The histogram is kept in the HdrHistogram V2 compressed encoding, base64 (the text that begins with
//! `HISTFAAAA`), which the tools of that project read; values are nanoseconds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};
use std::io::{Cursor, Read as _};

/// How many values must lie above a percentile for it to be told: with fewer it is what those few happened to be.
const VALUES_ABOVE: f64 = 10.0;

/// Most bytes of an encoded histogram before its compression; those of this program have some ten thousand.
const INFLATED_MAX: u64 = 16 << 20;

/// Percentiles of a distribution, in nanoseconds. Those for which there are too few values are `null`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LatencySummary {
    /// Recorded values.
    pub count: u64,
    /// Smallest.
    pub latency_ns_min: u64,
    /// Mean, rounded.
    pub latency_ns_mean: u64,
    /// Median.
    pub latency_ns_p50: u64,
    /// 90th percentile, of 100 values or more.
    #[serde(default)]
    pub latency_ns_p90: Option<u64>,
    /// 95th percentile, of 200 values or more.
    #[serde(default)]
    pub latency_ns_p95: Option<u64>,
    /// 99th percentile, of 1,000 values or more.
    #[serde(default)]
    pub latency_ns_p99: Option<u64>,
    /// 99.9th percentile, of 10,000 values or more.
    #[serde(default)]
    pub latency_ns_p999: Option<u64>,
    /// Largest.
    pub latency_ns_max: u64,
}

/// A latency distribution with at least one value.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Latency {
    /// The percentiles.
    #[serde(flatten)]
    pub summary: LatencySummary,
    /// The whole histogram, encoded; `null` when only the percentiles were kept.
    #[serde(default)]
    pub histogram: Option<String>,
}

/// Why a histogram could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum LatencyError {
    /// The text is not base64.
    #[error("the histogram is not valid base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// The bytes are not an encoded histogram.
    #[error("the histogram cannot be decoded: {0}")]
    Decode(String),
    /// The histogram could not be encoded.
    #[error("the histogram cannot be encoded: {0}")]
    Encode(String),
    /// Histograms could not be added.
    #[error("histograms cannot be merged: {0}")]
    Merge(String),
}

impl Latency {
    /// Summarises and encodes a histogram of nanoseconds; `None` when it is empty, since an empty
    /// distribution has no percentiles.
    ///
    /// # Errors
    /// [`LatencyError::Encode`] when the histogram does not fit the encoding.
    pub fn from_histogram(histogram: &Histogram<u64>) -> Result<Option<Self>, LatencyError> {
        let Some(summary) = LatencySummary::from_histogram(histogram) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(histogram, &mut bytes)
            .map_err(|error| LatencyError::Encode(format!("{error:?}")))?;
        Ok(Some(Self {
            summary,
            histogram: Some(STANDARD.encode(bytes)),
        }))
    }

    /// Decodes the histogram; `None` when only percentiles were kept.
    ///
    /// # Errors
    /// [`LatencyError::Base64`] or [`LatencyError::Decode`] when the text is damaged.
    pub fn decode(&self) -> Result<Option<Histogram<u64>>, LatencyError> {
        let Some(text) = &self.histogram else {
            return Ok(None);
        };
        let bytes = STANDARD.decode(text)?;
        let inflated = inflate(&bytes).map_err(|what| LatencyError::Decode(what.to_string()))?;
        Deserializer::new()
            .deserialize(&mut Cursor::new(inflated))
            .map(Some)
            .map_err(|error| LatencyError::Decode(format!("{error:?}")))
    }
}

/// The encoding without its compression. The decoder believes the lengths in it, so they are compared with what is there
/// first: in front, the cookie and the compressed length; inside, the cookie, the length of the counts, and 32 bytes of header.
fn inflate(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let too_long = |what| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let compressed = bytes.get(8..).unwrap_or_default();
    let mut inflated = Vec::new();
    flate2::read::ZlibDecoder::new(compressed)
        .take(INFLATED_MAX)
        .read_to_end(&mut inflated)?;
    let counts = inflated.len().saturating_sub(40);
    match inflated.get(4..8).and_then(|len| len.try_into().ok()) {
        Some(len) if u32::from_be_bytes(len) as usize <= counts => Ok(inflated),
        _ => Err(too_long("it is shorter than it says, or longer than 16 MiB")),
    }
}

impl LatencySummary {
    /// The percentiles of a histogram of nanoseconds; `None` when it is empty.
    #[must_use]
    pub fn from_histogram(histogram: &Histogram<u64>) -> Option<Self> {
        if histogram.is_empty() {
            return None;
        }
        Some(Self {
            count: histogram.len(),
            latency_ns_min: histogram.min(),
            latency_ns_mean: histogram.mean().round() as u64,
            latency_ns_p50: histogram.value_at_quantile(0.5),
            latency_ns_p90: percentile(histogram, 0.9),
            latency_ns_p95: percentile(histogram, 0.95),
            latency_ns_p99: percentile(histogram, 0.99),
            latency_ns_p999: percentile(histogram, 0.999),
            latency_ns_max: histogram.max(),
        })
    }
}

/// The value at a quantile above the median, if enough values lie above it.
#[must_use]
pub fn percentile(histogram: &Histogram<u64>, quantile: f64) -> Option<u64> {
    // 1 - 0.99 is a little more than 0.01.
    let above = ((1.0 - quantile) * histogram.len() as f64 + 1e-6).floor();
    (above >= VALUES_ABOVE).then(|| histogram.value_at_quantile(quantile))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_survives_the_text_form() {
        let mut histogram = Histogram::<u64>::new(3).expect("three digits are valid");
        for value in [1_000, 2_000, 2_000, 1_000_000_000] {
            histogram
                .record(value)
                .expect("an auto-resizing histogram takes any value");
        }
        let latency = Latency::from_histogram(&histogram)
            .expect("encodes")
            .expect("is not empty");
        assert_eq!(latency.summary.count, 4);
        assert!(
            latency
                .histogram
                .as_deref()
                .is_some_and(|text| text.starts_with("HISTFAAAA"))
        );
        let decoded = latency.decode().expect("decodes").expect("is present");
        assert_eq!(decoded.len(), 4);
        assert_eq!(decoded.count_at(2_000), 2);
    }

    #[test]
    fn an_empty_histogram_has_no_percentiles() {
        let histogram = Histogram::<u64>::new(3).expect("three digits are valid");
        assert_eq!(Latency::from_histogram(&histogram).expect("is no error"), None);
    }

    #[test]
    fn a_percentile_is_told_from_where_ten_values_lie_above_it() {
        for (values, told) in [
            (1u64, [false; 4]),
            (99, [false; 4]),
            (100, [true, false, false, false]),
            (199, [true, false, false, false]),
            (200, [true, true, false, false]),
            (999, [true, true, false, false]),
            (1_000, [true, true, true, false]),
            (9_999, [true, true, true, false]),
            (10_000, [true; 4]),
        ] {
            let mut histogram = Histogram::<u64>::new(3).expect("three digits are valid");
            histogram.record_n(1_000, values).expect("any value is taken");
            let summary = LatencySummary::from_histogram(&histogram).expect("is not empty");
            let percentiles = [
                summary.latency_ns_p90,
                summary.latency_ns_p95,
                summary.latency_ns_p99,
                summary.latency_ns_p999,
            ];
            assert_eq!(percentiles.map(|one| one.is_some()), told, "{values}");
            assert!(percentiles.iter().flatten().all(|ns| *ns == 1_000));
            assert_eq!(summary.latency_ns_p50, 1_000);
        }
    }

    #[test]
    fn damaged_text_is_an_error_and_no_panic() {
        let mut latency = Latency {
            histogram: Some("***".into()),
            ..Latency::default()
        };
        assert!(matches!(latency.decode(), Err(LatencyError::Base64(_))));
        latency.histogram = Some(STANDARD.encode(b"not a histogram at all"));
        assert!(matches!(latency.decode(), Err(LatencyError::Decode(_))));
    }

    #[test]
    fn lengths_in_an_encoded_histogram_are_not_believed() {
        let mut histogram = Histogram::<u64>::new(3).expect("three digits are valid");
        histogram.record(5).expect("any value is taken");
        let sound = Latency::from_histogram(&histogram)
            .expect("encodes")
            .expect("is not empty");
        let bytes = STANDARD
            .decode(sound.histogram.expect("is kept"))
            .expect("is base64");
        let mut inside = inflate(&bytes).expect("inflates");
        inside[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        let mut longer = inside.clone();
        longer[4..8].copy_from_slice(&(17_u32 << 20).to_be_bytes());
        longer.resize(18 << 20, 0);
        for inside in [inside, longer, Vec::new()] {
            let mut text = bytes[..8].to_vec();
            let mut encoder = flate2::write::ZlibEncoder::new(&mut text, flate2::Compression::default());
            std::io::Write::write_all(&mut encoder, &inside).expect("memory takes it");
            encoder.finish().expect("memory takes it");
            let latency = Latency {
                histogram: Some(STANDARD.encode(text)),
                ..Latency::default()
            };
            let error = latency.decode().expect_err("a length that is not there");
            assert!(error.to_string().contains("shorter than it says"), "{error}");
        }
    }
}
