//! What an engine under test implements, so that every engine runs the same operations.
//!
//! Three object-safe traits, from the outside in:
//!
//! 1. [`TargetFactory`] is registered by name, declares its [`Capabilities`] before anything is opened, and opens
//!    or creates a database in a directory.
//! 2. [`Target`] is one open database, shared by all worker threads.
//! 3. [`Session`] belongs to one worker thread. It may own a connection, or borrow from the target, and holds at most
//!    one transaction at a time. It need not be `Send`: each worker makes its own inside its thread.
//!
//! What is asked here is checked rule by rule by [`conformance`](crate::conformance); the names in parentheses are those of the
//! rules. `harness conform NAME` says which ones an engine breaks.
//!
//! Rules that keep the figures of different engines comparable:
//!
//! - An engine that cannot honour a request answers [`ErrorKind::Unsupported`]; it never weakens it silently.
//! - Whatever is read is copied into a buffer of the caller ([`RowBuffer`] for scans), so that no engine wins by
//!   handing out references which others cannot hand out.
//! - A figure that an engine does not have is `None`, never 0.

mod capabilities;
mod error;
mod options;
mod rows;
mod settings;
mod stats;

pub use capabilities::{Capabilities, Durability, Isolation};
pub use error::{ErrorKind, TargetError};
pub use options::{OpenMode, OpenOptions, TxOptions};
pub use rows::RowBuffer;
pub use settings::{EffectiveSettings, EngineSetting, refuse_undeclared};
pub use stats::{GroupSize, TargetStats};

/// A table of the open database: its position in [`OpenOptions::tables`]. Tables know nothing of each other (`tables-apart`); one
/// beyond the options' is an error (`unknown-table`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableRef(pub u16);

impl TableRef {
    /// Position in [`OpenOptions::tables`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Which way a scan walks from its start key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename = "direction", rename_all = "kebab-case")]
pub enum Direction {
    /// Rising keys, by their bytes: rows with `key >= start`.
    #[default]
    Forward,
    /// Falling keys: rows with `key <= start`. An empty start means from the greatest key.
    Reverse,
}

/// The answer to a successful commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Committed {
    /// The engine's place of this transaction in commit order, if it tells: of two transactions that wrote the
    /// same row, the one with the greater number is the one whose value stays. `None` for engines that keep no such
    /// number, and for transactions that wrote nothing (`commit-ids`). It rises with every commit, over all sessions
    /// (`commit-ids-rise`, `commit-ids-last`).
    pub commit_id: Option<u64>,
}

/// Opens databases of one engine.
pub trait TargetFactory: Send + Sync {
    /// The name by which the engine is chosen on the command line, in lower case.
    fn name(&self) -> &str;

    /// What the engine can do; must agree with [`Target::capabilities`] of what it opens, limits apart that options change.
    fn capabilities(&self) -> &Capabilities;

    /// The settings that only this engine has.
    fn settings(&self) -> &[EngineSetting] {
        &[]
    }

    /// Whether [`open`](TargetFactory::open) would take these options, as far as that can be told without touching a file:
    /// names and values of settings, codecs. Asked before a run is made, so that nothing is measured in vain (`checked-before`).
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], with what there is.
    fn check(&self, options: &OpenOptions) -> Result<(), TargetError> {
        refuse_undeclared(self.capabilities(), self.settings(), options)
    }

    /// Settings that the engine would choose by trying out the machine, chosen once in the directory `dir` (empty, and
    /// nothing stays in it), so that all databases of one run have the same.
    ///
    /// # Errors
    /// What kept it from being tried.
    fn chosen(&self, dir: &std::path::Path) -> Result<Vec<(String, String)>, TargetError> {
        let _ = dir;
        Ok(Vec::new())
    }

    /// Opens or creates the database in [`OpenOptions::dir`] with all its tables.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for an option that the engine cannot honour, else [`ErrorKind::Fatal`].
    fn open(&self, options: &OpenOptions) -> Result<Box<dyn Target>, TargetError>;
}

/// One open database. Dropping it closes the database cleanly.
pub trait Target: Send + Sync {
    /// What this engine can do.
    fn capabilities(&self) -> &Capabilities;

    /// A session for the calling thread.
    ///
    /// # Errors
    /// If the engine has no more sessions to give, or a connection fails.
    fn session(&self) -> Result<Box<dyn Session + '_>, TargetError>;

    /// Makes every commit acknowledged so far durable, whatever durability it was committed with (`sync`).
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the engine is not persistent (`not-persistent`); [`ErrorKind::Fatal`] if the flush failed.
    fn sync(&self) -> Result<(), TargetError>;

    /// Runs one checkpoint to its end.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if [`Capabilities::checkpoint`] is false; [`ErrorKind::Fatal`] if it failed.
    fn checkpoint(&self) -> Result<(), TargetError>;

    /// What this database runs with.
    fn settings(&self) -> EffectiveSettings {
        EffectiveSettings::default()
    }

    /// The engine's figures now. Cheap enough to be called several times a second.
    fn stats(&self) -> TargetStats;

    /// The engine's own check of its structure (trees, checksums, allocation). Called with no transaction open.
    ///
    /// # Errors
    /// [`ErrorKind::Fatal`] naming what is damaged; [`ErrorKind::Unsupported`] if the engine has no such check.
    fn verify(&self) -> Result<(), TargetError>;
}

/// One worker's access to a database: at most one transaction at a time.
///
/// Between [`begin`](Session::begin) and [`commit`](Session::commit) or [`rollback`](Session::rollback) all
/// operations belong to that transaction. Outside of one they are an error of kind [`ErrorKind::Fatal`] (`outside-transaction`).
/// A transaction sees what it wrote itself (`own-writes-get`, `own-writes-scan`).
/// After an operation failed, the transaction can only be rolled back; callers do so before they begin the next
/// (`failed-undone`). What failed with a retryable error may succeed when it is tried again (`retry`).
/// Dropping a session rolls back what is open (`dropped-undone`). Sessions work on several threads at once (`threads`).
pub trait Session {
    /// Begins a transaction. One that is open already makes it an error (`one-transaction`).
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for options outside the capabilities; [`ErrorKind::Busy`] if the engine admits
    /// one writer and that one stayed too long.
    fn begin(&mut self, options: &TxOptions) -> Result<(), TargetError>;

    /// Reads one row: clears `out`, copies the value into it, and tells whether the row exists (`get-absent`).
    ///
    /// # Errors
    /// Any kind; on error the content of `out` is unspecified.
    fn get(&mut self, table: TableRef, key: &[u8], out: &mut Vec<u8>) -> Result<bool, TargetError>;

    /// As [`get`](Session::get), and no other transaction may change the row until this one ends. Engines that admit
    /// one writer at a time, or that validate reads at commit, may answer with a plain read.
    ///
    /// # Errors
    /// As for `get`; and [`ErrorKind::Conflict`], [`ErrorKind::Busy`] or [`ErrorKind::Deadlock`].
    fn get_for_update(&mut self, table: TableRef, key: &[u8], out: &mut Vec<u8>)
    -> Result<bool, TargetError>;

    /// Inserts the row or replaces its value (`put-replaces`).
    ///
    /// # Errors
    /// Any kind.
    fn put(&mut self, table: TableRef, key: &[u8], value: &[u8]) -> Result<(), TargetError>;

    /// Deletes the row if it exists, and tells whether it did (`delete-tells`).
    ///
    /// # Errors
    /// Any kind.
    fn delete(&mut self, table: TableRef, key: &[u8]) -> Result<bool, TargetError>;

    /// Appends up to `limit` rows to `sink`, beginning with the row at `start` (inclusive), in the direction given,
    /// and tells how many. Fewer than `limit` means that the table has no more rows that way. `sink` is not cleared.
    /// (`scan-order`, `scan-start`, `scan-limit`, `scan-appends`, `scan-many`)
    ///
    /// # Errors
    /// Any kind; on error some rows may have been appended.
    fn scan(
        &mut self,
        table: TableRef,
        start: &[u8],
        limit: usize,
        direction: Direction,
        sink: &mut RowBuffer,
    ) -> Result<usize, TargetError>;

    /// Commits. When it returns, the transaction is visible to transactions begun later (`commit-visible`) and as durable as
    /// [`TxOptions::durability`] asks.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`], [`ErrorKind::Deadlock`] or [`ErrorKind::Busy`]: nothing of it was committed.
    /// [`ErrorKind::Fatal`]: it may have been committed or not.
    fn commit(&mut self) -> Result<Committed, TargetError>;

    /// Drops the open transaction with its writes (`rollback-undone`); does nothing if none is open. Always leaves the session ready for
    /// the next `begin`, or else the next `begin` reports why not.
    fn rollback(&mut self);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_traits_are_object_safe() {
        fn factory(_: Option<&dyn TargetFactory>) {}
        fn target(_: Option<&dyn Target>) {}
        fn session(_: Option<&mut dyn Session>) {}
        factory(None);
        target(None);
        session(None);
        assert_eq!(TableRef(3).index(), 3);
    }
}
