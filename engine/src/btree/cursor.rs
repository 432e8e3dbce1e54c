//! Range reads.
//!
//! A cursor copies rows of one leaf at a time under one version and then hands them out: those that are left to visit, or
//! fewer if fewer are wanted. What a row was for the snapshot is settled when the row is reached: if the leaf had changed
//! after the snapshot, the version store is asked about each row, ghosts included, because an older snapshot may still see
//! a deleted row. Asking late is as good as asking at once: whatever changes the row after the copy was made records,
//! first, what the row was.
//!
//! What is left of the range behind them is bounded by the leaf's fence, or by the key at which the copying ended, so a
//! leaf that is split, merged or evicted meanwhile costs one more descent and nothing else.

use super::read::{Below, To};
use super::{Stop, Tree, until_stable};
use crate::error::{Error, Result};
use crate::ids::CommitId;
use crate::mvcc::{Lookup, VersionStore};
use crate::page::leaf_copy::{CopiedPayload, LeafCopy};
use crate::page::node::OverflowRef;
use crate::sync::thread;

/// Rows that are copied at once, at least: those that a snapshot does not see count as well.
const ROWS_AT_LEAST: usize = 32;

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// Where the current row's value is.
#[derive(Clone, Copy, Debug)]
enum Value {
    /// In the copied leaf.
    Copied { start: usize, end: usize },
    /// In the cursor's own buffer.
    Own,
}

/// A position in a range of rows as one snapshot sees them.
#[derive(Debug)]
pub(crate) struct Cursor<'p> {
    tree: Tree<'p>,
    versions: &'p VersionStore,
    snapshot: CommitId,
    direction: Direction,
    /// What is left of the range behind the copied rows: `lower <= key < upper`.
    lower: Vec<u8>,
    upper: Option<Vec<u8>>,
    is_exhausted: bool,
    leaf: LeafCopy,
    /// Copied slots that are left to visit.
    slots: std::ops::Range<usize>,
    /// Rows wanted at first, and rows copied since.
    first_wanted: Option<usize>,
    copied: usize,
    /// The leaf has changes that the snapshot does not see.
    is_newer: bool,
    prefix_len: usize,
    key: Vec<u8>,
    value: Value,
    own: Vec<u8>,
}

impl<'p> Cursor<'p> {
    /// A cursor before the first row of the range from `lower` to below `upper`.
    pub(crate) fn new(
        tree: Tree<'p>,
        versions: &'p VersionStore,
        snapshot: CommitId,
        direction: Direction,
        lower: Vec<u8>,
        upper: Option<Vec<u8>>,
    ) -> Self {
        let is_exhausted = upper.as_ref().is_some_and(|upper| *upper <= lower);
        Self {
            tree,
            versions,
            snapshot,
            direction,
            lower,
            upper,
            is_exhausted,
            leaf: LeafCopy::default(),
            slots: 0..0,
            first_wanted: None,
            copied: 0,
            is_newer: false,
            prefix_len: 0,
            key: Vec::new(),
            value: Value::Own,
            own: Vec::new(),
        }
    }

    /// The row that the last [`Cursor::advance`] moved to.
    #[inline]
    pub(crate) fn row(&self) -> (&[u8], &[u8]) {
        let value = match self.value {
            Value::Copied { start, end } => self.leaf.slice(start, end),
            Value::Own => &self.own,
        };
        (&self.key, value)
    }

    /// Moves to the next row that the snapshot sees; `false` when there is none. About so many rows are still wanted.
    pub(crate) fn advance(&mut self, wanted: usize) -> Result<bool> {
        loop {
            let next = match self.direction {
                Direction::Forward => self.slots.next(),
                Direction::Backward => self.slots.next_back(),
            };
            match next {
                Some(index) => {
                    if self.settle(index)? {
                        return Ok(true);
                    }
                }
                None if self.is_exhausted => return Ok(false),
                None => self.next_rows(wanted)?,
            }
        }
    }

    /// Makes a row of the leaf the current one, as the snapshot sees it; `false` if it does not see it.
    #[inline]
    fn settle(&mut self, index: usize) -> Result<bool> {
        let slot = self.leaf.slot(index);
        let payload = self.leaf.payload(slot);
        if matches!(payload, CopiedPayload::Ghost) && !self.is_newer {
            return Ok(false);
        }
        self.key.truncate(self.prefix_len);
        self.key.extend_from_slice(self.leaf.suffix(slot));
        if self.is_newer
            && let Some(is_seen) = self.former()?
        {
            return Ok(is_seen);
        }
        match payload {
            CopiedPayload::Ghost => Ok(false),
            CopiedPayload::Inline { start, end } => {
                self.value = Value::Copied { start, end };
                Ok(true)
            }
            CopiedPayload::Overflow(reference) => self.long_value(reference),
        }
    }

    /// If the row changed after the snapshot: whether the snapshot sees it, with its value in `own`.
    fn former(&mut self) -> Result<Option<bool>> {
        let (tree, versions, snapshot) = (self.tree, self.versions, self.snapshot);
        let (key, own) = (&self.key, &mut self.own);
        let answer = until_stable(|| {
            own.clear();
            Ok(match versions.lookup(tree.table, key, snapshot, own) {
                Lookup::Unchanged => None,
                Lookup::Was => Some(true),
                // If its pages are gone, the version is gone by now as well.
                Lookup::WasLong(reference) => {
                    tree.append_overflow(reference, own)?;
                    Some(true)
                }
                Lookup::WasAbsent => Some(false),
                Lookup::TooOld => return Err(Error::too_old(snapshot).into()),
            })
        })?
        .ok_or_else(|| tree.unstable())?;
        if answer == Some(true) {
            self.value = Value::Own;
        }
        Ok(answer)
    }

    /// Reads a long value that the copied leaf points to into `own`, or what the row was, if it has changed since the leaf was
    /// copied.
    fn long_value(&mut self, reference: OverflowRef) -> Result<bool> {
        let mut attempts = 0;
        loop {
            self.own.clear();
            match self.tree.append_overflow(reference, &mut self.own) {
                Ok(()) => {
                    self.value = Value::Own;
                    return Ok(true);
                }
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Restart) => {}
            }
            // The chain is gone, so the row has changed after the leaf was copied, and what it was has been
            // recorded; or a page of the chain was just being moved.
            if let Some(is_seen) = self.former()? {
                return Ok(is_seen);
            }
            attempts += 1;
            if attempts == super::ATTEMPTS_MAX {
                return Err(self.tree.unstable());
            }
            thread::yield_now();
        }
    }

    /// Copies rows of the leaf at the near end of what is left of the range, and takes them off the range.
    fn next_rows(&mut self, wanted: usize) -> Result<()> {
        // As many as were copied in vain, so that rows that are not seen cost no more than what is copied anyway.
        let used = self.first_wanted.get_or_insert(wanted).saturating_sub(wanted);
        let most = wanted.max(ROWS_AT_LEAST).max(self.copied.saturating_sub(used));
        let (fence, has_fence) =
            until_stable(|| self.try_next_rows(most))?.ok_or_else(|| self.tree.unstable())?;
        // A leaf that does not bring the cursor on would be read for ever.
        let moves_on = match self.direction {
            Direction::Forward => fence > self.lower,
            Direction::Backward => self.upper.as_ref().is_none_or(|upper| fence < *upper),
        };
        if has_fence && !moves_on {
            return Err(self.tree.unstable());
        }
        match self.direction {
            Direction::Forward => {
                self.is_exhausted = !has_fence || self.upper.as_ref().is_some_and(|upper| *upper <= fence);
                self.lower = fence;
            }
            Direction::Backward => {
                self.is_exhausted = !has_fence || fence <= self.lower;
                self.upper = Some(fence);
            }
        }
        self.prefix_len = self.key.len();
        self.copied += self.slots.len();
        Ok(())
    }

    /// One attempt; returns where what was copied ends, and whether anything can lie behind it.
    fn try_next_rows(&mut self, most: usize) -> Result<(Vec<u8>, bool), Stop> {
        let upper = self.upper.as_deref();
        let found = match self.direction {
            Direction::Forward => self.tree.try_descend(To(&self.lower), |_| ())?.leaf,
            Direction::Backward => self.tree.try_descend(Below(upper), |_| ())?.leaf,
        };
        let node = found.node();
        // The leaf covers one of the bounds at most; the other can lie anywhere.
        let start = node.search(&self.lower).0;
        let end = upper
            .map_or(node.count(), |upper| node.search(upper).0)
            .max(start);
        let mut fence = Vec::new();
        let (slots, has_fence) = match self.direction {
            Direction::Forward if end - start > most => {
                node.append_key(start + most, &mut fence);
                (start..start + most, true)
            }
            Direction::Forward => (start..end, node.append_high_fence(&mut fence)),
            Direction::Backward if end - start > most => {
                node.append_key(end - most, &mut fence);
                (end - most..end, true)
            }
            Direction::Backward => {
                node.append_low_fence(&mut fence);
                (start..end, !fence.is_empty())
            }
        };
        self.leaf.fill(node, slots.clone());
        self.key.clear();
        node.append_prefix(&mut self.key);
        self.is_newer = node.commit_id() > self.snapshot;
        if !found.is_valid() {
            return Err(Stop::Restart);
        }
        if self.is_newer && self.versions.floor() > self.snapshot {
            // A deleted row that the snapshot sees may have left the leaf already.
            return Err(Error::too_old(self.snapshot).into());
        }
        self.slots = slots;
        Ok((fence, has_fence))
    }
}
