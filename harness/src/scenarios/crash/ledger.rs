//! What a run promised, and what it has been through.

use std::collections::BTreeSet;

use engine::vfs::SimulatedVfs;
use engine::{CommitId, Metrics};

use super::script::{value_bytes, version_of};
use super::seen::{Expecting, Seen};
use super::session::{Committed, LockedRead};
use super::state::{State, States, apply};

/// A promise: when the file operations had come to `point`, everything up to `commit` was said to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Promise {
    pub point: usize,
    pub commit: CommitId,
}

/// What a run promised and what it should have led to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub states: States,
    /// In order of their points.
    pub promises: Vec<Promise>,
    /// Commits that were to be durable before anybody saw them.
    pub synced: BTreeSet<CommitId>,
    /// Where each step began, and its phase.
    pub phases: Vec<(usize, &'static str)>,
    /// What the database has been through.
    pub reached: Reached,
}

/// What the database has been through, to hold a script to its purpose.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reached {
    pub commits: u64,
    pub evicted_dirty: u64,
    pub checkpoints: u64,
    pub largest_group: usize,
    pub overflow_pages: u64,
    pub levels: u8,
    pub redone_commits: u64,
    pub conflicts: u64,
    pub rows: u64,
    pub free_pages: u64,
}

impl Reached {
    pub(super) fn add(&mut self, metrics: &Metrics) {
        self.commits += metrics.commits;
        self.evicted_dirty += metrics.pages_evicted_dirty;
        self.checkpoints += metrics.checkpoints;
        self.conflicts += metrics.conflicts + metrics.busy;
        let groups = metrics.group_sizes.iter().map(|(size, _)| *size as usize);
        self.largest_group = self.largest_group.max(groups.max().unwrap_or(0));
    }
}

impl Ledger {
    /// The newest commit that was promised to be durable by `point`.
    pub(crate) fn promised(&self, point: usize) -> CommitId {
        let made = self.promises.partition_point(|promise| promise.point <= point);
        made.checked_sub(1)
            .map_or(CommitId(0), |at| self.promises[at].commit)
    }

    /// What the database was doing at `point`.
    pub(crate) fn phase(&self, point: usize) -> &'static str {
        let begun = self.phases.partition_point(|(begin, _)| *begin < point);
        begun.checked_sub(1).map_or("create", |at| self.phases[at].1)
    }

    /// The recording begins: what is there is durable.
    pub(super) fn begin(&mut self, vfs: &SimulatedVfs) {
        self.promises.clear();
        self.phases.clear();
        self.reached = Reached::default();
        self.promise(vfs, self.states.last());
    }

    pub(super) fn promise(&mut self, vfs: &SimulatedVfs, commit: CommitId) {
        self.promise_at(vfs.position(), commit);
    }

    /// Readers saw these commits when the file operations had come to these points. What was to be durable before anybody
    /// saw it, and all before it, was so.
    fn shown(&mut self, seen: impl IntoIterator<Item = (usize, CommitId)>) {
        for (point, commit) in seen {
            if let Some(&commit) = self.synced.range(..=commit).next_back() {
                self.promises.push(Promise { point, commit });
            }
        }
        self.promises.sort_by_key(|promise| promise.point);
        let mut newest = CommitId(0);
        for promise in &mut self.promises {
            newest = newest.max(promise.commit);
            promise.commit = newest;
        }
    }

    pub(super) fn promise_at(&mut self, point: usize, commit: CommitId) {
        let before = self.promises.last().map_or(CommitId(0), |last| last.commit);
        let commit = commit.max(before);
        self.promises.push(Promise { point, commit });
    }

    /// Notes the next commit, and what the database holds after it.
    ///
    /// # Errors
    /// As [`Ledger::committed`].
    pub(super) fn applied(&mut self, state: &mut State, committed: &Committed) -> Result<(), String> {
        let Committed {
            commit,
            changes,
            reads,
            promises,
        } = committed;
        for read in reads {
            was_newest(state, read).map_err(|what| format!("commit {commit}: {what}"))?;
        }
        let before = state.clone();
        apply(state, changes);
        if *promises && (*state != before || changes.iter().any(|(.., value)| value.is_some())) {
            self.synced.insert(*commit);
        }
        self.states.insert(*commit, state.clone());
        Ok(())
    }

    /// Notes commits that returned, in any order, each with where the file operations were then.
    ///
    /// # Errors
    /// A transaction read, under a lock, something else than what its commit replaced.
    pub(super) fn committed(
        &mut self,
        state: &mut State,
        mut commits: Vec<(Committed, usize)>,
    ) -> Result<(), String> {
        commits.sort_by_key(|(committed, _)| committed.commit);
        for (committed, _) in &commits {
            self.applied(state, committed)?;
        }
        commits.sort_by_key(|(_, point)| *point);
        for (committed, point) in commits.iter().filter(|(committed, _)| committed.promises) {
            self.promise_at(*point, committed.commit);
        }
        Ok(())
    }

    /// What readers saw was there, and stays there.
    ///
    /// # Errors
    /// It was not.
    pub(super) fn was_seen(&mut self, seen: &[Seen]) -> Result<(), String> {
        let mut expecting = Expecting::default();
        for one in seen {
            let mut answer = Ok(());
            for state in self.states.candidates(one.commit) {
                answer = expecting.is_state(&one.tables, &state);
                if answer.is_ok() {
                    break;
                }
            }
            answer.map_err(|what| format!("a reader of commit {}: {what}", one.commit))?;
        }
        self.shown(seen.iter().map(|one| (one.position, one.commit)));
        Ok(())
    }
}

/// What a transaction read and then changed is what its commit replaced.
pub(crate) fn was_newest(state: &State, read: &LockedRead) -> Result<(), String> {
    let LockedRead { table, key, version } = *read;
    let row = state.get(&table).and_then(|rows| rows.get(&key));
    let newest = row.map(|value| {
        let mut bytes = Vec::new();
        value_bytes(key, *value, &mut bytes);
        version_of(&bytes)
    });
    if newest == version {
        return Ok(());
    }
    Err(format!(
        "it read version {version:?} of row {key} to change it, and replaced version {newest:?}"
    ))
}
