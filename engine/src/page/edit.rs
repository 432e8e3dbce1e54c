//! Changing a leaf or inner page in place. Only the holder of the page's latch has a [`NodeMut`].

use std::ops::Deref;

use super::builder::{NodeBuilder, NodeHeader};
use super::layout::{GHOST, HEADER_WORDS, INNER_CELL_HEADER, LEAF_CELL_HEADER, Slot, key_head};
use super::node::{Node, Payload};
use super::words::Words;
use crate::ids::{CommitId, PageNumber};

/// Why a page does not take a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It has no room for it, even when compacted: it must be split.
    NoRoom,
    /// The key does not lie between its fences: the row belongs to another page.
    NotCovered,
}

/// A page that may be changed.
pub(crate) struct NodeMut<'a>(Node<'a>);

impl<'a> Deref for NodeMut<'a> {
    type Target = Node<'a>;
    fn deref(&self) -> &Node<'a> {
        &self.0
    }
}

impl<'a> NodeMut<'a> {
    /// The caller holds the latch of these words, or they are private.
    pub(crate) fn new(words: Words<'a>) -> Self {
        Self(Node::new(words))
    }

    pub(crate) fn set_commit_id(&mut self, commit: CommitId) {
        self.words.set_word(1, commit.0);
    }

    fn set_counts(&mut self, count: usize, ghosts: usize) {
        let low = self.words.word(2) & 0xFFFF_FFFF;
        self.words
            .set_word(2, low | (count as u64) << 32 | (ghosts as u64) << 48);
    }

    fn set_heap(&mut self, start: usize, garbage: usize) {
        self.words.set_word(3, start as u64 | (garbage as u64) << 32);
    }

    fn set_slot(&mut self, index: usize, slot: Slot) {
        self.words.set_word(HEADER_WORDS + index, slot.encode());
    }

    /// Replaces the whole page.
    pub(crate) fn replace(&mut self, bytes: &[u8]) {
        debug_assert_eq!(bytes.len(), self.words.size());
        self.words.write(0, bytes);
    }

    /// Rewrites the page densely, without ghosts that no snapshot at or after `horizon` can need.
    pub(crate) fn compact(&mut self, horizon: CommitId) {
        let mut builder = NodeBuilder::new(self.words.size(), &NodeHeader::of(self.0));
        let node = self.0;
        builder.push_slots(node, 0..node.count(), |slot| !node.is_dead(slot, horizon));
        self.replace(&builder.finish());
    }

    /// Makes `bytes` of contiguous room, compacting if that helps.
    fn make_room(&mut self, bytes: usize, horizon: CommitId) -> Result<(), Refused> {
        if self.contiguous_room() >= bytes {
            return Ok(());
        }
        if self.room() + self.dead_bytes(horizon) < bytes {
            return Err(Refused::NoRoom);
        }
        self.compact(horizon);
        debug_assert!(self.contiguous_room() >= bytes);
        Ok(())
    }

    fn check_covers(&self, key: &[u8]) -> Result<(), Refused> {
        if self.covers(key) {
            Ok(())
        } else {
            Err(Refused::NotCovered)
        }
    }

    /// Leaf: inserts or replaces a row.
    pub(crate) fn put(
        &mut self,
        key: &[u8],
        payload: &[u8],
        flags: u8,
        horizon: CommitId,
    ) -> Result<(), Refused> {
        debug_assert!(self.is_leaf());
        self.check_covers(key)?;
        let (mut index, mut found) = self.search_covered(key);
        if found {
            let slot = self.slot(index);
            let (offset, old_len) = self.payload_position(slot);
            if payload.len() <= old_len {
                let ghosts = self.ghosts() - usize::from(slot.flags == GHOST) + usize::from(flags == GHOST);
                self.words
                    .write(slot.offset, &(payload.len() as u16).to_le_bytes());
                self.words.write(offset, payload);
                self.set_slot(index, Slot { flags, ..slot });
                self.set_counts(self.count(), ghosts);
                self.set_heap(self.heap_start(), self.garbage() + old_len - payload.len());
                return Ok(());
            }
        }
        let suffix_len = key.len() - self.prefix_len();
        let cell = LEAF_CELL_HEADER + suffix_len + payload.len();
        let needed = cell + if found { 0 } else { 8 };
        if self.contiguous_room() < needed {
            // The old cell of a replaced row counts as room too, so it is given up first.
            let reclaimed = if found {
                8 + self.cell_len(self.slot(index))
            } else {
                0
            };
            if self.room() + self.dead_bytes(horizon) + reclaimed < cell + 8 {
                return Err(Refused::NoRoom);
            }
            if found {
                self.remove(index);
            }
            self.make_room(cell + 8, horizon)?;
            index = self.search_covered(key).0;
            found = false;
        }
        let suffix = &key[self.prefix_len()..];
        let offset = self.heap_start() - cell;
        self.words.write(offset, &(payload.len() as u16).to_le_bytes());
        self.words.write(offset + LEAF_CELL_HEADER, suffix);
        self.words
            .write(offset + LEAF_CELL_HEADER + suffix.len(), payload);
        let slot = Slot {
            head: key_head(suffix),
            offset,
            key_len: suffix.len(),
            flags,
        };
        if found {
            let old = self.slot(index);
            let garbage = self.garbage() + self.cell_len(old);
            let ghosts = self.ghosts() - usize::from(old.flags == GHOST) + usize::from(flags == GHOST);
            self.set_slot(index, slot);
            self.set_counts(self.count(), ghosts);
            self.set_heap(offset, garbage);
        } else {
            self.insert_slot(index, slot);
            self.set_heap(offset, self.garbage());
        }
        Ok(())
    }

    /// Inner: inserts a separator and the child right of it.
    pub(crate) fn put_child(&mut self, key: &[u8], child: PageNumber) -> Result<(), Refused> {
        debug_assert!(!self.is_leaf());
        self.check_covers(key)?;
        let suffix_len = key.len() - self.prefix_len();
        let cell = INNER_CELL_HEADER + suffix_len;
        let (index, found) = self.search_covered(key);
        if found {
            let offset = self.slot(index).offset;
            self.words.write(offset, &child.0.to_le_bytes());
            return Ok(());
        }
        self.make_room(cell + 8, CommitId(0))?;
        let suffix = &key[self.prefix_len()..];
        let offset = self.heap_start() - cell;
        self.words.write(offset, &child.0.to_le_bytes());
        self.words.write(offset + INNER_CELL_HEADER, suffix);
        self.insert_slot(
            index,
            Slot {
                head: key_head(suffix),
                offset,
                key_len: suffix.len(),
                flags: 0,
            },
        );
        self.set_heap(offset, self.garbage());
        Ok(())
    }

    fn insert_slot(&mut self, index: usize, slot: Slot) {
        let count = self.count();
        self.words
            .shift_words_up(HEADER_WORDS + index, HEADER_WORDS + count);
        self.set_slot(index, slot);
        self.set_counts(count + 1, self.ghosts() + usize::from(slot.flags == GHOST));
    }

    /// Removes a slot; its cell becomes garbage.
    pub(crate) fn remove(&mut self, index: usize) {
        let count = self.count();
        debug_assert!(index < count);
        let slot = self.slot(index);
        let garbage = self.garbage() + self.cell_len(slot);
        let ghosts = self.ghosts() - usize::from(self.is_leaf() && slot.flags == GHOST);
        self.words
            .shift_words_down(HEADER_WORDS + index + 1, HEADER_WORDS + count);
        self.set_counts(count - 1, ghosts);
        self.set_heap(self.heap_start(), garbage);
    }

    /// Leaf: turns the row into a ghost; `false` if there is no such row.
    pub(crate) fn delete(
        &mut self,
        key: &[u8],
        commit: CommitId,
        horizon: CommitId,
    ) -> Result<bool, Refused> {
        let (index, found) = self.search(key);
        if !found || self.slot(index).flags == GHOST {
            return Ok(false);
        }
        if commit <= horizon {
            self.remove(index);
        } else {
            self.put(key, &commit.0.to_le_bytes(), GHOST, horizon)?;
        }
        Ok(true)
    }

    /// Drops all rows from `key` on, which becomes the high fence.
    pub(crate) fn cut(&mut self, key: &[u8]) {
        debug_assert!(self.covers(key) && !self.is_low_fence(key));
        let mut header = NodeHeader::of(self.0);
        header.high = Some(key.to_vec());
        let end = self.search(key).0;
        let mut builder = NodeBuilder::new(self.words.size(), &header);
        builder.push_slots(self.0, 0..end, |_| true);
        self.replace(&builder.finish());
    }

    /// Leaf: removes ghosts that no snapshot at or after `horizon` can need, and says how many.
    pub(crate) fn purge_ghosts(&mut self, horizon: CommitId) -> usize {
        if self.ghosts() == 0 {
            return 0;
        }
        let before = self.count();
        for index in (0..before).rev() {
            if self.is_dead(self.slot(index), horizon) {
                self.remove(index);
            }
        }
        before - self.count()
    }
}

impl Node<'_> {
    /// Leaf: whether a slot is a ghost that no snapshot at or after `horizon` can need.
    pub(crate) fn is_dead(self, slot: Slot, horizon: CommitId) -> bool {
        self.is_leaf() && matches!(self.payload(slot), Payload::Ghost(commit) if commit <= horizon)
    }

    /// Leaf: bytes that purging ghosts would give back.
    pub(crate) fn dead_bytes(self, horizon: CommitId) -> usize {
        if !self.is_leaf() || self.ghosts() == 0 {
            return 0;
        }
        (0..self.count())
            .map(|i| self.slot(i))
            .filter(|&s| self.is_dead(s, horizon))
            .map(|s| 8 + self.cell_len(s))
            .sum()
    }
}
