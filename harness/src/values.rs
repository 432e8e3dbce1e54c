//! Lists as values of options: `--threads 1,2,4`. A run is made for each value, and all are in one record.

use std::fmt;

/// One value of an option, or several.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Values<T>(Vec<T>);

impl<T: Copy> Values<T> {
    /// The first, or only one.
    pub(crate) fn first(&self) -> T {
        self.0[0]
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.0.iter().copied()
    }

    /// Whether there are several.
    pub(crate) fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// As they are written, with commas between them.
    pub(crate) fn text(&self, write: impl Fn(T) -> String) -> String {
        self.iter().map(write).collect::<Vec<_>>().join(",")
    }
}

impl<T> From<T> for Values<T> {
    fn from(value: T) -> Self {
        Self(vec![value])
    }
}

/// The first value of an option, where it was given.
pub(crate) fn first<T: Copy>(values: &Option<Values<T>>) -> Option<T> {
    values.as_ref().map(Values::first)
}

/// A parser of lists, from one of single values.
pub(crate) fn list<T>(
    parse: fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<Values<T>, String> + Clone
where
    T: PartialEq + Clone + fmt::Debug + Send + Sync + 'static,
{
    move |text| {
        let mut values = Vec::new();
        for part in parts(text)? {
            let value = parse(part)?;
            if values.contains(&value) {
                return Err(format!("`{part}` is there twice"));
            }
            values.push(value);
        }
        Ok(Values(values))
    }
}

/// The parts of a list. A comma also groups the digits of one number, so that `1,200` could be both: that is refused.
pub(crate) fn parts(text: &str) -> Result<Vec<&str>, String> {
    let parts: Vec<&str> = text.split(',').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_group = |part: &&str| part.len() == 3 && is_number(part);
    if parts.len() > 1 && is_number(&parts[0]) && parts[0].len() <= 3 && parts[1..].iter().all(is_group) {
        return Err(format!(
            "`{text}` may be one number or several: write {} for one, or \"{}\" for several",
            parts.concat(),
            parts.join(", ")
        ));
    }
    if parts.len() > 1 && parts.iter().any(|part| part.trim().is_empty()) {
        return Err(format!("`{text}` has an empty place in its list"));
    }
    Ok(parts.into_iter().map(str::trim).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::parse_count;

    #[test]
    fn a_list_is_its_values_and_one_value_is_one() {
        let read = list(parse_count);
        assert_eq!(read("10k"), Ok(Values::from(10_000)));
        assert!(!read("10k").unwrap().are_several());
        let several = read("1,2,4").unwrap();
        assert!(several.are_several());
        assert_eq!(several.iter().collect::<Vec<_>>(), [1, 2, 4]);
        assert_eq!(several.text(|value| value.to_string()), "1,2,4");
        assert_eq!(read("100, 200").unwrap().iter().collect::<Vec<_>>(), [100, 200]);
        assert_eq!(read("1,128k,4").unwrap().iter().count(), 3);
    }

    #[test]
    fn what_may_be_one_number_or_several_is_refused_with_both_spellings() {
        let message = list(parse_count)("1,200").unwrap_err();
        assert!(
            message.contains("write 1200 for one") && message.contains("\"1, 200\""),
            "{message}"
        );
        for bad in ["1,,2", "1,", ",", "1,1", "1,x"] {
            assert!(list(parse_count)(bad).is_err(), "{bad}");
        }
    }
}
