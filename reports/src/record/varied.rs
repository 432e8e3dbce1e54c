//! What differs between the measurements of one run that was made for several values of its options.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// An option that has several values in a run, with the one of this measurement.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Varied {
    /// The option: `threads`, `rows`, `value-size`, `cache-size`, `rate`, or a setting of an engine, for instance
    /// `palimpsest.page-size`.
    pub name: String,
    /// Its value as a person writes it, for instance `64MiB`.
    pub value: String,
    /// Its value as a number, sizes in bytes and times in nanoseconds; `null` for words.
    #[serde(default)]
    pub number: Option<f64>,
}

impl Varied {
    /// An option with a value; its number is read from what it says.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        let value = value.into();
        let whole = |read: Result<u64, String>| read.ok().map(|value| value as f64);
        let number = units::parse_number(&value)
            .ok()
            .or_else(|| whole(units::parse_size(&value)))
            .or_else(|| {
                let time = units::parse_duration(&value).ok()?;
                Some(time.as_nanos() as f64)
            });
        Self {
            name: name.into(),
            value,
            number,
        }
    }

    /// The engine of what [`Varied::words`] made.
    #[must_use]
    pub fn engine(case: &str) -> &str {
        case.split(", ").next().unwrap_or(case)
    }

    /// An engine with all of them in words: `palimpsest, threads 4, page-size 8KiB`.
    #[must_use]
    pub fn words<'a>(engine: &str, varied: impl IntoIterator<Item = &'a Self>) -> String {
        let mut words = engine.to_owned();
        for one in varied {
            let name = one
                .name
                .strip_prefix(engine)
                .and_then(|name| name.strip_prefix('.'));
            // Writing to a string cannot fail.
            let _ = write!(words, ", {} {}", name.unwrap_or(&one.name), one.value);
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_counts_sizes_and_times_and_words_have_none() {
        for (value, number) in [
            ("4", Some(4.0)),
            ("100k", Some(100_000.0)),
            ("64MiB", Some(67_108_864.0)),
            ("250ms", Some(250e6)),
            ("direct", None),
        ] {
            assert_eq!(Varied::new("x", value).number, number, "{value}");
        }
        let both = [Varied::new("threads", "4"), Varied::new("a.page-size", "8KiB")];
        assert_eq!(Varied::words("a", &both), "a, threads 4, page-size 8KiB");
        assert_eq!(Varied::engine(&Varied::words("a", &both)), "a");
    }
}
