//! The few divisions that records need.

/// Events each second; `None` when no time passed.
#[must_use]
pub fn per_second(events: u64, duration_ns: u64) -> Option<f64> {
    quotient(events, duration_ns).map(|per_ns| per_ns * 1e9)
}

/// A quotient of counts; `None` when the divisor is zero.
#[must_use]
pub fn quotient(dividend: u64, divisor: u64) -> Option<f64> {
    (divisor > 0).then(|| dividend as f64 / divisor as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_without_time_is_missing() {
        assert_eq!(per_second(5, 0), None);
        assert_eq!(per_second(5, 2_500_000_000), Some(2.0));
    }
}
