//! A private copy of some neighbouring rows of a leaf, for reading them one after the other.
//!
//! Copying word by word touches memory in order and needs one version check; afterwards rows are plain slices of the copy,
//! with no further copying of values. The cells between the first and the last of these rows come along, whosever they are:
//! in a leaf that was filled in key order there are few others among them.

use std::ops::Range;

use super::layout::{GHOST, HEADER_WORDS, LEAF_CELL_HEADER, OVERFLOW, Slot};
use super::node::{Node, OverflowRef};

/// What a row of the copy holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CopiedPayload {
    /// The value is these bytes of the page.
    Inline {
        start: usize,
        end: usize,
    },
    Overflow(OverflowRef),
    Ghost,
}

#[derive(Debug, Default)]
pub(crate) struct LeafCopy {
    /// Number of the first slot.
    first: usize,
    slots: Vec<u64>,
    /// Where in the page the cells begin, in bytes.
    base: usize,
    cells: Vec<u64>,
}

impl LeafCopy {
    /// Copies these slots of a leaf, and their cells. The caller checks the version afterwards.
    pub(crate) fn fill(&mut self, node: Node<'_>, slots: Range<usize>) {
        self.first = slots.start;
        self.slots.clear();
        self.slots
            .extend(slots.map(|index| node.words.word(HEADER_WORDS + index)));
        let (mut begin, mut last) = (node.words.size(), Slot::decode(0));
        for slot in self.slots.iter().map(|word| Slot::decode(*word)) {
            begin = begin.min(slot.offset);
            if slot.offset >= last.offset {
                last = slot;
            }
        }
        let payload = usize::from(node.words.u16_at(last.offset));
        let end = last.offset + LEAF_CELL_HEADER + last.key_len + payload;
        self.base = begin / 8 * 8;
        self.cells.clear();
        node.words
            .append_words(begin / 8..end.div_ceil(8), &mut self.cells);
    }

    pub(crate) fn slot(&self, index: usize) -> Slot {
        let word = index.checked_sub(self.first).and_then(|at| self.slots.get(at));
        Slot::decode(word.copied().unwrap_or(0))
    }

    /// A slot's key without the bytes that all keys of the page begin with.
    pub(crate) fn suffix(&self, slot: Slot) -> &[u8] {
        let start = slot.offset + LEAF_CELL_HEADER;
        self.slice(start, start + slot.key_len)
    }

    pub(crate) fn payload(&self, slot: Slot) -> CopiedPayload {
        let len = self.slice(slot.offset, slot.offset + 2);
        let len = len
            .first_chunk()
            .map_or(0, |len| usize::from(u16::from_le_bytes(*len)));
        let start = slot.offset + LEAF_CELL_HEADER + slot.key_len;
        let end = start + len;
        if slot.flags & GHOST != 0 {
            return CopiedPayload::Ghost;
        }
        if slot.flags & OVERFLOW != 0
            && let Some(reference) = OverflowRef::decode(self.slice(start, end))
        {
            return CopiedPayload::Overflow(reference);
        }
        CopiedPayload::Inline { start, end }
    }

    /// Bytes of the page; none if the copy does not have them.
    #[inline]
    pub(crate) fn slice(&self, start: usize, end: usize) -> &[u8] {
        let bytes: &[u8] = bytemuck::cast_slice(&self.cells);
        let range = start.wrapping_sub(self.base)..end.wrapping_sub(self.base);
        bytes.get(range).unwrap_or_default()
    }
}
