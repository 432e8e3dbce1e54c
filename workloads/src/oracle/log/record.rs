//! What a log is made of.

use crate::oracle::state::Held;
use crate::version::{RowRef, Version};

/// A committed write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedWrite {
    /// The row.
    pub row: RowRef,
    /// Who wrote it.
    pub version: Version,
    /// The row was deleted, and not written.
    pub deletes: bool,
    /// The commit's place in commit order, if the engine tells.
    pub commit_id: Option<u64>,
    /// When the attempt began, in nanoseconds since the run's origin.
    pub began_ns: u64,
    /// When its commit was acknowledged, in nanoseconds since the run's origin.
    pub acked_ns: u64,
}

// The budgets in `LogOptions` count on this.
const _: () = assert!(size_of::<LoggedWrite>() == 56);

impl LoggedWrite {
    /// True if this write certainly took effect before `other`: by commit ID if both have one, else because it was
    /// acknowledged before the other began.
    pub fn is_before(&self, other: &LoggedWrite) -> bool {
        match (self.commit_id, other.commit_id) {
            _ if self.version.thread() == other.version.thread() => self.version < other.version,
            (Some(own), Some(others)) => own < others,
            _ => self.acked_ns < other.began_ns,
        }
    }
}

/// A transaction of which nobody knows whether it committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UncertainTransaction {
    /// When the attempt began, in nanoseconds since the run's origin.
    pub began_ns: u64,
    /// Its writes in order: row, version, and whether the row is deleted.
    pub writes: Vec<(RowRef, Version, bool)>,
}

/// What a transaction found in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oracle) struct ReadRecord {
    pub row: RowRef,
    pub held: Held,
    /// When the transaction began, in nanoseconds since the run's origin.
    pub began_ns: u64,
}

// The budgets in `LogOptions` count on this.
const _: () = assert!(size_of::<ReadRecord>() == 32);

/// A read-modify-write: what it read and what it wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oracle) struct UpdateRecord {
    pub row: RowRef,
    pub read: Version,
    pub wrote: Version,
}

/// How transactions of a thread ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Committed, read-only ones included.
    pub committed: u64,
    /// Attempts that were rolled back.
    pub rolled_back: u64,
    /// Attempts of unknown end.
    pub uncertain: u64,
    /// Writes of the committed transactions.
    pub writes: u64,
}
