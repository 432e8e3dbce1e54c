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

/// Larger than the cache, so that every commit and most reads move pages.
const WIDE: (TableNumber, KeyNumber, u32) = (2, 56, 1000);
const SMALL: (TableNumber, KeyNumber, u32) = (2, 12, 300);

/// Makes all bases that there are.
pub(crate) fn make_all() {
    for seed in 0..2 {
        base(seed);
    }
}

/// Which of the bases a seed begins with.
pub(crate) fn base(seed: u64) -> &'static Base {
    static BASES: [OnceLock<Base>; 2] = [OnceLock::new(), OnceLock::new()];
    let (slot, (tables, rows, value_len)) = if seed.is_multiple_of(4) {
        (0, WIDE)
    } else {
        (1, SMALL)
    };
    BASES[slot].get_or_init(|| Base::made(tables, rows, value_len))
}

impl Base {
    /// Whether it is larger than the cache.
    pub(crate) fn is_wide(&self) -> bool {
        self.rows == WIDE.1
    }

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
