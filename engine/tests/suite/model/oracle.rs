//! What the database should hold: one state for each commit, and which row changed when.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use engine::CommitId;

use crate::ordered::Rows;

/// A table, numbered by the model; numbers are not used again.
pub(super) type TableNo = u32;
/// States are numbered in the order of their commits.
pub(super) type StateNo = u64;
pub(super) type RowName = (TableNo, Vec<u8>);

/// The rows of all tables after one commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    pub(super) names: BTreeMap<String, TableNo>,
    pub(super) tables: BTreeMap<TableNo, Arc<Rows>>,
    /// Tables that had been made: higher numbers are younger than the state.
    pub(super) made: TableNo,
}

impl State {
    pub(super) fn row(&self, table: TableNo, key: &[u8]) -> Option<&Vec<u8>> {
        self.tables.get(&table)?.get(key)
    }
}

/// The changes of a transaction: by table and key a value, or `None` for a deleted row.
pub(super) type Own = BTreeMap<TableNo, BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

/// States kept for [`Oracle::at`].
const KEPT: usize = 100;

/// The states since the database was opened, or the last of them.
#[derive(Debug)]
pub(super) struct Oracle {
    /// The commit with which the database was opened.
    pub(super) first_commit: CommitId,
    /// By the commit that led to them. The commits between two are the engine's own and change nothing that can be seen.
    history: BTreeMap<CommitId, (StateNo, Arc<State>)>,
    /// What readers see.
    pub(super) visible: Arc<State>,
    pub(super) visible_no: StateNo,
    /// Applied, and waiting to be durable before anybody sees it.
    pub(super) waiting: Vec<Arc<State>>,
    /// What has to be there after a crash: this state or a later one.
    pub(super) durable_no: StateNo,
    /// Which states changed a row, rising. Only those since the database was opened.
    pub(super) changes: HashMap<RowName, Vec<StateNo>>,
}

impl Oracle {
    /// A database that was opened with `state`, its newest commit being `commit`.
    pub(super) fn opened(state: Arc<State>, commit: CommitId) -> Self {
        Self {
            first_commit: commit,
            history: BTreeMap::from([(commit, (0, Arc::clone(&state)))]),
            visible: state,
            visible_no: 0,
            waiting: Vec::new(),
            durable_no: 0,
            changes: HashMap::new(),
        }
    }

    /// What a commit sees; `None` for one that is too long ago.
    pub(super) fn at(&self, commit: CommitId) -> Option<(StateNo, Arc<State>)> {
        self.history
            .range(..=commit)
            .next_back()
            .map(|(_, seen)| seen.clone())
    }

    /// The newest state, visible or not.
    pub(super) fn applied(&self) -> &Arc<State> {
        self.waiting.last().unwrap_or(&self.visible)
    }

    pub(super) fn applied_no(&self) -> StateNo {
        self.visible_no + self.waiting.len() as StateNo
    }

    /// Every state that a read of the newest data may show, oldest first.
    pub(super) fn candidates(&self) -> impl Iterator<Item = (StateNo, &Arc<State>)> {
        std::iter::once(&self.visible)
            .chain(&self.waiting)
            .zip(self.visible_no..)
            .map(|(state, no)| (no, state))
    }

    /// What is left after any crash from now on.
    pub(super) fn after_crash(&self) -> Vec<Arc<State>> {
        let from = self.durable_no;
        let past = self
            .history
            .values()
            .filter(|(no, _)| *no >= from)
            .map(|(_, state)| Arc::clone(state));
        past.chain(self.waiting.iter().cloned()).collect()
    }

    /// The newest state with a transaction's changes; `None` if they change nothing. Also names the rows that change.
    pub(super) fn with(&self, own: &Own) -> Option<(State, Vec<RowName>)> {
        let mut state = State::clone(self.applied());
        let mut changed = Vec::new();
        for (table, writes) in own.iter().filter(|(_, writes)| !writes.is_empty()) {
            let rows = Arc::make_mut(state.tables.get_mut(table)?);
            for (key, value) in writes {
                let is_change = match value {
                    Some(value) => {
                        rows.insert(key.clone(), value.clone());
                        true
                    }
                    None => rows.remove(key).is_some(),
                };
                if is_change {
                    changed.push((*table, key.clone()));
                }
            }
        }
        (!changed.is_empty()).then_some((state, changed))
    }

    /// A commit was applied, and is not visible yet.
    pub(super) fn apply(&mut self, state: State, changed: Vec<RowName>) {
        self.waiting.push(Arc::new(state));
        let no = self.applied_no();
        for row in changed {
            self.changes.entry(row).or_default().push(no);
        }
    }

    /// The oldest waiting commit has become visible.
    pub(super) fn show(&mut self, commit: CommitId) {
        self.visible = self.waiting.remove(0);
        self.visible_no += 1;
        let newest = *self
            .history
            .keys()
            .next_back()
            .expect("the state at opening stays");
        assert!(commit > newest, "commit {commit} after {newest}: commit IDs rise");
        self.history
            .insert(commit, (self.visible_no, Arc::clone(&self.visible)));
        while self.history.len() > KEPT
            && let Some(oldest) = self.history.first_entry()
            && oldest.get().0 < self.durable_no
        {
            oldest.remove();
        }
    }

    /// Everything that is visible has become durable.
    pub(super) fn synced(&mut self) {
        self.durable_no = self.visible_no;
    }

    /// How often a row has changed since a state.
    pub(super) fn changes_since(&self, table: TableNo, key: &[u8], no: StateNo) -> usize {
        let changes = self.changes.get(&(table, key.to_vec()));
        changes.map_or(0, |changes| changes.iter().filter(|&&change| change > no).count())
    }
}
