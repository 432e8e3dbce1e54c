//! Bytes: what the log takes for an update, and what the files take for the rows.

use std::io::ErrorKind;
use std::path::Path;

use workloads::driver::TargetFactory;

use super::RatioJob;
use super::data::{KEY_LEN, Random, Subject, failed, load, update_one};
use crate::error::{HarnessError, Result};

const UPDATES: u64 = 20_000;

/// WAL bytes and logical bytes (key and value) of one-row updates.
pub(super) fn wal_bytes(subject: &Subject, job: &RatioJob) -> Result<(u64, u64)> {
    let failed = subject.failed();
    let appended = || {
        subject.target.sync().map_err(&failed)?;
        let stats = subject.target.stats();
        stats
            .wal_bytes
            .ok_or_else(|| HarnessError::Run("the engine does not count its WAL bytes".into()))
    };
    let updates = UPDATES.min(job.rows);
    let before = appended()?;
    let mut session = subject.target.session().map_err(&failed)?;
    let mut random = Random::new(job.seed ^ 0x11, 1);
    let mut value = vec![0; job.value_size];
    let options = subject.no_sync();
    for _ in 0..updates {
        update_one(session.as_mut(), &options, job.rows, &mut random, &mut value).map_err(&failed)?;
    }
    drop(session);
    Ok((appended()? - before, updates * (KEY_LEN + job.value_size) as u64))
}

/// Sizes after a load in scattered order.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileBytes {
    /// Bytes of the files that hold the rows, after a checkpoint and a clean close.
    pub data: u64,
    /// Bytes of the write-ahead log's files, which are kept at a fixed size for recycling.
    pub log: u64,
    /// Bytes of keys and values.
    pub logical: u64,
}

/// Loads `job.rows` rows in scattered order with `compression` and measures the files.
pub(super) fn file_bytes(
    factory: &dyn TargetFactory,
    job: &RatioJob,
    directory: &Path,
    compression: &str,
) -> Result<FileBytes> {
    let subject = Subject::create(factory, directory, job, Some(compression), &[])?;
    load(&subject, job, job.rows, true)?;
    subject
        .target
        .checkpoint()
        .map_err(failed(factory.capabilities()))?;
    drop(subject);
    let (mut data, mut log) = (0, 0);
    for (path, bytes) in files_below(directory)? {
        if is_log(&path) {
            log += bytes;
        } else {
            data += bytes;
        }
    }
    std::fs::remove_dir_all(directory).map_err(|error| HarnessError::io("remove", directory, &error))?;
    Ok(FileBytes {
        data,
        log,
        logical: job.rows * (KEY_LEN + job.value_size) as u64,
    })
}

/// Whether a file of a database belongs to its write-ahead log, by the names that engines give them.
pub(crate) fn is_log(path: &str) -> bool {
    let path = path.to_lowercase();
    path.contains("wal") || path.ends_with(".log") || path.contains("journal")
}

/// Every file below a directory: its path from there, and its length in bytes.
pub(crate) fn files_below(directory: &Path) -> Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(next) = pending.pop() {
        let entries = std::fs::read_dir(&next).map_err(|error| HarnessError::io("list", &next, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| HarnessError::io("list", &next, &error))?;
            let path = entry.path();
            let metadata = match entry.metadata() {
                // It was removed in between.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                other => other.map_err(|error| HarnessError::io("inspect", &path, &error))?,
            };
            if metadata.is_dir() {
                pending.push(path);
            } else {
                let name = path
                    .strip_prefix(directory)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .into_owned();
                files.push((name, metadata.len()));
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_sub_directories_with_their_sizes() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("wal")).unwrap();
        std::fs::write(directory.path().join("data"), [0; 10]).unwrap();
        std::fs::write(directory.path().join("wal/000001"), [0; 5]).unwrap();
        let files = files_below(directory.path()).unwrap();
        assert_eq!(files, [("data".to_owned(), 10), ("wal/000001".to_owned(), 5)]);
        assert!(is_log(&files[1].0) && !is_log(&files[0].0));
        assert!(files_below(&directory.path().join("absent")).is_err());
    }
}
