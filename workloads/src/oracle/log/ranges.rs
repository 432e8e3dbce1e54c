//! The ranges that a thread keeps for the check at the end.
//!
//! Each has a place of [`ROWS`] row numbers; of a longer one the beginning is kept, which is what a shorter limit would have given.
//! When all places are taken, a pseudo-random earlier one gives way, so that the whole run stays represented, and neither memory
//! nor the check at the end grows with it.

use crate::driver::{Direction, TableRef};

/// Rows that are kept of a range.
const ROWS: usize = 128;

/// A range that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oracle) struct KeptRange {
    pub table: TableRef,
    /// The row at whose key it began.
    pub start: u64,
    pub direction: Direction,
    /// The table had no more rows that way.
    pub is_exhausted: bool,
    /// When its transaction began, in nanoseconds since the run's origin.
    pub began_ns: u64,
    /// Number of its rows; `None` if it proves nothing.
    len: Option<u8>,
}

// `len` counts up to this.
const _: () = assert!(ROWS <= u8::MAX as usize);

/// The places, and what is in them.
#[derive(Debug, Default)]
pub(in crate::oracle) struct KeptRanges {
    places: usize,
    seen: u64,
    ranges: Vec<KeptRange>,
    /// [`ROWS`] for each range.
    rows: Vec<u64>,
    /// Places that the current attempt has taken.
    of_attempt: Vec<usize>,
}

impl KeptRanges {
    pub(super) fn new(places: usize) -> Self {
        KeptRanges {
            places,
            ..KeptRanges::default()
        }
    }

    pub(super) fn begin(&mut self) {
        self.of_attempt.clear();
    }

    /// The ranges of the current attempt prove nothing.
    pub(super) fn forget_attempt(&mut self) {
        for place in self.of_attempt.drain(..) {
            if let Some(range) = self.ranges.get_mut(place) {
                range.len = None;
            }
        }
    }

    /// Keeps a range that gave `rows`; `is_exhausted` says that there were no more.
    pub(super) fn keep(
        &mut self,
        table: TableRef,
        start: u64,
        direction: Direction,
        (rows, is_exhausted): (&[u64], bool),
        began_ns: u64,
    ) {
        self.seen += 1;
        let place = if self.ranges.len() < self.places {
            self.ranges.len()
        } else {
            (crate::random::permute(self.seen) % self.seen) as usize
        };
        if place >= self.places {
            return;
        }
        let kept = &rows[..rows.len().min(ROWS)];
        let range = KeptRange {
            table,
            start,
            direction,
            is_exhausted: is_exhausted && kept.len() == rows.len(),
            began_ns,
            len: Some(kept.len() as u8),
        };
        match self.ranges.get_mut(place) {
            Some(before) => *before = range,
            None => {
                self.ranges.push(range);
                self.rows.resize(self.ranges.len() * ROWS, 0);
            }
        }
        self.rows[place * ROWS..][..kept.len()].copy_from_slice(kept);
        self.of_attempt.push(place);
    }

    /// Each range that may prove something, with its rows in the order in which they came.
    pub(in crate::oracle) fn iter(&self) -> impl Iterator<Item = (&KeptRange, &[u64])> {
        let rows = self.rows.chunks_exact(ROWS);
        let both = self.ranges.iter().zip(rows);
        both.filter_map(|(range, rows)| Some((range, &rows[..usize::from(range.len?)])))
    }
}
