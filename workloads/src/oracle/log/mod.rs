//! What one worker remembers of its transactions, cheaply enough to stay on in every measured run.
//!
//! - **Writes.** Each committed write is appended to a chunk (a few nanoseconds, no search). When the chunks pass their
//!   budget the oldest write is folded for each that comes, into a map from row to the thread's last write to it, so memory is bounded by the
//!   rows written, not by the length of the run.
//! - **Outcomes.** Sequences rise with every attempt, so it is enough to note the ranges that were rolled back or whose
//!   end is unknown; all others below the last are committed.
//! - **Reads.** Every n-th transaction has the values it reads checked on the spot, and their versions kept: whether
//!   the writer committed, and had not been replaced, is known only at the end.
//! - **Ranges.** Of the same transactions ranges are kept as the numbers of their rows. Which rows they should have had is
//!   known only at the end too; where row numbers are in the order of keys and no row is ever deleted, it is known at once.
//! - **Read-modify-writes.** For a sample of the rows, which version was read and which was written.

mod folded;
mod options;
mod ranges;
mod reads;
mod record;
mod thread;

#[cfg(test)]
mod tests;

pub use options::LogOptions;
pub(in crate::oracle) use ranges::KeptRange;
pub use record::{LoggedWrite, Outcomes, UncertainTransaction};
pub(in crate::oracle) use record::{ReadRecord, UpdateRecord};
pub use thread::ThreadLog;
