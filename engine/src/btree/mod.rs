//! The B+tree: optimistic descent for readers, changes by the one applier, structural verification.
//!
//! The root page of a tree never moves. Readers hold nothing: they descend by page versions and start again when a
//! version moved. Only the holder of the applier changes trees, so two structure changes never meet.

mod change;
mod cursor;
mod merge;
mod overflow;
mod quarantine;
mod read;
mod reservation;
mod split;
mod touched;
mod verify;

pub(crate) use change::Changer;
pub(crate) use cursor::{Cursor, Direction};
pub(crate) use merge::Purged;
pub(crate) use quarantine::Quarantine;
pub(crate) use read::Tree;
pub(crate) use reservation::{Budget, Need, NewRow};
pub(crate) use touched::{Change, Touched};
pub(crate) use verify::{verify_chain, verify_tree};

use crate::error::Error;
use crate::sync::{hint, thread};

/// Why an attempt to read ended without an answer.
#[derive(Debug)]
enum Stop {
    /// Something changed while it was read: start again.
    Restart,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Attempts after which a reader that still finds its page inconsistent reports damage instead of trying on. A
/// concurrent change explains a handful.
const ATTEMPTS_MAX: u32 = 1_000_000;

/// Repeats an optimistic attempt until nothing changed under it.
fn until_stable<T>(mut attempt: impl FnMut() -> Result<T, Stop>) -> Result<Option<T>, Error> {
    for tries in 0..ATTEMPTS_MAX {
        match attempt() {
            Ok(value) => return Ok(Some(value)),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Restart) if tries < 16 => hint::spin_loop(),
            Err(Stop::Restart) => thread::yield_now(),
        }
    }
    Ok(None)
}
