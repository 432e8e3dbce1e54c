//! What makes a page from a file safe to read and to change in place.
//!
//! A good CRC says only that the bytes are those once written. Everything that the code behind this check relies on is
//! checked here, once, when a page comes in: offsets and lengths stay in the page, cells and fences do not overlap and
//! add up with the garbage, the prefix is the one that the fences share, keys rise between the fences and are found by
//! their heads, and no row is larger than two to a page.

use std::cmp::Ordering;

use super::layout::{GHOST, HEADER, KIND_INNER, KIND_LEAF, KIND_OVERFLOW, OVERFLOW};
use super::layout::{Slot, key_head, max_inline_value, max_key};
use super::node::{Node, OverflowRef};

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
        if fits {
            Ok(())
        } else {
            Err(format!(
                "slot {index} with flags {} has a payload of {payload} bytes",
                slot.flags
            ))
        }
    }

    /// Keys rise, from the low fence to below the high one, and have the heads that they are searched by.
    fn check_keys(self, count: usize, fences: &Fences) -> Result<(), String> {
        let prefix = self.prefix_len();
        let mut before = fences.low.get(prefix..).unwrap_or_default().to_vec();
        let mut suffix = Vec::new();
        for index in 0..count {
            let slot = self.slot(index);
            suffix.clear();
            self.append_suffix(slot, &mut suffix);
            let order = before.cmp(&suffix);
            if order == Ordering::Greater || order == Ordering::Equal && index > 0 {
                return Err(format!("the key of slot {index} is out of order"));
            }
            if slot.head != key_head(&suffix) {
                return Err(format!("slot {index} has another head than its key"));
            }
            std::mem::swap(&mut before, &mut suffix);
        }
        let high = fences.high.as_ref().and_then(|high| high.get(prefix..));
        if count > 0 && high.is_some_and(|high| before.as_slice() >= high) {
            return Err("the last key is not below the high fence".into());
        }
        Ok(())
    }
}
