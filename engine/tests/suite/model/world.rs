//! The database under test beside its oracle, and the next random step.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread::Scope;

use engine::{CommitId, Database, Error, Table};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::gate::Gate;
use super::keys;
use super::oracle::{Oracle, RowName, State, StateNo, TableNo};
use super::plan::{Plan, Reached};
use super::snapshots::Held;
use super::transactions::Tx;
use super::waiting::Waiting;

/// Steps that are printed when one fails.
const SHOWN_STEPS: usize = 12;

/// A handle of a table that is or was there.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) table: Table,
    pub(super) no: TableNo,
    pub(super) name: String,
    /// The state that no longer had it.
    pub(super) dropped: Option<StateNo>,
}

/// What a reader finds behind a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Its rows.
    Rows,
    /// Nothing: the table is younger than what the reader sees.
    NotYet,
    /// That it was dropped.
    Gone,
    /// Its rows, or that it was dropped: the reader began after the drop, with an older commit.
    Unsure,
}

/// What a reader sees, if that does not move on with each commit.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) no: StateNo,
    pub(super) state: Arc<State>,
    /// The newest state when the reader began.
    pub(super) born: StateNo,
}

pub(super) struct World<'scope, 'env> {
    pub(super) scope: &'scope Scope<'scope, 'env>,
    pub(super) db: &'env Database,
    pub(super) gate: Gate,
    pub(super) plan: Plan,
    pub(super) rng: ChaCha8Rng,
    pub(super) oracle: Oracle,
    pub(super) handles: Vec<Handle>,
    /// A handle of the database before it was closed and opened again.
    pub(super) foreign: Option<Table>,
    pub(super) transactions: Vec<Tx<'env>>,
    pub(super) transactions_begun: u64,
    pub(super) snapshots: Vec<Held<'env>>,
    pub(super) waiting: Vec<Waiting<'scope>>,
    /// The rows that waiting commits have changed.
    pub(super) moving: Vec<RowName>,
    /// Which transaction has locked a row.
    pub(super) locks: HashMap<RowName, u64>,
    /// Commits with changes.
    pub(super) commits: u64,
    /// `keep_versions` now, and the least of it since the database was opened.
    pub(super) keep: usize,
    pub(super) keep_least: usize,
    /// Older commits may have been forgotten while only one version of each row was kept.
    pub(super) forgotten: CommitId,
    pub(super) reached: Reached,
    pub(super) steps: u64,
    log: VecDeque<String>,
}

impl<'scope, 'env> World<'scope, 'env> {
    pub(super) fn new(
        scope: &'scope Scope<'scope, 'env>,
        db: &'env Database,
        gate: Gate,
        plan: Plan,
        rng: ChaCha8Rng,
        state: Arc<State>,
    ) -> Self {
        let handle = |(name, no): (&String, &TableNo)| Handle {
            table: db.table(name).unwrap(),
            no: *no,
            name: name.clone(),
            dropped: None,
        };
        let first = db.snapshot().commit_id();
        Self {
            scope,
            db,
            gate,
            plan,
            rng,
            handles: state.names.iter().map(handle).collect(),
            oracle: Oracle::opened(state, first),
            foreign: None,
            transactions: Vec::new(),
            transactions_begun: 0,
            snapshots: Vec::new(),
            waiting: Vec::new(),
            moving: Vec::new(),
            locks: HashMap::new(),
            commits: 0,
            keep: plan.keep_versions,
            keep_least: plan.keep_versions,
            forgotten: first,
            reached: Reached::default(),
            steps: 0,
            log: VecDeque::new(),
        }
    }

    /// Notes a step, to be shown if something fails.
    pub(super) fn note(&mut self, what: String) {
        if self.log.len() == SHOWN_STEPS {
            self.log.pop_front();
        }
        self.log.push_back(what);
    }

    /// A key: often one of a few, so that transactions meet.
    pub(super) fn key(&mut self) -> Vec<u8> {
        if self.chance(4) {
            return format!("user{:06}", self.any(10)).into_bytes();
        }
        keys::key(&mut self.rng, self.plan.keys, self.plan.page_size / 8)
    }

    pub(super) fn chance(&mut self, one_in: u32) -> bool {
        self.rng.random_range(0..one_in) == 0
    }

    /// A row to work on: often one that has changed and is not visible yet.
    pub(super) fn row(&mut self) -> Option<(Handle, Vec<u8>)> {
        if !self.moving.is_empty() && self.rng.random() {
            let at = self.any(self.moving.len());
            let (no, key) = self.moving[at].clone();
            let handle = self.handles.iter().find(|handle| handle.no == no)?;
            return Some((handle.clone(), key));
        }
        Some((self.handle()?, self.key()))
    }

    /// A handle: as a rule of a table that is there.
    pub(super) fn handle(&mut self) -> Option<Handle> {
        let wants_dropped = self.chance(12);
        let fitting: Vec<_> = self
            .handles
            .iter()
            .filter(|h| h.dropped.is_some() == wants_dropped)
            .collect();
        let at = self.rng.random_range(0..fitting.len().max(1));
        fitting.get(at).map(|handle| Handle::clone(handle))
    }

    pub(super) fn access(&self, view: Option<&View>, handle: &Handle) -> Access {
        let state = view.map_or(&self.oracle.visible, |view| &view.state);
        match handle.dropped {
            dropped if state.tables.contains_key(&handle.no) => match (view, dropped) {
                (Some(view), Some(dropped)) if dropped <= view.born => Access::Unsure,
                _ => Access::Rows,
            },
            None => Access::NotYet,
            // Older than the drop, and older than the creation too.
            Some(dropped) if view.is_some_and(|view| view.born < dropped) => Access::NotYet,
            Some(_) => Access::Gone,
        }
    }

    /// Whether an error is one that a reader of older versions may get.
    pub(super) fn is_too_old(&self, error: &Error) -> bool {
        self.plan.version_budget.is_some() && matches!(error, Error::SnapshotTooOld { .. })
    }

    pub(super) fn step(&mut self) {
        self.steps += 1;
        let is_waiting = !self.waiting.is_empty();
        match self.rng.random_range(0..100) {
            0..60 => self.transaction_step(),
            60..80 => self.snapshot_step(),
            80..84 if !is_waiting => self.write_by_closure(),
            84..86 if !is_waiting => self.table_step(),
            86..91 if !is_waiting => self.upkeep_step(),
            86..95 => self.wait_for_commits(),
            95..97 => self.begin_at(),
            97 => self.use_foreign_handle(),
            98 if self.chance(3) => self.compare_crash_copy(),
            _ => self.check_figures(),
        }
        // Waiting for the disk does not go on for ever.
        if is_waiting && self.chance(20) {
            self.open_gate();
        }
    }

    /// Ends everything that is open.
    pub(super) fn finish(mut self) -> (ChaCha8Rng, Oracle, Reached, Option<Table>) {
        self.open_gate();
        while let Some(tx) = self.transactions.pop() {
            if self.rng.random() {
                self.commit(tx)
            } else {
                self.roll_back(tx)
            }
        }
        self.snapshots.clear();
        self.check_everything();
        self.check_figures();
        let foreign = self.handles.first().map(|handle| handle.table);
        let state = Arc::clone(&self.oracle.visible);
        let oracle = std::mem::replace(&mut self.oracle, Oracle::opened(state, CommitId(0)));
        (self.rng.clone(), oracle, self.reached, foreign)
    }

    pub(super) fn use_foreign_handle(&mut self) {
        let Some(table) = self.foreign else { return };
        self.note("uses a handle of the database before it was reopened".into());
        let answer = self.db.snapshot().get(table, b"k");
        assert!(matches!(answer, Err(Error::NoSuchTable { .. })), "{answer:?}");
        if let Some(tx) = self.transactions.last_mut() {
            let answer = tx.tx.put(table, b"k", b"v");
            let is_full = self.plan.transaction_max.is_some()
                && matches!(answer, Err(Error::TransactionTooLarge { .. }));
            assert!(
                is_full || matches!(answer, Err(Error::NoSuchTable { .. })),
                "{answer:?}"
            );
        }
    }

    /// A number below `len`; 0 if that is 0.
    pub(super) fn any(&mut self, len: usize) -> usize {
        self.rng.random_range(0..len.max(1))
    }
}

impl Drop for World<'_, '_> {
    fn drop(&mut self) {
        // Nobody may wait for ever for a thread that waits for the gate.
        self.gate.open();
        if std::thread::panicking() {
            println!(
                "{:?}, step {} of the round; the last steps:",
                self.plan, self.steps
            );
            for step in &self.log {
                println!("  {step}");
            }
        }
    }
}
