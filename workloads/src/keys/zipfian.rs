//! Zipf-distributed ranks in constant time.
//!
//! Rank `i` (from 0) of `n` is drawn with probability `1 / ((i + 1)^theta * zeta(n, theta))`, by the method of Gray,
//! Sundaresan, Englert, Baclawski and Weinberger, "Quickly Generating Billion-Record Synthetic Databases", SIGMOD
//! 1994, section 3.2, which YCSB uses too: exact for ranks 0 and 1, a continuous approximation above (ranks 2 to 9
//! together come out up to a twelfth too often). It is kept as it is, so that results compare with YCSB's.
//!
//! `zeta(n, theta)` is summed exactly up to a million terms; beyond, the Euler-Maclaurin formula gives the rest to
//! machine precision. Growing `n` by a few adds the new terms only.

/// Draws ranks in `0..n`, small ranks most often.
#[derive(Clone, Debug, PartialEq)]
pub struct Zipfian {
    n: u64,
    theta: f64,
    zeta_n: f64,
    zeta_2: f64,
    alpha: f64,
    eta: f64,
}

/// Terms that are summed one by one before the Euler-Maclaurin formula takes over.
const EXACT_TERMS: u64 = 1_000_000;

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
            zeta_n: zeta(n, theta),
            zeta_2: 1.0 + 0.5f64.powf(theta),
            alpha: 1.0 / (1.0 - theta),
            eta: 0.0,
        };
        zipfian.set_eta();
        zipfian
    }

    fn set_eta(&mut self) {
        // With one or two ranks the two exact branches of `rank` answer every draw.
        self.eta = if self.n > 2 {
            (1.0 - (2.0 / self.n as f64).powf(1.0 - self.theta)) / (1.0 - self.zeta_2 / self.zeta_n)
        } else {
            0.0
        };
    }

    /// The number of ranks.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Makes room for ranks up to `n`; does nothing if there are as many already.
    #[inline]
    pub fn grow(&mut self, n: u64) {
        if n <= self.n {
            return;
        }
        if n - self.n > EXACT_TERMS {
            self.zeta_n = zeta(n, self.theta);
        } else {
            self.zeta_n += (self.n + 1..=n)
                .map(|i| (i as f64).powf(-self.theta))
                .sum::<f64>();
        }
        self.n = n;
        self.set_eta();
    }

    /// The rank for a uniform draw `unit` in `[0, 1)`.
    #[inline]
    pub fn rank(&self, unit: f64) -> u64 {
        let target = unit * self.zeta_n;
        if target < 1.0 || self.n == 1 {
            return 0;
        }
        if target < self.zeta_2 || self.n == 2 {
            return 1;
        }
        let rank = (self.n as f64 * (self.eta * unit - self.eta + 1.0).powf(self.alpha)) as u64;
        rank.min(self.n - 1)
    }

    /// The exact probability of `rank` under the distribution that is approximated.
    pub fn probability(&self, rank: u64) -> f64 {
        ((rank + 1) as f64).powf(-self.theta) / self.zeta_n
    }
}

/// The sum of `i^-theta` for `i` from 1 to `n`.
fn zeta(n: u64, theta: f64) -> f64 {
    let exact = n.min(EXACT_TERMS);
    // From small terms to large ones, so that rounding stays small.
    let head: f64 = (1..=exact).rev().map(|i| (i as f64).powf(-theta)).sum();
    if n == exact {
        return head;
    }
    let (a, b) = (exact as f64, n as f64);
    let integral = (b.powf(1.0 - theta) - a.powf(1.0 - theta)) / (1.0 - theta);
    let ends = (b.powf(-theta) - a.powf(-theta)) / 2.0;
    let slope = -theta * (b.powf(-theta - 1.0) - a.powf(-theta - 1.0)) / 12.0;
    head + integral + ends + slope
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn zeta_by_formula_agrees_with_the_sum() {
        let theta = 0.99;
        let n = EXACT_TERMS + 50_000;
        let sum: f64 = (1..=n).rev().map(|i| (i as f64).powf(-theta)).sum();
        assert!(
            (zeta(n, theta) - sum).abs() < 1e-9 * sum,
            "{} {sum}",
            zeta(n, theta)
        );
    }

    #[test]
    fn growing_agrees_with_starting_large() {
        let mut grown = Zipfian::new(10, 0.8);
        for n in [11, 12, 500, 5000, 5001] {
            grown.grow(n);
        }
        grown.grow(3);
        let fresh = Zipfian::new(5001, 0.8);
        assert_eq!(grown.n(), 5001);
        assert!((grown.zeta_n - fresh.zeta_n).abs() < 1e-9);
        assert!((grown.eta - fresh.eta).abs() < 1e-9);
    }

    #[test]
    fn frequencies_follow_the_distribution() {
        for theta in [0.5, 0.99] {
            let zipfian = Zipfian::new(1000, theta);
            let mut random = Random::new(11, 0);
            let draws = 1_000_000;
            let mut counts = vec![0u64; 1000];
            for _ in 0..draws {
                counts[zipfian.rank(random.unit()) as usize] += 1;
            }
            // Ranks 0 and 1 are exact: five standard deviations of a binomial count.
            for rank in 0..2 {
                let expected = zipfian.probability(rank) * draws as f64;
                let off = (counts[rank as usize] as f64 - expected).abs();
                assert!(
                    off < 5.0 * expected.sqrt(),
                    "theta {theta} rank {rank}: {off} off {expected}"
                );
            }
            // Above, the method is approximate: blocks of ranks within a tenth of their mass.
            for block in [2..10u64, 10..100, 100..500, 500..1000] {
                let expected: f64 = block.clone().map(|r| zipfian.probability(r)).sum::<f64>() * draws as f64;
                let counted: u64 = block.clone().map(|r| counts[r as usize]).sum();
                let ratio = counted as f64 / expected;
                assert!(
                    (0.9..1.1).contains(&ratio),
                    "theta {theta} ranks {block:?}: {ratio}"
                );
            }
        }
    }

    #[test]
    fn tiny_and_extreme_cases_stay_in_range() {
        for n in [1, 2, 3, 4] {
            let zipfian = Zipfian::new(n, 0.99);
            let top = (0..=1000)
                .map(|i| zipfian.rank(f64::from(i) / 1000.0 * 0.999_999))
                .max()
                .unwrap();
            assert_eq!(top, n - 1, "every rank is reached and none beyond");
        }
    }
}
