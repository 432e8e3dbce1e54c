//! The scripted scenarios: one for each thing that a storage engine does to its files. Those in [`alone`] are the same in
//! each run; those in [`beside`] have company, or threads; those in [`large`] begin with the large database.
//!
//! Each is small, so that power can be lost at every one of its file operations, and each is held to its purpose: what
//! it must have reached is checked after its run, so a script that no longer splits a page cannot pass as one that does.

use std::collections::BTreeMap;

use engine::vfs::simulated::Operation;

mod alone;
mod beside;
mod large;

use super::ledger::Ledger;
use super::play::Recording;
use super::script::{KeyNumber, Script, Settings, Step, Value};

/// A script and what it must reach.
pub(crate) struct Scenario {
    pub script: Script,
    reaches: &'static [Goal],
}

impl Scenario {
    /// The first thing that the script is for and that its run did not do.
    pub(crate) fn missed_goal(&self, recording: &Recording) -> Option<Goal> {
        self.reaches.iter().copied().find(|goal| !goal.is_met(recording))
    }
}

/// Something that a run must have gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    Levels(u8),
    OverflowPages,
    DirtyEvictions,
    Checkpoints(u64),
    RedoneCommits,
    Groups,
    Conflicts,
    Recycled,
    Rows(u64),
    FreePages,
    DirectWrites,
    UnsyncedCommits,
    Shrunk,
}

impl Goal {
    fn is_met(self, recording: &Recording) -> bool {
        let Ledger {
            reached,
            states,
            promises,
            ..
        } = &recording.ledger;
        let has = |is_it: fn(&Operation) -> bool| recording.trace.operations.iter().any(is_it);
        match self {
            Self::Levels(levels) => reached.levels >= levels,
            Self::OverflowPages => reached.overflow_pages > 0,
            Self::DirtyEvictions => reached.evicted_dirty > 0,
            Self::Checkpoints(count) => reached.checkpoints >= count,
            Self::RedoneCommits => reached.redone_commits > 0,
            Self::Groups => reached.largest_group > 1,
            Self::Conflicts => reached.conflicts > 0,
            Self::Recycled => has(|operation| matches!(operation, Operation::Rename { .. })),
            Self::Rows(rows) => reached.rows == rows,
            Self::FreePages => reached.free_pages > 0,
            Self::DirectWrites => has(|operation| matches!(operation, Operation::SyncWrite { .. })),
            Self::Shrunk => {
                let mut lengths = BTreeMap::new();
                recording
                    .trace
                    .operations
                    .iter()
                    .any(|operation| match operation {
                        Operation::SetLen { inode, len } => {
                            lengths.insert(inode, *len).is_some_and(|before| *len < before)
                        }
                        _ => false,
                    })
            }
            Self::UnsyncedCommits => states
                .commits()
                .any(|commit| promises.iter().all(|promise| promise.commit != commit)),
        }
    }
}

/// Builds a list of steps.
#[derive(Default)]
struct Steps(Vec<Step>);

impl Steps {
    fn then(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }

    fn table(self, table: u8) -> Self {
        self.then(Step::CreateTable(table))
    }

    /// One transaction that puts rows.
    fn put(
        self,
        sync: bool,
        table: u8,
        keys: impl IntoIterator<Item = KeyNumber>,
        len: u32,
        version: u32,
    ) -> Self {
        let value = Value { len, version };
        let puts = keys.into_iter().map(|key| Step::Put {
            slot: 0,
            table,
            key,
            value,
        });
        self.transaction(sync, puts)
    }

    /// One transaction that deletes rows.
    fn delete(self, sync: bool, table: u8, keys: impl IntoIterator<Item = KeyNumber>) -> Self {
        let deletes = keys.into_iter().map(|key| Step::Delete { slot: 0, table, key });
        self.transaction(sync, deletes)
    }

    fn transaction(mut self, sync: bool, steps: impl IntoIterator<Item = Step>) -> Self {
        self.0.push(begin(0, sync));
        self.0.extend(steps);
        self.0.push(Step::Commit { slot: 0 });
        self
    }

    fn each<T>(self, items: impl IntoIterator<Item = T>, f: impl Fn(Self, T) -> Self) -> Self {
        items.into_iter().fold(self, f)
    }
}

fn scenario(
    name: &str,
    title: &str,
    settings: Settings,
    before: Steps,
    steps: Steps,
    reaches: &'static [Goal],
) -> Scenario {
    Scenario {
        script: Script {
            name: name.into(),
            title: title.into(),
            settings,
            is_large: false,
            before: before.0,
            steps: steps.0,
        },
        reaches,
    }
}

/// Begins a transaction that reads what is committed.
fn begin(slot: u8, sync: bool) -> Step {
    Step::Begin {
        slot,
        sync,
        snapshot: false,
    }
}

/// A table with rows.
fn rows(count: u32, len: u32) -> Steps {
    Steps::default()
        .table(0)
        .each(0..count.div_ceil(40), move |steps, at| {
            steps.put(false, 0, at * 40..count.min(at * 40 + 40), len, 0)
        })
}

/// All scripted scenarios.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = alone::scenarios();
    all.extend(beside::scenarios());
    all.extend(large::scenarios());
    all
}
