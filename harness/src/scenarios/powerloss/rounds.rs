//! Rounds of mounting, working, losing power and checking.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use reports::record::{Recovery, RecoveryKind};

use super::mount::{Mount, MountJob};
use crate::child::interrupt::{Interrupt, requested};
use crate::child::progress::{Display, Interval, Progress};
use crate::error::{HarnessError, Result};
use crate::scenarios::findings::FindingKind;
use crate::scenarios::recovery::checker::CheckRequest;
use crate::scenarios::recovery::counts::RoundCounts;
use crate::scenarios::recovery::processes::{Checker, Cutoff, Death, End, work_and_kill};
use crate::scenarios::recovery::rounds::{FRESH_EVERY, checkpoints, remove};
use crate::scenarios::recovery::{RecoveryJob, Role, Subject};

/// Longest work before the power is cut.
pub(super) const WORK_MAX: Duration = Duration::from_millis(80);
/// Where the cut is planned by requests: at most so many changes after the work began.
const CHANGES_MAX: u64 = 500;
/// The same for a cut while the database is being opened.
const CHANGES_OPEN_MAX: u64 = 60;
/// One of so many rounds on an existing database loses power while it is being opened.
const EARLY_EVERY: u32 = 5;
/// One of so many rounds loses power again while the database is being recovered, up to so many times in a row.
const AGAIN_EVERY: u32 = 4;
const AGAIN_MAX: u32 = 3;
/// Longest time to open a database before the power is cut all the same.
const OPEN_MAX: Duration = Duration::from_secs(5);
/// Surviving states checked after each cut.
const IMAGES: u32 = 3;

/// How many rounds to make, and how.
#[derive(Clone, Debug)]
pub(crate) struct PowerLosses {
    /// At most so many.
    pub rounds: u32,
    /// None is begun after this time.
    pub until: Option<Instant>,
    /// Longest work before the power is cut.
    pub work_max: Duration,
    /// The file system ignores every sync after the load: commits must get lost.
    pub drop_syncs: bool,
    /// States with a finding, as they were before they were opened, are kept with their journals.
    pub keep: bool,
    /// How often it is told how it goes.
    pub interval: Interval,
}

/// Lets the power fail under an engine again and again. Databases, journals and job files are in `directory`. What is
/// wrong with the engine is in the result.
///
/// # Errors
/// Usage: FUSE cannot be used here. Run: the harness's own trouble.
pub(crate) fn rounds(directory: &Path, subject: &Subject, how: &PowerLosses) -> Result<Recovery> {
    let place = directory.join("mount");
    let job = RecoveryJob {
        engine: subject.engine.clone(),
        spec: subject.spec.clone(),
        options: subject.options.clone(),
        directory: place.clone(),
    };
    let mut counts = RoundCounts::new(subject, RecoveryKind::PowerLoss, how.rounds);
    counts.found.notes.push(format!(
        "a file system that loses power: {IMAGES} of the states that may have survived were checked after each cut"
    ));
    if how.drop_syncs {
        counts.found.notes.push(
            "the file system ignored every sync of the work (--drop-syncs): commits had to get lost".into(),
        );
    }
    let mut scenario = Scenario {
        checker: Checker::new(&job, directory),
        directory: directory.to_path_buf(),
        place,
        job,
        random: ChaCha8Rng::seed_from_u64(subject.spec.seed),
        how: how.clone(),
        begun: Instant::now(),
        counts,
        states: 0,
    };
    scenario.all()?;
    scenario.checker.close()?;
    Ok(scenario.counts.finish())
}

struct Scenario {
    directory: PathBuf,
    place: PathBuf,
    job: RecoveryJob,
    random: ChaCha8Rng,
    how: PowerLosses,
    begun: Instant,
    checker: Checker,
    counts: RoundCounts,
    /// Directories made so far.
    states: u64,
}

/// When the power fails.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So many changes after the process was started.
    Early(u64),
    /// So long after its work began, or so many changes, if that is sooner.
    Working(Duration, Option<u64>),
}

struct Blackout<'m> {
    mount: &'m mut Mount,
    started: Instant,
    moment: Moment,
    drop_syncs: bool,
    /// What is to happen when the work begins has been ordered.
    is_planned: bool,
}

impl Cutoff for Blackout<'_> {
    fn is_due(&mut self, ready: Option<Instant>) -> Result<bool> {
        if ready.is_some() && !self.is_planned {
            self.is_planned = true;
            if self.drop_syncs {
                self.mount.drop_syncs()?;
            }
            if let Moment::Working(_, Some(changes)) = self.moment {
                self.mount.cut_after(changes)?;
            }
        }
        let is_late = match (self.moment, ready) {
            (Moment::Early(_), _) => self.started.elapsed() >= OPEN_MAX,
            (Moment::Working(after, _), Some(ready)) => ready.elapsed() >= after,
            (Moment::Working(..), None) => false,
        };
        if is_late {
            self.mount.cut()?;
        }
        self.mount.is_cut()
    }

    fn killed(&mut self) -> Result<()> {
        self.mount.turn_off()
    }
}

impl Scenario {
    fn all(&mut self) -> Result<()> {
        let mut display = Display::new(self.how.interval);
        display.start(format!("power loss under {}", self.job.engine));
        let rounds = self.how.rounds;
        display.begin_phase("lose power and reopen", u64::from(rounds), "rounds");
        let mut since_fresh = 0;
        let mut files: Option<PathBuf> = None;
        for round in 0..rounds {
            let is_over = self.how.until.is_some_and(|until| Instant::now() >= until);
            if requested() != Interrupt::None || is_over {
                break;
            }
            if round % FRESH_EVERY == 0
                && let Some(files) = files.take()
            {
                remove(&files)?;
            }
            if files.is_none() {
                since_fresh = 0;
            }
            files = self.round(round, since_fresh, files)?;
            since_fresh += 1;
            display.show(&Progress::Done {
                done: u64::from(round) + 1,
                note: self.counts.note(),
            });
        }
        display.finish(&self.counts.summary());
        Ok(())
    }

    /// One round on the database in `files`, or on a fresh one; gives the directory to go on with, if it is good.
    fn round(&mut self, round: u32, since_fresh: u32, files: Option<PathBuf>) -> Result<Option<PathBuf>> {
        let is_fresh = files.is_none();
        let files = match files {
            Some(files) => files,
            None => self.new_directory()?,
        };
        let journal = self.directory.join("round.journal");
        let mut file = File::create(&journal).map_err(|error| HarnessError::io("make", &journal, &error))?;
        let is_early = !is_fresh && self.one_in(EARLY_EVERY);
        let role = Role::Work {
            round: since_fresh,
            fresh: is_fresh,
            checkpoint_every_ms: checkpoints(round),
            clock_ns: self.begun.elapsed().as_nanos() as u64,
        };
        let moment = if is_early {
            Moment::Early(self.random.random_range(0..CHANGES_OPEN_MAX))
        } else {
            let changes = self.random.random_range(0..CHANGES_MAX);
            let after = self.how.work_max.mul_f64(self.random.random::<f64>());
            Moment::Working(after, self.one_in(2).then_some(changes))
        };
        let (mut mount, death) = self.work(&files, role, moment, &mut file)?;
        if let Some(problem) = death.end.problem() {
            self.counts.finding(round, &problem);
        }
        remove(&files)?;
        if is_fresh && !death.was_ready {
            let what = "the first process never got to its work";
            self.counts.finding(round, &FindingKind::NotStarted.with(what));
            mount.end()?;
            return Ok(None);
        }
        if self.one_in(AGAIN_EVERY) {
            for _ in 0..self.random.random_range(1..=AGAIN_MAX) {
                mount = self.open_again(round, mount, &mut file)?;
            }
        }
        drop(file);
        let (files, is_good) = self.check(round, is_fresh, &mut mount, &journal)?;
        mount.end()?;
        std::fs::remove_file(&journal).map_err(|error| HarnessError::io("remove", &journal, &error))?;
        if is_good {
            return Ok(Some(files));
        }
        remove(&files)?;
        Ok(None)
    }

    /// Lets a process open what has survived, and cuts the power while it does.
    fn open_again(&mut self, round: u32, mut mount: Mount, journal: &mut File) -> Result<Mount> {
        let files = self.survivors(&mut mount)?;
        mount.end()?;
        let moment = Moment::Early(self.random.random_range(0..CHANGES_OPEN_MAX));
        let (mount, death) = self.work(&files, Role::Open, moment, journal)?;
        // It may well get done before the power goes.
        if let (End::Failed(_), Some(problem)) = (&death.end, death.end.problem()) {
            self.counts.finding(round, &problem);
        }
        remove(&files)?;
        Ok(mount)
    }

    /// Mounts `files`, lets a process work there, and cuts the power.
    fn work(
        &mut self,
        files: &Path,
        role: Role,
        moment: Moment,
        journal: &mut File,
    ) -> Result<(Mount, Death)> {
        let job = MountJob {
            files: files.to_path_buf(),
            place: self.place.clone(),
        };
        let mut mount = Mount::start(job, &self.directory.join("mount.job.json"))?;
        if let Moment::Early(changes) = moment {
            mount.cut_after(changes)?;
        }
        let mut blackout = Blackout {
            mount: &mut mount,
            started: Instant::now(),
            moment,
            drop_syncs: self.how.drop_syncs,
            is_planned: false,
        };
        let job_file = self.directory.join("worker.job.json");
        let death = work_and_kill(&self.job, role, &job_file, journal, &mut blackout)?;
        // Also when the process ended by itself.
        mount.cut()?;
        mount.turn_off()?;
        *self.counts.found.unsynced_changes.get_or_insert(0) += mount.unsynced();
        Ok((mount, death))
    }

    /// Checks some of the states that may have survived; gives the last one, and whether all are good.
    fn check(
        &mut self,
        round: u32,
        fresh: bool,
        mount: &mut Mount,
        journal: &Path,
    ) -> Result<(PathBuf, bool)> {
        let mut is_good = true;
        let mut image = 0;
        loop {
            image += 1;
            let goes_on = image == IMAGES;
            let seed = self.random.random();
            let files = self.new_directory()?;
            let survival = mount.export(seed, &files)?;
            let mut answer = self.checker.check(&CheckRequest {
                journal: journal.to_path_buf(),
                directory: files.clone(),
                fresh,
                goes_on,
            })?;
            for finding in &mut answer.findings {
                finding.push_str(&format!(" [survivors: {survival}]"));
            }
            let is_this_good = if goes_on {
                self.counts.take(round, &answer)
            } else {
                self.counts.take_image(round, &answer)
            };
            if !is_this_good && self.how.keep {
                self.keep(round, image, seed, mount, journal)?;
            }
            is_good &= is_this_good;
            if goes_on {
                return Ok((files, is_good));
            }
            remove(&files)?;
        }
    }

    /// Keeps a bad state as it was before the checker opened it.
    fn keep(&self, round: u32, image: u32, seed: u64, mount: &mut Mount, journal: &Path) -> Result<()> {
        let kept = self.directory.join(format!("round-{}-{image}", round + 1));
        make(&kept)?;
        mount.export(seed, &kept)?;
        let to = kept.with_extension("journal");
        std::fs::copy(journal, &to)
            .map(drop)
            .map_err(|error| HarnessError::io("write", &to, &error))
    }

    fn survivors(&mut self, mount: &mut Mount) -> Result<PathBuf> {
        let files = self.new_directory()?;
        mount.export(self.random.random(), &files)?;
        Ok(files)
    }

    fn new_directory(&mut self) -> Result<PathBuf> {
        self.states += 1;
        let directory = self.directory.join(format!("state-{}", self.states));
        make(&directory)?;
        Ok(directory)
    }

    fn one_in(&mut self, many: u32) -> bool {
        self.random.random_range(0..many) == 0
    }
}

fn make(directory: &Path) -> Result<()> {
    std::fs::create_dir(directory).map_err(|error| HarnessError::io("make", directory, &error))
}
