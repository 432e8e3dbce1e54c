//! Redo: brings the pages of the durable checkpoint up to the end of the log.
//!
//! | a start can find | and does |
//! |---|---|
//! | no file, or a blank one | creates a database |
//! | a database without its catalog page and no commit | creates the catalog: creation was cut short |
//! | a log that ends at the redo position | nothing to redo |
//! | complete commits behind the redo position | redoes them, then takes a checkpoint |
//! | a commit without its last frame, or a torn frame | ends the log before it: it was never acknowledged as durable |
//! | damage before what is known to have been durable | reports corruption and opens nothing |
//!
//! The log is read once, in batches of a bounded size ([`batch`]), each of which is redone before the next is read: what is
//! needed beside the cache is a constant (a batch, a part of a commit and the windows of the reader: less than 32 MiB) and does not
//! grow with the log. The frames of a batch are sorted by page. Frames of different pages are
//! independent, so pages are redone in parallel ([`pages`]). A page needs only what follows its last whole image (or its
//! freeing) in the batch, and of that only what is newer than the page in the data file. There is no undo: pages never hold
//! uncommitted data.
//!
//! Why batches, one after the other, lead to what all of the log at once would:
//! - all frames of a later batch are newer than those of an earlier one, but for a commit longer than a batch, which has one
//!   frame for each page;
//! - a page that has to make way in between goes to a new extent, and the page map changes in memory only. So if a later part
//!   of the log turns out to be damaged, or the machine crashes, the durable checkpoint and the log are what they were;
//! - a page that cannot be redone may be covered by an image, or a freeing, further on: it is put aside until then
//!   ([`aside`]), and is an error only at the end of the log.
//!
//! A crash during recovery changes nothing, since the log is kept until the checkpoint at its end.

mod aside;
mod batch;
mod pages;

use aside::Aside;
use batch::Batch;

use crate::error::Result;
use crate::ids::{CommitId, LogPosition, PageNumber};
use crate::injected::{self, Bug};
use crate::pool::Pool;
use crate::vfs::Vfs;
use crate::wal::{Recovered, Wal, WalOptions};

/// How much of the log is redone at once, in bytes, with what is needed to keep it.
pub(crate) const BATCH_BYTES: usize = 16 << 20;

/// What recovery did when the database was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Commits found in the log behind the checkpoint.
    pub commits: u64,
    /// Their frames.
    pub frames: u64,
    /// Bytes of these frames.
    pub bytes: u64,
    /// Pages that they belong to. The log is redone in batches of 16 MiB; a page counts anew in each.
    pub pages: u64,
    /// Whether the log ended in a commit that was never completed.
    pub torn_tail: bool,
    /// Time for reading and redoing the log, in nanoseconds.
    pub redo_ns: u64,
}

/// Where the database stands after redo.
#[derive(Debug)]
pub(crate) struct Redone {
    pub(crate) last: CommitId,
    /// Behind the last complete commit.
    pub(crate) end: LogPosition,
    pub(crate) report: RecoveryReport,
}

/// Redoes the log behind the durable checkpoint into the pool, in batches of `batch_bytes`.
pub(crate) fn recover(
    vfs: &dyn Vfs,
    pool: &Pool,
    options: &WalOptions,
    threads: usize,
    batch_bytes: usize,
) -> Result<Redone> {
    let start = vfs.monotonic();
    let superblock = pool.store().superblock();
    let mut batch = Batch::new(batch_bytes);
    let mut aside = Aside::default();
    let mut pages = 0;
    let recovered: Recovered =
        Wal::recover(vfs, options, superblock.redo, superblock.must_reach, |commit| {
            // Before it and not after it, so that the last batch has the last commit.
            if !batch.has_room_for(commit) {
                if injected::makes(Bug::RedoBatchLosesLast) {
                    batch.forget_last_commit();
                }
                pages += pages::redo(pool, &mut batch, &mut aside, threads)?;
            }
            batch.add(commit);
            Ok(())
        })?;
    if injected::makes(Bug::LastCommitNotRedone) {
        batch.forget_last_commit();
    }
    let last = recovered
        .last_commit
        .unwrap_or(CommitId(0))
        .max(superblock.last_commit);
    if pool.store().page_commit_at_open() > last {
        return Err(pool.store().damage(
            PageNumber::CATALOG,
            format!(
                "pages hold commit {}, but the log ends with commit {last}",
                pool.store().page_commit_at_open()
            ),
        ));
    }
    crate::reach::mark_if(recovered.torn.is_some(), crate::reach::Mechanism::TornTail);
    pages += pages::redo(pool, &mut batch, &mut aside, threads)?;
    aside.into_result()?;
    let report = RecoveryReport {
        commits: recovered.commits,
        frames: recovered.frames,
        bytes: recovered.bytes,
        pages,
        torn_tail: recovered.torn.is_some(),
        redo_ns: vfs.monotonic().saturating_sub(start).as_nanos() as u64,
    };
    Ok(Redone {
        last,
        end: recovered.end,
        report,
    })
}

#[cfg(test)]
mod tests;
