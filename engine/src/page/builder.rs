//! Builds a dense leaf or inner page in private memory from rows in key order.
//!
//! Compaction, split, cut and merge all make their new page this way and then replace the old bytes in one go, so
//! there is one piece of code that lays out a page and the latch is held only for a copy.

use super::layout::{
    GHOST, HEADER, INNER_CELL_HEADER, KIND_INNER, KIND_LEAF, LEAF_CELL_HEADER, NO_BOUND, Slot, key_head,
};
use super::node::Node;
use crate::ids::{CommitId, PageNumber, TableId};

/// Identity and bounds of a page to build.
#[derive(Clone, Debug)]
pub(crate) struct NodeHeader {
    pub(crate) page: PageNumber,
    pub(crate) table: TableId,
    pub(crate) commit: CommitId,
    pub(crate) level: u8,
    pub(crate) low: Vec<u8>,
    pub(crate) high: Option<Vec<u8>>,
    /// Inner pages: the leftmost child.
    pub(crate) first_child: PageNumber,
}

impl NodeHeader {
    /// The header of an existing page.
    pub(crate) fn of(node: Node<'_>) -> Self {
        let mut low = Vec::new();
        node.append_low_fence(&mut low);
        Self {
            page: node.page_number(),
            table: node.table(),
            commit: node.commit_id(),
            level: node.level(),
            low,
            high: node.high_fence(),
            first_child: node.first_child(),
        }
    }

    /// Bytes that all keys between the fences share.
    fn prefix_len(&self) -> usize {
        match &self.high {
            Some(high) => self.low.iter().zip(high).take_while(|(a, b)| a == b).count(),
            None => 0,
        }
    }
}

/// A page under construction.
#[derive(Debug)]
pub(crate) struct NodeBuilder {
    bytes: Vec<u8>,
    prefix_len: usize,
    count: usize,
    ghosts: u16,
    heap: usize,
    is_leaf: bool,
}

impl NodeBuilder {
    pub(crate) fn new(page_size: usize, header: &NodeHeader) -> Self {
        let mut bytes = vec![0; page_size];
        let is_leaf = header.level == 0;
        bytes[0..4].copy_from_slice(&header.page.0.to_le_bytes());
        bytes[4..8].copy_from_slice(&header.table.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&header.commit.0.to_le_bytes());
        bytes[16] = if is_leaf { KIND_LEAF } else { KIND_INNER };
        bytes[17] = header.level;
        let prefix_len = header.prefix_len();
        bytes[18..20].copy_from_slice(&(prefix_len as u16).to_le_bytes());
        let mut builder = Self {
            bytes,
            prefix_len,
            count: 0,
            ghosts: 0,
            heap: page_size,
            is_leaf,
        };
        let low = builder.push_heap(&[&header.low]);
        builder.put_u16(32, low);
        builder.put_u16(34, header.low.len());
        match &header.high {
            Some(high) => {
                let at = builder.push_heap(&[high]);
                builder.put_u16(36, at);
                builder.put_u16(38, high.len());
            }
            None => builder.put_u16(38, usize::from(NO_BOUND)),
        }
        builder.bytes[40..44].copy_from_slice(&header.first_child.0.to_le_bytes());
        builder
    }

    fn put_u16(&mut self, at: usize, value: usize) {
        // An empty fence may sit at offset 65536 of a 64 KiB page; its offset is never used.
        self.bytes[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
    }

    fn push_heap(&mut self, parts: &[&[u8]]) -> usize {
        for part in parts.iter().rev() {
            self.heap -= part.len();
            self.bytes[self.heap..self.heap + part.len()].copy_from_slice(part);
        }
        self.heap
    }

    fn push_slot(&mut self, suffix: &[u8], offset: usize, flags: u8) {
        let slot = Slot {
            head: key_head(suffix),
            offset,
            key_len: suffix.len(),
            flags,
        };
        let at = HEADER + 8 * self.count;
        self.bytes[at..at + 8].copy_from_slice(&slot.encode().to_le_bytes());
        self.count += 1;
        assert!(
            HEADER + 8 * self.count <= self.heap,
            "the rows given to a page builder fit in one page"
        );
    }

    /// A key without the page's prefix, with which it begins because it lies between the fences.
    fn suffix<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        // The low fence was the first thing on the heap.
        let low = usize::from(u16::from_le_bytes([self.bytes[32], self.bytes[33]]));
        debug_assert!(
            self.prefix_len == 0 || self.bytes[low..].starts_with(&key[..self.prefix_len]),
            "a key outside the fences of its page"
        );
        &key[self.prefix_len..]
    }

    /// Adds a leaf row; keys must come in rising order.
    pub(crate) fn push_row(&mut self, key: &[u8], payload: &[u8], flags: u8) {
        debug_assert!(self.is_leaf);
        let suffix = self.suffix(key);
        let offset = self.push_heap(&[&(payload.len() as u16).to_le_bytes(), suffix, payload]);
        debug_assert_eq!(LEAF_CELL_HEADER, 2);
        self.ghosts += u16::from(flags == GHOST);
        self.push_slot(suffix, offset, flags);
    }

    /// Adds an inner separator; keys must come in rising order.
    pub(crate) fn push_child(&mut self, key: &[u8], child: PageNumber) {
        debug_assert!(!self.is_leaf);
        let suffix = self.suffix(key);
        let offset = self.push_heap(&[&child.0.to_le_bytes(), suffix]);
        debug_assert_eq!(INNER_CELL_HEADER, 4);
        self.push_slot(suffix, offset, 0);
    }

    /// Copies the slots `range` of `from`, leaving out what `keep` rejects.
    pub(crate) fn push_slots(
        &mut self,
        from: Node<'_>,
        range: std::ops::Range<usize>,
        keep: impl Fn(Slot) -> bool,
    ) {
        let mut key = Vec::new();
        let mut payload = Vec::new();
        for index in range {
            let slot = from.slot(index);
            if !keep(slot) {
                continue;
            }
            key.clear();
            from.append_key(index, &mut key);
            if self.is_leaf {
                payload.clear();
                let (offset, len) = from.payload_position(slot);
                from.words.append_to(offset, len, &mut payload);
                self.push_row(&key, &payload, slot.flags);
            } else {
                self.push_child(&key, from.child(index + 1));
            }
        }
    }

    /// The finished page.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.put_u16(20, self.count);
        self.put_u16(22, usize::from(self.ghosts));
        let heap = self.heap as u32;
        self.bytes[24..28].copy_from_slice(&heap.to_le_bytes());
        self.bytes
    }
}

/// An overflow page: a link of a long value's chain.
pub(crate) fn overflow_page(
    page_size: usize,
    page: PageNumber,
    table: TableId,
    commit: CommitId,
    next: PageNumber,
    part: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![0; page_size];
    bytes[0..4].copy_from_slice(&page.0.to_le_bytes());
    bytes[4..8].copy_from_slice(&table.0.to_le_bytes());
    bytes[8..16].copy_from_slice(&commit.0.to_le_bytes());
    bytes[16] = super::layout::KIND_OVERFLOW;
    bytes[40..44].copy_from_slice(&next.0.to_le_bytes());
    bytes[44..48].copy_from_slice(&(part.len() as u32).to_le_bytes());
    bytes[HEADER..HEADER + part.len()].copy_from_slice(part);
    bytes
}
