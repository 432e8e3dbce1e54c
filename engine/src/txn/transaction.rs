//! Read-write transactions.

use std::time::Duration;

use super::lock_set::LockSet;
use super::manager::Work;
use super::scan::Scan;
use super::waits::Waits;
use super::write_set::{Savepoint, WriteSet};
use super::{Durability, IsolationLevel, KeyRange, Table, TransactionManager};
use crate::btree::Direction;
use crate::error::{Error, Result};
use crate::ids::CommitId;
use crate::injected::{self, Bug};
use crate::mvcc::SnapshotSlot;
use crate::page::layout::{MAX_VALUE, max_key};
use crate::sync::atomic::Ordering::Relaxed;

/// How a transaction runs. The default is READ COMMITTED, synchronised, with the database's `busy_timeout`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TxOptions {
    pub(crate) isolation: IsolationLevel,
    pub(crate) durability: Durability,
    pub(crate) busy_timeout: Option<Duration>,
}

impl TxOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the transaction sees of others.
    #[must_use]
    pub fn isolation(mut self, level: IsolationLevel) -> Self {
        self.isolation = level;
        self
    }

    /// What its commit promises.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long its writes wait for locked rows, instead of the database's [`crate::Options::busy_timeout`]: each wait of a
    /// transaction that was begun by itself; all waits of all attempts together in [`crate::Database::write_with`].
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = Some(timeout);
        self
    }
}

/// A transaction. It sees its own changes; others see them when [`Transaction::commit`] has returned. Dropping it
/// without a commit rolls it back.
///
/// A row that it has locked, by a change or by [`Transaction::get_for_update`], reads as its newest committed state, however
/// it is read, and no read of a row is older than one before it. That state can be so new that it is not visible to others
/// yet, because the commit that made it is still becoming durable; from then on every statement of the transaction sees at
/// least that commit. The transaction's own commit is acknowledged only when that one is visible, and so as durable as its
/// maker was promised; a transaction that rolls back has been promised nothing.
///
/// ```
/// # fn main() -> engine::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let db = engine::Database::open(dir.path().join("a.db"))?;
/// let table = db.create_table("accounts")?;
/// let mut tx = db.begin()?;
/// tx.put(table, b"alice", b"10")?;
/// let savepoint = tx.savepoint();
/// tx.delete(table, b"alice")?;
/// tx.rollback_to(savepoint)?;
/// assert_eq!(tx.get(table, b"alice")?.as_deref(), Some(&b"10"[..]));
/// let commit = tx.commit()?;
/// assert_eq!(db.snapshot().commit_id(), commit);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Transaction<'db> {
    manager: &'db TransactionManager,
    id: u64,
    options: TxOptions,
    /// Registered at the first read (READ COMMITTED) or at the start (SNAPSHOT).
    snapshot: Option<(SnapshotSlot<'db>, CommitId)>,
    writes: WriteSet,
    locks: LockSet,
    /// Newest commit that changed a row which this transaction has locked, if it was not visible at that moment. Reads see
    /// at least this commit, and the transaction's own is not acknowledged before this one is visible.
    built_on: CommitId,
    waits: Waits,
    is_over: bool,
}

/// One read of a READ COMMITTED transaction: when it ends, the transaction no longer keeps old versions from being
/// collected.
#[derive(Debug)]
pub(super) struct Statement<'s>(&'s SnapshotSlot<'s>);

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        self.0.park();
    }
}

impl TransactionManager {
    pub(crate) fn begin(&self, options: TxOptions) -> Transaction<'_> {
        let snapshot = (options.isolation == IsolationLevel::Snapshot).then(|| {
            let (slot, commit) = self.registry.begin();
            let commit = self.at_floor(&slot, commit);
            (slot, commit)
        });
        Transaction {
            manager: self,
            id: self.next_transaction(),
            options,
            snapshot,
            writes: WriteSet::default(),
            locks: LockSet::default(),
            built_on: CommitId(0),
            waits: Waits::new(options.busy_timeout.unwrap_or(self.busy_timeout)),
            is_over: false,
        }
    }
}

impl<'db> Transaction<'db> {
    /// What this transaction sees of others.
    #[must_use]
    pub fn isolation(&self) -> IsolationLevel {
        self.options.isolation
    }

    /// To be kept while what [`Transaction::read_commit`] returned is being read.
    fn statement(&self) -> Option<Statement<'_>> {
        self.snapshot
            .as_ref()
            .filter(|_| self.options.isolation == IsolationLevel::ReadCommitted)
            .map(|(slot, _)| Statement(slot))
    }

    /// The commit that the next read sees, before the transaction's own changes.
    fn read_commit(&mut self) -> CommitId {
        let (slot, commit) = match &mut self.snapshot {
            Some(snapshot) if self.options.isolation == IsolationLevel::Snapshot => return snapshot.1,
            Some(snapshot) => snapshot,
            none => none.insert(self.manager.registry.begin()),
        };
        let at_least = if injected::makes(Bug::LockedRowReadsOldSnapshot) {
            CommitId(0)
        } else {
            self.built_on
        };
        *commit = self.manager.at_floor(slot, slot.refresh_from(at_least));
        *commit
    }

    /// Limits the time that all waits for locked rows from now on may take together.
    pub(crate) fn limit_waits(&mut self, left: Duration) {
        self.waits.limit(left);
    }

    /// How long this transaction has waited for locked rows.
    pub(crate) fn waited(&self) -> Duration {
        self.waits.waited()
    }

    /// The value of a row.
    ///
    /// # Errors
    /// I/O errors and corruption; [`Error::SnapshotTooOld`]; [`Error::TableDropped`]; [`Error::Poisoned`] when the database
    /// has stopped and the row's newest state never became durable.
    pub fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = Vec::new();
        Ok(self.get_into(table, key, &mut value)?.then_some(value))
    }

    /// The value of a row, in place of what `value` held; `false`, with `value` empty, if there is no such row.
    ///
    /// # Errors
    /// As [`Transaction::get`].
    pub fn get_into(&mut self, table: Table, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        let manager = self.manager;
        value.clear();
        if let Some(own) = self.writes.get(table, key) {
            self.check_own(table)?;
            value.extend_from_slice(own.unwrap_or_default());
            return Ok(own.is_some());
        }
        let commit = self.read_commit();
        let _statement = self.statement();
        manager.check_readable(table, commit)?;
        let found = manager.tree(table).get(key, commit, &manager.versions, value)?;
        if commit == self.built_on {
            manager.check_not_lost(commit)?;
        }
        Ok(found)
    }

    /// Refuses own changes of a table that is gone for this transaction.
    fn check_own(&self, table: Table) -> Result<()> {
        match (self.options.isolation, &self.snapshot) {
            (IsolationLevel::Snapshot, Some((_, commit))) => self.manager.check_readable(table, *commit),
            _ => self.manager.check_writable(table),
        }
    }

    /// The value of a row, which nobody else can change until this transaction ends. Under READ COMMITTED it is the
    /// newest committed value, so that a read-modify-write loses no update.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn get_for_update(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = Vec::new();
        Ok(self.get_for_update_into(table, key, &mut value)?.then_some(value))
    }

    /// [`Transaction::get_for_update`] into a buffer, as [`Transaction::get_into`].
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn get_for_update_into(&mut self, table: Table, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        self.lock(table, key)?;
        value.clear();
        if let Some(own) = self.writes.get(table, key) {
            value.extend_from_slice(own.unwrap_or_default());
            return Ok(own.is_some());
        }
        let manager = self.manager;
        let tree = manager.tree(table);
        let commit = self.read_commit();
        let _statement = self.statement();
        // Only now, with a snapshot that keeps its pages.
        manager.check_writable(table)?;
        let found = match self.options.isolation {
            IsolationLevel::Snapshot => tree.get(key, commit, &manager.versions, value)?,
            // What the lock holds still is what this statement's commit left; read where it needs no older version.
            IsolationLevel::ReadCommitted => tree.newest(key, value)?,
        };
        manager.check_usable()?;
        Ok(found)
    }

    /// Inserts or replaces a row. Waits while another transaction has it locked.
    ///
    /// # Errors
    /// [`Error::Busy`] when the row stayed locked for the whole `busy_timeout`, [`Error::WriteConflict`] when it was
    /// changed after this transaction's snapshot (SNAPSHOT), [`Error::TableDropped`], [`Error::KeyTooLarge`],
    /// [`Error::ValueTooLarge`], [`Error::TransactionTooLarge`], [`Error::Poisoned`]; I/O errors and corruption.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        if value.len() > MAX_VALUE {
            return Err(Error::ValueTooLarge {
                len: value.len(),
                max: MAX_VALUE,
            });
        }
        self.check_size(key.len() + value.len())?;
        self.lock(table, key)?;
        self.writes.set(table, key, Some(value));
        Ok(())
    }

    /// Deletes a row; `false` if there is none.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn delete(&mut self, table: Table, key: &[u8]) -> Result<bool> {
        self.check_size(key.len())?;
        let mut value = Vec::new();
        let existed = self.get_for_update_into(table, key, &mut value)?;
        if existed {
            self.writes.set(table, key, None);
        }
        Ok(existed)
    }

    /// Rows of a range in key order, with this transaction's own changes.
    ///
    /// # Errors
    /// As [`Transaction::get`].
    pub fn scan(&mut self, table: Table, range: impl KeyRange) -> Result<Scan<'_>> {
        self.scan_in(table, range, Direction::Forward)
    }

    /// Rows of a range from the last to the first, with this transaction's own changes.
    ///
    /// # Errors
    /// As [`Transaction::get`].
    pub fn scan_rev(&mut self, table: Table, range: impl KeyRange) -> Result<Scan<'_>> {
        self.scan_in(table, range, Direction::Backward)
    }

    fn scan_in(&mut self, table: Table, range: impl KeyRange, direction: Direction) -> Result<Scan<'_>> {
        // The transaction is borrowed by the scan, so its snapshot stands still meanwhile.
        let commit = self.read_commit();
        let statement = self.statement();
        self.manager.check_readable(table, commit)?;
        let own = self.writes.table(table);
        let may_be_ahead = commit == self.built_on;
        Ok(Scan::new(
            self.manager,
            table,
            range,
            direction,
            commit,
            may_be_ahead,
            own,
            statement,
        ))
    }

    fn check_size(&self, more: usize) -> Result<()> {
        let bytes = self.writes.bytes() + self.locks.bytes() + more;
        if bytes > self.manager.max_transaction_size {
            return Err(Error::TransactionTooLarge {
                bytes,
                max: self.manager.max_transaction_size,
            });
        }
        Ok(())
    }

    /// Locks a row for this transaction, and makes sure that it may still change it.
    fn lock(&mut self, table: Table, key: &[u8]) -> Result<()> {
        let manager = self.manager;
        manager.check_usable()?;
        manager.check_writable(table)?;
        let max = max_key(manager.pool.page_size());
        if key.len() > max {
            return Err(Error::KeyTooLarge { len: key.len(), max });
        }
        let lock = manager.locks.key(table.id, key);
        if self.locks.contains(lock) || injected::makes(Bug::RowsNotLocked) {
            return Ok(());
        }
        self.check_size(0)?;
        let acquired = manager.locks.acquire(self.id, lock, self.waits.next());
        if let Ok(Some(waited)) | Err(waited) = acquired {
            let counters = &manager.counters;
            self.waits.spend(waited);
            counters.lock_wait_ns.fetch_add(waited.as_nanos() as u64, Relaxed);
            if acquired.is_err() {
                crate::reach::mark(crate::reach::Mechanism::LockTimeout);
                counters.busy.fetch_add(1, Relaxed);
                return Err(Error::Busy { waited });
            }
            crate::reach::mark(crate::reach::Mechanism::LockWait);
            counters.lock_waits.fetch_add(1, Relaxed);
        }
        let newest = match self.options.isolation {
            IsolationLevel::Snapshot => self.check_unchanged(table, key).map(|()| CommitId(0)),
            IsolationLevel::ReadCommitted => Ok(self.newest_invisible_change(table, key)),
        };
        // What was found out about the row may be about a commit that is lost, and the table may be gone by now.
        let is_good = manager
            .check_usable()
            .and_then(|()| manager.check_writable(table));
        match is_good.and(newest) {
            Ok(newest) => {
                self.built_on = self.built_on.max(newest);
                self.locks.insert(lock);
                Ok(())
            }
            Err(error) => {
                // Not kept: a second try at the row must meet the same refusal.
                manager.locks.release(self.id, [lock]);
                Err(error)
            }
        }
    }

    /// The commit that changed a locked row last, if it is not visible: locks are given back once their commit is
    /// applied, and it is visible later. 0 if it is.
    fn newest_invisible_change(&self, table: Table, key: &[u8]) -> CommitId {
        let manager = self.manager;
        let visible = manager.registry.visible();
        let applied = manager.applied();
        if applied <= visible {
            return CommitId(0);
        }
        let newest = manager.versions.newest_change(table.id, key, visible);
        // Looked at after the chain: the floor rises before a chain is cut.
        if manager.versions.floor() > visible {
            applied
        } else {
            newest.unwrap_or_default()
        }
    }

    /// First updater wins: under SNAPSHOT, a row that changed after the snapshot cannot be changed.
    fn check_unchanged(&mut self, table: Table, key: &[u8]) -> Result<()> {
        let manager = self.manager;
        let commit = self.read_commit();
        match manager
            .tree(table)
            .changed_after(key, commit, &manager.versions)?
        {
            None => Ok(()),
            Some(winner) if injected::makes(Bug::ConflictOverlooked) => {
                let _ = winner;
                Ok(())
            }
            Some(winner) => {
                crate::reach::mark(crate::reach::Mechanism::WriteConflict);
                manager.counters.conflicts.fetch_add(1, Relaxed);
                Err(Error::WriteConflict { winner })
            }
        }
    }

    /// A place to go back to with [`Transaction::rollback_to`].
    pub fn savepoint(&mut self) -> Savepoint {
        self.writes.savepoint(self.manager.database, self.id)
    }

    /// Undoes all changes since the savepoint, which stays; rows locked since then stay locked.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a savepoint of another transaction, or one that was made after a savepoint that
    /// this transaction has gone back to.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        let is_own = savepoint.database == self.manager.database && savepoint.transaction == self.id;
        if is_own && self.writes.rollback_to(savepoint) {
            Ok(())
        } else {
            Err(Error::InvalidOption {
                name: "savepoint",
                value: "one that is gone".into(),
                expected: "an open savepoint of this transaction".into(),
            })
        }
    }

    /// Commits. When it returns, the changes are visible to every later read, and as durable as was asked for.
    ///
    /// The same is true of the commit that it returns, whatever the transaction did: that commit and all before it are
    /// visible, and durable if [`Durability::Sync`] was asked for. A transaction that changed nothing in the end returns the
    /// newest visible commit, or the newest one applied, which somebody else made, and flushes the log if that takes it. So
    /// everything that a synchronised transaction can have read is durable when it is acknowledged.
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a failed flush, also for a transaction without changes; [`Error::TableDropped`] when there
    /// are changes of a table that is gone; errors of what was needed to apply the changes (a full disk, an exhausted
    /// cache). Nothing of the transaction remains then.
    pub fn commit(mut self) -> Result<CommitId> {
        self.is_over = true;
        // Its own snapshot must not hold back the collection of what it replaces.
        self.snapshot = None;
        if self.writes.is_empty() {
            self.manager.locks.release(self.id, self.locks.drain());
            return self
                .manager
                .commit_nothing(self.built_on, self.options.durability);
        }
        // Its commit comes after the one it built on, and becomes visible after it.
        let work = Work::Rows {
            writes: std::mem::take(&mut self.writes),
            transaction: self.id,
            locks: std::mem::take(&mut self.locks),
        };
        self.manager.commit(work, self.options.durability)
    }

    /// Gives up all changes.
    pub fn rollback(self) {
        drop(self);
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.manager.locks.release(self.id, self.locks.drain());
            self.manager.counters.rollbacks.fetch_add(1, Relaxed);
        }
    }
}
