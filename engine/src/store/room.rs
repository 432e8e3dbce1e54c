//! Room that the data file sets aside, so that a checkpoint can always be completed, and rows be deleted on a full disk.
//!
//! A page that was created is in the cache and in the log only; the next checkpoint must find room for it, or the log could
//! never be given up, and nothing be deleted for want of log. So before a commit that adds rows is applied, extents are set
//! aside for every page that has no place in the file yet. They go back to free space when such a page is about to be
//! written, which then finds room there. A page that replaces an older image of itself needs no room for good: a
//! checkpoint that runs out of it makes durable what it has written, which frees what that replaced, and goes on
//! (`checkpoint.rs`). To do that it needs some extents of any kind: those are set aside too, and are used when nothing else
//! is left, the last ones for the page map only.
//!
//! Not exact: a commit can split more pages than its bytes would fill, for which some pages ahead are set aside; and a page whose
//! image has grown needs more than what it replaces gives back, for which nothing is. Where rows in random order have filled up
//! many pages since the last checkpoint, what is kept can be used up by them.
//!
//! Lock order: what is set aside, before the space.

use std::collections::BTreeSet;

use super::allocator::{ExtentAllocator, UnitRange};
use super::data_file::DataFile;
use super::extent::{OVERHEAD_BYTES, units_for};
use super::map_format::{ENTRY_BYTES, ROOT_ENTRY_BYTES};
use super::page_map::CHUNK_ENTRIES;
use crate::error::Result;
use crate::injected::{self, Bug};
use crate::sync::atomic::Ordering;

/// Pages that are looked after ahead of need.
const AHEAD: u64 = 8;
/// Extents for pages whose replacement waits for a checkpoint: one for so many pages of the file, between these two.
const PAGES_OF_KEPT: u64 = 64;
const KEPT: std::ops::RangeInclusive<u64> = 4..=32;

/// Extents that are reserved and not written.
#[derive(Debug, Default)]
pub(super) struct SetAside {
    /// The first units of those for pages without a place, one for each and each as long as a page can be.
    new_pages: BTreeSet<u64>,
    /// For anything, when nothing is free.
    kept: Vec<UnitRange>,
    /// For the root of the page map, where that is longer than each of those.
    root: Option<UnitRange>,
    /// How many pages there may be created before room is looked for again: the commit that is being applied relies on it.
    promised_until: u64,
}

impl SetAside {
    /// Moves what is kept behind the extents of pages, as far as there is room: it would split what images do not fill of them
    /// in two, of which the best fit lets the longer one grow until both are as long.
    fn make_way(&mut self, space: &mut ExtentAllocator) {
        let Self {
            new_pages,
            kept,
            root,
            ..
        } = self;
        let (Some(&first), Some(&last)) = (new_pages.first(), new_pages.last()) else {
            return;
        };
        for range in kept
            .iter_mut()
            .chain(root)
            .filter(|range| (first..last).contains(&range.start))
        {
            let Some(start) = space.reserve_behind(last, range.len) else {
                return;
            };
            space.cancel(std::mem::replace(range, UnitRange { start, ..*range }));
        }
    }
}

/// What room is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Pages, so many of which have no place yet.
    Pages { new: usize },
    /// Pieces of the page map.
    Map,
}

/// Whether an injected bug leaves this out. What is set aside would also make up for a missing reservation.
fn is_left_out() -> bool {
    injected::makes(Bug::RoomNotSetAside) || injected::makes(Bug::ReservationNotHeld)
}

impl DataFile {
    /// Sets room aside for all pages in use that have none, and for `new_pages` more. To be called before a commit adds to
    /// them; nothing is looked at if few pages have been created since the last time.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the device is full.
    pub(crate) fn ensure_room(&self, new_pages: u64) -> Result<()> {
        let created = self.created.load(Ordering::Relaxed);
        let is_enough = self.created_with_room.load(Ordering::Relaxed) >= created + new_pages;
        if is_enough || is_left_out() {
            return Ok(());
        }
        self.keeps_room.store(true, Ordering::Relaxed);
        let ahead = new_pages.max(AHEAD);
        let mut aside = self.set_aside.lock();
        let lacking = (self.pages_without_place() + ahead).saturating_sub(aside.new_pages.len() as u64);
        aside
            .new_pages
            .extend(self.reserve_equal(self.page_units(), lacking)?);
        self.keep_all(&mut aside)?;
        aside.promised_until = created + ahead;
        self.created_with_room
            .store(aside.promised_until, Ordering::Relaxed);
        Ok(())
    }

    /// From now on room is kept for a full disk, as far as there is any.
    pub(crate) fn keep_room(&self) {
        self.keeps_room.store(true, Ordering::Relaxed);
        self.settle_aside();
    }

    /// No commit is being applied: none relies on what was promised to the last one.
    pub(super) fn end_promise(&self) {
        self.set_aside.lock().promised_until = 0;
        self.created_with_room.store(0, Ordering::Relaxed);
    }

    /// After a checkpoint: sets aside anew what is kept, as far as there is room, at the front of the file; and gives back
    /// what is set aside for pages that have a place by now.
    pub(super) fn settle_aside(&self) {
        if !self.keeps_room.load(Ordering::Relaxed) || is_left_out() {
            return;
        }
        let mut aside = self.set_aside.lock();
        self.created_with_room.store(0, Ordering::Relaxed);
        let to_come = aside
            .promised_until
            .saturating_sub(self.created.load(Ordering::Relaxed));
        let new_pages = (self.pages_without_place() + to_come) as usize;
        let mut space = self.space.lock();
        let page = self.page_units();
        while aside.new_pages.len() > new_pages
            && let Some(start) = aside.new_pages.pop_last()
        {
            space.cancel(UnitRange { start, len: page });
        }
        drop(space);
        self.keep_at_front(&mut aside);
    }

    /// Keeps as much as before again, as far as there is room.
    pub(super) fn keep_again(&self) {
        self.keep_at_front(&mut self.set_aside.lock());
    }

    /// Keeps what is to be kept, also where the file has to be made longer for that: whoever opens it next may find a full
    /// disk. Without room there is less.
    pub(crate) fn keep_for_next(&self) {
        if !self.keeps_room.load(Ordering::Relaxed) || is_left_out() {
            return;
        }
        let mut aside = self.set_aside.lock();
        if self.keep_all(&mut aside).is_ok() {
            return;
        }
        // As many as there is room for.
        let len = self.kept_units();
        while aside.kept.len() < self.kept_wanted() {
            match self.reserve(&[len]) {
                Ok(starts) => aside
                    .kept
                    .extend(starts.into_iter().map(|start| UnitRange { start, len })),
                Err(error) => {
                    tracing::debug!(%error, "less room than usual is kept for a full disk");
                    return;
                }
            }
        }
    }

    fn keep_all(&self, aside: &mut SetAside) -> Result<()> {
        if let Some(len) = self.long_root_units()
            && aside.root.is_none_or(|root| root.len < len)
        {
            let start = self.reserve(&[len])?[0];
            if let Some(before) = aside.root.replace(UnitRange { start, len }) {
                self.space.lock().cancel(before);
            }
        }
        let lacking = self.kept_wanted().saturating_sub(aside.kept.len());
        let len = self.kept_units();
        let kept = self.reserve_equal(len, lacking as u64)?;
        aside
            .kept
            .extend(kept.into_iter().map(|start| UnitRange { start, len }));
        Ok(())
    }

    fn keep_at_front(&self, aside: &mut SetAside) {
        let wanted = self.kept_wanted();
        let len = self.kept_units();
        let long_root = self.long_root_units();
        let mut space = self.space.lock();
        // One after the other, so that each finds at least the room that it had.
        if let Some(len) = long_root {
            if let Some(range) = aside.root.take() {
                space.cancel(range);
            }
            let root = space.reserve_front(len, 1);
            aside.root = root.first().map(|&start| UnitRange { start, len });
        }
        aside.kept.drain(..).for_each(|range| space.cancel(range));
        let starts = space.reserve_front(len, wanted);
        aside
            .kept
            .extend(starts.into_iter().map(|start| UnitRange { start, len }));
    }

    /// Gives everything back that is set aside: it may lie at the end of a file that is to be made shorter.
    pub(super) fn release_aside(&self) {
        let mut aside = self.set_aside.lock();
        self.created_with_room.store(0, Ordering::Relaxed);
        let mut space = self.space.lock();
        let SetAside {
            new_pages,
            kept,
            root,
            ..
        } = std::mem::take(&mut *aside);
        let len = self.page_units();
        let of_pages = new_pages.into_iter().map(|start| UnitRange { start, len });
        of_pages
            .chain(kept)
            .chain(root)
            .for_each(|range| space.cancel(range));
    }

    /// Gives room back that was set aside for pages which are about to be written: the front first, so that what images do not
    /// fill of it adds up to the end of the file.
    pub(super) fn release_for_new(&self, pages: usize) {
        let mut aside = self.set_aside.lock();
        let mut space = self.space.lock();
        aside.make_way(&mut space);
        let len = self.page_units();
        for start in std::iter::from_fn(|| aside.new_pages.pop_first()).take(pages) {
            space.cancel(UnitRange { start, len });
        }
    }

    /// Room for extents of so many units each from what is kept for a full disk, if there is that much.
    pub(super) fn take_kept(&self, units: &[u64], purpose: Purpose) -> Option<Vec<u64>> {
        let for_others = match purpose {
            Purpose::Map => 0,
            Purpose::Pages { .. } => self.map_extents() as usize,
        };
        let mut aside = self.set_aside.lock();
        let taken: Vec<_> = match units {
            [root] if purpose == Purpose::Map && *root > self.kept_units() => {
                vec![aside.root.take_if(|kept| kept.len >= *root)?]
            }
            _ => {
                let left = aside.kept.len().checked_sub(units.len())?;
                if left < for_others || units.iter().any(|units| *units > self.kept_units()) {
                    return None;
                }
                aside.kept.drain(left..).collect()
            }
        };
        let mut space = self.space.lock();
        for (range, units) in taken.iter().zip(units) {
            if range.len > *units {
                space.cancel_tail(*range, *units);
            }
        }
        crate::reach::mark(crate::reach::Mechanism::KeptRoomUsed);
        Some(taken.iter().map(|range| range.start).collect())
    }

    /// Where `count` extents of `len` units are reserved.
    fn reserve_equal(&self, len: u64, count: u64) -> Result<Vec<u64>> {
        match count {
            0 => Ok(Vec::new()),
            _ => self.reserve(&vec![len; count as usize]),
        }
    }

    /// Units of the longest extent of a page.
    pub(super) fn page_units(&self) -> u64 {
        units_for(self.page_size() + OVERHEAD_BYTES)
    }

    fn pages_without_place(&self) -> u64 {
        self.pages_in_use().saturating_sub(self.map.totals().pages)
    }

    /// Pages that have a number.
    pub(crate) fn pages_in_use(&self) -> u64 {
        let numbers = self.numbers.lock();
        u64::from(numbers.count() - numbers.free_count())
    }

    /// Pieces that the page map can have, its root among them.
    fn map_extents(&self) -> u64 {
        self.map_pieces() + 2
    }

    fn map_pieces(&self) -> u64 {
        u64::from(self.numbers.lock().count()).div_ceil(CHUNK_ENTRIES as u64)
    }

    /// Units of the root of the page map, if it is longer than another piece.
    fn long_root_units(&self) -> Option<u64> {
        let units = units_for(self.map_pieces() as usize * ROOT_ENTRY_BYTES + OVERHEAD_BYTES);
        (units > self.kept_units()).then_some(units)
    }

    /// How many extents are to be kept for a full disk.
    fn kept_wanted(&self) -> usize {
        (self.map_extents() + self.kept_extents()) as usize
    }

    fn kept_extents(&self) -> u64 {
        (self.map.totals().pages / PAGES_OF_KEPT).clamp(*KEPT.start(), *KEPT.end())
    }

    /// Units of an extent that holds a page or a piece of the page map.
    fn kept_units(&self) -> u64 {
        units_for(self.page_size().max(CHUNK_ENTRIES * ENTRY_BYTES) + OVERHEAD_BYTES)
    }
}
