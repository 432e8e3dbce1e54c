//! Doing the steps of a script, and noting what was promised when.

use std::time::{Duration, Instant};

use engine::injected::inherit;
use engine::vfs::SimulatedVfs;
use engine::vfs::simulated::OperationKind;
use engine::{Database, Error};

use super::company::Around;
use super::held::Holding;
pub(crate) use super::ledger::Ledger;
pub(crate) use super::place::{DATABASE, DIRECTORY, abandon};
use super::script::{Company, MUCH, Script, Settings, Step, table_name};
use super::session::{Committed, Outcome, Session, Trouble};
use super::start::Start;
pub(crate) use super::start::{Recording, record};
use super::state::{Change, Difference, State, apply};
use super::threads::{self, Done};

/// After so many errors in a run what can be read is no longer compared each time.
const REFUSALS_CHECKED: usize = 4;

/// How many operations of each kind there have been.
pub(crate) type Counts = [u64; OperationKind::ALL.len()];

/// Does the steps of a script.
pub(crate) struct Player<'s> {
    script: &'s Script,
    pub(super) settings: Settings,
    pub(super) vfs: SimulatedVfs,
    seed: u64,
    database: Option<Database>,
    pub ledger: Ledger,
    state: State,
    /// Errors of the engine are noted, and the script goes on.
    is_tolerant: bool,
    /// A failed sync can take pages away that only it was to make durable: then they cannot be read any more.
    can_lose_pages: bool,
    /// A page that could not be read can have been put aside by housekeeping.
    can_put_aside: bool,
    /// The errors, as they came.
    pub errors: Vec<Error>,
    /// Operations before and after each checkpoint.
    pub checkpoints: Vec<(Counts, Counts)>,
}

impl<'s> Player<'s> {
    /// A player on `vfs`, which need not be empty, without company. A tolerant one notes the engine's errors and goes on;
    /// any other takes an error as a failure.
    pub(crate) fn new(script: &'s Script, vfs: SimulatedVfs, seed: u64, is_tolerant: bool) -> Self {
        Self {
            settings: script.settings.alone(),
            script,
            vfs,
            seed,
            database: None,
            ledger: Ledger::default(),
            state: State::new(),
            is_tolerant,
            can_lose_pages: false,
            can_put_aside: false,
            errors: Vec::new(),
            checkpoints: Vec::new(),
        }
    }

    /// A tolerant player on a file system made from `start`.
    pub(crate) fn from_start(script: &'s Script, vfs: SimulatedVfs, start: &Start, seed: u64) -> Self {
        let mut player = Self::new(script, vfs, seed, true);
        player.go_on_from(start.ledger.clone());
        player
    }

    /// The files are what this ledger says.
    pub(crate) fn go_on_from(&mut self, ledger: Ledger) {
        self.state = State::clone(&ledger.states.at(ledger.states.last()));
        self.ledger = ledger;
    }

    /// From now on the script has its company.
    pub(crate) fn invite(&mut self) {
        self.settings = self.script.settings.clone();
    }

    /// From now on a failed sync undoes what it was to make durable.
    pub(crate) fn expect_lost_pages(&mut self) {
        self.can_lose_pages = true;
    }

    /// From now on housekeeping can meet pages that it cannot read.
    pub(crate) fn expect_pages_put_aside(&mut self) {
        self.can_put_aside = true;
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
        let company = self.settings.company.clone();
        let schedule = company.as_ref().and_then(|company| company.schedule(self.seed));
        inherit()
            .scheduled(schedule)
            .with(|| self.run_beside(steps, company.as_ref()))
    }

    fn run_beside(&mut self, steps: &[Step], company: Option<&Company>) -> Result<(), String> {
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
                    Err(Trouble::Refused(error)) if self.is_tolerant => {
                        self.errors.push(error);
                        return Ok(());
                    }
                    Err(trouble) => return Err(told(trouble, "open")),
                },
            };
            match company {
                None => self.steps(&database, now, None)?,
                Some(company) => self.steps_beside(&database, now, company)?,
            }
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
                    return Err(format!("{step}: {error}"));
                }
                self.errors.push(error);
            }
            rest = later;
        }
    }

    /// Gives the engine's background thread the time for a checkpoint that is due: on a quick machine the steps are over before
    /// it has looked.
    pub(super) fn await_background(&self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        let (Some(database), Some(pages)) = (&self.database, self.settings.background) else {
            return;
        };
        let begun = Instant::now();
        while database.metrics().dirty_pages >= pages as u64 && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn steps_beside(&mut self, database: &Database, steps: &[Step], company: &Company) -> Result<(), String> {
        struct Stop<'a>(&'a Around<'a>);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.stop();
            }
        }
        let vfs = self.vfs.clone();
        let around = Around::new(company, &vfs, self.seed ^ self.vfs.position() as u64, steps.len());
        let done = std::thread::scope(|scope| {
            let _stop = Stop(&around);
            around.start(scope, database);
            self.steps(database, steps, Some(&around))
        });
        let seen = around.end();
        done?;
        self.ledger.was_seen(&seen?)
    }

    fn steps(
        &mut self,
        database: &Database,
        steps: &[Step],
        around: Option<&Around<'_>>,
    ) -> Result<(), String> {
        let mut session = Session::new(database);
        let mut holding = Holding::new(self.settings.version_bytes >= MUCH);
        for step in steps {
            if let Some(around) = around {
                around.step();
            }
            self.ledger.phases.push((self.vfs.position(), step.phase()));
            match self.step(database, &mut session, &mut holding, step) {
                Ok(()) => {}
                Err(Trouble::Refused(error)) if self.is_tolerant => {
                    if self.errors.len() < REFUSALS_CHECKED {
                        self.after_refusal(database)
                            .map_err(|what| format!("{step} gave \"{error}\", and then {what}"))?;
                    }
                    self.errors.push(error);
                }
                Err(trouble) => return Err(told(trouble, &step.to_string())),
            }
            if !self.is_tolerant {
                holding
                    .compare(database, &self.ledger.states)
                    .map_err(|what| format!("after {step}: {what}"))?;
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<Database, Trouble> {
        let database = self.settings.options(&self.vfs)?.open(DATABASE)?;
        self.ledger.reached.redone_commits += database.recovery().commits;
        if self.is_tolerant {
            self.adopt(&database)?;
        }
        Ok(database)
    }

    /// Goes on from what an opening found: after errors, unsynchronised commits may be gone. What it shows must not be lost
    /// any more.
    fn adopt(&mut self, database: &Database) -> Result<(), Trouble> {
        let found = self
            .vfs
            .without_faults(|| self.ledger.states.check(database))
            .map_err(|difference| Trouble::Wrong(difference.to_string()))?;
        let (commit, state) = found;
        let promised = self.ledger.promised(usize::MAX);
        if commit < promised {
            return Err(Trouble::Wrong(format!(
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
        if let Err(Difference::Wrong(what)) = self.ledger.states.check_certain(database) {
            return Err(what);
        }
        self.vfs.without_faults(|| self.reads_right(database))
    }

    fn reads_right(&self, database: &Database) -> Result<(), String> {
        match self.ledger.states.check_certain(database) {
            Err(Difference::Unreadable(_)) if self.can_lose_pages => Ok(()),
            // A database that has stopped forgets old versions as before. One that goes on has to be readable.
            Err(Difference::TooOld) if !is_usable(database) => Ok(()),
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
        let mut report = database.verify().map_err(|error| format!("verify: {error}"))?;
        if self.can_put_aside {
            // Where the device refused to read, housekeeping stays away until the next opening.
            let is_put_aside = |problem: &String| problem.contains("was put aside by housekeeping");
            report.problems.retain(|problem| !is_put_aside(problem));
        }
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
        session: &mut Session<'db>,
        holding: &mut Holding<'db>,
        step: &Step,
    ) -> Result<(), Trouble> {
        match step {
            Step::CreateTable(table) => {
                let mut state = self.state.clone();
                state.entry(*table).or_default();
                self.change_tables(database, state, |database| {
                    database.create_table(&table_name(*table)).map(drop)
                })
            }
            Step::DropTable(table) => {
                let mut state = self.state.clone();
                let was_there = state.remove(table).is_some();
                let handle = database.table(&table_name(*table));
                self.change_tables(database, state, |database| {
                    database.drop_table(&table_name(*table))
                })?;
                if let (true, Ok(handle)) = (was_there, handle) {
                    holding.dropped(*table, handle);
                }
                Ok(())
            }
            Step::Sync => {
                database.sync()?;
                self.ledger.promise(&self.vfs, self.ledger.states.last());
                Ok(())
            }
            Step::Checkpoint => {
                let last = self.ledger.states.last();
                let before = self.counts();
                let done = database.checkpoint();
                self.checkpoints.push((before, self.counts()));
                done?;
                self.ledger.promise(&self.vfs, last);
                Ok(())
            }
            Step::Compact => {
                let last = self.ledger.states.last();
                database.compact()?;
                self.ledger.promise(&self.vfs, last);
                Ok(())
            }
            Step::Collect => {
                database.gc(1);
                Ok(())
            }
            Step::Hold { snapshots } => {
                holding.hold(database, &self.ledger.states, *snapshots);
                Ok(())
            }
            Step::Keep { snapshots } => {
                holding.keep((*snapshots).into());
                Ok(())
            }
            Step::FillSegment { table, key } => self.fill_segment(database, session, *table, *key),
            Step::Threads { threads } => {
                let was_usable = is_usable(database);
                let done = threads::run(database, &self.vfs, threads).map_err(Trouble::Wrong)?;
                self.committed_by_threads(database, was_usable, done)
            }
            Step::FillDisk { table, key } => self.fill_disk(database, session, *table, *key),
            Step::Reopen | Step::Restart => Err(Trouble::Wrong("the database is open".into())),
            _ => self.transaction_step(database, session, step),
        }
    }

    fn counts(&self) -> Counts {
        OperationKind::ALL.map(|kind| self.vfs.count(kind))
    }

    pub(super) fn transaction_step<'db>(
        &mut self,
        database: &'db Database,
        session: &mut Session<'db>,
        step: &Step,
    ) -> Result<(), Trouble> {
        let was_usable = is_usable(database);
        match session.step(step)? {
            Outcome::Nothing => Ok(()),
            Outcome::Committed(committed) => {
                let point = self.vfs.position();
                self.committed([(committed, point)].into())
            }
            Outcome::Failed { changes, error } => {
                let mut state = self.state.clone();
                apply(&mut state, &changes);
                self.failed_commits(database, was_usable, [state]);
                Err(error.into())
            }
        }
    }

    /// Notes commits that returned, in any order.
    fn committed(&mut self, commits: Vec<(Committed, usize)>) -> Result<(), Trouble> {
        self.ledger
            .committed(&mut self.state, commits)
            .map_err(Trouble::Wrong)
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
    ) -> Result<(), Trouble> {
        let was_usable = is_usable(database);
        let before = database.snapshot().commit_id();
        match change(database) {
            Ok(()) => {
                let commit = database.snapshot().commit_id();
                self.state = state;
                self.ledger
                    .states
                    .insert_after(before, commit, self.state.clone());
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

    fn committed_by_threads(
        &mut self,
        database: &Database,
        was_usable: bool,
        done: Done,
    ) -> Result<(), Trouble> {
        let Done { commits, failed } = done;
        self.committed(commits)?;
        // Each thread stops at its first error. Any of the failed commits may be there, in any order.
        let changes: Vec<&[Change]> = failed.iter().map(|(changes, _)| &changes[..]).collect();
        let mut states = Vec::new();
        in_any_order(&self.state, &changes, &mut states);
        self.failed_commits(database, was_usable, states);
        failed
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, error)| Err(error.into()))
    }
}

/// The states that some of the changes can lead to, in any order.
fn in_any_order(state: &State, changes: &[&[Change]], states: &mut Vec<State>) {
    for at in 0..changes.len() {
        let mut next = state.clone();
        apply(&mut next, changes[at]);
        let others: Vec<&[Change]> = changes
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != at)
            .map(|(_, changes)| *changes)
            .collect();
        in_any_order(&next, &others, states);
        states.push(next);
    }
}

/// Whether the database accepts commits.
fn is_usable(database: &Database) -> bool {
    database.begin().is_ok()
}

fn told(trouble: Trouble, what: &str) -> String {
    match trouble {
        Trouble::Refused(error) => format!("{what}: {error}"),
        Trouble::Wrong(error) => format!("{what}: {error}"),
    }
}
