//! Whether a spec makes sense: the rules that hold for values from files and from the command line alike.

use std::time::Duration;

use crate::keys::{Distribution, KeyForm};
use crate::names;
use crate::version::NUMBER_LIMIT;

use super::{Action, OperationSpec, Range, Spec, TableSpec, TransactionSpec};

/// Most worker threads: the short form of values has room for 12 bits of thread number.
pub(super) const THREADS_MAX: u16 = 1024;
const TABLES_MAX: usize = 1024;
/// Most operations in one transaction.
const OPERATIONS_MAX: u64 = 100_000;
const RANGE_MAX: u64 = 10_000_000;
const VALUE_SIZE_MAX: u64 = 1 << 30;
const KEY_SIZE_MAX: usize = 4096;
const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// One step from the whole spec to the value that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment<'a> {
    /// A field, by its name in the file.
    Field(&'a str),
    /// An item of a list, from 0.
    Item(usize),
}

/// What does not make sense, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub path: Vec<Segment<'static>>,
    pub message: String,
}

/// Collects the path while the checks descend.
struct Place<'a> {
    before: Option<&'a Place<'a>>,
    segment: Segment<'static>,
}

impl<'a> Place<'a> {
    fn field(name: &'static str) -> Place<'static> {
        Place {
            before: None,
            segment: Segment::Field(name),
        }
    }

    fn then(&'a self, segment: Segment<'static>) -> Place<'a> {
        Place {
            before: Some(self),
            segment,
        }
    }

    fn at(&'a self, name: &'static str) -> Place<'a> {
        self.then(Segment::Field(name))
    }

    fn require(&self, fine: bool, message: impl FnOnce() -> String) -> Result<(), Problem> {
        if fine {
            return Ok(());
        }
        let mut path = vec![self.segment];
        let mut place = self.before;
        while let Some(outer) = place {
            path.push(outer.segment);
            place = outer.before;
        }
        path.reverse();
        Err(Problem {
            path,
            message: message(),
        })
    }
}

pub(super) fn check(spec: &Spec) -> Result<(), Problem> {
    let field = Place::field;
    field("title").require(!spec.title.trim().is_empty(), || {
        "`title` is empty, expected one line of text".into()
    })?;
    field("threads").require((1..=THREADS_MAX).contains(&spec.threads), || {
        format!("`threads` is {}, expected 1 to {THREADS_MAX}", spec.threads)
    })?;
    field("repeat").require((1..=1000).contains(&spec.repeat), || {
        format!("`repeat` is {}, expected 1 to 1000", spec.repeat)
    })?;
    if let Some(rate) = spec.rate {
        field("rate").require((0.001..=1e9).contains(&rate), || {
            format!("`rate` is {rate}, expected transactions per second, 0.001 to 1000000000")
        })?;
    }
    if let Some(bytes) = spec.cache_size_bytes {
        field("cache-size").require(bytes >= 64 * 1024, || {
            format!("`cache-size` is {bytes} bytes, expected at least 64KiB")
        })?;
    }
    field("warmup").require(spec.warmup <= DURATION_MAX, || {
        "`warmup` is too long, expected at most a week".into()
    })?;
    field("run").require(!spec.run.is_zero() && spec.run <= DURATION_MAX, || {
        "`run` is out of range, expected more than 0s and at most a week".into()
    })?;
    let tables = field("table");
    tables.require((1..=TABLES_MAX).contains(&spec.tables.len()), || {
        format!(
            "the spec has {} tables, expected 1 to {TABLES_MAX}",
            spec.tables.len()
        )
    })?;
    for (index, table) in spec.tables.iter().enumerate() {
        let place = tables.then(Segment::Item(index));
        place.at("name").require(
            spec.tables[..index].iter().all(|other| other.name != table.name),
            || {
                format!(
                    "there are two tables named `{}`, expected different names",
                    table.name
                )
            },
        )?;
        check_table(&place, table)?;
    }
    let transactions = field("transaction");
    transactions.require(!spec.transactions.is_empty(), || {
        "there is no transaction, expected at least one".into()
    })?;
    for (index, transaction) in spec.transactions.iter().enumerate() {
        let place = transactions.then(Segment::Item(index));
        place.at("name").require(
            spec.transactions[..index]
                .iter()
                .all(|other| other.name != transaction.name),
            || {
                format!(
                    "there are two transactions named `{}`, expected different names",
                    transaction.name
                )
            },
        )?;
        check_transaction(&place, transaction, spec)?;
    }
    let total: f64 = spec
        .transactions
        .iter()
        .map(|transaction| transaction.weight)
        .sum();
    transactions.require(total > 0.0, || {
        "all weights are 0, expected at least one above".into()
    })
}

fn check_table(place: &Place<'_>, table: &TableSpec) -> Result<(), Problem> {
    place.at("name").require(is_identifier(&table.name), || {
        format!(
            "`{}` is no table name, expected letters, digits, `_` or `-`, at most 64",
            table.name
        )
    })?;
    place.at("rows").require(table.rows < NUMBER_LIMIT / 4, || {
        format!(
            "`rows` is {}, expected less than {}",
            table.rows,
            NUMBER_LIMIT / 4
        )
    })?;
    let key = place.at("key");
    let min = table.key.form.min_size(table.key.order);
    key.at("size")
        .require((min..=KEY_SIZE_MAX).contains(&table.key.size), || {
            let order = if table.key.form == KeyForm::Text {
                table.key.order.name()
            } else {
                ""
            };
            format!(
                "key `size` is {}, expected {min} to {KEY_SIZE_MAX} bytes for {order}{}{} keys",
                table.key.size,
                if order.is_empty() { "" } else { " " },
                table.key.form.name()
            )
        })?;
    let value = place.at("value");
    check_range(
        &value.at("size"),
        "value `size`",
        table.value.size,
        0,
        VALUE_SIZE_MAX,
    )?;
    value
        .at("compressibility")
        .require((0.0..=1.0).contains(&table.value.compressibility), || {
            format!(
                "`compressibility` is {}, expected 0 (random) to 1 (one byte repeated)",
                table.value.compressibility
            )
        })?;
    check_distribution(&place.at("keys"), table.distribution)
}

fn check_range(place: &Place<'_>, what: &str, range: Range, min: u64, max: u64) -> Result<(), Problem> {
    place.require(range.min <= range.max, || {
        format!(
            "{what} has min {} above max {}, expected min at most max",
            range.min, range.max
        )
    })?;
    place.require(range.min >= min && range.max <= max, || {
        format!("{what} is {range}, expected {min} to {max}")
    })
}

fn check_distribution(place: &Place<'_>, distribution: Distribution) -> Result<(), Problem> {
    match distribution {
        Distribution::Uniform | Distribution::Sequential => Ok(()),
        Distribution::Zipfian { theta, .. } | Distribution::Latest { theta } => {
            place.at("theta").require(theta > 0.0 && theta < 1.0, || {
                format!("`theta` is {theta}, expected more than 0 and less than 1 (YCSB uses 0.99)")
            })
        }
        Distribution::Hotspot {
            hot_fraction,
            hot_probability,
        } => {
            place
                .at("hot-fraction")
                .require(hot_fraction > 0.0 && hot_fraction <= 1.0, || {
                    format!("`hot-fraction` is {hot_fraction}, expected more than 0 and at most 1")
                })?;
            place
                .at("hot-probability")
                .require((0.0..=1.0).contains(&hot_probability), || {
                    format!("`hot-probability` is {hot_probability}, expected 0 to 1")
                })
        }
    }
}

fn check_transaction(place: &Place<'_>, transaction: &TransactionSpec, spec: &Spec) -> Result<(), Problem> {
    place.at("name").require(is_identifier(&transaction.name), || {
        format!(
            "`{}` is no transaction name, expected letters, digits, `_` or `-`, at most 64",
            transaction.name
        )
    })?;
    let weight = transaction.weight;
    place.at("weight").require((0.0..=1e9).contains(&weight), || {
        format!("`weight` is {weight}, expected 0 to 1000000000")
    })?;
    let operations = place.at("operations");
    let total: u64 = transaction
        .operations
        .iter()
        .map(|operation| u64::from(operation.count))
        .sum();
    for (index, operation) in transaction.operations.iter().enumerate() {
        check_operation(&operations.then(Segment::Item(index)), operation, spec)?;
    }
    operations.require((1..=OPERATIONS_MAX).contains(&total), || {
        format!("the transaction has {total} operations, expected 1 to {OPERATIONS_MAX}")
    })
}

fn check_operation(place: &Place<'_>, operation: &OperationSpec, spec: &Spec) -> Result<(), Problem> {
    place
        .at("count")
        .require(operation.count > 0, || "`count` is 0, expected at least 1".into())?;
    let Some(table) = spec
        .table_index(&operation.table)
        .map(|index| &spec.tables[index])
    else {
        place.require(!operation.table.is_empty(), || {
            "`table` is missing in the operation, expected one of the spec's tables (it may only be left out when there \
             is one)"
                .into()
        })?;
        return place.at("table").require(false, || {
            let known = spec.tables.iter().map(|table| table.name.as_str());
            format!("`table`: {}", names::unknown("table", &operation.table, known))
        });
    };
    if let Action::Range { length, .. } = operation.action {
        check_range(&place.at("length"), "`length`", length, 1, RANGE_MAX)?;
    }
    place.require(table.rows > 0 || operation.action == Action::Insert, || {
        format!(
            "{} chooses a row of table `{}`, which has none, expected `rows` of at least 1 there",
            operation.action.name(),
            table.name
        )
    })?;
    let is_choice = operation.distribution.is_none() || operation.action != Action::Insert;
    place.at("keys").require(is_choice, || {
        "`keys`: an insert always takes the next new row, expected no distribution".into()
    })?;
    operation.distribution.map_or(Ok(()), |distribution| {
        check_distribution(&place.at("keys"), distribution)
    })
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}
