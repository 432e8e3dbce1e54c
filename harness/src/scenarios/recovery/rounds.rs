//! Rounds of starting, killing and checking.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use reports::record::{Recovery, RecoveryKind};

use super::checker::CheckRequest;
use super::counts::RoundCounts;
use super::processes::{Checker, Cutoff, work_and_kill};
use super::{RecoveryJob, Role, Subject};
use crate::child::interrupt::{Interrupt, requested};
use crate::child::progress::{Display, Interval, Progress};
use crate::error::{HarnessError, Result};
use crate::scenarios::findings::FindingKind;

/// Longest work before a kill: long enough for hundreds of commits, short enough for thousands of rounds.
pub(crate) const WORK_MAX: Duration = Duration::from_millis(60);
/// Every so many rounds the database is a fresh one.
pub(crate) const FRESH_EVERY: u32 = 10;
/// Time between checkpoints, where the process asks for them.
const CHECKPOINT_EVERY_MS: u64 = 10;
/// After one of so many kills another process is killed while it recovers from the first.
const EARLY_EVERY: u32 = 4;
/// Longest time from the start of such a process to its death.
const EARLY_MAX: Duration = Duration::from_millis(40);

/// How many rounds to make, and how long.
#[derive(Clone, Debug)]
pub(crate) struct Rounds {
    /// At most so many.
    pub rounds: u32,
    /// None is begun after this time.
    pub until: Option<Instant>,
    /// Longest work before a kill.
    pub work_max: Duration,
    /// How often it is told how it goes.
    pub interval: Interval,
}

/// Kills and reopens a process of the engine again and again. Databases, journals and job files are in `directory`.
/// What is wrong with the engine is in the result.
///
/// # Errors
/// The harness's own trouble: files and processes that cannot be made.
pub(crate) fn rounds(directory: &Path, subject: &Subject, how: &Rounds) -> Result<Recovery> {
    let job = RecoveryJob {
        engine: subject.engine.clone(),
        spec: subject.spec.clone(),
        options: subject.options.clone(),
        directory: directory.join("database"),
    };
    let mut scenario = Scenario {
        checker: Checker::new(&job, directory),
        directory: directory.to_path_buf(),
        job,
        random: ChaCha8Rng::seed_from_u64(subject.spec.seed),
        work_max: how.work_max,
        begun: Instant::now(),
        counts: RoundCounts::new(subject, RecoveryKind::Kill, how.rounds),
    };
    scenario.all(how)?;
    scenario.checker.close()?;
    Ok(scenario.counts.finish())
}

struct Scenario {
    directory: PathBuf,
    job: RecoveryJob,
    random: ChaCha8Rng,
    work_max: Duration,
    begun: Instant,
    checker: Checker,
    counts: RoundCounts,
}

/// A kill some time after the work began, or after the start.
struct At {
    start: Instant,
    after_start: Option<Duration>,
    after_ready: Duration,
}

impl Cutoff for At {
    fn is_due(&mut self, ready: Option<Instant>) -> Result<bool> {
        Ok(match self.after_start {
            Some(after) => self.start.elapsed() >= after,
            None => ready.is_some_and(|ready| ready.elapsed() >= self.after_ready),
        })
    }
}

impl Scenario {
    fn all(&mut self, how: &Rounds) -> Result<()> {
        let mut display = Display::new(how.interval);
        display.start(format!("recovery of {}", self.job.engine));
        display.begin_phase("kill and reopen", u64::from(how.rounds), "rounds");
        let mut since_fresh = 0;
        let mut is_good = false;
        for round in 0..how.rounds {
            if requested() != Interrupt::None || how.until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            if round % FRESH_EVERY == 0 || !is_good {
                since_fresh = 0;
                remove(&self.job.directory)?;
            }
            match self.round(round, &mut since_fresh)? {
                Some(good) => is_good = good,
                None => break,
            }
            since_fresh += 1;
            display.show(&Progress::Done {
                done: u64::from(round) + 1,
                note: self.counts.note(),
            });
        }
        display.finish(&self.counts.summary());
        Ok(())
    }

    /// One round; whether the database is good to go on with, or `None` if there is none.
    fn round(&mut self, round: u32, since_fresh: &mut u32) -> Result<Option<bool>> {
        let fresh = *since_fresh == 0;
        let journal = self.directory.join("round.journal");
        let mut file = File::create(&journal).map_err(|error| HarnessError::io("make", &journal, &error))?;
        let role = Role::Work {
            round: *since_fresh,
            fresh,
            checkpoint_every_ms: checkpoints(round),
            clock_ns: self.begun.elapsed().as_nanos() as u64,
        };
        let was_ready = self.work_and_kill(round, role, false, &mut file)?;
        if fresh && !was_ready {
            let what = "the first process never got to its work";
            self.counts.finding(round, &FindingKind::NotStarted.with(what));
            return Ok(None);
        }
        if self.random.random_range(0..EARLY_EVERY) == 0 {
            *since_fresh += 1;
            let role = Role::Work {
                round: *since_fresh,
                fresh: false,
                checkpoint_every_ms: None,
                clock_ns: self.begun.elapsed().as_nanos() as u64,
            };
            self.work_and_kill(round, role, true, &mut file)?;
        }
        drop(file);
        let answer = self.checker.check(&CheckRequest {
            journal: journal.clone(),
            directory: self.job.directory.clone(),
            fresh,
            goes_on: true,
        })?;
        std::fs::remove_file(&journal).map_err(|error| HarnessError::io("remove", &journal, &error))?;
        Ok(Some(self.counts.take(round, &answer)))
    }

    /// Starts a worker and kills it; whether it got to its work. An `early` kill comes while it opens the
    /// database, which has to recover from the kill before.
    fn work_and_kill(&mut self, round: u32, role: Role, early: bool, journal: &mut File) -> Result<bool> {
        let mut at = At {
            after_ready: self.work_max.mul_f64(self.random.random::<f64>()),
            start: Instant::now(),
            after_start: early.then(|| EARLY_MAX.mul_f64(self.random.random::<f64>())),
        };
        let file = self.directory.join("worker.job.json");
        let death = work_and_kill(&self.job, role, &file, journal, &mut at)?;
        if let Some(problem) = death.end.problem() {
            self.counts.finding(round, &problem);
        }
        Ok(death.was_ready)
    }
}

/// How often a working process asks for a checkpoint: in every other round.
pub(crate) fn checkpoints(round: u32) -> Option<u64> {
    (round % 2 == 1).then_some(CHECKPOINT_EVERY_MS)
}

/// Removes a database, if there is one.
///
/// # Errors
/// When it is there and cannot be removed.
pub(crate) fn remove(database: &Path) -> Result<()> {
    let removed = if database.is_dir() {
        std::fs::remove_dir_all(database)
    } else if database.exists() {
        std::fs::remove_file(database)
    } else {
        Ok(())
    };
    removed.map_err(|error| HarnessError::io("remove", database, &error))
}
