//! Reading a row or a range in all the ways there are, and comparing.

use std::ops::Bound;

use engine::{Error, Scan};
use rand::{Rng, RngExt};

use super::keys;
use crate::ordered::{Bounds, Rows, rows_between, short, shown};

/// A key and its value.
pub(super) type OwnedRow = (Vec<u8>, Vec<u8>);

/// A range to scan, and how.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) low: Bound<Vec<u8>>,
    pub(super) high: Bound<Vec<u8>>,
    pub(super) is_reverse: bool,
    pub(super) limit: Option<usize>,
    /// By [`Scan::next_row`] instead of as an iterator.
    lends: bool,
    /// Given up after so many rows.
    stop_after: usize,
}

impl Query {
    pub(super) fn draw(rng: &mut impl Rng, keys: u32, longest: usize) -> Self {
        let (low, high) = keys::range(rng, keys, longest);
        Self {
            low,
            high,
            is_reverse: rng.random(),
            limit: keys::limit(rng),
            lends: rng.random(),
            stop_after: if rng.random_bool(0.1) {
                rng.random_range(0..5)
            } else {
                usize::MAX
            },
        }
    }

    /// Everything, forward.
    pub(super) fn all() -> Self {
        Self {
            low: Bound::Unbounded,
            high: Bound::Unbounded,
            is_reverse: false,
            limit: None,
            lends: true,
            stop_after: usize::MAX,
        }
    }

    /// The same range, to its end.
    pub(super) fn whole(&self) -> Self {
        Self {
            limit: None,
            stop_after: usize::MAX,
            ..self.clone()
        }
    }

    pub(super) fn bounds(&self) -> Bounds<'_> {
        fn borrowed(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
            bound.as_ref().map(|key| &key[..])
        }
        (borrowed(&self.low), borrowed(&self.high))
    }

    /// The rows that it gives of a table, whole.
    pub(super) fn of<'m>(&'m self, rows: &'m Rows) -> impl Iterator<Item = (&'m [u8], &'m [u8])> {
        let most = self.limit.unwrap_or(usize::MAX).min(self.stop_after);
        rows_between(rows, self.bounds(), self.is_reverse).take(most)
    }

    /// Whether it ends before the range does, after so many rows.
    pub(super) fn is_cut_at(&self, count: usize) -> bool {
        count >= self.limit.unwrap_or(usize::MAX).min(self.stop_after)
    }

    /// Reads the scan's rows.
    pub(super) fn read(&self, scan: Scan<'_>) -> Result<Vec<OwnedRow>, Error> {
        let mut scan = match self.limit {
            Some(limit) => scan.limit(limit),
            None => scan,
        };
        let mut rows = Vec::new();
        while rows.len() < self.stop_after {
            let row = if self.lends {
                scan.next_row()?
                    .map(|(key, value)| (key.to_vec(), value.to_vec()))
            } else {
                scan.next().transpose()?
            };
            match row {
                Some(row) => rows.push(row),
                None => {
                    assert!(
                        matches!(scan.next_row(), Ok(None)),
                        "a scan that has ended goes on"
                    );
                    break;
                }
            }
        }
        Ok(rows)
    }

    pub(super) fn shown(&self) -> String {
        let (low, high) = self.bounds();
        let direction = if self.is_reverse { "backward" } else { "forward" };
        format!(
            "{} to {}, {direction}, limit {:?}",
            shown(low),
            shown(high),
            self.limit
        )
    }
}

/// Compares the rows of a scan with what they should be.
pub(super) fn assert_same_rows<'m>(
    found: &[OwnedRow],
    expected: impl Iterator<Item = (&'m [u8], &'m [u8])>,
    what: &str,
) {
    let mut count = 0;
    for (key, value) in expected {
        let Some((found_key, found_value)) = found.get(count) else {
            panic!("{what}: ends after {count} rows, before {}", short(key));
        };
        assert!(
            found_key == key,
            "{what}: row {count} is {}, expected {}",
            short(found_key),
            short(key)
        );
        assert!(
            found_value == value,
            "{what}: row {} has another value",
            short(key)
        );
        count += 1;
    }
    assert_eq!(found.len(), count, "{what}: goes on after {count} rows");
}
