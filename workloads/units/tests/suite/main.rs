//! What is printed is read back: exact figures as they were, rounded ones to the last digit that was printed.

use proptest::prelude::*;
use std::time::Duration;
use units::{
    bytes, count, duration, exact_duration, exact_size, number, parse_count, parse_duration, parse_number,
    parse_size, short,
};

/// Whole numbers of every magnitude.
fn any_magnitude() -> impl Strategy<Value = u64> {
    prop_oneof![
        (any::<u64>(), 0u32..64).prop_map(|(value, shift)| value >> shift),
        (0u64..5_000, 0u32..52).prop_map(|(value, shift)| value << shift),
    ]
}

/// Within half a unit of the third significant digit; of whole numbers of a smallest unit it is exact.
fn is_rounded(read: f64, value: f64) -> bool {
    (read - value).abs() <= value.abs() * 0.005_001
}

proptest! {
    #[test]
    fn exact_spellings_read_back(value in any_magnitude()) {
        prop_assert_eq!(parse_size(&exact_size(value)), Ok(value));
        let time = Duration::from_nanos(value);
        prop_assert_eq!(parse_duration(&exact_duration(time)), Ok(time));
        prop_assert_eq!(parse_count(&count(value)), Ok(value));
    }

    #[test]
    fn rounded_figures_read_back(value in any_magnitude()) {
        // What rounds up to 16 EiB, or to more nanoseconds than there are, is no 64-bit number.
        let value = value.min(u64::MAX / 1_024 * 1_020);
        let size = parse_size(&bytes(value)).unwrap();
        prop_assert!(is_rounded(size as f64, value as f64), "{} of {value}", bytes(value));
        prop_assert!(value >= 1024 || size == value);
        let ns = parse_duration(&duration(value)).unwrap().as_nanos();
        prop_assert!(is_rounded(ns as f64, value as f64), "{} of {value}", duration(value));
        prop_assert!(value >= 1000 || ns == u128::from(value));
    }

    #[test]
    fn numbers_read_back(mantissa in -1e3f64..1e3, power in -9i32..15) {
        let value = mantissa * 10f64.powi(power);
        for text in [number(value), short(value)] {
            let read = parse_number(&text).unwrap();
            // Below one: three decimals, five below a hundredth, and two digits of what is tiny.
            let step = match value.abs() {
                0.0..0.000_1 => value.abs() * 0.0501,
                0.000_1..0.01 => 0.000_005_1,
                _ => 0.000_51,
            };
            prop_assert!(is_rounded(read, value) || (read - value).abs() <= step, "{text} of {value}");
        }
    }
}
