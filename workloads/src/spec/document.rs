//! A TOML document as serde reads it, with the place of every value at hand.
//!
//! 1. The parser keeps where each key and each value stands.
//! 2. Any type with `Deserialize` is read from a [`Node`], the fields of a table in the order of the text.
//! 3. A type that refuses what it is given raises a [`Mistake`], which says why but not where. The path to it is known
//!    all the same; the document finds what stands there, and what it is called.
//!
//! A node that is no table but is read as [`Range`](super::Range) or as a distribution stands for the table that says
//! the same: `5` for `{ min = 5, max = 5 }`, `"latest"` for `{ distribution = "latest" }`.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserialize, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_path_to_error::Segment as Step;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::names;

use super::check::{Problem, Segment};
use super::error::SpecError;

/// What is read, and what errors call it.
pub(super) struct Document<'a> {
    file: &'a str,
    text: &'a str,
    root: Spanned<DeValue<'a>>,
}

impl<'a> Document<'a> {
    pub(super) fn parse(file: &'a str, text: &'a str) -> Result<Self, SpecError> {
        let table = DeTable::parse(text).map_err(|error| match error.span() {
            Some(span) => SpecError::at(file, text, span.start, error.message()),
            None => SpecError::new(file, error.message()),
        })?;
        let root = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
        Ok(Document { file, text, root })
    }

    pub(super) fn read<'d, T: Deserialize<'d>>(&'d self) -> Result<T, SpecError> {
        serde_path_to_error::deserialize(Node(&self.root)).map_err(|error| {
            let path = error.path().iter().filter_map(|step| match step {
                Step::Map { key } => Some(Segment::Field(key)),
                Step::Seq { index } => Some(Segment::Item(*index)),
                Step::Enum { .. } | Step::Unknown => None,
            });
            self.refusal(error.inner(), path.collect())
        })
    }

    /// The error for a problem, at the value that it names, or at the innermost table around it that was written out.
    pub(super) fn error(&self, problem: &Problem) -> SpecError {
        let place = self.find(&problem.path).value.span();
        SpecError::at(self.file, self.text, place.start, &problem.message)
    }

    /// The error for a fault at `path`, in words about what stands there.
    fn refusal(&self, fault: &Mistake, mut path: Vec<Segment<'_>>) -> SpecError {
        if let Mistake::Unknown(field, _) = fault {
            // The path may end at the table or at the field.
            path.pop_if(|last| *last == Segment::Field(field));
        }
        let found = self.find(&path);
        let (name, value) = (found.name, found.value.get_ref());
        let mut place = found.value.span();
        let table = match found.index {
            _ if name.is_empty() => "the spec".to_owned(),
            Some(index) => format!("{} {}", name.trim_end_matches('s'), index + 1),
            None => format!("the {name}"),
        };
        let message = match fault {
            Mistake::Expected(expected) => {
                format!("`{name}`: found {}, expected {expected}", describe(value))
            }
            Mistake::Missing(field) => {
                format!("`{field}` is missing in {table}, expected {}", purpose(field))
            }
            Mistake::Unknown(field, known) => {
                let fields = value.as_table();
                if let Some((key, _)) = fields.and_then(|fields| fields.get_key_value(field.as_str())) {
                    place = key.span();
                }
                let near = names::did_you_mean(field, known);
                format!("unknown field `{field}` in {table}: {near}")
            }
            Mistake::Other(message) => format!("`{name}`: {message}"),
        };
        SpecError::at(self.file, self.text, place.start, message)
    }

    fn find(&self, path: &[Segment<'_>]) -> Found<'_> {
        let (name, index, value) = ("", None, &self.root);
        let mut found = Found { name, index, value };
        for segment in path {
            let (name, index, inner) = match *segment {
                Segment::Field(name) => {
                    let fields = found.value.get_ref().as_table();
                    let field = fields.and_then(|fields| fields.get_key_value(name));
                    (
                        field.map_or("", |(key, _)| key.get_ref()),
                        None,
                        field.map(|(_, value)| value),
                    )
                }
                Segment::Item(index) => (found.name, Some(index), found.value.get_ref().get(index)),
            };
            let Some(value) = inner else { break };
            found = Found { name, index, value };
        }
        found
    }
}

/// The value at the end of a path: that of a field, or an item of the list in a field.
struct Found<'a> {
    name: &'a str,
    index: Option<usize>,
    value: &'a Spanned<DeValue<'a>>,
}

/// Why a value was refused.
#[derive(Debug, thiserror::Error)]
#[error("{self:?}")]
enum Mistake {
    Expected(String),
    Missing(&'static str),
    Unknown(String, &'static [&'static str]),
    Other(String),
}

impl de::Error for Mistake {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Mistake::Other(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        Mistake::Expected(match expected.as_str() {
            "a string" => "text in quotes".to_owned(),
            "a boolean" => "true or false".to_owned(),
            "f64" => "a number".to_owned(),
            "u16" => format!("a whole number from 0 to {}", u16::MAX),
            "u32" => format!("a whole number from 0 to {}", u32::MAX),
            "u64" | "usize" => "a whole number from 0".to_owned(),
            "a sequence" => "a list of tables".to_owned(),
            name if name.starts_with("struct ") => "a table".to_owned(),
            _ => expected,
        })
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Mistake::invalid_type(unexpected, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Mistake::Missing(field)
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Mistake::Unknown(field.to_owned(), known)
    }
}

/// What a required field is for.
fn purpose(field: &str) -> &'static str {
    match field {
        "title" => "one line of text",
        "table" => "at least one [[table]]",
        "transaction" => "at least one [[transaction]]",
        "rows" => "the number of rows to load",
        "distribution" => "the name of a distribution",
        "operations" => "a list such as [{ op = \"point-read\" }]",
        "op" => "the operation's name",
        "length" => "how many rows to read",
        "min" => "the smallest number",
        "max" => "the greatest number",
        _ => "letters, digits, `_` or `-`, in quotes",
    }
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{text}\""),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// One value of the document.
#[derive(Clone, Copy)]
struct Node<'a>(&'a Spanned<DeValue<'a>>);

impl<'de> IntoDeserializer<'de, Mistake> for Node<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0.get_ref() {
            DeValue::String(text) => visitor.visit_borrowed_str(text),
            DeValue::Integer(number) => {
                let (digits, radix) = (number.as_str(), number.radix());
                if let Ok(number) = u64::from_str_radix(digits, radix) {
                    visitor.visit_u64(number)
                } else if let Ok(number) = i64::from_str_radix(digits, radix) {
                    visitor.visit_i64(number)
                } else {
                    visit_float(digits, visitor)
                }
            }
            DeValue::Float(number) => visit_float(number.as_str(), visitor),
            DeValue::Boolean(value) => visitor.visit_bool(*value),
            DeValue::Datetime(_) => Err(de::Error::invalid_type(Unexpected::Other("date"), &visitor)),
            DeValue::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(Node))),
            DeValue::Table(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by_key(|(key, _)| key.span().start);
                let fields = fields.into_iter();
                visitor.visit_map(MapDeserializer::new(
                    fields.map(|(key, value)| (key.get_ref().as_ref(), Node(value))),
                ))
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let short = match name {
            _ if self.0.get_ref().is_table() => return self.deserialize_any(visitor),
            "Range" | "Sizes" => fields,
            "Keys" => &fields[..1],
            _ => return Err(de::Error::invalid_type(Unexpected::Other("no table"), &visitor)),
        };
        visitor.visit_map(MapDeserializer::new(short.iter().map(|field| (*field, self))))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match self.0.get_ref() {
            DeValue::String(text) if variants.contains(&text.as_ref()) => {
                visitor.visit_enum(text.as_ref().into_deserializer())
            }
            DeValue::String(text) => Err(Mistake::Other(names::unknown(
                name,
                text,
                variants.iter().copied(),
            ))),
            _ => Err(de::Error::invalid_type(Unexpected::Other("no text"), &"a string")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// Reads a float; serde's own check of the type comes first.
fn visit_float<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, Mistake> {
    let Ok(number) = text.parse::<f64>() else {
        return Err(de::Error::invalid_type(Unexpected::Other(text), &visitor));
    };
    let read = visitor.visit_f64(number)?;
    if number.is_finite() {
        Ok(read)
    } else {
        Err(Mistake::Expected("a finite number".to_owned()))
    }
}
