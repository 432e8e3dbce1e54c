//! The commit that is changing pages, and what may happen to its pages meanwhile.
//!
//! A commit may change a page by several operations and lets go of the latch in between, so a copy of the page that is
//! made then bears the commit's ID and only a part of its changes. Redo must not take such a copy for complete. Two rules
//! see to that:
//!
//! 1. Pages of the unfinished commit are not copied. A checkpoint copies them later; eviction passes them by.
//! 2. A commit that may need more pages than the cache can spare says so before it begins ([`Unfinished::allow_moves`]).
//!    Eviction may then move its pages out, and notes which. The commit logs each of them as a whole image, and whole
//!    images are redone on pages of the same commit too.
//!
//! Why nothing slips through: who copies a page reads, in this order, the page, the unfinished commit, and the page's
//! version again. If the commit was finished by the second look, a change made after the first one has moved the
//! version. If it was not, the copy is noted before the latch is taken at the version of the first look; so either that
//! fails, or whatever changes the page later comes after the note.

use super::Pool;
use super::frame::{Latched, Optimistic};
use crate::error::Result;
use crate::ids::{CommitId, PageNumber};
use crate::injected::{self, Bug};
use crate::store::{Privilege, Reservation};
use crate::sync::Mutex;
use crate::sync::atomic::Ordering::{Acquire, Release};
use crate::sync::atomic::{AtomicBool, AtomicU64};

/// Pages of one commit may take this part of the cache without being moved out before it is done.
const PINNED_PART: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// The commit that is changing pages; 0 if there is none.
    commit: AtomicU64,
    may_move: AtomicBool,
    /// Its pages that were copied before it was done.
    moved: Mutex<Vec<PageNumber>>,
}

/// What is to be done with a page that may be one of the unfinished commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// All of the commits that it has are finished.
    Finished,
    /// It stays in memory until the commit is done.
    Pinned,
    /// It may be copied, and has to be noted.
    Movable,
}

impl Unfinished {
    pub(super) fn standing(&self, commit: CommitId) -> Standing {
        let is_finished = commit == CommitId(0) || self.commit.load(Acquire) != commit.0;
        if is_finished || injected::makes(Bug::HalfCommitCopied) {
            Standing::Finished
        } else if self.may_move.load(Acquire) {
            Standing::Movable
        } else {
            Standing::Pinned
        }
    }

    /// Notes that a page of the unfinished commit has been copied; `false` if it has changed since `source` was read.
    pub(super) fn note_moved(&self, page: PageNumber, source: Optimistic<'_>) -> bool {
        self.moved.lock().push(page);
        source.latch().is_some_and(|latched: Latched<'_>| {
            drop(latched);
            true
        })
    }
}

/// The commit that is being applied, for its whole time: from before its first change until it is in the log.
#[derive(Debug)]
pub(crate) struct UnfinishedCommit<'p> {
    pool: &'p Pool,
    reservation: Reservation<'p>,
}

impl Pool {
    /// Begins a commit. The caller holds the applier.
    pub(crate) fn begin_commit(&self, commit: CommitId) -> UnfinishedCommit<'_> {
        let before = self.unfinished.commit.swap(commit.0, Release);
        debug_assert_eq!(before, 0, "one commit at a time changes pages");
        UnfinishedCommit {
            pool: self,
            reservation: self.store.reservation(),
        }
    }

    /// The pages as a reader has them.
    pub(crate) fn reader(&self) -> Pages<'_> {
        Pages {
            pool: self,
            privilege: None,
        }
    }
}

impl<'p> UnfinishedCommit<'p> {
    /// The pages as the commit has them: what is reserved for it can be used to bring one in.
    pub(crate) fn pages(&self) -> Pages<'p> {
        Pages {
            pool: self.pool,
            privilege: Some(self.reservation.privilege()),
        }
    }

    /// Makes sure that so many dirty pages can be moved out.
    ///
    /// # Errors
    /// A full disk.
    pub(crate) fn reserve_evictions(&self, count: usize) -> Result<()> {
        self.reservation.extend_to(count)
    }

    /// Whether so many pages of the commit can stay in memory until it is done.
    pub(crate) fn can_pin(&self, pages: usize) -> bool {
        pages <= self.pool.frames() / PINNED_PART
    }

    /// Allows its pages to be moved out before it is done. It logs [`UnfinishedCommit::moved`] whole.
    pub(crate) fn allow_moves(&self) {
        self.pool.unfinished.may_move.store(true, Release);
    }

    /// The pages that have been moved out before it was done; to be asked for when no page changes any more.
    pub(crate) fn moved(&self) -> Vec<PageNumber> {
        if !self.pool.unfinished.may_move.load(Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut self.pool.unfinished.moved.lock())
    }
}

impl Drop for UnfinishedCommit<'_> {
    fn drop(&mut self) {
        let unfinished = &self.pool.unfinished;
        unfinished.commit.store(0, Release);
        if unfinished.may_move.swap(false, Release) {
            unfinished.moved.lock().clear();
        }
    }
}

/// The pool as somebody in particular has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pages<'p> {
    pool: &'p Pool,
    privilege: Option<Privilege>,
}

impl<'p> Pages<'p> {
    /// The page, brought in if need be; `None` if there is no such page.
    #[inline]
    pub(crate) fn get(self, page: PageNumber) -> Result<Option<Optimistic<'p>>> {
        match self.pool.resident(page) {
            Some(optimistic) => Ok(Some(optimistic)),
            None => self.pool.fault_in(page, self.privilege),
        }
    }

    /// The page, if it is in memory.
    #[inline]
    pub(crate) fn resident(self, page: PageNumber) -> Option<Optimistic<'p>> {
        self.pool.resident(page)
    }

    /// [`Pool::create`].
    pub(crate) fn create(self, page: PageNumber, frame: u32) -> Latched<'p> {
        self.pool.create(page, frame)
    }

    /// A frame that holds no page, evicting one if need be. No latch may be held by the caller.
    ///
    /// # Errors
    /// [`crate::Error::CacheExhausted`] when every frame is in use by somebody, or what writing a dirty page ran into.
    pub(crate) fn take_frame(self) -> Result<u32> {
        self.pool.take_frame(self.privilege)
    }
}

impl std::ops::Deref for Pages<'_> {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        self.pool
    }
}
