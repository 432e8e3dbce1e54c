//! Printing: rounded for people, exact for what is read back.

use std::time::Duration;

use crate::unit::{DURATIONS, SIZES, Unit};

/// What tables and reports print for a figure that was not measured.
pub const MISSING: &str = "–";

/// An optional figure through a formatter, or the missing mark.
pub fn or_missing<T>(value: Option<T>, format: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| MISSING.to_owned(), format)
}

/// A duration with a fitting unit and three digits, for instance `1.25 ms`.
#[must_use]
pub fn duration(ns: u64) -> String {
    rounded(ns, DURATIONS)
}

/// A size with a binary unit and three digits, for instance `1.25 MiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    rounded(bytes, SIZES)
}

fn rounded(value: u64, units: &[Unit]) -> String {
    let fits = |unit: &&Unit| unit.from.is_some_and(|from| value >= from);
    match units.iter().find(fits) {
        Some(unit) if unit.factor > 1 => {
            format!("{} {}", digits(value as f64 / unit.factor as f64), unit.name)
        }
        unit => format!("{value} {}", unit.map_or("", |unit| unit.name)),
    }
}

/// The shortest exact spelling of a number of bytes, for instance `64MiB`.
#[must_use]
pub fn exact_size(bytes: u64) -> String {
    exact(bytes, SIZES)
}

/// The shortest exact spelling of a duration in seconds or less, for instance `90s` or `250ms`.
#[must_use]
pub fn exact_duration(duration: Duration) -> String {
    let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    match ns {
        0 => "0s".to_owned(),
        _ => exact(ns, &DURATIONS[2..]),
    }
}

fn exact(value: u64, units: &[Unit]) -> String {
    let divides = |unit: &&Unit| unit.factor == 1 || (value > 0 && value.is_multiple_of(unit.factor));
    let unit = units.iter().find(divides);
    unit.map_or_else(
        || value.to_string(),
        |unit| format!("{}{}", value / unit.factor, unit.name),
    )
}

/// A number with three significant digits below a thousand and digit groups above, for instance `12,345`.
#[must_use]
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    if value < 0.0 {
        return format!("-{}", number(-value));
    }
    if value >= 999.5 {
        return count(value.round() as u64);
    }
    digits(value)
}

/// A whole number with its digits in groups of three, separated by commas.
#[must_use]
pub fn count(value: u64) -> String {
    let plain = value.to_string();
    let mut grouped = String::with_capacity(plain.len() + plain.len() / 3);
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A rate with a metric prefix, short enough for an axis: `1.2 M`, `340 k`, `12`.
#[must_use]
pub fn short(value: f64) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    let size = value.abs();
    let (scaled, prefix) = if size >= 999.5e6 {
        (value / 1e9, " G")
    } else if size >= 999.5e3 {
        (value / 1e6, " M")
    } else if size >= 999.5 {
        (value / 1e3, " k")
    } else {
        (value, "")
    };
    format!("{}{prefix}", trim(&digits(scaled)))
}

/// Three significant digits without an exponent; with one where the number is tiny.
fn digits(value: f64) -> String {
    let size = value.abs();
    if size >= 99.95 || value == 0.0 {
        format!("{value:.0}")
    } else if size >= 9.995 {
        format!("{value:.1}")
    } else if size >= 0.9995 {
        format!("{value:.2}")
    } else if size >= 0.009_995 {
        format!("{value:.3}")
    } else if size >= 0.000_1 {
        format!("{value:.5}")
    } else {
        format!("{value:.1e}")
    }
}

/// Drops zeros behind the point of a number, also of one with a unit: `1.50 ms` becomes `1.5 ms`.
#[must_use]
pub fn trim(text: &str) -> String {
    let (number, unit) = text.split_at(text.find(' ').unwrap_or(text.len()));
    if number.contains('.') && !number.contains('e') {
        let number = number.trim_end_matches('0').trim_end_matches('.');
        format!("{number}{unit}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_three_digits_across_units() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (12_345, "12.3 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (1_250_000, "1.25 ms"),
            (10_000_000_000, "10.0 s"),
            (599_999_999_999, "600 s"),
            (3_600_000_000_000, "60.0 min"),
        ];
        for (ns, expected) in cases {
            assert_eq!(duration(ns), expected, "{ns} ns");
        }
    }

    #[test]
    fn sizes_use_binary_units() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.50 KiB"),
            (1_023_487, "999 KiB"),
            (1_023_488, "0.976 MiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (size, expected) in cases {
            assert_eq!(bytes(size), expected, "{size} bytes");
        }
    }

    #[test]
    fn numbers_are_grouped_and_never_invented() {
        assert_eq!(number(1_234_567.4), "1,234,567");
        assert_eq!(number(0.0), "0");
        assert_eq!(number(-2.5), "-2.50");
        assert_eq!(number(0.3964), "0.396");
        assert_eq!(number(9.999), "10.0");
        assert_eq!(number(0.9999), "1.00");
        assert_eq!(number(f64::NAN), MISSING);
        assert_eq!(short(1_500_000.0), "1.5 M");
        assert_eq!(short(20_000.0), "20 k");
        assert_eq!(or_missing(None, number), MISSING);
    }

    #[test]
    fn exact_spellings_are_one_word() {
        assert_eq!(exact_size(64 << 20), "64MiB");
        assert_eq!(exact_size(10_000), "10kB");
        assert_eq!(exact_size(0), "0B");
        assert_eq!(exact_duration(Duration::from_secs(90)), "90s");
        assert_eq!(exact_duration(Duration::from_micros(1_500)), "1500µs");
        assert_eq!(exact_duration(Duration::ZERO), "0s");
    }

    #[test]
    fn zeros_behind_the_point_are_dropped_with_and_without_a_unit() {
        for (text, expected) in [
            ("1.50 ms", "1.5 ms"),
            ("2.00 MiB", "2 MiB"),
            ("100", "100"),
            ("1.0e-5", "1.0e-5"),
        ] {
            assert_eq!(trim(text), expected);
        }
    }
}
