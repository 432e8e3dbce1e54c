//! The scripted scenarios: one for each thing that a storage engine does to its files.
//!
//! Each is small, so that power can be lost at every one of its file operations, and each is held to its purpose: what
//! it must have reached is checked after its run, so a script that no longer splits a page cannot pass as one that does.

use engine::vfs::simulated::Operation;

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
        self.0.push(Step::Begin { slot: 0, sync });
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
            before: before.0,
            steps: steps.0,
        },
        reaches,
    }
}

/// All scripted scenarios.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let plain = Settings::default;
    let new = Steps::default;
    let rows = |count: u32, len: u32| {
        new().table(0).each(0..count.div_ceil(40), move |steps, at| {
            steps.put(false, 0, at * 40..count.min(at * 40 + 40), len, 0)
        })
    };
    vec![
        scenario(
            "insert",
            "a new database, a new table, single rows",
            plain(),
            new(),
            new()
                .table(0)
                .each(0..8, |s, key| s.put(true, 0, [key * 3], 80, 1)),
            &[Goal::Rows(8)],
        ),
        scenario(
            "split",
            "rows in rising and in scattered order until leaves and their parents split",
            plain(),
            new().table(0),
            new()
                .each(0..12, |s, at| s.put(true, 0, at * 5..at * 5 + 5, 220, 1))
                .each(0..12, |s, at| {
                    s.put(
                        at % 3 == 0,
                        0,
                        (0..4).map(|i| (at * 37 + i * 151) % 1000 + 100),
                        260,
                        2,
                    )
                }),
            &[Goal::Levels(2)],
        ),
        scenario(
            "merge",
            "deleting most rows until leaves merge and the tree grows lower",
            plain(),
            rows(240, 120),
            new()
                .each(0..6, |s, at| {
                    s.delete(at % 2 == 0, 0, (at * 40..at * 40 + 40).filter(|key| key % 9 != 0))
                })
                .then(Step::Collect)
                .then(Step::Checkpoint)
                .delete(true, 0, (0..240).filter(|key| key % 9 == 0 && key % 2 == 0))
                .then(Step::Collect)
                .put(true, 0, [1, 100, 239], 50, 3),
            &[Goal::FreePages],
        ),
        scenario(
            "update",
            "updates in place, growing and shrinking",
            plain(),
            rows(80, 100),
            new().each(0..10, |s, at| {
                s.put(true, 0, [at * 7, at * 7 + 1], 20 + at * 60, at + 1)
            }),
            &[Goal::Rows(80)],
        ),
        scenario(
            "delete",
            "deleted rows, and rows that come back",
            plain(),
            rows(80, 100),
            new().each(0..6, |s, at| {
                s.delete(true, 0, [at * 9, at * 9 + 2])
                    .put(true, 0, [at * 9], 60, at + 10)
            }),
            &[Goal::Rows(74)],
        ),
        scenario(
            "overflow",
            "values of several pages: written, replaced, deleted",
            plain(),
            new().table(0),
            new()
                .put(true, 0, [1], 5_000, 1)
                .put(true, 0, [2], 14_000, 1)
                .put(true, 0, [1], 9_000, 2)
                .then(Step::Checkpoint)
                .put(true, 0, [2], 30, 2)
                .delete(true, 0, [1])
                .put(true, 0, [3, 4], 6_000, 3),
            &[Goal::OverflowPages],
        ),
        scenario(
            "many-pages",
            "transactions that change many pages at once",
            plain(),
            rows(400, 100),
            new()
                .put(true, 0, (0..400).step_by(17), 110, 1)
                .put(false, 0, (3..400).step_by(29), 90, 2)
                .put(true, 0, (5..400).step_by(23), 300, 3),
            &[Goal::Levels(2)],
        ),
        scenario(
            "savepoints",
            "savepoints, rollbacks, and several open transactions that want the same rows",
            plain(),
            rows(40, 60),
            savepoints(),
            &[Goal::Conflicts],
        ),
        scenario(
            "tables",
            "tables created, filled, dropped and created again",
            plain(),
            new(),
            new()
                .table(0)
                .table(1)
                .put(true, 1, 0..60, 150, 1)
                .then(Step::DropTable(1))
                .put(true, 0, [1], 50, 1)
                .then(Step::Collect)
                .then(Step::Checkpoint)
                .then(Step::Collect)
                .table(1)
                .put(true, 1, [7], 50, 2)
                .table(2)
                .then(Step::DropTable(0))
                .then(Step::Checkpoint)
                .put(true, 2, [1, 2], 300, 1),
            &[Goal::Checkpoints(2)],
        ),
        scenario(
            "checkpoint",
            "checkpoints between changes of the same pages",
            Settings {
                compression: "LZ4".into(),
                ..plain()
            },
            rows(120, 90),
            new().each(0..5, |s, at| {
                s.put(true, 0, (at..120).step_by(31), 95, at + 1)
                    .put(false, 0, [at], 40, at + 50)
                    .then(Step::Checkpoint)
            }),
            &[Goal::Checkpoints(5)],
        ),
        scenario(
            "segments",
            "a log of small segments that fill, are recycled and fill again",
            Settings {
                segment_bytes: 16 << 10,
                ..plain()
            },
            rows(30, 100),
            new().each(0..5, |s, round| {
                s.each(0..16, |s, at| {
                    s.put(
                        at % 2 == 0,
                        0,
                        [(round * 11 + at * 3) % 30],
                        800,
                        round * 20 + at + 1,
                    )
                })
                .then(Step::Checkpoint)
            }),
            &[Goal::Checkpoints(5), Goal::Recycled],
        ),
        scenario(
            "recycled",
            "frames of one size, so that the log ends just before what a recycled segment held there",
            Settings {
                segment_bytes: 16 << 10,
                ..plain()
            },
            rows(30, 100),
            new().each(0..4, |s, round| {
                s.each(0..18, |s, at| s.put(true, 0, [at % 3], 800, round * 20 + at + 1))
                    .then(Step::Checkpoint)
            }),
            &[Goal::Recycled],
        ),
        scenario(
            "direct",
            "the log written by direct, synchronous writes",
            Settings {
                direct: true,
                segment_bytes: 16 << 10,
                ..plain()
            },
            rows(30, 100),
            new().each(0..3, |s, round| {
                s.each(0..16, |s, at| {
                    s.put(at % 3 != 1, 0, [(round * 8 + at) % 30], 700, round * 20 + at + 1)
                })
                .then(Step::Checkpoint)
            }),
            &[Goal::Recycled, Goal::DirectWrites],
        ),
        scenario(
            "eviction",
            "more changed pages than memory holds",
            plain(),
            // Small transactions: what a commit might evict is held for it in the data file.
            new()
                .table(0)
                .each(0..66, |s, at| s.put(false, 0, (0..5).map(|i| at * 5 + i), 900, 0)),
            new()
                .each(0..14, |s, at| {
                    s.put(at % 4 == 1, 0, (0..6).map(|i| at * 4 + i * 55), 905, at + 1)
                })
                .then(Step::Checkpoint)
                .put(true, 0, (0..6).map(|i| i * 50 + 7), 890, 90),
            &[Goal::DirtyEvictions],
        ),
        scenario(
            "group-commit",
            "several threads commit at once",
            plain(),
            rows(20, 60),
            new().each(0..3, |s, at| {
                s.then(Step::Together {
                    threads: 4,
                    commits: 6,
                    table: 0,
                    key: at * 12,
                    len: 90 + at * 100,
                    checkpoint: at == 2,
                })
            }),
            &[Goal::Groups],
        ),
        scenario(
            "durabilities",
            "synchronised and unsynchronised commits, flushes and checkpoints between them",
            plain(),
            rows(40, 80),
            new()
                .each(0..4, |s, at| {
                    s.put(false, 0, [at, at + 10], 70, at + 1)
                        .put(false, 0, [at], 75, at + 20)
                        .put(at % 2 == 0, 0, [at + 20], 60, at + 1)
                })
                .then(Step::Sync)
                .put(false, 0, [1, 2, 3], 66, 60)
                .then(Step::Checkpoint)
                .put(false, 0, [4], 66, 61),
            &[Goal::UnsyncedCommits],
        ),
        scenario(
            "recovery",
            "the process dies again and again, and each recovery is cut short as well",
            Settings {
                segment_bytes: 16 << 10,
                ..plain()
            },
            rows(30, 100),
            new().each(0..4, |s, at| {
                s.put(true, 0, (0..8).map(|i| (i * 4 + at) % 30), 200, at + 1)
                    .put(true, 0, [40 + at], 1_500, 1)
                    .then(if at == 2 { Step::Reopen } else { Step::Restart })
            }),
            &[Goal::RedoneCommits],
        ),
        scenario(
            "everything",
            "a mix of it all, compressed with ZSTD",
            Settings {
                compression: "ZSTD".into(),
                segment_bytes: 32 << 10,
                ..plain()
            },
            rows(60, 140),
            new()
                .put(true, 0, (0..60).step_by(3), 200, 1)
                .table(1)
                .put(false, 1, [1], 9_000, 1)
                .then(Step::Checkpoint)
                .delete(true, 0, 10..40)
                .then(Step::Collect)
                .then(Step::Restart)
                .then(Step::DropTable(1))
                .put(true, 0, [5], 5_000, 2)
                .then(Step::Collect)
                .then(Step::Checkpoint)
                .then(Step::Reopen)
                .put(true, 0, 60..90, 130, 3),
            &[Goal::RedoneCommits, Goal::Checkpoints(2)],
        ),
    ]
}

fn savepoints() -> Steps {
    let put = |slot, key, version| Step::Put {
        slot,
        table: 0,
        key,
        value: Value { len: 70, version },
    };
    let mut steps = Steps::default();
    for round in 0..4 {
        let at = round * 5;
        steps = steps
            .then(Step::Begin { slot: 0, sync: true })
            .then(Step::Begin {
                slot: 1,
                sync: round % 2 == 0,
            })
            .then(put(0, at, 1))
            .then(Step::Savepoint { slot: 0 })
            .then(put(0, at + 1, 2))
            .then(Step::Delete {
                slot: 0,
                table: 0,
                key: at,
            })
            .then(put(1, at + 1, 3))
            .then(Step::RollbackTo { slot: 0 })
            .then(put(1, at + 1, 4))
            .then(put(1, at + 2, 5))
            .then(put(0, at + 3, 6))
            .then(Step::Commit {
                slot: u8::from(round % 2 == 1),
            })
            .then(Step::Begin { slot: 2, sync: true })
            .then(put(2, at + 4, 7))
            .then(Step::Rollback { slot: 2 })
            .then(Step::Commit {
                slot: u8::from(round % 2 == 0),
            });
    }
    steps
}
