//! How to open a database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::compress::{Codec, new_compressor};
use crate::database::Database;
use crate::error::{Error, Result};
use crate::page::layout::{PAGE_SIZE_MAX, PAGE_SIZE_MIN};
use crate::vfs::{OsVfs, Vfs};
pub use crate::wal::WalSync;

/// Largest page cache, in bytes.
const CACHE_SIZE_MAX: usize = 1 << 40;

/// Options of a database, as a builder.
///
/// ```
/// use engine::Options;
/// # fn main() -> engine::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let path = dir.path().join("accounts.db");
/// let db = Options::new().cache_size(64 << 20).compression("LZ4", 0)?.open(&path)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) page_size: usize,
    pub(crate) cache_size: usize,
    pub(crate) codec: Codec,
    pub(crate) codec_level: i32,
    pub(crate) busy_timeout: Duration,
    pub(crate) max_transaction_size: usize,
    pub(crate) version_budget: usize,
    pub(crate) keep_versions: usize,
    pub(crate) wal_segment_size: u64,
    pub(crate) wal_sync: WalSync,
    pub(crate) checkpoint_pages: usize,
    pub(crate) checkpoint_wal_bytes: u64,
    pub(crate) checkpoint_interval: Option<Duration>,
    pub(crate) background: bool,
    pub(crate) redo_threads: usize,
    pub(crate) read_only: bool,
    pub(crate) vfs: Arc<dyn Vfs>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            page_size: 16 << 10,
            cache_size: 256 << 20,
            codec: Codec::None,
            codec_level: 0,
            busy_timeout: Duration::from_secs(5),
            max_transaction_size: 1 << 30,
            version_budget: 256 << 20,
            keep_versions: 1,
            wal_segment_size: 16 << 20,
            wal_sync: WalSync::Auto,
            checkpoint_pages: usize::MAX,
            checkpoint_wal_bytes: 256 << 20,
            checkpoint_interval: Some(Duration::from_secs(60)),
            background: true,
            redo_threads: std::thread::available_parallelism().map_or(1, usize::from),
            read_only: false,
            vfs: Arc::new(OsVfs::default()),
        }
    }
}

impl Options {
    /// The defaults: pages of 16 KiB, a cache of 256 MiB, no compression.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Page size in bytes of a database that is created: a power of two from 4096 to 65536. Default 16384.
    #[must_use]
    pub fn page_size(mut self, bytes: usize) -> Self {
        self.page_size = bytes;
        self
    }

    /// Memory for pages, in bytes; at least 64 pages. Default 256 MiB.
    #[must_use]
    pub fn cache_size(mut self, bytes: usize) -> Self {
        self.cache_size = bytes;
        self
    }

    /// Codec for pages written from now on: `NONE` (default), `LZ4`, or `ZSTD` with a level from 1 to 19.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for an unknown name or a level out of range.
    pub fn compression(mut self, name: &str, level: i32) -> Result<Self> {
        let compressor = new_compressor(name, level)?;
        self.codec = compressor.codec();
        self.codec_level = compressor.level();
        Ok(self)
    }

    /// How long a write waits for a row that another transaction has locked. Zero: do not wait. Default 5 s. In
    /// [`Database::write`] it bounds all waits of all attempts together, otherwise each wait.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Most bytes of changes one transaction may hold, with its savepoints and row locks. Default 1 GiB.
    #[must_use]
    pub fn max_transaction_size(mut self, bytes: usize) -> Self {
        self.max_transaction_size = bytes;
        self
    }

    /// Most bytes of former row versions to hold for open snapshots. Past it the oldest snapshots get
    /// [`Error::SnapshotTooOld`]. Default 256 MiB; less than a few of the longest rows (16 KiB with pages of 4 KiB, 128 KiB
    /// with pages of 64 KiB) counts as that much.
    #[must_use]
    pub fn version_budget(mut self, bytes: usize) -> Self {
        self.version_budget = bytes;
        self
    }

    /// How many committed versions of each row stay readable by [`Database::begin_at`], counting the current one.
    /// Default 1: only what open snapshots need. Deleted rows count like others, so with more than 1 their last version
    /// stays until `version_budget` asks for its memory; dropped tables are not kept.
    #[must_use]
    pub fn keep_versions(mut self, count: usize) -> Self {
        self.keep_versions = count;
        self
    }

    /// Size of the largest log segments in bytes, a multiple of 4096, of a database that is created. A log begins with segments
    /// of 256 KiB (or four pages) and has larger ones under load. Default 16 MiB.
    #[must_use]
    pub fn wal_segment_size(mut self, bytes: u64) -> Self {
        self.wal_segment_size = bytes;
        self
    }

    /// How the log is made durable. Default: whatever a short probe at open finds faster.
    #[must_use]
    pub fn wal_sync(mut self, sync: WalSync) -> Self {
        self.wal_sync = sync;
        self
    }

    /// Checkpoint when this many pages have changed. Default: no limit of its own.
    #[must_use]
    pub fn checkpoint_pages(mut self, pages: usize) -> Self {
        self.checkpoint_pages = pages;
        self
    }

    /// Checkpoint when this many bytes of log have been written since the last one. Default 256 MiB.
    #[must_use]
    pub fn checkpoint_wal_bytes(mut self, bytes: u64) -> Self {
        self.checkpoint_wal_bytes = bytes;
        self
    }

    /// Checkpoint after this time if anything has changed. Default 60 s; `None` for never.
    #[must_use]
    pub fn checkpoint_interval(mut self, interval: Option<Duration>) -> Self {
        self.checkpoint_interval = interval;
        self
    }

    /// Whether a background thread checkpoints, prepares log segments and gives back what is not needed. Default yes.
    /// Without it there are checkpoints only when asked for, and committers do a little of the rest when their commit is done;
    /// that makes a test deterministic.
    #[must_use]
    pub fn background(mut self, on: bool) -> Self {
        self.background = on;
        self
    }

    /// Threads that redo the log at open. Default: one for each processor.
    #[must_use]
    pub fn redo_threads(mut self, threads: usize) -> Self {
        self.redo_threads = threads.max(1);
        self
    }

    /// Opens an existing database for reading only: nothing of it is written, no file is made, and files and directory need
    /// not be writable. Commits that are only in the log are redone in memory, so `cache_size` has to hold the pages that they
    /// changed. Any number of handles and processes can have a database open like this at once, but none beside one that
    /// writes. Read with [`Database::snapshot`]; everything that would write gives [`Error::ReadOnly`]. Default no.
    #[must_use]
    pub fn read_only(mut self, on: bool) -> Self {
        self.read_only = on;
        self
    }

    /// The file system, clock and randomness to use. Default: the operating system's.
    #[must_use]
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = vfs;
        self
    }

    /// Opens the database file `path`, creating it if it does not exist, and recovers it if it was not closed.
    ///
    /// # Errors
    /// [`Error::Locked`] when another handle has it open, [`Error::NotADatabase`] and [`Error::Corruption`] for files
    /// that are foreign or damaged, [`Error::Mismatch`] for a data file and a log that do not belong together,
    /// [`Error::NotWritable`] where only [`Options::read_only`] can help, [`Error::InvalidOption`], [`Error::Io`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<Database> {
        self.check()?;
        Database::open_with(path.as_ref(), self)
    }

    /// Every option but the file system with its value, by the names of the methods here: sizes in bytes, times in
    /// milliseconds, `never` for no limit. For records of what a database ran with.
    #[must_use]
    pub fn values(&self) -> Vec<(&'static str, String)> {
        // Named one by one, so that none is forgotten.
        let Self {
            page_size,
            cache_size,
            codec,
            codec_level,
            busy_timeout,
            max_transaction_size,
            version_budget,
            keep_versions,
            wal_segment_size,
            wal_sync,
            checkpoint_pages,
            checkpoint_wal_bytes,
            checkpoint_interval,
            background,
            redo_threads,
            read_only,
            vfs: _,
        } = self;
        let number = |value: &usize| value.to_string();
        let milliseconds = |time: &Duration| time.as_millis().to_string();
        let limit = |value: u64| match value {
            u64::MAX => "never".to_owned(),
            value => value.to_string(),
        };
        let level = match codec_level {
            0 => String::new(),
            level => format!(":{level}"),
        };
        vec![
            ("page_size", number(page_size)),
            ("cache_size", number(cache_size)),
            ("compression", format!("{}{level}", codec.name())),
            ("busy_timeout", milliseconds(busy_timeout)),
            ("max_transaction_size", number(max_transaction_size)),
            ("version_budget", number(version_budget)),
            ("keep_versions", number(keep_versions)),
            ("wal_segment_size", wal_segment_size.to_string()),
            ("wal_sync", wal_sync.name().to_owned()),
            ("checkpoint_pages", limit(*checkpoint_pages as u64)),
            ("checkpoint_wal_bytes", limit(*checkpoint_wal_bytes)),
            (
                "checkpoint_interval",
                checkpoint_interval
                    .as_ref()
                    .map_or_else(|| "never".to_owned(), milliseconds),
            ),
            ("background", background.to_string()),
            ("redo_threads", number(redo_threads)),
            ("read_only", read_only.to_string()),
        ]
    }

    /// Checks the ranges, as [`Options::open`] does first.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] naming the option, its value and what was expected.
    pub fn check(&self) -> Result<()> {
        let invalid = |name, value: String, expected: &str| Error::InvalidOption {
            name,
            value,
            expected: expected.to_owned(),
        };
        if !self.page_size.is_power_of_two() || !(PAGE_SIZE_MIN..=PAGE_SIZE_MAX).contains(&self.page_size) {
            let expected = "a power of two from 4096 to 65536";
            return Err(invalid("page_size", self.page_size.to_string(), expected));
        }
        if self.cache_size > CACHE_SIZE_MAX {
            return Err(invalid(
                "cache_size",
                self.cache_size.to_string(),
                "at most 1 TiB",
            ));
        }
        // The log must be able to hold a page image in one frame.
        if !self.wal_segment_size.is_multiple_of(4096)
            || self.wal_segment_size < 4 * self.page_size as u64
            || self.wal_segment_size > crate::wal::WalOptions::SEGMENT_SIZE_MAX
        {
            let expected = "a multiple of 4096, from four pages to 1 GiB";
            return Err(invalid(
                "wal_segment_size",
                self.wal_segment_size.to_string(),
                expected,
            ));
        }
        if self.keep_versions == 0 {
            return Err(invalid(
                "keep_versions",
                "0".into(),
                "at least 1, the current version",
            ));
        }
        Ok(())
    }
}
