//! Sizes and durations as people write them: `64MiB`, `100 B`, `10s`, `250ms`.
//!
//! Binary units (KiB, MiB, GiB, TiB) are powers of 1024 and decimal units (kB, MB, GB, TB) powers of 1000; a bare number
//! is bytes. Durations need a unit: ns, us, ms, s, m, h.

use std::time::Duration;

const SIZE_UNITS: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
    ("", 1),
];

const DURATION_UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Bytes from text such as `64MiB`, `1.5 GiB` or `4096`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, &SIZE_UNITS).ok_or_else(|| {
        format!(
            "`{text}` is not a size; expected a number with B, kB, MB, GB, KiB, MiB or GiB, such as `64MiB`"
        )
    })
}

/// A duration from text such as `10s`, `1.5m` or `250ms`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    parse(text, &DURATION_UNITS)
        .map(Duration::from_nanos)
        .ok_or_else(|| {
            format!("`{text}` is not a duration; expected a number with ns, us, ms, s, m or h, such as `10s`")
        })
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number = number.replace('_', "");
    let unit = unit.trim();
    let factor = units
        .iter()
        .find(|&&(name, _)| name == unit)
        .or_else(|| {
            units
                .iter()
                .find(|&&(name, _)| !unit.is_empty() && name.eq_ignore_ascii_case(unit))
        })?
        .1;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let value = number.parse::<f64>().ok()? * factor as f64;
    (value.is_finite() && value >= 0.0 && value < u64::MAX as f64).then_some(value.round() as u64)
}

/// The shortest exact spelling of a number of bytes that [`parse_size`] reads back.
pub fn format_size(bytes: u64) -> String {
    format(bytes, &SIZE_UNITS[..9], "B")
}

/// The shortest exact spelling of a duration that [`parse_duration`] reads back.
pub fn format_duration(duration: Duration) -> String {
    let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    format(ns, &DURATION_UNITS[2..], "s")
}

fn format(value: u64, units: &[(&str, u64)], zero_unit: &str) -> String {
    match units
        .iter()
        .find(|&&(_, factor)| value > 0 && value.is_multiple_of(factor))
    {
        Some((unit, factor)) => format!("{}{unit}", value / factor),
        None => format!("{value}{zero_unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_and_durations_are_read_as_written() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("1.5 kib"), Ok(1536));
        assert_eq!(parse_size("10_000"), Ok(10_000));
        assert_eq!(parse_size("2GB"), Ok(2_000_000_000));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn what_is_no_size_or_duration_is_refused() {
        for text in ["", "MiB", "12 parsecs", "-1", "1..2", "99999999999TiB", "1e400"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        for text in ["", "10", "s", "-1s", "10 years"] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.contains("such as `10s`"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn spellings_read_back(value in prop_oneof![any::<u64>(), (0u64..5000).prop_map(|v| v << 20)]) {
            prop_assert_eq!(parse_size(&format_size(value)), Ok(value));
            let duration = Duration::from_nanos(value);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
