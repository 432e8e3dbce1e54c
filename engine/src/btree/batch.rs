//! Range reads, a leaf's worth at a time.
//!
//! A batch copies rows out of one leaf under one version and then settles, row by row, what the snapshot sees of
//! those that changed after it. Ghosts are part of a batch until then, because an older snapshot may still see the
//! row. The batch leaves behind the rest of the range, bounded by the leaf's fence, and remembers its place in the
//! leaf, so that going on costs no descent while the leaf stands still.

use super::read::RowState;
use super::{Stop, Tree, until_stable};
use crate::error::{Error, Result};
use crate::ids::CommitId;
use crate::mvcc::{Lookup, VersionStore};
use crate::page::node::{Node, Payload};
use crate::pool::Optimistic;

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    key_start: usize,
    value_start: usize,
    value_end: usize,
    key_len: usize,
    state: RowState,
}

/// Rows read from a range, in scan order, and what is left of the range.
#[derive(Debug)]
pub(crate) struct Batch<'p> {
    data: Vec<u8>,
    rows: Vec<Row>,
    prefix: Vec<u8>,
    /// The rest of the range: `lower <= key < upper`.
    lower: Vec<u8>,
    upper: Option<Vec<u8>>,
    exhausted: bool,
    place: Option<(Optimistic<'p>, usize)>,
}

impl<'p> Batch<'p> {
    /// An empty batch with a range to read: keys from `lower` to below `upper`.
    pub(crate) fn new(lower: Vec<u8>, upper: Option<Vec<u8>>) -> Self {
        let exhausted = upper.as_ref().is_some_and(|u| *u <= lower);
        Self {
            data: Vec::new(),
            rows: Vec::new(),
            prefix: Vec::new(),
            lower,
            upper,
            exhausted,
            place: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the whole range has been read.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    #[inline]
    pub(crate) fn row(&self, index: usize) -> (&[u8], &[u8]) {
        let row = &self.rows[index];
        let key = &self.data[row.key_start..row.key_start + row.key_len];
        (key, &self.data[row.value_start..row.value_end])
    }

    fn key(&self, row: &Row) -> &[u8] {
        &self.data[row.key_start..row.key_start + row.key_len]
    }
}

impl<'p> Tree<'p> {
    /// Replaces the rows of a batch by the next ones that `snapshot` sees, from at most `max_rows` of one leaf. The
    /// batch can come out empty before the range is exhausted.
    pub(crate) fn fill(
        &self,
        batch: &mut Batch<'p>,
        direction: Direction,
        max_rows: usize,
        snapshot: CommitId,
        versions: &VersionStore,
    ) -> Result<()> {
        if batch.exhausted {
            batch.rows.clear();
            return Ok(());
        }
        until_stable(|| self.try_fill(batch, direction, max_rows, snapshot, versions))?
            .ok_or_else(|| self.unstable())
    }

    fn try_fill(
        &self,
        batch: &mut Batch<'p>,
        direction: Direction,
        max_rows: usize,
        snapshot: CommitId,
        versions: &VersionStore,
    ) -> Result<(), Stop> {
        batch.rows.clear();
        batch.data.clear();
        let place = batch.place.take().filter(|(leaf, _)| leaf.is_valid());
        let leaf = match (&place, direction) {
            (Some((leaf, _)), _) => *leaf,
            (None, Direction::Forward) => self.try_descend(|node| node.child_index(&batch.lower), |_| ())?,
            (None, Direction::Backward) => self.try_descend(
                |node| match &batch.upper {
                    Some(upper) => node.child_index_before(upper),
                    None => node.count(),
                },
                |_| (),
            )?,
        };
        let node = leaf.node();
        let mut start = node.search(&batch.lower).0;
        let mut end = batch
            .upper
            .as_ref()
            .map_or(node.count(), |upper| node.search(upper).0);
        match (place, direction) {
            (Some((_, index)), Direction::Forward) => start = index,
            (Some((_, index)), Direction::Backward) => end = index,
            _ => {}
        }
        let take = end.saturating_sub(start).min(max_rows);
        let newer = node.commit_id() > snapshot;
        batch.prefix.clear();
        node.append_prefix(&mut batch.prefix);
        for step in 0..take {
            let index = if direction == Direction::Forward {
                start + step
            } else {
                end - 1 - step
            };
            copy_row(node, index, newer, batch);
        }
        let finished_leaf = take == end.saturating_sub(start);
        let mut fence = Vec::new();
        let has_fence = match direction {
            Direction::Forward => finished_leaf && node.append_high_fence(&mut fence),
            Direction::Backward => {
                node.append_low_fence(&mut fence);
                finished_leaf && !fence.is_empty()
            }
        };
        let last = (!finished_leaf).then(|| match direction {
            Direction::Forward => start + take,
            Direction::Backward => end - take,
        });
        let resume_key = last.map(|index| node.key(index));
        if !leaf.is_valid() {
            return Err(Stop::Restart);
        }
        self.settle(batch, newer, snapshot, versions)?;
        // Only now, with nothing left that could restart, does the batch move on.
        match (resume_key, direction) {
            // The next row to read.
            (Some(key), Direction::Forward) => batch.lower = key,
            // The last row read, which the rest excludes.
            (Some(key), Direction::Backward) => batch.upper = Some(key),
            (None, Direction::Forward) => {
                batch.exhausted = !has_fence || batch.upper.as_ref().is_some_and(|upper| *upper <= fence);
                batch.lower = fence;
            }
            (None, Direction::Backward) => {
                batch.exhausted = !has_fence || fence <= batch.lower;
                batch.upper = Some(fence);
            }
        }
        batch.place = last.map(|index| (leaf, index));
        Ok(())
    }

    /// Replaces rows that changed after the snapshot by what it sees, and brings in long values.
    fn settle(
        &self,
        batch: &mut Batch<'p>,
        newer: bool,
        snapshot: CommitId,
        versions: &VersionStore,
    ) -> Result<(), Stop> {
        let long = batch
            .rows
            .iter()
            .any(|r| matches!(r.state, RowState::Overflow(_)));
        if !newer && !long {
            return Ok(());
        }
        let mut value = Vec::new();
        let mut rows = std::mem::take(&mut batch.rows);
        for row in &mut rows {
            value.clear();
            let mut former = Lookup::Unchanged;
            if newer {
                former = versions.lookup(self.table, batch.key(row), snapshot, &mut value);
            }
            if let (RowState::Overflow(reference), Lookup::Unchanged) = (row.state, former) {
                match self.append_overflow(reference, &mut value) {
                    Ok(()) => former = Lookup::Was,
                    Err(Stop::Restart) => {
                        // The chain is gone, so the row has changed after it was copied, and its former value
                        // was recorded before that.
                        value.clear();
                        former = versions.lookup(self.table, batch.key(row), snapshot, &mut value);
                        if former == Lookup::Unchanged {
                            return Err(Stop::Restart);
                        }
                    }
                    Err(stop) => return Err(stop),
                }
            }
            match former {
                Lookup::Unchanged => {}
                Lookup::Was => {
                    row.value_start = batch.data.len();
                    batch.data.extend_from_slice(&value);
                    row.value_end = batch.data.len();
                    row.state = RowState::Inline;
                }
                Lookup::WasAbsent => row.state = RowState::Absent,
                Lookup::TooOld => return Err(Error::SnapshotTooOld { snapshot }.into()),
            }
        }
        rows.retain(|row| row.state != RowState::Absent);
        batch.rows = rows;
        Ok(())
    }
}

/// Copies one row; a ghost only if an older version of it may be needed.
#[inline]
fn copy_row(node: Node<'_>, index: usize, with_ghosts: bool, batch: &mut Batch<'_>) {
    let slot = node.slot(index);
    let payload = node.payload(slot);
    if matches!(payload, Payload::Ghost(_)) && !with_ghosts {
        return;
    }
    let key_start = batch.data.len();
    batch.data.extend_from_slice(&batch.prefix);
    node.append_suffix(slot, &mut batch.data);
    let value_start = batch.data.len();
    let state = match payload {
        Payload::Ghost(_) => RowState::Absent,
        Payload::Overflow(reference) => RowState::Overflow(reference),
        Payload::Inline { offset, len } => {
            node.words.append_to(offset, len, &mut batch.data);
            RowState::Inline
        }
    };
    batch.rows.push(Row {
        key_start,
        key_len: value_start - key_start,
        value_start,
        value_end: batch.data.len(),
        state,
    });
}
