//! Which frame holds which page: an array indexed by page number, grown in chunks, read without locks. The first chunks
//! are short, so that a small database has a small table.

use std::sync::OnceLock;

use crate::ids::PageNumber;
use crate::injected::{Bug, makes};
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use crate::sync::atomic::{AtomicU32, zeroed_slice};

/// Pages of the first chunk and of the longest ones, as powers of two.
const FIRST_BITS: u32 = 10;
const LONGEST_BITS: u32 = 20;
/// Chunks before the longest ones: each is as long as all before it.
const SHORT: usize = (LONGEST_BITS - FIRST_BITS + 1) as usize;
const CHUNKS: usize = SHORT + (1 << (u32::BITS - LONGEST_BITS)) - 1;

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

/// The chunk of a page, and where that begins.
#[inline]
fn locate(page: PageNumber) -> (usize, usize) {
    let page = page.0 as usize;
    match page >> LONGEST_BITS {
        0 => match (page >> FIRST_BITS).checked_ilog2() {
            None => (0, 0),
            Some(log) => (log as usize + 1, 1 << FIRST_BITS << log),
        },
        long => (SHORT - 1 + long, long << LONGEST_BITS),
    }
}

fn len_of(chunk: usize) -> usize {
    1 << (FIRST_BITS + (chunk as u32).saturating_sub(1)).min(LONGEST_BITS)
}

impl PageTable {
    pub(crate) fn new() -> Self {
        Self {
            chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
        }
    }

    #[inline]
    fn entry(&self, page: PageNumber) -> Option<&AtomicU32> {
        let (chunk, begin) = locate(page);
        self.chunks[chunk].get().map(|c| &c[page.0 as usize - begin])
    }

    fn entry_or_grow(&self, page: PageNumber) -> &AtomicU32 {
        let (chunk, begin) = locate(page);
        let entries = self.chunks[chunk].get_or_init(|| zeroed_slice(len_of(chunk)));
        &entries[page.0 as usize - begin]
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
        let claimed = self
            .entry_or_grow(page)
            .compare_exchange(ABSENT, CLAIMED, AcqRel, Acquire);
        claimed.is_ok() || claimed == Err(CLAIMED) && makes(Bug::PageBroughtInTwice)
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
    fn chunks_follow_each_other() {
        let mut end = 0;
        for chunk in 0..CHUNKS {
            assert_eq!(locate(PageNumber(end as u32)), (chunk, end));
            end += len_of(chunk);
            assert_eq!(locate(PageNumber((end - 1) as u32)).0, chunk);
        }
        assert_eq!(end, 1 << 32);
    }

    #[test]
    fn pages_are_claimed_once_and_found_where_they_were_put() {
        let table = PageTable::new();
        for page in [1, 2, (1 << LONGEST_BITS) - 1, 1 << LONGEST_BITS, u32::MAX].map(PageNumber) {
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
