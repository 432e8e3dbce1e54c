//! Giving pages back: purging ghosts, merging a page that has become small with a neighbour, dropping a whole tree.

use super::reservation::Budget;
use super::{Changer, Quarantine, Tree};
use crate::error::Result;
use crate::ids::{PageNumber, TableId};
use crate::page::builder::{NodeBuilder, NodeHeader};
use crate::page::delta::Operation;
use crate::page::layout::{HEADER, INNER_CELL_HEADER, LEAF_CELL_HEADER, OVERFLOW};
use crate::page::node::{Node, Payload};

/// A page using less than this part of its bytes looks for a neighbour to merge with.
const SMALL: (usize, usize) = (1, 4);
/// Two pages merge when the result uses at most this part, so that it does not split again at once.
const MERGED_MAX: (usize, usize) = (3, 4);

/// Bytes that the rows of both pages take in one page with the given bounds.
fn merged_size(left: Node<'_>, right: Node<'_>, header: &NodeHeader, separator_len: usize) -> usize {
    let rows = |node: Node<'_>| -> usize {
        (0..node.count())
            .map(|i| 8 + node.cell_len(node.slot(i)) + node.prefix_len())
            .sum()
    };
    let middle = if left.is_leaf() {
        0
    } else {
        8 + INNER_CELL_HEADER.max(LEAF_CELL_HEADER) + separator_len
    };
    let fences = header.low.len() + header.high.as_ref().map_or(0, Vec::len);
    HEADER + fences + middle + rows(left) + rows(right)
}

/// What became of a leaf with ghosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purged {
    /// Nothing is left that can be done.
    Done,
    NoRoom,
}

impl<'a> Changer<'a, '_> {
    /// Removes the ghosts that nobody needs from a page, if it is a leaf of a table that there is: `root_of` says where the
    /// table's tree begins. A leaf with ghosts that somebody may need goes back to the others.
    ///
    /// # Errors
    /// As [`Changer::purge`].
    pub(crate) fn purge_page(
        &mut self,
        page: PageNumber,
        root_of: impl Fn(TableId) -> Option<PageNumber>,
        quarantine: &mut Quarantine,
    ) -> Result<Purged> {
        let mut is_purged = false;
        loop {
            if !self.pool.store().is_allocated(page) {
                return Ok(Purged::Done);
            }
            let Some(found) = self.page_to_keep(page, quarantine)? else {
                return Ok(Purged::Done);
            };
            let node = found.node();
            let is_due = node.is_leaf() && (node.ghosts() > 0 || self.is_small(node));
            let (table, commit, has_ghosts) = (node.table(), node.commit_id(), node.ghosts() > 0);
            let mut low = Vec::new();
            node.append_low_fence(&mut low);
            if !found.is_valid() {
                continue;
            }
            if is_purged && is_due && has_ghosts && commit > self.ghost_horizon {
                self.pool.ghost_pages().add(page, commit);
            }
            let root = root_of(table).filter(|_| is_due && !is_purged);
            let Some(root) = root else {
                return Ok(Purged::Done);
            };
            if self.purge(self.tree(root, table), &low, quarantine)?.is_none() {
                return Ok(Purged::NoRoom);
            }
            is_purged = true;
        }
    }

    pub(super) fn is_small(&self, node: Node<'_>) -> bool {
        node.used() * SMALL.1 < self.pool.page_size() * SMALL.0
    }

    /// Removes the ghosts that nobody needs from the leaf of a key, and merges the leaf if that leaves it small.
    /// Removing a ghost changes nothing that anybody can see, so it is not logged. Returns the leaf's low fence: rows
    /// from there up to the key need no purge of their own; `None` if there was no room to do the work. Where a page
    /// cannot be read, that is the least key of those that cannot be reached.
    ///
    /// # Errors
    /// What keeps it from going on for now. What has been changed is complete: a page is read before the step that
    /// needs it begins.
    fn purge(&mut self, tree: Tree<'a>, key: &[u8], quarantine: &mut Quarantine) -> Result<Option<Vec<u8>>> {
        if quarantine.len() > 0
            && let Some(low) = self.barrier(tree, key, quarantine)?
        {
            return Ok(Some(low));
        }
        match self.purge_leaf(tree, key, quarantine) {
            Err(error) if error.is_unreadable() => {
                let low = self.barrier(tree, key, quarantine)?;
                Ok(Some(low.unwrap_or_else(|| key.to_vec())))
            }
            answer => answer,
        }
    }

    fn purge_leaf(
        &mut self,
        tree: Tree<'a>,
        key: &[u8],
        quarantine: &mut Quarantine,
    ) -> Result<Option<Vec<u8>>> {
        let need = self.need_to_merge(tree)?;
        if self.reserve_step(need).is_err() {
            return Ok(None);
        }
        let leaf = loop {
            let leaf = tree.find_leaf(key)?.leaf;
            let Some(mut latched) = leaf.latch() else { continue };
            if latched.node().ghosts() > 0 && latched.node_mut().purge_ghosts(self.ghost_horizon) > 0 {
                self.pool.mark_dirty(&mut latched);
                crate::reach::mark(crate::reach::Mechanism::GhostPurged);
            }
            break latched;
        };
        let small = self.is_small(leaf.node());
        let mut low = Vec::new();
        leaf.node().append_low_fence(&mut low);
        drop(leaf);
        if small {
            let path = tree.path(key)?;
            self.merge_upwards(&path, key, quarantine)?;
        }
        Ok(Some(low))
    }

    fn merge_upwards(&mut self, path: &[PageNumber], key: &[u8], quarantine: &mut Quarantine) -> Result<()> {
        for depth in (1..path.len()).rev() {
            if !self.merge(path[depth - 1], path[depth], key, quarantine)? {
                break;
            }
        }
        while let Some(root) = path.first() {
            if !self.collapse_root(*root, quarantine)? {
                break;
            }
        }
        Ok(())
    }

    /// Merges a small page with a neighbour under the same parent; `false` if it is not small, nothing fits, or one of
    /// them has to be left alone.
    fn merge(
        &mut self,
        parent_page: PageNumber,
        page: PageNumber,
        key: &[u8],
        quarantine: &mut Quarantine,
    ) -> Result<bool> {
        loop {
            let Some(parent) = self.page_to_keep(parent_page, quarantine)? else {
                return Ok(false);
            };
            let node = parent.node();
            let at = node.child_index(key);
            let (here, count) = (node.child(at), node.count());
            // The right one of the pair, as a child index: the page itself, unless it is the leftmost child.
            let right_index = at.max(1);
            let (left_page, right_page) = (node.child(right_index - 1), node.child(right_index));
            if !parent.is_valid() {
                continue;
            }
            if here != page || count == 0 {
                return Ok(false);
            }
            let (Some(left), Some(right)) = (
                self.page_to_keep(left_page, quarantine)?,
                self.page_to_keep(right_page, quarantine)?,
            ) else {
                return Ok(false);
            };
            let Some(mut parent) = parent.latch() else {
                continue;
            };
            let (Some(mut left), Some(right)) = (left.latch(), right.latch()) else {
                continue;
            };
            let small = if here == left_page {
                left.node()
            } else {
                right.node()
            };
            if !self.is_small(small) {
                return Ok(false);
            }
            let separator = parent.node().key(right_index - 1);
            let mut header = NodeHeader::of(left.node());
            header.high = right.node().high_fence();
            let size = merged_size(left.node(), right.node(), &header, separator.len());
            if size * MERGED_MAX.1 > self.pool.page_size() * MERGED_MAX.0 {
                return Ok(false);
            }
            let (l, r) = (left.node(), right.node());
            let mut builder = NodeBuilder::new(self.pool.page_size(), &header);
            builder.push_slots(l, 0..l.count(), |_| true);
            if !l.is_leaf() && !crate::injected::makes(crate::injected::Bug::InnerMergeLosesChild) {
                builder.push_child(&separator, r.first_child());
            }
            builder.push_slots(r, 0..r.count(), |_| true);
            left.node_mut().replace(&builder.finish());
            crate::reach::mark(match left.node().is_leaf() {
                true => crate::reach::Mechanism::LeafMerge,
                false => crate::reach::Mechanism::InnerMerge,
            });
            // The merged page answers for the right one's changes as well.
            self.stamp(&mut left);
            parent.node_mut().remove(right_index - 1);
            self.stamp(&mut parent);
            drop((parent, left, right));
            self.touched.image(left_page);
            self.touched
                .operation(parent_page, Operation::Join { key: &separator });
            self.free_page(right_page);
            return Ok(true);
        }
    }

    /// A root with a single child takes its place; `false` if it has more, is a leaf, or one of them has to be left alone.
    fn collapse_root(&mut self, root_page: PageNumber, quarantine: &mut Quarantine) -> Result<bool> {
        loop {
            let Some(root) = self.page_to_keep(root_page, quarantine)? else {
                return Ok(false);
            };
            let node = root.node();
            let (is_leaf, count, child_page) = (node.is_leaf(), node.count(), node.first_child());
            if !root.is_valid() {
                continue;
            }
            if is_leaf || count > 0 {
                return Ok(false);
            }
            let Some(child) = self.page_to_keep(child_page, quarantine)? else {
                return Ok(false);
            };
            let Some(mut root) = root.latch() else { continue };
            let Some(child) = child.latch() else { continue };
            let mut header = NodeHeader::of(child.node());
            header.page = root_page;
            let mut builder = NodeBuilder::new(self.pool.page_size(), &header);
            builder.push_slots(child.node(), 0..child.node().count(), |_| true);
            root.node_mut().replace(&builder.finish());
            self.stamp(&mut root);
            drop((root, child));
            self.touched.image(root_page);
            crate::reach::mark(crate::reach::Mechanism::RootCollapse);
            self.free_page(child_page);
            return Ok(true);
        }
    }

    /// Frees pages of a dropped tree, from its right edge, while there is budget; `true` when nothing of it is left that
    /// can be reached. Nobody reads the tree any more. What has wrong bytes is passed over, with whatever only it points
    /// to. What the device refuses to read stays, with the pages that lead to it and the leftmost of their children, and
    /// the rest goes.
    ///
    /// # Errors
    /// What keeps it from going on for now; an unreadable page when there is nothing left to free beside it. A page may
    /// have been freed while another one still points to it; a later try finds that it is not the table's any more.
    pub(crate) fn drop_tree(
        &mut self,
        tree: Tree<'a>,
        budget: &mut Budget,
        quarantine: &mut Quarantine,
    ) -> Result<bool> {
        self.drop_subtree(tree, tree.root, budget, quarantine)
    }

    fn drop_subtree(
        &mut self,
        tree: Tree<'a>,
        page: PageNumber,
        budget: &mut Budget,
        quarantine: &mut Quarantine,
    ) -> Result<bool> {
        // Children at the right edge that stay, and why.
        let mut kept = 0;
        let mut refused = None;
        loop {
            let Some(found) = self.page_of_dropped(tree, page, quarantine)? else {
                return Ok(true);
            };
            let node = found.node();
            if node.is_leaf() {
                if !self.drop_long_values(tree, page, budget, quarantine)? || !budget.take(self) {
                    return Ok(false);
                }
                break;
            }
            let at = node.count().saturating_sub(kept);
            let child = node.child(at);
            let separator = at.checked_sub(1).map(|i| node.key(i));
            if !found.is_valid() {
                continue;
            }
            if separator.is_none()
                && let Some(error) = refused
            {
                // The leftmost child cannot be taken off a page that stays.
                return Err(error);
            }
            match self.drop_subtree(tree, child, budget, quarantine) {
                Ok(true) => {}
                Err(error) if error.is_unreadable() && separator.is_some() => {
                    kept += 1;
                    refused = Some(error);
                    continue;
                }
                answer => return answer,
            }
            let Some(separator) = separator else {
                // The leftmost child is gone: the page itself goes next.
                break;
            };
            let operation = Operation::Join { key: &separator };
            if !self.change_dropped(tree, page, operation, quarantine)? {
                return Ok(true);
            }
        }
        self.free_page(page);
        Ok(true)
    }

    /// Frees the chains of a page's long values, row by row, so that what is left is a sound tree whenever it stops.
    fn drop_long_values(
        &mut self,
        tree: Tree<'a>,
        page: PageNumber,
        budget: &mut Budget,
        quarantine: &mut Quarantine,
    ) -> Result<bool> {
        loop {
            let Some(found) = self.page_of_dropped(tree, page, quarantine)? else {
                return Ok(true);
            };
            let node = found.node();
            let long = (0..node.count())
                .rev()
                .find_map(|i| match node.payload(node.slot(i)) {
                    Payload::Overflow(reference) => Some((node.key(i), reference)),
                    _ => None,
                });
            if !found.is_valid() {
                continue;
            }
            let Some((key, reference)) = long else {
                return Ok(true);
            };
            let rest = self.free_overflow_part(tree, reference, budget, quarantine)?;
            let operation = match rest {
                None => Operation::Delete { key: &key },
                Some(rest) if rest == reference => return Ok(false),
                Some(reference) => {
                    crate::reach::mark(crate::reach::Mechanism::ChainFreedInPart);
                    Operation::PutOverflow { key: &key, reference }
                }
            };
            if !self.change_dropped(tree, page, operation, quarantine)? {
                return Ok(true);
            }
            if rest.is_some() {
                return Ok(false);
            }
        }
    }

    /// Takes a child or a row off a page of a dropped table, or shortens a long value; `false` if the page has to be
    /// left alone.
    fn change_dropped(
        &mut self,
        tree: Tree<'a>,
        page: PageNumber,
        operation: Operation<'_>,
        quarantine: &mut Quarantine,
    ) -> Result<bool> {
        loop {
            let Some(found) = self.page_of_dropped(tree, page, quarantine)? else {
                return Ok(false);
            };
            let Some(mut latched) = found.latch() else {
                continue;
            };
            match operation {
                Operation::Join { key } | Operation::Delete { key } => {
                    let (index, found) = latched.node().search(key);
                    debug_assert!(found);
                    latched.node_mut().remove(index);
                }
                Operation::PutOverflow { key, reference } => {
                    let put = latched
                        .node_mut()
                        .put(key, &reference.encode(), OVERFLOW, self.ghost_horizon);
                    debug_assert!(put.is_ok(), "a reference takes the place of another");
                }
                _ => debug_assert!(false, "{operation:?} is not for dropped tables"),
            }
            self.stamp(&mut latched);
            drop(latched);
            self.touched.operation(page, operation);
            return Ok(true);
        }
    }
}
