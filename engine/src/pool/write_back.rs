//! Copies dirty pages out of the pool for the data file, and marks them clean afterwards.
//!
//! One writer at a time per frame, so that the page map can never be moved back to an older image; the copy is
//! optimistic, so nobody waits for it.

use super::Pool;
use super::frame::{Frame, Optimistic};
use super::table::Residence;
use super::unfinished::Standing;
use crate::ids::{CommitId, PageNumber};
use crate::page::image;
use crate::page::words::{Words, private_page};
use crate::sync::thread;
use crate::work::{Kind, done};

/// A consistent copy of a dirty page, with its frame reserved for writing until this is dropped.
#[derive(Debug)]
pub(crate) struct PageCopy<'p> {
    source: Optimistic<'p>,
    pub(crate) page: PageNumber,
    pub(crate) commit: CommitId,
    pub(crate) image: Vec<u8>,
    pub(crate) has_ghosts: bool,
}

/// What became of a wish to copy a page.
#[derive(Debug)]
pub(crate) enum ToCopy<'p> {
    Copied(PageCopy<'p>),
    /// It is not in memory, or not dirty, any more.
    NoNeed,
    /// The commit that is being applied has changed it.
    Unfinished,
}

impl PageCopy<'_> {
    /// The copy is in the data file and the page map: the frame is clean, unless it has changed meanwhile.
    pub(crate) fn written(self) {
        crate::interleave::here(crate::interleave::Place::AfterWrite);
        let mut source = self.source;
        if crate::injected::makes(crate::injected::Bug::DirtyMarkCleared) {
            source = source.frame().optimistic();
        }
        match source.latch() {
            Some(mut latched) => latched.set_clean(),
            None => crate::reach::mark(crate::reach::Mechanism::PageChangedBehindCopy),
        }
    }
}

impl Drop for PageCopy<'_> {
    fn drop(&mut self) {
        self.source.frame().end_write();
    }
}

/// Holds the write reservation of a frame while the copy is made.
struct Reservation<'p>(Option<Frame<'p>>);

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(frame) = self.0 {
            frame.end_write();
        }
    }
}

impl Pool {
    /// Copies a page that is resident and dirty. Waits while another thread is writing it.
    pub(crate) fn copy_dirty(&self, page: PageNumber) -> ToCopy<'_> {
        loop {
            let Residence::Frame(index) = self.table.get(page) else {
                // Absent: evicted, which wrote it. Claimed: it is just being read back, so it is clean.
                return ToCopy::NoNeed;
            };
            let frame = self.frame(index);
            if frame.page_number() != page {
                thread::yield_now();
                continue;
            }
            if !frame.is_dirty() && !frame.is_being_written() {
                return ToCopy::NoNeed;
            }
            if !frame.begin_write() {
                thread::yield_now();
                continue;
            }
            match self.copy_reserved(frame, page, false) {
                ToCopy::NoNeed => thread::yield_now(),
                copied_or_unfinished => return copied_or_unfinished,
            }
        }
    }

    /// Copies a frame whose write reservation the caller has just taken, and releases it if there is nothing to copy. A
    /// page of the unfinished commit is copied only if it may be moved out and `moves` is set.
    pub(super) fn copy_reserved<'p>(&'p self, frame: Frame<'p>, page: PageNumber, moves: bool) -> ToCopy<'p> {
        let mut reservation = Reservation(Some(frame));
        crate::interleave::here(crate::interleave::Place::BeforeCopy);
        let memory = private_page(self.page_size);
        let private = Words::new(&memory);
        loop {
            // Not waited for: the caller may be bringing a page in that the holder of the latch waits for.
            let Some(source) = frame.try_optimistic() else {
                return ToCopy::NoNeed;
            };
            if frame.page_number() != page || !frame.is_dirty() {
                if source.is_valid() {
                    return ToCopy::NoNeed;
                }
                continue;
            }
            done(Kind::Bytes, self.page_size);
            private.copy_from(source.node().words);
            let node = crate::page::node::Node::new(private);
            crate::interleave::here(crate::interleave::Place::Copying);
            let is_stable = match self.unfinished.standing(node.commit_id()) {
                Standing::Finished => source.is_valid(),
                Standing::Movable if moves => self.unfinished.note_moved(page, source),
                _ => return ToCopy::Unfinished,
            };
            if !is_stable {
                crate::reach::mark(crate::reach::Mechanism::PageChangedWhileCopied);
                continue;
            }
            let mut bytes = Vec::with_capacity(node.used() + 64);
            image::encode(node, &mut bytes);
            reservation.0 = None;
            crate::interleave::here(crate::interleave::Place::AfterCopy);
            return ToCopy::Copied(PageCopy {
                source,
                page,
                commit: node.commit_id(),
                image: bytes,
                has_ghosts: node.is_leaf() && node.ghosts() > 0,
            });
        }
    }
}
