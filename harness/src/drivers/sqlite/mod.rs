//! `sqlite`: SQLite in WAL mode, built from the source that the crate `rusqlite` brings along (feature `sqlite`).
//!
//! The database is the file `sqlite.db` in the directory of the options. What it is asked for, and what SQLite then does:
//!
//! | asked for | done |
//! |---|---|
//! | a table | `CREATE TABLE (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID`: one B-tree, rows in it |
//! | durability sync | `synchronous = FULL`: each commit waits for a sync of the WAL |
//! | durability no-sync | `synchronous = NORMAL`: syncs only at checkpoints; a loss of power costs the last commits and damages nothing. `OFF` would be faster, but there a loss of power may damage the file |
//! | a transaction that writes | `BEGIN IMMEDIATE`: it waits for the one writer's place, up to the busy timeout |
//! | a transaction that only reads | `BEGIN`: one snapshot from its first read |
//! | isolation | always SERIALIZABLE, since there is one writer at a time and readers see a snapshot |
//! | a checkpoint | `wal_checkpoint(TRUNCATE)` |
//! | verification | `PRAGMA integrity_check` |
//!
//! Each session has its own connection, with prepared statements that are kept. SQLite's page cache belongs to the
//! connection, so the cache size of the options is that of *each* session. Memory mapping of the data file is off; the
//! WAL index (`-shm`) is mapped, as it always is. There are no commit IDs.

mod options;
mod session;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use workloads::driver::{
    Capabilities, Durability, EffectiveSettings, EngineSetting, ErrorKind, Isolation, OpenMode, OpenOptions,
    Session, Target, TargetError, TargetFactory, TargetStats, refuse_undeclared,
};

use options::{Pragmas, SETTINGS, effective};
use session::SqliteSession;

/// The database file's name in its directory.
const FILE_NAME: &str = "sqlite.db";
/// Statements kept for each table: get, put, delete, three kinds of scan.
const STATEMENTS: usize = 6;
/// Longest key or value (`SQLITE_MAX_LENGTH` as SQLite is built by default).
const LEN_MAX: usize = 1_000_000_000;
/// Problems that `integrity_check` may list.
const PROBLEMS_MAX: usize = 10;

/// Makes [`SqliteTarget`]s.
#[derive(Debug)]
pub(crate) struct SqliteFactory {
    capabilities: Capabilities,
    syncs: bool,
}

impl SqliteFactory {
    /// The factory registered as `sqlite`.
    pub(crate) fn new() -> Self {
        let capabilities = Capabilities {
            name: "sqlite".into(),
            version: rusqlite::version().into(),
            description: "SQLite in WAL mode: one writer, snapshot readers; cache size is for each session"
                .into(),
            durabilities: BTreeSet::from([Durability::Sync, Durability::NoSync]),
            isolations: BTreeSet::from([Isolation::Serializable]),
            concurrent_writers: false,
            persistent: true,
            checkpoint: true,
            verify: true,
            commit_ids: false,
            locks_rows: true,
            cache_size: true,
            compressions: BTreeSet::new(),
            key_len_max: Some(LEN_MAX),
            value_len_max: Some(LEN_MAX),
        };
        Self {
            capabilities,
            syncs: true,
        }
    }

    /// An injected bug, known by name only: `synchronous = OFF` whatever durability is asked for.
    #[cfg(debug_assertions)]
    pub(crate) fn unsynced() -> Self {
        let mut factory = Self::new();
        factory.capabilities.name.push_str("-unsynced");
        factory.syncs = false;
        factory
    }
}

/// Turns SQLite's error into the traits' own.
fn failed(error: rusqlite::Error) -> TargetError {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Busy,
        _ => ErrorKind::Fatal,
    };
    TargetError::new(kind, error)
}

/// How every connection to a database is set up.
#[derive(Clone, Debug)]
struct Settings {
    path: PathBuf,
    cache_size_bytes: Option<u64>,
    busy_timeout: Duration,
    durability: Durability,
    pragmas: Pragmas,
    tables: usize,
}

impl Settings {
    fn connect(&self, mode: OpenMode) -> Result<Connection, TargetError> {
        let create = match mode {
            OpenMode::Create => OpenFlags::SQLITE_OPEN_CREATE,
            OpenMode::Existing => OpenFlags::empty(),
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(failed)?;
        connection.busy_timeout(self.busy_timeout).map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS * self.tables + 8);
        self.pragmas.apply(&connection).map_err(failed)?;
        if let Some(bytes) = self.cache_size_bytes {
            // Negative: in KiB.
            let kib = i64::try_from((bytes / 1024).max(1)).unwrap_or(i64::MAX);
            connection
                .pragma_update(None, "cache_size", -kib)
                .map_err(failed)?;
        }
        Ok(connection)
    }
}

/// `name` as an SQL identifier.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl TargetFactory for SqliteFactory {
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
        Pragmas::of(options).map(drop)
    }

    fn open(&self, options: &OpenOptions) -> Result<Box<dyn Target>, TargetError> {
        Ok(Box::new(self.make(options)?))
    }
}

impl SqliteFactory {
    fn make(&self, options: &OpenOptions) -> Result<SqliteTarget, TargetError> {
        self.check(options)?;
        let path = options.dir.join(FILE_NAME);
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
        let settings = Settings {
            path,
            cache_size_bytes: options.cache_size_bytes,
            busy_timeout: options.busy_timeout,
            durability: options.durability,
            pragmas: Pragmas::of(options)?,
            tables: options.tables.len(),
        };
        let connection = settings.connect(options.mode)?;
        let synchronous = if self.syncs { "FULL" } else { "OFF" };
        connection
            .pragma_update(None, "synchronous", synchronous)
            .map_err(failed)?;
        let journal: String = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
            .map_err(failed)?;
        if journal != "wal" {
            return Err(TargetError::fatal(format!(
                "{} stays in journal mode {journal}; WAL needs shared memory, which this file system may not have",
                settings.path.display()
            )));
        }
        let statements: Vec<Statements> = options
            .tables
            .iter()
            .map(|name| Statements::new(&quoted(name)))
            .collect();
        for (name, statements) in options.tables.iter().zip(&statements) {
            match options.mode {
                OpenMode::Create => {
                    let table = quoted(name);
                    connection
                        .execute_batch(&format!(
                            "CREATE TABLE {table} (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID"
                        ))
                        .map_err(failed)?;
                }
                // Fails now, and not in the middle of the work, when the table is missing.
                OpenMode::Existing => drop(connection.prepare(&statements.get).map_err(failed)?),
            }
        }
        Ok(SqliteTarget {
            capabilities: self.capabilities.clone(),
            settings,
            statements,
            syncs: self.syncs,
            maintenance: Mutex::new(connection),
            commits: AtomicU64::new(0),
            rollbacks: AtomicU64::new(0),
        })
    }
}

/// The statements of one table.
#[derive(Debug)]
struct Statements {
    get: String,
    put: String,
    delete: String,
    scan_forward: String,
    scan_reverse: String,
    scan_reverse_all: String,
}

impl Statements {
    fn new(table: &str) -> Self {
        Self {
            get: format!("SELECT v FROM {table} WHERE k = ?1"),
            put: format!(
                "INSERT INTO {table} (k, v) VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = excluded.v"
            ),
            delete: format!("DELETE FROM {table} WHERE k = ?1"),
            scan_forward: format!("SELECT k, v FROM {table} WHERE k >= ?1 ORDER BY k LIMIT ?2"),
            scan_reverse: format!("SELECT k, v FROM {table} WHERE k <= ?1 ORDER BY k DESC LIMIT ?2"),
            scan_reverse_all: format!("SELECT k, v FROM {table} ORDER BY k DESC LIMIT ?1"),
        }
    }
}

/// An open database.
#[derive(Debug)]
struct SqliteTarget {
    capabilities: Capabilities,
    settings: Settings,
    statements: Vec<Statements>,
    syncs: bool,
    /// Open as long as the database is, so that the WAL is not thrown away between sessions.
    maintenance: Mutex<Connection>,
    commits: AtomicU64,
    rollbacks: AtomicU64,
}

impl SqliteTarget {
    fn maintain<T>(
        &self,
        what: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, TargetError> {
        let connection = self.maintenance.lock().map_err(|_| {
            TargetError::fatal("a thread panicked while it used the connection for maintenance")
        })?;
        what(&connection).map_err(failed)
    }

    fn side_file(&self, suffix: &str) -> PathBuf {
        let mut name = self.settings.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }
}

fn file_len(path: &Path) -> Option<u64> {
    match std::fs::metadata(path) {
        Ok(metadata) => Some(metadata.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(0),
        Err(_) => None,
    }
}

impl Target for SqliteTarget {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn session(&self) -> Result<Box<dyn Session + '_>, TargetError> {
        Ok(Box::new(SqliteSession::new(self)?))
    }

    fn sync(&self) -> Result<(), TargetError> {
        // A synchronous commit syncs the WAL with everything before it; an empty one would not.
        self.maintain(|connection| {
            let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            connection.pragma_update(None, "user_version", version.wrapping_add(1))
        })
    }

    fn checkpoint(&self) -> Result<(), TargetError> {
        let (frames, copied): (i64, i64) = self.maintain(|connection| {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                Ok((row.get(1)?, row.get(2)?))
            })
        })?;
        // Readers may keep the WAL from being cut; that costs space, and the checkpoint is complete all the same.
        if frames == copied {
            Ok(())
        } else {
            Err(TargetError::busy(format!(
                "the checkpoint copied {copied} of {frames} frames: others were in its way"
            )))
        }
    }

    fn settings(&self) -> EffectiveSettings {
        let pragma = |name: &str| {
            let connection = self.maintenance.try_lock().ok()?;
            connection
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                .ok()
        };
        let page_size = pragma("page_size").and_then(|bytes| u64::try_from(bytes).ok());
        // Negative: in KiB; else in pages.
        let cache_size = pragma("cache_size").and_then(|size| match u64::try_from(size) {
            Ok(pages) => Some(pages * page_size?),
            Err(_) => Some(size.unsigned_abs() * 1024),
        });
        let all = self
            .maintenance
            .try_lock()
            .map(|connection| effective(&connection));
        EffectiveSettings {
            cache_size_bytes: cache_size,
            page_size_bytes: page_size,
            compression: Some("none".into()),
            sync_method: Some(match (self.syncs, self.settings.durability) {
                (true, Durability::Sync) => "synchronous=FULL".into(),
                (true, _) => "synchronous=NORMAL".into(),
                (false, _) => "synchronous=OFF".into(),
            }),
            all: all.unwrap_or_default(),
        }
    }

    fn stats(&self) -> TargetStats {
        // While a checkpoint or a verification has the connection, these figures are missing.
        let pages = |pragma: &str| {
            let connection = self.maintenance.try_lock().ok()?;
            let pages: i64 = connection
                .pragma_query_value(None, pragma, |row| row.get(0))
                .ok()?;
            u64::try_from(pages).ok()
        };
        let log = file_len(&self.side_file("-wal"));
        TargetStats {
            commits: Some(self.commits.load(Ordering::Relaxed)),
            rollbacks: Some(self.rollbacks.load(Ordering::Relaxed)),
            file_bytes: file_len(&self.settings.path)
                .zip(log)
                .map(|(data, log)| data + log),
            page_count: pages("page_count"),
            pages_free: pages("freelist_count"),
            ..TargetStats::default()
        }
    }

    fn verify(&self) -> Result<(), TargetError> {
        let problems: Vec<String> = self.maintain(|connection| {
            connection
                .prepare(&format!("PRAGMA integrity_check({PROBLEMS_MAX})"))?
                .query_map([], |row| row.get(0))?
                .collect()
        })?;
        if problems == ["ok"] {
            Ok(())
        } else {
            Err(TargetError::fatal(problems.join("; ")))
        }
    }
}
