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
/// Usage, when there is no such database. Run, when it cannot be read. Verification, when something in it is damaged.
pub(crate) fn verify(database: &Path) -> Result<Exit> {
    let path = existing(database)?;
    let db = open_to_read(&path).map_err(|error| finding(&path, error))?;
    let report = db.verify().map_err(|error| finding(&path, error))?;
    if let Some(first) = report.problems.first() {
        let more = report.problems.len() - 1;
        return Err(HarnessError::Verification(format!(
            "{}: {first} (and {more} more problems)",
            path.display()
        )));
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

/// What an error says of a database: that it cannot be read, of which nothing follows, or that it is damaged.
pub(super) fn finding(path: &Path, error: Error) -> HarnessError {
    let mut text = error.to_string();
    // Most name the file themselves.
    let path_text = path.display().to_string();
    if !text.contains(&path_text) {
        text = format!("{path_text}: {text}");
    }
    match error {
        Error::Corruption { .. } | Error::Mismatch { .. } => HarnessError::Verification(text),
        // Beside a log it was one.
        Error::NotADatabase { .. } if log_of(path).is_dir() => HarnessError::Verification(text),
        _ => HarnessError::Run(format!("cannot read the database: {text}")),
    }
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
    let text = engine::inspect(existing(database)?, &Options::new())
        .map_err(|error| HarnessError::Run(error.to_string()))?;
    crate::console::tell(text.trim_end());
    Ok(Exit::Good)
}

/// The database file, also for a directory that a run kept: there is a data file, or a log that has lost its own.
///
/// # Errors
/// Usage, when there is neither.
pub(super) fn existing(database: &Path) -> Result<PathBuf> {
    let is_there = |path: &Path| path.is_file() || log_of(path).is_dir();
    let inside = database.join(FILE_NAME);
    if database.is_dir() && is_there(&inside) {
        return Ok(inside);
    }
    // What is no directory is for the engine to judge.
    if database.exists() && !database.is_dir() || log_of(database).is_dir() {
        return Ok(database.to_path_buf());
    }
    let below = databases_below(database);
    let below = if below.is_empty() {
        String::new()
    } else {
        format!("; there is {}", below.join(" and "))
    };
    Err(HarnessError::Usage(format!(
        "there is no database at {}{below}",
        database.display()
    )))
}

/// Databases that runs have kept in a directory or up to two levels below.
fn databases_below(directory: &Path) -> Vec<String> {
    let inside = |path: &Path| {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        paths
    };
    let near = inside(directory);
    let all = near
        .iter()
        .cloned()
        .chain(near.iter().flat_map(|path| inside(path)));
    all.filter(|path| path.join(FILE_NAME).is_file())
        .map(|path| path.display().to_string())
        .collect()
}

fn log_of(database: &Path) -> PathBuf {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    log.into()
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

    /// A small database in a directory as a run keeps it.
    fn kept() -> (tempfile::TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("databases-x/palimpsest-1");
        std::fs::create_dir_all(&directory).unwrap();
        let db = Options::new()
            .page_size(4096)
            .background(false)
            .open(directory.join(FILE_NAME))
            .unwrap();
        let table = db.create_table("rows").unwrap();
        db.write(|tx| tx.put(table, b"k", b"v")).unwrap();
        db.close().unwrap();
        (parent, directory)
    }

    #[test]
    fn a_directory_stands_for_the_database_in_it_and_one_above_names_it() {
        let (parent, directory) = kept();
        assert_eq!(verify(&directory).unwrap(), Exit::Good);
        assert_eq!(inspect(&directory).unwrap(), Exit::Good);
        let message = verify(parent.path()).unwrap_err();
        assert_eq!(message.exit(), Exit::Usage);
        assert!(
            message.to_string().contains("there is ") && message.to_string().contains("palimpsest-1"),
            "{message}"
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_called_damaged() {
        let (parent, directory) = kept();
        let file = directory.join(FILE_NAME);
        // In use.
        let db = Options::new().open(&file).unwrap();
        assert_eq!(verify(&directory).unwrap_err().exit(), Exit::Failed);
        drop(db);
        assert_eq!(verify(&directory).unwrap(), Exit::Good);
        // No database at all.
        for foreign in [Vec::new(), vec![7; 20_000]] {
            let path = parent.path().join("foreign");
            std::fs::write(&path, &foreign).unwrap();
            let error = verify(&path).unwrap_err();
            assert_eq!(error.exit(), Exit::Failed, "{} bytes: {error}", foreign.len());
        }
        let refused = Error::Io {
            operation: "open",
            path: file.clone(),
            source: std::io::Error::from(std::io::ErrorKind::PermissionDenied).into(),
        };
        assert_eq!(finding(&file, refused).exit(), Exit::Failed);
        // Damaged: both superblocks are gone, and the log says that it was one.
        let bytes = std::fs::metadata(&file).unwrap().len();
        std::fs::write(&file, vec![0; bytes as usize]).unwrap();
        assert_eq!(verify(&directory).unwrap_err().exit(), Exit::Verification);
    }
}
