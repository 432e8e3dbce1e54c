//! Snapshots that a script holds across its steps, and handles of tables that were dropped: what they show is compared
//! again and again.

use engine::{CommitId, Database, Error, Snapshot, Table};

use super::script::{TableNumber, table_name};
use super::seen::is_gone;
use super::state::{Difference, States, compare_rows};

/// Held snapshots that are compared after a step, beside the oldest and the newest.
const COMPARED: usize = 2;

/// A snapshot, and the tables that there were.
struct Held<'db> {
    snapshot: Snapshot<'db>,
    tables: Vec<(TableNumber, Table)>,
}

/// Everything that is held.
#[derive(Default)]
pub(super) struct Holding<'db> {
    held: Vec<Held<'db>>,
    /// Handles of tables that are gone, with the commit after which they are.
    dropped: Vec<(TableNumber, Table)>,
    turn: usize,
    /// Whether old versions have memory enough, so that no snapshot becomes too old.
    has_budget: bool,
}

/// The tables of a database by number.
pub(super) fn tables_of(database: &Database, states: &States) -> Vec<(TableNumber, Table)> {
    let state = states.at(states.last());
    let numbers = state.keys().copied();
    numbers
        .filter_map(|number| Some((number, database.table(&table_name(number)).ok()?)))
        .collect()
}

impl<'db> Holding<'db> {
    pub(super) fn new(has_budget: bool) -> Self {
        Self {
            has_budget,
            ..Self::default()
        }
    }

    pub(super) fn hold(&mut self, database: &'db Database, states: &States, snapshots: u16) {
        for _ in 0..snapshots {
            self.held.push(Held {
                tables: tables_of(database, states),
                snapshot: database.snapshot(),
            });
        }
    }

    /// Lets go of all but the newest.
    pub(super) fn keep(&mut self, newest: usize) {
        self.held.drain(..self.held.len().saturating_sub(newest));
    }

    /// A table was dropped that had this handle.
    pub(super) fn dropped(&mut self, number: TableNumber, handle: Table) {
        self.dropped.push((number, handle));
    }

    /// Compares some of what is held with what there was.
    ///
    /// # Errors
    /// What is different.
    pub(super) fn compare(&mut self, database: &Database, states: &States) -> Result<(), String> {
        for (number, handle) in &self.dropped {
            is_refused(database, *number, *handle)?;
        }
        self.turn += 1;
        let count = self.held.len();
        let others = (0..COMPARED).map(|at| (self.turn * COMPARED + at) % count.max(1));
        let mut compared: Vec<usize> = [0, count.saturating_sub(1)].into_iter().chain(others).collect();
        compared.sort_unstable();
        compared.dedup();
        let mut too_old = Vec::new();
        for at in compared {
            let Some(held) = self.held.get(at) else { continue };
            let commit = held.snapshot.commit_id();
            match held.compare(states, commit) {
                Ok(true) => {}
                Ok(false) if self.has_budget => {
                    return Err(format!(
                        "a snapshot of commit {commit} is too old, and there was memory for it"
                    ));
                }
                Ok(false) => too_old.push(at),
                Err(what) => return Err(format!("a snapshot of commit {commit}: {what}")),
            }
        }
        for at in too_old.into_iter().rev() {
            self.held.remove(at);
        }
        Ok(())
    }
}

impl Held<'_> {
    /// `false` if the snapshot is too old.
    fn compare(&self, states: &States, commit: CommitId) -> Result<bool, Difference> {
        let mut answer = Ok(true);
        // Between two commits of the script, one of the engine's own can have come before or after.
        for state in states.candidates(commit) {
            answer = self.tables.iter().try_fold(true, |_, (number, table)| {
                let rows = state.get(number).cloned().unwrap_or_default();
                compare_rows(&self.snapshot, *table, *number, &rows).map(|()| true)
            });
            if answer.is_ok() {
                break;
            }
        }
        match answer {
            Err(Difference::TooOld) => Ok(false),
            answer => answer,
        }
    }
}

/// A table that was dropped is not there for anybody who comes later, whatever handle he has.
fn is_refused(database: &Database, number: TableNumber, handle: Table) -> Result<(), String> {
    let snapshot = database.snapshot();
    let read = || -> engine::Result<u64> {
        let mut scan = snapshot.scan(handle, ..)?;
        let mut rows = 0;
        while scan.next_row()?.is_some() {
            rows += 1;
        }
        Ok(rows)
    };
    let name = table_name(number);
    match read() {
        Err(error) if is_gone(&error) => Ok(()),
        Err(Error::Poisoned { .. }) => Ok(()),
        Err(error) => Err(format!("a handle of {name}, which was dropped: {error}")),
        Ok(rows) => Err(format!(
            "a handle of {name}, which was dropped, shows {rows} rows"
        )),
    }
}
