//! What a workload is: data, read from a TOML file and checked before anything runs.
//!
//! The reference of the file format is `docs/workload-specs.md`. The way of a spec:
//!
//! 1. [`Spec::parse`] reads the text; whatever is wrong is a [`SpecError`] with file, line and column.
//! 2. [`Spec::with_overrides`] applies what the command line says, and checks again.
//! 3. [`Plan::new`](crate::stream::Plan::new) compiles it into what the streams need.
//!
//! [`Spec::to_toml`] writes the complete spec with every default spelled out; it parses back to the same spec, so the
//! text can travel to another process or into a report.

use serde::{Deserialize, Serialize};
mod builtin;
mod check;
mod error;
mod explain;
mod overrides;
mod parse;
mod reader;
mod render;

use std::time::Duration;

use crate::driver::{Direction, Durability, Isolation};
use crate::keys::{Distribution, KeyForm, KeyOrder};

pub use builtin::{BUILTIN_NAMES, builtin, builtin_text};
pub use error::SpecError;
pub use overrides::Overrides;

/// A workload, complete and checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The name by which it is chosen; for a file, its stem.
    pub name: String,
    /// One line.
    pub title: String,
    /// One paragraph: what it does and what it is for.
    pub description: String,
    /// Where it comes from: paper, file of another benchmark. May be empty.
    pub source: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Number of worker threads.
    pub threads: u16,
    /// Isolation level of every transaction.
    pub isolation: Isolation,
    /// Durability of every commit.
    pub durability: Durability,
    /// How many times the whole run is made.
    pub repeat: u32,
    /// Transactions per second that arrive, all threads together; `None` runs closed loop, as fast as it goes.
    pub rate: Option<f64>,
    /// Memory for the engine's cache, in bytes; `None` leaves the engine's default.
    pub cache_size_bytes: Option<u64>,
    /// Time that is run but not counted.
    pub warmup: Duration,
    /// Time that is run and counted.
    pub run: Duration,
    /// The tables.
    pub tables: Vec<TableSpec>,
    /// The transaction types.
    pub transactions: Vec<TransactionSpec>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableSpec {
    /// Its name.
    pub name: String,
    /// Rows that are loaded before the run.
    pub rows: u64,
    /// Its keys.
    pub key: KeySpec,
    /// Its values.
    pub value: ValueSpec,
    /// Which rows operations choose, where they do not say themselves.
    pub distribution: Distribution,
}

/// The keys of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySpec {
    /// How they are spelled.
    pub form: KeyForm,
    /// How those of neighbouring rows lie to each other.
    pub order: KeyOrder,
    /// Their length, in bytes.
    pub size: usize,
}

/// The values of a table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueSpec {
    /// Their lengths, in bytes.
    pub size: Range,
    /// Share of each value that is a run of one byte, 0 to 1.
    pub compressibility: f64,
}

/// A number, or each number between two equally often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct TransactionSpec {
    /// Its name in reports.
    pub name: String,
    /// How often it is chosen, relative to the other weights.
    pub weight: f64,
    /// What it does, in this order.
    pub operations: Vec<OperationSpec>,
}

/// One line of a transaction type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationSpec {
    /// What is done.
    pub action: Action,
    /// The table: its position in [`Spec::tables`].
    pub table: usize,
    /// How many times, each with its own row.
    pub count: u32,
    /// Which rows; `None` takes the table's distribution.
    pub distribution: Option<Distribution>,
}

/// What an operation does with the row chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The names used in specs.
    pub const NAMES: [&'static str; 7] = [
        "point-read",
        "range",
        "update",
        "read-modify-write",
        "insert",
        "delete",
        "delete-insert",
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
        parse::parse(name, file, text)
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
        render::render(self)
    }

    /// The spec in words, for a person who wants to know what will be run.
    pub fn explain(&self) -> String {
        explain::explain(self)
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
