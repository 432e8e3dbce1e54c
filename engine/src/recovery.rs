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
//! The log is read once, and its frames are sorted by page. Frames of different pages are independent, so pages are
//! redone in parallel. A page needs only what follows its last whole image (or its freeing), and of that only what
//! is newer than the page in the data file. There is no undo: pages never hold uncommitted data. A crash during
//! recovery changes nothing, since the log is kept until the checkpoint at its end.

use hashbrown::HashMap;

use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition, PageNumber};
use crate::page::{delta, image};
use crate::planted::{self, Fault};
use crate::pool::Pool;
use crate::sync::{Mutex, thread};
use crate::txn::IMAGE_CODEC_NONE;
use crate::vfs::Vfs;
use crate::wal::{FrameBody, FrameKind, Recovered, Wal, WalOptions};

/// A frame to redo.
#[derive(Debug)]
struct Redo {
    commit: CommitId,
    kind: FrameKind,
    position: LogPosition,
    body: FrameBody,
}

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
    /// Pages that they belong to.
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

/// Redoes the log behind the durable checkpoint into the pool.
pub(crate) fn recover(vfs: &dyn Vfs, pool: &Pool, options: &WalOptions, threads: usize) -> Result<Redone> {
    let start = vfs.monotonic();
    let superblock = pool.store().superblock();
    let mut by_page: HashMap<PageNumber, Vec<Redo>, foldhash::fast::FixedState> = HashMap::default();
    let recovered: Recovered =
        Wal::recover(vfs, options, superblock.redo, superblock.must_reach, |commit| {
            for frame in commit.frames() {
                if frame.kind == FrameKind::Commit {
                    continue;
                }
                by_page.entry(frame.page).or_default().push(Redo {
                    commit: commit.id,
                    kind: frame.kind,
                    position: frame.position,
                    body: frame.to_body(),
                });
            }
            Ok(())
        })?;
    if planted::makes(Fault::LastCommitNotRedone) {
        let is_kept = |redo: &Redo| Some(redo.commit) != recovered.last_commit;
        by_page.values_mut().for_each(|frames| frames.retain(is_kept));
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
    let pages = by_page.len() as u64;
    crate::reach::mark_if(recovered.torn.is_some(), crate::reach::Mechanism::TornTail);
    redo_pages(pool, by_page, threads)?;
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

fn redo_pages(
    pool: &Pool,
    by_page: HashMap<PageNumber, Vec<Redo>, foldhash::fast::FixedState>,
    threads: usize,
) -> Result<()> {
    let mut pages: Vec<_> = by_page.into_iter().collect();
    // In the order of the file, so that reads are too.
    pages.sort_unstable_by_key(|(page, _)| std::cmp::Reverse(*page));
    if threads <= 1 || pages.len() < 64 {
        while let Some((page, frames)) = pages.pop() {
            redo_page(pool, page, &frames)?;
        }
        return Ok(());
    }
    crate::reach::mark(crate::reach::Mechanism::RedoParallel);
    let inherited = planted::inherit();
    let redo_page = |page, frames: &[Redo]| inherited.with(|| redo_page(pool, page, frames));
    if planted::makes(Fault::ParallelRedoLosesBatch) {
        pages.truncate(pages.len() - 16);
    }
    let queue = Mutex::new(pages);
    let failure = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while failure.lock().is_none() {
                    let batch = {
                        let mut queue = queue.lock();
                        let from = queue.len().saturating_sub(16);
                        queue.split_off(from)
                    };
                    if batch.is_empty() {
                        return;
                    }
                    for (page, frames) in batch.into_iter().rev() {
                        if let Err(error) = redo_page(page, &frames) {
                            failure.lock().get_or_insert(error);
                            return;
                        }
                    }
                }
            });
        }
    });
    failure.into_inner().map_or(Ok(()), Err)
}

/// Redoes the frames of one page, in commit order.
fn redo_page(pool: &Pool, page: PageNumber, frames: &[Redo]) -> Result<()> {
    let bad = |frame: &Redo, what: &str| -> Error {
        pool.store().damage(
            page,
            format!(
                "the log frame at position {} cannot be redone: {what}",
                frame.position
            ),
        )
    };
    if let Some(pair) = frames.windows(2).find(|pair| pair[0].commit >= pair[1].commit) {
        return Err(bad(&pair[1], "it is the second one of its commit for this page"));
    }
    let stored = pool.store().page_commit(page);
    let last = frames.last().map_or(CommitId(0), |frame| frame.commit);
    let is_skipped =
        |stored: CommitId, commit| planted::makes(Fault::RedoSkipsNextCommit) && commit == stored.next();
    // An image in the file can be of the middle of its commit, if the page had to make way then; the commit has logged the
    // page whole in that case.
    let is_due = |frame: &Redo, stored: CommitId| match frame.kind {
        FrameKind::Delta => stored < frame.commit,
        _ => stored <= frame.commit,
    };
    // All before the last frame that says everything about the page can be left out.
    let from = frames
        .iter()
        .rposition(|f| f.kind != FrameKind::Delta)
        .unwrap_or(0);
    let frames: Vec<&Redo> = frames[from..]
        .iter()
        .filter(|f| stored.is_none_or(|s| is_due(f, s) && !is_skipped(s, f.commit)))
        .collect();
    crate::reach::mark_if(
        stored.is_some_and(|stored| stored >= last),
        crate::reach::Mechanism::RedoSkipped,
    );
    let Some((first, rest)) = frames.split_first() else {
        return Ok(());
    };
    let deltas = match first.kind {
        FrameKind::Freed if planted::makes(Fault::FreedNotRedone) => return Ok(()),
        FrameKind::Freed => {
            crate::reach::mark(crate::reach::Mechanism::RedoFreed);
            pool.store().mark_allocated(page)?;
            pool.store().free_page(page, first.commit);
            return match rest.first() {
                None => Ok(()),
                Some(frame) => Err(bad(frame, "the page was freed before")),
            };
        }
        FrameKind::Image => {
            redo_image(pool, page, first).map_err(|error| match error {
                Stop::Bad(what) => bad(first, &what),
                Stop::Failed(error) => error,
            })?;
            rest
        }
        _ => &frames[..],
    };
    if deltas.is_empty() {
        return Ok(());
    }
    loop {
        let Some(found) = pool.reader().get(page)? else {
            return Err(bad(deltas[0], "the page that it changes does not exist"));
        };
        let Some(mut latched) = found.latch() else {
            continue;
        };
        for frame in deltas {
            let mut node = latched.node_mut();
            delta::redo(&mut node, &frame.body).map_err(|what| bad(frame, &what))?;
            node.set_commit_id(frame.commit);
        }
        pool.mark_dirty(&mut latched);
        pool.ghost_pages().add_if_any(latched.node());
        crate::reach::mark(crate::reach::Mechanism::RedoDelta);
        return Ok(());
    }
}

enum Stop {
    Bad(String),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

fn redo_image(pool: &Pool, page: PageNumber, frame: &Redo) -> Result<(), Stop> {
    let bytes = match frame.body.split_first() {
        Some((&IMAGE_CODEC_NONE, bytes)) => bytes,
        Some((codec, _)) => return Err(Stop::Bad(format!("page image with codec {codec}"))),
        None => return Err(Stop::Bad("empty page image".into())),
    };
    if !planted::makes(Fault::RedoneNumberStaysFree) {
        pool.store().mark_allocated(page)?;
    }
    let index = pool.reader().take_frame()?;
    // What the data file has of the page does not matter: the image is newer and complete.
    crate::reach::mark(crate::reach::Mechanism::RedoImage);
    let mut latched = pool.create(page, index);
    image::decode(bytes, page, latched.words_mut())
        .map_err(|what| Stop::Bad(format!("bad page image: {what}")))?;
    latched.node_mut().set_commit_id(frame.commit);
    pool.ghost_pages().add_if_any(latched.node());
    Ok(())
}

#[cfg(test)]
mod tests;
