//! Before-images of changed rows.
//!
//! Before the applier changes a row for commit C, it puts what the row was before into this store: "before C this
//! row was V" (or was not there). A reader at snapshot S that meets a page changed after S asks for the before-image
//! with the smallest commit ID above S; if there is none, the row on the page is the one S sees.
//!
//! The store is a hash table of chains, each linked from newest to oldest. Only the applier links and cuts; readers
//! follow the links without a lock. Because commits come in order, a chain is sorted by commit ID, and everything
//! below the first entry at or under the horizon goes with one cut.
//!
//! Forgetting is recorded: `floor` is the newest commit whose before-image was dropped, so a snapshot below it gets
//! [`Lookup::TooOld`] instead of a wrong answer. With `keep_versions` above 1, the newest before-images of each row
//! outlive the horizon, and each notes the newest one dropped behind it.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::ids::{CommitId, TableId};
use crate::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use crate::sync::atomic::{AtomicU64, AtomicUsize};
use crate::sync::{Mutex, RandomState};

/// Bytes a version takes beside its key and value.
const OVERHEAD: usize = 112;

#[derive(Debug)]
struct Version {
    hash: u64,
    table: TableId,
    /// The commit that replaced this state of the row.
    commit: CommitId,
    key_len: u32,
    existed: bool,
    /// The commit deleted the row.
    deletes: bool,
    /// Key, then value.
    data: Box<[u8]>,
    /// Newest commit of this row whose before-image was dropped from behind this one.
    dropped: AtomicU64,
    older: ArcSwapOption<Version>,
}

impl Version {
    fn key(&self) -> &[u8] {
        &self.data[..self.key_len as usize]
    }

    fn is_of(&self, hash: u64, table: TableId, key: &[u8]) -> bool {
        self.hash == hash && self.table == table && self.key() == key
    }
}

impl Drop for Version {
    fn drop(&mut self) {
        // A long chain must not be dropped by recursion.
        let mut older = self.older.swap(None);
        while let Some(version) = older {
            older = match Arc::try_unwrap(version) {
                Ok(version) => version.older.swap(None),
                Err(_) => None,
            };
        }
    }
}

/// What a snapshot finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// The row has not changed since the snapshot: the page has it.
    Unchanged,
    /// The row was as appended to the output.
    Was,
    /// The row was not there.
    WasAbsent,
    /// The version was dropped.
    TooOld,
}

#[derive(Debug)]
struct Entry {
    commit: CommitId,
    bucket: u32,
    bytes: usize,
}

/// A deleted row whose ghost no snapshot needs any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reclaimed {
    pub(crate) table: TableId,
    pub(crate) key: Vec<u8>,
}

#[derive(Debug, Default)]
struct Queue {
    /// All versions that the horizon has not passed, oldest first.
    live: VecDeque<Entry>,
    /// Versions behind the horizon, kept because of `keep_versions`; oldest first.
    kept: VecDeque<Entry>,
    keep_versions: usize,
}

#[derive(Debug)]
pub(crate) struct VersionStore {
    buckets: Box<[ArcSwapOption<Version>]>,
    hasher: RandomState,
    floor: AtomicU64,
    bytes: AtomicUsize,
    budget: usize,
    count: AtomicUsize,
    queue: Mutex<Queue>,
}

/// The buckets of the entries, each once.
fn buckets_of<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Vec<u32> {
    let mut buckets: Vec<u32> = entries.into_iter().map(|e| e.bucket).collect();
    buckets.sort_unstable();
    buckets.dedup();
    buckets
}

impl VersionStore {
    /// `floor`: no snapshot below it can be read. `budget`: bytes of versions to hold at most.
    pub(crate) fn new(floor: CommitId, budget: usize, keep_versions: usize) -> Self {
        let buckets = (budget / 1024).next_power_of_two().clamp(1 << 8, 1 << 17);
        Self {
            buckets: (0..buckets).map(|_| ArcSwapOption::empty()).collect(),
            hasher: RandomState::default(),
            floor: AtomicU64::new(floor.0),
            bytes: AtomicUsize::new(0),
            budget,
            count: AtomicUsize::new(0),
            queue: Mutex::new(Queue {
                keep_versions: keep_versions.max(1),
                ..Queue::default()
            }),
        }
    }

    #[inline]
    fn hash(&self, table: TableId, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(table.0);
        hasher.write(key);
        hasher.finish()
    }

    fn bucket(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// Whether a collection is due, whatever snapshots need.
    pub(crate) fn is_over_budget(&self) -> bool {
        self.bytes() > self.budget
    }

    /// Versions held.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// The newest commit whose before-image was dropped: no snapshot below it can begin.
    pub(crate) fn floor(&self) -> CommitId {
        CommitId(self.floor.load(SeqCst))
    }

    /// Ghosts of commits up to this one are needed by nobody, given the horizon.
    pub(crate) fn ghost_horizon(&self, horizon: CommitId) -> CommitId {
        if self.queue.lock().keep_versions > 1 {
            horizon.min(self.floor())
        } else {
            horizon
        }
    }

    /// Records what a row was before `commit` changes it. Only the applier, before it changes the page.
    pub(crate) fn record(
        &self,
        table: TableId,
        key: &[u8],
        commit: CommitId,
        before: Option<&[u8]>,
        deletes: bool,
    ) {
        let hash = self.hash(table, key);
        if hash.is_multiple_of(8) && crate::planted::makes(crate::planted::Fault::BeforeImageMissing) {
            return;
        }
        let bucket = self.bucket(hash);
        let head = &self.buckets[bucket];
        let value = before.unwrap_or_default();
        let mut data = Vec::with_capacity(key.len() + value.len());
        data.extend_from_slice(key);
        data.extend_from_slice(value);
        let older = head.load_full();
        debug_assert!(
            older.as_ref().is_none_or(|o| o.commit <= commit),
            "versions come in commit order"
        );
        let bytes = OVERHEAD + data.len();
        let version = Version {
            hash,
            table,
            commit,
            key_len: key.len() as u32,
            existed: before.is_some(),
            deletes,
            data: data.into_boxed_slice(),
            dropped: AtomicU64::new(0),
            older: ArcSwapOption::new(older),
        };
        head.store(Some(Arc::new(version)));
        self.bytes.fetch_add(bytes, Relaxed);
        self.count.fetch_add(1, Relaxed);
        self.queue.lock().live.push_back(Entry {
            commit,
            bucket: bucket as u32,
            bytes,
        });
    }

    /// Takes back what was recorded for `commit`, which was given up before it changed anything. Only the applier.
    pub(crate) fn withdraw(&self, commit: CommitId) {
        let mut queue = self.queue.lock();
        while queue.live.back().is_some_and(|entry| entry.commit == commit)
            && let Some(entry) = queue.live.pop_back()
        {
            let head = &self.buckets[entry.bucket as usize];
            // Entries come in the order of their recording, so the last one is at the head of its chain.
            if let Some(version) = head.load_full() {
                debug_assert_eq!(version.commit, commit);
                head.store(version.older.load_full());
                self.forget(&version);
            }
        }
    }

    /// What `snapshot` sees of a row on a page that changed after it; a former value is appended to `out`.
    pub(crate) fn lookup(&self, table: TableId, key: &[u8], snapshot: CommitId, out: &mut Vec<u8>) -> Lookup {
        let hash = self.hash(table, key);
        let mut found: Option<Arc<Version>> = None;
        let mut next = self.buckets[self.bucket(hash)].load();
        while let Some(version) = next.as_ref() {
            if version.commit <= snapshot
                && (version.commit < snapshot
                    || !crate::planted::makes(crate::planted::Fault::VersionOffByOne))
            {
                break;
            }
            if version.is_of(hash, table, key) {
                found = Some(Arc::clone(version));
            }
            let older = version.older.load();
            next = older;
        }
        // Looked at after the chain: the floor rises before a chain is cut.
        if self.floor.load(Acquire) > snapshot.0 {
            return Lookup::TooOld;
        }
        match found {
            None => Lookup::Unchanged,
            Some(version) if version.dropped.load(Acquire) > snapshot.0 => Lookup::TooOld,
            Some(version) if version.existed => {
                crate::reach::mark(crate::reach::Mechanism::FormerVersionRead);
                out.extend_from_slice(&version.data[version.key_len as usize..]);
                Lookup::Was
            }
            Some(_) => {
                crate::reach::mark(crate::reach::Mechanism::FormerAbsenceRead);
                Lookup::WasAbsent
            }
        }
    }

    /// The newest commit above `snapshot` that changed the row. Exact while the caller holds the row's lock.
    pub(crate) fn newest_change(&self, table: TableId, key: &[u8], snapshot: CommitId) -> Option<CommitId> {
        let hash = self.hash(table, key);
        let mut next = self.buckets[self.bucket(hash)].load();
        while let Some(version) = next.as_ref() {
            if version.commit <= snapshot {
                return None;
            }
            if version.is_of(hash, table, key) {
                return Some(version.commit);
            }
            let older = version.older.load();
            next = older;
        }
        None
    }

    /// Whether a collection would find something to do.
    pub(crate) fn backlog(&self) -> usize {
        self.queue.lock().live.len()
    }

    /// How many committed versions of a row stay readable beyond the horizon, counting the current one.
    pub(crate) fn set_keep_versions(&self, keep: usize) {
        let mut queue = self.queue.lock();
        let keep = keep.max(1);
        if keep < queue.keep_versions {
            // The next collection looks at what was kept again.
            let mut entries = std::mem::take(&mut queue.kept);
            entries.append(&mut queue.live);
            queue.live = entries;
        }
        queue.keep_versions = keep;
    }

    /// Drops what no snapshot at or after `horizon` needs, then the oldest while the budget is passed. Returns how
    /// many versions went; deleted rows whose ghosts can go are appended. Only the holder of the applier.
    pub(crate) fn collect(&self, horizon: CommitId, ghosts: &mut Vec<Reclaimed>) -> usize {
        let mut queue = self.queue.lock();
        let queue = &mut *queue;
        let before = self.count();
        let due = queue.live.partition_point(|e| e.commit <= horizon);
        if queue.keep_versions > 1 {
            for bucket in buckets_of(queue.live.range(..due)) {
                self.prune(bucket, horizon, queue.keep_versions);
            }
            queue.kept.extend(queue.live.drain(..due));
        } else {
            self.cut_all(queue.live.drain(..due).collect(), ghosts);
        }
        while self.bytes() > self.budget {
            let mut excess = self.bytes() - self.budget;
            let mut oldest = Vec::new();
            while excess > 0 {
                let Some(entry) = queue.kept.pop_front().or_else(|| queue.live.pop_front()) else {
                    break;
                };
                excess = excess.saturating_sub(entry.bytes);
                oldest.push(entry);
            }
            if oldest.is_empty() {
                break;
            }
            self.cut_all(oldest, ghosts);
        }
        // Entries of versions that were pruned since they were kept.
        if queue.kept.len() > 2 * self.count() + 1024 {
            queue.kept.retain(|entry| self.holds(entry));
        }
        crate::reach::mark_if(self.count() < before, crate::reach::Mechanism::VersionsCollected);
        before - self.count()
    }

    fn holds(&self, entry: &Entry) -> bool {
        let mut next = self.buckets[entry.bucket as usize].load_full();
        while let Some(version) = next {
            if version.commit <= entry.commit {
                return version.commit == entry.commit;
            }
            next = version.older.load_full();
        }
        false
    }

    /// Cuts the chains of the entries, which are the oldest ones, behind the newest of them. Each chain is walked once,
    /// however many of the entries lie in it.
    fn cut_all(&self, entries: Vec<Entry>, ghosts: &mut Vec<Reclaimed>) {
        let Some(commit) = entries.iter().map(|e| e.commit).max() else {
            return;
        };
        self.floor.fetch_max(commit.0, SeqCst);
        for bucket in buckets_of(&entries) {
            self.cut(bucket, commit, ghosts);
        }
    }

    /// Cuts everything up to `commit` off a bucket's chain.
    fn cut(&self, bucket: u32, commit: CommitId, ghosts: &mut Vec<Reclaimed>) {
        let head = &self.buckets[bucket as usize];
        let mut newer: Option<Arc<Version>> = None;
        let mut next = head.load_full();
        while let Some(version) = next.take_if(|v| v.commit > commit) {
            next = version.older.load_full();
            newer = Some(version);
        }
        let Some(first) = next else { return };
        match newer {
            Some(version) => version.older.store(None),
            None => head.store(None),
        }
        let mut gone = Some(first);
        while let Some(version) = gone {
            self.forget(&version);
            if version.deletes {
                ghosts.push(Reclaimed {
                    table: version.table,
                    key: version.key().to_vec(),
                });
            }
            gone = version.older.load_full();
        }
    }

    fn forget(&self, version: &Version) {
        self.bytes.fetch_sub(OVERHEAD + version.data.len(), Relaxed);
        self.count.fetch_sub(1, Relaxed);
    }

    /// Keeps the newest `keep - 1` before-images of each row of a bucket, and all above the horizon.
    fn prune(&self, bucket: u32, horizon: CommitId, keep: usize) {
        let head = &self.buckets[bucket as usize];
        let mut kept: Vec<Arc<Version>> = Vec::new();
        let mut next = head.load_full();
        while let Some(version) = next {
            next = version.older.load_full();
            let same = |v: &&Arc<Version>| v.is_of(version.hash, version.table, version.key());
            if version.commit > horizon || kept.iter().filter(same).count() < keep - 1 {
                kept.push(version);
                continue;
            }
            if let Some(last) = kept.iter().rev().find(same) {
                last.dropped.fetch_max(version.commit.0, SeqCst);
            }
            self.forget(&version);
            match kept.last() {
                Some(newer) => newer.older.store(version.older.load_full()),
                None => head.store(version.older.load_full()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
