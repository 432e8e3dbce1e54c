//! What a workload is: data, read from a TOML file and checked before anything runs.
//!
//! The reference of the file format is `docs/workload-specs.md`. The way of a spec:
//!
//! 1. [`Spec::parse`] reads the text; whatever is wrong is a [`SpecError`] with file, line and column.
//! 2. [`Spec::with_overrides`] applies what the command line says, and checks again.
//! 3. [`Plan::new`](crate::stream::Plan::new) compiles it into what the streams need.
//!
//! [`Spec::to_toml`] writes the complete spec with every default spelled out; it parses back to the same spec. Every
//! format of serde has the fields of the file, so that a spec travels to another process as it stands there.

mod builtin;
mod check;
mod document;
mod error;
mod explain;
mod file;
mod overrides;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::driver::{Direction, Durability, Isolation};
use crate::keys::{Distribution, KeyForm, KeyOrder};

pub use builtin::{BUILTIN_NAMES, builtin, builtin_text};
pub use error::SpecError;
pub use overrides::Overrides;

/// A workload, complete and checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The name by which it is chosen; for a file, its stem.
    #[serde(default)]
    pub name: String,
    /// One line.
    pub title: String,
    /// One paragraph: what it does and what it is for.
    #[serde(default)]
    pub description: String,
    /// Where it comes from: paper, file of another benchmark. May be empty.
    #[serde(default)]
    pub source: String,
    /// Seed of every random choice.
    #[serde(default = "file::number::<1, _>")]
    pub seed: u64,
    /// Number of worker threads.
    #[serde(default = "file::number::<4, _>")]
    pub threads: u16,
    /// Isolation level of every transaction.
    #[serde(default)]
    pub isolation: Isolation,
    /// Durability of every commit.
    #[serde(default)]
    pub durability: Durability,
    /// How many times the whole run is made.
    #[serde(default = "file::number::<1, _>")]
    pub repeat: u32,
    /// Transactions per second that arrive, all threads together; `None` runs closed loop, as fast as it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Memory for the engine's cache, in bytes; `None` leaves the engine's default.
    #[serde(
        default,
        rename = "cache-size",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "file::some_size"
    )]
    pub cache_size_bytes: Option<u64>,
    /// Time that is run but not counted.
    #[serde(default = "file::seconds::<2>", with = "file::duration")]
    pub warmup: Duration,
    /// Time that is run and counted.
    #[serde(default = "file::seconds::<10>", with = "file::duration")]
    pub run: Duration,
    /// The tables.
    #[serde(rename = "table")]
    pub tables: Vec<TableSpec>,
    /// The transaction types.
    #[serde(rename = "transaction")]
    pub transactions: Vec<TransactionSpec>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// Its name.
    pub name: String,
    /// Rows that are loaded before the run.
    #[serde(deserialize_with = "file::count")]
    pub rows: u64,
    /// Its keys.
    #[serde(default)]
    pub key: KeySpec,
    /// Its values.
    #[serde(default)]
    pub value: ValueSpec,
    /// Which rows operations choose, where they do not say themselves.
    #[serde(default, rename = "keys")]
    pub distribution: Distribution,
}

/// The keys of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "file::Key")]
pub struct KeySpec {
    /// How they are spelled.
    pub form: KeyForm,
    /// How those of neighbouring rows lie to each other.
    pub order: KeyOrder,
    /// Their length, in bytes.
    pub size: usize,
}

impl Default for KeySpec {
    fn default() -> Self {
        file::Key::default().into()
    }
}

/// The values of a table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table, such as { size = 100 }")]
pub struct ValueSpec {
    /// Their lengths, in bytes.
    #[serde(deserialize_with = "file::Sizes::deserialize")]
    pub size: Range,
    /// Share of each value that is a run of one byte, 0 to 1.
    pub compressibility: f64,
}

impl Default for ValueSpec {
    fn default() -> Self {
        ValueSpec {
            size: Range::fixed(100),
            compressibility: 0.5,
        }
    }
}

/// A number, or each number between two equally often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Smallest.
    pub min: u64,
    /// Greatest.
    pub max: u64,
}

impl Range {
    /// Always `value`.
    pub const fn fixed(value: u64) -> Self {
        Range {
            min: value,
            max: value,
        }
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else {
            write!(f, "{} to {}", self.min, self.max)
        }
    }
}

/// A transaction type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionSpec {
    /// Its name in reports.
    pub name: String,
    /// How often it is chosen, relative to the other weights.
    #[serde(default = "file::number::<1, _>")]
    pub weight: f64,
    /// What it does, in this order.
    pub operations: Vec<OperationSpec>,
}

/// One line of a transaction type.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OperationSpec {
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
    /// The name of the table.
    pub table: String,
    /// How many times, each with its own row.
    pub count: u32,
    /// Which rows; `None` takes the table's distribution.
    #[serde(rename = "keys", skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
}

/// What an operation does with the row chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Action {
    /// Read it.
    PointRead,
    /// Read rows from it on.
    Range {
        /// How many.
        length: Range,
        /// Which way.
        direction: Direction,
    },
    /// Replace its value without having read it.
    Update,
    /// Read it for update, then replace its value.
    ReadModifyWrite,
    /// Add a new row.
    Insert,
    /// Delete it.
    Delete,
    /// Delete it and insert it again, both in this transaction.
    DeleteInsert,
}

impl Action {
    /// Every action; the range read is of one row.
    pub const ALL: [Action; 7] = [
        Action::PointRead,
        Action::Range {
            length: Range::fixed(1),
            direction: Direction::Forward,
        },
        Action::Update,
        Action::ReadModifyWrite,
        Action::Insert,
        Action::Delete,
        Action::DeleteInsert,
    ];

    /// The name used in specs.
    pub const fn name(self) -> &'static str {
        match self {
            Action::PointRead => "point-read",
            Action::Range { .. } => "range",
            Action::Update => "update",
            Action::ReadModifyWrite => "read-modify-write",
            Action::Insert => "insert",
            Action::Delete => "delete",
            Action::DeleteInsert => "delete-insert",
        }
    }

    /// True if it changes data.
    pub const fn writes(self) -> bool {
        !matches!(self, Action::PointRead | Action::Range { .. })
    }
}

impl TransactionSpec {
    /// True if nothing in it writes.
    pub fn is_read_only(&self) -> bool {
        !self.operations.iter().any(|operation| operation.action.writes())
    }
}

impl Spec {
    /// Reads a spec. `file` is what errors call the text; the spec's name is `name`.
    ///
    /// # Errors
    /// The first thing that is wrong, with line and column and what was expected.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<Spec, SpecError> {
        file::parse(name, file, text)
    }

    /// Reads a spec from a file; its name is the file's stem.
    ///
    /// # Errors
    /// If the file cannot be read, or as [`parse`](Self::parse).
    pub fn load(path: &std::path::Path) -> Result<Spec, SpecError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| SpecError::new(&file, format!("cannot be read: {error}")))?;
        let name = path
            .file_stem()
            .map_or_else(|| file.clone(), |stem| stem.to_string_lossy().into_owned());
        Spec::parse(&name, &file, &text)
    }

    /// The complete spec as TOML, with every default spelled out; [`parse`](Self::parse) reads it back.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("text, numbers, lists and tables can be written")
    }

    /// The spec in words, for a person who wants to know what will be run.
    pub fn explain(&self) -> String {
        explain::explain(self)
    }

    /// The position of a table in [`tables`](Self::tables), by its name.
    pub fn table_index(&self, name: &str) -> Option<usize> {
        self.tables.iter().position(|table| table.name == name)
    }

    /// True if no transaction type writes.
    pub fn is_read_only(&self) -> bool {
        self.transactions.iter().all(TransactionSpec::is_read_only)
    }

    /// Bytes of keys and values that the load writes, on average over random value lengths.
    pub fn load_bytes(&self) -> u64 {
        self.tables
            .iter()
            .map(|table| {
                let value = (table.value.size.min + table.value.size.max) / 2;
                table.rows.saturating_mul(table.key.size as u64 + value)
            })
            .fold(0, u64::saturating_add)
    }
}
