//! A frame: one page of the pool with its latch.
//!
//! ```text
//! word 0   version: even = free to read, odd = latched
//! word 1   page number in the frame, 0 = none
//! word 2   dirty epoch: 0 = clean, else the checkpoint epoch of the first change since it was last clean
//! word 3   referenced since the clock hand last passed
//! word 4   being written to the data file
//! word 8.. the page
//! ```
//! The latch is a seqlock. Readers note the version, read, and check that it has not moved. A writer moves it from
//! the even value it knows to the odd one (so taking the latch also proves that nothing changed since it looked),
//! and on release to the next even one.

use crate::ids::PageNumber;
use crate::injected::{Bug, makes};
use crate::page::edit::NodeMut;
use crate::page::node::Node;
use crate::page::words::Words;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::word::{AtomicU64, fence};
use crate::sync::{hint, point, thread};

/// Words in front of the page in each frame; a cache line, so that page headers spread over all cache sets.
pub(crate) const FRAME_HEADER_WORDS: usize = 8;

const VERSION: usize = 0;
const PAGE: usize = 1;
const DIRTY: usize = 2;
const REFERENCED: usize = 3;
const WRITING: usize = 4;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'p> {
    words: &'p [AtomicU64],
    index: u32,
}

impl<'p> Frame<'p> {
    #[inline]
    pub(crate) fn new(words: &'p [AtomicU64], index: u32) -> Self {
        Self { words, index }
    }

    pub(crate) fn index(self) -> u32 {
        self.index
    }

    #[inline]
    pub(crate) fn page_number(self) -> PageNumber {
        PageNumber(self.words[PAGE].load(Relaxed) as u32)
    }

    #[inline]
    fn words(self) -> Words<'p> {
        Words::new(&self.words[FRAME_HEADER_WORDS..])
    }

    pub(crate) fn is_dirty(self) -> bool {
        self.words[DIRTY].load(Relaxed) != 0
    }

    /// Marks the frame as used, so that the clock passes it by once more.
    #[inline]
    pub(crate) fn touch(self) {
        // Read first: a hot page's line stays shared between cores.
        if self.words[REFERENCED].load(Relaxed) == 0 {
            self.words[REFERENCED].store(1, Relaxed);
        }
    }

    /// Clears the used mark and says whether it was set.
    pub(crate) fn take_touched(self) -> bool {
        self.words[REFERENCED].load(Relaxed) != 0 && self.words[REFERENCED].swap(0, Relaxed) != 0
    }

    pub(crate) fn is_being_written(self) -> bool {
        point();
        self.words[WRITING].load(SeqCst) != 0
    }

    /// Reserves the frame for one writer to the data file; `false` if there is one already.
    pub(crate) fn begin_write(self) -> bool {
        point();
        self.words[WRITING]
            .compare_exchange(0, 1, SeqCst, Relaxed)
            .is_ok()
    }

    pub(crate) fn end_write(self) {
        point();
        self.words[WRITING].store(0, SeqCst);
    }

    /// Starts an optimistic read; `None` while the frame is latched.
    #[inline]
    pub(crate) fn try_optimistic(self) -> Option<Optimistic<'p>> {
        point();
        let version = self.words[VERSION].load(SeqCst);
        // What is read from here on may be half of a change.
        point();
        (version & 1 == 0).then_some(Optimistic { frame: self, version })
    }

    /// Starts an optimistic read, waiting for the latch to be released.
    #[inline]
    pub(crate) fn optimistic(self) -> Optimistic<'p> {
        let mut spins = 0u32;
        loop {
            if let Some(optimistic) = self.try_optimistic() {
                return optimistic;
            }
            spins += 1;
            if spins < 64 {
                hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }
}

/// A frame as it was at one version. What is read through it counts only if [`Optimistic::is_valid`] says so after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Optimistic<'p> {
    frame: Frame<'p>,
    version: u64,
}

impl<'p> Optimistic<'p> {
    #[inline]
    pub(crate) fn frame(&self) -> Frame<'p> {
        self.frame
    }

    #[inline]
    pub(crate) fn node(&self) -> Node<'p> {
        Node::new(self.frame.words())
    }

    /// Whether nothing has changed since the read began.
    #[inline]
    pub(crate) fn is_valid(&self) -> bool {
        point();
        fence(Acquire);
        self.frame.words[VERSION].load(Relaxed) == self.version || makes(Bug::ReadNotValidated)
    }

    /// Takes the latch if nothing has changed since the read began.
    pub(crate) fn latch(self) -> Option<Latched<'p>> {
        point();
        self.frame.words[VERSION]
            .compare_exchange(self.version, self.version + 1, SeqCst, Relaxed)
            .ok()?;
        // The odd version must be seen by whoever sees any of the stores that follow.
        fence(Release);
        Some(Latched {
            frame: self.frame,
            version: self.version,
            changed: false,
        })
    }
}

/// Exclusive access to a frame; released on drop.
#[derive(Debug)]
pub(crate) struct Latched<'p> {
    frame: Frame<'p>,
    version: u64,
    changed: bool,
}

impl<'p> Latched<'p> {
    pub(crate) fn frame(&self) -> Frame<'p> {
        self.frame
    }

    pub(crate) fn node(&self) -> Node<'p> {
        Node::new(self.frame.words())
    }

    /// The page, to be changed.
    pub(crate) fn node_mut(&mut self) -> NodeMut<'p> {
        self.changed = true;
        point();
        NodeMut::new(self.frame.words())
    }

    /// The page memory, to be filled.
    pub(crate) fn words_mut(&mut self) -> Words<'p> {
        self.changed = true;
        point();
        self.frame.words()
    }

    pub(crate) fn set_page_number(&mut self, page: PageNumber) {
        self.changed = true;
        self.frame.words[PAGE].store(u64::from(page.0), Relaxed);
    }

    /// Sets the dirty epoch and returns the one before.
    pub(crate) fn set_dirty(&mut self, epoch: u64) -> u64 {
        let before = self.frame.words[DIRTY].load(Relaxed);
        if before != epoch {
            self.frame.words[DIRTY].store(epoch, Relaxed);
        }
        before
    }

    pub(crate) fn set_clean(&mut self) {
        self.frame.words[DIRTY].store(0, Relaxed);
    }
}

impl Drop for Latched<'_> {
    fn drop(&mut self) {
        // A latch under which the page did not change goes back to the same version: readers need not restart.
        let version = if self.changed {
            self.version + 2
        } else {
            self.version
        };
        point();
        let previous = self.frame.words[VERSION].swap(version, AcqRel);
        debug_assert_eq!(
            previous,
            self.version + 1,
            "only the holder changes a latched version"
        );
    }
}
