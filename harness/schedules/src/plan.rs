//! What the threads of a schedule do, drawn from its seed.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::base::{Base, base};
use crate::script::{KeyNumber, Step, TABLES, TableNumber, Value};

/// One thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// Does the steps of transactions.
    Commits(Vec<Step>),
    /// Takes snapshots, so many, and holds each until it has read it again.
    Reads { snapshots: u8, from: KeyNumber },
    /// Takes checkpoints.
    Checkpoints(u8),
    /// Collects old versions.
    Collects(u8),
    /// Makes a table, fills it, and drops it, so many times.
    Tables {
        number: TableNumber,
        rounds: u8,
        rows: u8,
    },
    /// Makes everything durable.
    Syncs(u8),
}

/// What happens in a schedule.
#[derive(Debug)]
pub(crate) struct Plan {
    pub base: &'static Base,
    pub actors: Vec<Actor>,
    /// The engine's background thread is there as well.
    pub background: bool,
}

impl Plan {
    pub(crate) fn drawn(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x91A7);
        let base = base(seed);
        let mut actors = Vec::new();
        let committers = random.random_range(2..=4);
        for thread in 0..committers {
            actors.push(Actor::Commits(transactions(&mut random, base, thread)));
        }
        for _ in 0..random.random_range(0..=2) {
            actors.push(Actor::Reads {
                snapshots: random.random_range(1..=3),
                from: random.random_range(0..base.rows * base.step),
            });
        }
        if base.is_wide() || random.random_ratio(1, 2) {
            actors.push(Actor::Checkpoints(random.random_range(1..=2)));
        }
        if random.random_ratio(1, 2) {
            actors.push(Actor::Collects(random.random_range(1..=6)));
        }
        if random.random_ratio(1, 3) {
            actors.push(Actor::Tables {
                number: TABLES - 1 - random.random_range(0..2),
                rounds: random.random_range(1..=2),
                rows: random.random_range(1..=6),
            });
        }
        if random.random_ratio(1, 4) {
            actors.push(Actor::Syncs(random.random_range(1..=2)));
        }
        Self {
            base,
            actors,
            background: random.random_ratio(1, 6),
        }
    }
}

/// A few transactions of one thread. Several threads meet on the same few rows.
fn transactions(random: &mut ChaCha8Rng, base: &Base, thread: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    let favourite = random.random_range(0..4);
    let sync_of_ten = [0, 5, 9][random.random_range(0..3)];
    for round in 0..random.random_range(1..=4u32) {
        let slot = 0;
        steps.push(Step::Begin {
            slot,
            sync: random.random_ratio(sync_of_ten, 10),
            snapshot: random.random_ratio(1, 4),
        });
        // Pages move where the database is larger than the cache, the more the more pages a commit changes.
        let is_large = random.random_ratio(if base.is_wide() { 3 } else { 1 }, 6);
        let rows = if is_large {
            random.random_range(6..=12)
        } else {
            random.random_range(1..=3)
        };
        for row in 0..rows {
            let table = random.random_range(0..base.tables);
            let hot = (favourite + random.random_range(0..3)) * base.step;
            let key = match random.random_range(0..10) {
                0..5 => hot,
                5..8 => random.random_range(0..base.rows) * base.step,
                // New rows.
                _ => random.random_range(0..base.rows * base.step),
            };
            let version = 2 + thread * 1000 + round * 50 + row;
            let len = match random.random_range(0..24) {
                0 => 5000,
                1..4 => base.value_len * 3,
                4..8 => 10,
                _ => base.value_len,
            };
            let value = Value { len, version };
            steps.push(match random.random_range(0..10) {
                0..5 => Step::Put {
                    slot,
                    table,
                    key,
                    value,
                },
                5..7 => Step::Delete { slot, table, key },
                _ => Step::Add { slot, table, key },
            });
        }
        steps.push(if random.random_ratio(1, 20) {
            Step::Rollback { slot }
        } else {
            Step::Commit { slot }
        });
    }
    steps
}
