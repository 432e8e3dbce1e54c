//! Scripts with company: checkpoints, collection and readers go on beside the steps, or the steps are those of threads.

use super::super::script::Company;
use super::{Goal, Scenario, Settings, Step, Steps, Value, begin, rows, scenario};

/// Checkpoints and readers, and threads held up at every few places.
fn company(checkpoints: u16) -> Option<Company> {
    Some(Company {
        checkpoints,
        readers: 1,
        held: 4,
        collects: false,
        one_in: 3,
    })
}

/// Small segments, so that the log goes over to the next one often.
fn small() -> Settings {
    Settings {
        segment_bytes: 16 << 10,
        ..Settings::default()
    }
}

/// Transactions of one thread: each puts one row of its own.
fn singles(thread: u32, threads: u32, commits: u32, key: u32, len: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    for at in 0..commits {
        steps.push(begin(0, true));
        steps.push(Step::Put {
            slot: 0,
            table: 0,
            key: key + thread + at * threads,
            value: Value { len, version: at },
        });
        steps.push(Step::Commit { slot: 0 });
    }
    steps
}

/// Transactions of one thread on rows that all want.
fn contending(thread: u32, commits: u32, snapshot: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    for at in 0..commits {
        steps.push(Step::Begin {
            slot: 0,
            sync: !(thread + at).is_multiple_of(3),
            snapshot,
        });
        for row in 0..2 {
            // In one order, or they would wait for each other.
            let key = 2 * row + (thread + at) % 2;
            steps.push(Step::Add {
                slot: 0,
                table: 0,
                key,
            });
        }
        steps.push(Step::Commit { slot: 0 });
    }
    steps
}

/// The scenarios.
pub(super) fn scenarios() -> Vec<Scenario> {
    let new = Steps::default;
    vec![
        scenario(
            "group-commit",
            "several threads commit at once",
            Settings::default(),
            rows(20, 60),
            new().each(0..3, |s, at| {
                s.then(Step::Threads {
                    threads: (0..4)
                        .map(|thread| singles(thread, 4, 6, at * 12, 90 + at * 100))
                        .collect(),
                })
            }),
            &[Goal::Groups],
        ),
        scenario(
            "half-commits",
            "commits of many rows in key order, beside checkpoints and readers",
            Settings {
                company: company(12),
                ..small()
            },
            rows(300, 100),
            new().each(0..8, |s, at| {
                let from = at * 37 % 200;
                s.put(at % 3 == 0, 0, from..from + 60, 90 + at, at + 1)
            }),
            &[Goal::Rows(300), Goal::Checkpoints(3)],
        ),
        scenario(
            "hot-page",
            "every commit changes the page that checkpoints copy",
            Settings {
                company: Some(Company {
                    readers: 0,
                    one_in: 2,
                    ..company(40).unwrap_or_default()
                }),
                ..Settings::default()
            },
            rows(6, 60),
            new().each(0..90, |s, at| s.put(at % 30 == 29, 0, [at % 6], 60, at + 1)),
            &[Goal::Rows(6), Goal::Checkpoints(3)],
        ),
        scenario(
            "readers",
            "readers beside synchronised commits: what they have seen is durable",
            Settings {
                company: Some(Company {
                    readers: 2,
                    held: 3,
                    ..company(2).unwrap_or_default()
                }),
                ..small()
            },
            rows(30, 80),
            new().each(0..14, |s, at| {
                s.put(true, 0, [at % 30, (at * 7) % 30], 80, at + 1)
            }),
            &[Goal::Rows(30)],
        ),
        scenario(
            "growing",
            "pages split and merge, rows come and go, beside checkpoints, collection and readers",
            Settings {
                company: Some(Company {
                    collects: true,
                    held: 2,
                    ..company(8).unwrap_or_default()
                }),
                compression: "LZ4".into(),
                ..small()
            },
            rows(80, 120),
            new().each(0..4, |s, at| {
                s.put(at % 2 == 0, 0, (0..40).map(|i| 100 + at + i * 4), 180, at + 1)
                    .delete(true, 0, at * 20..at * 20 + 18)
                    .put(false, 0, [500 + at], 6_000, at + 1)
                    .delete(false, 0, (0..40).map(|i| 99 + at + i * 4))
            }),
            &[Goal::Checkpoints(2)],
        ),
        scenario(
            "contended",
            "threads that read and write the same rows, in both ways",
            Settings {
                busy_ms: 2_000,
                company: company(2),
                ..small()
            },
            rows(8, 60),
            new()
                .then(Step::Threads {
                    threads: (0..3).map(|thread| contending(thread, 5, false)).collect(),
                })
                .then(Step::Checkpoint)
                .then(Step::Threads {
                    threads: (0..3).map(|thread| contending(thread, 5, true)).collect(),
                }),
            &[Goal::Conflicts],
        ),
        scenario(
            "write-out",
            "the background thread writes the log out, and commits go on beside it",
            Settings {
                background: Some(1_000),
                company: company(0),
                ..small()
            },
            rows(60, 100),
            new().each(0..16, |s, at| {
                s.put(at % 5 == 4, 0, [at, at + 20, at + 40], 110, at + 1)
                    .delete(false, 0, [at + 1])
                    .each(0..3, |s, i| s.put(false, 0, [at * 3 + i], 90, at + 60))
            }),
            &[Goal::UnsyncedCommits],
        ),
        scenario(
            "background",
            "the background thread writes the log out, collects, and takes checkpoints",
            Settings {
                background: Some(3),
                company: company(0),
                ..small()
            },
            rows(300, 100),
            new().each(0..16, |s, at| {
                s.put(
                    at % 5 == 4,
                    0,
                    (0..6).map(|i| (at * 17 + i * 50) % 300),
                    110,
                    at + 1,
                )
                .delete(false, 0, [at + 1])
                .each(0..3, |s, i| s.put(false, 0, [at * 3 + i], 90, at + 60))
            }),
            &[Goal::Checkpoints(1)],
        ),
    ]
}
