//! What a crash test does to a database: a list of steps that can be written down, cut shorter and run again.
//!
//! Several transactions can be open at once, each in a slot of its own, so a script on one thread has the interleavings
//! of several sessions and is still exactly repeatable. Only [`Step::Together`] uses threads.

use std::sync::Arc;
use std::time::Duration;

use engine::vfs::SimulatedVfs;
use engine::{Options, WalSync};
use serde::{Deserialize, Serialize};

/// A table, by number.
pub(crate) type TableNumber = u8;
/// A row's key, by number.
pub(crate) type KeyNumber = u32;

/// The bytes of a row's value, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Value {
    /// Length in bytes.
    pub len: u32,
    /// Tells values of the same row and length apart.
    pub version: u32,
}

/// One thing to do. Slots number open transactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// Make a table, durably.
    CreateTable(TableNumber),
    /// Drop a table, durably.
    DropTable(TableNumber),
    /// Begin a transaction.
    Begin {
        slot: u8,
        /// Its commit is to be durable when it returns.
        sync: bool,
    },
    /// Write a row.
    Put {
        slot: u8,
        table: TableNumber,
        key: KeyNumber,
        value: Value,
    },
    /// Delete a row.
    Delete {
        slot: u8,
        table: TableNumber,
        key: KeyNumber,
    },
    /// Set the transaction's savepoint.
    Savepoint { slot: u8 },
    /// Go back to the transaction's savepoint.
    RollbackTo { slot: u8 },
    /// Commit.
    Commit { slot: u8 },
    /// Roll back.
    Rollback { slot: u8 },
    /// Make all commits durable.
    Sync,
    /// Take a checkpoint.
    Checkpoint,
    /// Drop old row versions, ghosts and the pages of dropped tables.
    Collect,
    /// Close the database and open it again.
    Reopen,
    /// Lose the process, without closing, and open the database again.
    Restart,
    /// Commit from several threads at once, each its own rows.
    Together {
        threads: u8,
        commits: u8,
        table: TableNumber,
        /// First key; the threads use those that follow.
        key: KeyNumber,
        len: u32,
        /// Another thread takes checkpoints meanwhile.
        #[serde(default)]
        checkpoint: bool,
    },
}

impl Step {
    /// What the database is doing in this step, for counting crash points.
    pub(crate) fn phase(&self) -> &'static str {
        match self {
            Self::CreateTable(_) | Self::DropTable(_) => "tables",
            Self::Begin { .. }
            | Self::Put { .. }
            | Self::Delete { .. }
            | Self::Savepoint { .. }
            | Self::RollbackTo { .. }
            | Self::Rollback { .. } => "transaction",
            Self::Commit { .. } => "commit",
            Self::Together { .. } => "group commit",
            Self::Sync => "flush",
            Self::Checkpoint => "checkpoint",
            Self::Collect => "housekeeping",
            Self::Reopen => "close and open",
            Self::Restart => "recovery",
        }
    }
}

/// How the database is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// Size of a log segment, in bytes.
    pub segment_bytes: u64,
    /// Pages of memory.
    pub cache_pages: usize,
    /// Compression of pages.
    pub compression: String,
    /// The log is flushed by direct, synchronous writes; else by writes and `fdatasync`.
    pub direct: bool,
}

/// Page size of every crash test, in bytes: the smallest, so that small databases have many pages.
pub(crate) const PAGE_BYTES: usize = 4096;

/// Memory for old row versions, in bytes: little, so that opening is quick.
const VERSION_BUDGET_BYTES: usize = 256 << 10;

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 10,
            cache_pages: 64,
            compression: "NONE".into(),
            direct: false,
        }
    }
}

impl Settings {
    /// Options of a database in `vfs`: everything happens when a step asks for it, and nothing waits.
    ///
    /// # Errors
    /// An unknown compression.
    pub(crate) fn options(&self, vfs: &SimulatedVfs) -> engine::Result<Options> {
        Ok(Options::new()
            .page_size(PAGE_BYTES)
            .cache_size(self.cache_pages * (PAGE_BYTES + 64))
            .compression(&self.compression, 1)?
            .wal_segment_size(self.segment_bytes)
            .wal_sync(if self.direct {
                WalSync::Direct
            } else {
                WalSync::Fdatasync
            })
            .busy_timeout(Duration::ZERO)
            .version_budget(VERSION_BUDGET_BYTES)
            .checkpoint_interval(None)
            .background(false)
            .redo_threads(1)
            .vfs(Arc::new(vfs.clone())))
    }
}

/// A crash test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Script {
    /// Its name, for instance `split`.
    pub name: String,
    /// What it is about.
    pub title: String,
    /// How the database is made.
    #[serde(default)]
    pub settings: Settings,
    /// What is done before; power is not lost here.
    #[serde(default)]
    pub before: Vec<Step>,
    /// What is done while power is lost, once at each file operation.
    pub steps: Vec<Step>,
}

/// Largest log segment and value of a script, in bytes.
const SEGMENT_BYTES_MAX: u64 = 1 << 20;
const VALUE_BYTES_MAX: u32 = 1 << 20;
/// Most pages of memory.
const CACHE_PAGES_MAX: usize = 1 << 12;
/// Most steps, and most threads at once.
const STEPS_MAX: usize = 10_000;
const THREADS_MAX: u8 = 8;
/// The highest key; threads use some above.
const KEY_MAX: KeyNumber = 1 << 30;

impl Script {
    /// Whether the script is of a size that a crash test can have: it may come from a file.
    ///
    /// # Errors
    /// What is out of range, and what would be in it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let within = |what: &str, found: u64, most: u64| {
            if found <= most {
                return Ok(());
            }
            Err(format!("{what} is {found}; at most {most} is possible"))
        };
        within("segment_bytes", self.settings.segment_bytes, SEGMENT_BYTES_MAX)?;
        within(
            "cache_pages",
            self.settings.cache_pages as u64,
            CACHE_PAGES_MAX as u64,
        )?;
        let steps = self.before.iter().chain(&self.steps);
        within(
            "the number of steps",
            steps.clone().count() as u64,
            STEPS_MAX as u64,
        )?;
        for step in steps {
            let (key, len, threads) = match *step {
                Step::Put { key, value, .. } => (key, value.len, 0),
                Step::Delete { key, .. } => (key, 0, 0),
                Step::Together {
                    key, len, threads, ..
                } => (key, len, threads),
                _ => continue,
            };
            within("a key", key.into(), KEY_MAX.into())?;
            within("the length of a value", len.into(), VALUE_BYTES_MAX.into())?;
            within("the number of threads", threads.into(), THREADS_MAX.into())?;
        }
        Ok(())
    }

    /// Whether its threads make each run another one.
    pub(crate) fn has_threads(&self) -> bool {
        let mut steps = self.before.iter().chain(&self.steps);
        steps.any(|step| matches!(step, Step::Together { .. }))
    }
}

/// The name of a table.
pub(crate) fn table_name(table: TableNumber) -> String {
    format!("table-{table}")
}

/// The bytes of a key. Every eighth is long, so that inner pages fill as well.
pub(crate) fn key_bytes(key: KeyNumber) -> Vec<u8> {
    let mut bytes = key.to_be_bytes().to_vec();
    if key % 8 == 7 {
        bytes.resize(60, b'k');
    }
    bytes
}

/// The bytes of a value: the first half can be compressed, the second can not.
pub(crate) fn value_bytes(key: KeyNumber, value: Value, out: &mut Vec<u8>) {
    out.clear();
    let len = value.len as usize;
    let seed = u64::from(key) << 32 | u64::from(value.version);
    out.extend(std::iter::repeat_n(value.version as u8, len / 2));
    let mut state = seed;
    while out.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        out.extend_from_slice(&(state ^ state >> 29).to_le_bytes());
    }
    out.truncate(len);
}
