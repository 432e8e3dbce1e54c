//! Transactions, each in a slot: doing their steps, and noting what they read and change.

use std::collections::BTreeMap;

use engine::{CommitId, Database, Durability, Error, IsolationLevel, Savepoint, Transaction, TxOptions};

use super::script::{KeyNumber, Step, TableNumber, Value, key_bytes, table_name, value_bytes, version_of};
use super::state::Change;

/// Length of a value that is written by a read and a write, in bytes.
const ADDED_LEN: u32 = 24;

/// A version that a transaction read of a row that nobody else could change from then on; `None`: there was no row.
#[derive(Clone, Copy, Debug)]
pub(super) struct LockedRead {
    pub table: TableNumber,
    pub key: KeyNumber,
    pub version: Option<u32>,
}

/// A transaction in a slot, and what it would change.
struct Open<'db> {
    transaction: Transaction<'db>,
    changes: Vec<Change>,
    reads: Vec<LockedRead>,
    savepoints: Vec<(Savepoint, usize)>,
    sync: bool,
    is_snapshot: bool,
}

/// What a step led to.
pub(super) enum Outcome {
    /// Nothing that anybody else can see.
    Nothing,
    /// A commit.
    Committed(Committed),
    /// A commit that failed. Whether it has happened is not known if the database accepts no more commits.
    Failed {
        /// What it would have changed.
        changes: Vec<Change>,
        /// What the engine said.
        error: Error,
    },
}

/// A commit that returned.
#[derive(Debug)]
pub(super) struct Committed {
    /// What it returned.
    pub commit: CommitId,
    pub changes: Vec<Change>,
    pub reads: Vec<LockedRead>,
    /// Everything up to the commit was said to be durable.
    pub promises: bool,
}

/// Why a step could not be done.
pub(super) enum Trouble {
    /// The engine refused.
    Refused(Error),
    /// The engine answered wrongly.
    Wrong(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// Open transactions of one thread.
pub(super) struct Session<'db> {
    database: &'db Database,
    slots: BTreeMap<u8, Open<'db>>,
}

impl<'db> Session<'db> {
    pub(super) fn new(database: &'db Database) -> Self {
        Self {
            database,
            slots: BTreeMap::new(),
        }
    }

    /// Does a step of a transaction. Steps that a shorter script has left without their transaction or table do nothing,
    /// and a transaction goes on without the rows that belong to others.
    pub(super) fn step(&mut self, step: &Step) -> Result<Outcome, Trouble> {
        match *step {
            Step::Begin { slot, sync, snapshot } => self.begin(slot, sync, snapshot)?,
            Step::Put {
                slot,
                table,
                key,
                value,
            } => self.put(slot, (table, key, Some(value)))?,
            Step::Delete { slot, table, key } => self.delete(slot, table, key)?,
            Step::Add { slot, table, key } => self.add(slot, table, key)?,
            Step::Savepoint { slot } => {
                if let Some(open) = self.slots.get_mut(&slot) {
                    open.savepoints
                        .push((open.transaction.savepoint(), open.changes.len()));
                }
            }
            Step::RollbackTo { slot } => {
                if let Some(open) = self.slots.get_mut(&slot)
                    && let Some((savepoint, kept)) = open.savepoints.pop()
                {
                    open.transaction.rollback_to(savepoint)?;
                    open.changes.truncate(kept);
                }
            }
            Step::Rollback { slot } => drop(self.slots.remove(&slot)),
            Step::Commit { slot } => {
                if let Some(open) = self.slots.remove(&slot) {
                    return commit(open);
                }
            }
            _ => return Err(Trouble::Wrong(format!("{step:?} is no step of a transaction"))),
        }
        Ok(Outcome::Nothing)
    }

    fn begin(&mut self, slot: u8, sync: bool, snapshot: bool) -> Result<(), Trouble> {
        let durability = if sync {
            Durability::Sync
        } else {
            Durability::NoSync
        };
        let isolation = if snapshot {
            IsolationLevel::Snapshot
        } else {
            IsolationLevel::ReadCommitted
        };
        let options = TxOptions::new().durability(durability).isolation(isolation);
        let open = Open {
            transaction: self.database.begin_with(options)?,
            changes: Vec::new(),
            reads: Vec::new(),
            savepoints: Vec::new(),
            sync,
            is_snapshot: snapshot,
        };
        self.slots.insert(slot, open);
        Ok(())
    }

    fn open(&mut self, slot: u8, table: TableNumber) -> Option<(&mut Open<'db>, engine::Table)> {
        let table = self.database.table(&table_name(table)).ok()?;
        Some((self.slots.get_mut(&slot)?, table))
    }

    fn put(&mut self, slot: u8, change: Change) -> Result<(), Trouble> {
        let (number, key, value) = change;
        let Some((open, table)) = self.open(slot, number) else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        value_bytes(key, value.unwrap_or(Value { len: 0, version: 0 }), &mut bytes);
        match open.transaction.put(table, &key_bytes(key), &bytes) {
            Ok(()) => open.changes.push(change),
            Err(error) => passed_by(error)?,
        }
        Ok(())
    }

    fn delete(&mut self, slot: u8, number: TableNumber, key: KeyNumber) -> Result<(), Trouble> {
        let Some((open, table)) = self.open(slot, number) else {
            return Ok(());
        };
        match open.transaction.delete(table, &key_bytes(key)) {
            Ok(true) => open.changes.push((number, key, None)),
            Ok(false) => {}
            Err(error) => passed_by(error)?,
        }
        Ok(())
    }

    /// A read, and a write that depends on it. What is read under the row's lock is what every later read of the row
    /// gives as well.
    fn add(&mut self, slot: u8, number: TableNumber, key: KeyNumber) -> Result<(), Trouble> {
        let Some((open, table)) = self.open(slot, number) else {
            return Ok(());
        };
        let name = key_bytes(key);
        let own = open.changes.iter().any(|&(t, k, _)| (t, k) == (number, key));
        let transaction = &mut open.transaction;
        let read = if open.is_snapshot {
            transaction.get(table, &name)
        } else {
            transaction.get_for_update(table, &name)
        };
        let read = match read {
            Ok(value) => value,
            Err(error) => return passed_by(error).map_err(Trouble::from),
        };
        let again = transaction.get(table, &name)?;
        if again != read {
            let [read, again] = [read, again].map(|value| value.map(|value| version_of(&value)));
            return Err(Trouble::Wrong(format!(
                "a transaction read version {read:?} of row {key}, which it has locked, and {again:?} right after"
            )));
        }
        let version = read.as_deref().map(version_of);
        let value = Value {
            len: ADDED_LEN,
            version: version.unwrap_or(0).wrapping_add(1),
        };
        let mut bytes = Vec::new();
        value_bytes(key, value, &mut bytes);
        match transaction.put(table, &name, &bytes) {
            Ok(()) => open.changes.push((number, key, Some(value))),
            Err(error) => return passed_by(error).map_err(Trouble::from),
        }
        if !own {
            open.reads.push(LockedRead {
                table: number,
                key,
                version,
            });
        }
        Ok(())
    }
}

/// A row belongs to another transaction, or has changed meanwhile: this one goes on without it.
fn passed_by(error: Error) -> engine::Result<()> {
    if error.is_retryable() { Ok(()) } else { Err(error) }
}

fn commit(open: Open<'_>) -> Result<Outcome, Trouble> {
    let Open {
        transaction,
        changes,
        reads,
        sync,
        ..
    } = open;
    Ok(match transaction.commit() {
        Ok(commit) => Outcome::Committed(Committed {
            commit,
            // A transaction without writes promises nothing; one whose writes change nothing does.
            promises: sync && !changes.is_empty(),
            changes,
            reads,
        }),
        Err(error) if error.is_retryable() => Outcome::Nothing,
        Err(Error::NoSuchTable { .. }) => Outcome::Nothing,
        Err(error) => Outcome::Failed { changes, error },
    })
}
