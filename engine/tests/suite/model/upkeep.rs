//! Checkpoints, flushes, collection, verification and figures.

use std::sync::Arc;

use engine::{CommitId, Database, Error};
use rand::RngExt;

use super::oracle::State;
use super::plan::PATH;
use super::reads::{Query, assert_same_rows};
use super::world::World;
use crate::common::assert_sound;

/// Everything that a database holds, compared with the states that it may be in; the newest that fits.
pub(super) fn state_of(db: &Database, allowed: &[Arc<State>], what: &str) -> Arc<State> {
    let snapshot = db.snapshot();
    let rows_of = |name: &str| {
        let rows = snapshot.scan(db.table(name).unwrap(), ..).unwrap();
        Query::all().read(rows).unwrap()
    };
    let names = db.table_names();
    let found: Vec<_> = names.iter().map(|name| rows_of(name)).collect();
    let fits = |state: &Arc<State>| {
        state.names.keys().eq(&names)
            && state.names.values().zip(&found).all(|(no, found)| {
                let expected = state.tables[no].iter();
                expected.eq(found.iter().map(|(key, value)| (key, value)))
            })
    };
    let Some(state) = allowed.iter().rev().find(|state| fits(state)) else {
        panic!(
            "{what}: the database is in none of the {} states that are allowed",
            allowed.len()
        );
    };
    Arc::clone(state)
}

impl World<'_, '_> {
    pub(super) fn upkeep_step(&mut self) {
        match self.rng.random_range(0..100) {
            0..20 => self.take_checkpoint(),
            20..40 => {
                self.note("a sync".into());
                self.db.sync().unwrap();
                self.oracle.synced();
            }
            40..70 => self.collect(),
            70..75 => self.check_everything(),
            75..85 => self.wait_for_a_commit(),
            _ => self.check_figures(),
        }
    }

    fn take_checkpoint(&mut self) {
        self.note("a checkpoint".into());
        let report = self.db.checkpoint().unwrap();
        assert!(report.commit <= self.db.snapshot().commit_id());
        self.oracle.synced();
        self.reached.checkpoints += 1;
    }

    fn collect(&mut self) {
        let keep = match self.rng.random_range(0..6) {
            0 | 1 => 1,
            2 => self.rng.random_range(2..5),
            _ => self.keep,
        };
        self.note(format!("collects, keeps {keep} versions"));
        let visible = self.db.snapshot().commit_id();
        if self.keep == 1 || keep == 1 {
            self.forgotten = self.forgotten.max(visible);
        }
        self.keep = keep;
        self.keep_least = self.keep_least.min(keep);
        self.db.gc(keep);
        let holds_old = !self.snapshots.is_empty() || self.transactions.iter().any(|tx| tx.holds_snapshot());
        if keep == 1 && !holds_old && !self.plan.background {
            // What the collection has changed itself goes with the next one.
            self.db.gc(keep);
            assert_eq!(self.db.metrics().versions, 0, "nobody needs old versions");
        }
    }

    fn wait_for_a_commit(&mut self) {
        let visible = self.db.snapshot().commit_id();
        self.db.wait_visible(visible).unwrap();
        self.db
            .back_off(&Error::WriteConflict { winner: visible }, 1)
            .unwrap();
        let answer = self.db.wait_visible(CommitId(visible.0 + 1000));
        assert!(matches!(answer, Err(Error::NotYetVisible { .. })), "{answer:?}");
        // The wait has made durable what was applied, but promises nothing about that.
    }

    /// The whole content, by both directions, and every invariant.
    pub(super) fn check_everything(&mut self) {
        self.note("compares everything".into());
        let snapshot = self.db.snapshot();
        for handle in self.handles.iter().filter(|handle| handle.dropped.is_none()) {
            let rows = &self.oracle.visible.tables[&handle.no];
            let expected = || rows.iter().map(|(key, value)| (&key[..], &value[..]));
            let found = Query::all()
                .read(snapshot.scan(handle.table, ..).unwrap())
                .unwrap();
            assert_same_rows(&found, expected(), "forward");
            let found = Query::all()
                .read(snapshot.scan_rev(handle.table, ..).unwrap())
                .unwrap();
            assert_same_rows(&found, expected().rev(), "backward");
        }
        drop(snapshot);
        if !self.waiting.is_empty() {
            return;
        }
        let report = self.db.verify().unwrap();
        assert!(report.is_sound(), "{:#?}", report.problems);
        let mut found: Vec<_> = report
            .tables
            .iter()
            .map(|table| (&table.name[..], table.rows))
            .collect();
        found.sort_unstable();
        let tables = &self.oracle.visible.tables;
        let expected = self
            .oracle
            .visible
            .names
            .iter()
            .map(|(name, no)| (&name[..], tables[no].len() as u64));
        assert!(expected.eq(found), "rows of {:?}", report.tables);
        for table in &report.tables {
            self.reached.levels = self.reached.levels.max(table.levels.into());
            self.reached.overflow_pages = self.reached.overflow_pages.max(table.overflow_pages);
        }
    }

    /// Figures that can be told from outside.
    pub(super) fn check_figures(&mut self) {
        let metrics = self.db.metrics();
        let own_snapshots = self.transactions.iter().filter(|tx| tx.holds_snapshot()).count();
        if !self.plan.background {
            assert_eq!(
                metrics.open_snapshots,
                (self.snapshots.len() + own_snapshots) as u64
            );
        }
        if self.transactions.iter().all(|tx| !tx.has_unknown_locks) {
            assert_eq!(metrics.row_locks, self.locks.len() as u64);
        }
        assert_eq!(metrics.commits, self.commits);
        assert_eq!(metrics.corruptions_detected, 0);
        let info = self.db.storage_info();
        assert_eq!(info.page_size, self.plan.page_size as u64);
        assert_eq!(info.page_count, info.used_pages + info.free_pages);
        self.reached.evictions = self.reached.evictions.max(metrics.pages_evicted_dirty);
    }

    /// What a crash of the process now would leave.
    pub(super) fn compare_crash_copy(&mut self) {
        if self.plan.background {
            return;
        }
        self.note("compares what a crash would leave".into());
        let copy = self.gate.files.fork();
        let db = self
            .plan
            .options(&super::gate::Gate::over(copy))
            .open(PATH)
            .unwrap();
        state_of(&db, &self.oracle.after_crash(), "after a crash");
        assert_sound(&db);
        self.reached.crash_copies += 1;
        self.reached.commits_redone += db.recovery().commits;
    }
}
