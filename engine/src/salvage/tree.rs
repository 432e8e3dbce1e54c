//! The rows of one table, from whatever is left of its tree.
//!
//! 1. Go down from the root; every leaf that is reached gives the rows of the range that its parent names.
//! 2. What is missing on the way leaves a range open. Leaves of the table that nobody pointed to fill it, the newest
//!    first, each only where nothing has filled it yet.
//! 3. What is open after that may have held rows.

use std::collections::HashSet;

use super::pages::{PageState, Pages};
use crate::error::Result;
use crate::ids::{PageNumber, TableId};
use crate::page::node::{OverflowRef, Payload};

/// Takes a row: key and value.
type Emit<'e> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'e;

/// Keys from `low` to below `high`; `None`: no upper bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) low: Vec<u8>,
    pub(super) high: Option<Vec<u8>>,
}

impl Range {
    pub(super) fn all() -> Self {
        Self {
            low: Vec::new(),
            high: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.high.as_ref().is_some_and(|high| *high <= self.low)
    }

    fn contains(&self, key: &[u8]) -> bool {
        self.low[..] <= *key && self.high.as_deref().is_none_or(|high| key < high)
    }

    /// What both cover.
    fn and(&self, other: &Self) -> Self {
        let high = match (&self.high, &other.high) {
            (Some(a), Some(b)) => Some(a.min(b).clone()),
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        Self {
            low: self.low.clone().max(other.low.clone()),
            high,
        }
    }

    /// What is left of it beside `part`, which lies inside.
    fn without(self, part: &Self) -> impl Iterator<Item = Self> {
        let before = Self {
            low: self.low,
            high: Some(part.low.clone()),
        };
        let after = part.high.clone().map(|low| Self { low, high: self.high });
        [Some(before), after]
            .into_iter()
            .flatten()
            .filter(|range| !range.is_empty())
    }
}

/// What was found of a table.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) rows: u64,
    pub(super) pages: u64,
    pub(super) open: Vec<Range>,
    /// Rows whose long value is lost.
    pub(super) lost_values: Vec<Vec<u8>>,
    /// Pages of which a newer state is lost.
    pub(super) older: Vec<PageNumber>,
    /// Pages that were found without a parent.
    pub(super) orphans: u64,
}

/// Reads a table and hands each row to `emit`.
pub(super) fn read_table(
    pages: &Pages,
    table: TableId,
    root: Option<PageNumber>,
    emit: &mut Emit<'_>,
) -> Result<Found> {
    let mut reader = Reader {
        pages,
        table,
        emit,
        visited: HashSet::new(),
        found: Found::default(),
    };
    match root {
        Some(root) => reader.descend(root, &Range::all(), None)?,
        None => reader.found.open.push(Range::all()),
    }
    reader.fill()?;
    if crate::injected::makes(crate::injected::Bug::SalvageHidesLoss) {
        reader.found.open.clear();
    }
    Ok(reader.found)
}

struct Reader<'a, 'e> {
    pages: &'a Pages,
    table: TableId,
    emit: &'a mut Emit<'e>,
    visited: HashSet<PageNumber>,
    found: Found,
}

fn bounds(state: &PageState) -> Range {
    let mut low = Vec::new();
    state.node().append_low_fence(&mut low);
    Range {
        low,
        high: state.node().high_fence(),
    }
}

impl Reader<'_, '_> {
    fn descend(&mut self, page: PageNumber, range: &Range, level: Option<u8>) -> Result<()> {
        let is_new = self.visited.insert(page);
        let state = self
            .pages
            .newest(page)
            .filter(|state| is_new && state.node().table() == self.table)
            .filter(|state| level.is_none_or(|level| state.node().level() == level));
        let Some(state) = state else {
            self.found.open.push(range.clone());
            return Ok(());
        };
        if state.node().is_leaf() {
            let covered = bounds(&state).and(range);
            let open = if covered.is_empty() {
                vec![range.clone()]
            } else {
                range.clone().without(&covered).collect()
            };
            self.found.open.extend(open);
            return self.rows(page, &state, &covered);
        }
        self.count(page, &state);
        let node = state.node();
        let Some(below) = node.level().checked_sub(1) else {
            self.found.open.push(range.clone());
            return Ok(());
        };
        for child in 0..=node.count() {
            let low = child
                .checked_sub(1)
                .map_or_else(|| range.low.clone(), |slot| node.key(slot));
            let high = if child == node.count() {
                range.high.clone()
            } else {
                Some(node.key(child))
            };
            let part = Range { low, high }.and(range);
            if !part.is_empty() {
                self.descend(node.child(child), &part, Some(below))?;
            }
        }
        Ok(())
    }

    fn count(&mut self, page: PageNumber, state: &PageState) {
        self.found.pages += 1;
        if !state.is_newest {
            self.found.older.push(page);
        }
    }

    /// The rows of a leaf that lie in `range`.
    fn rows(&mut self, page: PageNumber, state: &PageState, range: &Range) -> Result<()> {
        self.count(page, state);
        let node = state.node();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for index in 0..node.count() {
            key.clear();
            node.append_key(index, &mut key);
            if !range.contains(&key) {
                continue;
            }
            value.clear();
            let is_whole = match node.payload(node.slot(index)) {
                Payload::Ghost(_) => continue,
                Payload::Inline { offset, len } => node.words.append_to(offset, len, &mut value),
                Payload::Overflow(reference) => self.long_value(reference, &mut value),
            };
            if is_whole {
                (self.emit)(&key, &value)?;
                self.found.rows += 1;
            } else {
                self.found.lost_values.push(key.clone());
            }
        }
        Ok(())
    }

    /// Puts a long value together; `false` if a part of it is lost.
    fn long_value(&self, reference: OverflowRef, out: &mut Vec<u8>) -> bool {
        let mut left = reference.len as usize;
        let mut page = reference.first;
        while left > 0 {
            let Some(link) = self.pages.written_by(page, reference.commit) else {
                return false;
            };
            let node = link.node();
            let len = node.overflow_len();
            if node.table() != self.table
                || !(1..=left).contains(&len)
                || !node.words.append_to(crate::page::layout::HEADER, len, out)
            {
                return false;
            }
            left -= len;
            page = node.first_child();
        }
        true
    }

    /// Fills open ranges from leaves that nobody pointed to.
    fn fill(&mut self) -> Result<()> {
        if self.found.open.is_empty() {
            return Ok(());
        }
        for page in self.pages.leaves_of(self.table) {
            if self.visited.contains(&page) || !self.pages.may_be_live(page) {
                continue;
            }
            let Some(state) = self.pages.newest(page) else {
                continue;
            };
            if !state.node().is_leaf() || state.node().table() != self.table {
                continue;
            }
            let covered = bounds(&state);
            for open in std::mem::take(&mut self.found.open) {
                let part = open.and(&covered);
                if part.is_empty() {
                    self.found.open.push(open);
                    continue;
                }
                if self.visited.insert(page) {
                    self.found.orphans += 1;
                }
                self.rows(page, &state, &part)?;
                self.found.open.extend(open.without(&part));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(low: &[u8], high: Option<&[u8]>) -> Range {
        Range {
            low: low.to_vec(),
            high: high.map(<[u8]>::to_vec),
        }
    }

    #[test]
    fn ranges_overlap_and_leave_the_rest() {
        let open = range(b"c", Some(b"m"));
        assert!(open.and(&range(b"m", None)).is_empty());
        let part = open.and(&range(b"", Some(b"f")));
        assert_eq!(part, range(b"c", Some(b"f")));
        assert_eq!(
            open.clone().without(&part).collect::<Vec<_>>(),
            [range(b"f", Some(b"m"))]
        );
        let part = open.and(&range(b"d", Some(b"e")));
        let rest = [range(b"c", Some(b"d")), range(b"e", Some(b"m"))];
        assert_eq!(open.without(&part).collect::<Vec<_>>(), rest);
        let all = Range::all();
        assert_eq!(all.clone().without(&all).count(), 0);
    }
}
