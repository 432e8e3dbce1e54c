//! `palimpsest`: this project's own engine.
//!
//! The database is the file `palimpsest.db` in the directory of the options, with its log beside it. A read-only
//! transaction is one snapshot at either isolation level: that is never weaker than READ COMMITTED and costs less.
//! After a write conflict the next `begin` waits until the winner is visible, as the engine's documentation asks of
//! whoever retries.

mod options;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use engine::{CommitId, Database, Error, IsolationLevel, Options, Snapshot, Table, Transaction};
use workloads::driver::{
    Capabilities, Committed, Direction, Durability, EffectiveSettings, EngineSetting, ErrorKind, GroupSize,
    Isolation, OpenMode, OpenOptions, RowBuffer, Session, TableRef, Target, TargetError, TargetFactory,
    TargetStats, TxOptions, refuse_undeclared,
};

use crate::probe::environment::memory_bytes;
use options::{SETTINGS, check_sizes, effective, engine_options};

/// The database file's name in its directory.
pub(crate) const FILE_NAME: &str = "palimpsest.db";
/// Page size when none is given, in bytes.
const DEFAULT_PAGE_SIZE: u64 = 16 << 10;

/// Longest key in a database with pages of this size, in bytes.
fn key_len_max(page_size: u64) -> usize {
    usize::try_from(page_size / 8).unwrap_or(usize::MAX)
}

/// Makes [`PalimpsestTarget`]s.
#[derive(Debug)]
pub(crate) struct PalimpsestFactory {
    capabilities: Capabilities,
}

impl PalimpsestFactory {
    /// The factory registered as `palimpsest`.
    pub(crate) fn new() -> Self {
        let capabilities = Capabilities {
            name: "palimpsest".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "this project's engine: B+tree, MVCC snapshots, write-ahead log with group commit"
                .into(),
            durabilities: BTreeSet::from([Durability::Sync, Durability::NoSync]),
            isolations: BTreeSet::from([Isolation::ReadCommitted, Isolation::Snapshot]),
            concurrent_writers: true,
            persistent: true,
            checkpoint: true,
            verify: true,
            commit_ids: true,
            locks_rows: true,
            cache_size: true,
            compressions: ["NONE", "LZ4", "ZSTD"].map(String::from).into(),
            key_len_max: Some(key_len_max(DEFAULT_PAGE_SIZE)),
            value_len_max: Some(1 << 30),
        };
        Self { capabilities }
    }
}

/// Turns the engine's error into the traits' own.
fn failed(error: Error) -> TargetError {
    let kind = match error {
        Error::WriteConflict { .. } => ErrorKind::Conflict,
        Error::Busy { .. } => ErrorKind::Busy,
        Error::SnapshotTooOld { .. } => ErrorKind::Transient,
        Error::InvalidOption { .. } => ErrorKind::Unsupported,
        _ => ErrorKind::Fatal,
    };
    // The engine names its option, which has another spelling here.
    if matches!(error, Error::TransactionTooLarge { .. }) {
        return TargetError::new(
            kind,
            format_args!("{error} (--set palimpsest.max-transaction-size)"),
        );
    }
    TargetError::new(kind, error)
}

/// The database file for a directory; a path that is a file is the database itself.
fn database_file(path: &Path) -> PathBuf {
    if path.is_file() {
        path.to_path_buf()
    } else {
        path.join(FILE_NAME)
    }
}

impl TargetFactory for PalimpsestFactory {
    fn name(&self) -> &str {
        &self.capabilities.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn settings(&self) -> &[EngineSetting] {
        &SETTINGS
    }

    fn check(&self, options: &OpenOptions) -> Result<(), TargetError> {
        refuse_undeclared(&self.capabilities, &SETTINGS, options)?;
        check_sizes(&engine_options(options)?, memory_bytes())
    }

    fn chosen(&self, dir: &Path) -> Result<Vec<(String, String)>, TargetError> {
        let database = Options::new()
            .background(false)
            .open(dir.join(FILE_NAME))
            .map_err(failed)?;
        let sync = database.storage_info().wal_sync;
        drop(database);
        let removed = std::fs::remove_dir_all(dir).and_then(|()| std::fs::create_dir(dir));
        removed.map_err(|error| TargetError::fatal(format!("cannot empty {}: {error}", dir.display())))?;
        Ok(sync
            .map(|sync| ("wal-sync".to_owned(), sync.to_owned()))
            .into_iter()
            .collect())
    }

    fn open(&self, options: &OpenOptions) -> Result<Box<dyn Target>, TargetError> {
        let path = database_file(&options.dir);
        match options.mode {
            OpenMode::Create if path.exists() => {
                return Err(TargetError::fatal(format!("{} exists already", path.display())));
            }
            OpenMode::Create => std::fs::create_dir_all(&options.dir).map_err(|error| {
                TargetError::fatal(format!("cannot make {}: {error}", options.dir.display()))
            })?,
            OpenMode::Existing if !path.exists() => {
                return Err(TargetError::fatal(format!(
                    "there is no database at {}",
                    path.display()
                )));
            }
            OpenMode::Existing => {}
        }
        let engine = engine_options(options)?;
        let database = engine.clone().open(&path).map_err(failed)?;
        let tables = options
            .tables
            .iter()
            .map(|name| match options.mode {
                OpenMode::Create => database.create_table(name),
                OpenMode::Existing => database.table(name),
            })
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        let capabilities = Capabilities {
            key_len_max: Some(key_len_max(database.storage_info().page_size)),
            ..self.capabilities.clone()
        };
        Ok(Box::new(PalimpsestTarget {
            capabilities,
            options: engine,
            database,
            tables,
            path,
        }))
    }
}

/// An open database.
#[derive(Debug)]
struct PalimpsestTarget {
    capabilities: Capabilities,
    /// As it was opened.
    options: Options,
    database: Database,
    tables: Vec<Table>,
    path: PathBuf,
}

impl PalimpsestTarget {
    fn table(&self, table: TableRef) -> Result<Table, TargetError> {
        self.tables.get(table.index()).copied().ok_or_else(|| {
            TargetError::fatal(format!(
                "table {} of a database with {}",
                table.index(),
                self.tables.len()
            ))
        })
    }

    /// Bytes of the data file and of the log's files.
    fn file_bytes(&self) -> Option<u64> {
        let mut total = std::fs::metadata(&self.path).ok()?.len();
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        for entry in std::fs::read_dir(log).ok()? {
            total += entry.ok()?.metadata().ok()?.len();
        }
        Some(total)
    }
}

impl Target for PalimpsestTarget {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn session(&self) -> Result<Box<dyn Session + '_>, TargetError> {
        Ok(Box::new(PalimpsestSession {
            target: self,
            open: Open::Nothing,
            conflict: None,
        }))
    }

    fn sync(&self) -> Result<(), TargetError> {
        self.database.sync().map_err(failed)
    }

    fn checkpoint(&self) -> Result<(), TargetError> {
        self.database.checkpoint().map(|_| ()).map_err(failed)
    }

    fn settings(&self) -> EffectiveSettings {
        let storage = self.database.storage_info();
        let cache_size = self.database.metrics().cache_frames * storage.page_size;
        let mut all = effective(&self.options, storage.wal_sync);
        for (name, value) in &mut all {
            // Those that the database has and not the options.
            match name.as_str() {
                "page-size" => *value = storage.page_size.to_string(),
                "cache-size" => *value = cache_size.to_string(),
                _ => {}
            }
        }
        EffectiveSettings {
            cache_size_bytes: Some(cache_size),
            page_size_bytes: Some(storage.page_size),
            compression: Some(storage.compression.to_lowercase()),
            sync_method: storage.wal_sync.map(str::to_owned),
            all,
        }
    }

    fn stats(&self) -> TargetStats {
        let metrics = self.database.metrics();
        let storage = self.database.storage_info();
        let recovery = self.database.recovery();
        TargetStats {
            commits: Some(metrics.commits),
            rollbacks: Some(metrics.rollbacks),
            flushes: Some(metrics.flushes),
            wal_bytes: Some(metrics.wal_bytes),
            wal_bytes_written: Some(metrics.wal_bytes_written),
            wal_bytes_zeroed: Some(metrics.wal_bytes_zeroed),
            bytes_written: Some(metrics.bytes_written + metrics.wal_bytes_written + metrics.wal_bytes_zeroed),
            bytes_read: Some(metrics.bytes_read),
            checkpoints: Some(metrics.checkpoints),
            checkpoint_ns: Some(metrics.checkpoint_ns),
            pages_read: Some(metrics.pages_read),
            pages_written: Some(metrics.pages_written),
            pages_evicted: Some(metrics.pages_evicted_clean + metrics.pages_evicted_dirty),
            cache_misses: Some(metrics.pages_read),
            lock_waits: Some(metrics.lock_waits),
            lock_wait_ns: Some(metrics.lock_wait_ns),
            conflicts: Some(metrics.conflicts),
            wal_live_bytes: Some(storage.wal_size),
            wal_file_bytes: self
                .file_bytes()
                .and_then(|all| all.checked_sub(storage.file_bytes)),
            file_bytes: self.file_bytes(),
            page_count: Some(storage.page_count),
            pages_free: Some(storage.free_pages),
            pages_dirty: Some(metrics.dirty_pages),
            cache_bytes: Some(storage.page_size * metrics.cache_frames_used),
            version_bytes: Some(metrics.version_bytes),
            compression_ratio: storage.compression_ratio,
            redo_bytes: Some(recovery.bytes),
            redo_ns: Some(recovery.redo_ns),
            last_checkpoint_ms: storage
                .last_checkpoint
                .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
                .map(|since| since.as_millis() as u64),
            commits_per_flush: Some(
                metrics
                    .group_sizes
                    .iter()
                    .map(|&(commits_max, flushes)| GroupSize { commits_max, flushes })
                    .collect(),
            ),
            ..TargetStats::default()
        }
    }

    fn verify(&self) -> Result<(), TargetError> {
        let report = self.database.verify().map_err(failed)?;
        if report.is_sound() {
            Ok(())
        } else {
            Err(TargetError::fatal(report.problems.join("; ")))
        }
    }
}

#[expect(
    clippy::large_enum_variant,
    reason = "there is one in each session, and a box would cost each transaction an allocation"
)]
enum Open<'t> {
    Nothing,
    Reading(Snapshot<'t>),
    Writing {
        transaction: Transaction<'t>,
        wrote: bool,
    },
}

struct PalimpsestSession<'t> {
    target: &'t PalimpsestTarget,
    open: Open<'t>,
    /// The commit that won over this session's last transaction.
    conflict: Option<CommitId>,
}

fn nothing_open() -> TargetError {
    TargetError::fatal("no transaction is open in this session")
}

impl<'t> PalimpsestSession<'t> {
    /// The open transaction if it may write.
    fn writer(&mut self) -> Result<&mut Transaction<'t>, TargetError> {
        match &mut self.open {
            Open::Writing { transaction, .. } => Ok(transaction),
            Open::Reading(_) => Err(TargetError::fatal("a write in a read-only transaction")),
            Open::Nothing => Err(nothing_open()),
        }
    }

    fn note(&mut self, error: Error) -> TargetError {
        if let Error::WriteConflict { winner } = error {
            self.conflict = Some(winner);
        }
        failed(error)
    }

    fn note_write(&mut self) {
        if let Open::Writing { wrote, .. } = &mut self.open {
            *wrote = true;
        }
    }
}

impl Session for PalimpsestSession<'_> {
    fn begin(&mut self, options: &TxOptions) -> Result<(), TargetError> {
        if !matches!(self.open, Open::Nothing) {
            return Err(TargetError::fatal(
                "a transaction is open in this session already",
            ));
        }
        let database = &self.target.database;
        if let Some(winner) = self.conflict.take() {
            database.wait_visible(winner).map_err(failed)?;
        }
        let isolation = match options.isolation {
            Isolation::ReadCommitted => IsolationLevel::ReadCommitted,
            Isolation::Snapshot => IsolationLevel::Snapshot,
            other => {
                return Err(TargetError::unsupported(format!(
                    "palimpsest has no isolation level {other}"
                )));
            }
        };
        let durability = match options.durability {
            Durability::Sync => engine::Durability::Sync,
            Durability::NoSync => engine::Durability::NoSync,
            Durability::InMemory => {
                return Err(TargetError::unsupported("palimpsest keeps its data in files"));
            }
        };
        self.open = if options.read_only {
            Open::Reading(database.snapshot())
        } else {
            let options = engine::TxOptions::new()
                .isolation(isolation)
                .durability(durability);
            Open::Writing {
                transaction: database.begin_with(options).map_err(failed)?,
                wrote: false,
            }
        };
        Ok(())
    }

    fn get(&mut self, table: TableRef, key: &[u8], out: &mut Vec<u8>) -> Result<bool, TargetError> {
        let table = self.target.table(table)?;
        match &mut self.open {
            Open::Reading(snapshot) => snapshot.get_into(table, key, out),
            Open::Writing { transaction, .. } => transaction.get_into(table, key, out),
            Open::Nothing => return Err(nothing_open()),
        }
        .map_err(failed)
    }

    fn get_for_update(
        &mut self,
        table: TableRef,
        key: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, TargetError> {
        let table = self.target.table(table)?;
        let read = self.writer()?.get_for_update_into(table, key, out);
        read.map_err(|error| self.note(error))
    }

    fn put(&mut self, table: TableRef, key: &[u8], value: &[u8]) -> Result<(), TargetError> {
        let table = self.target.table(table)?;
        let put = self.writer()?.put(table, key, value);
        self.note_write();
        put.map_err(|error| self.note(error))
    }

    fn delete(&mut self, table: TableRef, key: &[u8]) -> Result<bool, TargetError> {
        let table = self.target.table(table)?;
        let existed = self
            .writer()?
            .delete(table, key)
            .map_err(|error| self.note(error))?;
        if existed {
            self.note_write();
        }
        Ok(existed)
    }

    fn scan(
        &mut self,
        table: TableRef,
        start: &[u8],
        limit: usize,
        direction: Direction,
        sink: &mut RowBuffer,
    ) -> Result<usize, TargetError> {
        let table = self.target.table(table)?;
        let reverse_all = start.is_empty();
        let scan = match (&mut self.open, direction) {
            (Open::Nothing, _) => return Err(nothing_open()),
            (Open::Reading(snapshot), Direction::Forward) => snapshot.scan(table, start..),
            (Open::Reading(snapshot), Direction::Reverse) if reverse_all => snapshot.scan_rev(table, ..),
            (Open::Reading(snapshot), Direction::Reverse) => snapshot.scan_rev(table, ..=start),
            (Open::Writing { transaction, .. }, Direction::Forward) => transaction.scan(table, start..),
            (Open::Writing { transaction, .. }, Direction::Reverse) if reverse_all => {
                transaction.scan_rev(table, ..)
            }
            (Open::Writing { transaction, .. }, Direction::Reverse) => transaction.scan_rev(table, ..=start),
        };
        let mut scan = scan.map_err(failed)?.limit(limit);
        let mut rows = 0;
        while let Some((key, value)) = scan.next_row().map_err(failed)? {
            sink.push(key, value);
            rows += 1;
        }
        Ok(rows)
    }

    fn commit(&mut self) -> Result<Committed, TargetError> {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => Err(nothing_open()),
            Open::Reading(_) => Ok(Committed::default()),
            Open::Writing { transaction, wrote } => {
                let commit = transaction.commit().map_err(|error| self.note(error))?;
                Ok(Committed {
                    commit_id: wrote.then_some(commit.0),
                })
            }
        }
    }

    fn rollback(&mut self) {
        self.open = Open::Nothing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: TableRef = TableRef(0);

    fn read_write(durability: Durability) -> TxOptions {
        TxOptions::read_write(Isolation::ReadCommitted, durability)
    }

    #[test]
    fn rows_survive_closing_and_both_directions_see_them() {
        let directory = tempfile::tempdir().unwrap();
        let factory = PalimpsestFactory::new();
        let target = factory
            .open(&OpenOptions::create(directory.path(), ["t", "u"]))
            .unwrap();
        let mut session = target.session().unwrap();
        session.begin(&read_write(Durability::Sync)).unwrap();
        for key in [b"a", b"b", b"c"] {
            session.put(T, key, b"1").unwrap();
        }
        let first = session.commit().unwrap().commit_id.unwrap();
        session.begin(&read_write(Durability::NoSync)).unwrap();
        assert!(session.delete(T, b"b").unwrap() && !session.delete(T, b"x").unwrap());
        let mut rows = RowBuffer::new();
        assert_eq!(session.scan(T, b"", 9, Direction::Reverse, &mut rows).unwrap(), 2);
        assert!(session.commit().unwrap().commit_id.unwrap() > first);
        drop(session);
        drop(target);

        let target = factory
            .open(&OpenOptions::existing(directory.path(), ["t", "u"]))
            .unwrap();
        target.verify().unwrap();
        let mut session = target.session().unwrap();
        session
            .begin(&TxOptions {
                read_only: true,
                ..read_write(Durability::Sync)
            })
            .unwrap();
        let keys = |session: &mut dyn Session, start: &[u8], direction| {
            let mut rows = RowBuffer::new();
            session.scan(T, start, 9, direction, &mut rows).unwrap();
            rows.iter().map(|(key, _)| key[0] as char).collect::<String>()
        };
        assert_eq!(keys(session.as_mut(), b"", Direction::Forward), "ac");
        assert_eq!(keys(session.as_mut(), b"b", Direction::Reverse), "a");
        assert!(session.put(T, b"z", b"").is_err(), "read-only");
        assert_eq!(session.commit().unwrap().commit_id, None);
        assert!(target.stats().file_bytes.is_some_and(|bytes| bytes > 0));
    }

    #[test]
    fn a_conflict_is_retryable_and_the_retry_sees_the_winner() {
        let directory = tempfile::tempdir().unwrap();
        let target = PalimpsestFactory::new()
            .open(&OpenOptions::create(directory.path(), ["t"]))
            .unwrap();
        let (mut one, mut two) = (target.session().unwrap(), target.session().unwrap());
        let snapshot = TxOptions::read_write(Isolation::Snapshot, Durability::NoSync);
        two.begin(&snapshot).unwrap();
        one.begin(&snapshot).unwrap();
        one.put(T, b"k", b"one").unwrap();
        one.commit().unwrap();
        let error = two.put(T, b"k", b"two").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        two.rollback();
        two.begin(&snapshot).unwrap();
        let mut out = Vec::new();
        assert!(two.get_for_update(T, b"k", &mut out).unwrap());
        assert_eq!(out, b"one");
    }

    #[test]
    fn what_it_cannot_do_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let factory = PalimpsestFactory::new();
        assert!(
            factory
                .open(&OpenOptions::existing(directory.path(), ["t"]))
                .is_err(),
            "no such database"
        );
        let mut options = OpenOptions::create(directory.path(), ["t"]);
        options.engine_settings = vec![("colour".into(), "blue".into())];
        assert_eq!(
            factory.open(&options).err().unwrap().kind(),
            ErrorKind::Unsupported
        );
        options.engine_settings = vec![
            ("checkpoint".into(), "manual".into()),
            ("page-size".into(), "8192".into()),
        ];
        options.compression = Some("BROTLI".into());
        assert!(factory.open(&options).is_err());
        options.compression = Some("zstd".into());
        let target = factory.open(&options).unwrap();
        assert!(factory.open(&options).is_err(), "it exists already");
        let mut session = target.session().unwrap();
        let error = session.begin(&read_write(Durability::InMemory)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(session.put(T, b"a", b"").is_err(), "no transaction is open");
    }
}
