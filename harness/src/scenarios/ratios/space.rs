//! Bytes: what the log takes for an update, and what the files take for the rows.

use std::path::Path;

use workloads::driver::TargetFactory;

use super::RatioJob;
use super::data::{KEY_LEN, Random, Subject, failed, load, update_one};
use crate::child::files::files_below;
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
