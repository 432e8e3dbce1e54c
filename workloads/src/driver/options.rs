//! How to open a database and how to begin a transaction.

use std::path::PathBuf;
use std::time::Duration;

use super::{Durability, Isolation};

/// Whether the database is expected to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OpenMode {
    /// The directory is empty or absent: make a new database with the tables. An existing one is an error (`create-new`).
    #[default]
    Create,
    /// The database exists: open it (with whatever recovery that takes). A missing one is an error
    /// (`open-missing`).
    Existing,
}

/// How to open a database. Options that an engine cannot honour are an
/// [`Unsupported`](super::ErrorKind::Unsupported) error, never ignored, except where a field says otherwise
/// (`compression-refused`, `setting-refused`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// Directory for all files of the database; made if absent. Ignored by engines in memory.
    pub dir: PathBuf,
    /// New or existing.
    pub mode: OpenMode,
    /// Names of the tables; [`TableRef`](super::TableRef) counts through them.
    pub tables: Vec<String>,
    /// Memory for cached data, in bytes; `None` leaves the engine's default. Ignored, and to be reported as not
    /// honoured, where [`Capabilities::cache_size`](super::Capabilities::cache_size) is false.
    pub cache_size_bytes: Option<u64>,
    /// The durability that the transactions of this run will ask for, for engines that fix it at open. One that is not declared is
    /// refused here or when a transaction begins (`durability-refused`).
    pub durability: Durability,
    /// How long a transaction waits for another's lock before [`Busy`](super::ErrorKind::Busy) (`busy`).
    pub busy_timeout: Duration,
    /// Compression of stored data by name, for instance `LZ4`; `None` leaves the engine's default.
    pub compression: Option<String>,
    /// Settings for one engine only, as name and value. An engine answers an unknown name with an error.
    pub engine_settings: Vec<(String, String)>,
}

impl OpenOptions {
    /// A new database in `dir` with these tables, synchronous commits, and engine defaults elsewhere.
    pub fn create(dir: impl Into<PathBuf>, tables: impl IntoIterator<Item = impl Into<String>>) -> Self {
        OpenOptions {
            dir: dir.into(),
            mode: OpenMode::Create,
            tables: tables.into_iter().map(Into::into).collect(),
            cache_size_bytes: None,
            durability: Durability::Sync,
            busy_timeout: Duration::from_secs(5),
            compression: None,
            engine_settings: Vec::new(),
        }
    }

    /// As [`create`](Self::create), for a database that exists.
    pub fn existing(dir: impl Into<PathBuf>, tables: impl IntoIterator<Item = impl Into<String>>) -> Self {
        OpenOptions {
            mode: OpenMode::Existing,
            ..Self::create(dir, tables)
        }
    }
}

/// How to begin a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxOptions {
    /// The transaction will not write; engines may then use a cheaper form. Writing in it is an error (`read-only`).
    pub read_only: bool,
    /// Isolation level. One that is not declared is refused (`isolation-refused`), also where the engine's own is stronger.
    pub isolation: Isolation,
    /// What the commit must survive before it is acknowledged.
    pub durability: Durability,
}

impl TxOptions {
    /// A transaction that may write.
    pub fn read_write(isolation: Isolation, durability: Durability) -> Self {
        TxOptions {
            read_only: false,
            isolation,
            durability,
        }
    }

    /// A transaction that only reads.
    pub fn read_only(isolation: Isolation, durability: Durability) -> Self {
        TxOptions {
            read_only: true,
            isolation,
            durability,
        }
    }
}
