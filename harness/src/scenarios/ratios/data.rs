//! The rows that every figure of the table works on: 8-byte big-endian keys, values of one size, half of whose bytes are random.
//!
//! Keys are dense. Choices come from a multiply-mix generator whose cost (about a nanosecond) is paid on both sides of each
//! ratio.

use std::collections::BTreeSet;
use std::path::Path;

use workloads::driver::{
    Capabilities, Durability, Isolation, OpenOptions, Session, TableRef, Target, TargetError, TargetFactory,
    TxOptions,
};

use super::RatioJob;
use crate::error::{HarnessError, Result};

/// The one table.
pub(crate) const TABLE: TableRef = TableRef(0);

/// Bytes of a key.
pub(crate) const KEY_LEN: usize = 8;

/// Rows written by one transaction of a load.
pub(super) const LOAD_BATCH: u64 = 1000;

/// A small fast generator (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator of its own for each seed and thread.
    pub(crate) fn new(seed: u64, thread: u64) -> Self {
        Self(seed ^ thread.wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// The key of row `row`.
pub(crate) fn key(row: u64) -> [u8; KEY_LEN] {
    row.to_be_bytes()
}

/// Fills `value` for a row: the first half random, the second half one byte repeated, so that it compresses by half.
pub(crate) fn fill_value(value: &mut [u8], random: &mut Random) {
    let half = value.len() / 2;
    for chunk in value[..half].chunks_mut(8) {
        let word = random.next().to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    value[half..].fill(b'.');
}

/// A wrong answer of an engine: the figure would be meaningless.
pub(super) fn wrong(what: impl std::fmt::Display) -> HarnessError {
    HarnessError::Verification(format!("wrong answer while measuring: {what}"))
}

/// An engine's refusal or failure while a figure was measured.
pub(crate) fn failed(engine: &Capabilities) -> impl Fn(TargetError) -> HarnessError {
    let name = engine.name.clone();
    move |error| HarnessError::Run(format!("{name}: {error}"))
}

/// An open database of one engine with what its transactions ask for.
pub(super) struct Subject {
    /// The database.
    pub target: Box<dyn Target>,
    /// For transactions that need not survive a crash (or cannot).
    pub relaxed: Durability,
    /// The isolation level of everything here.
    pub isolation: Isolation,
}

impl Subject {
    /// A new empty database in `directory`.
    pub(super) fn create(
        factory: &dyn TargetFactory,
        directory: &Path,
        job: &RatioJob,
        compression: Option<&str>,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let capabilities = factory.capabilities();
        let relaxed = relaxed_durability(&capabilities.durabilities)
            .ok_or_else(|| HarnessError::Run(format!("{} declares no durability", capabilities.name)))?;
        let isolation = capabilities
            .isolation_at_least(Isolation::ReadCommitted)
            .ok_or_else(|| {
                HarnessError::Run(format!(
                    "{} has no isolation level that hides pending writes",
                    capabilities.name
                ))
            })?;
        let mut options = OpenOptions::create(directory, ["ratios"]);
        options.durability = relaxed;
        let mut engine = job.options_of(factory.name());
        for (name, value) in settings {
            engine.set(factory.name(), name, value)?;
        }
        engine.apply(&mut options);
        options.compression = compression.map(str::to_owned);
        let target = factory.open(&options).map_err(failed(capabilities))?;
        Ok(Self {
            target,
            relaxed,
            isolation,
        })
    }

    /// Options of a transaction that only reads.
    pub(super) fn read_only(&self) -> TxOptions {
        TxOptions::read_only(self.isolation, self.relaxed)
    }

    /// Options of a transaction that writes and need not survive a crash.
    pub(super) fn no_sync(&self) -> TxOptions {
        TxOptions::read_write(self.isolation, self.relaxed)
    }

    /// Options of a transaction that survives a crash.
    pub(super) fn sync(&self) -> TxOptions {
        TxOptions::read_write(self.isolation, Durability::Sync)
    }

    /// Turns this engine's errors into the harness's.
    pub(super) fn failed(&self) -> impl Fn(TargetError) -> HarnessError {
        failed(self.target.capabilities())
    }

    /// Whether anything survives the process.
    pub(super) fn is_persistent(&self) -> bool {
        self.target.capabilities().persistent
    }
}

/// The setting that leaves checkpoints to the harness, where the engine has one: they come between the rows of the table, not at
/// moments of its own choosing.
pub(super) fn manual_checkpoints(factory: &dyn TargetFactory) -> &'static [(&'static str, &'static str)] {
    let has = factory
        .settings()
        .iter()
        .any(|setting| setting.name == "checkpoint");
    if has { &[("checkpoint", "manual")] } else { &[] }
}

/// The weakest durability that an engine has: what it calls "not synchronised", or memory.
fn relaxed_durability(supported: &BTreeSet<Durability>) -> Option<Durability> {
    [Durability::NoSync, Durability::InMemory, Durability::Sync]
        .into_iter()
        .find(|level| supported.contains(level))
}

/// Loads rows `0..rows` in batches of [`LOAD_BATCH`]; `scatter` inserts them in a scattered order (every key once).
/// Persistent engines make the load durable at its end, within the time measured by callers.
pub(super) fn load(subject: &Subject, job: &RatioJob, rows: u64, scatter: bool) -> Result<()> {
    let failed = subject.failed();
    let mut session = subject.target.session().map_err(&failed)?;
    let mut random = Random::new(job.seed, 0);
    let mut value = vec![0; job.value_size];
    let options = subject.no_sync();
    let mut row = 0;
    while row < rows {
        session.begin(&options).map_err(&failed)?;
        for at in row..rows.min(row + LOAD_BATCH) {
            fill_value(&mut value, &mut random);
            let at = if scatter { scattered(at, rows) } else { at };
            session.put(TABLE, &key(at), &value).map_err(&failed)?;
        }
        session.commit().map_err(&failed)?;
        row += LOAD_BATCH;
    }
    drop(session);
    if subject.is_persistent() {
        subject.target.sync().map_err(failed)
    } else {
        Ok(())
    }
}

/// Row number `index` of a fixed scattered order of `0..rows`: multiplication by a number coprime to `rows`.
pub(super) fn scattered(index: u64, rows: u64) -> u64 {
    // A large prime; rows that are multiples of it keep their order, which no measured size is.
    const STEP: u128 = 11_400_714_819_323_198_549;
    ((u128::from(index) * (STEP % u128::from(rows.max(1)))) % u128::from(rows.max(1))) as u64
}

/// Replaces the value of one random row in a transaction of its own.
pub(super) fn update_one(
    session: &mut dyn Session,
    options: &TxOptions,
    rows: u64,
    random: &mut Random,
    value: &mut [u8],
) -> Result<(), TargetError> {
    session.begin(options)?;
    fill_value(value, random);
    session.put(TABLE, &key(random.below(rows)), value)?;
    session.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scattered_order_has_every_row_once() {
        for rows in [1, 2, 10, 1000, 10_000, 65_536] {
            let mut seen: Vec<u64> = (0..rows).map(|index| scattered(index, rows)).collect();
            seen.sort_unstable();
            assert!(seen.iter().copied().eq(0..rows), "{rows}");
        }
        assert_ne!(
            (0..5).map(|index| scattered(index, 1000)).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4]
        );
    }

    #[test]
    fn values_are_half_random() {
        let mut value = vec![0; 100];
        fill_value(&mut value, &mut Random::new(1, 1));
        assert!(value[50..].iter().all(|byte| *byte == b'.'));
        assert!(value[..50].iter().collect::<BTreeSet<_>>().len() > 20);
    }

    #[test]
    fn random_numbers_stay_below_their_bound() {
        let mut random = Random::new(3, 0);
        assert!((0..1000).all(|_| random.below(7) < 7));
    }
    #[test]
    fn checkpoints_are_left_to_the_harness_where_the_engine_has_them_and_nothing_else_is_asked() {
        let of = |name: &str| manual_checkpoints(crate::drivers::factory(name).unwrap().as_ref());
        assert_eq!(of("palimpsest"), [("checkpoint", "manual")]);
        for name in ["memory", "memory-liar-lossy"] {
            assert!(of(name).is_empty(), "{name}");
        }
    }
}
