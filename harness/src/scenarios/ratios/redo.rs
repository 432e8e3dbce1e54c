//! Redo speed: how fast an open replays the log, beside reading the same bytes in sequence with a CRC.
//!
//! 1. Rows are loaded and a checkpoint is made; then updates are logged with automatic checkpoints off.
//! 2. The log is synchronised and the files are copied beside the open database: what a crash would have left.
//! 3. The copy is opened (in turn with the plain reading of its log files) and the engine tells how many bytes it
//!    replayed and how long that took. Before each the files are dropped from the page cache, as after a restart of
//!    the machine.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use workloads::driver::{OpenOptions, TargetFactory};

use super::RatioJob;
use super::data::{Random, Subject, TABLE, failed, fill_value, key, load, manual_checkpoints};
use super::slices::{Pair, alternate};
use super::space::is_log;
use crate::child::files::{copy_files, files_below};
use crate::error::{HarnessError, Result};

const UPDATES_PER_COMMIT: u64 = 10;
const PAIRS_MAX: u32 = 5;

/// Bytes a second of redo and of reading with CRC, in pairs.
pub(super) fn speeds(
    factory: &dyn TargetFactory,
    job: &RatioJob,
    directory: &Path,
    stop: &AtomicBool,
) -> Result<Vec<Pair>> {
    let original = directory.join("redo");
    let subject = Subject::create(factory, &original, job, None, manual_checkpoints(factory))?;
    let failed = failed(factory.capabilities());
    load(&subject, job, job.rows, false)?;
    subject.target.checkpoint().map_err(&failed)?;
    let mut session = subject.target.session().map_err(&failed)?;
    let mut random = Random::new(job.seed ^ 0x7e, 1);
    let mut value = vec![0; job.value_size];
    for _ in 0..(job.rows / 2).div_ceil(UPDATES_PER_COMMIT) {
        session.begin(&subject.no_sync()).map_err(&failed)?;
        for _ in 0..UPDATES_PER_COMMIT {
            fill_value(&mut value, &mut random);
            session
                .put(TABLE, &key(random.below(job.rows)), &value)
                .map_err(&failed)?;
        }
        session.commit().map_err(&failed)?;
    }
    drop(session);
    subject.target.sync().map_err(&failed)?;
    let image = directory.join("redo-image");
    copy_files(&original, &image)?;
    drop(subject);

    let log: Vec<_> = files_below(&image)?
        .into_iter()
        .filter(|(path, _)| is_log(path))
        .collect();
    let mut options = OpenOptions::existing(directory.join("redo-copy"), ["ratios"]);
    job.options_of(factory.name()).apply(&mut options);
    let replay = || {
        copy_files(&image, &options.dir)?;
        forget_cached(&options.dir)?;
        let stats = factory.open(&options).map_err(&failed)?.stats();
        remove(&options.dir)?;
        match (stats.redo_bytes, stats.redo_ns) {
            (Some(bytes), Some(nanoseconds)) if bytes > 0 && nanoseconds > 0 => {
                Ok(bytes as f64 * 1e9 / nanoseconds as f64)
            }
            _ => Err(HarnessError::Run(
                "the engine does not tell how much it replayed, or replayed nothing".into(),
            )),
        }
    };
    let read = || {
        forget_cached(&image)?;
        read_with_crc(&image, &log)
    };
    let pairs = alternate(job.pairs.min(PAIRS_MAX), stop, replay, read)?;
    remove(&original)?;
    remove(&image)?;
    Ok(pairs)
}

fn read_with_crc(directory: &Path, files: &[(String, u64)]) -> Result<f64> {
    let mut buffer = vec![0; 1 << 20];
    let mut crc = crc32fast::Hasher::new();
    let mut bytes = 0;
    let begun = Instant::now();
    for (name, _) in files {
        let path = directory.join(name);
        let cannot = |error: std::io::Error| HarnessError::io("read", &path, &error);
        let mut file = File::open(&path).map_err(cannot)?;
        loop {
            let count = file.read(&mut buffer).map_err(cannot)?;
            if count == 0 {
                break;
            }
            crc.update(&buffer[..count]);
            bytes += count;
        }
    }
    std::hint::black_box(crc.finalize());
    if bytes == 0 {
        return Err(HarnessError::Run("no log file was found to read".into()));
    }
    Ok(bytes as f64 / begun.elapsed().as_secs_f64())
}

/// Makes the files durable and drops them from the page cache.
fn forget_cached(directory: &Path) -> Result<()> {
    for (name, _) in files_below(directory)? {
        let path = directory.join(name);
        let cannot = |error: std::io::Error| HarnessError::io("drop from the page cache", &path, &error);
        let file = File::open(&path).map_err(cannot)?;
        file.sync_all().map_err(cannot)?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)
            .map_err(|error| cannot(error.into()))?;
    }
    Ok(())
}

fn remove(directory: &Path) -> Result<()> {
    std::fs::remove_dir_all(directory).map_err(|error| HarnessError::io("remove", directory, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_have_every_file_and_reading_needs_some_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("a"), directory.path().join("b"));
        std::fs::create_dir_all(from.join("wal")).unwrap();
        std::fs::write(from.join("wal/1"), [1; 100]).unwrap();
        copy_files(&from, &to).unwrap();
        let files = files_below(&to).unwrap();
        assert_eq!(files, files_below(&from).unwrap());
        forget_cached(&to).unwrap();
        assert!(read_with_crc(&to, &files).unwrap() > 0.0);
        assert!(read_with_crc(&to, &[]).is_err());
        remove(&to).unwrap();
        assert!(remove(&to).is_err());
    }
}
