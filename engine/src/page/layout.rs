//! Where everything is in a page; the only place that knows.
//!
//! ```text
//! offset  bytes  field
//!      0      4  page number
//!      4      4  table
//!      8      8  commit ID of the newest change
//!     16      1  kind (1 leaf, 2 inner, 3 overflow)
//!     17      1  level (0 leaf, parents count up)
//!     18      2  length of the prefix that all keys of the page share
//!     20      2  number of slots
//!     22      2  number of ghosts
//!     24      4  heap start: the lowest byte used by cells
//!     28      4  garbage: bytes of dead cells inside the heap
//!     32      2  low fence offset     34  2  low fence length
//!     36      2  high fence offset    38  2  high fence length (0xFFFF: no upper bound)
//!     40      4  inner: leftmost child; overflow: next page of the chain
//!     44      4  overflow: bytes of the value in this page
//!     48     16  zero
//!     64      8 each  slots, then free room, then the heap of cells up to the end of the page
//! ```
//! A slot is one word: key head (4 bytes, big-endian order) `<< 32 | cell offset << 16 | key length << 2 | flags`,
//! where key means the key without the shared prefix. A leaf cell is `value length u16 | key | value`, an inner
//! cell is `child u32 | key`. The child of slot i holds the keys from its key up to the next slot's key; the
//! leftmost child those below slot 0. Fences: every key k of the page has `low <= k < high`.
//!
//! A leaf slot's value is the row's value, or with flag OVERFLOW a reference `length u32 | first page u32 |
//! commit ID u64`, or with flag GHOST the commit ID u64 that deleted the row.

/// Bytes of the page header.
pub(crate) const HEADER: usize = 64;
/// Words of the page header.
pub(crate) const HEADER_WORDS: usize = HEADER / 8;
/// Smallest and largest page size, in bytes.
pub(crate) const PAGE_SIZE_MIN: usize = 4096;
pub(crate) const PAGE_SIZE_MAX: usize = 65536;
/// High fence length that means "no upper bound".
pub(crate) const NO_BOUND: u16 = u16::MAX;

pub(crate) const KIND_LEAF: u8 = 1;
pub(crate) const KIND_INNER: u8 = 2;
pub(crate) const KIND_OVERFLOW: u8 = 3;

/// The row was deleted and stays only for older snapshots.
pub(crate) const GHOST: u8 = 1;
/// The value is in overflow pages.
pub(crate) const OVERFLOW: u8 = 2;

/// Bytes before the key in a leaf cell and in an inner cell.
pub(crate) const LEAF_CELL_HEADER: usize = 2;
pub(crate) const INNER_CELL_HEADER: usize = 4;

/// Longest key for a page size, in bytes.
pub(crate) const fn max_key(page_size: usize) -> usize {
    page_size / 8
}

/// Longest value kept inside a leaf, in bytes: a quarter page, less what makes two such rows always fit.
pub(crate) const fn max_inline_value(page_size: usize) -> usize {
    page_size / 4 - 64
}

/// Longest value at all, in bytes.
pub(crate) const MAX_VALUE: usize = 1 << 30;

/// A slot, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) head: u32,
    pub(crate) offset: usize,
    pub(crate) key_len: usize,
    pub(crate) flags: u8,
}

impl Slot {
    #[inline]
    pub(crate) fn decode(word: u64) -> Self {
        Self {
            head: (word >> 32) as u32,
            offset: (word >> 16) as usize & 0xFFFF,
            key_len: (word >> 2) as usize & 0x3FFF,
            flags: word as u8 & 3,
        }
    }

    #[inline]
    pub(crate) fn encode(self) -> u64 {
        debug_assert!(self.offset <= 0xFFFF && self.key_len <= 0x3FFF && self.flags <= 3);
        u64::from(self.head) << 32
            | (self.offset as u64) << 16
            | (self.key_len as u64) << 2
            | u64::from(self.flags)
    }
}

/// The first four bytes of a key in comparable form.
#[inline]
pub(crate) fn key_head(key: &[u8]) -> u32 {
    (super::words::left_aligned(&key[..key.len().min(4)]) >> 32) as u32
}

/// Whether two rows of the largest size fit in a page beside two of the longest fences. It must hold for every page
/// size: then a page without room holds at least two rows, so it can be split, and a page with one row takes another.
const fn two_rows_fit(page_size: usize) -> bool {
    let row = 8 + LEAF_CELL_HEADER + max_key(page_size) + max_inline_value(page_size);
    HEADER + 2 * max_key(page_size) + 2 * row <= page_size
}

const _: () = {
    assert!(HEADER.is_multiple_of(8));
    assert!(
        max_key(PAGE_SIZE_MAX) <= 0x3FFF,
        "a key length must fit in a slot"
    );
    assert!(
        max_inline_value(PAGE_SIZE_MAX) <= u16::MAX as usize,
        "an inline value length must fit in a cell"
    );
    assert!(
        two_rows_fit(4096)
            && two_rows_fit(8192)
            && two_rows_fit(16384)
            && two_rows_fit(32768)
            && two_rows_fit(65536)
    );
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_survive_encoding_at_their_limits() {
        for slot in [
            Slot {
                head: u32::MAX,
                offset: 65535,
                key_len: 8192,
                flags: 3,
            },
            Slot {
                head: 0,
                offset: 64,
                key_len: 0,
                flags: 0,
            },
        ] {
            assert_eq!(Slot::decode(slot.encode()), slot);
        }
    }

    #[test]
    fn heads_order_as_keys_do() {
        assert!(key_head(b"a") < key_head(b"b"));
        assert!(key_head(b"ab") < key_head(b"abc"));
        assert_eq!(key_head(b""), 0);
        assert_eq!(key_head(b"abcd"), key_head(b"abcde"));
    }
}
