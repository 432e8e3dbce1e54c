//! Statistics over repetitions. Few repetitions and skewed distributions are the rule, so: medians, median absolute
//! deviations and bootstrap intervals; never a mean with a standard deviation, and never a dispersion made into a rate.

mod bootstrap;
mod estimate;
mod latencies;

pub use bootstrap::{INTERVAL_SAMPLES_MIN, median_interval};
pub use estimate::{Estimate, Spread, median, median_absolute_deviation, paired_ratios};
pub use latencies::{merge, merged_summary};
