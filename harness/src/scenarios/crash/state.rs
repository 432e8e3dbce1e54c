//! What the database must hold after each commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::{CommitId, Database, Snapshot};

use super::script::{KeyNumber, TableNumber, Value, key_bytes, table_name, value_bytes};

/// Rows of one table.
pub(crate) type Rows = BTreeMap<KeyNumber, Value>;
/// Rows of all tables.
pub(crate) type State = BTreeMap<TableNumber, Arc<Rows>>;
/// A change of a row: its value, or that it is gone.
pub(crate) type Change = (TableNumber, KeyNumber, Option<Value>);

/// Makes changes, in order. Those of a table that was dropped meanwhile change nothing.
pub(crate) fn apply(state: &mut State, changes: &[Change]) {
    for &(table, key, value) in changes {
        if let Some(rows) = state.get_mut(&table) {
            match value {
                Some(value) => Arc::make_mut(rows).insert(key, value),
                None => Arc::make_mut(rows).remove(&key),
            };
        }
    }
}

/// The states of one run by the commit that led to each.
#[derive(Clone, Debug, Default)]
pub(crate) struct States {
    by_commit: BTreeMap<CommitId, Arc<State>>,
    /// What a commit that failed half-way would have led to. Nothing can be committed after it.
    uncertain: Option<Arc<State>>,
}

impl States {
    /// After `commit`, this is what there is.
    pub(crate) fn insert(&mut self, commit: CommitId, state: State) {
        self.by_commit.insert(commit, Arc::new(state));
    }

    /// A commit failed whose fate is open; this is what it would have led to.
    pub(crate) fn insert_uncertain(&mut self, state: State) {
        self.uncertain = Some(Arc::new(state));
    }

    /// The newest state up to a commit; nothing at all before the first.
    pub(crate) fn at(&self, commit: CommitId) -> Arc<State> {
        let found = self.by_commit.range(..=commit).next_back();
        found.map(|(_, state)| Arc::clone(state)).unwrap_or_default()
    }

    /// The newest commit.
    pub(crate) fn last(&self) -> CommitId {
        self.by_commit
            .last_key_value()
            .map_or(CommitId(0), |(commit, _)| *commit)
    }

    /// Compares a database with the state of its newest commit, and returns that state.
    ///
    /// # Errors
    /// What is different, in words.
    pub(crate) fn check(&self, database: &Database) -> Result<(CommitId, Arc<State>), String> {
        let snapshot = database
            .snapshot()
            .map_err(|error| format!("snapshot: {error}"))?;
        let commit = snapshot.commit_id();
        let state = self.at(commit);
        match compare(database, &snapshot, &state) {
            Ok(()) => Ok((commit, state)),
            Err(what) => {
                if let Some(uncertain) = self.uncertain.as_ref().filter(|_| commit > self.last())
                    && compare(database, &snapshot, uncertain).is_ok()
                {
                    return Ok((commit, Arc::clone(uncertain)));
                }
                Err(format!("not the state of commit {commit}: {what}"))
            }
        }
    }
}

/// Compares what a snapshot shows with a state.
///
/// # Errors
/// The first difference, in words.
pub(crate) fn compare(database: &Database, snapshot: &Snapshot<'_>, state: &State) -> Result<(), String> {
    let names: Vec<String> = state.keys().map(|table| table_name(*table)).collect();
    let found = database.table_names();
    if found != names {
        return Err(format!("the tables are {found:?} and should be {names:?}"));
    }
    let mut expected = Vec::new();
    for (number, rows) in state {
        let name = table_name(*number);
        let failed = |error: engine::Error| format!("reading {name}: {error}");
        let table = database.table(&name).map_err(failed)?;
        let mut scan = snapshot.scan(table, ..).map_err(failed)?;
        for (key, value) in rows.iter() {
            let Some((found_key, found_value)) = scan.next_row().map_err(failed)? else {
                return Err(format!("{name} ends before row {key}"));
            };
            if found_key != key_bytes(*key) {
                return Err(format!(
                    "{name} has the key {} where row {key} should come",
                    found_key.escape_ascii()
                ));
            }
            value_bytes(*key, *value, &mut expected);
            if found_value != expected {
                return Err(format!(
                    "{name} row {key} is not version {} ({} bytes where {} are expected)",
                    value.version,
                    found_value.len(),
                    expected.len()
                ));
            }
        }
        if let Some((key, _)) = scan.next_row().map_err(failed)? {
            return Err(format!(
                "{name} has a row too many, with key {}",
                key.escape_ascii()
            ));
        }
    }
    Ok(())
}
