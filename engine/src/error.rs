//! The one error type of the engine. Every variant says what was asked, where, and whether trying again helps.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{CommitId, PageNumber, TableId};

/// Result of an engine operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong. Cheap to clone, because one failed flush answers a whole commit group.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation.
    #[error("{operation} {}: {source}", path.display())]
    Io {
        /// What was being done, for instance `write`.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: Arc<std::io::Error>,
    },
    /// Bytes read from a file are not what was written there.
    #[error("{} is corrupt at byte {offset}{}: {what}", file.display(), page.map(|p| format!(" (page {p})")).unwrap_or_default())]
    Corruption {
        /// The damaged file.
        file: PathBuf,
        /// The page that the bytes belong to, where known.
        page: Option<PageNumber>,
        /// Offset of the damaged block in the file, in bytes.
        offset: u64,
        /// What was wrong.
        what: String,
    },
    /// The file is not a Palimpsest database.
    #[error("{} is not a Palimpsest database: {what}", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// Why not.
        what: String,
    },
    /// Written in another version of the format, older or newer.
    #[error(
        "{} has format version {found}; this build reads version {supported}: {}", path.display(),
        if found < supported {
            "an older build wrote it, so read it with that build and write its rows into a new database"
        } else {
            "a newer build wrote it, so open it with that one"
        }
    )]
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        found: u32,
        /// The version that this build understands.
        supported: u32,
    },
    /// Parts of a database that do not belong together: a data file and a log of different databases or time lines, or
    /// one of the two without the other.
    #[error("{}: {what}", path.display())]
    Mismatch {
        /// The file or directory that does not fit.
        path: PathBuf,
        /// What does not fit, and what to do.
        what: String,
    },
    /// The database file or its log is no longer at its name, or something else is.
    #[error(
        "{} was moved, replaced or removed while the database was open, so nothing more is written; close it, put data file and log back side by side, and open it again",
        path.display()
    )]
    Moved {
        /// The name.
        path: PathBuf,
    },
    /// The database was opened for reading only.
    #[error("the database was opened for reading only (Options::read_only)")]
    ReadOnly,
    /// The operating system does not let this process write the database.
    #[error("{} cannot be written ({source}); to read the database, open it with Options::read_only(true)", path.display())]
    NotWritable {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: Arc<std::io::Error>,
    },
    /// Another process or handle has the database open.
    #[error("{} is in use: another process or handle has it open; close that one first", path.display())]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// After a failed flush, a panic, or a commit that could not be completed, nothing more can be promised until the
    /// database is opened again.
    #[error("the database has stopped accepting commits: {cause}; open it again to recover")]
    Poisoned {
        /// The first failure.
        cause: Arc<str>,
    },
    /// A key longer than a page of this size can index.
    #[error("key of {len} bytes: the longest key is {max} bytes with this page size")]
    KeyTooLarge {
        /// Length asked for, in bytes.
        len: usize,
        /// Longest possible, in bytes.
        max: usize,
    },
    /// A value longer than 1 GiB.
    #[error("value of {len} bytes: the longest value is {max} bytes")]
    ValueTooLarge {
        /// Length asked for, in bytes.
        len: usize,
        /// Longest possible, in bytes.
        max: usize,
    },
    /// No table of that name is visible.
    #[error("no table named `{name}`")]
    NoSuchTable {
        /// The name asked for.
        name: String,
    },
    /// The handle is of a table that has been dropped, and the reader's snapshot is not older than that.
    #[error("table {table} was dropped{}; get the handle of a table that exists", commit.map(|c| format!(" by commit {c}")).unwrap_or_default())]
    TableDropped {
        /// The table.
        table: TableId,
        /// The commit that dropped it, as long as that is remembered.
        commit: Option<CommitId>,
    },
    /// A table of that name exists already.
    #[error("a table named `{name}` exists already")]
    TableExists {
        /// The name asked for.
        name: String,
    },
    /// Another transaction changed the row after this transaction's snapshot; trying again helps.
    #[error(
        "write conflict: the row was changed by commit {winner}, after this transaction's snapshot; run the transaction again"
    )]
    WriteConflict {
        /// The commit that won. A retry should first wait until it is visible (`Database::wait_visible`).
        winner: CommitId,
    },
    /// A row stayed locked by another transaction for the whole `busy_timeout`; trying again may help.
    #[error(
        "busy: another transaction held the row for {waited:?}; run the transaction again, or raise busy_timeout"
    )]
    Busy {
        /// How long this transaction waited.
        waited: Duration,
    },
    /// The transaction's write set passed its budget.
    #[error(
        "transaction too large: {bytes} bytes of changes pass the limit of {max}; commit more often or raise max_transaction_size"
    )]
    TransactionTooLarge {
        /// Size of the write set, in bytes.
        bytes: usize,
        /// `Options::max_transaction_size`.
        max: usize,
    },
    /// The row versions that the snapshot needs have been dropped.
    #[error("snapshot too old: row versions of commit {snapshot} were dropped to stay within version_budget")]
    SnapshotTooOld {
        /// The snapshot's commit.
        snapshot: CommitId,
    },
    /// `begin_at` was asked for a commit that has not happened or is not visible yet.
    #[error("commit {asked} is not visible yet; the newest visible commit is {newest}")]
    NotYetVisible {
        /// The commit asked for.
        asked: CommitId,
        /// The newest visible commit.
        newest: CommitId,
    },
    /// All frames of the page cache are in use.
    #[error("the page cache of {frames} pages is exhausted; raise cache_size")]
    CacheExhausted {
        /// Number of page frames.
        frames: usize,
    },
    /// An option is out of its range.
    #[error("option {name} = {value}: expected {expected}")]
    InvalidOption {
        /// The option's name.
        name: &'static str,
        /// The value given.
        value: String,
        /// What would have been accepted.
        expected: String,
    },
    /// The page number space or another fixed capacity is used up.
    #[error("{what} is full: {limit} is the limit")]
    CapacityExceeded {
        /// Which one.
        what: &'static str,
        /// Its limit.
        limit: u64,
    },
}

impl Error {
    /// Wraps an operating-system error with what was being done to which file.
    pub fn io(operation: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            operation,
            path: path.to_path_buf(),
            source: Arc::new(source),
        }
    }

    /// Parts of a database that do not belong together.
    pub(crate) fn mismatch(path: &Path, what: impl Into<String>) -> Self {
        Self::Mismatch {
            path: path.to_path_buf(),
            what: what.into(),
        }
    }

    /// A damaged block of `file` at `offset`.
    pub fn corruption(file: &Path, page: Option<PageNumber>, offset: u64, what: impl Into<String>) -> Self {
        Self::Corruption {
            file: file.to_path_buf(),
            page,
            offset,
            what: what.into(),
        }
    }

    /// Whether running the same transaction again can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::WriteConflict { .. } | Self::Busy { .. })
    }

    /// For an opening that is to write: what to do where that is not allowed.
    pub(crate) fn or_not_writable(self) -> Self {
        match self {
            Self::Io { path, source, .. }
                if matches!(
                    source.kind(),
                    std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Self::NotWritable { path, source }
            }
            other => other,
        }
    }

    /// A snapshot is too old.
    pub(crate) fn too_old(snapshot: CommitId) -> Self {
        crate::reach::mark(crate::reach::Mechanism::SnapshotTooOld);
        Self::SnapshotTooOld { snapshot }
    }

    /// Whether bytes of a file could not be read, or were not what was written there.
    pub(crate) fn is_unreadable(&self) -> bool {
        match self {
            Self::Corruption { .. } => true,
            Self::Io { operation, .. } => *operation == "read",
            _ => false,
        }
    }

    /// Whether there was no room: the device is full, a quota used up, or the file as long as it may be.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge))
    }
}
