//! Room that is held back for commits.
//!
//! A commit that has changed a page must be completed, and on the way it may have to move dirty pages out of the cache,
//! which takes room in the file. So extents for that are taken from free space before it begins. They are
//! used only when the file is full, only by the thread that is committing, and stay for the next commit.

use std::cell::Cell;
use std::marker::PhantomData;

use super::allocator::UnitRange;
use super::data_file::DataFile;
use super::extent::{OVERHEAD_BYTES, units_for};
use crate::error::Result;

/// Extents that stay held after a commit.
const KEPT_MAX: usize = 64;

thread_local! {
    /// Guards of this thread.
    static COMMITTING: Cell<u32> = const { Cell::new(0) };
}

/// While it lives, this thread may use what is held.
#[derive(Debug)]
pub(crate) struct Committing<'s> {
    store: &'s DataFile,
    /// It belongs to its thread.
    _not_send: PhantomData<*const ()>,
}

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        COMMITTING.set(COMMITTING.get() - 1);
        if COMMITTING.get() == 0 {
            self.store.let_go(KEPT_MAX);
        }
    }
}

impl DataFile {
    /// Allows this thread to use what is held, until the guard is dropped.
    pub(crate) fn committing(&self) -> Committing<'_> {
        COMMITTING.set(COMMITTING.get() + 1);
        Committing {
            store: self,
            _not_send: PhantomData,
        }
    }

    /// Whether this thread may use what is held.
    pub(crate) fn is_committing(&self) -> bool {
        COMMITTING.get() > 0
    }

    /// Makes sure that extents for `count` pages are held.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the file cannot be made long enough.
    pub(crate) fn hold(&self, count: usize) -> Result<()> {
        let held = self.held.lock().len();
        if held >= count || crate::planted::makes(crate::planted::Fault::RoomNotHeld) {
            return Ok(());
        }
        let len = self.held_units();
        let starts = self.reserve(&vec![len; count - held])?;
        let ranges = starts.into_iter().map(|start| UnitRange { start, len });
        self.held.lock().extend(ranges);
        Ok(())
    }

    /// One held extent, cut to `units`, for the thread that is committing.
    pub(super) fn take_held(&self, units: u64) -> Option<u64> {
        if !self.is_committing() {
            return None;
        }
        let UnitRange { start, len } = self.held.lock().pop()?;
        crate::reach::mark(crate::reach::Mechanism::HeldRoomUsed);
        if len > units {
            self.space.lock().cancel_tail(UnitRange { start, len }, units);
        }
        Some(start)
    }

    /// Gives back all but `keep` of what is held.
    pub(crate) fn let_go(&self, keep: usize) {
        let mut held = self.held.lock();
        if held.len() > keep {
            let mut space = self.space.lock();
            held.drain(keep..).for_each(|range| space.cancel(range));
        }
    }

    /// Units of the longest extent of a page.
    fn held_units(&self) -> u64 {
        units_for(self.page_size() + OVERHEAD_BYTES)
    }
}
