//! Space over time: what the data file takes, at every moment, for rows that are several times as large as the cache.
//!
//! 1. Rows are loaded in random order, [`LOAD_BATCH`] in a transaction, without synchronous commits.
//! 2. Rows chosen at random are replaced, [`UPDATE_BATCH`] in a transaction, as many as there are rows. In the middle a
//!    checkpoint is asked for, so that also a short run has one beside updates.
//! 3. A checkpoint at the end, and the space that is left then.
//! 4. Every row is read and compared with what was written last, and the structure is checked.
//!
//! The other checkpoints are the engine's own, in the background. Meanwhile another thread looks at the files every few
//! milliseconds ([`watch`]). Live bytes are those of the keys and values of all committed rows. The log is recorded and
//! drawn, and does not count as the file. As long as most of the rows fit in the cache the ratio says little (an engine reserves
//! room for what it has not written yet), so it counts only from [`SpaceJob::live_floor`] on; everything is drawn.
//!
//! All of it runs in one child process, so that a crash of the engine is a recorded failure.

mod run;
mod watch;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use reports::record::SpaceOverTime;
use serde::{Deserialize, Serialize};
use workloads::driver::{
    Capabilities, Direction, Durability, Isolation, OpenOptions, RowBuffer, Target, TxOptions,
};

use super::ratios::{KEY_LEN, Random, TABLE, failed, fill_value, key};
use super::{EMPTY, Scenario};
use crate::child::progress;
use crate::drivers::factory;
use crate::engine_options::EngineOptions;
use crate::error::{HarnessError, Result};
use watch::Watch;

/// Rows of a transaction of the load.
const LOAD_BATCH: u64 = 100;
/// Rows of a transaction of updates.
const UPDATE_BATCH: u64 = 10;
/// Rows read at once by the comparison at the end.
const READ_BATCH: usize = 1000;
/// Transactions between two reports of progress.
const REPORT_EVERY: u64 = 500;
/// With fewer live bytes the ratio never counts.
const LIVE_FLOOR_BYTES: u64 = 4 << 20;
/// Nor with fewer than so many times the cache, unless half of all rows is less.
const LIVE_FLOOR_CACHES: u64 = 4;

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "space",
    about: "what the data file takes at every moment of a random-order load and of updates, beside the live rows",
    text: include_str!("about.txt"),
    accepts: &[
        ("rows", "rows to load, and to replace (400,000)"),
        ("value-size", "bytes of a value (100)"),
        (
            "cache-size",
            "memory for the engine's page cache (an eighth of the rows)",
        ),
        ("compression", "compression of stored data (NONE)"),
        (
            "busy-timeout",
            "how long a transaction waits for another's lock (5 s)",
        ),
        (
            "set",
            "settings of the engine, for instance palimpsest.page-size=8KiB",
        ),
        ("seed", "of rows and values (42)"),
    ],
    prepare: run::prepare,
    work: run::work,
    ..EMPTY
};

/// What the child is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SpaceJob {
    /// The engine.
    pub engine: String,
    /// Rows of the table.
    pub rows: u64,
    /// Bytes of a value.
    pub value_size: usize,
    /// Memory for the engine's page cache, in bytes.
    pub cache_size_bytes: u64,
    /// How the database is opened.
    pub options: EngineOptions,
    /// Seed of orders and values.
    pub seed: u64,
    /// Directory for the database; exists and is empty.
    #[serde(with = "crate::child::paths")]
    pub directory: PathBuf,
    /// Where to write the result.
    #[serde(with = "crate::child::paths")]
    pub result: PathBuf,
}

/// What the child found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SpaceResult {
    /// The series.
    pub space: SpaceOverTime,
    /// The engine's version.
    pub engine_version: String,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// Wrong answers and failed structural checks.
    pub findings: Vec<String>,
}

impl SpaceJob {
    fn row_bytes(&self) -> u64 {
        (KEY_LEN + self.value_size) as u64
    }

    /// With fewer live bytes the ratio does not count.
    fn live_floor(&self) -> u64 {
        let half = self.rows * self.row_bytes() / 2;
        let by_cache = self.cache_size_bytes.saturating_mul(LIVE_FLOOR_CACHES);
        by_cache.min(half).max(LIVE_FLOOR_BYTES)
    }
}

/// Loads, updates, watches and compares.
pub(crate) fn measure(job: &SpaceJob, stop: &AtomicBool) -> Result<SpaceResult> {
    let engine = factory(&job.engine)?;
    let capabilities = engine.capabilities();
    let failed = failed(capabilities);
    let mut options = OpenOptions::create(&job.directory, ["space"]);
    options.durability = Durability::NoSync;
    job.options.apply(&mut options);
    let target = engine.open(&options).map_err(&failed)?;
    let mut result = SpaceResult {
        engine_version: capabilities.version.clone(),
        ..SpaceResult::default()
    };
    let begun = Instant::now();
    let watch = Watch::new(&job.directory, job.live_floor(), begun);
    let mut data = Data::new(job, stop, capabilities);
    let (updates, series) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch.look_on());
        let done = data.load_and_update(target.as_ref(), &watch);
        watch.finish();
        let series = watching
            .join()
            .map_err(|_| HarnessError::Run("the thread that looks at the files panicked".into()))?;
        Ok::<_, HarnessError>((done?, series?))
    })?;
    result.interrupted = stop.load(Ordering::Relaxed);
    result.space = SpaceOverTime {
        engine: job.engine.clone(),
        rows: job.rows,
        updates,
        cache_size_bytes: job.cache_size_bytes,
        live_floor_bytes: job.live_floor(),
        looks: series.looks,
        largest_ratio: series.largest_ratio,
        last_ratio: series.last_ratio,
        samples: series.samples,
    };
    if !result.interrupted {
        progress::phase("compare", 0, "");
        result.findings.extend(data.compare(target.as_ref())?);
        if capabilities.verify
            && let Err(error) = target.verify()
        {
            result.findings.push(format!("structure: {error}"));
        }
    }
    Ok(result)
}

/// The rows, and how often each was written.
struct Data<'a> {
    job: &'a SpaceJob,
    stop: &'a AtomicBool,
    capabilities: &'a Capabilities,
    /// Versions of the rows; 0 is not written yet.
    versions: Vec<u32>,
}

impl<'a> Data<'a> {
    fn new(job: &'a SpaceJob, stop: &'a AtomicBool, capabilities: &'a Capabilities) -> Self {
        Self {
            job,
            stop,
            capabilities,
            versions: vec![0; job.rows as usize],
        }
    }

    /// The value that a row has in its present version.
    fn value(&self, row: u64, value: &mut [u8]) {
        let version = u64::from(self.versions[row as usize]);
        fill_value(value, &mut Random::new(self.job.seed ^ (row << 24), version));
    }

    /// Steps 1 to 3; returns how many rows were replaced.
    fn load_and_update(&mut self, target: &dyn Target, watch: &Watch<'_>) -> Result<u64> {
        let rows = self.job.rows;
        let mut random = Random::new(self.job.seed, 1);
        let order = shuffled(rows, &mut random);
        watch.begin("load");
        self.write(target, watch, "load", LOAD_BATCH, order.into_iter())?;
        watch.begin("update");
        let chosen = (0..rows).map(|_| random.below(rows));
        let mut chosen: Vec<u64> = chosen.collect();
        let rest = chosen.split_off(chosen.len() / 2);
        let mut updates = self.write(target, watch, "update", UPDATE_BATCH, chosen.into_iter())?;
        let has_checkpoints = self.capabilities.checkpoint;
        let failed = failed(self.capabilities);
        std::thread::scope(|scope| {
            let beside = scope.spawn(|| {
                if has_checkpoints {
                    target.checkpoint()
                } else {
                    Ok(())
                }
            });
            updates += self.write(target, watch, "update", UPDATE_BATCH, rest.into_iter())?;
            beside
                .join()
                .map_err(|_| HarnessError::Run("the checkpoint beside the updates panicked".into()))?
                .map_err(&failed)
        })?;
        if self.capabilities.checkpoint && !self.stop.load(Ordering::Relaxed) {
            watch.begin("checkpoint");
            progress::phase("checkpoint", 0, "");
            target.checkpoint().map_err(&failed)?;
        }
        Ok(updates)
    }

    /// Writes rows, so many in a transaction, and returns how many were written.
    fn write(
        &mut self,
        target: &dyn Target,
        watch: &Watch<'_>,
        phase: &str,
        batch: u64,
        mut rows: impl ExactSizeIterator<Item = u64>,
    ) -> Result<u64> {
        progress::phase(phase, rows.len() as u64, "rows");
        let failed = failed(self.capabilities);
        let isolation = self
            .capabilities
            .isolation_at_least(Isolation::ReadCommitted)
            .unwrap_or(Isolation::ReadCommitted);
        let options = TxOptions::read_write(isolation, Durability::NoSync);
        let mut session = target.session().map_err(&failed)?;
        let mut value = vec![0; self.job.value_size];
        let (mut written, mut transactions) = (0, 0_u64);
        while !self.stop.load(Ordering::Relaxed) {
            let mut new = 0;
            let before = written;
            for row in rows.by_ref().take(batch as usize) {
                if before == written {
                    session.begin(&options).map_err(&failed)?;
                }
                let version = &mut self.versions[row as usize];
                new += u64::from(*version == 0);
                *version += 1;
                self.value(row, &mut value);
                session.put(TABLE, &key(row), &value).map_err(&failed)?;
                written += 1;
            }
            if before == written {
                break;
            }
            session.commit().map_err(&failed)?;
            watch.grown_by(new * self.job.row_bytes());
            transactions += 1;
            if transactions.is_multiple_of(REPORT_EVERY) {
                progress::done(written, watch.note());
            }
        }
        progress::done(written, watch.note());
        Ok(written)
    }

    /// What is wrong with the rows, if anything.
    fn compare(&self, target: &dyn Target) -> Result<Option<String>> {
        let failed = failed(self.capabilities);
        let isolation = self
            .capabilities
            .isolation_at_least(Isolation::ReadCommitted)
            .unwrap_or(Isolation::ReadCommitted);
        let mut session = target.session().map_err(&failed)?;
        let options = TxOptions::read_only(isolation, Durability::NoSync);
        let mut expected = vec![0; self.job.value_size];
        let mut next = 0;
        let mut found = RowBuffer::new();
        while next < self.job.rows {
            session.begin(&options).map_err(&failed)?;
            found.clear();
            session
                .scan(TABLE, &key(next), READ_BATCH, Direction::Forward, &mut found)
                .map_err(&failed)?;
            session.commit().map_err(&failed)?;
            if found.iter().next().is_none() {
                return Ok(Some(format!("row {next} and all behind it are not there")));
            }
            for (at, value) in found.iter() {
                self.value(next, &mut expected);
                if at != key(next) || value != expected {
                    return Ok(Some(format!("row {next} is not what was written last")));
                }
                next += 1;
                if next == self.job.rows {
                    break;
                }
            }
        }
        Ok(None)
    }
}

/// All rows in random order (Fisher and Yates).
fn shuffled(rows: u64, random: &mut Random) -> Vec<u64> {
    let mut order: Vec<u64> = (0..rows).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(directory: &std::path::Path) -> SpaceJob {
        SpaceJob {
            engine: "palimpsest".into(),
            rows: 3000,
            value_size: 2000,
            cache_size_bytes: 1 << 20,
            options: EngineOptions {
                cache_size_bytes: Some(1 << 20),
                ..EngineOptions::default()
            },
            seed: 5,
            directory: directory.to_path_buf(),
            result: directory.join("result.json"),
        }
    }

    #[test]
    fn the_series_covers_everything_and_ends_with_all_rows_alive() {
        let directory = tempfile::tempdir().unwrap();
        let job = job(directory.path());
        let result = measure(&job, &AtomicBool::new(false)).unwrap();
        assert_eq!(result.findings, Vec::<String>::new());
        let space = result.space;
        assert_eq!(space.updates, job.rows);
        let last = space.samples.last().unwrap();
        assert_eq!(last.live_bytes, job.rows * job.row_bytes());
        assert!(last.file_bytes >= last.live_bytes, "nothing compresses: {last:?}");
        let largest = space.largest_ratio.unwrap();
        assert!(
            largest >= space.last_ratio.unwrap() && largest >= 1.0,
            "{largest}"
        );
        assert!(space.samples.is_sorted_by_key(|sample| sample.at_ns));
    }

    #[test]
    fn the_ratio_counts_from_four_times_the_cache_on_or_from_half_of_the_rows() {
        let mut job = job(std::path::Path::new("/"));
        (job.rows, job.value_size) = (1 << 20, 128 - KEY_LEN);
        for (cache_mib, floor_mib) in [(0, 4), (1, 4), (8, 32), (16, 64), (100, 64)] {
            job.cache_size_bytes = cache_mib << 20;
            assert_eq!(job.live_floor(), floor_mib << 20, "{cache_mib} MiB");
        }
    }

    #[test]
    fn a_row_that_is_not_what_was_written_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let (mut job, stop) = (job(directory.path()), AtomicBool::new(false));
        job.rows = 100;
        let engine = factory("palimpsest").unwrap();
        let target = engine
            .open(&OpenOptions::create(&job.directory, ["space"]))
            .unwrap();
        let mut data = Data::new(&job, &stop, engine.capabilities());
        let watch = Watch::new(&job.directory, job.live_floor(), Instant::now());
        data.load_and_update(target.as_ref(), &watch).unwrap();
        assert_eq!(data.compare(target.as_ref()).unwrap(), None);
        data.versions[41] += 1;
        assert!(data.compare(target.as_ref()).unwrap().unwrap().contains("row 41"));
    }

    #[test]
    fn the_order_of_the_load_has_every_row_once() {
        let mut order = shuffled(1000, &mut Random::new(1, 1));
        assert_ne!(order[..3], [0, 1, 2]);
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1000));
    }
}
