//! A predicate over JSON: `operand comparison operand`.
//!
//! | operand | meaning |
//! |---|---|
//! | `a.b[0].c` | the value at a path; `[*]` stands for every element of an array |
//! | `sum(p)`, `min(p)`, `max(p)` | over the numbers at a path; missing when there are none |
//! | `count(p)` | elements of the array at a path, or values at a path with `[*]` |
//! | `12`, `-0.5`, `1_000` | a number |
//! | `'text'`, `true`, `false` | a string or a boolean |
//!
//! Comparisons are `== != < <= > >=`. Numbers compare as floats: thresholds need no more. A value that is null,
//! absent or the word `not_run` is missing, and a comparison with it is [`Truth::Missing`], neither true nor false.

use crate::record::level_name;
use serde_json::Value;
use std::cmp::Ordering;
use std::str::FromStr;

/// What a predicate says about a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// A figure it needs was not measured: its path.
    Missing(String),
}

/// Why a predicate could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {message}")]
pub struct ExpressionError {
    /// The whole predicate.
    text: String,
    /// What is wrong with it.
    message: String,
}

/// A comparison of two operands.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    text: String,
    left: Operand,
    comparison: Comparison,
    right: Operand,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Fields that hold names of levels, which have more than one spelling.
const LEVELS: [&str; 2] = ["durability", "isolation"];

/// Longest spelling first, so that `<=` is not read as `<`.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Literal(Value),
    Reduced(Reducer, Path),
    Plain(Path),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reducer {
    Sum,
    Min,
    Max,
    Count,
}

/// A path into JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(usize),
    Each,
}

impl Predicate {
    /// Applies the predicate to a value.
    #[must_use]
    pub fn apply(&self, root: &Value) -> Truth {
        let (left, right) = match (self.left.value(root), self.right.value(root)) {
            (Ok(left), Ok(right)) => (left, right),
            (Err(path), _) | (_, Err(path)) => return Truth::Missing(path),
        };
        let holds = match self.comparison {
            Comparison::Equal => compare(&left, &right) == Some(Ordering::Equal),
            Comparison::NotEqual => compare(&left, &right) != Some(Ordering::Equal),
            Comparison::Less => compare(&left, &right) == Some(Ordering::Less),
            Comparison::Greater => compare(&left, &right) == Some(Ordering::Greater),
            Comparison::LessOrEqual => compare(&left, &right).is_some_and(Ordering::is_le),
            Comparison::GreaterOrEqual => compare(&left, &right).is_some_and(Ordering::is_ge),
        };
        if holds { Truth::True } else { Truth::False }
    }

    /// The predicate as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl FromStr for Predicate {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        let fail = |message: String| ExpressionError {
            text: text.to_owned(),
            message,
        };
        let (at, spelling, comparison) = find_comparison(text)
            .ok_or_else(|| fail("expected a comparison: one of == != < <= > >=".to_owned()))?;
        let left = Operand::parse(text[..at].trim()).map_err(&fail)?;
        let right = Operand::parse(text[at + spelling.len()..].trim()).map_err(&fail)?;
        let (left, right) = (left.as_level_of(&right), right.as_level_of(&left));
        Ok(Self {
            text: text.to_owned(),
            left,
            comparison,
            right,
        })
    }
}

/// The first comparison outside quotes.
fn find_comparison(text: &str) -> Option<(usize, &'static str, Comparison)> {
    let mut quoted = false;
    for (at, letter) in text.char_indices() {
        if letter == '\'' {
            quoted = !quoted;
        }
        if quoted {
            continue;
        }
        for (spelling, comparison) in COMPARISONS {
            if text[at..].starts_with(spelling) {
                return Some((at, spelling, comparison));
            }
        }
    }
    None
}

/// Order of two values of one kind; `None` when their kinds differ.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

impl Operand {
    /// A text that is compared with a field of levels, in the spelling that records have.
    fn as_level_of(&self, other: &Self) -> Self {
        let Self::Plain(path) = other else {
            return self.clone();
        };
        match (path.steps.last(), self) {
            (Some(Step::Field(field)), Self::Literal(Value::String(text)))
                if LEVELS.contains(&field.as_str()) =>
            {
                Self::Literal(Value::String(level_name(text)))
            }
            _ => self.clone(),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an operand is missing".to_owned());
        }
        if let Some(quoted) = text.strip_prefix('\'') {
            let inner = quoted
                .strip_suffix('\'')
                .filter(|inner| !inner.contains('\''))
                .ok_or_else(|| format!("unfinished string {text}"))?;
            return Ok(Self::Literal(Value::from(inner)));
        }
        if let "true" | "false" = text {
            return Ok(Self::Literal(Value::from(text == "true")));
        }
        if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            let number: f64 = text
                .replace('_', "")
                .parse()
                .map_err(|_| format!("`{text}` is not a number"))?;
            return Ok(Self::Literal(Value::from(number)));
        }
        if let Some((name, rest)) = text.split_once('(') {
            let reducer = match name {
                "sum" => Reducer::Sum,
                "min" => Reducer::Min,
                "max" => Reducer::Max,
                "count" => Reducer::Count,
                _ => {
                    return Err(format!(
                        "unknown function `{name}`; there are sum, min, max and count"
                    ));
                }
            };
            let path = rest
                .strip_suffix(')')
                .ok_or_else(|| format!("`{text}` lacks its closing bracket"))?;
            return Ok(Self::Reduced(reducer, Path::parse(path.trim())?));
        }
        let path = Path::parse(text)?;
        if path.has_each() {
            return Err(format!(
                "`{text}` stands for many values; put it into sum, min, max or count"
            ));
        }
        Ok(Self::Plain(path))
    }

    /// The operand's value, or the path that is missing.
    fn value(&self, root: &Value) -> Result<Value, String> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Plain(path) => path.first(root).cloned().ok_or_else(|| path.text.clone()),
            Self::Reduced(reducer, path) => reducer.apply(path, root).ok_or_else(|| path.text.clone()),
        }
    }
}

impl Reducer {
    fn apply(self, path: &Path, root: &Value) -> Option<Value> {
        if self == Self::Count {
            if path.has_each() {
                return Some(Value::from(path.all(root).len()));
            }
            return path.first(root)?.as_array().map(|array| Value::from(array.len()));
        }
        let numbers: Vec<f64> = path.all(root).into_iter().filter_map(Value::as_f64).collect();
        if numbers.is_empty() {
            return None;
        }
        Some(Value::from(match self {
            Self::Sum => numbers.iter().sum(),
            Self::Min => numbers.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Max | Self::Count => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }))
    }
}

impl Path {
    /// Reads a path such as `measurements[*].engine_stats.flushes`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (name, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(format!("`{part}` in `{text}` is not a field name"));
            }
            steps.push(Step::Field(name.to_owned()));
            while !rest.is_empty() {
                let (index, after) = rest
                    .strip_prefix('[')
                    .and_then(|rest| rest.split_once(']'))
                    .ok_or_else(|| format!("`{part}` in `{text}` lacks a closing bracket"))?;
                steps.push(match index {
                    "*" => Step::Each,
                    number => Step::Index(
                        number
                            .parse()
                            .map_err(|_| format!("`[{number}]` in `{text}` is neither an index nor [*]"))?,
                    ),
                });
                rest = after;
            }
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }

    fn has_each(&self) -> bool {
        self.steps.contains(&Step::Each)
    }

    /// All present values at the path.
    pub(crate) fn all<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        let mut values = vec![root];
        for step in &self.steps {
            values = match step {
                Step::Field(name) => values.into_iter().filter_map(|value| value.get(name)).collect(),
                Step::Index(index) => values.into_iter().filter_map(|value| value.get(index)).collect(),
                Step::Each => values.into_iter().filter_map(Value::as_array).flatten().collect(),
            };
        }
        values.retain(|value| !value.is_null() && value.as_str() != Some("not_run"));
        values
    }

    /// The first present value at the path.
    pub(crate) fn first<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.all(root).into_iter().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn truth(text: &str) -> Truth {
        let root = json!({
            "a": {"b": 3, "none": null, "state": "not_run", "name": "x<=y"},
            "list": [{"n": 1}, {"n": null}, {"n": 4.5}],
            "empty": [],
            "flag": true,
        });
        text.parse::<Predicate>()
            .unwrap_or_else(|error| panic!("{error}"))
            .apply(&root)
    }

    #[test]
    fn comparisons_of_present_values_are_decided() {
        for text in [
            "a.b == 3",
            "a.b >= 3",
            "a.b < 3.5",
            "a.b != 4",
            "a.b > -1_000",
            "list[2].n == 4.5",
            "sum(list[*].n) == 5.5",
            "min(list[*].n) == 1",
            "max(list[*].n) == 4.5",
            "count(list) == 3",
            "count(list[*].n) == 2",
            "count(empty) == 0",
            "a.name == 'x<=y'",
            "flag == true",
            "a.b <= sum(list[*].n)",
        ] {
            assert_eq!(truth(text), Truth::True, "{text}");
        }
        for text in [
            "a.b == 4",
            "a.b == '3'",
            "a.b > 3",
            "flag == false",
            "a.name == 'x'",
            "a.b < 'x'",
        ] {
            assert_eq!(truth(text), Truth::False, "{text}");
        }
    }

    #[test]
    fn what_was_not_measured_is_neither_true_nor_false() {
        for text in [
            "a.none == 0",
            "a.none != 0",
            "a.c > 0",
            "a.state == 'ok'",
            "a.state != 'ok'",
            "list[7].n > 0",
            "sum(empty[*].n) == 0",
            "count(a.none) == 0",
            "0 < a.none",
        ] {
            assert!(matches!(truth(text), Truth::Missing(_)), "{text}");
        }
    }

    #[test]
    fn levels_may_be_spelled_as_older_criteria_spell_them() {
        let record =
            json!({"durability": "no-sync", "settings": {"isolation": "read-committed"}, "name": "no-sync"});
        let truth = |text: &str| text.parse::<Predicate>().unwrap().apply(&record);
        for text in [
            "durability == 'no_sync'",
            "durability == 'no-sync'",
            "'nosync' == durability",
            "settings.isolation == 'read_committed'",
            "durability != 'none'",
            "name != 'no_sync'",
        ] {
            assert_eq!(truth(text), Truth::True, "{text}");
        }
    }

    #[test]
    fn bad_predicates_are_refused_with_a_reason() {
        for (text, reason) in [
            ("a.b", "expected a comparison"),
            ("a.b ==", "an operand is missing"),
            ("a.b == 'x", "unfinished string"),
            ("a..b == 1", "is not a field name"),
            ("a[x] == 1", "neither an index"),
            ("a[1 == 1", "closing bracket"),
            ("list[*].n == 1", "stands for many values"),
            ("mean(a) == 1", "unknown function `mean`"),
            ("sum(a == 1", "closing bracket"),
            ("a == 1x", "is not a number"),
            ("", "expected a comparison"),
        ] {
            let error = text.parse::<Predicate>().expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
