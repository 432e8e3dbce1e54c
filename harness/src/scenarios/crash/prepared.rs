//! A large database to begin with: thousands of rows with long keys, so that the tree has four levels and the page map
//! more than one chunk. It is made once for the process.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use engine::vfs::SimulatedVfs;
use engine::vfs::simulated::{Image, Survival};
use engine::{Database, Durability, Options, TxOptions};

use super::ledger::Ledger;
use super::play::{DATABASE, DIRECTORY};
use super::script::{GROUP, KeyNumber, LONG_KEYS, Settings, Value, key_bytes, table_name, value_bytes};

/// Groups of rows; about one fits in a page.
pub(super) const GROUPS: KeyNumber = 560;
/// Bytes of each value.
const LEN: u32 = 130;
/// Rows in one transaction.
const BATCH: usize = 500;

/// The files, and what they hold: table 0 with [`GROUPS`] groups of rows.
///
/// # Errors
/// What went wrong when they were made.
pub(super) fn large() -> Result<(Image, Ledger), String> {
    static LARGE: OnceLock<Result<(Image, Ledger), String>> = OnceLock::new();
    LARGE
        .get_or_init(|| {
            // Whatever is injected, this is sound.
            engine::injected::Inherited::default()
                .with(|| build().map_err(|error| format!("the large database: {error}")))
        })
        .clone()
}

fn build() -> engine::Result<(Image, Ledger)> {
    let vfs = SimulatedVfs::from_image(&Image::with_dirs([DIRECTORY]), 1);
    let options: Options = Settings {
        cache_pages: 2_000,
        segment_bytes: 1 << 20,
        ..Settings::default()
    }
    .options(&vfs)?;
    let database: Database = options.open(DATABASE)?;
    let table = database.create_table(&table_name(0))?;
    let keys: Vec<KeyNumber> = (LONG_KEYS..LONG_KEYS + GROUPS * GROUP).collect();
    let value = Value { len: LEN, version: 1 };
    let mut bytes = Vec::new();
    for batch in keys.chunks(BATCH) {
        let options = TxOptions::new().durability(Durability::NoSync);
        let mut transaction = database.begin_with(options)?;
        for &key in batch {
            value_bytes(key, value, &mut bytes);
            transaction.put(table, &key_bytes(key), &bytes)?;
        }
        transaction.commit()?;
    }
    let commit = database.snapshot().commit_id();
    database.close()?;
    let rows: BTreeMap<_, _> = keys.into_iter().map(|key| (key, value)).collect();
    let mut ledger = Ledger::default();
    ledger
        .states
        .insert(commit, [(0, Arc::new(rows))].into_iter().collect());
    Ok((vfs.crash(Survival::All), ledger))
}
