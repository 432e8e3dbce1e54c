//! The database: open, close, tables, transactions, checkpoints, figures.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::background::{self, Signal};
use crate::btree::verify_tree;
use crate::checkpoint::{CheckpointReport, Pace};
use crate::error::{Error, Result};
use crate::ids::{CommitId, PageNumber, TableId};
use crate::injected::{self, Bug};
use crate::metrics::{Metrics, StorageMetrics};
use crate::opening::{self, FirstCheckpoint};
use crate::options::{Options, WalSync};
use crate::recovery::RecoveryReport;
use crate::store::StoreStats;
use crate::sync::Mutex;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::thread::JoinHandle;
use crate::txn::{Durability, Snapshot, Table, Transaction, TransactionManager, TxOptions, Work, catalog};
use crate::vfs::VfsFile;

/// What is shared with the background thread.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) manager: TransactionManager,
    pub(crate) options: Options,
    pub(crate) signal: Signal,
    /// One checkpoint at a time.
    pub(crate) checkpointing: Mutex<()>,
}

/// An open database. Share it between threads by reference or in an [`Arc`].
///
/// ```
/// use engine::Database;
/// # fn main() -> engine::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let path = dir.path().join("accounts.db");
/// let db = Database::open(&path)?;
/// let accounts = db.create_table("accounts")?;
/// db.write(|tx| {
///     tx.put(accounts, b"alice", b"10")?;
///     tx.put(accounts, b"bob", b"7")
/// })?;
/// let sum: u32 = db.read(|snapshot| {
///     let mut sum = 0;
///     let mut rows = snapshot.scan(accounts, ..)?;
///     while let Some((_, value)) = rows.next_row()? {
///         sum += std::str::from_utf8(value).unwrap_or("0").parse().unwrap_or(0);
///     }
///     Ok(sum)
/// })?;
/// assert_eq!(sum, 17);
/// db.close()
/// # }
/// ```
#[derive(Debug)]
pub struct Database {
    pub(crate) shared: Arc<Shared>,
    background: Option<JoinHandle<()>>,
    path: PathBuf,
    recovery: RecoveryReport,
    /// They hold the locks.
    _locks: Vec<Arc<dyn VfsFile>>,
}

/// A table as [`Database::verify`] found it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableReport {
    /// Its name.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Deleted rows that still take room.
    pub ghosts: u64,
    /// Tree pages.
    pub pages: u64,
    /// Pages of long values.
    pub overflow_pages: u64,
    /// Bytes of keys and values.
    pub logical_bytes: u64,
    /// Levels of the tree.
    pub levels: u8,
}

/// What [`Database::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The tables.
    pub tables: Vec<TableReport>,
    /// Stored page images that were read and checked.
    pub stored_pages: u64,
    /// What is wrong; empty for a sound database.
    pub problems: Vec<String>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Database {
    /// Opens the database file `path` with default [`Options`], creating it if it does not exist. Its log is in the
    /// directory `path` with `-wal` appended.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Options::new().open(path)
    }

    pub(crate) fn open_with(path: &Path, options: Options) -> Result<Self> {
        let opened = opening::open(path, &options)?;
        let shared = Arc::new(Shared {
            manager: opened.manager,
            options,
            signal: Signal::default(),
            checkpointing: Mutex::new(()),
        });
        let mut database = Self {
            shared,
            background: None,
            path: opened.path,
            recovery: opened.recovery,
            _locks: opened.locks,
        };
        if database.is_read_only() {
            return Ok(database);
        }
        match opened.checkpoint {
            FirstCheckpoint::None => {}
            FirstCheckpoint::Needed => drop(database.checkpoint()?),
            FirstCheckpoint::Wanted => match database.checkpoint() {
                // The log has everything, and on a full disk the first thing to do is to delete.
                Err(error) if error.is_disk_full() => {
                    tracing::warn!(%error, "no checkpoint after the recovery");
                }
                answer => drop(answer?),
            },
        }
        if database.shared.options.background {
            database.background = Some(background::start(Arc::clone(&database.shared))?);
        }
        Ok(database)
    }

    pub(crate) fn manager(&self) -> &TransactionManager {
        &self.shared.manager
    }

    /// The database file: its absolute path, with links followed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was opened with [`Options::read_only`].
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.shared.options.read_only
    }

    /// What recovery did when this handle was opened.
    #[must_use]
    pub fn recovery(&self) -> RecoveryReport {
        self.recovery
    }

    /// Creates a table, durably.
    ///
    /// # Errors
    /// [`Error::TableExists`], once the table of that name is durable; [`Error::InvalidOption`] for an empty name or one
    /// of more than 255 bytes; errors of [`Transaction::commit`].
    pub fn create_table(&self, name: &str) -> Result<Table> {
        catalog::check_name(name)?;
        let created = Arc::new(OnceLock::new());
        let work = Work::CreateTable {
            name: name.to_owned(),
            created: Arc::clone(&created),
        };
        self.change_tables(name, work)?;
        created.get().copied().ok_or_else(|| Error::NoSuchTable {
            name: name.to_owned(),
        })
    }

    /// Commits a change of the catalog. That the catalog does not allow it is said when what it says of the name is
    /// durable.
    fn change_tables(&self, name: &str, work: Work) -> Result<()> {
        let result = self.manager().commit(work, Durability::Sync);
        if let Err(Error::TableExists { .. } | Error::NoSuchTable { .. }) = result {
            self.manager().wait_for_name(name)?;
        }
        result.map(|_| ())
    }

    /// The table of that name. A table is there from when its creation is durable until its drop is.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`].
    pub fn table(&self, name: &str) -> Result<Table> {
        let manager = self.manager();
        manager
            .catalog
            .get(name, &manager.registry)
            .ok_or_else(|| Error::NoSuchTable {
                name: name.to_owned(),
            })
    }

    /// The table of that name, created if there is none.
    ///
    /// # Errors
    /// As [`Database::create_table`], but for [`Error::TableExists`].
    pub fn open_or_create(&self, name: &str) -> Result<Table> {
        loop {
            match self.table(name) {
                Err(Error::NoSuchTable { .. }) => {}
                other => return other,
            }
            match self.create_table(name) {
                // Somebody else was quicker.
                Err(Error::TableExists { .. }) => {}
                other => return other,
            }
        }
    }

    /// Drops a table and all its rows, durably. Snapshots that are open keep seeing it; its pages are freed, step by
    /// step, when they have ended. Everybody else who uses a handle of the table gets [`Error::TableDropped`] from then
    /// on; a snapshot of an older commit that begins later ([`Database::begin_at`]) can read the table as long as its pages
    /// are there.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`], once that is durable; errors of [`Transaction::commit`].
    pub fn drop_table(&self, name: &str) -> Result<()> {
        self.change_tables(name, Work::DropTable(name.to_owned()))?;
        self.shared.signal.wake();
        Ok(())
    }

    /// The commit that gave a name its newest meaning, if that is remembered: until the drop of a table is visible.
    #[doc(hidden)]
    #[must_use]
    pub fn newest_change(&self, name: &str) -> Option<CommitId> {
        self.manager().catalog.newest_change(name)
    }

    /// The names of all tables, sorted.
    #[must_use]
    pub fn table_names(&self) -> Vec<String> {
        self.manager().catalog.names(&self.manager().registry)
    }

    /// Begins a transaction with default [`TxOptions`].
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    pub fn begin(&self) -> Result<Transaction<'_>> {
        self.begin_with(TxOptions::default())
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    pub fn begin_with(&self, options: TxOptions) -> Result<Transaction<'_>> {
        self.manager().check_usable()?;
        Ok(self.manager().begin(options))
    }

    /// A read-only view of the newest visible commit. Commits that asked for no durability become visible before they are
    /// durable; others do not.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<'_> {
        self.manager().snapshot()
    }

    /// A read-only view of an older commit: one that an open snapshot sees, or as far back as
    /// [`Options::keep_versions`] reaches.
    ///
    /// # Errors
    /// [`Error::SnapshotTooOld`] when its row versions are gone, [`Error::NotYetVisible`].
    pub fn begin_at(&self, commit: CommitId) -> Result<Snapshot<'_>> {
        self.manager().snapshot_at(commit)
    }

    /// Runs `f` on a snapshot.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn read<T>(&self, f: impl FnOnce(&Snapshot<'_>) -> Result<T>) -> Result<T> {
        f(&self.snapshot())
    }

    /// Waits until a commit is visible.
    ///
    /// # Errors
    /// [`Error::NotYetVisible`] for a commit that has not happened, [`Error::Poisoned`].
    pub fn wait_visible(&self, commit: CommitId) -> Result<()> {
        self.manager().wait_visible(commit)
    }

    /// Makes every commit so far durable.
    ///
    /// # Errors
    /// [`Error::Io`] from the failed flush, [`Error::Poisoned`] ever after.
    pub fn sync(&self) -> Result<()> {
        if injected::makes(Bug::SyncPromisesNothing) {
            return Ok(());
        }
        self.manager().flush().map(|_| ())
    }

    /// Writes all changed pages to the data file, makes that durable, and lets the log before it be used again.
    /// Commits go on meanwhile.
    ///
    /// # Errors
    /// I/O errors, a full disk among them: the checkpoint before stays in force. A failed sync poisons the database.
    pub fn checkpoint(&self) -> Result<CheckpointReport> {
        let _one = self.shared.checkpointing.lock();
        self.manager().checkpoint(|| Pace::Fast)
    }

    /// Keeps the newest `keep_versions` committed versions of each row readable by [`Database::begin_at`] from now on,
    /// counting the current one, and drops what that and open snapshots do not need. In a database that was opened for
    /// reading only there is nothing to drop.
    pub fn gc(&self, keep_versions: usize) {
        if self.is_read_only() {
            return;
        }
        self.manager().versions.set_keep_versions(keep_versions);
        self.manager().collect_now();
    }

    /// Storage figures.
    #[must_use]
    pub fn storage_info(&self) -> StorageMetrics {
        let store = self.store_stats();
        StorageMetrics {
            page_count: store.page_count.into(),
            used_pages: store.used_pages.into(),
            free_pages: store.free_pages.into(),
            compression_ratio: (store.stored_bytes > 0)
                .then(|| store.raw_bytes as f64 / store.stored_bytes as f64),
            wal_size: self.manager().wal.live_bytes(),
            last_checkpoint: store.last_checkpoint,
            page_size: self.manager().pool.page_size() as u64,
            file_bytes: store.file_bytes,
            live_bytes: store.live_bytes,
            free_bytes: store.free_bytes,
            pending_bytes: store.pending_bytes,
            compression: self.manager().pool.store().codec().0.name(),
            wal_sync: Some(self.manager().wal.stats().sync)
                .filter(|sync| *sync != WalSync::Auto)
                .map(WalSync::name),
        }
    }

    fn store_stats(&self) -> StoreStats {
        self.manager().pool.store().stats()
    }

    /// Counters since the database was opened.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let manager = self.manager();
        let (store, wal, counters) = (self.store_stats(), manager.wal.stats(), &manager.counters);
        let pool = &manager.pool;
        Metrics {
            commits: counters.commits.load(Relaxed),
            rollbacks: counters.rollbacks.load(Relaxed),
            conflicts: counters.conflicts.load(Relaxed),
            busy: counters.busy.load(Relaxed),
            lock_waits: counters.lock_waits.load(Relaxed),
            lock_wait_ns: counters.lock_wait_ns.load(Relaxed),
            rows_written: counters.rows_written.load(Relaxed),
            logical_bytes: counters.logical_bytes.load(Relaxed),
            flushes: wal.flushes,
            flush_ns: wal.flush_ns_total,
            group_sizes: manager.group_sizes().counts(),
            wal_bytes: wal.bytes_appended,
            wal_bytes_written: wal.bytes_written,
            wal_bytes_zeroed: wal.bytes_zeroed,
            pages_read: pool.counters.faults.load(Relaxed),
            pages_written: store.pages_written,
            pages_evicted_clean: pool.counters.evicted_clean.load(Relaxed),
            pages_evicted_dirty: pool.counters.evicted_dirty.load(Relaxed),
            bytes_read: store.bytes_read,
            bytes_written: store.bytes_written,
            corruptions_detected: store.corruptions,
            quarantined_pages: counters.quarantined_pages.load(Relaxed),
            checkpoints: counters.checkpoints.load(Relaxed),
            checkpoint_ns: counters.checkpoint_ns.load(Relaxed),
            cache_frames: pool.frames() as u64,
            cache_frames_used: pool.frames_in_use() as u64,
            dirty_pages: pool.dirty_count() as u64,
            versions: manager.versions.count() as u64,
            version_bytes: manager.versions.bytes() as u64,
            versions_collected: counters.versions_collected.load(Relaxed),
            open_snapshots: manager.registry.open_snapshots() as u64,
            row_locks: manager.locks.held() as u64,
        }
    }

    /// Checks every invariant that can be checked at rest: the structure of all tables, that each page in use belongs
    /// to exactly one of them, and every stored byte. Commits wait meanwhile.
    ///
    /// # Errors
    /// I/O errors that keep it from checking; what is found to be wrong is in the report.
    pub fn verify(&self) -> Result<VerifyReport> {
        let manager = self.manager();
        let _one = self.shared.checkpointing.lock();
        let applier = manager.pause();
        let mut report = VerifyReport::default();
        let mut pages = HashSet::new();
        let mut tables = manager.catalog.newest_tables();
        tables.push((
            String::new(),
            Table {
                id: TableId::CATALOG,
                root: PageNumber::CATALOG,
                database: 0,
                slot: 0,
            },
        ));
        let dropped = applier.dropped.iter();
        tables.extend(dropped.map(|d| {
            (
                format!("(dropped {})", d.table),
                Table {
                    id: d.table,
                    root: d.root,
                    database: 0,
                    slot: 0,
                },
            )
        }));
        for (name, table) in tables {
            let is_dropped = applier.dropped.iter().any(|d| d.table == table.id);
            let problems = &mut report.problems;
            let found = verify_tree(
                manager.tree(table),
                applier.last,
                is_dropped,
                &mut pages,
                problems,
            );
            if !is_dropped && table.id != TableId::CATALOG {
                report.tables.push(TableReport {
                    name,
                    rows: found.rows,
                    ghosts: found.ghosts,
                    pages: found.pages,
                    overflow_pages: found.overflow_pages,
                    logical_bytes: found.logical_bytes,
                    levels: found.levels,
                });
            }
        }
        manager.verify_retired(&mut pages, &mut report.problems);
        for (page, why) in applier.quarantine.pages() {
            report
                .problems
                .push(format!("page {page} was put aside by housekeeping: {why}"));
        }
        let in_use: HashSet<PageNumber> = manager.pool.store().allocated_pages().into_iter().collect();
        let mut stray: Vec<_> = in_use.symmetric_difference(&pages).collect();
        stray.sort_unstable();
        for page in stray {
            report.problems.push(if pages.contains(page) {
                format!("page {page} belongs to a table but is not in use")
            } else {
                format!("page {page} is in use but belongs to no table")
            });
        }
        let problems = &mut report.problems;
        report.stored_pages = manager
            .pool
            .store()
            .verify(&mut |error| problems.push(error.to_string()))?;
        if manager.registry.visible() > applier.last {
            report
                .problems
                .push("a commit is visible that was not applied".into());
        }
        Ok(report)
    }

    /// Takes a last checkpoint and closes the database. Dropping it does the same, but keeps errors to itself.
    ///
    /// # Errors
    /// As [`Database::checkpoint`]; the log then still has everything, and the next open recovers it.
    pub fn close(mut self) -> Result<()> {
        self.shut_down()
    }

    fn shut_down(&mut self) -> Result<()> {
        if let Some(thread) = self.background.take() {
            self.shared.signal.stop();
            if thread.join().is_err() {
                tracing::error!("the background thread panicked");
            }
        }
        if self.shared.signal.is_closed() || self.is_read_only() {
            return Ok(());
        }
        self.shared.signal.stop();
        if std::thread::panicking() {
            // Whatever went wrong may go wrong again, and a second panic would end the process. The log has everything.
            return Ok(());
        }
        self.manager().check_usable()?;
        let manager = self.manager();
        let is_log_large = manager.wal.is_larger_than_needed();
        // A log that cannot be made smaller does not keep the rest from being done.
        let made_smaller = if is_log_large {
            manager.forget_need()
        } else {
            Ok(())
        };
        if is_log_large || manager.needs_checkpoint() {
            self.checkpoint()?;
        }
        self.shorten_to_close();
        let store = manager.pool.store();
        store.keep_for_next();
        store.shrink_to_fit();
        made_smaller
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = self.shut_down() {
            tracing::warn!(%error, "the database was closed without a last checkpoint");
        }
    }
}
