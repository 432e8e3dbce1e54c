//! Sizes and durations as people write them, the same in specifications and on command lines, and counts: `64MiB`, `100 B`,
//! `10s`, `250ms`, `1m30s`, `100k`.
//!
//! Binary units (KiB, MiB, GiB, TiB) are powers of 1024 and decimal units (kB, MB, GB, TB) powers of 1000; a bare number
//! is bytes. Durations need a unit (ns, us, ms, s, m, h), because `10` could be seconds or milliseconds; only 0 has none.

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

/// Of counts in thousandths, so that `1.25k` is one and `1.5` is none.
const THOUSANDTHS: [(&str, u64); 4] = [
    ("G", 1_000_000_000_000),
    ("M", 1_000_000_000),
    ("k", 1_000_000),
    ("", 1_000),
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

/// A duration from text such as `10s`, `1.5m`, `250ms` or `1m30s`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    duration_ns(text.trim())
        .map(Duration::from_nanos)
        .ok_or_else(|| {
            format!(
                "`{text}` is not a duration; expected numbers with ns, us, ms, s, m or h, such as `10s`, `250ms` or `1m30s`"
            )
        })
}

fn duration_ns(mut rest: &str) -> Option<u64> {
    if rest == "0" {
        return Some(0);
    }
    let mut total = None;
    while !rest.is_empty() {
        // A number and its unit, up to the next number.
        let unit = rest.find(|c: char| c.is_alphabetic() || c.is_whitespace())?;
        let end = rest[unit..]
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .map_or(rest.len(), |after| unit + after);
        let part = parse(&rest[..end], &DURATION_UNITS)?;
        total = Some(part.checked_add(total.unwrap_or(0))?);
        rest = &rest[end..];
    }
    total
}

/// A count from text such as `100000`, `100_000`, `100k` or `1M`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse_count(text: &str) -> Result<u64, String> {
    let plain = text.replace(',', "");
    let is_number = plain.starts_with(|c: char| c.is_ascii_digit());
    parse(&plain, &THOUSANDTHS)
        .filter(|thousandths| is_number && thousandths.is_multiple_of(1000))
        .map(|thousandths| thousandths / 1000)
        .ok_or_else(|| format!("`{text}` is not a count; expected for instance 100000, 100k or 1M"))
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
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(
            parse_duration("1h 0.5m 3ms"),
            Ok(Duration::from_millis(3_630_003))
        );
        for (text, count) in [
            ("7", 7),
            ("10k", 10_000),
            ("1.5M", 1_500_000),
            ("1.25k", 1_250),
            ("1_000,000", 1_000_000),
        ] {
            assert_eq!(parse_count(text), Ok(count));
        }
    }

    #[test]
    fn what_is_no_size_or_duration_is_refused() {
        for text in ["", "MiB", "12 parsecs", "-1", "1..2", "99999999999TiB", "1e400"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        for text in ["", "many", "-1", "1x", "_1", "1.5", "99999999999999999M"] {
            assert!(parse_count(text).unwrap_err().contains("100k"), "{text}");
        }
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "10 years",
            "1m30",
            "1s-2ms",
            "1e99h",
            "99999999h9999999999999h",
        ] {
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
