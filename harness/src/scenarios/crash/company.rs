//! Who is there beside a script: threads that take checkpoints, collect old versions, and read.
//!
//! A checkpoint begins when the script comes to a step that the seed gives, and goes on beside the steps that follow. On
//! a machine with better things to do it may begin later, so the script waits for checkpoints that are far overdue:
//! otherwise it could be over before the first of them.
//! Readers take snapshots, hold some of them for a while, and read them again: what a snapshot shows never changes. What
//! each showed first is compared with the ledger once it is known what the database held then ([`Seen`]).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::Scope;
use std::time::Duration;

use engine::injected::inherit;
use engine::interleave::Schedule;
use engine::vfs::SimulatedVfs;
use engine::{CommitId, Database, Snapshot};
use parking_lot::{Condvar, Mutex};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::quiet;
use super::script::Company;
use super::seen::{Digest, Seen, digest_of};

/// Places at which threads are held, for each opening.
const HOLDS: u64 = 400;
/// A reader looks again after this time, at the latest.
const LOOK_AGAIN: Duration = Duration::from_micros(200);
/// What readers note of one opening, at most.
const SEEN_MAX: usize = 150;

impl Company {
    /// The schedule that holds threads up, if there is one.
    pub(super) fn schedule(&self, seed: u64) -> Option<Arc<Schedule>> {
        (self.one_in > 0).then(|| Schedule::new(seed, self.one_in, HOLDS))
    }
}

/// How far the script and its checkpoints have come.
#[derive(Default)]
struct Progress {
    /// Steps of the script so far; `usize::MAX` when it is over.
    step: usize,
    /// Checkpoints that have begun, or never will.
    begun: usize,
}

/// The company of one opening.
pub(super) struct Around<'c> {
    company: &'c Company,
    vfs: &'c SimulatedVfs,
    seed: u64,
    /// The steps at which checkpoints are due, in order.
    due: Vec<usize>,
    /// So many steps later the script waits for a checkpoint that has not begun.
    patience: usize,
    progress: Mutex<Progress>,
    changed: Condvar,
    seen: Mutex<Vec<Seen>>,
    /// What went wrong.
    wrong: Mutex<Option<String>>,
}

impl<'c> Around<'c> {
    /// `steps` is how many the script has.
    pub(super) fn new(company: &'c Company, vfs: &'c SimulatedVfs, seed: u64, steps: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut due: Vec<usize> = (0..company.checkpoints)
            .map(|_| random.random_range(0..steps.max(1)))
            .collect();
        due.sort_unstable();
        Self {
            company,
            vfs,
            seed,
            due,
            patience: steps / 10 + 1,
            progress: Mutex::default(),
            changed: Condvar::new(),
            seen: Mutex::default(),
            wrong: Mutex::default(),
        }
    }

    /// Starts everybody.
    pub(super) fn start<'s, 'e: 's>(&'e self, scope: &'s Scope<'s, 'e>, database: &'e Database) {
        let inherited = inherit();
        let spawn = |work: Box<dyn FnOnce() -> Result<(), String> + Send + 'e>| {
            let inherited = inherited.clone();
            scope.spawn(move || {
                let done = quiet::silence(|| {
                    catch_unwind(AssertUnwindSafe(|| inherited.with(work)))
                        .unwrap_or_else(|panic| Err(format!("panic: {}", quiet::text_of(&*panic))))
                });
                if let Err(what) = done {
                    self.wrong.lock().get_or_insert(what);
                    // Nobody waits for checkpoints that will not come.
                    self.set_begun(usize::MAX);
                }
            });
        };
        if !self.due.is_empty() {
            spawn(Box::new(move || self.checkpoints(database)));
        }
        if self.company.collects {
            spawn(Box::new(move || {
                self.collect(database);
                Ok(())
            }));
        }
        for reader in 0..self.company.readers {
            spawn(Box::new(move || self.read(database, reader)));
        }
    }

    /// The script has come to its next step. Waits for checkpoints that should have begun long before.
    pub(super) fn step(&self) {
        let mut progress = self.progress.lock();
        progress.step += 1;
        self.changed.notify_all();
        while let Some(due) = self.due.get(progress.begun)
            && due + self.patience < progress.step
        {
            self.changed.wait(&mut progress);
        }
    }

    /// The script is over: everybody ends.
    pub(super) fn stop(&self) {
        self.progress.lock().step = usize::MAX;
        self.changed.notify_all();
    }

    /// So many checkpoints have begun, or never will.
    fn set_begun(&self, begun: usize) {
        self.progress.lock().begun = begun;
        self.changed.notify_all();
    }

    /// What readers saw.
    ///
    /// # Errors
    /// What went wrong with anybody.
    pub(super) fn end(self) -> Result<Vec<Seen>, String> {
        match self.wrong.into_inner() {
            Some(what) => Err(format!("beside the script: {what}")),
            None => Ok(self.seen.into_inner()),
        }
    }

    fn is_over(&self) -> bool {
        self.progress.lock().step == usize::MAX
    }

    /// Waits for a step; `false` if the script is over first.
    fn wait_for(&self, wanted: usize) -> bool {
        let mut progress = self.progress.lock();
        while progress.step < wanted {
            self.changed.wait(&mut progress);
        }
        progress.step != usize::MAX
    }

    fn checkpoints(&self, database: &Database) -> Result<(), String> {
        for (at, due) in self.due.iter().enumerate() {
            if !self.wait_for(*due) {
                break;
            }
            self.set_begun(at + 1);
            let done = database.checkpoint();
            done.map_err(|error| format!("checkpoint: {error}"))?;
        }
        Ok(())
    }

    fn collect(&self, database: &Database) {
        while !self.is_over() {
            database.gc(1);
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn read(&self, database: &Database, reader: u8) -> Result<(), String> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ u64::from(reader) << 32);
        let mut held: Vec<(Snapshot<'_>, Vec<Digest>)> = Vec::new();
        let mut newest = CommitId(0);
        while !self.is_over() {
            let snapshot = database.snapshot();
            let commit = snapshot.commit_id();
            let position = self.vfs.position();
            if commit > newest || held.is_empty() {
                newest = commit;
                if let Some(tables) = digest_of(database, &snapshot)? {
                    let mut seen = self.seen.lock();
                    if seen.len() < SEEN_MAX {
                        seen.push(Seen {
                            commit,
                            position,
                            tables: tables.clone(),
                        });
                    }
                    drop(seen);
                    held.push((snapshot, tables));
                }
            } else if held.len() < self.company.held.into() {
                // Snapshots of one commit are held more than once, so that there are many.
                let tables = held[held.len() - 1].1.clone();
                if held[held.len() - 1].0.commit_id() == commit {
                    held.push((snapshot, tables));
                }
            }
            while held.len() > usize::from(self.company.held) {
                held.remove(random.random_range(0..held.len()));
            }
            if !held.is_empty() {
                let at = random.random_range(0..held.len());
                let (snapshot, first) = &held[at];
                match digest_of(database, snapshot)? {
                    None => drop(held.remove(at)),
                    Some(again) => again
                        .iter()
                        .zip(first)
                        .try_for_each(|(again, first)| again.is_same(first))
                        .map_err(|what| format!("a snapshot of commit {}: {what}", snapshot.commit_id()))?,
                }
            }
            let mut progress = self.progress.lock();
            if progress.step != usize::MAX {
                self.changed.wait_for(&mut progress, LOOK_AGAIN);
            }
        }
        Ok(())
    }
}
