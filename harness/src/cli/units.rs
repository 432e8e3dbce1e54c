//! Sizes and durations as people write them: `64MiB`, `1.5GiB`, `4096`, `10s`, `250ms`, `1m30s`.
//!
//! `KiB`, `MiB`, `GiB` are powers of 1024 and `kB`, `MB`, `GB` powers of 1000; a bare number is bytes. A duration
//! needs a unit, because `10` could be seconds or milliseconds.

use std::time::Duration;

const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// A size in bytes from text such as `64MiB`.
///
/// # Errors
/// Says what was given and which forms are accepted.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let expected = || format!("`{text}` is not a size; expected for instance 65536, 64KiB, 512MiB or 2GB");
    let trimmed = text.trim();
    let split = trimmed
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let number = number.replace('_', "");
    let factor = match unit.trim() {
        "" => 1,
        unit => SIZE_UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map(|(_, factor)| *factor)
            .ok_or_else(expected)?,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(expected);
    }
    let fraction: f64 = number.parse().map_err(|_| expected())?;
    let bytes = fraction * factor as f64;
    if bytes.is_finite() && (0.0..9.0e18).contains(&bytes) {
        Ok(bytes.round() as u64)
    } else {
        Err(expected())
    }
}

/// A duration from text such as `10s`, `250ms`, `2m` or `1m30s`.
///
/// # Errors
/// Says what was given and which forms are accepted.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("`{text}` is not a duration; expected for instance 10s, 250ms, 2m or 1m30s");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(expected());
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .ok_or_else(expected)?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let seconds_each = match unit.trim() {
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(expected()),
        };
        let number: f64 = number.parse().map_err(|_| expected())?;
        let part = Duration::try_from_secs_f64(number * seconds_each).map_err(|_| expected())?;
        total = total.checked_add(part).ok_or_else(expected)?;
        rest = next;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_binary_and_decimal_units() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("64 mib"), Ok(64 << 20));
        assert_eq!(parse_size("2GB"), Ok(2_000_000_000));
        assert_eq!(parse_size("1.5KiB"), Ok(1536));
        assert_eq!(parse_size("1_000"), Ok(1000));
    }

    #[test]
    fn sizes_that_make_no_sense_say_what_was_given() {
        for bad in ["", "MiB", "-1", "12furlongs", "1e400", "99999999999TiB"] {
            let message = parse_size(bad).unwrap_err();
            assert!(message.contains(&format!("`{bad}`")), "{message}");
        }
    }

    #[test]
    fn durations_need_a_unit_and_may_have_several_parts() {
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("0.5s"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        for bad in ["10", "", "s", "3 fortnights", "-2s", "1e99h"] {
            assert!(parse_duration(bad).is_err(), "`{bad}` was accepted");
        }
    }
}
