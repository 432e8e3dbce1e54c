//! Versions that no open snapshot needs, kept so that an old commit can still be read: the newest few of each row.
//!
//! Off unless `keep_versions` is above 1. The versions of a row come in commit order and leave at the other end, when
//! the row has enough newer ones or the budget is needed. What a row has lost is noted with it, unless it has lost
//! everything: then the store's floor says so.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};

use super::Lookup;
use crate::ids::{CommitId, TableId};
use crate::page::node::OverflowRef;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use crate::sync::atomic::{AtomicU64, AtomicUsize};
use crate::sync::{Mutex, RwLock};
use crate::work::{Kind, done};

/// Bytes that a version takes beside its value, and a row beside its key.
const OVERHEAD: usize = 96;
const NEVER: u64 = u64::MAX;

type RowKey = (TableId, Arc<[u8]>);

#[derive(Debug)]
struct Former {
    commit: CommitId,
    state: Lookup,
    value: Box<[u8]>,
}

#[derive(Debug, Default)]
struct Row {
    /// Oldest first.
    formers: VecDeque<Former>,
    /// The newest commit whose before-image was dropped from here.
    dropped: CommitId,
}

/// A row's key, borrowed; it hashes as the owned one does.
#[derive(Hash)]
struct Query<'k>(TableId, &'k [u8]);

impl Equivalent<RowKey> for Query<'_> {
    fn equivalent(&self, key: &RowKey) -> bool {
        self.0 == key.0 && *self.1 == *key.1
    }
}

#[derive(Debug, Default)]
struct Rows {
    rows: HashMap<RowKey, Row, foldhash::fast::FixedState>,
    /// All versions, oldest first, and some that are gone already.
    order: VecDeque<(CommitId, RowKey)>,
}

#[derive(Debug)]
pub(super) struct History {
    /// Versions of a row to keep, counting the one on its page.
    keep: AtomicUsize,
    /// It was more before, and some of what is too many now can go when the horizon has passed this commit.
    too_many_from: AtomicU64,
    rows: RwLock<Rows>,
    /// Long values that were dropped before the floor passed them: the commits that replaced them, and their pages.
    released: Mutex<Vec<(CommitId, OverflowRef)>>,
    /// The newest commit with a version here, ever.
    newest: AtomicU64,
    bytes: AtomicUsize,
    count: AtomicUsize,
}

impl History {
    pub(super) fn new(keep_versions: usize) -> Self {
        Self {
            keep: AtomicUsize::new(keep_versions.max(1)),
            too_many_from: AtomicU64::new(NEVER),
            rows: RwLock::default(),
            released: Mutex::default(),
            newest: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
        }
    }

    /// Whether versions are kept.
    #[inline]
    pub(super) fn keeps(&self) -> bool {
        self.keep.load(Relaxed) > 1
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Versions that are remembered, those that are gone included.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.rows.read().order.len()
    }

    /// Whether something that a snapshot needs may have come here.
    #[inline]
    pub(super) fn may_have(&self, snapshot: CommitId) -> bool {
        self.newest.load(Acquire) > snapshot.0
    }

    fn forget(&self, key: &RowKey, former: &Former) {
        self.bytes
            .fetch_sub(OVERHEAD + key.1.len() + former.value.len(), Relaxed);
        self.count.fetch_sub(1, Relaxed);
    }

    /// Notes a long value that nobody can read any more, although the floor has not passed it.
    fn release(&self, former: &Former) {
        if let Lookup::WasLong(chain) = former.state {
            self.release_again(former.commit, chain);
        }
    }

    pub(super) fn release_again(&self, commit: CommitId, chain: OverflowRef) {
        self.released.lock().push((commit, chain));
    }

    /// Takes out some of what was noted.
    pub(super) fn take_released(&self, most: usize) -> Vec<(CommitId, OverflowRef)> {
        let mut released = self.released.lock();
        let rest = released.len().saturating_sub(most);
        released.split_off(rest)
    }

    /// Takes a version in. They come in commit order.
    pub(super) fn push(&self, table: TableId, key: &[u8], commit: CommitId, state: Lookup, value: &[u8]) {
        done(Kind::VersionBytes, key.len() + value.len());
        let keep = self.keep.load(Relaxed);
        let rows = &mut *self.rows.write();
        let key: RowKey = (table, key.into());
        let row = rows.rows.entry(key.clone()).or_default();
        row.formers.push_back(Former {
            commit,
            state,
            value: value.into(),
        });
        self.bytes
            .fetch_add(OVERHEAD + key.1.len() + value.len(), Relaxed);
        self.count.fetch_add(1, Relaxed);
        // Whoever reads an old commit keeps what is newer from coming here, so nobody reads these.
        while row.formers.len() > keep.max(2) - 1
            && let Some(former) = row.formers.pop_front()
        {
            row.dropped = former.commit;
            self.forget(&key, &former);
            self.release(&former);
        }
        rows.order.push_back((commit, key));
        self.newest.fetch_max(commit.0, SeqCst);
        if rows.order.len() > 2 * self.count() + 1024 {
            let Rows { rows, order } = rows;
            done(Kind::VersionLinks, order.len());
            order.retain(|(commit, key)| {
                rows.get(key).is_some_and(|row| {
                    row.formers
                        .binary_search_by_key(commit, |former| former.commit)
                        .is_ok()
                })
            });
        }
    }

    /// What `snapshot` sees of a row, by what was kept of it; a former value replaces what `out` has from `start` on.
    pub(super) fn lookup(
        &self,
        table: TableId,
        key: &[u8],
        snapshot: CommitId,
        start: usize,
        out: &mut Vec<u8>,
    ) -> Option<Lookup> {
        let rows = self.rows.read();
        let row = rows.rows.get(&Query(table, key))?;
        if row.dropped > snapshot {
            out.truncate(start);
            return Some(Lookup::TooOld);
        }
        let at = row.formers.partition_point(|former| former.commit <= snapshot);
        let former = row.formers.get(at)?;
        done(Kind::Bytes, former.value.len());
        out.truncate(start);
        out.extend_from_slice(&former.value);
        Some(former.state)
    }

    /// Drops the oldest versions until they take no more than `bytes`. `before` is told each commit whose version is about
    /// to go.
    pub(super) fn shrink(&self, bytes: usize, before: impl Fn(CommitId)) {
        if self.bytes() > bytes {
            self.shrink_to(bytes, CommitId(u64::MAX), before);
        }
    }

    /// [`History::shrink`] as far as commits up to `last`.
    fn shrink_to(&self, bytes: usize, last: CommitId, before: impl Fn(CommitId)) {
        let rows = &mut *self.rows.write();
        while self.bytes() > bytes
            && let Some((commit, key)) = rows.order.pop_front_if(|(commit, _)| *commit <= last)
        {
            done(Kind::VersionLinks, 1);
            let Some(row) = rows.rows.get_mut(&key) else {
                continue;
            };
            if row.formers.front().is_none_or(|former| former.commit != commit) {
                continue;
            }
            before(commit);
            if let Some(former) = row.formers.pop_front() {
                self.forget(&key, &former);
            }
            if row.formers.is_empty() {
                rows.rows.remove(&key);
            }
        }
    }

    /// Keeps so many versions of each row from now on; [`History::adjust`] drops those that are too many.
    pub(super) fn set_keep_versions(&self, keep: usize) {
        let keep = keep.max(1);
        if self.keep.swap(keep, SeqCst) > keep {
            self.too_many_from.store(0, SeqCst);
        }
    }

    /// Drops what is kept beyond `keep_versions`, after that has become less, as far as no snapshot after `horizon` needs
    /// it: one of an old commit may have begun to read it. `before` is told each commit whose version is about to go, if
    /// nothing is kept any more.
    pub(super) fn adjust(&self, horizon: CommitId, before: impl Fn(CommitId)) {
        if self.too_many_from.load(SeqCst) > horizon.0 {
            return;
        }
        let keep = self.keep.load(SeqCst);
        if keep == 1 {
            self.shrink_to(0, horizon, before);
            let has_more = self.count() > 0;
            self.too_many_from.store(if has_more { 0 } else { NEVER }, SeqCst);
            return;
        }
        self.too_many_from.store(NEVER, SeqCst);
        let rows = &mut *self.rows.write();
        done(Kind::VersionLinks, rows.rows.len());
        for (key, row) in &mut rows.rows {
            while row.formers.len() >= keep
                && let Some(former) = row.formers.pop_front_if(|former| former.commit <= horizon)
            {
                row.dropped = former.commit;
                self.forget(key, &former);
                self.release(&former);
            }
            if row.formers.len() >= keep
                && let Some(kept) = row.formers.front()
            {
                self.too_many_from.fetch_min(kept.commit.0, SeqCst);
            }
        }
    }
}
