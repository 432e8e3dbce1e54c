//! Which leaves have ghosts, for the housekeeping that removes them.
//!
//! A leaf gets here when a commit leaves ghosts on it, when redo does, and when the database is opened and the page map
//! says that the leaf was written with some. So no ghost is forgotten, whatever became of the versions of its row, and
//! whether or not the database was closed meanwhile. Each leaf is here once: 16 bytes, and a bit for each page number.

use std::collections::VecDeque;

use crate::ids::{CommitId, PageNumber};
use crate::page::node::Node;
use crate::sync::Mutex;
use crate::work::{Kind, done};

#[derive(Debug, Default)]
pub(crate) struct GhostPages(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Leaves, and a commit from which on some of their ghosts can go; in the order of these, or nearly so.
    queue: VecDeque<(CommitId, PageNumber)>,
    /// A bit for each page number: whether it is in the queue.
    is_queued: Vec<u64>,
}

impl State {
    /// Notes that a page is in the queue, or is not; returns whether it was.
    fn mark(&mut self, page: PageNumber, is_queued: bool) -> bool {
        done(Kind::Left, 1);
        let (index, bit) = (page.0 as usize / 64, 1u64 << (page.0 % 64));
        if index >= self.is_queued.len() {
            self.is_queued.resize(index + 1, 0);
        }
        let word = &mut self.is_queued[index];
        let was = *word & bit != 0;
        *word = if is_queued { *word | bit } else { *word & !bit };
        was
    }
}

impl GhostPages {
    /// A page has ghosts, some of which can go once nobody reads what was before `commit`.
    pub(crate) fn add(&self, page: PageNumber, commit: CommitId) {
        let mut state = self.0.lock();
        if !state.mark(page, true) {
            state.queue.push_back((commit, page));
        }
    }

    /// Adds a page if it is a leaf with ghosts. The caller holds its latch.
    #[inline]
    pub(crate) fn add_if_any(&self, node: Node<'_>) {
        if node.is_leaf() && node.ghosts() > 0 {
            self.add(node.page_number(), node.commit_id());
        }
    }

    /// Takes out the first page, if its ghosts can go with this horizon.
    pub(crate) fn take(&self, horizon: CommitId) -> Option<PageNumber> {
        let mut state = self.0.lock();
        let (_, page) = state.queue.pop_front_if(|(commit, _)| *commit <= horizon)?;
        state.mark(page, false);
        Some(page)
    }

    /// The first pages whose ghosts can go with this horizon, at most `count`.
    pub(crate) fn first(&self, count: usize, horizon: CommitId) -> Vec<PageNumber> {
        let state = self.0.lock();
        let due = state.queue.iter().take_while(|(commit, _)| *commit <= horizon);
        due.inspect(|_| done(Kind::Left, 1))
            .map(|(_, page)| *page)
            .take(count)
            .collect()
    }

    /// Pages in the queue.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_there_once_and_comes_when_its_commit_is_passed() {
        let pages = GhostPages::default();
        pages.add(PageNumber(700), CommitId(3));
        pages.add(PageNumber(1), CommitId(4));
        pages.add(PageNumber(700), CommitId(5));
        assert_eq!(pages.len(), 2);
        assert_eq!(pages.take(CommitId(2)), None);
        assert_eq!(pages.first(9, CommitId(4)), [PageNumber(700), PageNumber(1)]);
        assert_eq!(pages.take(CommitId(3)), Some(PageNumber(700)));
        assert_eq!(pages.take(CommitId(3)), None);
        pages.add(PageNumber(700), CommitId(5));
        assert_eq!(pages.take(CommitId(9)), Some(PageNumber(1)));
        assert_eq!(pages.take(CommitId(9)), Some(PageNumber(700)));
        assert_eq!(pages.len(), 0);
    }
}
