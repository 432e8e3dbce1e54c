//! Scripts without company: each run is the same.

use super::super::script::{LONG_KEYS, MUCH};
use super::{Goal, Scenario, Settings, Step, Steps, Value, begin, rows, scenario};

/// Rows on more pages than memory holds. Small transactions: what a commit might evict is held for it in the data file.
fn more_than_memory() -> Steps {
    let steps = Steps::default().table(0);
    steps.each(0..66, |s, at| s.put(false, 0, (0..5).map(|i| at * 5 + i), 900, 0))
}

/// The scenarios.
pub(super) fn scenarios() -> Vec<Scenario> {
    let plain = Settings::default;
    let new = Steps::default;
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
            more_than_memory(),
            new()
                .each(0..14, |s, at| {
                    s.put(at % 4 == 1, 0, (0..6).map(|i| at * 4 + i * 55), 905, at + 1)
                })
                .then(Step::Checkpoint)
                .put(true, 0, (0..6).map(|i| i * 50 + 7), 890, 90),
            &[Goal::DirtyEvictions],
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
            "unchanged",
            "transactions that change nothing, after commits that are not durable",
            plain(),
            rows(20, 60),
            new().each(0..3, |s, at| {
                s.put(false, 0, [at, at + 5], 70, at + 1)
                    .transaction(
                        true,
                        [
                            Step::Put {
                                slot: 0,
                                table: 0,
                                key: 100 + at,
                                value: Value { len: 30, version: 1 },
                            },
                            Step::Delete {
                                slot: 0,
                                table: 0,
                                key: 100 + at,
                            },
                        ],
                    )
                    .put(at == 1, 0, [at + 10], 50, at + 1)
            }),
            &[Goal::UnsyncedCommits],
        ),
        scenario(
            "held",
            "many snapshots held while rows change, come and go, and while checkpoints are taken",
            Settings {
                version_bytes: MUCH,
                ..plain()
            },
            rows(120, 90),
            new()
                .then(Step::Hold { snapshots: 66 })
                // The one that took the last place, behind the first 64 whichever was taken first.
                .then(Step::Keep { snapshots: 1 })
                .each(0..5, |s, at| {
                    s.put(at % 2 == 0, 0, (at..120).step_by(7), 80 + at * 9, at + 1)
                        .delete(false, 0, (at * 3..120).step_by(11))
                        .put(false, 0, (0..6).map(|i| 200 + at * 6 + i), 120, 1)
                        .then(Step::Hold { snapshots: 2 })
                        .then(Step::Collect)
                })
                .then(Step::Checkpoint)
                .delete(true, 0, 20..90)
                .then(Step::Collect)
                .then(Step::Keep { snapshots: 0 })
                .then(Step::Collect)
                .put(true, 0, [3], 60, 50)
                .then(Step::Checkpoint),
            &[Goal::Checkpoints(2)],
        ),
        scenario(
            "too-old",
            "a snapshot outlives the memory for old versions",
            Settings {
                version_bytes: 4 << 10,
                ..plain()
            },
            rows(60, 200),
            new().then(Step::Hold { snapshots: 2 }).each(0..4, |s, at| {
                s.put(at == 3, 0, at * 10..at * 10 + 20, 300, at + 1)
                    .then(Step::Collect)
            }),
            &[Goal::Rows(60)],
        ),
        scenario(
            "dropped",
            "tables dropped under a snapshot, with a long value that is freed in parts",
            plain(),
            rows(60, 150)
                .table(1)
                .put(false, 1, 0..40, 100, 1)
                .put(false, 1, [50], 1 << 20, 1)
                .put(false, 1, [51], 9_000, 1),
            new()
                .then(Step::Hold { snapshots: 1 })
                .put(true, 0, [1], 50, 1)
                .then(Step::DropTable(1))
                .then(Step::Collect)
                .put(true, 0, [2], 50, 2)
                .then(Step::Checkpoint)
                .then(Step::Keep { snapshots: 0 })
                .each(0..6, |s, _| s.then(Step::Collect))
                .table(1)
                .each(0..3, |s, at| {
                    s.put(true, 1, [1, 2], 300, at + 2)
                        .put(true, 0, (0..60).step_by(9), 90, at + 3)
                        .then(Step::Checkpoint)
                }),
            &[Goal::Checkpoints(3)],
        ),
        scenario(
            "filled",
            "log segments that are full to their last byte",
            Settings {
                segment_bytes: 16 << 10,
                ..plain()
            },
            rows(20, 60),
            new()
                .then(Step::FillSegment { table: 0, key: 300 })
                .put(true, 0, [1], 60, 1)
                .put(false, 0, [2], 60, 2)
                .then(Step::Checkpoint)
                .then(Step::FillSegment { table: 0, key: 310 })
                .then(Step::Restart)
                .put(true, 0, [3], 60, 3),
            &[Goal::RedoneCommits],
        ),
        scenario(
            "full-disk",
            "a commit that has little more room than it asks for, on a full disk and with little memory",
            plain(),
            more_than_memory(),
            new()
                .each(0..13, |s, at| {
                    s.put(false, 0, (0..6).map(|i| at * 4 + i * 55), 900, at + 1)
                })
                .then(Step::FillDisk { table: 0, key: 1 })
                .put(true, 0, [3], 60, 3)
                .then(Step::Checkpoint),
            &[Goal::DirtyEvictions],
        ),
        scenario(
            "shortened",
            "files that are made shorter after most of the rows at the front of the data file have gone",
            plain(),
            rows(300, 900),
            new()
                .then(Step::Checkpoint)
                .delete(false, 0, 0..250)
                .then(Step::Compact)
                .put(true, 0, [3], 60, 3)
                .then(Step::Compact)
                .then(Step::Restart)
                .put(true, 0, [280], 60, 3),
            &[Goal::Checkpoints(3)],
        ),
        scenario(
            "long-keys",
            "rows whose keys differ in their last bytes only: a page's changes are longer than the page, which is logged",
            plain(),
            new()
                .table(0)
                .put(
                    true,
                    0,
                    [0, 1, 2, 3, 4, 15, 16, 17, 18, 19].map(|row| LONG_KEYS + row),
                    900,
                    1,
                )
                .put(true, 0, [4, 15, 16, 17].map(|row| LONG_KEYS + row), 20, 2),
            new()
                .put(true, 0, (5..15).map(|row| LONG_KEYS + row), 230, 3)
                .then(Step::Checkpoint)
                .put(true, 0, [LONG_KEYS + 6], 230, 4),
            &[Goal::Rows(20)],
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
            .then(begin(0, true))
            .then(begin(1, round % 2 == 0))
            .then(put(0, at, 1))
            .then(Step::Savepoint { slot: 0 })
            .then(put(0, at + 1, 2))
            .then(Step::Delete {
                slot: 0,
                table: 0,
                key: at,
            })
            .then(put(1, at + 1, 3))
            .then(Step::Savepoint { slot: 0 })
            .then(put(0, at, 8))
            .then(Step::Savepoint { slot: 0 })
            .then(put(0, at + 1, 9))
            .then(Step::RollbackTo { slot: 0 })
            .then(Step::RollbackTo { slot: 0 })
            .then(Step::RollbackTo { slot: 0 })
            .then(put(1, at + 1, 4))
            .then(put(1, at + 2, 5))
            .then(put(0, at + 3, 6))
            .then(Step::Commit {
                slot: u8::from(round % 2 == 1),
            })
            .then(begin(2, true))
            .then(put(2, at + 4, 7))
            .then(Step::Rollback { slot: 2 })
            .then(Step::Commit {
                slot: u8::from(round % 2 == 0),
            });
    }
    steps
}
