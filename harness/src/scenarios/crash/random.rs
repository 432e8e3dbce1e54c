//! Random mixes of steps: several transactions open at once, tables, checkpoints, restarts, in an order that the seed
//! gives. The same seed gives the same script.

use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::script::{Script, Settings, Step, Value};

/// Open transactions at once.
const SLOTS: u8 = 3;
/// Tables.
const TABLES: u8 = 2;

/// The script of a seed.
pub(crate) fn mix(seed: u64) -> Script {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let settings = Settings {
        segment_bytes: [16, 32, 64][random.random_range(0..3)] << 10,
        cache_pages: 64,
        compression: ["NONE", "NONE", "LZ4", "ZSTD"][random.random_range(0..4)].into(),
        direct: random.random_bool(0.3),
    };
    let keys = [20, 60, 200][random.random_range(0..3)];
    let before = match random.random_range(0..4) {
        0 => Vec::new(),
        _ => rows(&mut random, keys),
    };
    let count = random.random_range(20..70);
    let mut steps = Vec::new();
    if before.is_empty() {
        steps.push(Step::CreateTable(0));
    }
    while steps.len() < count {
        steps.push(step(&mut random, keys));
    }
    // What is open is not lost for nothing.
    steps.extend((0..SLOTS).map(|slot| Step::Commit { slot }));
    Script {
        name: format!("random-{seed}"),
        title: format!("random steps of seed {seed}"),
        settings,
        before,
        steps,
    }
}

fn rows(random: &mut impl Rng, keys: u32) -> Vec<Step> {
    let mut steps = vec![Step::CreateTable(0), Step::Begin { slot: 0, sync: false }];
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
        },
        14..48 => Step::Put {
            slot,
            table,
            key,
            value: value(random),
        },
        48..60 => Step::Delete { slot, table, key },
        60..76 => Step::Commit { slot },
        76..79 => Step::Rollback { slot },
        79..82 => Step::Savepoint { slot },
        82..84 => Step::RollbackTo { slot },
        84..87 => Step::Sync,
        87..92 => Step::Checkpoint,
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
        assert_eq!(kinds.len(), 14, "every kind of step but threads");
    }
}
