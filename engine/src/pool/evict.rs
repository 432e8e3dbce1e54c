//! Makes frames free: a clock over all frames that passes by what was used since its last round.
//!
//! Clean pages go first; a dirty one is written to a new extent, with the page map changed in memory only, which is
//! safe because the next durable checkpoint flushes the log before it writes the map. Where nothing can be written, dirty
//! pages stay where they are, and reads get by with the frames of clean ones.

use super::Pool;
use super::frame::Frame;
use super::unfinished::Standing;
use super::write_back::ToCopy;
use crate::error::{Error, Result};
use crate::ids::PageNumber;
use crate::injected::{Bug, makes};
use crate::store::{PageImage, Privilege};
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::thread;
use crate::work::{Kind, done};

/// Steps of the clock in which dirty pages are passed by.
const PATIENCE: usize = 32;

/// Clean pages that must be left on a full disk, and by a commit that takes up the cache. With fewer, those on one path down a tree would push each other out.
const CLEAN_MIN: usize = super::FRAMES_MIN * 3 / 8;

impl Pool {
    /// Frees one frame; `None` if no page could be moved out.
    pub(super) fn evict(&self, privilege: Option<Privilege>) -> Result<Option<u32>> {
        let frames = self.frames();
        // Why dirty pages cannot be written: the disk is full, or the database has stopped.
        let mut cause = None;
        let mut has_others = None;
        // Clean pages that were not used lately are taken where they are found. The first steps pass dirty ones by, since
        // a clean one is likely to be near; after that dirty ones are written too. The later rounds are for frames
        // that were used or busy in the earlier ones.
        for step in 0..8 * frames {
            done(Kind::Frames, 1);
            let index = self.clock_hand.fetch_add(1, Relaxed) % frames;
            let frame = self.frame(index as u32);
            let page = frame.page_number();
            if page == PageNumber::NONE || frame.take_touched() {
                continue;
            }
            if frame.is_dirty() {
                if step < PATIENCE || cause.is_some() || self.store.is_read_only() {
                    continue;
                }
                cause = self.store.poison().error();
                if cause.is_some() {
                    continue;
                }
                // Pages of the commit that is being applied go last, if at all.
                let Some(seen) = frame.try_optimistic() else {
                    continue;
                };
                let is_passed_by = match self.unfinished.standing(seen.node().commit_id()) {
                    Standing::Finished => false,
                    Standing::Pinned => true,
                    Standing::Movable => *has_others.get_or_insert_with(|| self.has_clean_frames(CLEAN_MIN)),
                };
                if is_passed_by {
                    continue;
                }
                match self.write_frame(frame, page, privilege) {
                    Ok(true) => {}
                    Ok(false) => continue,
                    // What can be read must stay readable: a clean page will do.
                    Err(error) if error.is_disk_full() && self.has_clean_frames(CLEAN_MIN) => {
                        cause = Some(error);
                        continue;
                    }
                    Err(error @ Error::Poisoned { .. }) => {
                        cause = Some(error);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
                if self.evict_clean(frame, page) {
                    self.counters.evicted_dirty.fetch_add(1, Relaxed);
                    crate::reach::mark(crate::reach::Mechanism::DirtyEviction);
                    crate::reach::mark_if(
                        privilege.is_some(),
                        crate::reach::Mechanism::DirtyEvictionInCommit,
                    );
                    return Ok(Some(frame.index()));
                }
            } else if self.evict_clean(frame, page) {
                self.counters.evicted_clean.fetch_add(1, Relaxed);
                crate::reach::mark(crate::reach::Mechanism::CleanEviction);
                return Ok(Some(frame.index()));
            }
            if step % 64 == 63 {
                thread::yield_now();
            }
        }
        // Somebody may have given a frame back meanwhile.
        match (self.free.lock().pop(), cause) {
            (None, Some(error)) => Err(error),
            (index, _) => Ok(index),
        }
    }

    /// Whether so many pages could be moved out without writing them.
    fn has_clean_frames(&self, count: usize) -> bool {
        let mut left = count;
        (0..self.frames()).any(|index| {
            done(Kind::Frames, 1);
            let frame = self.frame(index as u32);
            left -= usize::from(frame.page_number() != PageNumber::NONE && !frame.is_dirty());
            left == 0
        })
    }

    /// Writes a dirty frame; `false` if somebody else is writing it or it is no longer dirty.
    fn write_frame(&self, frame: Frame<'_>, page: PageNumber, privilege: Option<Privilege>) -> Result<bool> {
        if makes(Bug::EvictionDoesNotWrite) {
            return Ok(true);
        }
        if !frame.begin_write() {
            return Ok(false);
        }
        let ToCopy::Copied(copy) = self.copy_reserved(frame, page, true) else {
            return Ok(false);
        };
        let image = PageImage {
            has_ghosts: copy.has_ghosts,
            page,
            commit: copy.commit,
            raw: &copy.image,
        };
        self.store.write_pages_for(&[image], privilege)?;
        copy.written();
        Ok(true)
    }

    /// Moves a clean page out of its frame; `false` if it changed, is in use by a writer, or is dirty.
    fn evict_clean(&self, frame: Frame<'_>, page: PageNumber) -> bool {
        let Some(mut latched) = frame.try_optimistic().and_then(|o| o.latch()) else {
            return false;
        };
        let is_dirty =
            frame.is_dirty() && !makes(Bug::EvictionDoesNotWrite) && !makes(Bug::EvictionDoesNotLookAgain);
        if frame.page_number() != page || is_dirty || frame.is_being_written() {
            return false;
        }
        self.table.set(page, None);
        latched.set_page_number(PageNumber::NONE);
        true
    }
}
