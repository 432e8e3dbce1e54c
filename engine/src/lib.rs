//! Palimpsest's storage engine: an embedded, transactional, ordered key-value store.
//!
//! Readers take no locks: they read snapshots (MVCC) of an in-place B+tree by optimistic latches. Writers keep their
//! changes private until they commit; one thread at a time applies whole groups of commits, and one flush of the
//! write-ahead log makes a group durable. Checkpoints are fuzzy and shadow-paged.
//!
//! ```
//! use engine::{Database, Durability, IsolationLevel, TxOptions};
//! # fn main() -> engine::Result<()> {
//! # let dir = tempfile::tempdir().expect("a temporary directory");
//! let db = Database::open(dir.path().join("shop.db"))?;
//! let stock = db.create_table("stock")?;
//!
//! // Runs again by itself if another transaction was quicker.
//! db.write(|tx| tx.put(stock, b"apples", b"12"))?;
//!
//! // The long form, with options.
//! let options = TxOptions::new().isolation(IsolationLevel::Snapshot).durability(Durability::NoSync);
//! let mut tx = db.begin_with(options)?;
//! tx.put(stock, b"pears", b"3")?;
//! let commit = tx.commit()?;
//!
//! let snapshot = db.snapshot();
//! assert_eq!(snapshot.commit_id(), commit);
//! let names: Vec<_> = snapshot.scan(stock, "a".."z")?.map(|row| row.map(|(key, _)| key)).collect::<Result<_, _>>()?;
//! assert_eq!(names, [b"apples".to_vec(), b"pears".to_vec()]);
//! # Ok(())
//! # }
//! ```
// The build for schedules has the same source, and its unit tests are those of the other.
#![cfg(not(all(test, shuttle)))]

mod arena;
mod background;
mod btree;
mod checkpoint;
mod compacting;
pub mod compress;
mod database;
pub mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod growing;
pub mod ids;
#[doc(hidden)]
pub mod injected;
mod inspect;
#[doc(hidden)]
pub mod interleave;
mod lock;
mod metrics;
mod mvcc;
mod opening;
mod options;
mod page;
mod poison;
mod pool;
#[doc(hidden)]
pub mod reach;
mod recovery;
mod retry;
mod salvage;
mod store;
#[cfg(shuttle)]
#[doc(hidden)]
pub mod sync;
#[cfg(not(shuttle))]
mod sync;
mod txn;
pub mod vfs;
#[doc(hidden)]
pub mod wal;
#[doc(hidden)]
pub mod work;

pub use checkpoint::CheckpointReport;
pub use compacting::CompactReport;
pub use database::{Database, TableReport, VerifyReport};
pub use error::{Error, Result};
pub use ids::{CommitId, LogPosition, PageNumber, TableId};
pub use inspect::inspect;
pub use metrics::{Metrics, StorageMetrics};
pub use options::{Options, WalSync};
pub use recovery::RecoveryReport;
pub use salvage::{LostRange, SalvageReport, SalvagedTable, salvage};
pub use txn::{
    Durability, IsolationLevel, KeyRange, Row, Savepoint, Scan, Snapshot, Table, Transaction, TxOptions,
};
