//! How a spec is written in a file, where that is not how it is held: fields that may be left out, sizes and durations
//! as text, and tables whose fields depend on a name in them. Shapes and names here, sense in [`check`](super::check).
//!
//! What serde writes, as TOML or JSON, is always the long form with every default spelled out.

use std::time::Duration;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::driver::Direction;
use crate::keys::{Distribution, KeyForm, KeyOrder};
use crate::names;

use super::check::check;
use super::document::Document;
use super::{Action, KeySpec, OperationSpec, Range, Spec, SpecError};

pub(super) fn parse(name: &str, file: &str, text: &str) -> Result<Spec, SpecError> {
    let document = Document::parse(file, text)?;
    let mut spec: Spec = document.read()?;
    if spec.name.is_empty() {
        name.clone_into(&mut spec.name);
    }
    for text in [&mut spec.description, &mut spec.source] {
        *text = text.trim().to_owned();
    }
    if let [only] = spec.tables.as_slice() {
        let transactions = spec.transactions.iter_mut();
        let operations = transactions.flat_map(|transaction| &mut transaction.operations);
        for operation in operations.filter(|operation| operation.table.is_empty()) {
            operation.table.clone_from(&only.name);
        }
    }
    check(&spec).map_err(|problem| document.error(&problem))?;
    Ok(spec)
}

/// A default.
pub(super) fn number<const N: u8, T: From<u8>>() -> T {
    T::from(N)
}

/// A default.
pub(super) const fn seconds<const N: u64>() -> Duration {
    Duration::from_secs(N)
}

/// Reads text that means a `T`, or where `number` says so, a whole number.
struct Text<T> {
    expected: &'static str,
    parse: fn(&str) -> Result<T, String>,
    number: Option<fn(u64) -> T>,
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let unsigned =
            u64::try_from(number).map_err(|_| E::invalid_type(Unexpected::Signed(number), &self))?;
        self.visit_u64(unsigned)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        // `1e6` is a float to TOML. Those below this bound are exact.
        let is_whole = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
        match self.number.filter(|_| is_whole) {
            Some(of) => Ok(of(number as u64)),
            None => Err(E::invalid_type(Unexpected::Float(number), &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        match self.number {
            Some(of) => Ok(of(number)),
            None => Err(E::invalid_type(Unexpected::Unsigned(number), &self)),
        }
    }
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(Text {
        expected: "a size, such as 4096 or \"64MiB\"",
        parse: units::parse_size,
        number: Some(|bytes| bytes),
    })
}

pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(Text {
        expected: "a whole number from 0, such as 1000, 1e6 or \"100k\"",
        parse: units::parse_count,
        number: Some(|count| count),
    })
}

pub(super) fn some_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    size(deserializer).map(Some)
}

/// As [`Range`], of sizes.
#[derive(Deserialize)]
#[serde(remote = "Range", deny_unknown_fields)]
pub(super) struct Sizes {
    #[serde(deserialize_with = "size")]
    min: u64,
    #[serde(deserialize_with = "size")]
    max: u64,
}

pub(super) mod duration {
    use super::*;

    pub(in super::super) fn serialize<S: serde::Serializer>(
        time: &Duration,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.serialize_str(&units::exact_duration(*time))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        d.deserialize_any(Text {
            expected: "a duration in quotes, such as \"10s\"",
            parse: units::parse_duration,
            number: None,
        })
    }
}

/// As [`KeySpec`]; the size that is left out depends on the form.
#[derive(Default, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table, such as { form = \"text\" }"
)]
pub(super) struct Key {
    form: KeyForm,
    order: KeyOrder,
    size: Option<usize>,
}

impl From<Key> for KeySpec {
    fn from(key: Key) -> Self {
        KeySpec {
            form: key.form,
            order: key.order,
            size: key.size.unwrap_or_else(|| key.form.default_size()),
        }
    }
}

/// A [`Distribution`] with the fields of all of them.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    #[serde(deserialize_with = "distribution")]
    distribution: Distribution,
    theta: Option<f64>,
    scrambled: Option<bool>,
    hot_fraction: Option<f64>,
    hot_probability: Option<f64>,
}

fn distribution<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Distribution, D::Error> {
    deserializer.deserialize_any(Text {
        expected: "text in quotes",
        parse: |name| names::parse("distribution", name, &Distribution::ALL, Distribution::name),
        number: None,
    })
}

impl<'de> Deserialize<'de> for Distribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys = Keys::deserialize(deserializer)?;
        let known: &[&str] = match &mut keys.distribution {
            Distribution::Uniform | Distribution::Sequential => &["distribution"],
            Distribution::Zipfian { theta, scrambled } => {
                *theta = keys.theta.take().unwrap_or(*theta);
                *scrambled = keys.scrambled.take().unwrap_or(*scrambled);
                &["distribution", "theta", "scrambled"]
            }
            Distribution::Latest { theta } => {
                *theta = keys.theta.take().unwrap_or(*theta);
                &["distribution", "theta"]
            }
            Distribution::Hotspot {
                hot_fraction,
                hot_probability,
            } => {
                *hot_fraction = keys.hot_fraction.take().unwrap_or(*hot_fraction);
                *hot_probability = keys.hot_probability.take().unwrap_or(*hot_probability);
                &["distribution", "hot-fraction", "hot-probability"]
            }
        };
        let left = [
            ("theta", keys.theta.is_some()),
            ("scrambled", keys.scrambled.is_some()),
            ("hot-fraction", keys.hot_fraction.is_some()),
            ("hot-probability", keys.hot_probability.is_some()),
        ];
        refuse(&left, known)?;
        Ok(keys.distribution)
    }
}

/// An [`OperationSpec`] with the fields of all actions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, such as { op = \"update\" }")]
struct Operation {
    #[serde(deserialize_with = "action")]
    op: Action,
    #[serde(default)]
    table: String,
    #[serde(default = "number::<1, _>")]
    count: u32,
    keys: Option<Distribution>,
    length: Option<Range>,
    direction: Option<Direction>,
}

fn action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Action, D::Error> {
    deserializer.deserialize_any(Text {
        expected: "text in quotes",
        parse: |name| names::parse("operation", name, &Action::ALL, Action::name),
        number: None,
    })
}

impl<'de> Deserialize<'de> for OperationSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut operation = Operation::deserialize(deserializer)?;
        if let Action::Range { length, direction } = &mut operation.op {
            let given = operation.length.take();
            *length = given.ok_or_else(|| de::Error::missing_field("length"))?;
            *direction = operation.direction.take().unwrap_or_default();
        }
        let left = [
            ("length", operation.length.is_some()),
            ("direction", operation.direction.is_some()),
        ];
        refuse(&left, &["op", "table", "count", "keys"])?;
        Ok(OperationSpec {
            action: operation.op,
            table: operation.table,
            count: operation.count,
            distribution: operation.keys,
        })
    }
}

/// Refuses the first field that is there but of no use.
fn refuse<E: de::Error>(left: &[(&str, bool)], known: &'static [&'static str]) -> Result<(), E> {
    match left.iter().find(|(_, is_there)| *is_there) {
        Some((field, _)) => Err(E::unknown_field(field, known)),
        None => Ok(()),
    }
}
