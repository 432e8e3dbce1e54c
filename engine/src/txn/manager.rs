//! The commit pipeline: one applier at a time, many committers.
//!
//! A committing thread that finds the applier free takes it, applies what is queued and then its own transaction.
//! One that finds it taken queues its transaction, and the holder applies it (flat combining). What is applied stands
//! queued to become visible ([`super::group`]), and the applier is free again while the log is being flushed.
//!
//! Lock order: applier, then the log's appender, then the line of applied commits. The queue's lock is a leaf.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use super::apply::Applier;
use super::catalog::Catalog;
use super::group::{GroupCommit, Pending, Wait, Waiter};
use super::lock_set::LockSet;
use super::panics::{Abandoned, PANICKED};
use super::queue::Request;
use super::tables::TableStates;
use super::write_set::WriteSet;
use super::{Durability, Table};
use crate::btree::Tree;
use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition};
use crate::injected::{self, Bug};
use crate::lock::RowLocks;
use crate::metrics::{Counters, GroupSizes};
use crate::mvcc::{SnapshotRegistry, VersionStore};
use crate::poison::Poison;
use crate::pool::Pool;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use crate::sync::{Mutex, MutexGuard};
use crate::vfs::Vfs;
use crate::wal::Wal;

/// Log bytes in memory past which an unsynchronised committer writes them out itself: somewhat less than a power of two, since
/// that is what the buffer grows to.
const BUFFERED_MAX: usize = 7 << 20;

/// What is to be committed.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every piece of work is the large one, and a box would cost it an allocation"
)]
pub(crate) enum Work {
    Rows {
        writes: WriteSet,
        transaction: u64,
        locks: LockSet,
    },
    CreateTable {
        name: String,
        /// Where the table is put.
        created: Arc<OnceLock<Table>>,
    },
    DropTable(String),
}

/// Runs transactions: snapshots, locks, the commit pipeline. The rest of the database hangs below it.
#[derive(Debug)]
pub(crate) struct TransactionManager {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) pool: Pool,
    pub(crate) versions: VersionStore,
    pub(crate) registry: SnapshotRegistry,
    pub(crate) locks: RowLocks,
    pub(crate) wal: Wal,
    pub(crate) poison: Arc<Poison>,
    pub(crate) catalog: Catalog,
    pub(super) tables: TableStates,
    pub(crate) counters: Counters,
    pub(super) applier: Mutex<Applier>,
    pub(super) queue: Mutex<VecDeque<Request>>,
    pub(super) group: GroupCommit,
    /// Newest commit on the pages; at least the visible one.
    applied: AtomicU64,
    next_transaction: AtomicU64,
    /// There is no background thread for housekeeping.
    pub(super) is_tended_by_committers: bool,
    /// A committer is to take steps of housekeeping when its commit is done.
    pub(super) wants_tending: AtomicBool,
    /// Tells databases of one process apart, so that a table handle of one is not used with another.
    pub(crate) database: u32,
    pub(crate) busy_timeout: Duration,
    pub(crate) max_transaction_size: usize,
}

/// What a recovered or new database starts from.
pub(crate) struct Start {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) pool: Pool,
    pub(crate) wal: Wal,
    pub(crate) last: CommitId,
    pub(crate) busy_timeout: Duration,
    pub(crate) max_transaction_size: usize,
    pub(crate) version_budget: usize,
    pub(crate) keep_versions: usize,
    pub(crate) has_background: bool,
}

impl TransactionManager {
    pub(crate) fn new(start: Start) -> Self {
        let page_size = start.pool.page_size();
        static DATABASES: AtomicU32 = AtomicU32::new(1);
        Self {
            vfs: start.vfs,
            poison: Arc::clone(start.pool.store().poison()),
            pool: start.pool,
            versions: VersionStore::new(start.last, start.version_budget, start.keep_versions, page_size),
            registry: SnapshotRegistry::new(start.last),
            locks: RowLocks::new(),
            wal: start.wal,
            catalog: Catalog::default(),
            tables: TableStates::new(),
            counters: Counters::default(),
            applier: Mutex::new(Applier::new(start.last, page_size)),
            queue: Mutex::default(),
            group: GroupCommit::default(),
            applied: AtomicU64::new(start.last.0),
            next_transaction: AtomicU64::new(1),
            is_tended_by_committers: !start.has_background,
            wants_tending: AtomicBool::new(false),
            database: DATABASES.fetch_add(1, Relaxed),
            busy_timeout: start.busy_timeout,
            max_transaction_size: start.max_transaction_size,
        }
    }

    pub(crate) fn tree(&self, table: Table) -> Tree<'_> {
        Tree {
            pool: self.pool.reader(),
            root: table.root,
            table: table.id,
        }
    }

    pub(crate) fn group_sizes(&self) -> &GroupSizes {
        &self.group.group_sizes
    }

    pub(crate) fn next_transaction(&self) -> u64 {
        self.next_transaction.fetch_add(1, Relaxed)
    }

    /// Newest commit on the pages, perhaps not visible yet.
    pub(crate) fn applied(&self) -> CommitId {
        CommitId(self.applied.load(Acquire))
    }

    pub(crate) fn check_usable(&self) -> Result<()> {
        self.poison.check()
    }

    /// Refuses what was read of the state of `commit` if that is not visible and never will be. Looked at after the read.
    pub(super) fn check_not_lost(&self, commit: CommitId) -> Result<()> {
        if commit > self.registry.visible() {
            self.check_usable()?;
        }
        Ok(())
    }

    /// Commits and returns when the commit is visible, and durable if that was asked for.
    pub(crate) fn commit(&self, mut work: Work, durability: Durability) -> Result<CommitId> {
        if injected::makes(Bug::LocksReleasedTooEarly) {
            self.release_locks(&mut work);
        }
        // Nobody frees anything beside commits without a background.
        if !self.is_tended_by_committers && self.has_too_much_replaced() {
            self.pool.store().await_freed();
        }
        let result = self.check_usable().and_then(|()| self.fault_in(&work));
        if let Err(error) = result {
            self.release(work);
            return Err(error);
        }
        let _abandoned = self.watch();
        let Some(mut applier) = self.applier.try_lock() else {
            return self.commit_through_queue(work, durability);
        };
        let mut finished = self.apply_queue(&mut applier);
        let waiter = (durability == Durability::Sync).then(Waiter::new);
        let applied = self.apply(&mut applier, &work, durability, waiter.clone());
        finished.push(work);
        self.end_apply(applier, finished);
        crate::interleave::here(crate::interleave::Place::CommitApplied);
        let result = match (applied, waiter) {
            (Ok((commit, true)), _) => Ok(commit),
            (Ok(_), Some(waiter)) => loop {
                // Nobody asks it to apply, since it is not in the queue.
                if let Wait::Done(outcome) = self.group.wait(&waiter, &self.wal, &self.registry) {
                    break outcome;
                }
            },
            (Ok((commit, false)), None) => {
                self.group.ensure_leader();
                self.wait_visible(commit).map(|()| commit)
            }
            (Err(error), _) => {
                self.group.ensure_leader();
                Err(error)
            }
        };
        // Commits of others may have been queued after this one was done.
        self.group.ensure_leader();
        self.relieve();
        result
    }

    /// Applies one piece of work and queues it. Returns its commit, and whether that is visible already.
    pub(super) fn apply(
        &self,
        applier: &mut Applier,
        work: &Work,
        durability: Durability,
        waiter: Option<Arc<Waiter>>,
    ) -> Result<(CommitId, bool)> {
        let before = applier.last;
        let (commit, end) = self.apply_work(applier, work)?;
        crate::reach::mark_if(commit == before, crate::reach::Mechanism::CommitWithoutChange);
        if commit > before {
            self.counters.commits.fetch_add(1, Relaxed);
        }
        // Work that changed nothing returns the commit of somebody else, and promises the same of it.
        let is_promised = commit > before || !injected::makes(Bug::UnchangedCommitNotFlushed);
        let must_be_durable = durability == Durability::Sync && is_promised && self.wal.durable() < end;
        let is_visible = self.announce(commit, end, must_be_durable, waiter)?;
        Ok((commit, is_visible))
    }

    pub(super) fn announce(
        &self,
        commit: CommitId,
        end: LogPosition,
        must_be_durable: bool,
        waiter: Option<Arc<Waiter>>,
    ) -> Result<bool> {
        self.applied.fetch_max(commit.0, AcqRel);
        let pending = Pending {
            commit,
            end,
            must_be_durable,
            waiter,
        };
        self.group.announce(pending, &self.wal, &self.registry)
    }

    /// Commits nothing, for a transaction that has read what `built_on` left: returns the newest visible commit, durable if
    /// that was asked for, as everything that the transaction can have read is.
    pub(super) fn commit_nothing(&self, built_on: CommitId, durability: Durability) -> Result<CommitId> {
        self.wait_visible(built_on)?;
        let visible = self.registry.visible();
        if durability == Durability::Sync && self.wal.durable() < self.group.visible_end() {
            self.flush()?;
        }
        self.check_usable()?;
        Ok(visible)
    }

    /// Waits until what the catalog says of a name is visible: what was found there may not be true otherwise.
    pub(crate) fn wait_for_name(&self, name: &str) -> Result<()> {
        self.catalog
            .newest_change(name)
            .map_or(Ok(()), |commit| self.wait_visible(commit))
    }

    /// Refuses handles of other databases, and of tables that are gone for who reads the state of `commit`. A snapshot of
    /// that commit is registered, and keeps the table's pages from being freed from here on.
    #[inline]
    pub(crate) fn check_readable(&self, table: Table, commit: CommitId) -> Result<()> {
        let is_gone = self.tables.is_gone(table, commit) && !injected::makes(Bug::DroppedTableNotNoticed);
        if table.database == self.database && !is_gone {
            Ok(())
        } else {
            Err(self.refused(table))
        }
    }

    /// Refuses handles of other databases, and of tables that have been dropped.
    #[inline]
    pub(crate) fn check_writable(&self, table: Table) -> Result<()> {
        if table.database == self.database && !self.tables.is_dropped(table) {
            Ok(())
        } else {
            Err(self.refused(table))
        }
    }

    #[cold]
    fn refused(&self, table: Table) -> Error {
        if table.database != self.database {
            return Error::NoSuchTable {
                name: format!("(table {} of another database)", table.id),
            };
        }
        let commit = self.tables.dropped_by(table);
        if commit.is_some_and(|commit| commit > self.registry.visible())
            && let Some(error) = self.wal.poisoned()
        {
            // The drop never became durable, and never will.
            return error;
        }
        Error::TableDropped {
            table: table.id,
            commit,
        }
    }

    /// Brings the leaves that will change into memory, so that the applier rarely waits for I/O.
    fn fault_in(&self, work: &Work) -> Result<()> {
        let Work::Rows { writes, .. } = work else {
            return Ok(());
        };
        if !self.pool.may_be_absent() {
            return Ok(());
        }
        // Keeps the pages of tables that are dropped meanwhile.
        let _snapshot = self.registry.begin();
        for (table, rows) in writes.tables().iter().filter(|(_, rows)| !rows.is_empty()) {
            self.check_writable(*table)?;
            for key in rows.keys() {
                self.tree(*table).fault_in(key)?;
            }
        }
        Ok(())
    }

    fn watch(&self) -> Abandoned<'_> {
        Abandoned::watch(self)
    }

    /// The holder of the applier panicked: nothing is applied any more, and nobody may wait for it.
    pub(super) fn abandon(&self) {
        let error = self.poison.set(PANICKED);
        let queued = std::mem::take(&mut *self.queue.lock());
        self.refuse(queued);
        self.group.fail(&error, &self.wal, &self.registry);
    }

    pub(super) fn release(&self, mut work: Work) {
        self.release_locks(&mut work);
    }

    fn release_locks(&self, work: &mut Work) {
        if let Work::Rows {
            transaction, locks, ..
        } = work
        {
            self.locks.release(*transaction, locks.drain());
        }
    }

    /// What a committer does when its commit is done: writes the log out if unsynchronised commits have filled its buffer. The commit that meets a failure here is
    /// done already; the log is poisoned, so the next one is told.
    pub(super) fn relieve(&self) {
        if self.wal.buffered_bytes() > BUFFERED_MAX
            && let Err(error) = self.wal.write_out()
        {
            tracing::warn!(%error, "the log could not be written out");
        }
        self.tend_a_little();
    }

    /// Waits until `commit` is visible, flushing the log if that is what it takes.
    pub(crate) fn wait_visible(&self, commit: CommitId) -> Result<()> {
        while self.registry.visible() < commit {
            let flushed = match self.check_usable() {
                Ok(()) if commit > self.applied() => {
                    return Err(Error::NotYetVisible {
                        asked: commit,
                        newest: self.registry.visible(),
                    });
                }
                Ok(()) => self.flush().map(drop),
                Err(error) => {
                    self.group.fail(&error, &self.wal, &self.registry);
                    Err(error)
                }
            };
            // What an earlier flush has made durable is visible by now, and was no failure.
            if flushed.is_err() && self.registry.visible() < commit {
                return flushed;
            }
        }
        Ok(())
    }

    /// Makes everything applied so far durable.
    pub(crate) fn flush(&self) -> Result<LogPosition> {
        match self.wal.flush() {
            Ok(durable) => {
                crate::interleave::here(crate::interleave::Place::LogFlushed);
                self.group.settle(durable, &self.registry);
                Ok(durable)
            }
            Err(error) => {
                self.group.fail(&error, &self.wal, &self.registry);
                Err(error)
            }
        }
    }

    pub(super) fn wall_clock_ms(&self) -> u64 {
        self.vfs
            .wall_clock()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as u64)
    }

    /// Keeps commits from being applied until the guard is dropped.
    pub(crate) fn pause(&self) -> Paused<'_> {
        Paused {
            manager: self,
            applier: Some(self.applier.lock()),
            _abandoned: self.watch(),
        }
    }
}

/// The applier, held by somebody who has nothing to commit. Commits that were queued meanwhile are applied when it is
/// dropped: a committer that found the applier taken relies on its holder for that.
#[derive(Debug)]
pub(crate) struct Paused<'m> {
    manager: &'m TransactionManager,
    applier: Option<MutexGuard<'m, Applier>>,
    /// Behind the applier, so dropped after it.
    _abandoned: Abandoned<'m>,
}

impl Deref for Paused<'_> {
    type Target = Applier;

    fn deref(&self) -> &Applier {
        self.applier.as_ref().expect("the guard is there until the drop")
    }
}

impl DerefMut for Paused<'_> {
    fn deref_mut(&mut self) -> &mut Applier {
        self.applier.as_mut().expect("the guard is there until the drop")
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        if let Some(applier) = self.applier.take() {
            self.manager.end_apply(applier, Vec::new());
            self.manager.group.ensure_leader();
        }
    }
}
