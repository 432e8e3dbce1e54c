//! Which page numbers are in use. In memory only, derived from the page map at open.
//!
//! ```text
//!           allocate_page                 free_page(commit)              checkpoint with last_commit >= commit
//!   free ------------------> allocated ---------------------> freeing ----------------------------------------> free
//! ```
//!
//! A freed page's number is *freeing* first: its extent stays in the page map until a checkpoint covers the commit
//! that freed it, because a durable page map without the page would lose it if that commit were lost in a crash. The
//! number is not handed out meanwhile, so an image of the old page that is still on its way to the file can never be
//! taken for the new page of that number.
//!
//! Free numbers below the high mark are kept as ranges; the lowest is handed out first, which keeps the page map dense
//! and lets its end shrink. All operations are O(log n) in the number of ranges.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::ids::{CommitId, PageNumber};
use crate::work::{Kind, done};

/// The highest page number that can be used.
pub(crate) const PAGE_NUMBER_MAX: u32 = u32::MAX - 1;

/// What a page number is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageState {
    /// Not in use.
    Free,
    /// In use.
    Allocated,
    /// Freed by this commit, which no durable checkpoint covers yet.
    Freeing(CommitId),
}

/// The page numbers of one database.
#[derive(Debug)]
pub(crate) struct PageNumbers {
    /// The lowest number that all in use are below.
    next: u32,
    /// Free numbers below `next`: first to last, inclusive; never adjacent to each other or to `next`.
    free: BTreeMap<u32, u32>,
    free_count: u32,
    freeing: BTreeMap<u32, CommitId>,
}

impl PageNumbers {
    /// The state in which exactly `allocated`, rising numbers from 1, are in use.
    pub(crate) fn new(allocated: impl Iterator<Item = u32>) -> Self {
        let mut numbers = Self {
            next: 1,
            free: BTreeMap::new(),
            free_count: 0,
            freeing: BTreeMap::new(),
        };
        for number in allocated {
            assert!(number >= numbers.next, "page numbers rise");
            numbers.skip_to(number);
            numbers.next = number + 1;
        }
        numbers
    }

    /// Number of page numbers below the high mark, in use or not.
    pub(crate) fn count(&self) -> u32 {
        self.next - 1
    }

    /// Number of free page numbers below the high mark.
    pub(crate) fn free_count(&self) -> u32 {
        self.free_count
    }

    /// Number of freed pages whose numbers wait for a checkpoint.
    pub(crate) fn freeing_count(&self) -> u32 {
        self.freeing.len() as u32
    }

    /// What a number is used for.
    pub(crate) fn state(&self, page: PageNumber) -> PageState {
        if page.0 == 0 || page.0 >= self.next || self.free_range_of(page.0).is_some() {
            return PageState::Free;
        }
        match self.freeing.get(&page.0) {
            Some(&commit) => PageState::Freeing(commit),
            None => PageState::Allocated,
        }
    }

    /// Takes the lowest free number.
    ///
    /// # Errors
    /// [`Error::CapacityExceeded`] when all are in use.
    pub(crate) fn allocate(&mut self) -> Result<PageNumber> {
        done(Kind::FreeRanges, 1);
        if let Some((first, last)) = self.free.pop_first() {
            if first < last {
                self.free.insert(first + 1, last);
            }
            self.free_count -= 1;
            return Ok(PageNumber(first));
        }
        let number = self.next;
        if number > PAGE_NUMBER_MAX {
            return Err(number_space_full());
        }
        self.next += 1;
        Ok(PageNumber(number))
    }

    /// The numbers in use, rising.
    pub(crate) fn allocated(&self) -> Vec<PageNumber> {
        done(Kind::MapEntries, self.next as usize);
        let numbers = (1..self.next).map(PageNumber);
        numbers
            .filter(|&page| self.state(page) == PageState::Allocated)
            .collect()
    }

    /// Puts a number into use, whatever it was; returns what it was.
    ///
    /// # Errors
    /// [`Error::CapacityExceeded`] for a number past the limit or 0.
    pub(crate) fn mark_allocated(&mut self, page: PageNumber) -> Result<PageState> {
        if page.0 == 0 || page.0 > PAGE_NUMBER_MAX {
            return Err(number_space_full());
        }
        let before = self.state(page);
        match before {
            PageState::Allocated => {}
            PageState::Freeing(_) => {
                self.freeing.remove(&page.0);
            }
            PageState::Free if page.0 >= self.next => {
                self.skip_to(page.0);
                self.next = page.0 + 1;
            }
            PageState::Free => {
                let (first, last) = self
                    .free_range_of(page.0)
                    .expect("a free number below the high mark is in a free range");
                self.free.remove(&first);
                if first < page.0 {
                    self.free.insert(first, page.0 - 1);
                }
                if page.0 < last {
                    self.free.insert(page.0 + 1, last);
                }
                self.free_count -= 1;
            }
        }
        Ok(before)
    }

    /// Notes that `commit` freed a page. Returns whether the page was in use; if not, nothing changes.
    pub(crate) fn start_freeing(&mut self, page: PageNumber, commit: CommitId) -> bool {
        let allocated = self.state(page) == PageState::Allocated;
        if allocated {
            self.freeing.insert(page.0, commit);
        }
        allocated
    }

    /// The pages that commits up to `last_commit` freed and whose numbers are not free yet.
    pub(crate) fn freed_by(&self, last_commit: CommitId) -> Vec<PageNumber> {
        done(Kind::FreeRanges, self.freeing.len());
        let covered = self.freeing.iter().filter(|&(_, &commit)| commit <= last_commit);
        covered.map(|(&number, _)| PageNumber(number)).collect()
    }

    /// Makes a *freeing* number free.
    pub(crate) fn finish_freeing(&mut self, page: PageNumber) {
        let was_freeing = self.freeing.remove(&page.0).is_some();
        assert!(was_freeing, "page {page} is not being freed");
        let (mut first, mut last) = (page.0, page.0);
        self.free_count += 1;
        if let Some((&before, &before_last)) = self.free.range(..page.0).next_back()
            && before_last + 1 == first
        {
            self.free.remove(&before);
            first = before;
        }
        if let Some(after_last) = self.free.remove(&(page.0 + 1)) {
            last = after_last;
        }
        if last + 1 == self.next {
            self.free_count -= last - first + 1;
            self.next = first;
        } else {
            self.free.insert(first, last);
        }
    }

    /// Makes the numbers from the high mark to before `number` free ones.
    fn skip_to(&mut self, number: u32) {
        if number > self.next {
            self.free.insert(self.next, number - 1);
            self.free_count += number - self.next;
        }
    }

    fn free_range_of(&self, number: u32) -> Option<(u32, u32)> {
        let (&first, &last) = self.free.range(..=number).next_back()?;
        (number <= last).then_some((first, last))
    }
}

fn number_space_full() -> Error {
    Error::CapacityExceeded {
        what: "the space of page numbers",
        limit: PAGE_NUMBER_MAX.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_start_at_one_and_the_lowest_free_one_comes_first() {
        let mut numbers = PageNumbers::new([1, 2, 5, 6, 9].into_iter());
        assert_eq!((numbers.count(), numbers.free_count()), (9, 4));
        let next: Vec<u32> = (0..6).map(|_| numbers.allocate().unwrap().0).collect();
        assert_eq!(next, [3, 4, 7, 8, 10, 11]);
        assert_eq!(
            PageNumbers::new([].into_iter()).allocate().unwrap(),
            PageNumber::CATALOG
        );
    }

    #[test]
    fn a_freed_number_waits_for_a_checkpoint_that_covers_the_commit() {
        let mut numbers = PageNumbers::new(1..=3);
        assert!(numbers.start_freeing(PageNumber(2), CommitId(10)));
        assert!(
            !numbers.start_freeing(PageNumber(2), CommitId(11)),
            "already freed"
        );
        assert!(!numbers.start_freeing(PageNumber(0), CommitId(11)));
        assert!(!numbers.start_freeing(PageNumber(99), CommitId(11)));
        assert_eq!(numbers.state(PageNumber(2)), PageState::Freeing(CommitId(10)));
        assert_eq!(numbers.allocate().unwrap(), PageNumber(4));
        assert_eq!(numbers.freed_by(CommitId(9)), []);
        assert_eq!(numbers.freed_by(CommitId(10)), [PageNumber(2)]);
        numbers.finish_freeing(PageNumber(2));
        assert_eq!(numbers.allocate().unwrap(), PageNumber(2));
    }

    #[test]
    fn the_number_space_ends_with_a_clear_error() {
        let mut numbers = PageNumbers::new([1].into_iter());
        numbers.mark_allocated(PageNumber(PAGE_NUMBER_MAX)).unwrap();
        assert_eq!(numbers.free_count(), PAGE_NUMBER_MAX - 2);
        assert_eq!(
            numbers.allocate().unwrap(),
            PageNumber(2),
            "free ones are still found"
        );
        for bad in [0, u32::MAX] {
            assert!(numbers.mark_allocated(PageNumber(bad)).is_err());
        }
        numbers.free.clear();
        numbers.free_count = 0;
        let error = numbers.allocate().unwrap_err();
        assert!(matches!(error, Error::CapacityExceeded { .. }), "{error}");
    }

    #[test]
    fn marking_brings_a_freed_page_back() {
        let mut numbers = PageNumbers::new(1..=3);
        numbers.start_freeing(PageNumber(2), CommitId(10));
        assert_eq!(
            numbers.mark_allocated(PageNumber(2)).unwrap(),
            PageState::Freeing(CommitId(10))
        );
        assert_eq!(numbers.freed_by(CommitId(u64::MAX)), []);
        assert_eq!(
            numbers.mark_allocated(PageNumber(2)).unwrap(),
            PageState::Allocated
        );
        assert_eq!(numbers.mark_allocated(PageNumber(7)).unwrap(), PageState::Free);
        assert_eq!(numbers.allocate().unwrap(), PageNumber(4));
    }

    proptest! {
        #[test]
        fn agrees_with_plain_sets(steps in prop::collection::vec((0_u8..5, 1_u32..60), 1..300)) {
            let mut numbers = PageNumbers::new([].into_iter());
            let mut used: BTreeSet<u32> = BTreeSet::new();
            let mut freeing: BTreeSet<u32> = BTreeSet::new();
            for (kind, number) in steps {
                let page = PageNumber(number);
                match kind {
                    0 | 1 => {
                        let lowest = (1..).find(|n| !used.contains(n) && !freeing.contains(n)).unwrap();
                        prop_assert_eq!(numbers.allocate().unwrap().0, lowest);
                        used.insert(lowest);
                    }
                    2 => {
                        numbers.mark_allocated(page).unwrap();
                        freeing.remove(&number);
                        used.insert(number);
                    }
                    3 => {
                        prop_assert_eq!(numbers.start_freeing(page, CommitId(1)), used.remove(&number));
                        if numbers.state(page) == PageState::Freeing(CommitId(1)) {
                            freeing.insert(number);
                        }
                    }
                    _ => if freeing.remove(&number) {
                        numbers.finish_freeing(page);
                    },
                }
                let highest = used.iter().chain(&freeing).max().copied().unwrap_or(0);
                prop_assert_eq!(numbers.count(), highest);
                prop_assert_eq!(numbers.freeing_count() as usize, freeing.len());
                prop_assert_eq!(numbers.free_count(), highest - (used.len() + freeing.len()) as u32);
                for n in 1..=highest + 1 {
                    let expected = if used.contains(&n) {
                        PageState::Allocated
                    } else if freeing.contains(&n) {
                        PageState::Freeing(CommitId(1))
                    } else {
                        PageState::Free
                    };
                    prop_assert_eq!(numbers.state(PageNumber(n)), expected);
                }
            }
        }
    }
}
