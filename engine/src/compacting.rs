//! Making files shorter: [`Database::compact`], and what the background does of it.
//!
//! 1. Rows that nobody can need any more are removed, and what they filled is given up by a checkpoint.
//! 2. Extents at the end of the data file move to the front (`store/compacting.rs`), some at a time.
//! 3. The log leaves a segment that is larger than it needs, and its spares.
//! 4. A checkpoint cuts the data file and removes the segments before it.

use crate::checkpoint::Pace;
use crate::database::Database;
use crate::error::{Error, Result};
use crate::store::{Moved, Slack};
use crate::txn::TransactionManager;

/// What [`Database::compact`] did, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactReport {
    /// Length of the data file before.
    pub file_bytes_before: u64,
    /// Length of the data file now.
    pub file_bytes_after: u64,
    /// Sum of the log's files before.
    pub wal_bytes_before: u64,
    /// Sum of the log's files now.
    pub wal_bytes_after: u64,
}

/// Rounds of moving and checkpointing, at most: each makes room for the next one.
const ROUNDS_MAX: usize = 8;

/// Rounds before closing, steps of moving in each, and pages looked at in these, at most.
const CLOSING_ROUNDS: usize = 3;
const CLOSING_STEPS: u64 = 64;
const CLOSING_PAGES: u64 = 1 << 24;

impl Database {
    /// Gives the file system back what the database does not need: free room inside the data file, and log files that a load
    /// has left. Other transactions go on meanwhile; what they or open snapshots need stays.
    ///
    /// The background does the same when nothing has been written for [`crate::Options::checkpoint_interval`], and when more
    /// than half of the data file is free.
    ///
    /// # Errors
    /// As [`Database::checkpoint`]; [`Error::ReadOnly`]; [`Error::Corruption`] of a page that was to be moved. What was done
    /// until then stays done.
    pub fn compact(&self) -> Result<CompactReport> {
        let manager = self.manager();
        if self.is_read_only() {
            return Err(Error::ReadOnly);
        }
        let mut report = CompactReport {
            file_bytes_before: manager.pool.store().stats().file_bytes,
            wal_bytes_before: manager.wal.file_bytes(),
            ..CompactReport::default()
        };
        manager.collect_now();
        let mut length = u64::MAX;
        for _ in 0..ROUNDS_MAX {
            if manager.needs_checkpoint() || manager.wal.is_larger_than_needed() {
                manager.forget_need()?;
                let _one = self.shared.checkpointing.lock();
                manager.checkpoint(|| Pace::Fast)?;
            }
            let now = manager.pool.store().stats().file_bytes;
            if now >= length && !manager.pool.store().has_moved() {
                break;
            }
            length = now;
            // Pages that are written all the time could be moved for ever.
            manager.move_tail(Slack::Least, 1 + manager.pool.store().stats().mapped_pages / 16)?;
        }
        manager.pool.store().keep_for_next();
        report.file_bytes_after = manager.pool.store().stats().file_bytes;
        report.wal_bytes_after = manager.wal.file_bytes();
        Ok(report)
    }

    /// The last thing before closing, with nothing left to be checkpointed: gives back what a load has left, if that is no long
    /// work. A failure changes nothing but that.
    pub(crate) fn shorten_to_close(&self) {
        let manager = self.manager();
        let store = manager.pool.store();
        let steps = 1 + CLOSING_PAGES / store.stats().mapped_pages.max(1);
        let shorten = || {
            manager.move_tail(Slack::Idle, steps.min(CLOSING_STEPS))?;
            let _one = self.shared.checkpointing.lock();
            manager.checkpoint(|| Pace::Fast).map(drop)
        };
        for _ in 0..CLOSING_ROUNDS {
            if !store.is_too_long(Slack::Idle) {
                break;
            }
            if let Err(error) = shorten() {
                tracing::warn!(%error, "the data file is longer than it need be");
                break;
            }
        }
    }
}

impl TransactionManager {
    /// Makes the log as small as that of a database without load; the next checkpoint does the rest.
    pub(crate) fn forget_need(&self) -> Result<()> {
        let _applier = self.pause();
        self.wal.end_promise();
        self.wal.forget_need()
    }

    fn release_aside(&self) {
        let _applier = self.pause();
        self.pool.store().release_all_aside();
    }

    /// Moves extents at the end of the data file to its front, in so many steps at most.
    fn move_tail(&self, slack: Slack, steps: u64) -> Result<()> {
        self.release_aside();
        for _ in 0..steps {
            if self.pool.store().move_tail(slack)? != Moved::Some {
                break;
            }
        }
        Ok(())
    }

    /// One step of making the data file shorter, and with it the log if it is idle. `None` when there is more to
    /// do, else whether it is time for a checkpoint, which gives back what was made free.
    pub(crate) fn make_smaller(&self, slack: Slack) -> Result<Option<bool>> {
        self.release_aside();
        if self.pool.store().move_tail(slack)? == Moved::Some {
            return Ok(None);
        }
        if slack == Slack::Idle && self.wal.is_larger_than_needed() {
            self.forget_need()?;
            return Ok(Some(true));
        }
        Ok(Some(self.pool.store().has_moved()))
    }

    /// Whether the files are longer than they need be.
    pub(crate) fn is_too_large(&self, slack: Slack) -> bool {
        self.pool.store().is_too_long(slack) || slack == Slack::Idle && self.wal.is_larger_than_needed()
    }
}
