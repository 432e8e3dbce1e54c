//! Descent and point reads.

use super::{Stop, until_stable};
use crate::error::{Error, Result};
use crate::ids::{CommitId, PageNumber, TableId};
use crate::mvcc::{Lookup, VersionStore};
use crate::page::layout::{KIND_INNER, KIND_LEAF};
use crate::page::node::{Node, OverflowRef, Payload};
use crate::pool::{Optimistic, Pages};

/// A tree to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree<'p> {
    pub(crate) pool: Pages<'p>,
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

/// Which leaf a descent ends at. On the way down every page covers the goal, because its parent's separators say so; so no
/// page compares the goal with its own prefix.
pub(super) trait Goal: Copy {
    /// The child of an inner page to go on with.
    fn child_index(self, node: Node<'_>) -> usize;
    /// Whether the leaf's fences agree that it is the one.
    fn is_met_by(self, leaf: Node<'_>) -> bool;
}

/// The leaf that covers a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct To<'k>(pub(super) &'k [u8]);

impl Goal for To<'_> {
    #[inline]
    fn child_index(self, node: Node<'_>) -> usize {
        node.child_index_covered(self.0)
    }

    fn is_met_by(self, leaf: Node<'_>) -> bool {
        leaf.covers(self.0)
    }
}

/// The leaf that covers the keys just below a key; without a key, the last one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Below<'k>(pub(super) Option<&'k [u8]>);

impl Goal for Below<'_> {
    fn child_index(self, node: Node<'_>) -> usize {
        self.0.map_or(node.count(), |key| node.search_covered(key).0)
    }

    fn is_met_by(self, leaf: Node<'_>) -> bool {
        match self.0 {
            Some(key) => leaf.covers_below(key),
            None => leaf.high_fence().is_none(),
        }
    }
}

/// The leaf at the end of a descent. What is read there counts only if it is valid afterwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descended<'p, G> {
    pub(super) leaf: Optimistic<'p>,
    goal: G,
}

impl<'p, G> Descended<'p, G> {
    #[inline]
    pub(super) fn node(&self) -> Node<'p> {
        self.leaf.node()
    }

    #[inline]
    pub(super) fn is_valid(&self) -> bool {
        self.leaf.is_valid()
    }
}

impl<'p, 'k> Descended<'p, To<'k>> {
    /// A leaf that was found in another way than by a descent, if it covers the key.
    pub(super) fn by_fences(leaf: Optimistic<'p>, goal: To<'k>) -> Option<Self> {
        (leaf.node().is_leaf() && goal.is_met_by(leaf.node())).then_some(Self { leaf, goal })
    }

    /// Appends the inline value of the row that was looked for to `out` and says what the row is.
    #[inline]
    pub(super) fn append_state(&self, out: &mut Vec<u8>) -> RowState {
        append_found(self.node(), self.node().search_covered(self.goal.0), out)
    }
}

impl<'p> Tree<'p> {
    /// Pages of another table, for which its root is not needed.
    pub(crate) fn of(self, table: TableId) -> Self {
        Self {
            root: PageNumber::NONE,
            table,
            ..self
        }
    }

    /// Brings pages at the right edge of the tree into memory.
    pub(crate) fn read_ahead_from_the_right(&self, count: usize) {
        let mut page = self.root;
        while let Ok(Some(found)) = self.pool.get(page) {
            let node = found.node();
            if node.kind() != KIND_INNER || node.table() != self.table {
                return;
            }
            let (last, level) = (node.count(), node.level());
            let children: Vec<_> = (0..=last).rev().map(|at| node.child(at)).take(count).collect();
            if !found.is_valid() {
                return;
            }
            if level <= 1 {
                for child in children {
                    let _ = self.pool.get(child);
                }
                return;
            }
            page = children[0];
        }
    }

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

    /// One attempt to descend to the leaf that a goal names.
    pub(super) fn try_descend<G: Goal>(
        &self,
        goal: G,
        mut visit: impl FnMut(PageNumber),
    ) -> Result<Descended<'p, G>, Stop> {
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
                // Only a tree whose fences contradict its separators can fail here.
                if cfg!(debug_assertions) && !goal.is_met_by(node) {
                    return Err(if current.is_valid() {
                        self.unstable().into()
                    } else {
                        Stop::Restart
                    });
                }
                return Ok(Descended { leaf: current, goal });
            }
            let child = node.child(goal.child_index(node));
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
    pub(super) fn find_leaf<'k>(&self, key: &'k [u8]) -> Result<Descended<'p, To<'k>>> {
        until_stable(|| self.try_descend(To(key), |_| ()))?.ok_or_else(|| self.unstable())
    }

    /// Brings the leaf of a key into memory.
    pub(crate) fn fault_in(&self, key: &[u8]) -> Result<()> {
        self.find_leaf(key).map(|_| ())
    }

    /// Pages from the root to the leaf of a key. Exact for the holder of the applier.
    pub(super) fn path(&self, key: &[u8]) -> Result<Vec<PageNumber>> {
        until_stable(|| {
            let mut path = Vec::with_capacity(8);
            self.try_descend(To(key), |page| path.push(page))?;
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
            let leaf = self.try_descend(To(key), |_| ())?;
            let commit = leaf.node().commit_id();
            let state = leaf.append_state(out);
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
                    Lookup::WasLong(reference) => {
                        out.truncate(start);
                        return self.append_overflow(reference, out).map(|()| true);
                    }
                    Lookup::TooOld => return Err(Error::too_old(snapshot).into()),
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
            let leaf = self.try_descend(To(key), |_| ())?;
            let state = leaf.append_state(out);
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
            let leaf = self.try_descend(To(key), |_| ())?;
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
            return Err(Error::too_old(snapshot));
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

/// Appends the inline value of a row that was looked for to `out` and says what the row is.
fn append_found(node: Node<'_>, (index, found): (usize, bool), out: &mut Vec<u8>) -> RowState {
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
