//! Row changes by the applier.
//!
//! A change records the before-image, then takes the leaf's latch at the version it read, and changes the page. If the
//! page has no room it is split and the change starts again; the before-image is recorded once all the same.
//!
//! The pages of a long value that a commit replaces are neither read nor freed by it: older snapshots read the value
//! there. The commit hands the chain over ([`Changer::take_retired`]), to be freed when nobody can need it.

use super::read::{Descended, RowState, To};
use super::{Touched, Tree};
use crate::error::{Error, Result};
use crate::ids::{CommitId, PageNumber, TableId};
use crate::mvcc::{Before, VersionStore};
use crate::page::delta::Operation;
use crate::page::edit::Refused;
use crate::page::layout::{OVERFLOW, max_inline_value};
use crate::page::node::OverflowRef;
use crate::pool::{Latched, Pages, UnfinishedCommit};
use crate::wal::Wal;

/// What a row was before the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Former {
    Absent,
    Short,
    /// In these pages.
    Long(OverflowRef),
}

/// Changes trees on behalf of one commit. Whoever has it holds the applier.
#[derive(Debug)]
pub(crate) struct Changer<'a, 't> {
    pub(super) pool: Pages<'a>,
    versions: &'a VersionStore,
    pub(super) wal: &'a Wal,
    pub(super) touched: &'t mut Touched,
    pub(super) commit: CommitId,
    /// Ghosts of commits up to this one can go.
    pub(super) ghost_horizon: CommitId,
    /// Frames for new pages, taken while no latch is held.
    frames: Vec<u32>,
    /// Bytes of log that are reserved.
    pub(super) log_reserved: usize,
    pub(super) unfinished: &'t UnfinishedCommit<'a>,
    /// The leaf changed last: rows come in key order, so the next one is likely to be there too.
    last_leaf: PageNumber,
    before: Vec<u8>,
    retired: Vec<(TableId, OverflowRef)>,
    /// Whether any page has changed: after that the commit can no longer be given up.
    pub(super) has_changed: bool,
}

impl<'a, 't> Changer<'a, 't> {
    pub(crate) fn new(
        unfinished: &'t UnfinishedCommit<'a>,
        versions: &'a VersionStore,
        wal: &'a Wal,
        touched: &'t mut Touched,
        commit: CommitId,
        ghost_horizon: CommitId,
    ) -> Self {
        touched.clear();
        Self {
            pool: unfinished.pages(),
            versions,
            wal,
            touched,
            commit,
            ghost_horizon,
            frames: Vec::new(),
            log_reserved: 0,
            unfinished,
            last_leaf: PageNumber::NONE,
            before: Vec::new(),
            retired: Vec::new(),
            has_changed: false,
        }
    }

    /// A tree as this commit has it: what is reserved for it can be used to bring pages in.
    pub(crate) fn tree(&self, root: PageNumber, table: TableId) -> Tree<'a> {
        Tree {
            pool: self.pool,
            root,
            table,
        }
    }

    /// The commit that is being applied.
    pub(crate) fn commit(&self) -> CommitId {
        self.commit
    }

    pub(crate) fn versions(&self) -> &'a VersionStore {
        self.versions
    }

    /// All changes are made. Pages that were moved out before that are logged whole. Returns whether anything has changed.
    pub(crate) fn finish_changes(self) -> bool {
        for page in self.unfinished.moved() {
            self.touched.log_whole(page);
        }
        debug_assert!(
            self.touched.log_bytes() <= self.log_reserved,
            "{} bytes of log were reserved for a commit of {}",
            self.log_reserved,
            self.touched.log_bytes(),
        );
        self.has_changed
    }

    /// Makes sure that `count` pages can be created without I/O. No latch may be held.
    pub(crate) fn reserve_frames(&mut self, count: usize) -> Result<()> {
        let missing = count.saturating_sub(self.frames.len());
        self.pool.take_free_frames(missing, &mut self.frames);
        while self.frames.len() < count {
            self.frames.push(self.pool.take_frame()?);
        }
        Ok(())
    }

    /// A new page, latched, to be logged as an image. A frame for it was reserved.
    pub(super) fn create_page(&mut self) -> Result<(PageNumber, Latched<'a>)> {
        let page = self.pool.store().allocate_page()?;
        let frame = self
            .frames
            .pop()
            .expect("a frame is reserved before a page is created");
        let latched = self.pool.create(page, frame);
        self.touched.image(page);
        self.has_changed = true;
        Ok((page, latched))
    }

    /// Frees a page that nothing points to any more. It need not be read for that, so this cannot fail.
    pub(super) fn free_page(&mut self, page: PageNumber) {
        self.pool.store().free_page(page, self.commit);
        self.pool.forget(page);
        self.touched.freed(page);
        self.has_changed = true;
    }

    /// Stamps a changed page and puts it into the dirty set.
    pub(super) fn stamp(&mut self, latched: &mut Latched<'_>) {
        debug_assert!(
            latched.node().commit_id() <= self.commit,
            "commits reach a page in order"
        );
        latched.node_mut().set_commit_id(self.commit);
        self.pool.mark_dirty(latched);
        self.pool.ghost_pages().add_if_any(latched.node());
        self.has_changed = true;
    }

    fn leaf<'k>(&self, tree: Tree<'a>, key: &'k [u8]) -> Result<Descended<'a, To<'k>>> {
        if self.last_leaf != PageNumber::NONE
            && let Some(leaf) = self.pool.resident(self.last_leaf)
            && leaf.node().table() == tree.table
            && let Some(found) = Descended::by_fences(leaf, To(key))
            && found.is_valid()
        {
            return Ok(found);
        }
        tree.find_leaf(key)
    }

    /// Reads what a row is and records it as what it was before the commit. `None` if the leaf has changed meanwhile.
    fn record_before(
        &mut self,
        tree: Tree<'a>,
        found: &Descended<'a, To<'_>>,
        key: &[u8],
        is_delete: bool,
    ) -> Result<Option<Former>> {
        self.before.clear();
        let state = found.append_state(&mut self.before);
        if !found.is_valid() {
            return Ok(None);
        }
        let (before, former) = match state {
            RowState::Absent => (Before::Absent, Former::Absent),
            RowState::Inline => (Before::Short(&self.before), Former::Short),
            RowState::Overflow(reference) => (Before::Long(reference), Former::Long(reference)),
        };
        let is_change = !is_delete || former != Former::Absent;
        if is_change && tree.table != TableId::CATALOG {
            self.versions.record(tree.table, key, self.commit, before);
        }
        Ok(Some(former))
    }

    /// Inserts or replaces a row.
    pub(crate) fn put(&mut self, tree: Tree<'a>, key: &[u8], value: &[u8]) -> Result<()> {
        let is_long = value.len() > max_inline_value(self.pool.page_size());
        let mut reference = None;
        let mut former = None;
        loop {
            let found = self.leaf(tree, key)?;
            if former.is_none() {
                former = self.record_before(tree, &found, key, false)?;
                if former.is_none() {
                    continue;
                }
            }
            if is_long && reference.is_none() {
                reference = Some(self.write_overflow(tree, value)?);
            }
            let Some(mut latched) = found.leaf.latch() else {
                continue;
            };
            let result = match &reference {
                Some(reference) => {
                    latched
                        .node_mut()
                        .put(key, &reference.encode(), OVERFLOW, self.ghost_horizon)
                }
                None => latched.node_mut().put(key, value, 0, self.ghost_horizon),
            };
            match result {
                Ok(()) => {}
                Err(Refused::NoRoom) => {
                    drop(latched);
                    self.split(tree, key)?;
                    continue;
                }
                Err(Refused::NotCovered) => return Err(tree.unstable()),
            }
            let operation = match reference {
                Some(reference) => Operation::PutOverflow { key, reference },
                None => Operation::Put { key, value },
            };
            self.finish(latched, operation);
            break;
        }
        self.retire_former(tree, former);
        Ok(())
    }

    /// Deletes a row, leaving a ghost; `false` if there is none.
    pub(crate) fn delete(&mut self, tree: Tree<'a>, key: &[u8]) -> Result<bool> {
        let mut former = None;
        loop {
            let found = self.leaf(tree, key)?;
            if former.is_none() {
                former = self.record_before(tree, &found, key, true)?;
                match former {
                    None => continue,
                    Some(Former::Absent) => return Ok(false),
                    Some(_) => {}
                }
            }
            let Some(mut latched) = found.leaf.latch() else {
                continue;
            };
            let horizon = match tree.table {
                // Nobody reads it by a snapshot.
                TableId::CATALOG => CommitId(u64::MAX),
                _ => self.ghost_horizon,
            };
            match latched.node_mut().delete(key, self.commit, horizon) {
                Ok(existed) => debug_assert!(existed, "the row was there a moment ago"),
                Err(Refused::NoRoom) => {
                    drop(latched);
                    self.split(tree, key)?;
                    continue;
                }
                Err(Refused::NotCovered) => return Err(tree.unstable()),
            }
            if tree.table == TableId::CATALOG && self.is_small(latched.node()) {
                // Without a ghost nothing else leads to it.
                self.pool
                    .ghost_pages()
                    .add(latched.frame().page_number(), self.commit);
            }
            self.finish(latched, Operation::Delete { key });
            break;
        }
        self.retire_former(tree, former);
        Ok(true)
    }

    fn finish(&mut self, mut latched: Latched<'_>, operation: Operation<'_>) {
        self.stamp(&mut latched);
        self.last_leaf = latched.frame().page_number();
        drop(latched);
        crate::interleave::here(crate::interleave::Place::InCommit);
        self.touched.operation(self.last_leaf, operation);
    }

    /// Notes that the chain of a replaced long value is to be freed when nobody reads it any more.
    fn retire_former(&mut self, tree: Tree<'a>, former: Option<Former>) {
        if let Some(Former::Long(reference)) = former
            && !crate::injected::makes(crate::injected::Bug::FormerValueNotFreed)
        {
            crate::reach::mark(crate::reach::Mechanism::ChainRetired);
            self.retired.push((tree.table, reference));
        }
    }

    /// Chains that the rows of this commit have stopped pointing to. The catalog has to remember them.
    pub(crate) fn take_retired(&mut self) -> Vec<(TableId, OverflowRef)> {
        std::mem::take(&mut self.retired)
    }

    /// Creates the empty root of a new tree for `table` and returns its page.
    pub(crate) fn create_tree(&mut self, table: TableId) -> Result<PageNumber> {
        self.reserve_frames(1)?;
        let (page, mut latched) = self.create_page()?;
        let header = crate::page::builder::NodeHeader {
            page,
            table,
            commit: self.commit,
            level: 0,
            low: Vec::new(),
            high: None,
            first_child: PageNumber::NONE,
        };
        let bytes = crate::page::builder::NodeBuilder::new(self.pool.page_size(), &header).finish();
        latched.node_mut().replace(&bytes);
        Ok(page)
    }

    /// Damage found while changing a tree.
    pub(super) fn damaged(&self, page: PageNumber, what: &str) -> Error {
        self.pool.store().damage(page, what)
    }
}

impl Drop for Changer<'_, '_> {
    fn drop(&mut self) {
        self.pool.return_frames(self.frames.drain(..));
    }
}
