//! Splitting a page that has no room.
//!
//! The left page keeps its number and is logged as a cut; the right page is new and logged whole; the parent gets one
//! separator. A root that splits keeps its number too: its rows move to two new pages and it becomes their parent.
//! Parent and page are latched together for the change, parent first; frames were reserved before.

use super::{Changer, Tree};
use crate::error::Result;
use crate::ids::PageNumber;
use crate::page::builder::{NodeBuilder, NodeHeader};
use crate::page::delta::Operation;
use crate::page::layout::HEADER;
use crate::page::node::Node;

/// Where a page is split: slots below `index` stay on the left, keys from `separator` on go to the right.
struct Cut {
    index: usize,
    separator: Vec<u8>,
}

impl Cut {
    /// In the middle by bytes, except at the right edge of the tree, where keys are likely to keep rising; then as near
    /// to that as both pages hold their rows and the new fence.
    fn choose(node: Node<'_>, key: &[u8]) -> Self {
        let count = node.count();
        let rightmost = node.high_fence().is_none();
        let mut low = Vec::new();
        node.append_low_fence(&mut low);
        let high_len = node.high_fence().map_or(0, |high| high.len());
        let row = |i| node.cell_len(node.slot(i)) + 8;
        let total: usize = (0..count).map(row).sum();
        let fits = |rows: usize, fences: usize| HEADER + rows + fences <= node.words.size();
        if node.is_leaf() && rightmost && count > 0 && node.search(key).0 == count {
            let separator = shortest_separator(&node.key(count - 1), key);
            if fits(total, low.len() + separator.len()) {
                return Self {
                    index: count,
                    separator,
                };
            }
        }
        debug_assert!(count >= 2, "a page with one row has room for another");
        let wanted = if rightmost { total / 10 * 9 } else { total / 2 };
        let mut best: Option<(usize, Self)> = None;
        let mut left = 0;
        for index in 1..count {
            left += row(index - 1);
            let distance = left.abs_diff(wanted);
            if best.as_ref().is_some_and(|(least, _)| *least <= distance) {
                continue;
            }
            let separator = if node.is_leaf() {
                shortest_separator(&node.key(index - 1), &node.key(index))
            } else {
                node.key(index)
            };
            if fits(left, low.len() + separator.len()) && fits(total - left, separator.len() + high_len) {
                best = Some((distance, Self { index, separator }));
            }
        }
        // Rows are at most a quarter page and a key long, so some cut leaves room for the fences on both sides.
        best.expect("a page with two rows can be split").1
    }

    /// Builds the two pages.
    fn build(&self, node: Node<'_>, left: &NodeHeader, right: &NodeHeader) -> (Vec<u8>, Vec<u8>) {
        let size = node.words.size();
        let mut left = NodeBuilder::new(size, left);
        left.push_slots(node, 0..self.index, |_| true);
        let mut right = NodeBuilder::new(size, right);
        // An inner page's middle separator moves up; its child is the right page's leftmost.
        let first = if node.is_leaf() {
            self.index
        } else {
            self.index + 1
        };
        right.push_slots(node, first..node.count(), |_| true);
        (left.finish(), right.finish())
    }
}

/// The shortest key that is above `left` and not above `right`.
fn shortest_separator(left: &[u8], right: &[u8]) -> Vec<u8> {
    debug_assert!(left < right);
    if crate::injected::makes(crate::injected::Bug::SeparatorOffByOne) {
        return left.to_vec();
    }
    let common = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    right[..=common].to_vec()
}

impl<'a> Changer<'a, '_> {
    /// Makes room in the leaf of `key` or above it. The caller then starts again: one call splits one page.
    pub(super) fn split(&mut self, tree: Tree<'a>, key: &[u8]) -> Result<()> {
        let path = tree.path(key)?;
        self.split_page(&path, key)
    }

    /// Splits the last page of a path from the root, or the nearest page above that has no room for one more child.
    fn split_page(&mut self, path: &[PageNumber], key: &[u8]) -> Result<()> {
        self.reserve_frames(2)?;
        let (parent_page, page) = match path {
            [.., parent, page] => (*parent, *page),
            [root] => return self.split_root(*root, key),
            [] => return Ok(()),
        };
        loop {
            let (Some(parent), Some(page)) = (self.pool.get(parent_page)?, self.pool.get(page)?) else {
                return Err(self.damaged(page, "a page on the path to a row does not exist"));
            };
            let Some(mut parent) = parent.latch() else {
                continue;
            };
            let Some(mut left) = page.latch() else { continue };
            let node = left.node();
            let cut = Cut::choose(node, key);
            if !parent.node().has_room_for_child(&cut.separator) {
                drop((parent, left));
                return self.split_page(&path[..path.len() - 1], key);
            }
            let (right_page, mut right) = self.create_page()?;
            let mut right_header = NodeHeader::of(node);
            right_header.page = right_page;
            right_header.commit = self.commit;
            right_header.low.clone_from(&cut.separator);
            if !node.is_leaf() {
                right_header.first_child = node.child(cut.index + 1);
            }
            let mut left_header = NodeHeader::of(node);
            left_header.high = Some(cut.separator.clone());
            let (left_bytes, right_bytes) = cut.build(node, &left_header, &right_header);
            right.node_mut().replace(&right_bytes);
            left.node_mut().replace(&left_bytes);
            self.pool.ghost_pages().add_if_any(right.node());
            parent
                .node_mut()
                .put_child(&cut.separator, right_page)
                .expect("the parent was found to have room, and the separator is a key of its child");
            self.stamp(&mut left);
            self.stamp(&mut parent);
            let left_page = left.frame().page_number();
            crate::reach::mark(match left.node().is_leaf() {
                true => crate::reach::Mechanism::LeafSplit,
                false => crate::reach::Mechanism::InnerSplit,
            });
            drop((parent, left, right));
            crate::interleave::here(crate::interleave::Place::InCommit);
            self.touched
                .operation(left_page, Operation::Cut { key: &cut.separator });
            let separator = Operation::Separator {
                key: &cut.separator,
                child: right_page,
            };
            self.touched.operation(parent_page, separator);
            return Ok(());
        }
    }

    fn split_root(&mut self, root_page: PageNumber, key: &[u8]) -> Result<()> {
        loop {
            let Some(root) = self.pool.get(root_page)? else {
                return Err(self.damaged(root_page, "the root of a tree does not exist"));
            };
            let Some(mut root) = root.latch() else { continue };
            let node = root.node();
            let cut = Cut::choose(node, key);
            let (left_page, mut left) = self.create_page()?;
            let (right_page, mut right) = self.create_page()?;
            let mut root_header = NodeHeader::of(node);
            let mut left_header = root_header.clone();
            left_header.page = left_page;
            left_header.commit = self.commit;
            left_header.high = Some(cut.separator.clone());
            let mut right_header = root_header.clone();
            right_header.page = right_page;
            right_header.commit = self.commit;
            right_header.low.clone_from(&cut.separator);
            if !node.is_leaf() {
                right_header.first_child = node.child(cut.index + 1);
            }
            let (left_bytes, right_bytes) = cut.build(node, &left_header, &right_header);
            left.node_mut().replace(&left_bytes);
            right.node_mut().replace(&right_bytes);
            self.pool.ghost_pages().add_if_any(left.node());
            self.pool.ghost_pages().add_if_any(right.node());
            root_header.level += 1;
            root_header.first_child = left_page;
            let mut builder = NodeBuilder::new(self.pool.page_size(), &root_header);
            builder.push_child(&cut.separator, right_page);
            root.node_mut().replace(&builder.finish());
            self.stamp(&mut root);
            self.touched.image(root_page);
            crate::reach::mark(crate::reach::Mechanism::RootSplit);
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_short_and_between_their_keys() {
        for (left, right, expected) in [
            (&b"abc"[..], &b"abd"[..], &b"abd"[..]),
            (b"a", b"b", b"b"),
            (b"", b"\0\0", b"\0"),
            (b"user0001", b"user1999xyz", b"user1"),
            (b"ab", b"abcdef", b"abc"),
        ] {
            let separator = shortest_separator(left, right);
            assert_eq!(separator, expected);
            assert!(left < &separator[..] && &separator[..] <= right);
        }
    }
}
