//! Reading a leaf or inner page.
//!
//! All reads are total (see [`Words`]): on a page that is being changed they return some wrong answer, which the
//! caller discards when the version check fails. A page read under a valid version is well formed.
//!
//! The keys of a page are stored without the bytes that its fences share, so a key means something to a page only if it
//! begins with those. [`Node::search`] looks; only a descent, which has just chosen the page for the key, need not.

use std::cmp::Ordering;

use super::layout::{GHOST, HEADER_WORDS, INNER_CELL_HEADER, KIND_LEAF};
use super::layout::{HEADER, LEAF_CELL_HEADER, MAX_VALUE, NO_BOUND, OVERFLOW, Slot, key_head};
use super::words::Words;
use crate::ids::{CommitId, PageNumber, TableId};

/// What a leaf slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// The value is `len` bytes at `offset` in the page.
    Inline { offset: usize, len: usize },
    /// The value is in a chain of overflow pages.
    Overflow(OverflowRef),
    /// Deleted by that commit.
    Ghost(CommitId),
}

/// Where a long value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverflowRef {
    /// Length of the value, in bytes.
    pub(crate) len: u32,
    /// First page of the chain.
    pub(crate) first: PageNumber,
    /// The commit that wrote the chain; stamped on every page of it.
    pub(crate) commit: CommitId,
}

impl OverflowRef {
    pub(crate) const BYTES: usize = 16;

    pub(crate) fn encode(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..4].copy_from_slice(&self.len.to_le_bytes());
        out[4..8].copy_from_slice(&self.first.0.to_le_bytes());
        out[8..].copy_from_slice(&self.commit.0.to_le_bytes());
        out
    }

    /// `None` also for a length that no value has: it is what readers ask memory for.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let (first, rest) = rest.split_first_chunk::<4>()?;
        let (commit, rest) = rest.split_first_chunk::<8>()?;
        let len = u32::from_le_bytes(*len);
        let is_possible = rest.is_empty() && (1..=MAX_VALUE).contains(&(len as usize));
        is_possible.then_some(Self {
            len,
            first: PageNumber(u32::from_le_bytes(*first)),
            commit: CommitId(u64::from_le_bytes(*commit)),
        })
    }
}

/// A page seen as a B+tree node.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(crate) words: Words<'a>,
}

impl<'a> Node<'a> {
    pub(crate) fn new(words: Words<'a>) -> Self {
        Self { words }
    }

    pub(crate) fn page_number(self) -> PageNumber {
        PageNumber(self.words.word(0) as u32)
    }

    pub(crate) fn table(self) -> TableId {
        TableId((self.words.word(0) >> 32) as u32)
    }

    #[inline]
    pub(crate) fn commit_id(self) -> CommitId {
        CommitId(self.words.word(1))
    }

    #[inline]
    pub(crate) fn kind(self) -> u8 {
        self.words.word(2) as u8
    }

    pub(crate) fn is_leaf(self) -> bool {
        self.kind() == KIND_LEAF
    }

    pub(crate) fn level(self) -> u8 {
        (self.words.word(2) >> 8) as u8
    }

    pub(crate) fn prefix_len(self) -> usize {
        (self.words.word(2) >> 16) as u16 as usize
    }

    /// Number of slots, never more than fit in the page.
    #[inline]
    pub(crate) fn count(self) -> usize {
        let count = (self.words.word(2) >> 32) as u16 as usize;
        count.min(self.words.size() / 8 - HEADER_WORDS)
    }

    pub(crate) fn ghosts(self) -> usize {
        (self.words.word(2) >> 48) as usize
    }

    pub(crate) fn heap_start(self) -> usize {
        self.words.word(3) as u32 as usize
    }

    pub(crate) fn garbage(self) -> usize {
        (self.words.word(3) >> 32) as usize
    }

    pub(super) fn low_position(self) -> (usize, usize) {
        let word = self.words.word(4);
        (word as u16 as usize, (word >> 16) as u16 as usize)
    }

    pub(super) fn high_position(self) -> Option<(usize, usize)> {
        let word = self.words.word(4) >> 32;
        let len = (word >> 16) as u16;
        (len != NO_BOUND).then_some((word as u16 as usize, len as usize))
    }

    /// Length of the low fence, in bytes.
    pub(crate) fn low_fence_len(self) -> usize {
        self.low_position().1
    }

    /// Appends the low fence; empty means "no lower bound".
    pub(crate) fn append_low_fence(self, out: &mut Vec<u8>) {
        let (offset, len) = self.low_position();
        self.words.append_to(offset, len, out);
    }

    /// The high fence; `None` means "no upper bound".
    pub(crate) fn high_fence(self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        self.append_high_fence(&mut out).then_some(out)
    }

    /// Appends the high fence and says whether there is one.
    pub(crate) fn append_high_fence(self, out: &mut Vec<u8>) -> bool {
        match self.high_position() {
            Some((offset, len)) => {
                self.words.append_to(offset, len, out);
                true
            }
            None => false,
        }
    }

    /// Whether `key` belongs to this page by its fences.
    pub(crate) fn covers(self, key: &[u8]) -> bool {
        let (offset, len) = self.low_position();
        self.words.compare(offset, len, key) != Ordering::Greater
            && self
                .high_position()
                .is_none_or(|(o, l)| self.words.compare(o, l, key) == Ordering::Greater)
    }

    /// Whether the keys just below `key` belong to this page by its fences.
    pub(crate) fn covers_below(self, key: &[u8]) -> bool {
        let (offset, len) = self.low_position();
        self.words.compare(offset, len, key) == Ordering::Less
            && self
                .high_position()
                .is_none_or(|(o, l)| self.words.compare(o, l, key) != Ordering::Less)
    }

    /// Whether `key` is the low fence: nothing of the page lies below it.
    pub(crate) fn is_low_fence(self, key: &[u8]) -> bool {
        let (offset, len) = self.low_position();
        self.words.compare(offset, len, key) == Ordering::Equal
    }

    /// Inner: the child for keys below the first slot. Overflow: the next page of the chain.
    pub(crate) fn first_child(self) -> PageNumber {
        PageNumber(self.words.word(5) as u32)
    }

    /// Overflow: bytes of the value in this page.
    pub(crate) fn overflow_len(self) -> usize {
        (self.words.word(5) >> 32) as usize
    }

    #[inline]
    pub(crate) fn slot(self, index: usize) -> Slot {
        Slot::decode(self.words.word(HEADER_WORDS + index))
    }

    #[inline]
    pub(super) fn cell_header(self) -> usize {
        if self.is_leaf() {
            LEAF_CELL_HEADER
        } else {
            INNER_CELL_HEADER
        }
    }

    /// How the bytes that all keys of the page begin with compare with a key; equal if the key begins with them.
    fn compare_prefix(self, key: &[u8]) -> Ordering {
        let (low, low_len) = self.low_position();
        let len = self.prefix_len().min(low_len);
        self.words.compare(low, len, &key[..len.min(key.len())])
    }

    /// The slot of `key`, or where it would be inserted. For any key: one that does not begin with the page's prefix lies
    /// before or behind all keys of the page.
    #[inline]
    pub(crate) fn search(self, key: &[u8]) -> (usize, bool) {
        match self.compare_prefix(key) {
            _ if crate::injected::makes(crate::injected::Bug::BoundSearchedUnchecked) => {
                self.search_covered(key)
            }
            Ordering::Less => (self.count(), false),
            Ordering::Greater => (0, false),
            Ordering::Equal => self.search_covered(key),
        }
    }

    /// [`Node::search`] without a look at the prefix, for a key that lies between the page's fences or is the upper one:
    /// a descent from the root has just chosen the page for it. Any other key gives a wrong answer.
    #[inline]
    pub(crate) fn search_covered(self, key: &[u8]) -> (usize, bool) {
        let suffix = key.get(self.prefix_len()..).unwrap_or_default();
        let head = key_head(suffix);
        let cell_header = self.cell_header();
        let mut low = 0;
        let mut len = self.count();
        while len > 0 {
            let half = len / 2;
            let slot = self.slot(low + half);
            let order = slot.head.cmp(&head).then_with(|| {
                // Heads are padded with zeros, so equal heads decide nothing for keys of up to four bytes.
                self.words
                    .compare(slot.offset + cell_header, slot.key_len, suffix)
            });
            match order {
                Ordering::Less => {
                    low += half + 1;
                    len -= half + 1;
                }
                Ordering::Greater => len = half,
                Ordering::Equal => return (low + half, true),
            }
        }
        (low, false)
    }

    /// Inner: which child covers `key`, as a child index (0 is the leftmost child, i + 1 the child of slot i).
    pub(crate) fn child_index(self, key: &[u8]) -> usize {
        child_at(self.search(key))
    }

    /// [`Node::child_index`] of a key that the page covers, as [`Node::search_covered`].
    #[inline]
    pub(crate) fn child_index_covered(self, key: &[u8]) -> usize {
        child_at(self.search_covered(key))
    }

    /// Inner: the child at a child index.
    #[inline]
    pub(crate) fn child(self, index: usize) -> PageNumber {
        match index.checked_sub(1) {
            None => self.first_child(),
            Some(slot) => PageNumber(self.words.u32_at(self.slot(slot).offset)),
        }
    }

    /// Appends the bytes that all keys of the page begin with.
    pub(crate) fn append_prefix(self, out: &mut Vec<u8>) {
        let (low, low_len) = self.low_position();
        self.words.append_to(low, self.prefix_len().min(low_len), out);
    }

    /// Appends a slot's key without the prefix.
    #[inline]
    pub(crate) fn append_suffix(self, slot: Slot, out: &mut Vec<u8>) {
        self.words
            .append_to(slot.offset + self.cell_header(), slot.key_len, out);
    }

    /// Appends the whole key of a slot.
    pub(crate) fn append_key(self, index: usize, out: &mut Vec<u8>) {
        self.append_prefix(out);
        self.append_suffix(self.slot(index), out);
    }

    /// The whole key of a slot.
    pub(crate) fn key(self, index: usize) -> Vec<u8> {
        let mut out = Vec::new();
        self.append_key(index, &mut out);
        out
    }

    /// Length of its longest key, in bytes.
    pub(crate) fn longest_key(self) -> usize {
        let suffixes = (0..self.count()).map(|index| self.slot(index).key_len);
        self.prefix_len() + suffixes.max().unwrap_or(0)
    }

    /// Leaf: where the payload bytes of a slot are, whatever their meaning.
    #[inline]
    pub(crate) fn payload_position(self, slot: Slot) -> (usize, usize) {
        let len = usize::from(self.words.u16_at(slot.offset));
        (slot.offset + LEAF_CELL_HEADER + slot.key_len, len)
    }

    /// Leaf: what a slot holds.
    #[inline]
    pub(crate) fn payload(self, slot: Slot) -> Payload {
        let (offset, len) = self.payload_position(slot);
        if slot.flags & GHOST != 0 {
            Payload::Ghost(CommitId(self.words.u64_at(offset)))
        } else if slot.flags & OVERFLOW != 0 {
            Payload::Overflow(OverflowRef {
                len: self.words.u32_at(offset),
                first: PageNumber(self.words.u32_at(offset + 4)),
                commit: CommitId(self.words.u64_at(offset + 8)),
            })
        } else {
            Payload::Inline { offset, len }
        }
    }

    /// Bytes of a slot's cell in the heap.
    pub(crate) fn cell_len(self, slot: Slot) -> usize {
        if self.is_leaf() {
            LEAF_CELL_HEADER + slot.key_len + usize::from(self.words.u16_at(slot.offset))
        } else {
            INNER_CELL_HEADER + slot.key_len
        }
    }

    /// Room between the slots and the heap, in bytes.
    pub(crate) fn contiguous_room(self) -> usize {
        self.heap_start().saturating_sub(HEADER + 8 * self.count())
    }

    /// Room after a compaction, in bytes.
    pub(crate) fn room(self) -> usize {
        self.contiguous_room() + self.garbage()
    }

    /// Inner: whether a separator and its child fit, perhaps after a compaction.
    pub(crate) fn has_room_for_child(self, separator: &[u8]) -> bool {
        self.room() >= 8 + INNER_CELL_HEADER + separator.len().saturating_sub(self.prefix_len())
    }

    /// Bytes that slots, cells and fences take, without garbage.
    pub(crate) fn used(self) -> usize {
        self.words.size().saturating_sub(HEADER + self.room())
    }
}

/// The child index of what a search of an inner page found.
#[inline]
fn child_at((slot, found): (usize, bool)) -> usize {
    if found { slot + 1 } else { slot }
}
