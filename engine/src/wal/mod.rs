//! The write-ahead log: what makes a commit durable before its pages are.
//!
//! The log is a sequence of *frames*, each one change of one page, in commit order (`frame`). It lives in *segment*
//! files of fixed sizes that are zeroed ahead of use and recycled, so that a flush changes no metadata (`segment`,
//! `segments`). The one applier appends frames to a buffer in memory (`appender`); whoever wants durability
//! flushes the buffer for everybody (`log`, `writer`). A position ([`crate::ids::LogPosition`]) is
//! where its segment starts plus the offset in the file, and only grows.
//!
//! [`Wal::recover`] reads it back (`reader`), frame by frame (`cursor`), through windows over the files (`source`), and decides what a damaged end means (`tail`).
//!
//! Invariants: commit IDs in the log are dense; a frame's CRC is seeded with its segment's salt, so that nothing that an
//! earlier use left in the file can be taken for a frame; a failed write or sync is final (`poison.rs`); the durable
//! position never passes a byte that was not synced.

mod appender;
mod block;
mod buffer;
mod chain;
mod commit;
mod cursor;
mod discover;
mod files;
mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod guard;
mod log;
mod numbering;
mod options;
mod probe;
mod reader;
mod recycling;
mod segment;
mod segments;
mod sizes;
mod source;
mod survey;
mod tail;
mod varint;
mod writer;

#[cfg(test)]
mod tests;

pub use appender::LogAppender;
pub use commit::{Commit, Frame, FrameBody, Recovered, TornTail};
pub(crate) use discover::{has_segments, remove_segments};
pub use frame::{CommitMark, FrameKind};
pub use log::Wal;
pub use options::{WalOptions, WalStats, WalSync};
pub(crate) use reader::missing;
pub(crate) use segments::KEPT_SPARES;
pub(crate) use survey::{FoundFrame, Survey, find_contents, list, survey};
