//! Ranges of free units, by start (to merge neighbours, and to find room far to the front) and by length (best fit, the
//! lowest among equals, so that the end of the file empties first).

use std::collections::{BTreeMap, BTreeSet};

use super::allocator::UnitRange;
use crate::work::{Kind, done};

/// Free ranges; no two touch each other.
#[derive(Debug, Default)]
pub(super) struct FreeRanges {
    by_start: BTreeMap<u64, u64>,
    by_len: BTreeSet<(u64, u64)>,
}

impl FreeRanges {
    /// All ranges, by start.
    pub(super) fn iter(&self) -> impl Iterator<Item = UnitRange> {
        let range = |(&start, &len)| UnitRange { start, len };
        self.by_start.iter().inspect(|_| done(Kind::FreeRanges, 1)).map(range)
    }

    /// The last one.
    pub(super) fn last(&self) -> Option<UnitRange> {
        let (&start, &len) = self.by_start.last_key_value()?;
        Some(UnitRange { start, len })
    }

    /// The shortest range of at least `wanted` units, else the longest if it has at least `least`.
    pub(super) fn best(&self, wanted: u64, least: u64) -> Option<UnitRange> {
        done(Kind::FreeRanges, 1);
        let fitting = self.by_len.range((wanted, 0)..).next();
        let &(len, start) = fitting.or_else(|| self.by_len.last())?;
        (len >= least).then_some(UnitRange { start, len })
    }

    /// The first range from unit `from` on in which `len` units end at or below `end`.
    pub(super) fn first_below(&self, from: u64, end: u64, len: u64) -> Option<UnitRange> {
        let fits = |range: &UnitRange| {
            done(Kind::FreeRanges, 1);
            range.len >= len && range.start + len <= end
        };
        let range = |(&start, &len)| UnitRange { start, len };
        self.by_start.range(from..end).map(range).find(fits)
    }

    /// Adds a range and merges it with its neighbours. An empty range is nothing.
    pub(super) fn add(&mut self, range: UnitRange) {
        if range.len == 0 {
            return;
        }
        done(Kind::FreeRanges, 1);
        let mut merged = range;
        if let Some((&start, &len)) = self.by_start.range(..=range.start).next_back() {
            assert!(
                start + len <= range.start,
                "freed units {range:?} are free already"
            );
            if start + len == range.start {
                self.remove(UnitRange { start, len });
                merged = UnitRange {
                    start,
                    len: len + merged.len,
                };
            }
        }
        if let Some((&start, &len)) = self.by_start.range(range.start..).next() {
            assert!(range.end() <= start, "freed units {range:?} are free already");
            if range.end() == start {
                self.remove(UnitRange { start, len });
                merged.len += len;
            }
        }
        self.by_start.insert(merged.start, merged.len);
        self.by_len.insert((merged.len, merged.start));
    }

    /// Removes a range, which is there as it is.
    pub(super) fn remove(&mut self, range: UnitRange) {
        done(Kind::FreeRanges, 1);
        let by_start = self.by_start.remove(&range.start);
        let by_len = self.by_len.remove(&(range.len, range.start));
        assert!(
            by_start == Some(range.len) && by_len,
            "both indexes hold the same free ranges"
        );
    }
}
