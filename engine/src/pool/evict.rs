//! Makes frames free: a clock over all frames that passes by what was used since its last round.
//!
//! Clean pages go first; a dirty one is written to a new extent, with the page map changed in memory only, which is
//! safe because the next durable checkpoint flushes the log before it writes the map.

use std::sync::atomic::Ordering::Relaxed;

use super::Pool;
use super::frame::Frame;
use crate::error::Result;
use crate::ids::PageNumber;
use crate::store::PageImage;

impl Pool {
    /// Frees one frame; `None` if no page could be moved out.
    pub(super) fn evict(&self) -> Result<Option<u32>> {
        let frames = self.frames();
        // Rounds: the first two clear used marks and take clean pages only where they are found unused; from the
        // second on dirty pages are written too; the later ones are for frames that were busy.
        for step in 0..8 * frames {
            let index = self.clock_hand.fetch_add(1, Relaxed) % frames;
            let frame = self.frame(index as u32);
            let page = frame.page_number();
            if page == PageNumber::NONE || frame.take_touched() {
                continue;
            }
            if frame.is_dirty() {
                let patience = 32;
                if step < patience || !self.write_frame(frame, page)? {
                    continue;
                }
                if self.evict_clean(frame, page) {
                    self.counters.evicted_dirty.fetch_add(1, Relaxed);
                    return Ok(Some(frame.index()));
                }
            } else if self.evict_clean(frame, page) {
                self.counters.evicted_clean.fetch_add(1, Relaxed);
                return Ok(Some(frame.index()));
            }
            if step % 64 == 63 {
                std::thread::yield_now();
            }
        }
        // Somebody may have given a frame back meanwhile.
        Ok(self.free.lock().pop())
    }

    /// Writes a dirty frame; `false` if somebody else is writing it or it is no longer dirty.
    fn write_frame(&self, frame: Frame<'_>, page: PageNumber) -> Result<bool> {
        if !frame.begin_write() {
            return Ok(false);
        }
        let Some(copy) = self.copy_reserved(frame, page) else {
            return Ok(false);
        };
        self.store.write_pages(&[PageImage {
            page,
            commit: copy.commit,
            raw: &copy.image,
        }])?;
        copy.written();
        Ok(true)
    }

    /// Moves a clean page out of its frame; `false` if it changed, is in use by a writer, or is dirty.
    fn evict_clean(&self, frame: Frame<'_>, page: PageNumber) -> bool {
        let Some(mut latched) = frame.try_optimistic().and_then(|o| o.latch()) else {
            return false;
        };
        if frame.page_number() != page || frame.is_dirty() || frame.is_being_written() {
            return false;
        }
        self.table.set(page, None);
        latched.set_page_number(PageNumber::NONE);
        true
    }
}
