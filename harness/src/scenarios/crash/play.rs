//! Doing the steps of a script, and noting what was promised when.

use std::collections::BTreeMap;

use engine::vfs::SimulatedVfs;
use engine::{Database, Durability, Error, Savepoint, Table, Transaction, TxOptions};

pub(crate) use super::ledger::Ledger;
use super::script::{Script, Step, key_bytes, table_name, value_bytes};
use super::start::Start;
pub(crate) use super::start::{Recording, record};
use super::state::{Change, Difference, State, apply};
use super::together::{Done, Together};

/// Where the database is in the simulated file system.
pub(crate) const DATABASE: &str = "/db/data";
/// The directory that is there, durably, before it.
pub(crate) const DIRECTORY: &str = "/db";

/// After so many errors in a run what can be read is no longer compared each time.
const REFUSALS_CHECKED: usize = 4;

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
    /// A failed sync can take pages away that only it was to make durable: then they cannot be read any more.
    can_lose_pages: bool,
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
            can_lose_pages: false,
            errors: Vec::new(),
        }
    }

    /// A tolerant player on a file system made from `start`.
    pub(crate) fn from_start(script: &'s Script, vfs: SimulatedVfs, start: &Start) -> Self {
        let state = State::clone(&start.ledger.states.at(start.ledger.states.last()));
        Self {
            ledger: start.ledger.clone(),
            state,
            ..Self::new(script, vfs, true)
        }
    }

    /// From now on a failed sync undoes what it was to make durable.
    pub(crate) fn expect_lost_pages(&mut self) {
        self.can_lose_pages = true;
    }

    /// From now on an error is a failure.
    pub(crate) fn end_tolerance(&mut self) {
        self.is_tolerant = false;
    }

    /// Whether the database is open.
    pub(crate) fn is_open(&self) -> bool {
        self.database.is_some()
    }

    /// Whether the database is open and accepts commits.
    pub(crate) fn is_usable(&self) -> bool {
        self.database.as_ref().is_some_and(is_usable)
    }

    /// Takes the database out, so that it can be closed in some other way.
    pub(crate) fn take_database(&mut self) -> Option<Database> {
        self.database.take()
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
                    Err(Stop::Refused(error)) if self.is_tolerant => {
                        if self.errors.len() < REFUSALS_CHECKED {
                            self.after_refusal(&database)
                                .map_err(|what| format!("{step:?} gave \"{error}\", and then {what}"))?;
                        }
                        self.errors.push(error);
                    }
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
        if self.is_tolerant {
            self.adopt(&database)?;
        }
        Ok(database)
    }

    /// Goes on from what an opening found: after errors, unsynchronised commits may be gone. What it shows must not be lost
    /// any more.
    fn adopt(&mut self, database: &Database) -> Result<(), Stop> {
        let found = self
            .vfs
            .without_faults(|| self.ledger.states.check(database))
            .map_err(|difference| Stop::Wrong(difference.to_string()))?;
        let (commit, state) = found;
        let promised = self.ledger.promised(usize::MAX);
        if commit < promised {
            return Err(Stop::Wrong(format!(
                "commit {promised} was acknowledged as durable, and the database opens with commit {commit}"
            )));
        }
        self.state = State::clone(&state);
        self.ledger.states.go_back(commit, state);
        self.ledger.promise(&self.vfs, commit);
        Ok(())
    }

    /// After an error, what can be read is right: with the fault still there as far as it can be read, without it wholly.
    fn after_refusal(&self, database: &Database) -> Result<(), String> {
        match self.ledger.states.check_certain(database) {
            Err(Difference::Wrong(what)) => return Err(what),
            Ok(()) | Err(Difference::Unreadable(_)) => {}
        }
        self.vfs.without_faults(|| self.reads_right(database))
    }

    fn reads_right(&self, database: &Database) -> Result<(), String> {
        match self.ledger.states.check_certain(database) {
            Err(Difference::Unreadable(_)) if self.can_lose_pages => Ok(()),
            found => found.map_err(|difference| difference.to_string()),
        }
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
        let storage = database.storage_info();
        let reached = &mut self.ledger.reached;
        reached.free_pages = storage.free_pages;
        for table in &report.tables {
            reached.levels = reached.levels.max(table.levels);
            reached.overflow_pages += table.overflow_pages;
            reached.rows += table.rows;
        }
        Ok(())
    }

    /// Like [`Player::look_around`] for a database that accepts no commits any more: what it shows is right.
    ///
    /// # Errors
    /// What is different.
    pub(crate) fn look_around_stopped(&self) -> Result<(), String> {
        self.database
            .as_ref()
            .map_or(Ok(()), |database| self.reads_right(database))
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
                self.change_tables(database, state, |database| {
                    database.create_table(&table_name(table)).map(drop)
                })
            }
            Step::DropTable(table) => {
                let mut state = self.state.clone();
                state.remove(&table);
                self.change_tables(database, state, |database| {
                    database.drop_table(&table_name(table))
                })
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
            Step::Commit { slot } => slots
                .remove(&slot)
                .map_or(Ok(()), |open| self.commit(database, open)),
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
                let was_usable = is_usable(database);
                let done = together.run(database, &self.vfs).map_err(Stop::Wrong)?;
                self.committed_together(database, was_usable, done)
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

    fn commit(&mut self, database: &Database, open: Open<'_>) -> Result<(), Stop> {
        let mut state = self.state.clone();
        apply(&mut state, &open.changes);
        let was_usable = is_usable(database);
        match open.transaction.commit() {
            Ok(commit) => {
                // What changes nothing is no commit: it returns an older one, perhaps one of the engine's own, and promises
                // the same of it.
                self.state = state;
                if commit > self.ledger.states.last() {
                    self.ledger.states.insert(commit, self.state.clone());
                }
                if open.sync {
                    self.ledger.promise(&self.vfs, commit);
                }
                Ok(())
            }
            Err(error) if error.is_retryable() => Ok(()),
            Err(Error::TableDropped { .. }) => Ok(()),
            Err(error) => {
                self.failed_commits(database, was_usable, [state]);
                Err(error.into())
            }
        }
    }

    /// Commits failed that would have led to these states. If that stopped the database, their fate is open until it is
    /// opened again; otherwise they have not happened.
    fn failed_commits(
        &mut self,
        database: &Database,
        was_usable: bool,
        states: impl IntoIterator<Item = State>,
    ) {
        if was_usable && !is_usable(database) {
            for state in states {
                self.ledger.states.insert_uncertain(state);
            }
        }
    }

    fn change_tables(
        &mut self,
        database: &Database,
        state: State,
        change: impl FnOnce(&Database) -> engine::Result<()>,
    ) -> Result<(), Stop> {
        let was_usable = is_usable(database);
        match change(database) {
            Ok(()) => {
                let commit = database.snapshot().commit_id();
                self.state = state;
                self.ledger.states.insert(commit, self.state.clone());
                self.ledger.promise(&self.vfs, commit);
                Ok(())
            }
            Err(Error::NoSuchTable { .. } | Error::TableExists { .. }) => Ok(()),
            Err(error) => {
                self.failed_commits(database, was_usable, [state]);
                Err(error.into())
            }
        }
    }

    fn committed_together(&mut self, database: &Database, was_usable: bool, done: Done) -> Result<(), Stop> {
        let Done { mut commits, failed } = done;
        commits.sort_by_key(|(commit, ..)| *commit);
        for (commit, change, _) in &commits {
            apply(&mut self.state, &[*change]);
            self.ledger.states.insert(*commit, self.state.clone());
        }
        commits.sort_by_key(|(.., point)| *point);
        for (commit, _, point) in commits {
            self.ledger.promise_at(point, commit);
        }
        // Each thread has its own rows and stops at its first error, so any of the failed commits may be there.
        let changes: Vec<Change> = failed.iter().filter_map(|(change, _)| *change).collect();
        let states = (1..1_usize << changes.len()).map(|subset| {
            let mut state = self.state.clone();
            let there = (0..changes.len()).filter(|at| subset >> at & 1 == 1);
            apply(&mut state, &there.map(|at| changes[at]).collect::<Vec<_>>());
            state
        });
        let states: Vec<State> = states.collect();
        self.failed_commits(database, was_usable, states);
        failed
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, error)| Err(error.into()))
    }
}

/// Loses the process that has the database open: nothing is written on the way out.
pub(crate) fn abandon(vfs: &SimulatedVfs, database: Database) {
    vfs.set_power(false);
    drop(database);
    vfs.set_power(true);
}

/// Whether the database accepts commits.
fn is_usable(database: &Database) -> bool {
    database.begin().is_ok()
}

fn told(stop: Stop, what: &str) -> String {
    match stop {
        Stop::Refused(error) => format!("{what}: {error}"),
        Stop::Wrong(error) => format!("{what}: {error}"),
    }
}
