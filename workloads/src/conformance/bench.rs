//! What the checks work with: databases of the engine, and sessions that note each step, so that a finding can tell how it came about.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::driver::{
    Capabilities, Committed, Direction, Durability, Isolation, OpenMode, OpenOptions, RowBuffer, Session,
    TableRef, Target, TargetError, TargetFactory, TxOptions,
};

use super::report::Finding;

/// The tables of every database.
pub(super) const TABLES: [&str; 2] = ["t", "u"];
pub(super) const T: TableRef = TableRef(0);
pub(super) const U: TableRef = TableRef(1);

/// How long a transaction waits for another: long enough to tell that it waited, short enough to wait often.
pub(super) const BUSY: Duration = Duration::from_millis(100);
/// Steps that a finding tells.
const STEPS_KEPT: usize = 16;

/// Why a check ended before its end.
#[derive(Debug)]
pub(super) enum Stop {
    Broken(Finding),
    DoesNotApply(String),
}

/// What a check returns.
pub(super) type Check<T = ()> = Result<T, Stop>;

/// What may be refused where transactions meet: the error is retryable.
pub(super) type Attempt<T = ()> = Check<Result<T, TargetError>>;

pub(super) fn does_not_apply<T>(why: impl Into<String>) -> Check<T> {
    Err(Stop::DoesNotApply(why.into()))
}

/// The steps that were taken; whoever waits for a check that hangs looks at them too.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps(Arc<Mutex<Vec<String>>>);

impl Steps {
    fn add(&self, step: String) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if steps.len() == STEPS_KEPT {
            steps.remove(0);
        }
        steps.push(step);
    }

    fn add_error(&self, error: &TargetError) {
        if let Some(last) = self.0.lock().unwrap_or_else(PoisonError::into_inner).last_mut() {
            last.push_str(&format!(" -> {error}"));
        }
    }

    /// The last ones.
    pub(super) fn taken(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn broken(&self, expected: impl Into<String>, saw: impl Into<String>) -> Stop {
        Stop::Broken(Finding {
            did: self.taken(),
            expected: expected.into(),
            saw: saw.into(),
        })
    }

    /// Breaks the rule unless the two are the same.
    pub(super) fn same<A: PartialEq + ?Sized>(
        &self,
        expected: &A,
        saw: &A,
        show: impl Fn(&A) -> String,
    ) -> Check {
        if expected == saw {
            Ok(())
        } else {
            Err(self.broken(show(expected), show(saw)))
        }
    }
}

/// Makes databases for one check.
pub(super) struct Bench {
    factory: Arc<dyn TargetFactory>,
    directory: PathBuf,
    databases: Cell<u32>,
    pub(super) steps: Steps,
}

impl Bench {
    pub(super) fn new(factory: Arc<dyn TargetFactory>, directory: PathBuf, steps: Steps) -> Self {
        Bench {
            factory,
            directory,
            databases: Cell::new(0),
            steps,
        }
    }

    pub(super) fn factory(&self) -> &dyn TargetFactory {
        self.factory.as_ref()
    }

    pub(super) fn capabilities(&self) -> &Capabilities {
        self.factory.capabilities()
    }

    /// The weakest durability that is declared: nothing is flushed that need not be.
    pub(super) fn durability(&self) -> Check<Durability> {
        match self.capabilities().durabilities.last() {
            Some(&durability) => Ok(durability),
            None => does_not_apply("declared no durability"),
        }
    }

    /// The weakest isolation level that is declared.
    pub(super) fn isolation(&self) -> Check<Isolation> {
        self.levels(Isolation::ReadUncommitted).map(|levels| levels[0])
    }

    /// The declared isolation levels from one on.
    pub(super) fn levels(&self, from: Isolation) -> Check<Vec<Isolation>> {
        let levels: Vec<Isolation> = self.capabilities().isolations.range(from..).copied().collect();
        if levels.is_empty() {
            let declared: Vec<&str> = self
                .capabilities()
                .isolations
                .iter()
                .map(|level| level.name())
                .collect();
            return does_not_apply(format!("declared isolation {}", declared.join(", ")));
        }
        Ok(levels)
    }

    pub(super) fn persistent(&self) -> Check {
        if self.capabilities().persistent {
            Ok(())
        } else {
            does_not_apply("declared that nothing is kept (persistent = false)")
        }
    }

    /// Options for a new database in a directory that is not there yet.
    pub(super) fn options(&self) -> Check<OpenOptions> {
        let number = self.databases.get();
        self.databases.set(number + 1);
        let directory = self.directory.join(number.to_string());
        // What an earlier check of the same rule has left.
        let _ = std::fs::remove_dir_all(&directory);
        if let Err(error) = std::fs::create_dir_all(&self.directory) {
            let saw = format!("{}: {error}", self.directory.display());
            return Err(self.steps.broken("a directory to work in", saw));
        }
        let mut options = OpenOptions::create(directory, TABLES);
        options.durability = self.durability()?;
        options.busy_timeout = BUSY;
        Ok(options)
    }

    /// A new database.
    pub(super) fn open(&self) -> Check<Box<dyn Target>> {
        self.open_with(&self.options()?)
    }

    pub(super) fn open_with(&self, options: &OpenOptions) -> Check<Box<dyn Target>> {
        let what = match options.mode {
            OpenMode::Create => "create a database",
            OpenMode::Existing => "open the database",
        };
        self.steps.add(what.to_owned());
        self.factory
            .open(options)
            .map_err(|error| self.steps.broken("an open database", error.to_string()))
    }

    /// What the factory says of options without opening anything.
    pub(super) fn check(&self, options: &OpenOptions) -> Result<(), TargetError> {
        self.factory.check(options)
    }

    /// Opens where it must fail, and returns the error.
    pub(super) fn open_refused(&self, options: &OpenOptions, doing: &str) -> Check<TargetError> {
        self.steps.add(doing.to_owned());
        match self.factory.open(options) {
            Ok(_) => Err(self.steps.broken("an error", "an open database")),
            Err(error) => Ok(error),
        }
    }

    /// A session at the weakest level.
    pub(super) fn actor<'t>(&self, name: &'static str, target: &'t dyn Target) -> Check<Actor<'t>> {
        self.actor_at(name, target, self.isolation()?)
    }

    pub(super) fn actor_at<'t>(
        &self,
        name: &'static str,
        target: &'t dyn Target,
        isolation: Isolation,
    ) -> Check<Actor<'t>> {
        Actor::new(name, target, isolation, self.durability()?, self.steps.clone())
    }

    pub(super) fn note(&self, step: impl Into<String>) {
        self.steps.add(step.into());
    }

    pub(super) fn broken(&self, expected: impl Into<String>, saw: impl Into<String>) -> Stop {
        self.steps.broken(expected, saw)
    }
}

/// A session that notes what it does.
pub(super) struct Actor<'t> {
    name: &'static str,
    session: Box<dyn Session + 't>,
    pub(super) isolation: Isolation,
    pub(super) durability: Durability,
    pub(super) steps: Steps,
}

/// What a transaction does to a row: puts a value, or deletes it.
pub(super) type Write<'a> = (TableRef, &'a [u8], Option<&'a [u8]>);

/// A row that was read, by key and value.
pub(super) type Row = (Vec<u8>, Vec<u8>);

impl<'t> Actor<'t> {
    pub(super) fn new(
        name: &'static str,
        target: &'t dyn Target,
        isolation: Isolation,
        durability: Durability,
        steps: Steps,
    ) -> Check<Self> {
        let session = target
            .session()
            .map_err(|error| steps.broken("a session", error.to_string()))?;
        Ok(Actor {
            name,
            session,
            isolation,
            durability,
            steps,
        })
    }

    fn act<T>(
        &mut self,
        doing: &str,
        act: impl FnOnce(&mut dyn Session) -> Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        self.steps.add(format!("{}: {doing}", self.name));
        let result = act(self.session.as_mut());
        if let Err(error) = &result {
            self.steps.add_error(error);
        }
        result
    }

    /// Does what must succeed, since nobody else is at work.
    pub(super) fn must<T>(
        &mut self,
        doing: &str,
        act: impl FnOnce(&mut dyn Session) -> Result<T, TargetError>,
    ) -> Check<T> {
        self.act(doing, act)
            .map_err(|error| self.steps.broken("success", error.to_string()))
    }

    /// Does what may be refused because somebody else is at work, with an error that is retryable.
    pub(super) fn attempt<T>(
        &mut self,
        doing: &str,
        act: impl FnOnce(&mut dyn Session) -> Result<T, TargetError>,
    ) -> Attempt<T> {
        match self.act(doing, act) {
            Err(error) if !error.is_retryable() => Err(self
                .steps
                .broken("success, or an error that is retryable", error.to_string())),
            result => Ok(result),
        }
    }

    /// Does what may fail in any way.
    pub(super) fn attempt_any<T>(
        &mut self,
        act: impl FnOnce(&mut dyn Session) -> Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        act(self.session.as_mut())
    }

    /// Does what must be refused, and returns the error.
    pub(super) fn refused<T>(
        &mut self,
        doing: &str,
        act: impl FnOnce(&mut dyn Session) -> Result<T, TargetError>,
    ) -> Check<TargetError> {
        match self.act(doing, act) {
            Ok(_) => Err(self.steps.broken("an error", "success")),
            Err(error) => Ok(error),
        }
    }

    pub(super) fn tx_options(&self, read_only: bool) -> TxOptions {
        TxOptions {
            read_only,
            isolation: self.isolation,
            durability: self.durability,
        }
    }

    pub(super) fn begin(&mut self) -> Check {
        let options = self.tx_options(false);
        self.must(
            &format!("begin ({}, {})", options.isolation, options.durability),
            |session| session.begin(&options),
        )
    }

    pub(super) fn begin_read_only(&mut self) -> Check {
        let options = self.tx_options(true);
        self.must(&format!("begin (read-only, {})", options.isolation), |session| {
            session.begin(&options)
        })
    }

    pub(super) fn try_begin(&mut self, read_only: bool) -> Attempt {
        let options = self.tx_options(read_only);
        let form = if read_only { "read-only, " } else { "" };
        self.attempt(&format!("begin ({form}{})", options.isolation), |session| {
            session.begin(&options)
        })
    }

    pub(super) fn put(&mut self, table: TableRef, key: &[u8], value: &[u8]) -> Check {
        self.must(&put_step(table, key, value), |session| {
            session.put(table, key, value)
        })
    }

    pub(super) fn try_put(&mut self, table: TableRef, key: &[u8], value: &[u8]) -> Attempt {
        self.attempt(&put_step(table, key, value), |session| {
            session.put(table, key, value)
        })
    }

    pub(super) fn delete(&mut self, table: TableRef, key: &[u8]) -> Check<bool> {
        self.must(&format!("delete {}", place(table, key)), |session| {
            session.delete(table, key)
        })
    }

    pub(super) fn try_delete(&mut self, table: TableRef, key: &[u8]) -> Attempt<bool> {
        self.attempt(&format!("delete {}", place(table, key)), |session| {
            session.delete(table, key)
        })
    }

    pub(super) fn get(&mut self, table: TableRef, key: &[u8]) -> Check<Option<Vec<u8>>> {
        let mut out = Vec::new();
        let exists = self.must(&format!("get {}", place(table, key)), |session| {
            session.get(table, key, &mut out)
        })?;
        Ok(exists.then_some(out))
    }

    pub(super) fn try_get(&mut self, table: TableRef, key: &[u8]) -> Attempt<Option<Vec<u8>>> {
        let mut out = Vec::new();
        let exists = self.attempt(&format!("get {}", place(table, key)), |session| {
            session.get(table, key, &mut out)
        })?;
        Ok(exists.map(|exists| exists.then_some(out)))
    }

    pub(super) fn try_get_for_update(&mut self, table: TableRef, key: &[u8]) -> Attempt<Option<Vec<u8>>> {
        let mut out = Vec::new();
        let doing = format!("get_for_update {}", place(table, key));
        let exists = self.attempt(&doing, |session| session.get_for_update(table, key, &mut out))?;
        Ok(exists.map(|exists| exists.then_some(out)))
    }

    pub(super) fn scan(
        &mut self,
        table: TableRef,
        start: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Check<Vec<Row>> {
        let mut rows = RowBuffer::new();
        self.must(&scan_step(table, start, limit, direction), |session| {
            session.scan(table, start, limit, direction, &mut rows)
        })?;
        Ok(rows
            .iter()
            .map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect())
    }

    pub(super) fn try_scan(
        &mut self,
        table: TableRef,
        start: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Attempt<Vec<Row>> {
        let mut rows = RowBuffer::new();
        let count = self.attempt(&scan_step(table, start, limit, direction), |session| {
            session.scan(table, start, limit, direction, &mut rows)
        })?;
        Ok(count.map(|_| {
            rows.iter()
                .map(|(key, value)| (key.to_vec(), value.to_vec()))
                .collect()
        }))
    }

    pub(super) fn commit(&mut self) -> Check<Committed> {
        self.must("commit", |session| session.commit())
    }

    pub(super) fn try_commit(&mut self) -> Attempt<Committed> {
        self.attempt("commit", |session| session.commit())
    }

    pub(super) fn rollback(&mut self) {
        self.steps.add(format!("{}: rollback", self.name));
        self.session.rollback();
    }

    /// One transaction that puts and, where there is no value, deletes.
    pub(super) fn write(&mut self, rows: &[Write<'_>]) -> Check<Committed> {
        self.begin()?;
        for &(table, key, value) in rows {
            match value {
                Some(value) => self.put(table, key, value)?,
                None => drop(self.delete(table, key)?),
            }
        }
        self.commit()
    }

    /// One transaction that may be refused; rolled back if it is.
    pub(super) fn try_write(&mut self, rows: &[Write<'_>]) -> Attempt<Committed> {
        if let Err(error) = self.try_begin(false)? {
            self.rollback();
            return Ok(Err(error));
        }
        for &(table, key, value) in rows {
            let done = match value {
                Some(value) => self.try_put(table, key, value)?,
                None => self.try_delete(table, key)?.map(drop),
            };
            if let Err(error) = done {
                self.rollback();
                return Ok(Err(error));
            }
        }
        let committed = self.try_commit()?;
        if committed.is_err() {
            self.rollback();
        }
        Ok(committed)
    }

    /// That the open transaction gets this.
    pub(super) fn expect(&mut self, table: TableRef, key: &[u8], value: Option<&[u8]>) -> Check {
        let found = self.get(table, key)?;
        self.steps
            .same(&value, &found.as_deref(), |value| show_value(*value))
    }

    /// That the open transaction scans these keys.
    pub(super) fn expect_keys(
        &mut self,
        table: TableRef,
        start: &[u8],
        limit: usize,
        direction: Direction,
        keys: &[&[u8]],
    ) -> Check {
        let found = self.scan(table, start, limit, direction)?;
        let found: Vec<&[u8]> = found.iter().map(|(key, _)| key.as_slice()).collect();
        self.steps.same(keys, found.as_slice(), show_keys)
    }

    /// That a later transaction finds exactly these rows, by getting and by scanning both ways.
    pub(super) fn expect_table(&mut self, table: TableRef, rows: &[(&[u8], &[u8])]) -> Check {
        self.begin_read_only()?;
        for &(key, value) in rows {
            self.expect(table, key, Some(value))?;
        }
        self.expect_scan(table, rows)?;
        self.rollback();
        Ok(())
    }

    /// That the open transaction scans exactly these rows, both ways.
    pub(super) fn expect_scan(&mut self, table: TableRef, rows: &[(&[u8], &[u8])]) -> Check {
        let mut expected: Vec<Row> = rows
            .iter()
            .map(|&(key, value)| (key.to_vec(), value.to_vec()))
            .collect();
        for direction in [Direction::Forward, Direction::Reverse] {
            let found = self.scan(table, b"", usize::MAX, direction)?;
            self.steps.same(&expected, &found, |rows| show_rows(rows))?;
            expected.reverse();
        }
        Ok(())
    }
}

fn place(table: TableRef, key: &[u8]) -> String {
    format!("{}:{}", TABLES.get(table.index()).unwrap_or(&"?"), show(key))
}

fn put_step(table: TableRef, key: &[u8], value: &[u8]) -> String {
    format!("put {} = {}", place(table, key), show(value))
}

fn scan_step(table: TableRef, start: &[u8], limit: usize, direction: Direction) -> String {
    let way = match direction {
        Direction::Forward => "rising",
        Direction::Reverse => "falling",
    };
    let limit = if limit == usize::MAX {
        "all".to_owned()
    } else {
        limit.to_string()
    };
    format!("scan {limit} from {} {way}", place(table, start))
}

/// Bytes for people, shortened.
pub(super) fn show(bytes: &[u8]) -> String {
    const SHOWN: usize = 24;
    let text = format!("\"{}\"", bytes[..bytes.len().min(SHOWN)].escape_ascii());
    if bytes.len() > SHOWN {
        format!("{text}... ({} bytes)", bytes.len())
    } else {
        text
    }
}

pub(super) fn show_value(value: Option<&[u8]>) -> String {
    value.map_or_else(
        || "no row".to_owned(),
        |value| format!("the value {}", show(value)),
    )
}

pub(super) fn show_keys(keys: &[&[u8]]) -> String {
    list(keys.iter().map(|key| show(key)))
}

pub(super) fn show_rows(rows: &[Row]) -> String {
    list(
        rows.iter()
            .map(|(key, value)| format!("{} = {}", show(key), show(value))),
    )
}

fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    const SHOWN: usize = 12;
    let count = items.len();
    let mut text = items.take(SHOWN).collect::<Vec<_>>().join(", ");
    if count > SHOWN {
        text.push_str(&format!(", ... ({count} rows)"));
    }
    if count == 0 { "no rows".to_owned() } else { text }
}
