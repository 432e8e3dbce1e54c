//! Copies dirty pages out of the pool for the data file, and marks them clean afterwards.
//!
//! One writer at a time per frame, so that the page map can never be moved back to an older image; the copy is
//! optimistic, so nobody waits for it.

use super::Pool;
use super::frame::{Frame, Optimistic};
use super::table::Residence;
use crate::ids::{CommitId, PageNumber};
use crate::page::image;
use crate::page::words::{Words, private_page};

/// A consistent copy of a dirty page, with its frame reserved for writing until this is dropped.
#[derive(Debug)]
pub(crate) struct PageCopy<'p> {
    source: Optimistic<'p>,
    pub(crate) page: PageNumber,
    pub(crate) commit: CommitId,
    pub(crate) image: Vec<u8>,
}

impl PageCopy<'_> {
    /// The copy is in the data file and the page map: the frame is clean, unless it has changed meanwhile.
    pub(crate) fn written(self) {
        crate::interleave::here(crate::interleave::Place::AfterWrite);
        let mut source = self.source;
        if crate::planted::makes(crate::planted::Fault::DirtyMarkCleared) {
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
    /// Copies a page that is resident and dirty; `None` if it is neither any more. Waits while another thread is
    /// writing it.
    pub(crate) fn copy_dirty(&self, page: PageNumber) -> Option<PageCopy<'_>> {
        loop {
            let Residence::Frame(index) = self.table.get(page) else {
                // Absent: evicted, which wrote it. Claimed: it is just being read back, so it is clean.
                return None;
            };
            let frame = self.frame(index);
            if frame.page_number() != page {
                std::thread::yield_now();
                continue;
            }
            if !frame.is_dirty() && !frame.is_being_written() {
                return None;
            }
            if !frame.begin_write() {
                std::thread::yield_now();
                continue;
            }
            if let Some(copy) = self.copy_reserved(frame, page) {
                return Some(copy);
            }
            std::thread::yield_now();
        }
    }

    /// Copies a frame whose write reservation the caller has just taken, and releases it if there is nothing to copy.
    pub(super) fn copy_reserved<'p>(&'p self, frame: Frame<'p>, page: PageNumber) -> Option<PageCopy<'p>> {
        let mut reservation = Reservation(Some(frame));
        crate::interleave::here(crate::interleave::Place::BeforeCopy);
        let memory = private_page(self.page_size);
        let private = Words::new(&memory);
        loop {
            // Not waited for: the caller may be bringing a page in that the holder of the latch waits for.
            let source = frame.try_optimistic()?;
            if frame.page_number() != page || !frame.is_dirty() {
                if source.is_valid() {
                    return None;
                }
                continue;
            }
            let words = source.node().words;
            for index in 0..self.page_size / 8 {
                private.set_word(index, words.word(index));
            }
            crate::interleave::here(crate::interleave::Place::Copying);
            if !source.is_valid() {
                crate::reach::mark(crate::reach::Mechanism::PageChangedWhileCopied);
                continue;
            }
            let node = crate::page::node::Node::new(private);
            let mut bytes = Vec::with_capacity(node.used() + 64);
            image::encode(node, &mut bytes);
            reservation.0 = None;
            crate::interleave::here(crate::interleave::Place::AfterCopy);
            return Some(PageCopy {
                source,
                page,
                commit: node.commit_id(),
                image: bytes,
            });
        }
    }
}
