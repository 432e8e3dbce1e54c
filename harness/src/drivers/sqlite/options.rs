//! SQLite's own settings by name, as `--set sqlite.NAME=VALUE` gives them, and what a connection really has.
//!
//! Each is a PRAGMA that every connection sets when it opens. `synchronous` is none of them: it follows from the durability
//! of each transaction.

use rusqlite::Connection;
use units::{parse_count, parse_size};
use workloads::driver::{EngineSetting, OpenOptions, TargetError};

/// What can be chosen.
pub(super) static SETTINGS: [EngineSetting; 3] = [
    EngineSetting {
        name: "page-size",
        values: "SIZE",
        about: "page size of a new database, a power of two from 512B to 64KiB (4KiB)",
        is_fixed: true,
    },
    EngineSetting {
        name: "mmap-size",
        values: "SIZE",
        about: "bytes of the data file that are mapped (0)",
        is_fixed: false,
    },
    EngineSetting {
        name: "wal-autocheckpoint",
        values: "N",
        about: "checkpoint when the log has so many pages; 0 never (1000)",
        is_fixed: false,
    },
];

/// The PRAGMAs of a connection, in the order in which they are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pragmas(Vec<(&'static str, i64)>);

impl Pragmas {
    /// Those that the options ask for, and those that are never left to a build's defaults.
    ///
    /// # Errors
    /// Unsupported, naming the setting and what was expected.
    pub(super) fn of(options: &OpenOptions) -> Result<Self, TargetError> {
        let mut pragmas = vec![("mmap_size", 0)];
        for (name, value) in &options.engine_settings {
            let wrong =
                |expected: String| TargetError::unsupported(format!("sqlite.{name}={value}: {expected}"));
            let (pragma, read) = match name.as_str() {
                "page-size" => ("page_size", parse_size(value)),
                "mmap-size" => ("mmap_size", parse_size(value)),
                "wal-autocheckpoint" => ("wal_autocheckpoint", parse_count(value)),
                _ => return Err(wrong("there is no such setting".to_owned())),
            };
            let number = read.map_err(wrong)?;
            if pragma == "page_size" && !(number.is_power_of_two() && (512..=65536).contains(&number)) {
                return Err(wrong("expected a power of two from 512B to 64KiB".to_owned()));
            }
            let number = i64::try_from(number).map_err(|_| wrong("it is too large".to_owned()))?;
            pragmas.retain(|(known, _)| *known != pragma);
            pragmas.push((pragma, number));
        }
        Ok(Self(pragmas))
    }

    /// Sets them.
    pub(super) fn apply(&self, connection: &Connection) -> rusqlite::Result<()> {
        for (pragma, value) in &self.0 {
            // Some of them answer with the new value.
            connection
                .pragma_update_and_check(None, pragma, value, |_| Ok(()))
                .or_else(|error| match error {
                    rusqlite::Error::QueryReturnedNoRows => Ok(()),
                    error => Err(error),
                })?;
        }
        Ok(())
    }
}

/// What a connection has, by the names above and those that all engines have.
pub(super) fn effective(connection: &Connection) -> Vec<(String, String)> {
    let pragma = |name: &str| {
        let value = connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        value.map(|value| value.to_string()).ok()
    };
    let all = SETTINGS
        .iter()
        .map(|setting| setting.name)
        .chain(["cache-size", "busy-timeout"]);
    all.filter_map(|name| Some((name.to_owned(), pragma(&name.replace('-', "_"))?)))
        .collect()
}
