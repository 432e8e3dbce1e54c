//! Figures as people read them, and the few divisions that records need. Nothing here turns "missing" into zero.

/// What tables and reports print for a figure that was not measured.
pub const MISSING: &str = "–";

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

/// A duration with a fitting unit and three digits, for instance `1.25 ms`.
#[must_use]
pub fn duration(ns: u64) -> String {
    let value = ns as f64;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..999_500 => format!("{} µs", digits(value / 1e3)),
        999_500..999_500_000 => format!("{} ms", digits(value / 1e6)),
        999_500_000..600_000_000_000 => format!("{} s", digits(value / 1e9)),
        _ => format!("{} min", digits(value / 60e9)),
    }
}

/// A size with a binary unit and three digits, for instance `1.25 MiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", digits(value), UNITS[unit])
}

/// A number with three significant digits below ten thousand and digit groups above, for instance `12,345`.
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

/// An optional figure through a formatter, or the missing mark.
pub fn or_missing<T>(value: Option<T>, format: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| MISSING.to_owned(), format)
}

/// Three significant digits without an exponent.
pub(crate) fn digits(value: f64) -> String {
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

/// Drops trailing zeros behind a decimal point.
pub(crate) fn trim(text: &str) -> &str {
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
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
            (3_600_000_000_000, "60.0 min"),
        ];
        for (ns, expected) in cases {
            assert_eq!(duration(ns), expected, "{ns} ns");
        }
    }

    #[test]
    fn sizes_use_binary_units() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1536), "1.50 KiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
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
    fn a_rate_without_time_is_missing() {
        assert_eq!(per_second(5, 0), None);
        assert_eq!(per_second(5, 2_500_000_000), Some(2.0));
    }
}
