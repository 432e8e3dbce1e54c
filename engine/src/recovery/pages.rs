//! Redo of one batch: page by page, on several threads.

use super::aside::Aside;
use super::batch::{Batch, Redo, page_of};
use crate::error::{Error, Result};
use crate::ids::{CommitId, PageNumber};
use crate::injected::{self, Bug};
use crate::page::{delta, image};
use crate::pool::Pool;
use crate::sync::{Mutex, thread};
use crate::txn::IMAGE_CODEC_NONE;
use crate::wal::FrameKind;

/// Pages that a thread takes at once.
const PAGES_AT_ONCE: usize = 16;
/// Fewest pages for which there are several threads.
const PAGES_FOR_THREADS: usize = 64;

/// The pages of a batch, in the order of their numbers, which is mostly that of the file.
struct Work<'b> {
    pool: &'b Pool,
    batch: &'b Batch,
    /// Not taken yet.
    left: &'b [u64],
}

impl<'b> Work<'b> {
    fn new(pool: &'b Pool, batch: &'b Batch) -> Self {
        Self {
            pool,
            batch,
            left: batch.order(),
        }
    }

    /// Takes a few pages; none are left when it is empty.
    fn take(&mut self) -> &'b [u64] {
        let (taken, left) = split(self.left, PAGES_AT_ONCE);
        self.left = left;
        taken
    }
}

/// The keys of each page.
fn by_page(keys: &[u64]) -> impl Iterator<Item = &[u64]> {
    keys.chunk_by(|one, other| page_of(*one) == page_of(*other))
}

/// The keys of the first `pages` pages, and the others.
fn split(keys: &[u64], pages: usize) -> (&[u64], &[u64]) {
    keys.split_at(by_page(keys).take(pages).map(<[u64]>::len).sum())
}

/// Redoes the batch, leaves it empty, and returns how many pages it had.
pub(super) fn redo(pool: &Pool, batch: &mut Batch, aside: &mut Aside, threads: usize) -> Result<u64> {
    batch.sort();
    let pages = by_page(batch.order()).count();
    let work = Work::new(pool, batch);
    let answer = if threads <= 1 || pages < PAGES_FOR_THREADS {
        redo_alone(work, aside)
    } else {
        redo_beside(work, aside, threads)
    };
    batch.clear();
    answer?;
    pool.tidy_dirty();
    Ok(pages as u64)
}

fn redo_alone(mut work: Work<'_>, aside: &Aside) -> Result<()> {
    loop {
        let keys = work.take();
        if keys.is_empty() {
            return Ok(());
        }
        by_page(keys).try_for_each(|keys| redo_page(work.pool, work.batch, keys, aside))?;
    }
}

fn redo_beside(mut work: Work<'_>, aside: &Aside, threads: usize) -> Result<()> {
    crate::reach::mark(crate::reach::Mechanism::RedoParallel);
    if injected::makes(Bug::ParallelRedoLosesBatch) {
        work.take();
    }
    let inherited = injected::inherit();
    let (pool, batch) = (work.pool, work.batch);
    let work = Mutex::new(work);
    let failure = Mutex::new(None);
    let redo_taken = || {
        while failure.lock().is_none() {
            let keys = work.lock().take();
            if keys.is_empty() {
                return;
            }
            let answer = by_page(keys).try_for_each(|keys| redo_page(pool, batch, keys, aside));
            if let Err(error) = answer {
                failure.lock().get_or_insert(error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| inherited.with(redo_taken));
        }
    });
    failure.into_inner().map_or(Ok(()), Err)
}

fn bad(pool: &Pool, frame: &Redo, what: &str) -> Error {
    pool.store().damage(
        frame.page,
        format!(
            "the log frame at position {} cannot be redone: {what}",
            frame.position
        ),
    )
}

/// Redoes the frames of one page, in commit order.
fn redo_page(pool: &Pool, batch: &Batch, keys: &[u64], aside: &Aside) -> Result<()> {
    let page = page_of(keys[0]);
    let second = keys
        .windows(2)
        .map(|pair| (batch.frame(pair[0]), batch.frame(pair[1])))
        .find(|(one, other)| one.commit >= other.commit);
    if let Some((_, frame)) = second {
        return Err(bad(
            pool,
            frame,
            "it is the second one of its commit for this page",
        ));
    }
    // All before the last frame that says everything about the page can be left out.
    let whole = keys
        .iter()
        .rposition(|key| batch.frame(*key).kind != FrameKind::Delta);
    match whole {
        Some(_) => aside.take_back(page),
        None if aside.has(page) => return Ok(()),
        None => {}
    }
    redo_frames(pool, batch, page, &keys[whole.unwrap_or(0)..]).or_else(|error| match error {
        RedoEnd::Unredoable(error) => aside.put(page, error),
        RedoEnd::Failed(error) => Err(error),
    })
}

/// Why a page was not redone.
enum RedoEnd {
    /// It cannot be, unless the log says all of it further on.
    Unredoable(Error),
    Failed(Error),
}

fn redo_frames(pool: &Pool, batch: &Batch, page: PageNumber, keys: &[u64]) -> Result<(), RedoEnd> {
    let stop = |frame: &Redo, what: &str| RedoEnd::Unredoable(bad(pool, frame, what));
    let stored = pool.store().page_commit(page);
    let last = batch.frame(keys[keys.len() - 1]).commit;
    let is_skipped =
        |stored: CommitId, commit| injected::makes(Bug::RedoSkipsNextCommit) && commit == stored.next();
    // An image in the file can be of the middle of its commit, if the page had to make way then; the commit has logged the
    // page whole in that case.
    let is_due = |frame: &Redo, stored: CommitId| match frame.kind {
        FrameKind::Delta => stored < frame.commit,
        _ => stored <= frame.commit,
    };
    let mut due = keys
        .iter()
        .map(|key| batch.frame(*key))
        .filter(|frame| stored.is_none_or(|s| is_due(frame, s) && !is_skipped(s, frame.commit)))
        .peekable();
    crate::reach::mark_if(
        stored.is_some_and(|stored| stored >= last),
        crate::reach::Mechanism::RedoSkipped,
    );
    let Some(&first) = due.peek() else {
        return Ok(());
    };
    match first.kind {
        FrameKind::Freed if injected::makes(Bug::FreedNotRedone) => return Ok(()),
        FrameKind::Freed => {
            crate::reach::mark(crate::reach::Mechanism::RedoFreed);
            pool.store().mark_allocated(page).map_err(RedoEnd::Failed)?;
            pool.store().free_page(page, first.commit);
            // An earlier batch may have changed it.
            if !injected::makes(Bug::PageFreedInCacheStays) {
                pool.forget(page);
            }
            return match due.nth(1) {
                None => Ok(()),
                Some(frame) => Err(stop(frame, "the page was freed before")),
            };
        }
        FrameKind::Image => {
            redo_image(pool, batch, page, first)?;
            due.next();
        }
        _ => {}
    }
    let Some(&first) = due.peek() else {
        return Ok(());
    };
    loop {
        let found = match pool.reader().get(page) {
            Ok(Some(found)) => found,
            Ok(None) => return Err(stop(first, "the page that it changes does not exist")),
            Err(error) => return Err(RedoEnd::Unredoable(error)),
        };
        let Some(mut latched) = found.latch() else {
            continue;
        };
        let mut node = latched.node_mut();
        for frame in due {
            // In memory is only what was brought there for older frames, or an earlier part of the same commit.
            if node.commit_id() >= frame.commit {
                let what = "it is the second one of its commit for this page";
                return Err(RedoEnd::Failed(bad(pool, frame, what)));
            }
            delta::redo(&mut node, batch.body(frame)).map_err(|what| stop(frame, &what))?;
            node.set_commit_id(frame.commit);
        }
        pool.mark_dirty(&mut latched);
        pool.ghost_pages().add_if_any(latched.node());
        crate::reach::mark(crate::reach::Mechanism::RedoDelta);
        return Ok(());
    }
}

fn redo_image(pool: &Pool, batch: &Batch, page: PageNumber, frame: &Redo) -> Result<(), RedoEnd> {
    let stop = |what: &str| Err(RedoEnd::Unredoable(bad(pool, frame, what)));
    let bytes = match batch.body(frame).split_first() {
        Some((&IMAGE_CODEC_NONE, bytes)) => bytes,
        Some((codec, _)) => return stop(&format!("page image with codec {codec}")),
        None => return stop("empty page image"),
    };
    if !injected::makes(Bug::RedoneNumberStaysFree) {
        pool.store().mark_allocated(page).map_err(RedoEnd::Failed)?;
    }
    let index = pool.reader().take_frame().map_err(RedoEnd::Failed)?;
    // What the data file has of the page does not matter: the image is newer and complete.
    crate::reach::mark(crate::reach::Mechanism::RedoImage);
    let mut latched = pool.create(page, index);
    if let Err(what) = image::decode(bytes, page, latched.words_mut()) {
        // Nobody may write out what is no page.
        pool.discard(latched);
        return stop(&format!("bad page image: {what}"));
    }
    latched.node_mut().set_commit_id(frame.commit);
    pool.ghost_pages().add_if_any(latched.node());
    Ok(())
}
