//! Updates under an old snapshot, beside the same updates without one.
//!
//! Two databases of the engine are loaded alike. In one of them a snapshot is opened and held to the very end; then slices of
//! one-row updates take turns in the two. Half of the updates go to one hot row, the others to any: the first make a long
//! chain of versions, the second make many of them. Version budget and checkpoints are the engine's own.
//!
//! An engine may drop what a snapshot needs when its memory for versions is full. The snapshot is held all the same, since
//! that must not make updates slow either; when it could not be read any more is in the row's note. Until then it must
//! show what was there when it was opened.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use workloads::driver::{ErrorKind, Isolation, Session, TargetFactory, TxOptions};

use super::data::{Random, Subject, TABLE, fill_value, key, load, wrong};
use super::slices::{Pair, alternate, slice};
use super::{Figures, Measured, RatioJob};
use crate::error::{HarnessError, Result};

/// The row that every other update changes.
const HOT_ROW: u64 = 0;
/// These slices are so many times as long as the others: with ten pairs the updates under the snapshot take a minute.
const LENGTH: u32 = 12;
/// Rows that the snapshot is asked for after each slice, the hot one among them.
const PROBES: u64 = 5;

/// Rates of updates with and without the snapshot.
pub(super) fn rates(factory: &dyn TargetFactory, job: &RatioJob, stop: &AtomicBool) -> Result<Measured> {
    let capabilities = factory.capabilities();
    if !capabilities.persistent || capabilities.isolation_at_least(Isolation::Snapshot).is_none() {
        return Err(HarnessError::Run(format!(
            "{} has no snapshots that updates go on beside",
            factory.name()
        )));
    }
    let loaded = |name: &str| {
        let directory = job.directory.join(name);
        let subject = Subject::create(factory, &directory, job, None, &[])?;
        load(&subject, job, job.rows, false)?;
        Ok::<_, HarnessError>((subject, directory))
    };
    let (with, with_directory) = loaded("snapshot-with")?;
    let (without, without_directory) = loaded("snapshot-without")?;
    let mut held = Held::open(&with, job)?;
    let mut updates = 0;
    let pairs: Vec<Pair> = alternate(
        job.pairs,
        stop,
        || {
            let rate = update(&with, job)?;
            updates += (rate * length(job).as_secs_f64()) as u64;
            held.look(&with, updates)?;
            Ok(rate)
        },
        || update(&without, job),
    )?;
    let note = format!(
        "held through {} of updates, {} of them; every other one of the hot row; {}",
        units::duration(length(job).as_nanos() as u64 * (u64::from(job.pairs) + 1)),
        units::count(updates),
        held.fate(&with)
    );
    drop(held);
    for (subject, directory) in [(with, with_directory), (without, without_directory)] {
        if capabilities.verify {
            subject.target.verify().map_err(|error| {
                HarnessError::Verification(format!("structure after updates under a snapshot: {error}"))
            })?;
        }
        drop(subject);
        std::fs::remove_dir_all(&directory)
            .map_err(|error| HarnessError::io("remove", &directory, &error))?;
    }
    Ok(Measured {
        figures: Figures::Pairs(pairs),
        note: Some(note),
    })
}

fn length(job: &RatioJob) -> Duration {
    job.slice() * LENGTH
}

/// One-row updates a second on one thread, every other one of the hot row.
fn update(subject: &Subject, job: &RatioJob) -> Result<f64> {
    slice(1, length(job), |thread, go_on| {
        let failed = subject.failed();
        let mut session = subject.target.session().map_err(&failed)?;
        let options = subject.no_sync();
        let mut random = Random::new(job.seed ^ 0x01d5, u64::from(thread) + 1);
        let mut value = vec![0; job.value_size];
        let mut count = 0_u64;
        while go_on() {
            let row = if count.is_multiple_of(2) {
                HOT_ROW
            } else {
                random.below(job.rows)
            };
            fill_value(&mut value, &mut random);
            session.begin(&options).map_err(&failed)?;
            session.put(TABLE, &key(row), &value).map_err(&failed)?;
            session.commit().map_err(&failed)?;
            count += 1;
        }
        Ok(count)
    })
}

/// The snapshot.
struct Held<'a> {
    session: Box<dyn Session + 'a>,
    /// What it showed when it was opened.
    shown: Vec<(u64, Vec<u8>)>,
    begun: Instant,
    /// When it was found to be too old, and after how many updates.
    too_old: Option<(Duration, u64)>,
}

impl<'a> Held<'a> {
    fn open(subject: &'a Subject, job: &RatioJob) -> Result<Self> {
        let failed = subject.failed();
        let mut session = subject.target.session().map_err(&failed)?;
        let capabilities = subject.target.capabilities();
        let isolation = capabilities.isolation_at_least(Isolation::Snapshot);
        let options = TxOptions::read_only(isolation.unwrap_or(Isolation::Snapshot), subject.relaxed);
        session.begin(&options).map_err(&failed)?;
        let mut shown = Vec::new();
        for probe in 0..PROBES {
            let row = HOT_ROW + probe * (job.rows / PROBES);
            let mut value = Vec::new();
            if !session.get(TABLE, &key(row), &mut value).map_err(&failed)? {
                return Err(wrong(format_args!("row {row} is not there")));
            }
            shown.push((row, value));
        }
        Ok(Self {
            session,
            shown,
            begun: Instant::now(),
            too_old: None,
        })
    }

    /// Reads the rows again: they are as they were, or the snapshot is too old from now on.
    fn look(&mut self, subject: &Subject, updates: u64) -> Result<()> {
        let mut value = Vec::new();
        for (row, shown) in &self.shown {
            match self.session.get(TABLE, &key(*row), &mut value) {
                Ok(true) if value == *shown => {}
                Ok(_) => {
                    return Err(wrong(format_args!(
                        "a held snapshot shows another value of row {row} than before"
                    )));
                }
                Err(error) if error.kind() == ErrorKind::Transient => {
                    self.too_old
                        .get_or_insert_with(|| (self.begun.elapsed(), updates));
                }
                Err(error) => return Err(subject.failed()(error)),
            }
        }
        Ok(())
    }

    /// What became of it, in words.
    fn fate(&self, subject: &Subject) -> String {
        let versions = units::or_missing(subject.target.stats().version_bytes, units::bytes);
        match self.too_old {
            None => format!("readable to the end, with {versions} of row versions"),
            Some((after, updates)) => format!(
                "too old to be read after at most {} and {} updates, and held on; {versions} of row versions at the end",
                units::duration(after.as_nanos() as u64),
                units::count(updates)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::factory;

    fn job(directory: &std::path::Path, rows: u64, slice_ms: u64) -> RatioJob {
        RatioJob {
            engine: "palimpsest".into(),
            bound: "memory".into(),
            rows,
            value_size: 20,
            slice_ms,
            pairs: 2,
            seed: 1,
            options: crate::engine_options::EngineOptions::default(),
            directory: directory.to_path_buf(),
            result: directory.join("result.json"),
        }
    }

    #[test]
    fn the_snapshot_is_held_and_read_again_and_nothing_is_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let (job, stop) = (job(directory.path(), 1000, 1), AtomicBool::new(false));
        let measured = rates(factory("palimpsest").unwrap().as_ref(), &job, &stop).unwrap();
        let Figures::Pairs(pairs) = measured.figures else {
            panic!("pairs");
        };
        assert_eq!(pairs.len(), 2);
        assert!(measured.note.unwrap().contains("readable to the end"));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_snapshot_that_shows_something_else_is_a_wrong_answer() {
        let directory = tempfile::tempdir().unwrap();
        let job = job(directory.path(), 1000, 1);
        let engine = factory("palimpsest").unwrap();
        let subject =
            Subject::create(engine.as_ref(), &directory.path().join("db"), &job, None, &[]).unwrap();
        load(&subject, &job, job.rows, false).unwrap();
        let mut held = Held::open(&subject, &job).unwrap();
        update(&subject, &job).unwrap();
        held.look(&subject, 1).unwrap();
        held.shown[0].1[0] ^= 1;
        assert!(matches!(
            held.look(&subject, 1),
            Err(HarnessError::Verification(_))
        ));
    }

    #[test]
    fn a_snapshot_that_is_too_old_is_held_and_said_to_be() {
        let directory = tempfile::tempdir().unwrap();
        let job = job(directory.path(), 1000, 1);
        let engine = factory("palimpsest").unwrap();
        let settings = [("version-budget", "131072")];
        let path = directory.path().join("db");
        let subject = Subject::create(engine.as_ref(), &path, &job, None, &settings).unwrap();
        load(&subject, &job, job.rows, false).unwrap();
        let mut held = Held::open(&subject, &job).unwrap();
        while held.too_old.is_none() {
            update(&subject, &job).unwrap();
            held.look(&subject, 7).unwrap();
        }
        update(&subject, &job).unwrap();
        assert!(held.fate(&subject).contains("too old"));
    }
}
