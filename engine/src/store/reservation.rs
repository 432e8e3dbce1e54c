//! Room in the data file that is reserved for the commit that is being applied.
//!
//! A commit that has changed a page must be completed, and on the way it may have to move dirty pages out of the cache,
//! which takes room in the file. So extents for that are taken from free space before it begins. They are used only when
//! the file is full, only on behalf of that commit, and stay for the next one. On a full disk what is kept for checkpoints is
//! borrowed, or a database that is larger than its cache could not be emptied there.

use std::cell::Cell;

use super::allocator::UnitRange;
use super::data_file::DataFile;
use super::room::Purpose;
use crate::error::{Error, Result};
use crate::injected::{self, Bug};

/// Extents that stay reserved after a commit.
const KEPT_MAX: usize = 64;

/// The right to use what is reserved. Only a [`Reservation`] gives it out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Privilege(());

/// The extents reserved for one commit; its holder holds the applier.
#[derive(Debug)]
pub(crate) struct Reservation<'s> {
    store: &'s DataFile,
    /// Some of it was kept for checkpoints on a full disk, and is to be so again.
    has_borrowed: Cell<bool>,
}

impl Reservation<'_> {
    pub(crate) fn privilege(&self) -> Privilege {
        Privilege(())
    }

    /// Makes sure that extents for `count` pages are reserved.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the file cannot be made long enough.
    pub(crate) fn extend_to(&self, count: usize) -> Result<()> {
        let store = self.store;
        let reserved = store.reserved.lock().len();
        if reserved >= count || injected::makes(Bug::ReservationNotHeld) {
            return Ok(());
        }
        let len = store.page_units();
        let lens = vec![len; count - reserved];
        let starts = store.reserve(&lens).or_else(|error| {
            if !error.is_disk_full() {
                return Err(error);
            }
            let kept = store.take_kept(&lens, Purpose::Pages { new: 0 }).ok_or(error)?;
            self.has_borrowed.set(true);
            Ok::<_, Error>(kept)
        })?;
        let ranges = starts.into_iter().map(|start| UnitRange { start, len });
        store.reserved.lock().extend(ranges);
        Ok(())
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if self.has_borrowed.get() {
            self.store.release_reserved(0);
            self.store.keep_again();
        } else {
            self.store.release_reserved(KEPT_MAX);
        }
    }
}

impl DataFile {
    /// Begins the reservation of a commit.
    pub(crate) fn reservation(&self) -> Reservation<'_> {
        Reservation {
            store: self,
            has_borrowed: Cell::new(false),
        }
    }

    /// One reserved extent, cut to `units`.
    pub(super) fn take_reserved(&self, units: u64, _privilege: Privilege) -> Option<u64> {
        let UnitRange { start, len } = self.reserved.lock().pop()?;
        if len > units {
            self.space.lock().cancel_tail(UnitRange { start, len }, units);
        }
        crate::reach::mark(crate::reach::Mechanism::ReservationUsed);
        Some(start)
    }

    /// Gives back all but `keep` of what is reserved.
    pub(crate) fn release_reserved(&self, keep: usize) {
        let mut reserved = self.reserved.lock();
        if reserved.len() > keep {
            let mut space = self.space.lock();
            reserved.drain(keep..).for_each(|range| space.cancel(range));
        }
    }
}
