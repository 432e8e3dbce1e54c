//! Which units of the data file are in use. Derived from the page map at open, never stored.
//!
//! A unit (512 bytes) is in exactly one state:
//!
//! | state | meaning | leaves it by |
//! |---|---|---|
//! | free | nothing refers to it | `reserve` |
//! | reserved | handed out, being written | `keep` (live) or `cancel` (free) |
//! | live | the page map in memory refers to it | `retire` (pending), `retire_of` (pending or free) |
//! | pending | replaced or freed, but the durable checkpoint may still refer to it | `release_sealed` (free) |
//!
//! Only free units are handed out, and pending ones become free only when a checkpoint is durable that began after they
//! were retired: `seal` marks what is pending at the beginning of a checkpoint, `release_sealed` frees exactly that once
//! it is durable, `unseal` takes the mark back when it failed. So no extent that the durable checkpoint refers to is
//! ever overwritten. What was written after the last freeze of the page map, and is replaced before the next, has never
//! been in a map that became durable or is about to: `retire_of` frees it at once. Builds with debug assertions keep a second account of every extent in use and compare.
//!
//! Every operation is O(log n) in the number of free ranges; those that look for room far to the front also look at ranges of
//! about the length that is looked for, which may be a little too short, as long as there is no longer one.

#[cfg(debug_assertions)]
use std::collections::BTreeMap;

use super::free_ranges::FreeRanges;

/// A run of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UnitRange {
    /// First unit, counted from the start of the file.
    pub(crate) start: u64,
    /// Number of units, never 0.
    pub(crate) len: u64,
}

impl UnitRange {
    /// The unit behind the last one.
    pub(crate) fn end(self) -> u64 {
        self.start + self.len
    }
}

/// Units by state. All of the file behind the superblocks is in one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnitCounts {
    pub(crate) live: u64,
    pub(crate) reserved: u64,
    pub(crate) pending: u64,
    pub(crate) free: u64,
}

/// The accounts of one data file.
#[derive(Debug)]
pub(crate) struct ExtentAllocator {
    first: u64,
    end: u64,
    free: FreeRanges,
    pending: Vec<UnitRange>,
    sealed: Vec<UnitRange>,
    /// How often the page map has been frozen, and whether that is being done just now.
    epoch: u32,
    is_freezing: bool,
    /// While the file is too long: where new extents should end.
    ceiling: Option<u64>,
    counts: UnitCounts,
    #[cfg(debug_assertions)]
    in_use: BTreeMap<u64, u64>,
}

impl ExtentAllocator {
    /// The allocator of a file whose extents lie in units `first..end` and of which `live` are in use; the rest is free.
    ///
    /// # Errors
    /// Two ranges that overlap, or a range outside of the file, as the first unit of the offending range and what is
    /// wrong with it.
    pub(crate) fn new(first: u64, end: u64, mut live: Vec<UnitRange>) -> Result<Self, (u64, String)> {
        assert!(first <= end, "the file is shorter than its superblocks");
        let mut allocator = Self {
            first,
            end,
            free: FreeRanges::default(),
            pending: Vec::new(),
            sealed: Vec::new(),
            epoch: 1,
            is_freezing: false,
            ceiling: None,
            counts: UnitCounts::default(),
            #[cfg(debug_assertions)]
            in_use: BTreeMap::new(),
        };
        live.sort_unstable();
        let mut cursor = first;
        for range in live {
            if range.start < cursor {
                let what = if cursor == first {
                    "the superblocks"
                } else {
                    "the extent before it"
                };
                return Err((range.start, format!("an extent overlaps {what}")));
            }
            if range
                .start
                .checked_add(range.len)
                .is_none_or(|range_end| range_end > end)
            {
                return Err((
                    range.start,
                    "the file ends before this extent does: it was truncated".to_owned(),
                ));
            }
            allocator.add_free(UnitRange {
                start: cursor,
                len: range.start - cursor,
            });
            allocator.audit_take(range);
            allocator.counts.live += range.len;
            cursor = range.end();
        }
        allocator.add_free(UnitRange {
            start: cursor,
            len: end - cursor,
        });
        Ok(allocator)
    }

    /// Units by state.
    pub(crate) fn counts(&self) -> UnitCounts {
        self.counts
    }

    /// The unit behind the last one of the file.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Reserves an extent for each of `lens` (in units), in order and with as many neighbours as free space allows,
    /// and appends their starts to `starts`. Stops at the first one that finds no room and returns how many units the
    /// rest needs; 0 when all were placed.
    pub(crate) fn reserve(&mut self, lens: &[u64], starts: &mut Vec<u64>) -> u64 {
        let placed = self
            .ceiling
            .map_or(0, |ceiling| self.reserve_below(ceiling, lens, starts));
        let lens = &lens[placed..];
        let mut wanted: u64 = lens.iter().sum();
        let mut lens = lens;
        while let Some(&next) = lens.first() {
            debug_assert!(next > 0, "an extent has at least one unit");
            let Some(range) = self.free.best(wanted, next) else {
                return wanted;
            };
            let placed = self.fill(range, range.end(), lens, starts);
            wanted -= lens[..placed].iter().sum::<u64>();
            lens = &lens[placed..];
        }
        0
    }

    /// Reserves extents that end at or below unit `end`, as far to the front as they go in one pass, and appends their starts
    /// to `starts`. Stops at the first one that finds no room and returns how many were placed.
    pub(crate) fn reserve_below(&mut self, end: u64, lens: &[u64], starts: &mut Vec<u64>) -> usize {
        let mut placed = 0;
        let mut from = self.first;
        while let Some(&next) = lens.get(placed)
            && let Some(range) = self.free.first_below(from, end, next)
        {
            placed += self.fill(range, end.min(range.end()), &lens[placed..], starts);
            from = range.start + 1;
        }
        placed
    }

    /// Reserves up to `count` extents of `len` units, far to the front; fewer only if there is room for no more. Returns where.
    pub(super) fn reserve_front(&mut self, len: u64, count: usize) -> Vec<u64> {
        let mut starts = Vec::with_capacity(count);
        let lens = vec![len; count];
        let placed = self.reserve_below(u64::MAX, &lens, &mut starts);
        // What it has passed over on its way to the front. However many there are of one length, it does not matter in which
        // order ranges are filled.
        self.reserve(&lens[placed..], &mut starts);
        starts
    }

    /// Reserves an extent in the last free range, if that lies behind unit `behind`.
    pub(super) fn reserve_behind(&mut self, behind: u64, len: u64) -> Option<u64> {
        let last = self
            .free
            .last()
            .filter(|range| range.start > behind && range.len >= len)?;
        let mut starts = Vec::with_capacity(1);
        self.fill(last, last.end(), &[len], &mut starts);
        starts.pop()
    }

    /// Reserves extents one behind the other in a free range, up to unit `end`; returns how many.
    fn fill(&mut self, range: UnitRange, end: u64, lens: &[u64], starts: &mut Vec<u64>) -> usize {
        self.remove_free(range);
        let mut cursor = range.start;
        let mut placed = 0;
        while let Some(&len) = lens.get(placed)
            && cursor + len <= end
        {
            self.audit_take(UnitRange { start: cursor, len });
            starts.push(cursor);
            self.counts.reserved += len;
            cursor += len;
            placed += 1;
        }
        self.add_free(UnitRange {
            start: cursor,
            len: range.end() - cursor,
        });
        placed
    }

    /// Extents go below this unit from now on where they can.
    pub(crate) fn set_ceiling(&mut self, ceiling: Option<u64>) {
        self.ceiling = ceiling;
    }

    /// A reserved extent has been written and is now referred to by the page map.
    pub(crate) fn keep(&mut self, range: UnitRange) {
        self.counts.reserved -= range.len;
        self.counts.live += range.len;
    }

    /// A reserved extent will not be referred to: it is free again at once.
    pub(crate) fn cancel(&mut self, range: UnitRange) {
        self.counts.reserved -= range.len;
        self.audit_return(range);
        self.add_free(range);
    }

    /// Cuts a reserved extent to its first `units`; the rest is free again.
    pub(crate) fn cancel_tail(&mut self, range: UnitRange, units: u64) {
        debug_assert!(0 < units && units < range.len);
        self.audit_return(range);
        self.audit_take(UnitRange {
            start: range.start,
            len: units,
        });
        let tail = UnitRange {
            start: range.start + units,
            len: range.len - units,
        };
        self.counts.reserved -= tail.len;
        self.add_free(tail);
    }

    /// The page map no longer refers to a live extent; the durable checkpoint may.
    pub(crate) fn retire(&mut self, range: UnitRange) {
        self.counts.live -= range.len;
        self.counts.pending += range.len;
        self.pending.push(range);
    }

    /// What a page map that refers to something written now is to note about it.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// [`ExtentAllocator::retire`], or frees the extent at once if it was written after the last freeze. Returns whether it
    /// is free.
    pub(crate) fn retire_of(&mut self, range: UnitRange, epoch: u32) -> bool {
        // The last epoch never ends, so in it nothing counts as fresh.
        let is_fresh = epoch == self.epoch && self.epoch < u32::MAX && !self.is_freezing;
        if is_fresh {
            self.counts.live -= range.len;
            self.audit_return(range);
            self.add_free(range);
            crate::reach::mark(crate::reach::Mechanism::FreshExtentFreed);
        } else {
            self.retire(range);
        }
        is_fresh
    }

    /// Frees what was retired last: an injected bug, the durable checkpoint may still need it.
    pub(super) fn free_last_retired(&mut self) {
        if let Some(range) = self.pending.pop() {
            self.counts.pending -= range.len;
            self.audit_return(range);
            self.add_free(range);
        }
    }

    /// The checkpoint under way no longer refers to a live extent, nor will anything else once it is durable: it is
    /// freed with what was sealed.
    pub(crate) fn retire_with_sealed(&mut self, range: UnitRange) {
        self.counts.live -= range.len;
        self.counts.pending += range.len;
        self.sealed.push(range);
    }

    /// A checkpoint begins: what is pending now can be freed when it is durable.
    pub(crate) fn seal(&mut self) {
        assert!(self.sealed.is_empty(), "one checkpoint at a time");
        self.sealed = std::mem::take(&mut self.pending);
        self.is_freezing = true;
    }

    /// The page map has been copied: what is written from here on is not in the copy.
    pub(crate) fn end_freeze(&mut self) {
        self.is_freezing = false;
        self.epoch = self.epoch.saturating_add(1);
    }

    /// The checkpoint is durable: frees what was pending when it began.
    pub(crate) fn release_sealed(&mut self) {
        for range in std::mem::take(&mut self.sealed) {
            crate::work::done(crate::work::Kind::FreeRanges, 1);
            self.counts.pending -= range.len;
            self.audit_return(range);
            self.add_free(range);
        }
    }

    /// The checkpoint failed: nothing that was pending may be freed yet.
    pub(crate) fn unseal(&mut self) {
        self.pending.append(&mut self.sealed);
    }

    /// The file has grown by `units`.
    pub(crate) fn extend(&mut self, units: u64) {
        // It grows again, so it is not too long.
        self.ceiling = None;
        let start = self.end;
        self.end += units;
        self.add_free(UnitRange { start, len: units });
    }

    /// Gives up free units at the end of the file so that at most `keep` of them remain. Returns the new end, or `None`
    /// when there were no more than twice that: a file that breathes a little is not cut each time. One that was found to be
    /// too long is.
    pub(crate) fn cut_tail(&mut self, keep: u64) -> Option<u64> {
        let tail = self.free.last()?;
        let allowed = if self.ceiling.is_some() {
            keep
        } else {
            keep.saturating_mul(2)
        };
        if tail.end() != self.end || tail.len <= allowed {
            return None;
        }
        self.ceiling = None;
        self.remove_free(tail);
        self.end = tail.start + keep;
        self.add_free(UnitRange {
            start: tail.start,
            len: keep,
        });
        Some(self.end)
    }

    /// Compares every account with `live`, the extents that the page map refers to: nothing overlaps, and every unit
    /// that is neither live nor pending nor free is reserved.
    ///
    /// # Errors
    /// The first unit where something is wrong, and what.
    pub(crate) fn check(&self, live: &[UnitRange]) -> Result<(), (u64, String)> {
        let mut all: Vec<(UnitRange, &str)> = live.iter().map(|&range| (range, "live")).collect();
        all.extend(
            self.pending
                .iter()
                .chain(&self.sealed)
                .map(|&range| (range, "pending")),
        );
        all.extend(self.free.iter().map(|range| (range, "free")));
        all.sort_unstable();
        let mut cursor = self.first;
        let mut gaps = 0;
        for (range, state) in all {
            if range.start < cursor {
                return Err((
                    range.start,
                    format!("a {state} extent overlaps the one before it"),
                ));
            }
            gaps += range.start - cursor;
            cursor = range.end();
        }
        if cursor > self.end {
            return Err((cursor, "an extent lies behind the end of the file".to_owned()));
        }
        gaps += self.end - cursor;
        let counts = self.counts;
        if gaps != counts.reserved {
            return Err((
                self.first,
                format!(
                    "{gaps} units are in no state, {} are being written",
                    counts.reserved
                ),
            ));
        }
        let live_units: u64 = live.iter().map(|range| range.len).sum();
        let total = counts.live + counts.reserved + counts.pending + counts.free;
        if live_units != counts.live || total != self.end - self.first {
            return Err((
                self.first,
                format!(
                    "accounts differ: {live_units} units in the page map, {} live, {total} of {} accounted for",
                    counts.live,
                    self.end - self.first
                ),
            ));
        }
        Ok(())
    }

    fn add_free(&mut self, range: UnitRange) {
        self.free.add(range);
        self.counts.free += range.len;
    }

    fn remove_free(&mut self, range: UnitRange) {
        self.free.remove(range);
        self.counts.free -= range.len;
    }

    /// Notes an extent as in use; it must not overlap any other.
    #[cfg(debug_assertions)]
    fn audit_take(&mut self, range: UnitRange) {
        let before = self.in_use.range(..range.end()).next_back();
        assert!(
            before.is_none_or(|(&start, &len)| start + len <= range.start),
            "units {range:?} are in use and were handed out again"
        );
        self.in_use.insert(range.start, range.len);
    }

    /// Notes an extent as no longer in use; it must be one that was handed out.
    #[cfg(debug_assertions)]
    fn audit_return(&mut self, range: UnitRange) {
        assert_eq!(
            self.in_use.remove(&range.start),
            Some(range.len),
            "units {range:?} were not handed out"
        );
    }

    #[cfg(not(debug_assertions))]
    fn audit_take(&mut self, _range: UnitRange) {}

    #[cfg(not(debug_assertions))]
    fn audit_return(&mut self, _range: UnitRange) {}
}

#[cfg(test)]
mod tests;
