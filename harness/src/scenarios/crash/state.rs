//! What the database must hold after each commit.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use engine::{CommitId, Database, Snapshot, Table};

use super::script::{KeyNumber, TableNumber, Value, key_bytes, table_name, value_bytes, version_of};

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
    /// What commits that failed half-way could have led to. Nothing can be committed after them.
    uncertain: Vec<Arc<State>>,
    /// Between these two commits one of the engine's own can have come before or after the change that the later one has.
    unclear: Vec<(CommitId, CommitId)>,
}

/// Why a database is not as it should be.
#[derive(Debug)]
pub(crate) enum Difference {
    /// It could not be read.
    Unreadable(String),
    /// Nothing could be moved out of memory to read it, since the database had stopped.
    Stopped,
    /// It holds something else.
    Wrong(String),
    /// The snapshot has become too old to be read.
    TooOld,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(what) | Self::Wrong(what) => f.write_str(what),
            Self::Stopped => f.write_str("the database had stopped"),
            Self::TooOld => f.write_str("the snapshot is too old"),
        }
    }
}

impl From<Difference> for String {
    fn from(difference: Difference) -> Self {
        difference.to_string()
    }
}

impl Difference {
    fn in_state(self, commit: CommitId) -> Self {
        match self {
            Self::Wrong(what) => Self::Wrong(format!("not the state of commit {commit}: {what}")),
            other => other,
        }
    }
}

impl States {
    /// After `commit`, this is what there is.
    pub(crate) fn insert(&mut self, commit: CommitId, state: State) {
        self.by_commit.insert(commit, Arc::new(state));
    }

    /// After `commit` this is what there is, and perhaps after some commit behind `before` already.
    pub(crate) fn insert_after(&mut self, before: CommitId, commit: CommitId, state: State) {
        if commit > before.next() {
            self.unclear.push((before, commit));
        }
        self.insert(commit, state);
    }

    /// What can be there after a commit: one state, or in rare cases two.
    pub(crate) fn candidates(&self, commit: CommitId) -> impl Iterator<Item = Arc<State>> {
        let later = self
            .unclear
            .iter()
            .find(|(from, to)| (*from..*to).contains(&commit))
            .map(|(_, to)| self.at(*to));
        [Some(self.at(commit)), later].into_iter().flatten()
    }

    /// A commit failed whose fate is open; this is what it would have led to.
    pub(crate) fn insert_uncertain(&mut self, state: State) {
        self.uncertain.push(Arc::new(state));
    }

    /// The database has been opened with this state, and goes on from there.
    pub(crate) fn go_back(&mut self, commit: CommitId, state: Arc<State>) {
        self.uncertain.clear();
        self.unclear.retain(|(_, to)| *to <= commit);
        self.by_commit.retain(|later, _| *later < commit);
        self.by_commit.insert(commit, state);
    }

    /// The newest state up to a commit; nothing at all before the first.
    pub(crate) fn at(&self, commit: CommitId) -> Arc<State> {
        let found = self.by_commit.range(..=commit).next_back();
        found.map(|(_, state)| Arc::clone(state)).unwrap_or_default()
    }

    /// The states of all commits behind one and up to another.
    pub(crate) fn between(&self, after: CommitId, to: CommitId) -> Vec<Arc<State>> {
        let range = self.by_commit.range(after..=to.max(after));
        range
            .filter(|(commit, _)| **commit > after || after == CommitId(0))
            .map(|(_, state)| Arc::clone(state))
            .collect()
    }

    /// All commits.
    pub(crate) fn commits(&self) -> impl Iterator<Item = CommitId> {
        self.by_commit.keys().copied()
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
    /// What is different.
    pub(crate) fn check(&self, database: &Database) -> Result<(CommitId, Arc<State>), Difference> {
        let (commit, found) = self.check_newest(database)?;
        let difference = match found {
            Ok(state) => return Ok((commit, state)),
            Err(difference) => difference,
        };
        let snapshot = database.snapshot();
        let mut uncertain = self.uncertain.iter().filter(|_| commit > self.last());
        match uncertain.find(|state| compare(database, &snapshot, state).is_ok()) {
            Some(state) => Ok((commit, Arc::clone(state))),
            None => Err(difference.in_state(commit)),
        }
    }

    /// Like [`States::check`] for a database that is still open: it shows no rows whose fate is open. Which tables there
    /// are follows no snapshot, so a table can be there, or gone, that is not for certain.
    ///
    /// # Errors
    /// What is different.
    pub(crate) fn check_certain(&self, database: &Database) -> Result<(), Difference> {
        let (commit, found) = self.check_newest(database)?;
        let Err(difference) = found else {
            return Ok(());
        };
        let certain = self.at(commit);
        let snapshot = database.snapshot();
        let mut other_tables = self
            .uncertain
            .iter()
            .filter(|state| !state.keys().eq(certain.keys()));
        if other_tables.any(|state| compare(database, &snapshot, state).is_ok()) {
            return Ok(());
        }
        Err(difference.in_state(commit))
    }

    fn check_newest(
        &self,
        database: &Database,
    ) -> Result<(CommitId, Result<Arc<State>, Difference>), Difference> {
        let snapshot = database.snapshot();
        let commit = snapshot.commit_id();
        let mut found = Err(Difference::TooOld);
        for state in self.candidates(commit) {
            found = compare(database, &snapshot, &state).map(|()| state);
            if found.is_ok() {
                break;
            }
        }
        Ok((commit, found))
    }
}

/// Compares what a snapshot shows with a state.
///
/// # Errors
/// The first difference.
pub(crate) fn compare(database: &Database, snapshot: &Snapshot<'_>, state: &State) -> Result<(), Difference> {
    let names: Vec<String> = state.keys().map(|table| table_name(*table)).collect();
    let found = database.table_names();
    if found != names {
        return wrong(format!("the tables are {found:?} and should be {names:?}"));
    }
    for (number, rows) in state {
        let name = table_name(*number);
        let table = database
            .table(&name)
            .map_err(|error| Difference::Unreadable(format!("finding {name}: {error}")))?;
        compare_rows(snapshot, table, *number, rows)?;
    }
    Ok(())
}

/// Compares what a snapshot shows of one table.
///
/// # Errors
/// The first difference.
pub(crate) fn compare_rows(
    snapshot: &Snapshot<'_>,
    table: Table,
    number: TableNumber,
    rows: &Rows,
) -> Result<(), Difference> {
    let name = table_name(number);
    let failed = |error: engine::Error| match error {
        engine::Error::SnapshotTooOld { .. } => Difference::TooOld,
        engine::Error::Poisoned { .. } => Difference::Stopped,
        error => Difference::Unreadable(format!("reading {name}: {error}")),
    };
    let mut expected = Vec::new();
    let mut scan = snapshot.scan(table, ..).map_err(failed)?;
    for (key, value) in rows {
        let Some((found_key, found_value)) = scan.next_row().map_err(failed)? else {
            return wrong(format!("{name} ends before row {key}"));
        };
        if found_key != key_bytes(*key) {
            return wrong(format!(
                "{name} has the key {} where row {key} should come",
                found_key.escape_ascii()
            ));
        }
        value_bytes(*key, *value, &mut expected);
        if found_value != expected {
            return wrong(format!(
                "{name} row {key} is version {} ({} bytes) and should be version {} ({} bytes)",
                version_of(found_value),
                found_value.len(),
                value.version,
                expected.len()
            ));
        }
    }
    if let Some((key, _)) = scan.next_row().map_err(failed)? {
        return wrong(format!(
            "{name} has a row too many, with key {}",
            key.escape_ascii()
        ));
    }
    let counts = [
        (false, range_of(snapshot, rows, 3)),
        (true, range_of(snapshot, rows, 5)),
    ];
    for (is_reverse, (low, high)) in counts {
        let bounds = key_bytes(low)..key_bytes(high);
        let scan = if is_reverse {
            snapshot.scan_rev(table, bounds)
        } else {
            snapshot.scan(table, bounds)
        };
        let (mut scan, mut found) = (scan.map_err(failed)?, 0);
        while scan.next_row().map_err(failed)?.is_some() {
            found += 1;
        }
        let right = rows.range(low..high).count();
        if found != right {
            return wrong(format!(
                "{name} has {found} rows from {low} up to {high}, and should have {right} ({})",
                if is_reverse { "backwards" } else { "forwards" }
            ));
        }
    }
    Ok(())
}

/// Bounds of a range in which some of the rows lie, others for each commit. They need not be keys of rows.
fn range_of(snapshot: &Snapshot<'_>, rows: &Rows, salt: u64) -> (KeyNumber, KeyNumber) {
    let draw = (snapshot.commit_id().0 ^ salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let nth = |draw: u64| {
        let at = draw as usize % rows.len().max(1);
        // Now and then a bound between keys, and one behind all keys of its length.
        let key = rows.keys().nth(at).copied().unwrap_or(0);
        key + (draw >> 40 & 1) as KeyNumber
    };
    let (one, other) = (nth(draw >> 8), nth(draw >> 24));
    (one.min(other), one.max(other))
}

fn wrong(what: String) -> Result<(), Difference> {
    Err(Difference::Wrong(what))
}
