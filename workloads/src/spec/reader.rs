//! A TOML table read field by field, with the place of every value at hand.
//!
//! Each field is taken at most once; what is left when the table is finished is unknown, and an error that suggests
//! the nearest name that was asked for.

use std::ops::Range as Span;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::names;

use super::error::SpecError;

/// The document that is read, for error messages.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl Source<'_> {
    pub(super) fn error(&self, span: &Span<usize>, message: impl Into<String>) -> SpecError {
        SpecError::at(self.file, self.text, span.start, message)
    }
}

/// One table of the document.
pub(super) struct Reader<'a> {
    source: Source<'a>,
    table: &'a DeTable<'a>,
    span: Span<usize>,
    /// What the table is, for messages: "the spec", "table 1".
    what: String,
    asked: Vec<&'static str>,
}

/// A value with its place.
#[derive(Clone)]
pub(super) struct Field<'a> {
    source: Source<'a>,
    name: &'static str,
    value: &'a DeValue<'a>,
    pub span: Span<usize>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        source: Source<'a>,
        table: &'a DeTable<'a>,
        span: Span<usize>,
        what: impl Into<String>,
    ) -> Self {
        Reader {
            source,
            table,
            span,
            what: what.into(),
            asked: Vec::new(),
        }
    }

    /// The field, if it is there.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<Field<'a>> {
        self.asked.push(name);
        let value = self.table.get(name)?;
        Some(Field {
            source: self.source,
            name,
            value: value.get_ref(),
            span: value.span(),
        })
    }

    /// The field, which must be there.
    pub(super) fn required(&mut self, name: &'static str, expected: &str) -> Result<Field<'a>, SpecError> {
        self.optional(name).ok_or_else(|| {
            // A misspelled name is the likelier mistake, and the better message.
            self.misspelled(name).unwrap_or_else(|| {
                self.error(format!(
                    "`{name}` is missing in {}, expected {expected}",
                    self.what
                ))
            })
        })
    }

    fn misspelled(&self, name: &'static str) -> Option<SpecError> {
        self.table
            .keys()
            .find(|key| names::suggestion(key.get_ref(), &[name]).is_some())
            .map(|key| {
                let message = format!(
                    "unknown field `{}` in {}; did you mean `{name}`?",
                    key.get_ref(),
                    self.what
                );
                self.source.error(&key.span(), message)
            })
    }

    /// An error at the table itself.
    pub(super) fn error(&self, message: impl Into<String>) -> SpecError {
        self.source.error(&self.span, message)
    }

    /// Refuses fields that were not asked for.
    pub(super) fn finish(self) -> Result<(), SpecError> {
        match self
            .table
            .keys()
            .find(|key| !self.asked.contains(&key.get_ref().as_ref()))
        {
            None => Ok(()),
            Some(key) => {
                let message = names::unknown(
                    &format!("field in {}", self.what),
                    key.get_ref(),
                    self.asked.iter().copied(),
                );
                Err(self.source.error(&key.span(), message))
            }
        }
    }
}

impl<'a> Field<'a> {
    /// An error at this value: `what: found, expected ...`.
    pub(super) fn error(&self, message: impl std::fmt::Display) -> SpecError {
        self.source
            .error(&self.span, format!("`{}`: {message}", self.name))
    }

    fn unexpected(&self, expected: &str) -> SpecError {
        self.error(format!("found {}, expected {expected}", describe(self.value)))
    }

    pub(super) fn text(&self) -> Result<&'a str, SpecError> {
        self.value
            .as_str()
            .ok_or_else(|| self.unexpected("text in quotes"))
    }

    pub(super) fn boolean(&self) -> Result<bool, SpecError> {
        self.value
            .as_bool()
            .ok_or_else(|| self.unexpected("true or false"))
    }

    /// A whole number from 0 to `max`.
    pub(super) fn integer(&self, max: u64) -> Result<u64, SpecError> {
        let expected = if max == u64::MAX {
            "a whole number from 0".to_owned()
        } else {
            format!("a whole number from 0 to {max}")
        };
        let number = self
            .value
            .as_integer()
            .ok_or_else(|| self.unexpected(&expected))?;
        u64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|&value| value <= max)
            .ok_or_else(|| self.unexpected(&expected))
    }

    /// A number, whole or not, that is finite.
    pub(super) fn number(&self) -> Result<f64, SpecError> {
        let text = match self.value {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            _ => return Err(self.unexpected("a number")),
        };
        text.parse::<f64>()
            .ok()
            .filter(|value| value.is_finite())
            .ok_or_else(|| self.unexpected("a finite number"))
    }

    /// A size: a number of bytes, or text such as `64MiB`.
    pub(super) fn size(&self) -> Result<u64, SpecError> {
        match self.value {
            DeValue::String(text) => crate::units::parse_size(text).map_err(|message| self.error(message)),
            _ => self.integer(u64::MAX),
        }
    }

    /// Text such as `10s`.
    pub(super) fn duration(&self) -> Result<std::time::Duration, SpecError> {
        let text = self
            .value
            .as_str()
            .ok_or_else(|| self.unexpected("a duration in quotes, such as \"10s\""))?;
        crate::units::parse_duration(text).map_err(|message| self.error(message))
    }

    /// A name out of a closed list.
    pub(super) fn choice<T: Copy>(
        &self,
        what: &str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Result<T, SpecError> {
        names::parse(what, self.text()?, all, name).map_err(|message| self.error(message))
    }

    /// A table inside this one.
    pub(super) fn table(&self, what: impl Into<String>) -> Result<Reader<'a>, SpecError> {
        match self.value.as_table() {
            Some(table) => Ok(Reader::new(self.source, table, self.span.clone(), what)),
            None => Err(self.unexpected("a table, such as { min = 1, max = 100 }")),
        }
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// An array of tables; each is called `what` and its number, from 1.
    pub(super) fn tables(&self, what: &str) -> Result<Vec<Reader<'a>>, SpecError> {
        let array = self
            .value
            .as_array()
            .ok_or_else(|| self.unexpected("a list of tables"))?;
        array
            .iter()
            .enumerate()
            .map(|(index, item): (usize, &'a Spanned<DeValue<'a>>)| {
                let field = Field {
                    source: self.source,
                    name: self.name,
                    value: item.get_ref(),
                    span: item.span(),
                };
                field.table(format!("{what} {}", index + 1))
            })
            .collect()
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
