//! The percentile bootstrap (B. Efron, "Bootstrap methods: another look at the jackknife", 1979) of a median.
//!
//! With fewer than about ten samples such an interval is too narrow, and with fewer than six it is hardly more than the samples'
//! own range, at far less than 95 %: then there is none. The generator is seeded by a constant, so a record always gives the same interval.

use super::estimate::median;

const RESAMPLES: usize = 2000;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Fewer samples have a range and no interval: the range of five holds the median of what they were drawn from in 94 % of cases.
pub const INTERVAL_SAMPLES_MIN: usize = 6;

/// A 95 % interval of the median; `None` for fewer than [`INTERVAL_SAMPLES_MIN`] samples.
#[must_use]
pub fn median_interval(samples: &[f64]) -> Option<(f64, f64)> {
    if samples.len() < INTERVAL_SAMPLES_MIN {
        return None;
    }
    let mut generator = SplitMix(SEED);
    let mut resample = vec![0.0; samples.len()];
    let mut medians = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        for slot in &mut resample {
            *slot = samples[generator.below(samples.len())];
        }
        medians.push(median(&resample)?);
    }
    medians.sort_by(f64::total_cmp);
    let tail = RESAMPLES / 40;
    Some((medians[tail], medians[RESAMPLES - 1 - tail]))
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// An index below a length by multiplication; the bias is far below what 2000 resamples could show.
    fn below(&mut self, length: usize) -> usize {
        ((u128::from(self.next()) * length as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_median_and_stays_inside_the_samples() {
        let samples = [10.0, 12.0, 11.0, 14.0, 9.0, 10.5, 13.0];
        let (low, high) = median_interval(&samples).unwrap();
        assert!(low <= 11.0 && 11.0 <= high, "{low} {high}");
        assert!(low >= 9.0 && high <= 14.0, "{low} {high}");
        assert!(low < high);
        assert_eq!(
            median_interval(&samples),
            Some((low, high)),
            "the same samples give the same interval"
        );
    }

    #[test]
    fn equal_samples_give_a_point_and_five_give_nothing() {
        assert_eq!(median_interval(&[3.0; 6]), Some((3.0, 3.0)));
        assert_eq!(median_interval(&[1.0, 2.0, 3.0, 4.0, 5.0]), None);
    }
}
