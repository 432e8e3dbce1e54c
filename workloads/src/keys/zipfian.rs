//! Zipf-distributed ranks in constant time, and exactly.
//!
//! Rank `i` (from 0) of `n` is drawn with probability `1 / ((i + 1)^theta * zeta(n, theta))`, by rejection from the inverted
//! integral: Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions", ACM
//! TOMACS 6(3), 1996. A draw from the continuous distribution `x^-theta` is rounded to a whole number, and the little that
//! this is too often is rejected, so that most draws need one look at the generator.
//!
//! The method that YCSB uses (Gray et al., "Quickly Generating Billion-Record Synthetic Databases", SIGMOD 1994) draws from the
//! same distribution approximately: its ranks 2 to 9 together come out up to a twelfth too often. It also needs the sum
//! `zeta(n, theta)`, which this one does not.

use crate::random::Random;

/// Draws ranks in `0..n`, small ranks most often.
#[derive(Clone, Debug, PartialEq)]
pub struct Zipfian {
    n: u64,
    theta: f64,
    /// The integral up to 1.5, less the probability mass of the first rank: where draws begin.
    from: f64,
    /// The integral up to `n + 0.5`: where they end.
    to: f64,
    /// How far below the whole number that it is rounded to a draw may lie and be accepted without a closer look.
    shortcut: f64,
}

impl Zipfian {
    /// Ranks in `0..n`, `n` at least 1, with skew `0 < theta < 1` (YCSB uses 0.99).
    pub fn new(n: u64, theta: f64) -> Self {
        assert!(
            n > 0 && theta > 0.0 && theta < 1.0,
            "the spec was checked: n = {n}, theta = {theta}"
        );
        let mut zipfian = Zipfian {
            n,
            theta,
            from: 0.0,
            to: 0.0,
            shortcut: 0.0,
        };
        zipfian.from = zipfian.integral(1.5) - 1.0;
        zipfian.to = zipfian.integral(n as f64 + 0.5);
        zipfian.shortcut = 2.0 - zipfian.inverse(zipfian.integral(2.5) - zipfian.weight(2.0));
        zipfian
    }

    /// Makes room for ranks up to `n`; does nothing if there are as many already.
    #[inline]
    pub fn grow(&mut self, n: u64) {
        if n > self.n {
            self.n = n;
            self.to = self.integral(n as f64 + 0.5);
        }
    }

    /// The next rank.
    #[inline]
    pub fn rank(&self, random: &mut Random) -> u64 {
        loop {
            // Above `from`, so that the first rank has its whole weight.
            let u = self.to + random.unit() * (self.from - self.to);
            let x = self.inverse(u);
            let k = x.round().clamp(1.0, self.n as f64);
            if k - x <= self.shortcut || u >= self.integral(k + 0.5) - self.weight(k) {
                return k as u64 - 1;
            }
        }
    }

    /// How often `x` is drawn, relative to the weight of 1.
    fn weight(&self, x: f64) -> f64 {
        x.powf(-self.theta)
    }

    /// The integral of the weight from 1 to `x`: `(x^(1 - theta) - 1) / (1 - theta)`.
    fn integral(&self, x: f64) -> f64 {
        let rest = 1.0 - self.theta;
        (rest * x.ln()).exp_m1() / rest
    }

    /// The `x` of which `y` is the integral.
    #[inline]
    fn inverse(&self, y: f64) -> f64 {
        let rest = 1.0 - self.theta;
        ((rest * y).ln_1p() / rest).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The probability of each of `n` ranks, by the closed form.
    fn probabilities(n: u64, theta: f64) -> Vec<f64> {
        let weights: Vec<f64> = (1..=n).map(|i| (i as f64).powf(-theta)).collect();
        let zeta: f64 = weights.iter().rev().sum();
        weights.into_iter().map(|weight| weight / zeta).collect()
    }

    /// Draws, and compares how often each of the first ranks, and each block of the others, was drawn with the closed form:
    /// each within five standard deviations of a binomial count.
    fn check(zipfian: &Zipfian, draws: u64) {
        let expected = probabilities(zipfian.n, zipfian.theta);
        let mut counts = vec![0_u64; expected.len()];
        let mut random = Random::new(11, 0);
        for _ in 0..draws {
            counts[zipfian.rank(&mut random) as usize] += 1;
        }
        let mut begin = 0;
        while begin < counts.len() {
            let end = if begin < 20 { begin + 1 } else { begin * 2 }.min(counts.len());
            let counted: u64 = counts[begin..end].iter().sum();
            let share: f64 = expected[begin..end].iter().sum();
            let mean = share * draws as f64;
            let deviation = (mean * (1.0 - share)).max(0.0).sqrt();
            assert!(
                (counted as f64 - mean).abs() <= 5.0 * deviation + 1e-6 * mean,
                "theta {} of {} ranks, {begin}..{end}: {counted} of {draws}, expected {mean:.0}",
                zipfian.theta,
                zipfian.n
            );
            begin = end;
        }
    }

    #[test]
    fn every_rank_is_drawn_as_often_as_the_formula_says() {
        for theta in [0.01, 0.5, 0.9, 0.99, 0.999_999] {
            for n in [1, 2, 3, 10, 1000] {
                check(&Zipfian::new(n, theta), 1_000_000);
            }
        }
        check(&Zipfian::new(1_000_000, 0.99), 3_000_000);
    }

    #[test]
    fn growing_is_the_same_as_starting_large() {
        let mut grown = Zipfian::new(10, 0.8);
        for n in [11, 12, 500, 5000, 5001] {
            grown.grow(n);
        }
        grown.grow(3);
        assert_eq!(grown, Zipfian::new(5001, 0.8));
        check(&grown, 1_000_000);
    }

    #[test]
    fn ranks_of_huge_tables_stay_inside() {
        for n in [u64::from(u32::MAX), 1 << 50] {
            let zipfian = Zipfian::new(n, 0.99);
            let mut random = Random::new(3, 0);
            let ranks: Vec<u64> = (0..100_000).map(|_| zipfian.rank(&mut random)).collect();
            assert!(ranks.iter().all(|&rank| rank < n));
            assert!(ranks.iter().any(|&rank| rank > n / 2), "the far end is reached");
        }
    }
}
