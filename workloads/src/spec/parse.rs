//! A spec from its text: shapes and names here, sense in [`check`](super::check).

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::driver::{Direction, Durability, Isolation};
use crate::keys::{Distribution, KeyForm, KeyOrder};
use crate::names;

use super::check::{Problem, Segment, check};
use super::error::SpecError;
use super::reader::{Field, Reader, Source};
use super::{Action, KeySpec, OperationSpec, Range, Spec, TableSpec, TransactionSpec, ValueSpec};

pub(super) fn parse(name: &str, file: &str, text: &str) -> Result<Spec, SpecError> {
    let document = DeTable::parse(text).map_err(|error| match error.span() {
        Some(span) => SpecError::at(file, text, span.start, error.message()),
        None => SpecError::new(file, error.message()),
    })?;
    let source = Source { file, text };
    let reader = Reader::new(source, document.get_ref(), document.span(), "the spec");
    let spec = read_spec(name, reader)?;
    check(&spec).map_err(|problem| locate(source, &document, &problem))?;
    Ok(spec)
}

/// The error for a problem, at the value that it names, or at the innermost table around it that was written out.
fn locate(source: Source<'_>, document: &Spanned<DeTable<'_>>, problem: &Problem) -> SpecError {
    let mut table = Some(document.get_ref());
    let mut array = None;
    let mut span = document.span();
    for segment in &problem.path {
        let value = match segment {
            Segment::Field(name) => table.and_then(|table| table.get(*name)),
            Segment::Item(index) => array.and_then(|array: &toml::de::DeArray<'_>| array.get(*index)),
        };
        let Some(value) = value else { break };
        span = value.span();
        table = value.get_ref().as_table();
        array = match value.get_ref() {
            DeValue::Array(items) => Some(items),
            _ => None,
        };
    }
    source.error(&span, &problem.message)
}

fn read_spec(name: &str, mut reader: Reader<'_>) -> Result<Spec, SpecError> {
    let text = |field: Option<Field<'_>>| match field {
        Some(field) => field.text().map(|text| text.trim().to_owned()),
        None => Ok(String::new()),
    };
    let name = match reader.optional("name") {
        Some(field) => field.text()?.to_owned(),
        None => name.to_owned(),
    };
    let title = reader.required("title", "one line of text")?.text()?.to_owned();
    let description = text(reader.optional("description"))?;
    let source = text(reader.optional("source"))?;
    let seed = reader
        .optional("seed")
        .map_or(Ok(1), |field| field.integer(u64::MAX))?;
    let threads = reader
        .optional("threads")
        .map_or(Ok(4), |field| field.integer(u64::from(u16::MAX)))? as u16;
    let isolation = match reader.optional("isolation") {
        Some(field) => field.choice("isolation level", &Isolation::ALL, Isolation::name)?,
        None => Isolation::ReadCommitted,
    };
    let durability = match reader.optional("durability") {
        Some(field) => field.choice("durability", &Durability::ALL, Durability::name)?,
        None => Durability::Sync,
    };
    let repeat = reader
        .optional("repeat")
        .map_or(Ok(1), |field| field.integer(u64::from(u32::MAX)))? as u32;
    let rate = reader.optional("rate").map(|field| field.number()).transpose()?;
    let cache_size_bytes = reader
        .optional("cache-size")
        .map(|field| field.size())
        .transpose()?;
    let warmup = reader
        .optional("warmup")
        .map_or(Ok(std::time::Duration::from_secs(2)), |field| field.duration())?;
    let run = reader
        .optional("run")
        .map_or(Ok(std::time::Duration::from_secs(10)), |field| field.duration())?;
    let tables = reader
        .required("table", "at least one [[table]]")?
        .tables("table")?
        .into_iter()
        .map(read_table)
        .collect::<Result<Vec<_>, _>>()?;
    let transactions = reader
        .required("transaction", "at least one [[transaction]]")?
        .tables("transaction")?
        .into_iter()
        .map(|reader| read_transaction(reader, &tables))
        .collect::<Result<Vec<_>, _>>()?;
    reader.finish()?;
    Ok(Spec {
        name,
        title,
        description,
        source,
        seed,
        threads,
        isolation,
        durability,
        repeat,
        rate,
        cache_size_bytes,
        warmup,
        run,
        tables,
        transactions,
    })
}

fn read_table(mut reader: Reader<'_>) -> Result<TableSpec, SpecError> {
    let name = reader.required("name", "the table's name")?.text()?.to_owned();
    let rows = reader
        .required("rows", "the number of rows to load")?
        .integer(u64::MAX)?;
    let key = match reader.optional("key") {
        Some(field) => read_key(field.table("the key")?)?,
        None => KeySpec {
            form: KeyForm::Integer,
            order: KeyOrder::Sequential,
            size: KeyForm::Integer.default_size(),
        },
    };
    let value = match reader.optional("value") {
        Some(field) => read_value(field.table("the value")?)?,
        None => ValueSpec {
            size: Range::fixed(100),
            compressibility: 0.5,
        },
    };
    let distribution = match reader.optional("keys") {
        Some(field) => read_distribution(&field)?,
        None => Distribution::Uniform,
    };
    reader.finish()?;
    Ok(TableSpec {
        name,
        rows,
        key,
        value,
        distribution,
    })
}

fn read_key(mut reader: Reader<'_>) -> Result<KeySpec, SpecError> {
    let form = match reader.optional("form") {
        Some(field) => field.choice("key form", &KeyForm::ALL, KeyForm::name)?,
        None => KeyForm::Integer,
    };
    let order = match reader.optional("order") {
        Some(field) => field.choice("key order", &KeyOrder::ALL, KeyOrder::name)?,
        None => KeyOrder::Sequential,
    };
    let size = match reader.optional("size") {
        Some(field) => field.integer(u64::from(u32::MAX))? as usize,
        None => form.default_size(),
    };
    reader.finish()?;
    Ok(KeySpec { form, order, size })
}

fn read_value(mut reader: Reader<'_>) -> Result<ValueSpec, SpecError> {
    let size = match reader.optional("size") {
        Some(field) => read_range(&field, true)?,
        None => Range::fixed(100),
    };
    let compressibility = reader
        .optional("compressibility")
        .map_or(Ok(0.5), |field| field.number())?;
    reader.finish()?;
    Ok(ValueSpec {
        size,
        compressibility,
    })
}

/// A number, or `{ min = .., max = .. }`.
fn read_range(field: &Field<'_>, sizes: bool) -> Result<Range, SpecError> {
    let number = |field: &Field<'_>| {
        if sizes {
            field.size()
        } else {
            field.integer(u64::MAX)
        }
    };
    if !field.is_table() {
        return number(field).map(Range::fixed);
    }
    let mut reader = field.table("the range")?;
    let min = number(&reader.required("min", "the smallest number")?)?;
    let max = number(&reader.required("max", "the greatest number")?)?;
    reader.finish()?;
    Ok(Range { min, max })
}

/// A name, or `{ distribution = name, .. }` with the distribution's own fields.
fn read_distribution(field: &Field<'_>) -> Result<Distribution, SpecError> {
    const THETA: f64 = 0.99;
    if !field.is_table() {
        return Ok(
            match field.choice("distribution", &Distribution::NAMES, |name| name)? {
                "uniform" => Distribution::Uniform,
                "zipfian" => Distribution::Zipfian {
                    theta: THETA,
                    scrambled: true,
                },
                "latest" => Distribution::Latest { theta: THETA },
                "hotspot" => Distribution::Hotspot {
                    hot_fraction: 0.2,
                    hot_probability: 0.8,
                },
                _ => Distribution::Sequential,
            },
        );
    }
    let mut reader = field.table("the keys")?;
    let name = reader.required("distribution", "the name of a distribution")?;
    let name = name.choice("distribution", &Distribution::NAMES, |name| name)?;
    let mut number = |field: &'static str, default: f64| {
        reader.optional(field).map_or(Ok(default), |field| field.number())
    };
    let distribution = match name {
        "uniform" => Distribution::Uniform,
        "zipfian" => Distribution::Zipfian {
            theta: number("theta", THETA)?,
            scrambled: reader
                .optional("scrambled")
                .map_or(Ok(true), |field| field.boolean())?,
        },
        "latest" => Distribution::Latest {
            theta: number("theta", THETA)?,
        },
        "hotspot" => Distribution::Hotspot {
            hot_fraction: number("hot-fraction", 0.2)?,
            hot_probability: number("hot-probability", 0.8)?,
        },
        _ => Distribution::Sequential,
    };
    reader.finish()?;
    Ok(distribution)
}

fn read_transaction(mut reader: Reader<'_>, tables: &[TableSpec]) -> Result<TransactionSpec, SpecError> {
    let name = reader
        .required("name", "the name of the transaction type")?
        .text()?
        .to_owned();
    let weight = reader
        .optional("weight")
        .map_or(Ok(1.0), |field| field.number())?;
    let operations = reader
        .required("operations", "a list such as [{ op = \"point-read\" }]")?
        .tables("operation")?
        .into_iter()
        .map(|reader| read_operation(reader, tables))
        .collect::<Result<Vec<_>, _>>()?;
    reader.finish()?;
    Ok(TransactionSpec {
        name,
        weight,
        operations,
    })
}

fn read_operation(mut reader: Reader<'_>, tables: &[TableSpec]) -> Result<OperationSpec, SpecError> {
    let op = reader.required("op", "the operation's name")?;
    let name = op.choice("operation", &Action::NAMES, |name| name)?;
    let table = match reader.optional("table") {
        Some(field) => {
            let wanted = field.text()?;
            tables.iter().position(|table| table.name == wanted).ok_or_else(|| {
                field.error(names::unknown("table", wanted, tables.iter().map(|table| table.name.as_str())))
            })?
        }
        None if tables.len() == 1 => 0,
        None => return Err(reader.error("`table` is missing in the operation, expected one of the spec's tables (it may only be left out when there is one)")),
    };
    let count = reader
        .optional("count")
        .map_or(Ok(1), |field| field.integer(u64::from(u32::MAX)))? as u32;
    let action = match name {
        "point-read" => Action::PointRead,
        "range" => {
            let length = read_range(&reader.required("length", "how many rows to read")?, false)?;
            let direction = match reader.optional("direction") {
                Some(field) => field.choice(
                    "direction",
                    &[Direction::Forward, Direction::Reverse],
                    |direction| match direction {
                        Direction::Forward => "forward",
                        Direction::Reverse => "reverse",
                    },
                )?,
                None => Direction::Forward,
            };
            Action::Range { length, direction }
        }
        "update" => Action::Update,
        "read-modify-write" => Action::ReadModifyWrite,
        "insert" => Action::Insert,
        "delete" => Action::Delete,
        _ => Action::DeleteInsert,
    };
    let distribution = match reader.optional("keys") {
        Some(field) if action == Action::Insert => {
            return Err(field.error("an insert always takes the next new row, expected no distribution"));
        }
        Some(field) => Some(read_distribution(&field)?),
        None => None,
    };
    reader.finish()?;
    Ok(OperationSpec {
        action,
        table,
        count,
        distribution,
    })
}
