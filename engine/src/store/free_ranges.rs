//! Ranges of free units: by start, to merge neighbours; by length, for the best fit, the lowest among equals, so that the end
//! of the file empties first; and by start among those whose length has the same power of two, to find room far to the
//! front without looking at many that are too short.

use std::collections::{BTreeMap, BTreeSet};

use super::allocator::UnitRange;
use crate::work::{Kind, done};

/// Ranges of about the right length that are looked at where a longer one is known.
const PATIENCE: usize = 16;

/// Free ranges; no two touch each other.
#[derive(Debug)]
pub(super) struct FreeRanges {
    by_start: BTreeMap<u64, u64>,
    by_len: BTreeSet<(u64, u64)>,
    /// Starts of the ranges of 2^n to 2^(n + 1) - 1 units.
    by_class: [BTreeSet<u64>; u64::BITS as usize],
}

impl Default for FreeRanges {
    fn default() -> Self {
        Self {
            by_start: BTreeMap::new(),
            by_len: BTreeSet::new(),
            by_class: [const { BTreeSet::new() }; u64::BITS as usize],
        }
    }
}

impl FreeRanges {
    /// All ranges, by start.
    pub(super) fn iter(&self) -> impl Iterator<Item = UnitRange> {
        let range = |(&start, &len)| UnitRange { start, len };
        self.by_start
            .iter()
            .inspect(|_| done(Kind::FreeRanges, 1))
            .map(range)
    }

    /// The last one.
    pub(super) fn last(&self) -> Option<UnitRange> {
        let (&start, &len) = self.by_start.last_key_value()?;
        Some(UnitRange { start, len })
    }

    /// The shortest range of at least `wanted` units, else the longest if it has at least `least`. The last range is left for what
    /// fits nowhere else, so that the end of the file stays free.
    pub(super) fn best(&self, wanted: u64, least: u64) -> Option<UnitRange> {
        done(Kind::FreeRanges, 1);
        let last = self.by_start.last_key_value().map(|(start, _)| *start);
        let mut fitting = self.by_len.range((wanted, 0)..).take(2);
        let first = fitting.next();
        let fitting = match first {
            Some((_, start)) if Some(*start) == last => fitting.next().or(first),
            _ => first,
        };
        let &(len, start) = fitting.or_else(|| self.by_len.last())?;
        (len >= least).then_some(UnitRange { start, len })
    }

    /// The first range from unit `from` on in which `len` units end at or below `end`, or one that lies behind some more than
    /// [`PATIENCE`] which are a little too short: the first that is a class longer, else the shortest.
    pub(super) fn first_below(&self, from: u64, end: u64, len: u64) -> Option<UnitRange> {
        let last = end.checked_sub(len).filter(|last| from <= *last)?;
        let class = len.ilog2() as usize;
        let longer = self.by_class[class + 1..]
            .iter()
            .filter(|starts| !starts.is_empty());
        let longer = longer.filter_map(|starts| {
            done(Kind::FreeRanges, 1);
            starts.range(from..=last).next().copied()
        });
        let first_longer = longer.min();
        // Of those of its own class some may be too short. Before more than a few of them are looked at, a longer one will do.
        let last_of_class = first_longer.unwrap_or(last);
        let as_long = self.by_class[class].range(from..=last_of_class);
        let first = as_long.take(PATIENCE).find(|start| {
            done(Kind::FreeRanges, 1);
            self.by_start.get(start).is_some_and(|found| *found >= len)
        });
        let near = || {
            // The shortest that is long enough: at once, but for those in front of `from` and behind `end`.
            let mut fitting = self.by_len.range((len, 0)..).map(|(_, start)| *start);
            fitting.find(|start| {
                done(Kind::FreeRanges, 1);
                (from..=last).contains(start)
            })
        };
        let start = first.copied().or(first_longer).or_else(near)?;
        let len = *self.by_start.get(&start)?;
        Some(UnitRange { start, len })
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
        self.by_class[merged.len.ilog2() as usize].insert(merged.start);
    }

    /// Removes a range, which is there as it is.
    pub(super) fn remove(&mut self, range: UnitRange) {
        done(Kind::FreeRanges, 1);
        let by_start = self.by_start.remove(&range.start);
        let by_len = self.by_len.remove(&(range.len, range.start));
        let by_class = self.by_class[range.len.ilog2() as usize].remove(&range.start);
        assert!(
            by_start == Some(range.len) && by_len && by_class,
            "all indexes hold the same free ranges"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_room_below_a_unit_is_found_whatever_the_lengths() {
        let mut ranges = FreeRanges::default();
        let all: Vec<_> = (1..200u64)
            .map(|n| UnitRange {
                start: 100 * n,
                len: 1 + n * 37 % 90,
            })
            .collect();
        all.iter().for_each(|range| ranges.add(*range));
        for len in [1, 2, 7, 8, 9, 31, 32, 33, 64, 89, 90, 91, 1000] {
            for from in [0, 100, 101, 5_000, 19_000, 30_000] {
                for end in [0, len, 100 + len, 5_050, 12_345, u64::MAX] {
                    let fits = |r: &&UnitRange| r.start >= from && r.len >= len && r.start + len <= end;
                    let expected = all.iter().find(fits).copied();
                    let found = ranges.first_below(from, end, len);
                    assert_eq!(found.is_some(), expected.is_some(), "{len} in {from}..{end}");
                    assert!(found.iter().all(|range| fits(&range)), "{len} in {from}..{end}");
                    // Of the last class more than PATIENCE are too short one after the other.
                    let shortest = all
                        .iter()
                        .filter(fits)
                        .min_by_key(|range| (range.len, range.start));
                    let is_right = found == expected || len > 64 && found.as_ref() == shortest;
                    assert!(is_right, "{len} in {from}..{end}: {found:?}");
                }
            }
        }
    }
}
