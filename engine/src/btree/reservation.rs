//! The reservation of a commit, made before it changes anything.
//!
//! Once a page has changed, a commit must be completed, so whatever can run out is reserved first: bytes in the log, and
//! extents in the data file for dirty pages that have to make way in the cache. Both are upper bounds:
//!
//! 1. From the number and size of the rows alone. If even that much is available, nothing more is looked at; that is
//!    nearly always so while the database fits in the cache.
//! 2. Else by looking at the leaves: a leaf whose new rows fit in its free room does not split.
//!
//! How often can a page split? A cut halves its rows as nearly as one row allows, so each part takes in about a third of
//! a page before it splits again; what is inserted counts towards one split only. At the right edge a cut leaves the left
//! part nearly full, but rows come in key order, and those that follow go to the right part. That is a bound in bytes, at
//! each level with the separators from below, and half as much again is added. The page as it was before can split once
//! without that, and once is added for what a division drops. A row of more than a quarter page with its key may not even
//! fit in half a page: each of those adds a few splits.
//!
//! Housekeeping has no bound worth computing: it reserves one step at a time, and stops when it cannot.

use std::ops::AddAssign;

use super::read::To;
use super::{Changer, Tree};
use crate::error::Result;
use crate::ids::CommitId;
use crate::page::layout::{HEADER, max_inline_value, max_key};
use crate::page::node::{Node, OverflowRef, Payload};

/// Bytes that a page costs in the log beside its content or operations.
pub(super) const FRAME_OVERHEAD: usize = 64;
/// Bytes that an operation costs beside its key and value, at most.
pub(super) const OPERATION_OVERHEAD: usize = 32;
/// Bytes that a row costs in its page beside its key and payload, at most.
const CELL_OVERHEAD: usize = 16;
/// The payload of a ghost, in bytes.
const GHOST_BYTES: usize = size_of::<CommitId>();
/// Bytes that a separator costs in its page beside its key.
const CHILD_OVERHEAD: usize = 24;
/// Splits that one row of any size can cause in leaves.
const SPLITS_OF_A_ROW: usize = 4;
/// Splits of a leaf that few bytes can cause: one of the leaf as it was, and one that a division drops.
const SPLITS_AT_FIRST: usize = 2;
/// Bytes of a row that remembers a retired chain, with its slot and lengths.
const RETIRED_BYTES: usize = 64;
/// Frames that a split or merge works with at once.
const FRAMES_AT_ONCE: usize = 8;

/// What a piece of work may use up at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// Bytes of log frames.
    pub(crate) log_bytes: usize,
    /// Pages created.
    pub(crate) created: usize,
    /// Different pages changed, those created not counted.
    pub(crate) distinct: usize,
    /// Pages brought into the cache, each as often as that can be necessary.
    pub(crate) faults: usize,
}

impl AddAssign for Need {
    fn add_assign(&mut self, other: Self) {
        self.log_bytes += other.log_bytes;
        self.created += other.created;
        self.distinct += other.distinct;
        self.faults += other.faults;
    }
}

impl Need {
    /// Dirty pages that have to be written to make way, where so many are dirty now, and those of the commit can be moved out
    /// before it is done or not.
    fn dirty_evictions(&self, dirty: usize, moves: bool) -> usize {
        // Each frame taken moves one page out. Dirty ones among these are dirty now, or become so by this commit; one that is
        // moved out again gives back at once what it was moved to before.
        let own = if moves { self.created + self.distinct } else { 0 };
        (self.created + self.faults).min(dirty + own)
    }
}

/// A row that is about to be put (with a value) or deleted.
pub(crate) type NewRow<'r> = (&'r [u8], Option<&'r [u8]>);

/// New rows of one leaf.
#[derive(Debug, Default)]
struct LeafRows {
    count: usize,
    /// Those of at least a quarter page.
    large: usize,
    bytes: usize,
    /// Length of the longest key that can become a separator, or is one: that of a new row, of one in the leaf, or of a fence.
    longest_key: usize,
}

impl LeafRows {
    fn splits(&self, page_size: usize) -> usize {
        let row = max_inline_value(page_size) + self.longest_key;
        let by_bytes = splits_by(self.bytes, page_size, self.longest_key, row);
        (SPLITS_AT_FIRST + by_bytes + SPLITS_OF_A_ROW * self.large).min(SPLITS_OF_A_ROW * self.count)
    }
}

/// How often pages of one level split that take in so many bytes of cells, none longer than `cell`, between fences of
/// `fence` bytes.
fn splits_by(bytes: usize, page_size: usize, fence: usize, cell: usize) -> usize {
    let until_split = (page_size - HEADER).saturating_sub(2 * fence + cell) / 2;
    3 * bytes / (2 * until_split).max(page_size / 8)
}

/// How often pages above the leaves split, in a tree of `levels` or, if that is not enough, more.
fn splits_above(leaves: usize, levels: usize, page_size: usize, longest_key: usize) -> usize {
    let max = max_key(page_size);
    let (mut all, mut level, mut below, mut separator) = (0, 1, leaves, longest_key);
    while level < levels || below > 4 * SPLITS_OF_A_ROW {
        let cell = max + CHILD_OVERHEAD;
        let by_bytes =
            SPLITS_OF_A_ROW + splits_by(below * (separator + CHILD_OVERHEAD), page_size, max, cell);
        // One separator splits the page above it at most twice.
        below = by_bytes.min(2 * below);
        all += below;
        level += 1;
        // Further up they are those that were there before.
        separator = max;
    }
    all + 2 * (levels + 1)
}

/// How much housekeeping one commit may do, in pages.
#[derive(Debug)]
pub(crate) struct Budget {
    pages: usize,
    taken: usize,
    /// What is to be done at the end, and has to be possible then.
    end: Need,
}

impl Budget {
    pub(crate) fn new(pages: usize, end: Need) -> Self {
        Self { pages, taken: 0, end }
    }

    /// Pages taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// Pages left.
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    /// Takes one page off the budget; `false` if it is used up, or there is no room for the work.
    pub(super) fn take(&mut self, changer: &mut Changer<'_, '_>) -> bool {
        let mut step = changer.need_to_drop_a_page();
        step += self.end;
        if self.pages == 0 || changer.reserve_step(step).is_err() {
            self.pages = 0;
            crate::reach::mark(crate::reach::Mechanism::TableFreedInPart);
            return false;
        }
        self.pages -= 1;
        self.taken += 1;
        true
    }
}

impl<'a> Changer<'a, '_> {
    /// Reserves what the commit is completed with if it needs no more than `need` beyond what it has logged so far.
    ///
    /// # Errors
    /// A full disk, or an exhausted cache. Nothing has changed then.
    pub(crate) fn reserve(&mut self, mut need: Need) -> Result<()> {
        let touched = self.touched.pages().len();
        let needs_evictions = need.created + need.faults > self.pool.frames_available();
        let moves = needs_evictions && !self.unfinished.can_pin(touched + need.distinct + need.created);
        if moves {
            // Each page that was there before may be moved out, and is then logged whole.
            let whole = touched + need.distinct;
            need.log_bytes += whole * (self.pool.page_size() + FRAME_OVERHEAD);
            need.faults += whole;
        }
        let log_bytes = self.touched.log_bytes() + need.log_bytes;
        if log_bytes > self.log_reserved {
            self.wal.appender().reserve(log_bytes)?;
            self.log_reserved = log_bytes;
        }
        if needs_evictions {
            let evictions = need.dirty_evictions(self.pool.dirty_at_most(), moves);
            self.unfinished.reserve_evictions(evictions)?;
        }
        if moves {
            self.unfinished.allow_moves();
        }
        self.reserve_frames(FRAMES_AT_ONCE)
    }

    /// [`Changer::reserve`] for one more step of work that can stop before it.
    pub(super) fn reserve_step(&mut self, need: Need) -> Result<()> {
        self.reserve(need).inspect_err(|error| {
            tracing::debug!(%error, "no room for more housekeeping");
        })
    }

    /// Whether all of `need` is available without any reservation.
    fn is_available(&self, need: Need) -> bool {
        need.log_bytes <= self.wal.segment_room()
            && need.created + need.faults + FRAMES_AT_ONCE <= self.pool.frames_available()
    }

    /// What changing these rows, which come in key order, may need: a rough bound if that is available, else one from a
    /// look at the leaves.
    ///
    /// Where pages can be outside the cache, this also reads every leaf that the changes will need. `catalog` remembers the
    /// long values that are replaced.
    ///
    /// # Errors
    /// What keeps a page from being read. Nothing has changed then.
    pub(crate) fn need_of_rows<'r>(
        &mut self,
        tree: Tree<'a>,
        catalog: Tree<'a>,
        rows: impl Iterator<Item = NewRow<'r>> + Clone,
    ) -> Result<Need> {
        let (levels, catalog_levels) = (tree.levels()?, catalog.levels()?);
        let mut all = Need::default();
        let mut count = 0;
        for (key, value) in rows.clone() {
            all += self.need_of_row(key, value);
            count += 1;
        }
        let mut rough = all;
        rough += self.need_of_splits(SPLITS_OF_A_ROW * count, levels, max_key(self.pool.page_size()));
        rough += self.need_to_retire(count, catalog_levels);
        rough.distinct += count;
        rough.log_bytes += count * FRAME_OVERHEAD;
        if !self.pool.may_be_absent() && self.is_available(rough) {
            return Ok(rough);
        }
        all += self.need_of_leaves(tree, levels, catalog_levels, rows)?;
        Ok(all)
    }

    /// The row itself, and the pages of its value if that is long.
    fn need_of_row(&self, key: &[u8], value: Option<&[u8]>) -> Need {
        let page_size = self.pool.page_size();
        let len = value.map_or(0, <[u8]>::len);
        let links = if len > max_inline_value(page_size) {
            len.div_ceil(page_size - HEADER)
        } else {
            0
        };
        let inline = if links > 0 { 0 } else { len };
        Need {
            log_bytes: key.len() + inline + OPERATION_OVERHEAD + links * (page_size + FRAME_OVERHEAD),
            created: links,
            distinct: 0,
            // The pages are looked at once more when they are logged.
            faults: links,
        }
    }

    /// So many splits of leaves, at keys no longer than `longest_key`, and those above them.
    fn need_of_splits(&self, splits: usize, levels: usize, longest_key: usize) -> Need {
        if splits == 0 {
            return Need::default();
        }
        let (page_size, key) = (self.pool.page_size(), max_key(self.pool.page_size()));
        let above = splits_above(splits, levels, page_size, longest_key);
        let created = splits + above;
        Need {
            log_bytes: created * (page_size + 2 * (key + OPERATION_OVERHEAD) + 3 * FRAME_OVERHEAD),
            created,
            distinct: created,
            faults: created * (2 * levels + 2),
        }
    }

    /// What the leaves of the rows need beside the rows.
    fn need_of_leaves<'r>(
        &mut self,
        tree: Tree<'a>,
        levels: usize,
        catalog_levels: usize,
        rows: impl Iterator<Item = NewRow<'r>>,
    ) -> Result<Need> {
        let page_size = self.pool.page_size();
        let mut need = Need::default();
        let (mut splits, mut longest_key, mut retired) = (0, 0, 0);
        let mut rows = rows.peekable();
        while let Some((first, _)) = rows.peek().copied() {
            let (leaf, high, low_len, room) = super::until_stable(|| {
                let leaf = tree.try_descend(To(first), |_| ())?.leaf;
                let node = leaf.node();
                let facts = (leaf, node.high_fence(), node.low_fence_len(), node.room());
                if leaf.is_valid() {
                    Ok(facts)
                } else {
                    Err(super::Stop::Restart)
                }
            })?
            .ok_or_else(|| tree.unstable())?;
            let mut new = LeafRows::default();
            let mut log_bytes = 0;
            while let Some((key, value)) =
                rows.next_if(|(key, _)| high.as_deref().is_none_or(|high| *key < high))
            {
                let (old, is_long) = match row_of(leaf.node(), key) {
                    row if leaf.is_valid() => row,
                    // The leaf has changed meanwhile, and the row may be anything.
                    _ => (None, true),
                };
                retired += usize::from(is_long);
                let payload = value.map_or(GHOST_BYTES, |value| match value.len() {
                    len if len > max_inline_value(page_size) => OverflowRef::BYTES,
                    len => len,
                });
                let cell = CELL_OVERHEAD + key.len() + payload;
                // One that is there is replaced where it is, or by a longer one in its place.
                let growth = old.map_or(cell, |old| payload.saturating_sub(old));
                new.count += 1;
                new.large += usize::from(growth > 0 && cell >= page_size / 4);
                new.bytes += growth;
                new.longest_key = new.longest_key.max(key.len());
                log_bytes += key.len() + cell;
            }
            if new.count == 0 {
                return Err(tree.unstable());
            }
            if new.bytes > room {
                let old = leaf.node().longest_key();
                // A key that was read while somebody else changed the leaf can be anything.
                let old = if leaf.is_valid() { old } else { max_key(page_size) };
                // Its fences may be longer than any key that is left, and its parts keep one of them each.
                let fences = low_len.max(high.as_ref().map_or(0, Vec::len));
                new.longest_key = new.longest_key.max(old).max(fences);
                longest_key = longest_key.max(new.longest_key);
                splits += new.splits(page_size);
            }
            // A page with many changes is logged as an image, for which it is looked at again.
            need.log_bytes += FRAME_OVERHEAD + if log_bytes > page_size { page_size } else { 0 };
            need.distinct += 1;
            need.faults += 2 + levels;
        }
        need += self.need_of_splits(splits, levels, longest_key);
        need += self.need_to_retire(retired, catalog_levels);
        Ok(need)
    }

    /// Rows of the catalog for so many long values that are replaced.
    fn need_to_retire(&self, chains: usize, catalog_levels: usize) -> Need {
        if chains == 0 {
            return Need::default();
        }
        let page_size = self.pool.page_size();
        let bytes = chains * (OPERATION_OVERHEAD + RETIRED_BYTES);
        let splits = SPLITS_AT_FIRST + splits_by(bytes, page_size, max_key(page_size), RETIRED_BYTES);
        let mut need = self.need_of_splits(splits, catalog_levels, max_key(page_size));
        // The rows come in key order, so they are in leaves side by side.
        let leaves = splits + 1;
        need.log_bytes += bytes + leaves * FRAME_OVERHEAD;
        need.distinct += leaves;
        need.faults += leaves * (2 + catalog_levels);
        need
    }

    /// A new tree of one page.
    pub(crate) fn need_to_create_tree(&self) -> Need {
        Need {
            log_bytes: self.pool.page_size() + FRAME_OVERHEAD,
            created: 1,
            distinct: 0,
            faults: 1,
        }
    }

    /// Merging one leaf with a neighbour, and so on up to the root.
    pub(super) fn need_to_merge(&self, tree: Tree<'a>) -> Result<Need> {
        let levels = tree.levels()?;
        let (page_size, key) = (self.pool.page_size(), max_key(self.pool.page_size()));
        let merges = 2 * (levels + 1);
        Ok(Need {
            log_bytes: merges * (page_size + key + OPERATION_OVERHEAD + 3 * FRAME_OVERHEAD),
            created: 0,
            distinct: 2 * merges,
            faults: 4 * merges,
        })
    }

    /// Freeing one page of a dropped table.
    fn need_to_drop_a_page(&self) -> Need {
        let key = max_key(self.pool.page_size());
        Need {
            log_bytes: 2 * (key + OPERATION_OVERHEAD + FRAME_OVERHEAD) + FRAME_OVERHEAD,
            created: 0,
            distinct: 2,
            // The path to it may have to be read again.
            faults: 16,
        }
    }
}

/// The bytes that a row has beside its key, if there is one, and whether its value is in overflow pages.
fn row_of(leaf: Node<'_>, key: &[u8]) -> (Option<usize>, bool) {
    let (index, found) = leaf.search(key);
    if !found {
        return (None, false);
    }
    match leaf.payload(leaf.slot(index)) {
        Payload::Inline { len, .. } => (Some(len), false),
        Payload::Ghost(_) => (Some(GHOST_BYTES), false),
        Payload::Overflow(_) => (Some(OverflowRef::BYTES), true),
    }
}

impl Tree<'_> {
    /// Levels of the tree, leaves included.
    fn levels(&self) -> Result<usize> {
        super::until_stable(|| {
            let root = self.pool.get(self.root)?.ok_or_else(|| self.gone())?;
            let levels = usize::from(root.node().level()) + 1;
            if root.is_valid() {
                Ok(levels)
            } else {
                Err(super::Stop::Restart)
            }
        })?
        .ok_or_else(|| self.unstable())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_bounded_by_rows_and_by_bytes() {
        let rows = |count, large, bytes| LeafRows {
            count,
            large,
            bytes,
            longest_key: 20,
        };
        assert_eq!(rows(1, 0, 50).splits(4096), 2);
        assert_eq!(rows(3, 3, 3000).splits(4096), 12);
        // 4 MB in leaves of 4 KiB: 977 of them full, at most twice as many half full, and half as many again.
        let many = rows(100_000, 0, 100_000 * 40).splits(4096);
        assert!((3_000..6_000).contains(&many), "{many}");
    }

    #[test]
    fn splits_above_the_leaves_follow_the_bytes_of_separators_and_end() {
        assert_eq!(splits_above(1, 3, 4096, 20), 2 + 4 + 8);
        let few = splits_above(4_000, 3, 4096, 20);
        assert!((300..900).contains(&few), "{few}");
        for page_size in [4096, 16384, 65536] {
            let most = splits_above(4_000, 1, page_size, max_key(page_size));
            assert!(
                (1_000..12_000).contains(&most),
                "{most} with pages of {page_size}"
            );
        }
    }

    #[test]
    fn only_what_is_dirty_has_to_be_written() {
        let need = Need {
            log_bytes: 0,
            created: 2,
            distinct: 3,
            faults: 1000,
        };
        assert_eq!(need.dirty_evictions(64, true), 64 + 5);
        assert_eq!(need.dirty_evictions(64, false), 64);
        for moves in [true, false] {
            assert_eq!(need.dirty_evictions(10_000, moves), 1002);
        }
    }
}
