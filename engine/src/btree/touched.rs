//! What one commit changed, page by page, until it is written to the log.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::reservation::FRAME_OVERHEAD;
use crate::ids::PageNumber;
use crate::page::delta::Operation;

/// How a page goes into the log.
#[derive(Debug)]
pub(crate) enum Change {
    /// The operations on it, encoded.
    Delta(Vec<u8>),
    /// Its whole content at the end of the commit.
    Image,
    Freed,
}

/// The pages a commit changed, in the order of their first change. Buffers are reused from commit to commit.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    pages: Vec<(PageNumber, Change)>,
    index: HashMap<PageNumber, u32, FixedState>,
    spare: Vec<Vec<u8>>,
    log_bytes: usize,
    page_size: usize,
}

/// Up to this many pages a linear search is quicker than hashing.
const LINEAR: usize = 8;
/// Room for so many pages stays from commit to commit.
const KEPT_ROOM: usize = 4096;

impl Touched {
    /// For pages of `page_size` bytes.
    pub(crate) fn new(page_size: usize) -> Self {
        Self {
            page_size,
            ..Self::default()
        }
    }

    /// Bytes that the commit takes in the log, at most.
    pub(super) fn log_bytes(&self) -> usize {
        self.log_bytes
    }

    fn find(&mut self, page: PageNumber) -> Option<usize> {
        if self.pages.len() <= LINEAR {
            return self.pages.iter().rposition(|(p, _)| *p == page);
        }
        if self.index.is_empty() {
            self.index
                .extend(self.pages.iter().enumerate().map(|(i, (p, _))| (*p, i as u32)));
        }
        self.index.get(&page).map(|&i| i as usize)
    }

    fn entry(&mut self, page: PageNumber) -> &mut Change {
        let at = match self.pages.last() {
            Some((last, _)) if *last == page => self.pages.len() - 1,
            _ => self.find(page).unwrap_or_else(|| {
                let buffer = self.spare.pop().unwrap_or_default();
                self.log_bytes += FRAME_OVERHEAD;
                self.pages.push((page, Change::Delta(buffer)));
                if !self.index.is_empty() {
                    self.index.insert(page, self.pages.len() as u32 - 1);
                }
                self.pages.len() - 1
            }),
        };
        &mut self.pages[at].1
    }

    fn replace(&mut self, page: PageNumber, change: Change) {
        let old = std::mem::replace(self.entry(page), change);
        self.recycle(old);
    }

    fn recycle(&mut self, change: Change) {
        const KEEP: usize = 64;
        if let Change::Delta(mut buffer) = change
            && self.spare.len() < KEEP
        {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Adds an operation; nothing to do for a page whose whole image will be logged. Operations that would take more
    /// than a page give way to its image, so no frame is longer than a page.
    pub(crate) fn operation(&mut self, page: PageNumber, operation: Operation<'_>) {
        let page_size = self.page_size;
        let mut added = 0;
        let is_long = match self.entry(page) {
            Change::Delta(operations) => {
                let before = operations.len();
                operation.encode(operations);
                added = operations.len() - before;
                operations.len() > page_size
            }
            Change::Image => false,
            Change::Freed => {
                debug_assert!(false, "page {page} is changed after it was freed");
                false
            }
        };
        self.log_bytes += added;
        if is_long {
            crate::reach::mark(crate::reach::Mechanism::PageImageLogged);
            self.image(page);
        }
    }

    /// The whole page goes to the log.
    pub(crate) fn image(&mut self, page: PageNumber) {
        self.log_bytes += self.page_size;
        self.replace(page, Change::Image);
    }

    /// If the page is to be logged as operations, it goes to the log whole instead.
    pub(super) fn log_whole(&mut self, page: PageNumber) {
        if let Some(at) = self.find(page)
            && matches!(self.pages[at].1, Change::Delta(_))
        {
            crate::reach::mark(crate::reach::Mechanism::PageMovedInCommit);
            self.image(page);
        }
    }

    pub(crate) fn freed(&mut self, page: PageNumber) {
        self.replace(page, Change::Freed);
    }

    pub(crate) fn pages(&self) -> &[(PageNumber, Change)] {
        &self.pages
    }

    pub(crate) fn clear(&mut self) {
        self.index.clear();
        self.log_bytes = 0;
        while let Some((_, change)) = self.pages.pop() {
            self.recycle(change);
        }
        if self.pages.capacity() > KEPT_ROOM {
            self.pages = Vec::new();
            self.index = HashMap::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_appears_once_however_often_it_changes() {
        let mut touched = Touched::new(4096);
        for round in 0..3u32 {
            for page in 1..=40 {
                touched.operation(
                    PageNumber(page),
                    Operation::Delete {
                        key: &round.to_le_bytes(),
                    },
                );
            }
        }
        touched.image(PageNumber(3));
        touched.operation(PageNumber(3), Operation::Delete { key: b"x" });
        touched.freed(PageNumber(4));
        assert_eq!(touched.pages().len(), 40);
        for (page, change) in touched.pages() {
            match (page.0, change) {
                (3, Change::Image) | (4, Change::Freed) => {}
                (_, Change::Delta(operations)) => assert_eq!(operations.len(), 3 * (1 + 1 + 4)),
                other => panic!("unexpected {other:?}"),
            }
        }
        assert!(touched.log_bytes() >= 38 * 3 * 6 + 4096 + 40 * FRAME_OVERHEAD);
        touched.clear();
        assert!(touched.pages().is_empty());
        assert_eq!(touched.log_bytes(), 0);
        touched.operation(PageNumber(1), Operation::Delete { key: b"" });
        assert!(matches!(&touched.pages()[0].1, Change::Delta(operations) if operations.len() == 2));
    }

    #[test]
    fn many_operations_give_way_to_an_image() {
        let mut touched = Touched::new(4096);
        for round in 0..4096u32 {
            let operation = Operation::Delete {
                key: &round.to_le_bytes(),
            };
            touched.operation(PageNumber(1), operation);
            touched.operation(PageNumber(2 + round), operation);
        }
        for (page, change) in touched.pages() {
            match (page.0, change) {
                (1, Change::Image) => {}
                (1, other) => panic!("{other:?}"),
                (_, change) => assert!(matches!(change, Change::Delta(_)), "{change:?}"),
            }
        }
    }
}
