//! The sub-commands `verify` and `inspect`: what a database at rest is worth, and what its files say. Both only read.

use std::path::{Path, PathBuf};

use engine::{Database, Error, Options};

use crate::drivers::FILE_NAME;
use crate::error::{Exit, HarnessError, Result};

/// Largest page cache that is tried, in bytes.
const CACHE_MAX: usize = 64 << 30;

/// Opens the database for reading, with its log redone in memory, and checks its structure. Not a byte of it is changed.
///
/// # Errors
/// Usage, when there is no such database, or somebody has it open. Verification, when it cannot be opened or something in it
/// is damaged.
pub(crate) fn verify(database: &Path) -> Result<Exit> {
    check_exists(database)?;
    let path = database_file(database);
    let wrong = |what: &str| HarnessError::Verification(format!("{}: {what}", database.display()));
    let db = open_to_read(&path).map_err(|error| match error {
        Error::Locked { .. } => HarnessError::Usage(error.to_string()),
        error => wrong(&error.to_string()),
    })?;
    let report = db.verify().map_err(|error| wrong(&error.to_string()))?;
    if let Some(first) = report.problems.first() {
        let more = report.problems.len() - 1;
        return Err(wrong(&format!("{first} (and {more} more problems)")));
    }
    let info = db.storage_info();
    crate::console::tell(format_args!(
        "{}: structure is sound ({} pages, {})",
        database.display(),
        units::count(info.page_count),
        units::bytes(info.file_bytes),
    ));
    Ok(Exit::Good)
}

/// Opens for reading; with a larger cache if the pages that the log changed need it, since none of them can be written.
fn open_to_read(path: &Path) -> engine::Result<Database> {
    let mut cache_size = 256 << 20;
    loop {
        match Options::new().read_only(true).cache_size(cache_size).open(path) {
            Err(Error::CacheExhausted { .. }) if cache_size < CACHE_MAX => cache_size *= 2,
            answer => return answer,
        }
    }
}

/// Says what the files of a database say of themselves: IDs, time lines, positions.
///
/// # Errors
/// Usage, when there is no such database; what keeps the files from being read.
pub(crate) fn inspect(database: &Path) -> Result<Exit> {
    check_exists(database)?;
    let text = engine::inspect(database_file(database), &Options::new())
        .map_err(|error| HarnessError::Run(error.to_string()))?;
    crate::console::tell(text.trim_end());
    Ok(Exit::Good)
}

/// The database file, also for a directory that a run kept.
fn database_file(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(FILE_NAME)
    } else {
        path.to_path_buf()
    }
}

/// That there is a data file, or a log that has lost its own.
pub(super) fn check_exists(database: &Path) -> Result<()> {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    if database.exists() || Path::new(&log).is_dir() {
        return Ok(());
    }
    Err(HarnessError::Usage(format!(
        "there is no database at {}",
        database.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_said() {
        for command in [verify, inspect] {
            let message = command(Path::new("/nonexistent/db")).unwrap_err().to_string();
            assert!(message.contains("no database at /nonexistent/db"), "{message}");
        }
    }
}
