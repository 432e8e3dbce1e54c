//! What a process told of its transactions before it was killed.
//!
//! The process writes one line for each step to a pipe or file that outlives it; whoever killed it reads them:
//!
//! | line | written |
//! |---|---|
//! | `I thread sequence began_ns table:row,table:rowd,...` | before the commit begins: the writes (`d` for deletes) |
//! | `A thread sequence commit_id acked_ns` | after the commit was acknowledged (`-` if there is no commit ID) |
//! | `R thread sequence` | after the attempt was rolled back |
//!
//! `sequence` is that of the attempt's first write; the others follow by one. An attempt with an `I` line and neither
//! `A` nor `R` is of unknown end. A last line without its end is ignored: an `I` cut short means that the commit had
//! not begun, an `A` cut short leaves the attempt of unknown end.

mod entry;
mod reader;

pub use entry::{JournalEntry, JournalError};
pub use reader::{CrashPromise, Journal};
