//! What a crash test does to a database: a list of steps that can be written down, cut shorter and run again.
//!
//! Several transactions can be open at once, each in a slot of its own, so a script on one thread has the interleavings
//! of several sessions and is still exactly repeatable. Threads come in with [`Step::Threads`], and with the actors that
//! a script can have beside it ([`Company`]).

use std::fmt;
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
        /// It reads one snapshot, and fails where somebody else was quicker.
        #[serde(default)]
        snapshot: bool,
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
    /// Read a row and write it with the next version.
    Add {
        slot: u8,
        table: TableNumber,
        key: KeyNumber,
    },
    /// Set a savepoint.
    Savepoint { slot: u8 },
    /// Go back to the newest savepoint, which is gone then.
    RollbackTo { slot: u8 },
    /// Commit.
    Commit { slot: u8 },
    /// Roll back.
    Rollback { slot: u8 },
    /// Make all commits durable.
    Sync,
    /// Take a checkpoint.
    Checkpoint,
    /// Make the files as short as they can be.
    Compact,
    /// Drop old row versions, ghosts and the pages of dropped tables.
    Collect,
    /// Close the database and open it again.
    Reopen,
    /// Lose the process, without closing, and open the database again.
    Restart,
    /// Open so many snapshots, and compare them after each step from now on.
    Hold { snapshots: u16 },
    /// End them, all but the newest so many.
    Keep { snapshots: u16 },
    /// Write rows, from this key on, until the log's segment is full to its last byte.
    FillSegment { table: TableNumber, key: KeyNumber },
    /// Write rows, from this key on, on a disk that is full and gets a little more room until they are accepted.
    FillDisk { table: TableNumber, key: KeyNumber },
    /// Do the steps of several threads at once. Only those of transactions can be among them.
    Threads { threads: Vec<Vec<Step>> },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threads { threads } => write!(f, "the steps of {} threads", threads.len()),
            step => write!(f, "{step:?}"),
        }
    }
}

impl Step {
    /// Whether it is a step of one transaction, which any thread can do.
    fn is_of_a_transaction(&self) -> bool {
        matches!(self, Self::Commit { .. }) || self.phase() == IN_TRANSACTION
    }

    /// What the database is doing in this step, for counting crash points.
    pub(crate) fn phase(&self) -> &'static str {
        match self {
            Self::CreateTable(_) | Self::DropTable(_) => "tables",
            Self::Begin { .. }
            | Self::Put { .. }
            | Self::Delete { .. }
            | Self::Add { .. }
            | Self::Savepoint { .. }
            | Self::RollbackTo { .. }
            | Self::Rollback { .. } => IN_TRANSACTION,
            Self::Commit { .. } | Self::FillSegment { .. } | Self::FillDisk { .. } => "commit",
            Self::Threads { .. } => "threads",
            Self::Sync => "flush",
            Self::Checkpoint => "checkpoint",
            Self::Compact => "compaction",
            Self::Collect | Self::Hold { .. } | Self::Keep { .. } => "housekeeping",
            Self::Reopen => "close and open",
            Self::Restart => "recovery",
        }
    }
}

/// What goes on beside the steps of a script, on threads of its own, from each opening to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Company {
    /// Checkpoints, begun at different steps.
    pub checkpoints: u16,
    /// Threads that read.
    pub readers: u8,
    /// Snapshots that each of them holds.
    pub held: u16,
    /// Old versions are collected again and again.
    pub collects: bool,
    /// One of so many passings of a place where a thread can be held up is held up; 0 for none.
    pub one_in: u64,
}

/// How the database is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// Size of a page, in bytes.
    pub page_bytes: usize,
    /// Size of a log segment, in bytes.
    pub segment_bytes: u64,
    /// Pages of memory.
    pub cache_pages: usize,
    /// Memory for old row versions, in bytes.
    pub version_bytes: usize,
    /// Compression of pages.
    pub compression: String,
    /// The log is flushed by direct, synchronous writes; else by writes and `fdatasync`.
    pub direct: bool,
    /// How long a write waits for a row that another transaction has locked, in milliseconds.
    pub busy_ms: u64,
    /// Threads that redo the log.
    pub redo_threads: usize,
    /// The engine's background thread runs, and takes a checkpoint after so many changed pages.
    pub background: Option<usize>,
    /// Who is there beside the script.
    pub company: Option<Company>,
}

/// Memory for old row versions, in bytes: little, so that opening is quick.
const VERSION_BYTES: usize = 256 << 10;

impl Default for Settings {
    fn default() -> Self {
        Self {
            page_bytes: 4096,
            segment_bytes: 64 << 10,
            cache_pages: 64,
            version_bytes: VERSION_BYTES,
            compression: "NONE".into(),
            direct: false,
            busy_ms: 0,
            redo_threads: 1,
            background: None,
            company: None,
        }
    }
}

impl Settings {
    /// Options of a database in `vfs`.
    ///
    /// # Errors
    /// An unknown compression.
    pub(crate) fn options(&self, vfs: &SimulatedVfs) -> engine::Result<Options> {
        Ok(Options::new()
            .page_size(self.page_bytes)
            .cache_size(self.cache_pages * (self.page_bytes + 64))
            .compression(&self.compression, 1)?
            .wal_segment_size(self.segment_bytes)
            .wal_sync(if self.direct {
                WalSync::Direct
            } else {
                WalSync::Fdatasync
            })
            .busy_timeout(Duration::from_millis(self.busy_ms))
            .version_budget(self.version_bytes)
            .checkpoint_interval(None)
            .checkpoint_pages(self.background.unwrap_or(usize::MAX))
            .background(self.background.is_some())
            .redo_threads(self.redo_threads)
            .vfs(Arc::new(vfs.clone())))
    }

    /// The same without anybody beside the script.
    pub(crate) fn alone(&self) -> Self {
        Self {
            background: None,
            company: None,
            ..self.clone()
        }
    }

    /// Whether two runs of a script can differ.
    pub(crate) fn has_threads(&self) -> bool {
        self.background.is_some() || self.company.is_some()
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
    /// It begins with the large database ([`super::prepared`]).
    #[serde(default)]
    pub is_large: bool,
    /// What is done before; power is not lost here.
    #[serde(default)]
    pub before: Vec<Step>,
    /// What is done while power is lost, once at each file operation.
    pub steps: Vec<Step>,
}

/// Largest log segment and value of a script, in bytes.
const SEGMENT_BYTES_MAX: u64 = 1 << 20;
const VALUE_BYTES_MAX: u32 = 1 << 20;
/// Most pages of memory, and most bytes of old versions.
const CACHE_PAGES_MAX: usize = 1 << 12;
const VERSION_BYTES_MAX: usize = 16 << 20;
/// Most steps, most threads at once, and most snapshots.
const STEPS_MAX: usize = 10_000;
const THREADS_MAX: usize = 8;
const SNAPSHOTS_MAX: u16 = 1_000;
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
        within(
            "version_bytes",
            self.settings.version_bytes as u64,
            VERSION_BYTES_MAX as u64,
        )?;
        within(
            "redo_threads",
            self.settings.redo_threads as u64,
            THREADS_MAX as u64,
        )?;
        if let Some(company) = &self.settings.company {
            within("readers", company.readers.into(), THREADS_MAX as u64)?;
            within("held", company.held.into(), SNAPSHOTS_MAX.into())?;
        }
        let mut steps: Vec<&Step> = self.before.iter().chain(&self.steps).collect();
        let mut count = 0;
        while let Some(step) = steps.pop() {
            count += 1;
            let (key, len) = match step {
                Step::Put { key, value, .. } => (*key, value.len),
                Step::Delete { key, .. }
                | Step::Add { key, .. }
                | Step::FillSegment { key, .. }
                | Step::FillDisk { key, .. } => (*key, 0),
                Step::Threads { threads } => {
                    within("the number of threads", threads.len() as u64, THREADS_MAX as u64)?;
                    steps.extend(threads.iter().flatten());
                    if threads.iter().flatten().any(|step| !step.is_of_a_transaction()) {
                        return Err("a thread has a step that is not of a transaction".into());
                    }
                    continue;
                }
                Step::Hold { snapshots } => {
                    within(
                        "the number of snapshots",
                        (*snapshots).into(),
                        SNAPSHOTS_MAX.into(),
                    )?;
                    continue;
                }
                _ => continue,
            };
            within("a key", key.into(), KEY_MAX.into())?;
            within("the length of a value", len.into(), VALUE_BYTES_MAX.into())?;
        }
        within("the number of steps", count, STEPS_MAX as u64)
    }

    /// Whether its threads make each run another one.
    pub(crate) fn has_threads(&self) -> bool {
        let mut steps = self.before.iter().chain(&self.steps);
        self.settings.has_threads() || steps.any(|step| matches!(step, Step::Threads { .. }))
    }
}

/// The name of a table.
pub(crate) fn table_name(table: TableNumber) -> String {
    format!("table-{table}")
}

/// The phase of steps within a transaction.
const IN_TRANSACTION: &str = "transaction";
/// Numbers of tables are below this.
pub(crate) const TABLES: TableNumber = 8;
/// Keys from here on are long and differ late: groups of [`GROUP`] share all but their last bytes, so that separators are
/// long, inner pages hold few of them, and trees are high.
pub(crate) const LONG_KEYS: KeyNumber = 1 << 20;
/// Memory for old versions with which no snapshot of a script becomes too old, in bytes.
pub(crate) const MUCH: usize = 1 << 20;
/// Keys of a group.
pub(crate) const GROUP: KeyNumber = 20;

/// The bytes of a key. Every eighth is longer, so that inner pages fill as well.
pub(crate) fn key_bytes(key: KeyNumber) -> Vec<u8> {
    if key >= LONG_KEYS {
        let mut bytes = ((1 << 31) | (key / GROUP)).to_be_bytes().to_vec();
        bytes.resize(220, b'l');
        bytes.push((key % GROUP) as u8);
        return bytes;
    }
    let mut bytes = key.to_be_bytes().to_vec();
    if key % 8 == 7 {
        bytes.resize(60, b'k');
    }
    bytes
}

/// The bytes of a value: its version, if there is room, then a half that can be compressed, and one that can not.
pub(crate) fn value_bytes(key: KeyNumber, value: Value, out: &mut Vec<u8>) {
    out.clear();
    let len = value.len as usize;
    out.extend_from_slice(&value.version.to_le_bytes());
    out.resize(len.max(out.len()) / 2 + 4, value.version as u8);
    let mut state = u64::from(key) << 32 | u64::from(value.version);
    while out.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        out.extend_from_slice(&(state ^ state >> 29).to_le_bytes());
    }
    out.truncate(len);
}

/// The version of a value, which begins with it.
pub(crate) fn version_of(value: &[u8]) -> u32 {
    value.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
