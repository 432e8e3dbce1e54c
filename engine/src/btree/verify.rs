//! Structural verification of a tree: everything that must hold at rest.

use std::collections::HashSet;

use super::{Stop, Tree};
use crate::ids::{CommitId, PageNumber};
use crate::page::layout::max_key;
use crate::page::node::{Node, OverflowRef, Payload};

/// What a verified tree consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TreeReport {
    pub(crate) rows: u64,
    pub(crate) ghosts: u64,
    pub(crate) pages: u64,
    pub(crate) overflow_pages: u64,
    /// Bytes of keys and values of all rows.
    pub(crate) logical_bytes: u64,
    pub(crate) levels: u8,
}

/// Checks a whole tree while the caller holds the applier. Problems are appended to `problems`, the tree's pages to
/// `pages`. A dropped table loses its pages from the right, and the fences there with them.
///
/// # Errors
/// Only what reading pages runs into; a page that cannot be read is a problem, not an error.
pub(crate) fn verify_tree(
    tree: Tree<'_>,
    newest: CommitId,
    is_dropped: bool,
    pages: &mut HashSet<PageNumber>,
    problems: &mut Vec<String>,
) -> TreeReport {
    let mut verifier = Verifier {
        tree,
        newest,
        pages,
        problems,
        report: TreeReport::default(),
    };
    let expected = Expected {
        low: Vec::new(),
        high: None,
        is_cut: is_dropped,
        level: None,
    };
    verifier.page(tree.root, &expected);
    verifier.report
}

/// Checks a chain of overflow pages that no row points to.
pub(crate) fn verify_chain(
    tree: Tree<'_>,
    chain: OverflowRef,
    pages: &mut HashSet<PageNumber>,
    problems: &mut Vec<String>,
) {
    let page = chain.first;
    let mut links = Vec::new();
    match tree.links_at_rest(chain, |link| links.push(link)) {
        Ok(()) => {}
        Err(Stop::Restart) => problems.push(format!("page {page}: a retired chain is broken")),
        Err(Stop::Failed(error)) => problems.push(format!("page {page}: {error}")),
    }
    for link in links {
        if !pages.insert(link) {
            problems.push(format!("page {link}: is pointed to more than once"));
        }
    }
}

/// What the parent says about a page.
struct Expected {
    low: Vec<u8>,
    high: Option<Vec<u8>>,
    /// Pages right of it may have been freed already, and those that could not be read stay, so its upper fence can lie
    /// lower.
    is_cut: bool,
    level: Option<u8>,
}

struct Verifier<'a, 'p> {
    tree: Tree<'p>,
    newest: CommitId,
    pages: &'a mut HashSet<PageNumber>,
    problems: &'a mut Vec<String>,
    report: TreeReport,
}

impl<'p> Verifier<'_, 'p> {
    fn problem(&mut self, page: PageNumber, what: &str) {
        let table = self.tree.table;
        self.problems.push(format!("table {table}, page {page}: {what}"));
    }

    /// A private copy of a page.
    fn read(&mut self, page: PageNumber) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            match self.tree.pool.get(page) {
                Ok(Some(found)) => {
                    bytes.clear();
                    found
                        .node()
                        .words
                        .append_to(0, self.tree.pool.page_size(), &mut bytes);
                    if found.is_valid() {
                        return Some(bytes);
                    }
                }
                Ok(None) => {
                    self.problem(page, "is pointed to but does not exist");
                    return None;
                }
                Err(error) => {
                    self.problem(page, &error.to_string());
                    return None;
                }
            }
        }
    }

    fn page(&mut self, page: PageNumber, expected: &Expected) {
        if !self.pages.insert(page) {
            self.problem(page, "is pointed to more than once");
            return;
        }
        let Some(bytes) = self.read(page) else { return };
        let memory = crate::page::words::private_page(bytes.len());
        let words = crate::page::words::Words::new(&memory);
        words.write(0, &bytes);
        let node = Node::new(words);
        self.report.pages += 1;
        if let Err(what) = node.check() {
            self.problem(page, &what);
            return;
        }
        if node.page_number() != page || node.table() != self.tree.table {
            let what = format!("says it is page {} of table {}", node.page_number(), node.table());
            self.problem(page, &what);
            return;
        }
        if node.commit_id() > self.newest {
            let what = format!("has commit {}, the newest is {}", node.commit_id(), self.newest);
            self.problem(page, &what);
        }
        self.bounds(page, node, expected);
        self.order(page, node);
        if node.is_leaf() {
            self.leaf(page, node);
        } else {
            self.inner(node, expected);
        }
    }

    fn bounds(&mut self, page: PageNumber, node: Node<'_>, expected: &Expected) {
        let mut low = Vec::new();
        node.append_low_fence(&mut low);
        if low != expected.low || !expected.is_cut && node.high_fence() != expected.high {
            self.problem(page, "has other fences than its parent's separators");
        }
        match expected.level {
            Some(level) if level != node.level() => {
                self.problem(page, &format!("is at level {}, expected {level}", node.level()));
            }
            Some(_) => {}
            None => self.report.levels = node.level() + 1,
        }
    }

    fn order(&mut self, page: PageNumber, node: Node<'_>) {
        let mut previous: Option<Vec<u8>> = None;
        for index in 0..node.count() {
            let key = node.key(index);
            if key.len() > max_key(node.words.size()) {
                self.problem(page, &format!("slot {index} has a key of {} bytes", key.len()));
            }
            if !node.covers(&key) {
                self.problem(page, &format!("slot {index} lies outside the fences"));
            }
            if previous.as_ref().is_some_and(|p| *p >= key) {
                self.problem(page, &format!("slot {index} is out of order"));
            }
            if node.search(&key) != (index, true) {
                self.problem(page, &format!("slot {index} is not found by its key"));
            }
            previous = Some(key);
        }
    }

    fn leaf(&mut self, page: PageNumber, node: Node<'_>) {
        for index in 0..node.count() {
            let slot = node.slot(index);
            let key_len = node.prefix_len() + slot.key_len;
            match node.payload(slot) {
                Payload::Ghost(commit) => {
                    self.report.ghosts += 1;
                    if commit > node.commit_id() {
                        self.problem(
                            page,
                            &format!("slot {index} was deleted by commit {commit}, after the page"),
                        );
                    }
                }
                Payload::Inline { len, .. } => {
                    self.report.rows += 1;
                    self.report.logical_bytes += (key_len + len) as u64;
                }
                Payload::Overflow(reference) => {
                    self.report.rows += 1;
                    self.report.logical_bytes += key_len as u64 + u64::from(reference.len);
                    let mut chain = Vec::new();
                    match self.tree.links_at_rest(reference, |link| chain.push(link)) {
                        Ok(()) => {}
                        Err(Stop::Restart) => {
                            self.problem(
                                page,
                                &format!("slot {index} has a broken chain of overflow pages"),
                            );
                        }
                        Err(Stop::Failed(error)) => self.problem(page, &error.to_string()),
                    }
                    self.report.overflow_pages += chain.len() as u64;
                    for link in chain {
                        if !self.pages.insert(link) {
                            self.problem(link, "is pointed to more than once");
                        }
                    }
                }
            }
        }
    }

    fn inner(&mut self, node: Node<'_>, expected: &Expected) {
        let level = node.level().checked_sub(1);
        for child in 0..=node.count() {
            let low = match child.checked_sub(1) {
                None => expected.low.clone(),
                Some(slot) => node.key(slot),
            };
            let high = if child == node.count() {
                expected.high.clone()
            } else {
                Some(node.key(child))
            };
            let expected = Expected {
                low,
                high,
                is_cut: expected.is_cut,
                level,
            };
            self.page(node.child(child), &expected);
        }
    }
}
