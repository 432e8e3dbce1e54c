//! Descent and point reads.

use super::{Stop, until_stable};
use crate::error::{Error, Result};
use crate::ids::{CommitId, PageNumber, TableId};
use crate::mvcc::{Lookup, VersionStore};
use crate::page::layout::{KIND_INNER, KIND_LEAF};
use crate::page::node::{Node, OverflowRef, Payload};
use crate::pool::{Optimistic, Pool};

/// A tree to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree<'p> {
    pub(crate) pool: &'p Pool,
    pub(crate) root: PageNumber,
    pub(crate) table: TableId,
}

/// The newest state of a row, as the page has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowState {
    Absent,
    Inline,
    Overflow(OverflowRef),
}

impl<'p> Tree<'p> {
    /// Who reads a tree holds a snapshot of a time when its table was there, or the applier: so the tree is there.
    pub(super) fn gone(&self) -> Error {
        let what = format!(
            "the tree of table {} is not there, or has pages of others",
            self.table
        );
        self.pool.store().damage(self.root, what)
    }

    /// Damage that no concurrent change explains.
    pub(super) fn unstable(&self) -> Error {
        self.pool.store().damage(
            self.root,
            format!("the tree of table {} is inconsistent", self.table),
        )
    }

    /// One attempt to descend to a leaf; `choose` picks the child index in each inner page.
    pub(super) fn try_descend(
        &self,
        choose: impl Fn(Node<'p>) -> usize,
        mut visit: impl FnMut(PageNumber),
    ) -> Result<Optimistic<'p>, Stop> {
        let mut page = self.root;
        let mut current = self.pool.get(page)?.ok_or_else(|| self.gone())?;
        loop {
            visit(page);
            let node = current.node();
            if node.kind() == KIND_LEAF {
                if node.table() != self.table {
                    return Err(if current.is_valid() {
                        self.gone().into()
                    } else {
                        Stop::Restart
                    });
                }
                return Ok(current);
            }
            let child = node.child(choose(node));
            if node.kind() != KIND_INNER {
                return Err(if current.is_valid() {
                    self.gone().into()
                } else {
                    Stop::Restart
                });
            }
            let next = match self.pool.resident(child) {
                Some(next) => next,
                None if !current.is_valid() => return Err(Stop::Restart),
                None => match self.pool.get(child)? {
                    Some(next) => next,
                    None if !current.is_valid() => return Err(Stop::Restart),
                    None => {
                        return Err(self
                            .pool
                            .store()
                            .damage(
                                child,
                                format!("page {page} points to this page, which does not exist"),
                            )
                            .into());
                    }
                },
            };
            // The child was looked at while the parent still pointed to it.
            if !current.is_valid() {
                return Err(Stop::Restart);
            }
            page = child;
            current = next;
        }
    }

    /// The leaf of a key. The caller validates what it reads there.
    pub(super) fn find_leaf(&self, key: &[u8]) -> Result<Optimistic<'p>> {
        until_stable(|| self.try_descend(|node| node.child_index(key), |_| ()))?
            .ok_or_else(|| self.unstable())
    }

    /// Brings the leaf of a key into memory.
    pub(crate) fn fault_in(&self, key: &[u8]) -> Result<()> {
        self.find_leaf(key).map(|_| ())
    }

    /// Pages from the root to the leaf of a key. Exact for the holder of the applier.
    pub(super) fn path(&self, key: &[u8]) -> Result<Vec<PageNumber>> {
        until_stable(|| {
            let mut path = Vec::with_capacity(8);
            self.try_descend(|node| node.child_index(key), |page| path.push(page))?;
            Ok(path)
        })?
        .ok_or_else(|| self.unstable())
    }

    /// Appends what `snapshot` sees of a row to `out`; `false` if it sees none.
    pub(crate) fn get(
        &self,
        key: &[u8],
        snapshot: CommitId,
        versions: &VersionStore,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let start = out.len();
        until_stable(|| {
            out.truncate(start);
            let leaf = self.try_descend(|node| node.child_index(key), |_| ())?;
            let node = leaf.node();
            let commit = node.commit_id();
            let state = append_state(node, key, out);
            if !leaf.is_valid() {
                return Err(Stop::Restart);
            }
            if commit > snapshot {
                let newest_end = out.len();
                match versions.lookup(self.table, key, snapshot, out) {
                    // Unchanged since the snapshot: what was read is what it sees.
                    Lookup::Unchanged => {}
                    Lookup::Was => {
                        out.drain(start..newest_end);
                        return Ok(true);
                    }
                    Lookup::WasAbsent => {
                        out.truncate(start);
                        return Ok(false);
                    }
                    Lookup::TooOld => return Err(Error::SnapshotTooOld { snapshot }.into()),
                }
            }
            self.finish(state, out)
        })?
        .ok_or_else(|| self.unstable())
    }

    /// Appends the newest state of a row, committed but perhaps not yet visible, to `out`.
    pub(crate) fn newest(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let start = out.len();
        until_stable(|| {
            out.truncate(start);
            let leaf = self.try_descend(|node| node.child_index(key), |_| ())?;
            let state = append_state(leaf.node(), key, out);
            if !leaf.is_valid() {
                return Err(Stop::Restart);
            }
            self.finish(state, out)
        })?
        .ok_or_else(|| self.unstable())
    }

    /// The commit above `snapshot` that last changed a row. Exact while the caller holds the row's lock.
    pub(crate) fn changed_after(
        &self,
        key: &[u8],
        snapshot: CommitId,
        versions: &VersionStore,
    ) -> Result<Option<CommitId>> {
        let page_commit = until_stable(|| {
            let leaf = self.try_descend(|node| node.child_index(key), |_| ())?;
            let commit = leaf.node().commit_id();
            if leaf.is_valid() {
                Ok(commit)
            } else {
                Err(Stop::Restart)
            }
        })?
        .ok_or_else(|| self.unstable())?;
        if page_commit <= snapshot {
            return Ok(None);
        }
        let newest = versions.newest_change(self.table, key, snapshot);
        // Looked at after the chain: the floor rises before a chain is cut.
        if versions.floor() > snapshot {
            return Err(Error::SnapshotTooOld { snapshot });
        }
        Ok(newest)
    }

    fn finish(&self, state: RowState, out: &mut Vec<u8>) -> Result<bool, Stop> {
        match state {
            RowState::Absent => Ok(false),
            RowState::Inline => Ok(true),
            RowState::Overflow(reference) => self.append_overflow(reference, out).map(|()| true),
        }
    }
}

/// Appends the inline value of a row to `out` and says what the row is.
pub(super) fn append_state(node: Node<'_>, key: &[u8], out: &mut Vec<u8>) -> RowState {
    let (index, found) = node.search(key);
    if !found {
        return RowState::Absent;
    }
    match node.payload(node.slot(index)) {
        Payload::Ghost(_) => RowState::Absent,
        Payload::Overflow(reference) => RowState::Overflow(reference),
        Payload::Inline { offset, len } => {
            node.words.append_to(offset, len, out);
            RowState::Inline
        }
    }
}
