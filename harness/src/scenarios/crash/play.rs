//! Doing the steps of a script, and noting what was promised when.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::vfs::SimulatedVfs;
use engine::vfs::simulated::{Image, Trace};
use engine::{CommitId, Database, Durability, Error, Metrics, Savepoint, Table, Transaction, TxOptions};

use super::script::{Script, Step, TableNumber, Value, key_bytes, table_name, value_bytes};
use super::state::{Change, State, States, apply};

/// Where the database is in the simulated file system.
pub(crate) const DATABASE: &str = "/db/data";
/// The directory that is there, durably, before it.
pub(crate) const DIRECTORY: &str = "/db";

/// A promise: when the file operations had come to `point`, everything up to `commit` was said to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Promise {
    pub point: usize,
    pub commit: CommitId,
}

/// What a run promised and what it should have led to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub states: States,
    /// In order of their points.
    pub promises: Vec<Promise>,
    /// Where each step began, and its phase.
    pub phases: Vec<(usize, &'static str)>,
    /// What the database has been through.
    pub reached: Reached,
}

/// What the database has been through, to hold a script to its purpose.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reached {
    pub commits: u64,
    pub evicted_dirty: u64,
    pub checkpoints: u64,
    pub largest_group: usize,
    pub overflow_pages: u64,
    pub levels: u8,
    pub redone_commits: u64,
    pub conflicts: u64,
    pub rows: u64,
}

impl Reached {
    fn add(&mut self, metrics: &Metrics) {
        self.commits += metrics.commits;
        self.evicted_dirty += metrics.pages_evicted_dirty;
        self.checkpoints += metrics.checkpoints;
        self.conflicts += metrics.conflicts + metrics.busy;
        let groups = metrics.group_sizes.iter().map(|(size, _)| *size as usize);
        self.largest_group = self.largest_group.max(groups.max().unwrap_or(0));
    }
}

impl Ledger {
    /// The newest commit that was promised to be durable by `point`.
    pub(crate) fn promised(&self, point: usize) -> CommitId {
        let made = self.promises.partition_point(|promise| promise.point <= point);
        made.checked_sub(1)
            .map_or(CommitId(0), |at| self.promises[at].commit)
    }

    /// What the database was doing at `point`.
    pub(crate) fn phase(&self, point: usize) -> &'static str {
        let begun = self.phases.partition_point(|(begin, _)| *begin < point);
        begun.checked_sub(1).map_or("create", |at| self.phases[at].1)
    }

    fn promise(&mut self, vfs: &SimulatedVfs, commit: CommitId) {
        self.promise_at(vfs.position(), commit);
    }

    fn promise_at(&mut self, point: usize, commit: CommitId) {
        let before = self.promises.last().map_or(CommitId(0), |last| last.commit);
        let commit = commit.max(before);
        self.promises.push(Promise { point, commit });
    }
}

/// Everything about one run of a script.
#[derive(Debug)]
pub(crate) struct Recording {
    pub trace: Trace,
    pub ledger: Ledger,
}

/// Runs a script from an empty directory and records its steps.
///
/// # Errors
/// What went wrong: without faults nothing may.
pub(crate) fn record(script: &Script, seed: u64) -> Result<Recording, String> {
    let vfs = SimulatedVfs::from_image(&Image::with_dirs([DIRECTORY]), seed);
    let mut player = Player::new(script, vfs.clone(), false);
    if !script.before.is_empty() {
        player.run(&script.before)?;
        player.close().map_err(|error| format!("close: {error}"))?;
    }
    vfs.record();
    player.ledger.promises.clear();
    player.ledger.phases.clear();
    player.ledger.reached = Reached::default();
    player.ledger.promise(&vfs, player.ledger.states.last());
    player.run(&script.steps)?;
    player.look_around()?;
    player.close().map_err(|error| format!("close: {error}"))?;
    Ok(Recording {
        trace: vfs.take_trace(),
        ledger: player.ledger,
    })
}

/// A transaction in a slot, and what it would change.
struct Open<'db> {
    transaction: Transaction<'db>,
    changes: Vec<Change>,
    savepoint: Option<(Savepoint, usize)>,
    sync: bool,
}

type Slots<'db> = BTreeMap<u8, Open<'db>>;

/// What stops a step.
enum Stop {
    /// The engine refused.
    Refused(Error),
    /// The script or the engine is wrong.
    Wrong(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// Does the steps of a script.
pub(crate) struct Player<'s> {
    script: &'s Script,
    vfs: SimulatedVfs,
    database: Option<Database>,
    pub ledger: Ledger,
    state: State,
    /// Errors of the engine are noted, and the script goes on.
    is_tolerant: bool,
    /// The errors, as they came.
    pub errors: Vec<Error>,
}

impl<'s> Player<'s> {
    /// A player on `vfs`, which need not be empty. A tolerant one notes the engine's errors and goes on; any other
    /// takes an error as a failure.
    pub(crate) fn new(script: &'s Script, vfs: SimulatedVfs, is_tolerant: bool) -> Self {
        Self {
            script,
            vfs,
            database: None,
            ledger: Ledger::default(),
            state: State::new(),
            is_tolerant,
            errors: Vec::new(),
        }
    }

    /// Does steps, with the database open afterwards.
    ///
    /// # Errors
    /// What went wrong.
    pub(crate) fn run(&mut self, steps: &[Step]) -> Result<(), String> {
        let mut rest = steps;
        loop {
            let end = rest
                .iter()
                .position(|step| matches!(step, Step::Reopen | Step::Restart))
                .unwrap_or(rest.len());
            let (now, later) = rest.split_at(end);
            let database = match self.database.take() {
                Some(database) => database,
                None => match self.open() {
                    Ok(database) => database,
                    Err(Stop::Refused(error)) if self.is_tolerant => {
                        self.errors.push(error);
                        return Ok(());
                    }
                    Err(stop) => return Err(told(stop, "open")),
                },
            };
            let mut slots = Slots::new();
            for step in now {
                self.ledger.phases.push((self.vfs.position(), step.phase()));
                match self.step(&database, &mut slots, step) {
                    Ok(()) => {}
                    Err(Stop::Refused(error)) if self.is_tolerant => self.errors.push(error),
                    Err(stop) => return Err(told(stop, &format!("{step:?}"))),
                }
            }
            drop(slots);
            let Some((step, later)) = later.split_first() else {
                self.database = Some(database);
                return Ok(());
            };
            self.ledger.phases.push((self.vfs.position(), step.phase()));
            self.database = Some(database);
            let ended = if *step == Step::Reopen {
                self.close()
            } else {
                self.lose()
            };
            if let Err(error) = ended {
                if !self.is_tolerant {
                    return Err(format!("{step:?}: {error}"));
                }
                self.errors.push(error);
            }
            rest = later;
        }
    }

    fn open(&mut self) -> Result<Database, Stop> {
        let database = self.script.settings.options(&self.vfs)?.open(DATABASE)?;
        self.ledger.reached.redone_commits += database.recovery().commits;
        Ok(database)
    }

    /// Closes the database.
    ///
    /// # Errors
    /// Those of the engine.
    pub(crate) fn close(&mut self) -> engine::Result<()> {
        let Some(database) = self.database.take() else {
            return Ok(());
        };
        self.ledger
            .phases
            .push((self.vfs.position(), Step::Reopen.phase()));
        self.ledger.reached.add(&database.metrics());
        let last = self.ledger.states.last();
        database.close()?;
        self.ledger.promise(&self.vfs, last);
        Ok(())
    }

    /// Makes everything durable and loses the process: nothing is written on the way out.
    fn lose(&mut self) -> engine::Result<()> {
        let Some(database) = self.database.take() else {
            return Ok(());
        };
        self.ledger.reached.add(&database.metrics());
        database.sync()?;
        self.ledger.promise(&self.vfs, self.ledger.states.last());
        abandon(&self.vfs, database);
        Ok(())
    }

    /// Checks the open database against the state that the script has led to.
    ///
    /// # Errors
    /// What is different.
    pub(crate) fn look_around(&mut self) -> Result<(), String> {
        let Some(database) = &self.database else {
            return Ok(());
        };
        let (_, found) = self.ledger.states.check(database)?;
        if *found != self.state && !self.is_tolerant {
            return Err("the newest commit is not visible".into());
        }
        let report = database.verify().map_err(|error| format!("verify: {error}"))?;
        if !report.is_sound() {
            return Err(format!("verify: {}", report.problems.join("; ")));
        }
        let reached = &mut self.ledger.reached;
        for table in &report.tables {
            reached.levels = reached.levels.max(table.levels);
            reached.overflow_pages += table.overflow_pages;
            reached.rows += table.rows;
        }
        Ok(())
    }

    fn step<'db>(
        &mut self,
        database: &'db Database,
        slots: &mut Slots<'db>,
        step: &Step,
    ) -> Result<(), Stop> {
        match *step {
            Step::CreateTable(table) => {
                let mut state = self.state.clone();
                state.entry(table).or_default();
                let done = database.create_table(&table_name(table)).map(drop);
                self.committed_tables(database, done, state)
            }
            Step::DropTable(table) => {
                let mut state = self.state.clone();
                state.remove(&table);
                let done = database.drop_table(&table_name(table));
                self.committed_tables(database, done, state)
            }
            Step::Begin { slot, sync } => {
                let durability = if sync {
                    Durability::Sync
                } else {
                    Durability::NoSync
                };
                let transaction = database.begin_with(TxOptions::new().durability(durability))?;
                slots.insert(
                    slot,
                    Open {
                        transaction,
                        changes: Vec::new(),
                        savepoint: None,
                        sync,
                    },
                );
                Ok(())
            }
            Step::Put {
                slot,
                table,
                key,
                value,
            } => {
                let mut bytes = Vec::new();
                value_bytes(key, value, &mut bytes);
                let change = (table, key, Some(value));
                self.change(database, slots, slot, change, |transaction, table| {
                    transaction.put(table, &key_bytes(key), &bytes)
                })
            }
            Step::Delete { slot, table, key } => {
                self.change(database, slots, slot, (table, key, None), |transaction, table| {
                    transaction.delete(table, &key_bytes(key)).map(drop)
                })
            }
            Step::Savepoint { slot } => {
                if let Some(open) = slots.get_mut(&slot) {
                    open.savepoint = Some((open.transaction.savepoint(), open.changes.len()));
                }
                Ok(())
            }
            Step::RollbackTo { slot } => {
                if let Some(open) = slots.get_mut(&slot)
                    && let Some((savepoint, kept)) = open.savepoint.take()
                {
                    open.transaction.rollback_to(savepoint)?;
                    open.changes.truncate(kept);
                }
                Ok(())
            }
            Step::Commit { slot } => slots.remove(&slot).map_or(Ok(()), |open| self.commit(open)),
            Step::Rollback { slot } => {
                slots.remove(&slot);
                Ok(())
            }
            Step::Sync => {
                database.sync()?;
                self.ledger.promise(&self.vfs, self.ledger.states.last());
                Ok(())
            }
            Step::Checkpoint => {
                let last = self.ledger.states.last();
                database.checkpoint()?;
                self.ledger.promise(&self.vfs, last);
                Ok(())
            }
            Step::Collect => {
                database.gc(1);
                Ok(())
            }
            Step::Together {
                threads,
                commits,
                table,
                key,
                len,
                checkpoint,
            } => {
                let together = Together {
                    threads,
                    commits,
                    table,
                    key,
                    len,
                    checkpoint,
                };
                let done = together.run(database, &self.vfs)?;
                self.committed_together(done)
            }
            Step::Reopen | Step::Restart => Err(Stop::Wrong("the database is open".into())),
        }
    }

    /// Notes a change of a transaction that the engine took.
    fn change<'db>(
        &mut self,
        database: &'db Database,
        slots: &mut Slots<'db>,
        slot: u8,
        change: Change,
        make: impl FnOnce(&mut Transaction<'db>, Table) -> engine::Result<()>,
    ) -> Result<(), Stop> {
        // Steps that a shorter script has left without their transaction or table do nothing.
        let (Some(open), Ok(table)) = (slots.get_mut(&slot), database.table(&table_name(change.0))) else {
            return Ok(());
        };
        match make(&mut open.transaction, table) {
            Ok(()) => {
                open.changes.push(change);
                Ok(())
            }
            // The row belongs to another slot: this transaction goes on without it.
            Err(error) if error.is_retryable() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn commit(&mut self, open: Open<'_>) -> Result<(), Stop> {
        let mut state = self.state.clone();
        apply(&mut state, &open.changes);
        match open.transaction.commit() {
            Ok(commit) => {
                self.state = state;
                // What changes nothing is no commit and returns an older one.
                if commit > self.ledger.states.last() {
                    self.ledger.states.insert(commit, self.state.clone());
                }
                if open.sync {
                    self.ledger.promise(&self.vfs, commit);
                }
                Ok(())
            }
            Err(error) if error.is_retryable() => Ok(()),
            Err(Error::NoSuchTable { .. }) => Ok(()),
            Err(error) => {
                self.ledger.states.insert_uncertain(state);
                Err(error.into())
            }
        }
    }

    fn committed_tables(
        &mut self,
        database: &Database,
        done: engine::Result<()>,
        state: State,
    ) -> Result<(), Stop> {
        match done {
            Ok(()) => {
                let commit = database.snapshot()?.commit_id();
                self.state = state;
                self.ledger.states.insert(commit, self.state.clone());
                self.ledger.promise(&self.vfs, commit);
                Ok(())
            }
            Err(Error::NoSuchTable { .. } | Error::TableExists { .. }) => Ok(()),
            Err(error) => {
                self.ledger.states.insert_uncertain(state);
                Err(error.into())
            }
        }
    }

    fn committed_together(&mut self, mut done: Vec<(CommitId, Change, usize)>) -> Result<(), Stop> {
        done.sort_by_key(|(commit, ..)| *commit);
        for (commit, change, _) in &done {
            apply(&mut self.state, &[*change]);
            self.ledger.states.insert(*commit, self.state.clone());
        }
        done.sort_by_key(|(.., point)| *point);
        for (commit, _, point) in done {
            self.ledger.promise_at(point, commit);
        }
        Ok(())
    }
}

/// Loses the process that has the database open: nothing is written on the way out.
pub(crate) fn abandon(vfs: &SimulatedVfs, database: Database) {
    vfs.set_power(false);
    drop(database);
    vfs.set_power(true);
}

fn told(stop: Stop, what: &str) -> String {
    match stop {
        Stop::Refused(error) => format!("{what}: {error}"),
        Stop::Wrong(error) => format!("{what}: {error}"),
    }
}

/// Counts a thread out when it ends, however it ends.
struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Several threads that commit at once, so that one flush covers several commits.
#[derive(Clone, Copy)]
struct Together {
    threads: u8,
    commits: u8,
    table: TableNumber,
    key: u32,
    len: u32,
    checkpoint: bool,
}

impl Together {
    /// Runs the threads; returns each commit, what it changed, and where the file operations were when it was promised.
    fn run(self, database: &Database, vfs: &SimulatedVfs) -> Result<Vec<(CommitId, Change, usize)>, Stop> {
        let Ok(table) = database.table(&table_name(self.table)) else {
            return Ok(Vec::new());
        };
        let begin = Barrier::new(usize::from(self.threads));
        let planted = engine::planted::current();
        let working = AtomicUsize::new(usize::from(self.threads));
        let results: Vec<_> = std::thread::scope(|scope| {
            let checkpoints = self.checkpoint.then(|| {
                scope.spawn(|| {
                    engine::planted::with(planted, || {
                        while working.load(Ordering::Relaxed) > 0 {
                            database.checkpoint()?;
                        }
                        Ok(Vec::new())
                    })
                })
            });
            let threads: Vec<_> = (0..self.threads)
                .map(|thread| {
                    let (begin, working) = (&begin, &working);
                    scope.spawn(move || {
                        let _leave = Leave(working);
                        engine::planted::with(planted, || {
                            begin.wait();
                            self.thread(thread, database, table, vfs)
                        })
                    })
                })
                .collect();
            threads
                .into_iter()
                .chain(checkpoints)
                .map(std::thread::ScopedJoinHandle::join)
                .collect()
        });
        let mut all = Vec::new();
        for result in results {
            all.extend(result.map_err(|_| Stop::Wrong("a committing thread panicked".into()))??);
        }
        Ok(all)
    }

    fn thread(
        self,
        thread: u8,
        database: &Database,
        table: Table,
        vfs: &SimulatedVfs,
    ) -> engine::Result<Vec<(CommitId, Change, usize)>> {
        let mut done = Vec::new();
        let mut bytes = Vec::new();
        for commit in 0..u32::from(self.commits) {
            let key = self.key + u32::from(thread) + commit * u32::from(self.threads);
            let value = Value {
                len: self.len,
                version: commit,
            };
            value_bytes(key, value, &mut bytes);
            let mut transaction = database.begin_with(TxOptions::new().durability(Durability::Sync))?;
            transaction.put(table, &key_bytes(key), &bytes)?;
            let commit = transaction.commit()?;
            done.push((commit, (self.table, key, Some(value)), vfs.position()));
        }
        Ok(done)
    }
}
