//! What a reader saw of a snapshot, in short, and whether it is what the database held then.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};

use engine::{CommitId, Database, Error, Snapshot};

use super::script::{TABLES, TableNumber, key_bytes, table_name, value_bytes};
use super::state::{Rows, State};

/// What a snapshot showed when the file operations had come to `position`.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub commit: CommitId,
    pub position: usize,
    pub tables: Vec<Digest>,
}

/// Rows of a table in short; `None`: there was no such table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    table: TableNumber,
    rows: Option<(u64, u64)>,
}

impl Digest {
    /// Whether it is the same as before, as far as both know the table: the names of tables follow no snapshot.
    ///
    /// # Errors
    /// What is different.
    pub(super) fn is_same(&self, before: &Self) -> Result<(), String> {
        match (self.rows, before.rows) {
            (Some(now), Some(before)) if now != before => Err(format!(
                "{} had {} rows when it was first read, and has {} others now",
                table_name(self.table),
                before.0,
                now.0
            )),
            _ => Ok(()),
        }
    }
}

#[derive(Default)]
struct Summing {
    hasher: DefaultHasher,
    rows: u64,
}

impl Summing {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.hasher.write(key);
        self.hasher.write(value);
        self.rows += 1;
    }

    fn end(self) -> (u64, u64) {
        (self.rows, self.hasher.finish())
    }
}

/// Whether an error says that a table is not there.
pub(super) fn is_gone(error: &Error) -> bool {
    matches!(error, Error::NoSuchTable { .. } | Error::TableDropped { .. })
}

/// Reads all tables; `None` if the snapshot has become too old.
///
/// # Errors
/// What could not be read.
pub(super) fn digest_of(database: &Database, snapshot: &Snapshot<'_>) -> Result<Option<Vec<Digest>>, String> {
    let mut digests = Vec::new();
    for number in 0..TABLES {
        let name = table_name(number);
        let Ok(table) = database.table(&name) else {
            digests.push(Digest {
                table: number,
                rows: None,
            });
            continue;
        };
        let read = || {
            let mut sum = Summing::default();
            let mut scan = snapshot.scan(table, ..)?;
            while let Some((key, value)) = scan.next_row()? {
                sum.add(key, value);
            }
            Ok(sum.end())
        };
        let rows = match read() {
            Ok(rows) => Some(rows),
            Err(Error::SnapshotTooOld { .. }) => return Ok(None),
            Err(error) if is_gone(&error) => None,
            Err(error) => {
                return Err(format!(
                    "reading {name} at commit {}: {error}",
                    snapshot.commit_id()
                ));
            }
        };
        digests.push(Digest { table: number, rows });
    }
    Ok(Some(digests))
}

/// Digests of the tables of states, each made once.
#[derive(Default)]
pub(super) struct Expecting {
    known: BTreeMap<usize, (u64, u64)>,
}

impl Expecting {
    /// Whether what was seen is this state. Tables that were created or dropped about then may be missing.
    ///
    /// # Errors
    /// What is different.
    pub(super) fn is_state(&mut self, seen: &[Digest], state: &State) -> Result<(), String> {
        for digest in seen {
            let Some(found) = digest.rows else { continue };
            let right = match state.get(&digest.table) {
                Some(rows) => *self
                    .known
                    .entry(std::sync::Arc::as_ptr(rows).addr())
                    .or_insert_with(|| digest_of_rows(rows)),
                None => Summing::default().end(),
            };
            if found != right {
                return Err(format!(
                    "{} had {} rows and should have had {}, or they were others",
                    table_name(digest.table),
                    found.0,
                    right.0
                ));
            }
        }
        Ok(())
    }
}

fn digest_of_rows(rows: &Rows) -> (u64, u64) {
    let mut sum = Summing::default();
    let mut value = Vec::new();
    for (key, of) in rows {
        value_bytes(*key, *of, &mut value);
        sum.add(&key_bytes(*key), &value);
    }
    sum.end()
}
