//! What reading the monotonic clock costs: the floor of every measured latency.

use std::time::Instant;

/// Cost of one reading of the monotonic clock, in nanoseconds: the smallest mean of a few short series.
pub(crate) fn clock_read_ns() -> u64 {
    const READS: u32 = 1000;
    let series = || {
        let begun = Instant::now();
        for _ in 0..READS {
            std::hint::black_box(Instant::now());
        }
        begun.elapsed() / READS
    };
    (0..5).map(|_| series().as_nanos() as u64).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_cost_is_a_mean_of_real_readings() {
        assert!(super::clock_read_ns() < 1_000_000);
    }
}
