//! Salvage is held to its word: every row is in the new database, or inside what is reported as lost; and nothing is there
//! that never was.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use engine::vfs::SimulatedVfs;
use engine::vfs::simulated::Image;
use engine::{CommitId, SalvageReport, SalvagedTable, salvage};

use super::check::{Expected, Recovered};
use super::place::DATABASE;
use super::script::{KeyNumber, Settings, TABLES, TableNumber, Value, key_bytes, table_name, value_bytes};
use super::state::{State, States};

/// Where the new database is made.
const SAVED: &str = "/db/saved";

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// What was salvaged.
struct Rescued {
    tables: BTreeMap<TableNumber, Rows>,
    report: SalvageReport,
}

/// Salvages an image without any damage, which a recovery has made `recovered` of.
///
/// # Errors
/// What is missing or wrong.
pub(super) fn of_sound(image: &Image, expected: Expected<'_>, recovered: &Recovered) -> Result<(), String> {
    let is_there = |path: &PathBuf| path.starts_with(DATABASE) || path.extension() == Some("wal".as_ref());
    if recovered.commit == CommitId(0) && !image.files.keys().any(is_there) {
        // The database was never there: this is refused.
        return Ok(());
    }
    let rescued = rescue(image, expected.settings)?;
    for table in &rescued.report.tables {
        if !table.lost_ranges.is_empty() || !table.lost_values.is_empty() {
            return Err(format!("{} is said to have lost rows, and has not", table.name));
        }
    }
    rescued.judge(&[Arc::clone(&recovered.state)], &[Arc::clone(&recovered.state)])
}

/// Salvages a damaged image, which held the state of `newest` before, or one not older than `oldest` where the damage
/// cannot be told from a log that ended earlier.
///
/// # Errors
/// What is missing or wrong.
pub(super) fn of_damaged(
    image: &Image,
    settings: &Settings,
    states: &States,
    oldest: CommitId,
    newest: CommitId,
) -> Result<(), String> {
    let mut allowed = vec![states.at(newest), states.at(oldest)];
    allowed.extend(states.between(oldest, newest));
    rescue(image, settings)?.judge(&allowed, &states.between(CommitId(0), newest))
}

fn rescue(image: &Image, settings: &Settings) -> Result<Rescued, String> {
    let vfs = SimulatedVfs::from_image(image, 1);
    // The new database is loaded in few large commits.
    let settings = Settings {
        segment_bytes: settings.segment_bytes.max(1 << 20),
        cache_pages: settings.cache_pages.max(1_000),
        ..settings.clone()
    };
    let options = settings.options(&vfs).map_err(|error| error.to_string())?;
    let report = salvage(DATABASE, SAVED, options.clone()).map_err(|error| error.to_string())?;
    let database = options
        .open(SAVED)
        .map_err(|error| format!("opening the new database: {error}"))?;
    let snapshot = database.snapshot();
    let mut tables = BTreeMap::new();
    for number in 0..TABLES {
        let Ok(table) = database.table(&table_name(number)) else {
            continue;
        };
        let read = || -> engine::Result<Rows> {
            let mut scan = snapshot.scan(table, ..)?;
            let mut rows = Rows::new();
            while let Some((key, value)) = scan.next_row()? {
                rows.insert(key.to_vec(), value.to_vec());
            }
            Ok(rows)
        };
        let rows = read().map_err(|error| format!("reading the new database: {error}"))?;
        tables.insert(number, rows);
    }
    drop(snapshot);
    super::place::abandon(&vfs, database);
    Ok(Rescued { tables, report })
}

/// Whether a row may be missing or old.
fn is_excused(table: Option<&SalvagedTable>, report: &SalvageReport, key: &[u8]) -> bool {
    let is_lost = |table: &SalvagedTable| {
        let in_range = table
            .lost_ranges
            .iter()
            .any(|(low, high)| low[..] <= *key && high.as_deref().is_none_or(|high| key < high));
        in_range || table.lost_values.iter().any(|lost| lost == key) || !table.older_pages.is_empty()
    };
    !report.problems.is_empty() || table.is_some_and(is_lost)
}

impl Rescued {
    /// Every row is there with a value that it has in one of the `allowed` states, the likeliest first, or excused; and
    /// then with one that it had in one of `all`.
    fn judge(&self, allowed: &[Arc<State>], all: &[Arc<State>]) -> Result<(), String> {
        let mut tables: BTreeMap<TableNumber, HashMap<usize, &BTreeMap<KeyNumber, Value>>> = BTreeMap::new();
        for (number, rows) in all.iter().flat_map(|state| state.iter()) {
            let of_table = tables.entry(*number).or_default();
            of_table.insert(Arc::as_ptr(rows).addr(), rows);
        }
        for (number, versions) in tables {
            let mut keys: Vec<KeyNumber> = versions.values().flat_map(|rows| rows.keys().copied()).collect();
            keys.sort_unstable();
            keys.dedup();
            let name = table_name(number);
            let empty = Rows::new();
            let rows = self.tables.get(&number);
            if rows.is_none()
                && self.report.problems.is_empty()
                && allowed.iter().all(|state| state.contains_key(&number))
            {
                return Err(format!("{name} is missing"));
            }
            let table = self.report.tables.iter().find(|table| table.name == name);
            let rows = rows.unwrap_or(&empty);
            let mut found = 0;
            for key in keys {
                let bytes = key_bytes(key);
                let value = rows.get(&bytes);
                found += usize::from(value.is_some());
                let in_time = allowed.iter().any(|state| is_value(state, number, key, value));
                if in_time {
                    continue;
                }
                if !is_excused(table, &self.report, &bytes) {
                    return Err(format!(
                        "{name} row {key} is {} and not reported as lost",
                        if value.is_some() { "an old one" } else { "missing" }
                    ));
                }
                if value.is_some() && !all.iter().any(|state| is_value(state, number, key, value)) {
                    return Err(format!("{name} row {key} has a value that it never had"));
                }
            }
            if found < rows.len() {
                return Err(format!("{name} has rows that it never had"));
            }
        }
        Ok(())
    }
}

fn is_value(state: &State, table: TableNumber, key: KeyNumber, found: Option<&Vec<u8>>) -> bool {
    let value = state.get(&table).and_then(|rows| rows.get(&key));
    match (value, found) {
        (None, None) => true,
        (Some(value), Some(found)) => {
            let mut bytes = Vec::new();
            value_bytes(key, *value, &mut bytes);
            bytes == *found
        }
        _ => false,
    }
}
