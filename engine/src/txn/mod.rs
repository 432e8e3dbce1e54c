//! Transactions: isolation levels, write sets, snapshots, the commit pipeline.

mod apply;
pub(crate) mod catalog;
mod group;
mod housekeeping;
mod key_range;
mod lock_set;
mod manager;
mod panics;
mod queue;
mod scan;
mod snapshot;
mod tables;
mod transaction;
mod waits;
mod write_set;

pub use key_range::KeyRange;
pub use scan::{Row, Scan};
pub use snapshot::Snapshot;
pub use transaction::{Transaction, TxOptions};
pub use write_set::Savepoint;

pub(crate) use apply::IMAGE_CODEC_NONE;
pub(crate) use manager::{Start, TransactionManager, Work};
pub(crate) use waits::Patience;

use crate::ids::{PageNumber, TableId};

/// A table of one open database. Cheap to copy; good until the database is closed or the table dropped: from then on it is
/// good only for snapshots that are older than the drop, and everything else gets [`crate::Error::TableDropped`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    pub(crate) id: TableId,
    pub(crate) root: PageNumber,
    pub(crate) database: u32,
    /// Where the handle looks whether the table is still there.
    pub(crate) slot: u32,
}

impl Table {
    /// The table's number.
    #[must_use]
    pub fn id(self) -> TableId {
        self.id
    }
}

/// What a transaction sees of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IsolationLevel {
    /// Every read sees what was committed before it.
    #[default]
    ReadCommitted,
    /// All reads see what was committed before the transaction began; the first of two transactions to change a row
    /// wins, and the other gets [`crate::Error::WriteConflict`].
    Snapshot,
}

/// What a successful commit promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// The commit survives a crash of the machine.
    #[default]
    Sync,
    /// The commit survives a crash of the machine once the log has been flushed after it: by a later synchronised
    /// commit, [`crate::Database::sync`], or a checkpoint.
    NoSync,
}
