//! The middle of a few samples and how far it can be trusted.

use super::bootstrap::median_interval;

/// The median of samples; `None` without samples or with a value that is not finite.
#[must_use]
pub fn median(samples: &[f64]) -> Option<f64> {
    if samples.is_empty() || samples.iter().any(|sample| !sample.is_finite()) {
        return None;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    Some(if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    })
}

/// The median distance of samples from their median, in the samples' unit (not scaled to a normal distribution).
#[must_use]
pub fn median_absolute_deviation(samples: &[f64]) -> Option<f64> {
    let middle = median(samples)?;
    let distances: Vec<f64> = samples.iter().map(|sample| (sample - middle).abs()).collect();
    median(&distances)
}

/// The ratios of interleaved pairs, pair by pair: what disturbed both sides of a pair cancels out.
/// Pairs with a divisor that is zero or not finite are left out, as are samples without a partner.
#[must_use]
pub fn paired_ratios(dividends: &[f64], divisors: &[f64]) -> Vec<f64> {
    dividends
        .iter()
        .zip(divisors)
        .map(|(dividend, divisor)| dividend / divisor)
        .filter(|ratio| ratio.is_finite())
        .collect()
}

/// How far samples leave their middle open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spread {
    /// The smallest and the largest of a few samples, which is no interval of confidence.
    Range(f64, f64),
    /// A 95 % interval of the median.
    Interval(f64, f64),
}

impl Spread {
    /// Its ends.
    #[must_use]
    pub fn ends(self) -> (f64, f64) {
        let (Self::Range(low, high) | Self::Interval(low, high)) = self;
        (low, high)
    }

    /// What it is.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Range(..) => "range",
            Self::Interval(..) => "95 % interval",
        }
    }
}

/// The middle of a few samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The median.
    pub median: f64,
    /// The median absolute deviation; `None` for one sample, which has no spread.
    pub deviation: Option<f64>,
    /// A 95 % bootstrap interval of the median; `None` for fewer than
    /// [`INTERVAL_SAMPLES_MIN`](super::INTERVAL_SAMPLES_MIN) samples.
    pub interval: Option<(f64, f64)>,
    /// The samples, in order of measurement.
    pub samples: Vec<f64>,
}

impl Estimate {
    /// The estimate from samples; `None` without samples or with a value that is not finite.
    #[must_use]
    pub fn from_samples(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let samples: Vec<f64> = samples.into_iter().collect();
        Some(Self {
            median: median(&samples)?,
            deviation: (samples.len() > 1)
                .then(|| median_absolute_deviation(&samples))
                .flatten(),
            interval: median_interval(&samples),
            samples,
        })
    }

    /// The interval of the median, else the range of the samples; `None` for one sample.
    #[must_use]
    pub fn spread(&self) -> Option<Spread> {
        let interval = self.interval.map(|(low, high)| Spread::Interval(low, high));
        interval.or_else(|| {
            let (low, high) = self.range();
            (self.samples.len() > 1).then_some(Spread::Range(low, high))
        })
    }

    /// Smallest and largest sample.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        self.samples
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), sample| {
                (low.min(*sample), high.max(*sample))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_samples() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[1.0, f64::NAN]), None);
        assert_eq!(
            median_absolute_deviation(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]),
            Some(1.0)
        );
    }

    #[test]
    fn an_outlier_does_not_move_the_middle() {
        let estimate = Estimate::from_samples([10.0, 11.0, 9.0, 10.0, 1000.0]).unwrap();
        assert_eq!(estimate.median, 10.0);
        assert_eq!(estimate.deviation, Some(1.0));
        assert_eq!(estimate.range(), (9.0, 1000.0));
    }

    #[test]
    fn one_sample_has_no_spread() {
        let estimate = Estimate::from_samples([5.0]).unwrap();
        assert_eq!((estimate.deviation, estimate.interval), (None, None));
        assert_eq!(estimate.spread(), None);
        assert_eq!(Estimate::from_samples([]), None);
    }

    #[test]
    fn few_samples_have_a_range_and_many_an_interval() {
        let of = |count: u32| {
            Estimate::from_samples((0..count).map(f64::from))
                .unwrap()
                .spread()
        };
        assert_eq!(of(2), Some(Spread::Range(0.0, 1.0)));
        assert_eq!(of(5), Some(Spread::Range(0.0, 4.0)));
        let Some(Spread::Interval(low, high)) = of(6) else {
            panic!("six samples have an interval");
        };
        assert!(
            (0.0..2.5).contains(&low) && (2.5..=5.0).contains(&high),
            "{low} {high}"
        );
    }

    #[test]
    fn pairs_are_divided_pair_by_pair() {
        assert_eq!(
            paired_ratios(&[2.0, 9.0, 5.0, 1.0], &[1.0, 3.0, 0.0]),
            vec![2.0, 3.0]
        );
    }
}
