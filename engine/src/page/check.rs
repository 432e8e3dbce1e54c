//! What makes a page from a file safe to read and to change in place.
//!
//! A good CRC says only that the bytes are those once written. Everything that the code behind this check relies on is
//! checked here, once, when a page comes in: offsets and lengths stay in the page, cells and fences do not overlap and
//! add up with the garbage, the prefix is the one that the fences share, keys rise between the fences and are found by
//! their heads, and no row is larger than two to a page.

use std::cmp::Ordering;

use super::layout::{GHOST, HEADER, KIND_INNER, KIND_LEAF, KIND_OVERFLOW, MAX_VALUE, OVERFLOW};
use super::layout::{Slot, key_head, max_inline_value, max_key};
use super::node::{Node, OverflowRef, Payload};

/// Which bytes of a page are taken, as bits.
struct Taken(Vec<u64>);

impl Taken {
    fn new(size: usize) -> Self {
        Self(vec![0; size / 64])
    }

    /// Takes `len` bytes from `start`, all inside the page; `false` if one of them was taken before.
    fn take(&mut self, start: usize, len: usize) -> bool {
        let end = start + len;
        let mut free = true;
        let mut at = start;
        while at < end {
            let bits = (64 - at % 64).min(end - at);
            let mask = (u64::MAX >> (64 - bits)) << (at % 64);
            let word = &mut self.0[at / 64];
            free &= *word & mask == 0;
            *word |= mask;
            at += bits;
        }
        free
    }
}

/// The fences of a page.
struct Fences {
    low: Vec<u8>,
    high: Option<Vec<u8>>,
}

impl Node<'_> {
    /// Checks everything that the other methods and [`super::edit::NodeMut`] take for granted. Says what is wrong.
    pub(crate) fn check(self) -> Result<(), String> {
        let size = self.words.size();
        let kind = self.kind();
        if kind == KIND_OVERFLOW {
            return if HEADER + self.overflow_len() <= size {
                Ok(())
            } else {
                Err(format!("overflow page claims {} bytes", self.overflow_len()))
            };
        }
        if kind != KIND_LEAF && kind != KIND_INNER {
            return Err(format!("unknown page kind {kind}"));
        }
        if (kind == KIND_LEAF) != (self.level() == 0) {
            return Err(format!("kind {kind} at level {}", self.level()));
        }
        let count = (self.words.word(2) >> 32) as u16 as usize;
        let heap = self.heap_start();
        if heap > size || HEADER + 8 * count > heap {
            return Err(format!("{count} slots do not fit below the heap at {heap}"));
        }
        let mut taken = Taken::new(size);
        let fences = self.check_fences(heap, &mut taken)?;
        let mut used = fences.low.len() + fences.high.as_ref().map_or(0, Vec::len);
        let mut ghosts = 0;
        for index in 0..count {
            let slot = self.slot(index);
            self.check_cell(index, slot, heap, &mut taken)?;
            used += self.cell_len(slot);
            ghosts += usize::from(kind == KIND_LEAF && slot.flags == GHOST);
        }
        self.check_keys(count, &fences)?;
        if ghosts != self.ghosts() {
            return Err(format!("{ghosts} ghosts, the header counts {}", self.ghosts()));
        }
        if used + self.garbage() != size - heap {
            return Err(format!(
                "{used} used and {} garbage bytes in a heap of {}",
                self.garbage(),
                size - heap
            ));
        }
        Ok(())
    }

    fn check_fences(self, heap: usize, taken: &mut Taken) -> Result<Fences, String> {
        let size = self.words.size();
        let mut fence = |name: &str, (offset, len): (usize, usize)| {
            if len > max_key(size) || len > 0 && (offset < heap || offset + len > size) {
                return Err(format!("{name} fence lies outside the heap"));
            }
            if !taken.take(if len > 0 { offset } else { 0 }, len) {
                return Err(format!("{name} fence lies over something else"));
            }
            let mut bytes = Vec::new();
            self.words.append_to(offset, len, &mut bytes);
            Ok(bytes)
        };
        let low = fence("low", self.low_position())?;
        let high = self
            .high_position()
            .map(|place| fence("high", place))
            .transpose()?;
        let prefix = match &high {
            Some(high) if *high <= low => return Err("the fences are out of order".into()),
            Some(high) => low.iter().zip(high).take_while(|(a, b)| a == b).count(),
            None => 0,
        };
        if self.prefix_len() != prefix {
            return Err(format!(
                "a prefix of {} bytes, the fences share {prefix}",
                self.prefix_len()
            ));
        }
        Ok(Fences { low, high })
    }

    fn check_cell(self, index: usize, slot: Slot, heap: usize, taken: &mut Taken) -> Result<(), String> {
        let size = self.words.size();
        let len = self.cell_len(slot);
        if slot.offset < heap || slot.offset + len > size {
            return Err(format!("cell of slot {index} lies outside the heap"));
        }
        if !taken.take(slot.offset, len) {
            return Err(format!("cell of slot {index} lies over something else"));
        }
        if self.prefix_len() + slot.key_len > max_key(size) {
            return Err(format!("slot {index} has a key of {} bytes", slot.key_len));
        }
        if !self.is_leaf() {
            return if slot.flags == 0 {
                Ok(())
            } else {
                Err(format!("slot {index} of an inner page has flags {}", slot.flags))
            };
        }
        let payload = self.payload_position(slot).1;
        let fits = match slot.flags {
            0 => payload <= max_inline_value(size),
            GHOST => payload == 8,
            OVERFLOW => payload == OverflowRef::BYTES,
            flags => return Err(format!("slot {index} has flags {flags}")),
        };
        if slot.flags == OVERFLOW && fits {
            // What readers ask memory for.
            return match self.payload(slot) {
                Payload::Overflow(value) if (1..=MAX_VALUE).contains(&(value.len as usize)) => Ok(()),
                _ => Err(format!("slot {index} refers to a value longer than any")),
            };
        }
        if fits {
            Ok(())
        } else {
            Err(format!(
                "slot {index} with flags {} has a payload of {payload} bytes",
                slot.flags
            ))
        }
    }

    /// A slot's key without the prefix, compared with another.
    fn compare_suffix(self, slot: Slot, other: &[u8]) -> Ordering {
        self.words
            .compare(slot.offset + self.cell_header(), slot.key_len, other)
    }

    /// The head that a slot's key should have.
    fn suffix_head(self, slot: Slot) -> u32 {
        let bytes = self.words.u32_at(slot.offset + self.cell_header()).swap_bytes();
        match slot.key_len {
            0 => 0,
            len @ 1..4 => bytes & u32::MAX << (32 - 8 * len),
            _ => bytes,
        }
    }

    /// Keys rise, from the low fence to below the high one, and have the heads that they are searched by.
    fn check_keys(self, count: usize, fences: &Fences) -> Result<(), String> {
        let prefix = self.prefix_len();
        let mut suffix = fences.low.get(prefix..).unwrap_or_default().to_vec();
        let mut before = key_head(&suffix);
        for index in 0..count {
            let slot = self.slot(index);
            if slot.head != self.suffix_head(slot) {
                return Err(format!("slot {index} has another head than its key"));
            }
            let order = match before.cmp(&slot.head) {
                // Heads are the first bytes of keys: only where they are the same do the rest matter.
                Ordering::Equal => {
                    if index > 0 {
                        suffix.clear();
                        self.append_suffix(self.slot(index - 1), &mut suffix);
                    }
                    self.compare_suffix(slot, &suffix).reverse()
                }
                order => order,
            };
            if order == Ordering::Greater || order == Ordering::Equal && index > 0 {
                return Err(format!("the key of slot {index} is out of order"));
            }
            before = slot.head;
        }
        let high = fences.high.as_ref().and_then(|high| high.get(prefix..));
        let is_below = |high| self.compare_suffix(self.slot(count - 1), high) == Ordering::Less;
        if count > 0 && high.is_some_and(|high| !is_below(high)) {
            return Err("the last key is not below the high fence".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CommitId, PageNumber, TableId};
    use crate::page::builder::{NodeBuilder, NodeHeader, overflow_page};
    use crate::page::edit::NodeMut;
    use crate::page::words::{Words, private_page};

    const SIZE: usize = 4096;

    /// A page of four rows, or four children, with one field changed.
    fn refusal(level: u8, change: impl FnOnce(&mut [u8])) -> String {
        let memory = private_page(SIZE);
        let words = Words::new(&memory);
        let mut node = NodeMut::new(words);
        let header = NodeHeader {
            page: PageNumber(9),
            table: TableId(3),
            commit: CommitId(1),
            level,
            low: b"key/b".to_vec(),
            high: Some(b"key/x".to_vec()),
            first_child: PageNumber(5),
        };
        node.replace(&NodeBuilder::new(SIZE, &header).finish());
        for key in [b"key/c", b"key/d", b"key/e", b"key/f"] {
            if level == 0 {
                node.put(key, &[7; 40], 0, CommitId(0)).unwrap();
            } else {
                node.put_child(key, PageNumber(6)).unwrap();
            }
        }
        assert_eq!(node.check(), Ok(()));
        let mut bytes = Vec::new();
        words.append_to(0, SIZE, &mut bytes);
        change(&mut bytes);
        words.write(0, &bytes);
        Node::new(words).check().unwrap_err()
    }

    fn put(bytes: &mut [u8], at: usize, value: u16) {
        bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    /// Where the word of a slot starts; its low half is cell offset, key length and flags.
    const fn slot(index: usize) -> usize {
        HEADER + 8 * index
    }

    fn swap_slots(bytes: &mut [u8]) {
        let (one, other) = bytes[slot(1)..slot(3)].split_at_mut(8);
        one.swap_with_slice(other);
    }

    #[test]
    fn each_impossible_field_is_named() {
        type Case = (u8, &'static str, fn(&mut [u8]));
        let cases: [Case; 22] = [
            (0, "unknown page kind 7", |b| b[16] = 7),
            (0, "kind 1 at level 1", |b| b[17] = 1),
            (1, "kind 2 at level 0", |b| b[17] = 0),
            (0, "slots do not fit", |b| put(b, 20, 600)),
            (0, "heap at 5000", |b| put(b, 24, 5000)),
            (0, "low fence lies outside", |b| put(b, 32, 100)),
            (0, "low fence lies outside", |b| put(b, 34, 600)),
            (0, "high fence lies outside", |b| put(b, 36, 4095)),
            (0, "high fence lies over something else", |b| {
                b.copy_within(32..34, 36)
            }),
            (0, "the fences are out of order", |b| b[SIZE - 1] = b'z'),
            (0, "a prefix of 3 bytes, the fences share 4", |b| put(b, 18, 3)),
            (0, "cell of slot 2 lies outside", |b| put(b, slot(2) + 2, 100)),
            (0, "cell of slot 2 lies over something else", |b| {
                b.copy_within(slot(1) + 2..slot(1) + 4, slot(2) + 2)
            }),
            (0, "flags 3", |b| b[slot(1)] |= 3),
            (0, "with flags 1 has a payload of 40", |b| b[slot(1)] |= GHOST),
            (0, "with flags 2 has a payload of 40", |b| b[slot(1)] |= OVERFLOW),
            (0, "slot 1 refers to a value longer than any", |b| {
                b[slot(1)] |= OVERFLOW;
                let cell = usize::from(u16::from_le_bytes([b[slot(1) + 2], b[slot(1) + 3]]));
                put(b, cell, 16);
                // Behind the length and the one byte of the key that is not in the prefix.
                b[cell + 3..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
            }),
            (1, "slot 1 of an inner page has flags 2", |b| b[slot(1)] |= 2),
            (0, "the key of slot 2 is out of order", swap_slots),
            (0, "slot 3 has another head", |b| b[slot(3) + 7] ^= 1),
            (0, "0 ghosts, the header counts 1", |b| put(b, 22, 1)),
            (0, "and 1 garbage bytes", |b| put(b, 28, 1)),
        ];
        for (level, what, change) in cases {
            let found = refusal(level, change);
            assert!(found.contains(what), "{found:?} where {what:?} was expected");
        }
    }

    #[test]
    fn keys_outside_the_fences_are_found() {
        // The first cell is the highest: its key is the byte behind the value's length.
        let first_key =
            |bytes: &[u8]| usize::from(u16::from_le_bytes([bytes[slot(0) + 2], bytes[slot(0) + 3]])) + 2;
        let found = refusal(0, |bytes| {
            let at = first_key(bytes);
            bytes[at] = b'a';
            bytes[slot(0) + 7] = b'a';
        });
        assert!(found.contains("the key of slot 0 is out of order"), "{found}");
        let found = refusal(0, |bytes| {
            // Only the last slot may be past the high fence without being out of order.
            put(bytes, 20, 1);
            let at = first_key(bytes);
            bytes[at] = b'y';
            bytes[slot(0) + 7] = b'y';
        });
        assert!(found.contains("not below the high fence"), "{found}");
    }

    #[test]
    fn a_row_too_large_for_its_page_is_found() {
        let found = refusal(0, |bytes| {
            // One row whose value takes most of the heap.
            put(bytes, 20, 1);
            let heap = 1000;
            put(bytes, 24, heap);
            put(bytes, slot(0) + 2, heap);
            put(bytes, usize::from(heap), 1500);
        });
        assert!(found.contains("has a payload of 1500 bytes"), "{found}");
        let found = refusal(1, |bytes| {
            put(bytes, 20, 1);
            put(bytes, 24, 1000);
            put(bytes, slot(0) + 2, 1000);
            put(bytes, slot(0), 600 << 2);
        });
        assert!(found.contains("has a key of 600 bytes"), "{found}");
    }

    #[test]
    fn an_overflow_page_holds_no_more_than_fits() {
        let memory = private_page(SIZE);
        let words = Words::new(&memory);
        let mut page = overflow_page(
            SIZE,
            PageNumber(9),
            TableId(3),
            CommitId(5),
            PageNumber(10),
            &[1; 4032],
        );
        words.write(0, &page);
        assert_eq!(Node::new(words).check(), Ok(()));
        put(&mut page, 44, 4033);
        words.write(0, &page);
        assert!(
            Node::new(words)
                .check()
                .unwrap_err()
                .contains("claims 4033 bytes")
        );
    }

    /// Short keys, keys that begin alike, and zeros, which look like the end of a short one.
    #[test]
    fn any_two_slots_that_are_exchanged_are_out_of_order() {
        let mut keys: Vec<Vec<u8>> = vec![Vec::new()];
        for byte in [0, 1, 255] {
            let longer: Vec<_> = keys.iter().map(|key| [&key[..], &[byte]].concat()).collect();
            keys.extend(longer);
        }
        for long in [5, 9] {
            keys.extend([0, 1].map(|last| [vec![1; long - 1], vec![last]].concat()));
        }
        let memory = private_page(SIZE);
        let mut node = NodeMut::new(Words::new(&memory));
        let header = NodeHeader {
            page: PageNumber(9),
            table: TableId(3),
            commit: CommitId(1),
            level: 0,
            low: Vec::new(),
            high: None,
            first_child: PageNumber(5),
        };
        node.replace(&NodeBuilder::new(SIZE, &header).finish());
        for key in &keys {
            node.put(key, b"value", 0, CommitId(0)).unwrap();
        }
        assert_eq!(node.check(), Ok(()));
        let exchange = |one: usize, other: usize| {
            let words = Words::new(&memory);
            let places = [one, other].map(|index| HEADER / 8 + index);
            let slots = places.map(|place| words.word(place));
            words.set_word(places[0], slots[1]);
            words.set_word(places[1], slots[0]);
        };
        for one in 0..keys.len() {
            for other in 0..one {
                exchange(one, other);
                let refused = Node::new(Words::new(&memory)).check().unwrap_err();
                assert!(refused.contains("out of order"), "{one} and {other}: {refused}");
                exchange(one, other);
            }
        }
        assert_eq!(node.check(), Ok(()));
    }
}
