//! Page memory as 64-bit atomic words.
//!
//! A page in the pool is read by any thread while the one applier may be changing it. Every access is a relaxed
//! atomic load or store of a whole word, so a torn read is a wrong value that the version check throws away
//! (see `pool::frame`), never undefined behaviour. Because an optimistic reader can meet any bytes at all, reads
//! are total: outside the page they give zeros or nothing, and never panic.

use std::cmp::Ordering as KeyOrder;

use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::word::AtomicU64;

/// A word of a page.
pub(crate) type Word = AtomicU64;

/// The bytes of one page, little-endian in words.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a>(&'a [AtomicU64]);

impl<'a> Words<'a> {
    pub(crate) fn new(words: &'a [AtomicU64]) -> Self {
        Self(words)
    }

    /// Size in bytes.
    #[inline]
    pub(crate) fn size(self) -> usize {
        self.0.len() * 8
    }

    /// Word `index`, or 0 outside the page.
    #[inline]
    pub(crate) fn word(self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |w| w.load(Relaxed))
    }

    /// Eight bytes at any byte offset, zero-extended behind the end of the page.
    #[inline]
    pub(crate) fn u64_at(self, offset: usize) -> u64 {
        let shift = (offset % 8) * 8;
        let low = self.word(offset / 8) >> shift;
        if shift == 0 {
            low
        } else {
            low | (self.word(offset / 8 + 1) << (64 - shift))
        }
    }

    #[inline]
    pub(crate) fn u32_at(self, offset: usize) -> u32 {
        self.u64_at(offset) as u32
    }

    #[inline]
    pub(crate) fn u16_at(self, offset: usize) -> u16 {
        self.u64_at(offset) as u16
    }

    /// Appends `len` bytes from `offset` to `out`; `false`, with nothing appended, if they are not all in the page.
    #[inline]
    pub(crate) fn append_to(self, offset: usize, len: usize, out: &mut Vec<u8>) -> bool {
        if len == 0 {
            return true;
        }
        let Some(words) = offset
            .checked_add(len)
            .filter(|&end| end <= self.size())
            .and_then(|end| self.0.get(offset / 8..end.div_ceil(8)))
        else {
            return false;
        };
        crate::work::done(crate::work::Kind::Bytes, len);
        let start = out.len();
        out.resize(start + len.next_multiple_of(8), 0);
        let shift = (offset % 8) * 8;
        let mut chunks = out[start..].chunks_exact_mut(8);
        if shift == 0 {
            for (word, chunk) in words.iter().zip(chunks) {
                chunk.copy_from_slice(&word.load(Relaxed).to_le_bytes());
            }
        } else {
            let mut current = words[0].load(Relaxed);
            for (word, chunk) in words[1..].iter().zip(&mut chunks) {
                let next = word.load(Relaxed);
                chunk.copy_from_slice(&((current >> shift) | (next << (64 - shift))).to_le_bytes());
                current = next;
            }
            // The last bytes may all be in the last word.
            if let Some(chunk) = chunks.next() {
                chunk.copy_from_slice(&(current >> shift).to_le_bytes());
            }
        }
        out.truncate(start + len);
        true
    }

    /// Appends these words, as far as they are in the page; their bytes are in the order of the page.
    pub(crate) fn append_words(self, range: std::ops::Range<usize>, out: &mut Vec<u64>) {
        let end = range.end.min(self.0.len());
        let words = self.0.get(range.start..end).unwrap_or_default();
        crate::work::done(crate::work::Kind::Bytes, 8 * words.len());
        out.extend(words.iter().map(|word| word.load(Relaxed).to_le()));
    }

    /// Compares the bytes `offset..offset + len` with `other`, as strings of bytes.
    #[inline]
    pub(crate) fn compare(self, offset: usize, len: usize, other: &[u8]) -> KeyOrder {
        let common = len.min(other.len());
        let mut at = 0;
        let mut chunks = other[..common].chunks_exact(8);
        for chunk in &mut chunks {
            let mine = self.u64_at(offset + at).swap_bytes();
            let theirs = chunk.try_into().map_or(0, u64::from_be_bytes);
            if mine != theirs {
                return mine.cmp(&theirs);
            }
            at += 8;
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mask = u64::MAX << (64 - 8 * rest.len());
            let mine = self.u64_at(offset + at).swap_bytes() & mask;
            let theirs = left_aligned(rest);
            if mine != theirs {
                return mine.cmp(&theirs);
            }
        }
        len.cmp(&other.len())
    }

    /// Stores a whole word. Only the holder of the page's latch may.
    #[inline]
    pub(crate) fn set_word(self, index: usize, value: u64) {
        self.0[index].store(value, Relaxed);
    }

    /// Stores the words of a page of the same size. Only the holder of the page's latch may.
    pub(crate) fn copy_from(self, source: Words<'_>) {
        debug_assert_eq!(self.size(), source.size());
        for (to, from) in self.0.iter().zip(source.0) {
            to.store(from.load(Relaxed), Relaxed);
        }
    }

    /// Stores bytes at any offset. Only the holder of the page's latch may.
    ///
    /// # Panics
    /// If they do not all fit in the page: the caller has checked its room.
    pub(crate) fn write(self, offset: usize, mut bytes: &[u8]) {
        assert!(
            offset + bytes.len() <= self.size(),
            "write of {} bytes at {offset} leaves the page",
            bytes.len()
        );
        let mut index = offset / 8;
        let inside = offset % 8;
        if inside != 0 && !bytes.is_empty() {
            let n = bytes.len().min(8 - inside);
            self.merge(index, inside, &bytes[..n]);
            bytes = &bytes[n..];
            index += 1;
        }
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.set_word(index, chunk.try_into().map_or(0, u64::from_le_bytes));
            index += 1;
        }
        if !chunks.remainder().is_empty() {
            self.merge(index, 0, chunks.remainder());
        }
    }

    /// Replaces the bytes from byte `inside` of word `index`.
    fn merge(self, index: usize, inside: usize, bytes: &[u8]) {
        let mut word = self.word(index).to_le_bytes();
        word[inside..inside + bytes.len()].copy_from_slice(bytes);
        self.set_word(index, u64::from_le_bytes(word));
    }

    /// Moves the words `from..to` up (towards the end) by one.
    pub(crate) fn shift_words_up(self, from: usize, to: usize) {
        for i in (from..to).rev() {
            self.set_word(i + 1, self.word(i));
        }
    }

    /// Moves the words `from..to` down (towards the start) by one.
    pub(crate) fn shift_words_down(self, from: usize, to: usize) {
        for i in from..to {
            self.set_word(i - 1, self.word(i));
        }
    }
}

/// Up to 8 bytes as a big-endian number, padded with zeros at the end.
#[inline]
pub(crate) fn left_aligned(bytes: &[u8]) -> u64 {
    let mut padded = [0; 8];
    let n = bytes.len().min(8);
    padded[..n].copy_from_slice(&bytes[..n]);
    u64::from_be_bytes(padded)
}

/// Zeroed private page memory of `size` bytes.
pub(crate) fn private_page(size: usize) -> Box<[Word]> {
    std::iter::repeat_with(|| AtomicU64::new(0))
        .take(size / 8)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_written_anywhere_are_read_back(offset in 0usize..500, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let memory = private_page(1024);
            let words = Words::new(&memory);
            words.write(0, &[0xAA; 1024]);
            words.write(offset, &bytes);
            let mut out = vec![7];
            prop_assert!(words.append_to(offset, bytes.len(), &mut out));
            prop_assert_eq!(&out[1..], &bytes[..]);
            let mut all = Vec::new();
            prop_assert!(words.append_to(0, 1024, &mut all));
            prop_assert!(all[..offset].iter().all(|&b| b == 0xAA));
            prop_assert!(all[offset + bytes.len()..].iter().all(|&b| b == 0xAA));
        }

        #[test]
        fn compare_is_byte_string_order(offset in 0usize..20, a in prop::collection::vec(0u8..3, 0..40), b in prop::collection::vec(0u8..3, 0..40)) {
            let memory = private_page(128);
            let words = Words::new(&memory);
            words.write(offset, &a);
            prop_assert_eq!(words.compare(offset, a.len(), &b), a.cmp(&b));
        }
    }

    #[test]
    fn reads_outside_the_page_are_refused() {
        let memory = private_page(64);
        let words = Words::new(&memory);
        let mut out = Vec::new();
        assert!(!words.append_to(60, 5, &mut out));
        assert!(!words.append_to(usize::MAX, 5, &mut out));
        assert!(out.is_empty());
        assert_eq!(words.u64_at(1000), 0);
        assert_eq!(words.compare(1000, 4, b"a"), KeyOrder::Less);
    }
}
