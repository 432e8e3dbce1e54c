//! Fuzzy checkpoints, beside running commits.
//!
//! 1. Between two commits: note the end of the log (redo will start there; the log is told, since its guards depend on it)
//!    and take the dirty set.
//! 2. Copy each page of the set, compress it, write it to a new extent. A page that a commit is changing just then is copied
//!    at the end, between two commits: a copy never has half of a commit.
//! 3. Between two commits: freeze the page map and note the end of the log again. Every page in the frozen map, those
//!    that eviction wrote included, holds only commits before that end.
//! 4. Flush the log to that end, so no page image becomes durable before the log of its commits.
//! 5. Make the frozen map durable with a new superblock.
//! 6. Recycle log segments behind the redo position.
//!
//! If the disk is full before all pages are written, those that are become durable by themselves (steps 3 to 5, with the redo
//! position of before): that frees what they replace, and the rest goes there. A log that could not be made longer is
//! left for its last spare first, so that what it was in can be used again. The same is done beside a checkpoint and between
//! two, whenever what has been replaced takes much of the file (store/replaced.rs).

use std::time::Duration;

use crate::error::Result;
use crate::ids::{CommitId, LogPosition, PageNumber};
use crate::injected::{self, Bug};
use crate::pool::{PageCopy, ToCopy};
use crate::store::PageImage;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::thread;
use crate::txn::TransactionManager;

/// Pages copied and written together: at most so many, and a quarter of the cache.
const BATCH_MAX: usize = 32;

/// What a checkpoint did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointReport {
    /// The newest commit that the data file holds for certain.
    pub commit: CommitId,
    /// Where redo will start.
    pub redo: LogPosition,
    /// Pages written.
    pub pages: u64,
    /// How long it took.
    pub duration: Duration,
}

/// What a checkpoint still has to write.
#[derive(Debug)]
struct Left<'d> {
    dirty: &'d [PageNumber],
    /// Pages that a commit was changing when they were to be copied.
    unfinished: Vec<PageNumber>,
    /// Pages written.
    written: u64,
}

impl Left<'_> {
    fn count(&self) -> usize {
        self.dirty.len() + self.unfinished.len()
    }
}

/// How hard to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as possible.
    Fast,
    /// Resting after each batch as long as the batch took, to leave the machine to others.
    Gentle,
}

impl TransactionManager {
    /// Runs one checkpoint. The caller makes sure that there is only one at a time.
    ///
    /// # Errors
    /// I/O errors of writing pages, after which the checkpoint before is in force and the pages are still dirty. A
    /// failed sync poisons the database.
    pub(crate) fn checkpoint(&self, mut pace: impl FnMut() -> Pace) -> Result<CheckpointReport> {
        self.check_usable()?;
        let start = self.vfs.monotonic();
        let (redo, mut dirty) = if injected::makes(Bug::CheckpointDoesNotPause) {
            let dirty = self.pool.take_dirty();
            (self.wal.begin_checkpoint(), dirty)
        } else {
            let _applier = self.pause();
            self.wal.leave_if_starved()?;
            (self.wal.begin_checkpoint(), self.pool.take_dirty())
        };
        let segment = self.wal.segment_sequence();
        crate::interleave::here(crate::interleave::Place::SetTaken);
        if injected::makes(Bug::DirtyPageForgotten) {
            dirty.pop();
        }
        // A page that was evicted and changed again is in the set twice.
        dirty.sort_unstable();
        dirty.dedup();
        let pages = self.write_in_rounds(&dirty, &mut pace).inspect_err(|_| {
            crate::reach::mark(crate::reach::Mechanism::CheckpointCancelled);
            self.pool.return_dirty(&dirty);
        })?;
        self.pool.dirty_written();
        if injected::makes(Bug::RedoPositionTooLate) {
            // Time for commits whose log would be passed over.
            thread::sleep(Duration::from_millis(2));
        }
        let (frozen, commit) = {
            let applier = self.pause();
            self.wal.end_promise();
            (self.pool.store().freeze(applier.last), applier.last)
        };
        crate::interleave::here(crate::interleave::Place::MapFrozen);
        crate::reach::mark_if(
            self.wal.end() > redo,
            crate::reach::Mechanism::CheckpointBesideCommits,
        );
        crate::reach::mark_if(
            self.wal.segment_sequence() > segment,
            crate::reach::Mechanism::SegmentSwitchInCheckpoint,
        );
        let redo = if injected::makes(Bug::RedoPositionTooLate) {
            self.wal.end()
        } else {
            redo
        };
        if injected::makes(Bug::RecycleTooEarly) {
            self.flush()?;
            self.wal.checkpoint(redo)?;
        }
        let flushed = if injected::makes(Bug::LogBehindPages) {
            Ok(self.wal.durable())
        } else {
            self.flush()
        };
        let result = flushed.and_then(|durable| self.pool.store().commit_checkpoint(frozen, redo, durable));
        if let Err(error) = result {
            crate::reach::mark(crate::reach::Mechanism::CheckpointCancelled);
            self.pool.return_dirty(&dirty);
            return Err(error);
        }
        crate::interleave::here(crate::interleave::Place::CheckpointDurable);
        self.wal.checkpoint(redo)?;
        let duration = self.vfs.monotonic().saturating_sub(start);
        self.counters.checkpoints.fetch_add(1, Relaxed);
        self.counters
            .checkpoint_ns
            .fetch_add(duration.as_nanos() as u64, Relaxed);
        tracing::debug!(%commit, %redo, pages, ?duration, "checkpoint");
        Ok(CheckpointReport {
            commit,
            redo,
            pages,
            duration,
        })
    }

    /// Writes the pages of a dirty set, in as many rounds as a full disk makes necessary; returns how many that were.
    fn write_in_rounds(&self, dirty: &[PageNumber], pace: &mut impl FnMut() -> Pace) -> Result<u64> {
        let mut left = Left {
            dirty,
            unfinished: Vec::new(),
            written: 0,
        };
        // What pages that were written earlier have replaced is free after a round in which none is.
        let mut is_fruitless = false;
        loop {
            let before = left.count();
            let answer = self.write_dirty(&mut left, pace);
            if matches!(&answer, Err(error) if error.is_disk_full()) {
                self.wal.be_sparing();
            }
            match answer {
                Ok(()) => return Ok(left.written),
                Err(error) if !error.is_disk_full() || is_fruitless && left.count() == before => {
                    return Err(error);
                }
                Err(_) => {}
            }
            is_fruitless = left.count() == before;
            self.free_replaced()?;
            crate::reach::mark(crate::reach::Mechanism::CheckpointInRounds);
        }
    }

    /// Makes the page map durable as it is, and with it free what pages have replaced since the last checkpoint. Redo
    /// starts where it did.
    ///
    /// # Errors
    /// As [`TransactionManager::checkpoint`].
    fn free_replaced(&self) -> Result<()> {
        let store = self.pool.store();
        let has_moved = store.has_moved();
        let frozen = {
            let applier = self.pause();
            store.freeze(applier.last)
        };
        let durable = self.flush()?;
        let redo = if injected::makes(Bug::FreedMapMovesRedo) {
            durable
        } else {
            store.superblock().redo
        };
        store.commit_map(frozen, redo, durable)?;
        if has_moved {
            // What that was for, a shorter file, is left to the next checkpoint.
            store.note_moved();
        }
        Ok(())
    }

    /// Frees what pages have replaced, if that is worth it now. The caller makes sure that there is no checkpoint meanwhile.
    ///
    /// # Errors
    /// As [`TransactionManager::checkpoint`].
    pub(crate) fn free_replaced_if_much(&self) -> Result<()> {
        if self.has_much_replaced() {
            self.free_replaced()?;
            crate::reach::mark(crate::reach::Mechanism::ReplacedFreedEarly);
        }
        Ok(())
    }

    /// Whether that is so: never where the cache has room for all pages.
    pub(crate) fn has_much_replaced(&self) -> bool {
        self.pool.store().has_much_replaced() && self.is_larger_than_cache()
    }

    /// Whether it is so much that commits wait.
    pub(crate) fn has_too_much_replaced(&self) -> bool {
        self.pool.store().has_too_much_replaced() && self.is_larger_than_cache()
    }

    fn is_larger_than_cache(&self) -> bool {
        self.pool.store().mapped_pages() > self.pool.frames() as u64
    }

    /// Writes what is left, until the disk is full.
    fn write_dirty(&self, left: &mut Left<'_>, pace: &mut impl FnMut() -> Pace) -> Result<()> {
        let most = BATCH_MAX.min(self.pool.frames() / 4);
        let mut batch_pages = most;
        while !left.dirty.is_empty() {
            let batch_start = self.vfs.monotonic();
            let (batch, rest) = left.dirty.split_at(batch_pages.min(left.dirty.len()));
            let mut unfinished = Vec::new();
            match self.write_copies(self.copy_batch(batch, &mut unfinished)) {
                Ok(written) => left.written += written,
                // There may be room for some of them.
                Err(error) if error.is_disk_full() && batch_pages > 1 => {
                    batch_pages = 1;
                    continue;
                }
                Err(error) => return Err(error),
            }
            left.unfinished.append(&mut unfinished);
            left.dirty = rest;
            if self.has_too_much_replaced() {
                // Commits wait for it, and soon again: no time to rest.
                self.free_replaced()?;
                crate::reach::mark(crate::reach::Mechanism::ReplacedFreedEarly);
            } else if pace() == Pace::Gentle {
                thread::sleep(self.vfs.monotonic().saturating_sub(batch_start));
            }
        }
        let mut batch_pages = most;
        while !left.unfinished.is_empty() {
            let from = left.unfinished.len().saturating_sub(batch_pages);
            let mut still_unfinished = Vec::new();
            let copies = {
                let _applier = self.pause();
                self.copy_batch(&left.unfinished[from..], &mut still_unfinished)
            };
            debug_assert!(
                still_unfinished.is_empty(),
                "between two commits no page has half of one"
            );
            match self.write_copies(copies) {
                Ok(written) => left.written += written,
                Err(error) if error.is_disk_full() && batch_pages > 1 => {
                    batch_pages = 1;
                    continue;
                }
                Err(error) => return Err(error),
            }
            left.unfinished.truncate(from);
        }
        Ok(())
    }

    /// Copies those of the pages that are still dirty; puts those aside that a commit is changing just now.
    fn copy_batch(&self, batch: &[PageNumber], unfinished: &mut Vec<PageNumber>) -> Vec<PageCopy<'_>> {
        let mut copies = Vec::with_capacity(batch.len());
        for page in batch {
            match self.pool.copy_dirty(*page) {
                ToCopy::Copied(copy) => copies.push(copy),
                ToCopy::NoNeed => {}
                ToCopy::Unfinished => {
                    crate::reach::mark(crate::reach::Mechanism::PagePutAside);
                    unfinished.push(*page);
                }
            }
        }
        copies
    }

    fn write_copies(&self, copies: Vec<PageCopy<'_>>) -> Result<u64> {
        let images: Vec<_> = copies
            .iter()
            .map(|copy| PageImage {
                page: copy.page,
                commit: copy.commit,
                raw: &copy.image,
                has_ghosts: copy.has_ghosts,
            })
            .collect();
        let written = copies.len() as u64;
        self.pool.store().write_pages(&images)?;
        copies.into_iter().for_each(PageCopy::written);
        Ok(written)
    }

    /// Whether anything has changed since the durable checkpoint.
    pub(crate) fn needs_checkpoint(&self) -> bool {
        self.pool.dirty_count() > 0
            || self.pool.store().has_moved()
            || self.pool.store().superblock().last_commit < self.applied()
    }
}

#[cfg(test)]
mod tests;
