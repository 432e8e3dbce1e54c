//! Reading: every function gives a sentence that says what was expected.

use std::time::Duration;

use crate::unit::{DURATIONS, SIZES, THOUSANDTHS, Unit, find};

/// Bytes from text such as `64MiB`, `1.5 GiB` or `4096`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse_size(text: &str) -> Result<u64, String> {
    quantity(text, SIZES).and_then(narrow).ok_or_else(|| {
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

/// A count from text such as `100000`, `100_000`, `100k`, `1M` or `1e6`. A fraction of one is none.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse_count(text: &str) -> Result<u64, String> {
    power_of_ten(text.trim())
        .or_else(|| {
            quantity(text, THOUSANDTHS)
                .filter(|thousandths| thousandths.is_multiple_of(1000))
                .and_then(|thousandths| narrow(thousandths / 1000))
        })
        .ok_or_else(|| {
            format!("`{text}` is not a count; expected a whole number such as 100000, 100k, 1M or 1e6")
        })
}

/// A whole number written with a power of ten: `1e6`, `2.5e3`. Exact, where a float would round.
fn power_of_ten(text: &str) -> Option<u64> {
    let (digits, rest) = split(text)?;
    let exponent = rest.strip_prefix(['e', 'E'])?;
    let power: u32 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let fraction = fraction.trim_end_matches('0');
    // What is left behind the point would be a fraction of one.
    let power = power.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let digits: u64 = format!("0{whole}{fraction}").parse().ok()?;
    if digits == 0 {
        return Some(0);
    }
    digits.checked_mul(10_u64.checked_pow(power)?)
}

/// A number of any sign and size from text such as `0.396`, `-2.5`, `12,345` or `1.2 M`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse_number(text: &str) -> Result<f64, String> {
    number(text.trim())
        .filter(|value| value.is_finite())
        .ok_or_else(|| format!("`{text}` is not a number; expected for instance 0.5, 12,345 or 1.2M"))
}

fn number(text: &str) -> Option<f64> {
    if let Some(positive) = text.strip_prefix('-') {
        return number(positive.trim_start()).map(|value| -value);
    }
    let (digits, rest) = split(text)?;
    let value: f64 = digits.parse().ok()?;
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent: i32 = exponent.parse().ok()?;
        return format!("{digits}e{exponent}").parse().ok();
    }
    Some(value * (find(THOUSANDTHS, rest)?.factor / 1000) as f64)
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
        let part = narrow(quantity(&rest[..end], DURATIONS)?)?;
        total = Some(part.checked_add(total.unwrap_or(0))?);
        rest = &rest[end..];
    }
    total
}

/// A number with a unit, in the smallest unit.
fn quantity(text: &str, units: &[Unit]) -> Option<u128> {
    let (digits, unit) = split(text.trim())?;
    let factor = find(units, unit)?.factor;
    if let Ok(whole) = digits.parse::<u64>() {
        return Some(u128::from(whole) * u128::from(factor));
    }
    let value = digits.parse::<f64>().ok()? * factor as f64;
    (value < u128::MAX as f64).then_some(value.round() as u128)
}

fn narrow(value: u128) -> Option<u64> {
    u64::try_from(value).ok()
}

/// The number at the start of a text, without what groups its digits, and what follows it.
fn split(text: &str) -> Option<(String, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '_' | ','))
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    // A comma stands before three digits and never behind the point: `1,5` means one and a half elsewhere.
    let is_group = |group: &str| {
        let whole = group.split('.').next().unwrap_or_default();
        whole.len() == 3 && whole.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_behind = |comma: usize| number[..comma].contains('.');
    let well_grouped = number.split(',').skip(1).all(is_group) && !number.rfind(',').is_some_and(is_behind);
    (number.starts_with(|c: char| c.is_ascii_digit() || c == '.') && well_grouped)
        .then(|| (number.replace(['_', ','], ""), rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read_as_written() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("1.5 kib"), Ok(1536));
        assert_eq!(parse_size("10_000"), Ok(10_000));
        assert_eq!(parse_size("10,000 B"), Ok(10_000));
        assert_eq!(parse_size("2GB"), Ok(2_000_000_000));
        assert_eq!(parse_size("2 EiB"), Ok(2 << 60));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1.5 min"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        for micro in ["7us", "7 µs", "7μs", "7US"] {
            assert_eq!(parse_duration(micro), Ok(Duration::from_micros(7)), "{micro}");
        }
        assert_eq!(
            parse_duration("1h 0.5m 3ms"),
            Ok(Duration::from_millis(3_630_003))
        );
        for (text, count) in [
            ("7", 7),
            ("10k", 10_000),
            ("1.5M", 1_500_000),
            ("1.25k", 1_250),
            ("1.2 M", 1_200_000),
            ("1_000,000", 1_000_000),
            ("1e6", 1_000_000),
            ("2.50E3", 2_500),
            ("1e+2", 100),
            ("0e9", 0),
            ("18446744073709551615e0", u64::MAX),
        ] {
            assert_eq!(parse_count(text), Ok(count), "{text}");
        }
        for (text, number) in [
            ("-2.50", -2.5),
            ("5.0e-5", 5e-5),
            ("20k", 2e4),
            ("1,234.5", 1234.5),
        ] {
            assert_eq!(parse_number(text), Ok(number));
        }
    }

    #[test]
    fn what_is_no_size_duration_or_number_is_refused() {
        for text in [
            "",
            "MiB",
            "12 parsecs",
            "-1",
            "1..2",
            "99999999999TiB",
            "1e400",
            "1,5 GiB",
            "1.5,000",
            "1,",
            ",100",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        for text in [
            "",
            "many",
            "-1",
            "1x",
            "_1",
            "1.5",
            "1,0",
            "99999999999999999M",
            "1e",
            "1.5e0",
            "1e-1",
            "1e20",
            "2e19",
            "1e99999999999",
        ] {
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
        for text in ["", "-", "–", "NaN", "inf", "1e999", "1e", "k", "1,2"] {
            assert!(parse_number(text).unwrap_err().contains("12,345"), "{text}");
        }
    }
}
