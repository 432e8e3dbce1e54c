//! Which frame holds which page: an array indexed by page number, grown in chunks, read without locks.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use crate::ids::PageNumber;

const CHUNK_BITS: u32 = 20;
const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNKS: usize = 1 << (32 - CHUNK_BITS);

const ABSENT: u32 = 0;
const CLAIMED: u32 = 1;

/// Where a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Residence {
    Absent,
    /// Some thread is bringing it in or creating it.
    Claimed,
    Frame(u32),
}

#[derive(Debug)]
pub(crate) struct PageTable {
    chunks: Box<[OnceLock<Box<[AtomicU32]>>]>,
}

impl PageTable {
    pub(crate) fn new() -> Self {
        Self {
            chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
        }
    }

    #[inline]
    fn entry(&self, page: PageNumber) -> Option<&AtomicU32> {
        self.chunks[(page.0 >> CHUNK_BITS) as usize]
            .get()
            .map(|c| &c[page.0 as usize % CHUNK])
    }

    fn entry_or_grow(&self, page: PageNumber) -> &AtomicU32 {
        let chunk =
            self.chunks[(page.0 >> CHUNK_BITS) as usize].get_or_init(|| bytemuck::zeroed_slice_box(CHUNK));
        &chunk[page.0 as usize % CHUNK]
    }

    #[inline]
    pub(crate) fn get(&self, page: PageNumber) -> Residence {
        match self.entry(page).map_or(ABSENT, |e| e.load(Acquire)) {
            ABSENT => Residence::Absent,
            CLAIMED => Residence::Claimed,
            frame => Residence::Frame(frame - 2),
        }
    }

    /// Claims an absent page, so that the caller alone brings it in.
    pub(crate) fn claim(&self, page: PageNumber) -> bool {
        self.entry_or_grow(page)
            .compare_exchange(ABSENT, CLAIMED, AcqRel, Acquire)
            .is_ok()
    }

    /// Ends a claim, or moves the page out: only the claimer, or the holder of the frame's latch, may.
    pub(crate) fn set(&self, page: PageNumber, frame: Option<u32>) {
        self.entry_or_grow(page)
            .store(frame.map_or(ABSENT, |f| f + 2), Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_claimed_once_and_found_where_they_were_put() {
        let table = PageTable::new();
        for page in [1, 2, CHUNK as u32 - 1, CHUNK as u32, u32::MAX].map(PageNumber) {
            assert_eq!(table.get(page), Residence::Absent);
            assert!(table.claim(page));
            assert!(!table.claim(page));
            assert_eq!(table.get(page), Residence::Claimed);
            table.set(page, Some(page.0 % 1000));
            assert_eq!(table.get(page), Residence::Frame(page.0 % 1000));
            assert!(!table.claim(page));
            table.set(page, None);
            assert_eq!(table.get(page), Residence::Absent);
        }
    }
}
