//! Random mixes of steps: several transactions open at once, tables, checkpoints, restarts, in an order that the seed
//! gives. The same seed gives the same script.

use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::script::{Company, Script, Settings, Step, Value};

/// Open transactions at once.
const SLOTS: u8 = 3;
/// Tables.
const TABLES: u8 = 2;

/// The script of a seed.
pub(crate) fn mix(seed: u64) -> Script {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let settings = settings(&mut random);
    let keys = [20, 60, 200, 500][random.random_range(0..4)];
    let before = match random.random_range(0..4) {
        0 => Vec::new(),
        _ => rows(&mut random, keys),
    };
    let count = random.random_range(20..60);
    let threads = random.random_bool(0.4);
    let mut steps = Vec::new();
    if before.is_empty() {
        steps.push(Step::CreateTable(0));
    }
    while steps.len() < count {
        match random.random_range(0..24) {
            0 if threads => steps.push(together(&mut random, keys)),
            1 | 2 => steps.extend(block(&mut random, keys)),
            _ => steps.push(step(&mut random, keys)),
        }
    }
    // What is open is not lost for nothing.
    steps.extend((0..SLOTS).map(|slot| Step::Commit { slot }));
    Script {
        name: format!("random-{seed}"),
        title: format!("random steps of seed {seed}"),
        settings,
        is_large: false,
        before,
        steps,
    }
}

/// Nothing is fixed to the side on which less can go wrong.
fn settings(random: &mut impl Rng) -> Settings {
    let page_bytes = [4096, 4096, 4096, 8192][random.random_range(0..4)];
    let company = random.random_bool(0.5).then(|| Company {
        checkpoints: random.random_range(0..8),
        readers: random.random_range(0..3),
        held: [1, 3, 70][random.random_range(0..3)],
        collects: random.random_bool(0.4),
        one_in: random.random_range(2..6),
    });
    Settings {
        page_bytes,
        // The log must be able to hold a few pages.
        segment_bytes: [4, 8, 16, 32][random.random_range(0..4)] * page_bytes as u64,
        cache_pages: 64,
        version_bytes: [16, 256, 256][random.random_range(0..3)] << 10,
        compression: ["NONE", "NONE", "LZ4", "ZSTD"][random.random_range(0..4)].into(),
        direct: random.random_bool(0.3),
        busy_ms: [0, 0, 300][random.random_range(0..3)],
        redo_threads: random.random_range(1..4),
        background: random.random_bool(0.3).then(|| random.random_range(1..20)),
        company,
    }
}

/// One transaction that changes many rows in key order.
fn block(random: &mut impl Rng, keys: u32) -> Vec<Step> {
    let slot = SLOTS;
    let count = random.random_range(10..80);
    let from = random.random_range(0..keys);
    let mut steps = vec![Step::Begin {
        slot,
        sync: random.random_bool(0.5),
        snapshot: false,
    }];
    let deletes = random.random_bool(0.3);
    for key in from..from + count {
        let value = value(random);
        steps.push(if deletes {
            Step::Delete { slot, table: 0, key }
        } else {
            Step::Put {
                slot,
                table: 0,
                key,
                value,
            }
        });
    }
    steps.push(Step::Commit { slot });
    steps
}

/// Several threads.
fn together(random: &mut impl Rng, keys: u32) -> Step {
    // Few rows, so that the threads meet.
    let keys = keys.min(12);
    let threads = (0..random.random_range(2..5)).map(|_| {
        let mut steps = Vec::new();
        for _ in 0..random.random_range(1..4) {
            steps.push(Step::Begin {
                slot: 0,
                sync: random.random_bool(0.6),
                snapshot: random.random_bool(0.3),
            });
            for _ in 0..random.random_range(1..6) {
                let key = random.random_range(0..keys);
                steps.push(match random.random_range(0..10) {
                    0..5 => Step::Add {
                        slot: 0,
                        table: 0,
                        key,
                    },
                    5..8 => Step::Put {
                        slot: 0,
                        table: 0,
                        key,
                        value: value(random),
                    },
                    8 => Step::Delete {
                        slot: 0,
                        table: 0,
                        key,
                    },
                    _ => Step::Savepoint { slot: 0 },
                });
            }
            steps.push(Step::Commit { slot: 0 });
        }
        steps
    });
    Step::Threads {
        threads: threads.collect(),
    }
}

fn rows(random: &mut impl Rng, keys: u32) -> Vec<Step> {
    let mut steps = vec![
        Step::CreateTable(0),
        Step::Begin {
            slot: 0,
            sync: false,
            snapshot: false,
        },
    ];
    for key in 0..keys {
        steps.push(Step::Put {
            slot: 0,
            table: 0,
            key,
            value: value(random),
        });
    }
    steps.push(Step::Commit { slot: 0 });
    steps
}

fn value(random: &mut impl Rng) -> Value {
    let len = match random.random_range(0..40) {
        0 => random.random_range(1_100..9_000),
        1..=5 => random.random_range(300..1_000),
        6 => 0,
        _ => random.random_range(10..200),
    };
    Value {
        len,
        version: random.random_range(0..1_000_000),
    }
}

fn step(random: &mut impl Rng, keys: u32) -> Step {
    let slot = random.random_range(0..SLOTS);
    let table = if random.random_bool(0.8) {
        0
    } else {
        random.random_range(0..TABLES)
    };
    let key = random.random_range(0..keys);
    match random.random_range(0..100) {
        0..14 => Step::Begin {
            slot,
            sync: random.random_bool(0.6),
            snapshot: random.random_bool(0.2),
        },
        14..44 => Step::Put {
            slot,
            table,
            key,
            value: value(random),
        },
        44..48 => Step::Add { slot, table, key },
        48..60 => Step::Delete { slot, table, key },
        60..76 => Step::Commit { slot },
        76..79 => Step::Rollback { slot },
        79..82 => Step::Savepoint { slot },
        82..84 => Step::RollbackTo { slot },
        84..86 => Step::Sync,
        86 if random.random_bool(0.5) => Step::Hold { snapshots: 2 },
        86 => Step::Keep {
            snapshots: random.random_range(0..3),
        },
        87..91 => Step::Checkpoint,
        91 => Step::Compact,
        92..94 => Step::Collect,
        94..96 => Step::CreateTable(random.random_range(0..TABLES)),
        96 => Step::DropTable(random.random_range(0..TABLES)),
        97 => Step::Restart,
        98 => Step::Reopen,
        _ => Step::Checkpoint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_script() {
        assert_eq!(mix(7), mix(7));
        assert_ne!(mix(7).steps, mix(8).steps);
        let kinds: std::collections::HashSet<_> = (0..60)
            .flat_map(|seed| mix(seed).steps)
            .map(|step| std::mem::discriminant(&step))
            .collect();
        assert_eq!(
            kinds.len(),
            19,
            "every kind of step but the one that fills segments"
        );
    }
}
