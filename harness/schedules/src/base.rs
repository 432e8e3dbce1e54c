//! Where schedules begin: small databases, made once, with what they hold.

use std::sync::{Arc, OnceLock};

use engine::vfs::SimulatedVfs;
use engine::vfs::simulated::{Image, Survival};
use engine::{Database, Error};

use crate::ledger::Ledger;
use crate::place::{DATABASE, DIRECTORY};
use crate::script::{KeyNumber, Settings, TableNumber, Value, key_bytes, table_name, value_bytes};
use crate::state::State;

/// Files, and what they hold.
#[derive(Debug)]
pub(crate) struct Base {
    pub settings: Settings,
    pub image: Image,
    pub ledger: Ledger,
    pub state: State,
    /// Rows of each of the first tables: keys are 0, `step`, 2 `step`, ...
    pub rows: KeyNumber,
    pub step: KeyNumber,
    /// Tables that are there from the beginning, from 0 on.
    pub tables: TableNumber,
    /// Length of a usual value, in bytes.
    pub value_len: u32,
}

/// Which of the bases a seed begins with.
pub(crate) fn base(seed: u64) -> &'static Base {
    static SMALL: OnceLock<Base> = OnceLock::new();
    static WIDE: OnceLock<Base> = OnceLock::new();
    match seed % 5 {
        // Larger than the cache, so that every commit and most reads move pages.
        0 => WIDE.get_or_init(|| Base::made(2, 56, 1000)),
        _ => SMALL.get_or_init(|| Base::made(2, 12, 300)),
    }
}

impl Base {
    fn made(tables: TableNumber, rows: KeyNumber, value_len: u32) -> Self {
        // Nothing here can fail but a broken engine, and then there is nothing to begin with.
        Self::make(tables, rows, value_len).expect("a database can be made")
    }

    fn make(tables: TableNumber, rows: KeyNumber, value_len: u32) -> Result<Self, Error> {
        let settings = Settings {
            segment_bytes: 16 << 10,
            cache_pages: 32,
            version_bytes: 256 << 10,
            busy_ms: 5,
            ..Settings::default()
        };
        let vfs = SimulatedVfs::from_image(&Image::with_dirs([DIRECTORY]), 1);
        let database = settings.options(&vfs)?.open(DATABASE)?;
        let (mut state, step) = (State::new(), 4);
        let value = Value {
            len: value_len,
            version: 1,
        };
        for number in 0..tables {
            let table = database.create_table(&table_name(number))?;
            let keys = (0..rows).map(|row| row * step);
            let mut bytes = Vec::new();
            for part in keys.clone().collect::<Vec<_>>().chunks(20) {
                database.write(|transaction| {
                    part.iter().try_for_each(|key| {
                        value_bytes(*key, value, &mut bytes);
                        transaction.put(table, &key_bytes(*key), &bytes)
                    })
                })?;
                // The log stays short, and the data file small.
                database.checkpoint()?;
            }
            state.insert(number, Arc::new(keys.map(|key| (key, value)).collect()));
        }
        let mut ledger = Ledger::default();
        let last = last_of(&database);
        ledger.states.insert(last, state.clone());
        ledger.promise_at(0, last);
        database.close()?;
        Ok(Self {
            image: vfs.crash(Survival::All),
            settings,
            ledger,
            state,
            rows,
            step,
            tables,
            value_len,
        })
    }
}

fn last_of(database: &Database) -> engine::CommitId {
    database.snapshot().commit_id()
}
