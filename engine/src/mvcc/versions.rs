//! Before-images of changed rows.
//!
//! Before the applier changes a row for commit C, it puts what the row was before into this store: "before C this
//! row was V" (or was not there). A reader at snapshot S that meets a page changed after S asks for the before-image
//! with the smallest commit ID above S; if there is none, the row on the page is the one S sees.
//!
//! Versions lie in a [`Ring`] in commit order, and are found through a table of buckets. A bucket leads to the newest
//! version of each of its rows, newest row first, and that to the older ones of the same row:
//!
//! ```text
//! bucket -> newest of row a -next-> newest of row b -next-> ..
//!                | older                | older
//!           former of row a        former of row b
//! ```
//! So all links lead to lower addresses, what they lead to goes before what they lie in, and nothing has to be unlinked
//! when it goes. Each version also has a link far down its row (a skew-binary jump pointer; Myers, IPL 1983), so finding
//! a snapshot's version takes a number of steps logarithmic in the row's versions.
//!
//! A long value is recorded as the place of its pages. They are freed by housekeeping once the horizon has passed.
//!
//! Forgetting is recorded: `floor` is the newest commit whose before-image may have been dropped, so a snapshot below it
//! gets [`Lookup::TooOld`] instead of a wrong answer. With `keep_versions` above 1, what the horizon has passed moves into
//! the [`History`].

use std::hash::{BuildHasher, Hasher};

use super::history::History;
use super::ring::{Address, COMMIT, Dropped, NOWHERE, Ring};
use crate::arena::{Arena, Word};
use crate::ids::{CommitId, TableId};
use crate::page::layout::{max_inline_value, max_key};
use crate::page::node::OverflowRef;
use crate::page::words::Words;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sync::atomic::{AtomicU64, fence};
use crate::work::{Kind, done};

/// Bytes of the budget for each bucket.
const BUDGET_PER_BUCKET: usize = 512;
/// Least and greatest number of buckets.
const BUCKETS: std::ops::RangeInclusive<usize> = 1 << 8..=1 << 20;
/// Pieces of the ring that one collection passes, and versions that it moves into the history.
const PASSED_AT_ONCE: usize = 8;

/// Words of a version, behind [`COMMIT`]: the commit that replaced this state of the row.
mod word {
    pub(super) const HASH: usize = 1;
    /// The newest version of the next row in the bucket.
    pub(super) const NEXT: usize = 2;
    /// The version before this one of the same row.
    pub(super) const OLDER: usize = 3;
    /// One far behind that.
    pub(super) const JUMP: usize = 4;
    /// Table, and above it how many versions of the row were behind this one when it was recorded.
    pub(super) const TABLE_AND_DEPTH: usize = 5;
    /// What the row was, key length, and above them value length.
    pub(super) const LENGTHS: usize = 6;
    /// Key, then value.
    pub(super) const DATA: usize = 7;
}

/// The row was not there.
const ABSENT: u8 = 0;
/// The value follows.
const SHORT: u8 = 1;
/// The place of the value's pages follows.
const LONG: u8 = 2;
/// Added where the commit was given up before it changed anything.
const VOID: u8 = 0x80;

/// What a row was before a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before<'a> {
    Absent,
    Short(&'a [u8]),
    /// In these pages, which stay until the horizon has passed.
    Long(OverflowRef),
}

/// What a collection did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Collected {
    /// Versions that went.
    pub(crate) dropped: usize,
    /// Whether there are more that could go.
    pub(crate) has_more: bool,
    /// Ghosts and long values of commits up to this one are needed by nobody.
    pub(crate) ghost_horizon: CommitId,
}

/// What a snapshot finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// The row has not changed since the snapshot: the page has it.
    Unchanged,
    /// The row was as appended to the output.
    Was,
    /// The row's value was in these pages. If they are not there any more, the snapshot is too old by now.
    WasLong(OverflowRef),
    /// The row was not there.
    WasAbsent,
    /// The version was dropped.
    TooOld,
}

/// A version as a reader meets it: what is read of it counts if its address is live afterwards.
#[derive(Clone, Copy)]
struct Version<'v> {
    words: Words<'v>,
    address: Address,
}

/// The words that a version with a key and a value of so many bytes takes.
const fn words_of(key: usize, value: usize) -> usize {
    word::DATA + (key + value).div_ceil(8)
}

fn words_in(words: Words<'_>) -> usize {
    let lengths = words.word(word::LENGTHS);
    words_of(lengths as usize >> 8 & 0xFFFF, (lengths >> 32) as usize)
}

impl<'v> Version<'v> {
    #[inline]
    fn commit(self) -> CommitId {
        CommitId(self.words.word(COMMIT))
    }

    fn kind(self) -> u8 {
        self.words.word(word::LENGTHS) as u8
    }

    fn key_len(self) -> usize {
        self.words.word(word::LENGTHS) as usize >> 8 & 0xFFFF
    }

    fn value_len(self) -> usize {
        (self.words.word(word::LENGTHS) >> 32) as usize
    }

    fn depth(self) -> u32 {
        (self.words.word(word::TABLE_AND_DEPTH) >> 32) as u32
    }

    #[inline]
    fn is_of(self, hash: u64, table: TableId, key: &[u8]) -> bool {
        self.words.word(word::HASH) == hash
            && self.words.word(word::TABLE_AND_DEPTH) as u32 == table.0
            && self.key_len() == key.len()
            && self.words.compare(8 * word::DATA, key.len(), key).is_eq()
    }

    /// Appends the value's bytes, or those of its place, to `out`.
    fn append_value(self, out: &mut Vec<u8>) {
        self.words
            .append_to(8 * word::DATA + self.key_len(), self.value_len(), out);
    }

    /// What the row was; a former value is appended to `out`.
    fn append_state(self, out: &mut Vec<u8>) -> Lookup {
        let start = out.len();
        match self.kind() & !VOID {
            ABSENT => Lookup::WasAbsent,
            LONG => {
                self.append_value(out);
                let reference = OverflowRef::decode(&out[start..]);
                out.truncate(start);
                // Anything else is not live any more.
                reference.map_or(Lookup::WasAbsent, Lookup::WasLong)
            }
            _ => {
                self.append_value(out);
                Lookup::Was
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct VersionStore {
    ring: Ring,
    /// Addresses of the newest version of the newest row of each bucket.
    buckets: Arena,
    hasher: foldhash::fast::FixedState,
    floor: AtomicU64,
    history: History,
}

impl VersionStore {
    /// `floor`: no snapshot below it can be read. `budget`: bytes of versions to hold at most, but never less than room
    /// for a few rows as long as they can be in pages of `page_size` bytes.
    pub(crate) fn new(floor: CommitId, budget: usize, keep_versions: usize, page_size: usize) -> Self {
        let buckets = (budget / BUDGET_PER_BUCKET)
            .next_power_of_two()
            .clamp(*BUCKETS.start(), *BUCKETS.end());
        Self {
            ring: Ring::new(
                budget,
                8 * words_of(max_key(page_size), max_inline_value(page_size)),
            ),
            buckets: Arena::of_small_pages(1, buckets),
            hasher: foldhash::fast::FixedState::default(),
            floor: AtomicU64::new(floor.0),
            history: History::new(keep_versions),
        }
    }

    #[inline]
    fn hash(&self, table: TableId, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(table.0);
        hasher.write(key);
        hasher.finish()
    }

    fn bucket(&self, hash: u64) -> &Word {
        let buckets = self.buckets.frame(0);
        &buckets[hash as usize & (buckets.len() - 1)]
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.ring.bytes() + self.history.bytes()
    }

    /// Versions held.
    pub(crate) fn count(&self) -> usize {
        self.ring.versions() + self.history.count()
    }

    /// The newest commit whose before-image may have been dropped: no snapshot below it can begin.
    #[inline]
    pub(crate) fn floor(&self) -> CommitId {
        CommitId(self.floor.load(SeqCst))
    }

    fn raise_floor(&self, dropped: CommitId) {
        self.floor.fetch_max(dropped.0, SeqCst);
    }

    #[inline]
    fn version(&self, address: Address) -> Option<Version<'_>> {
        let words = self.ring.at(address)?;
        Some(Version { words, address })
    }

    #[inline]
    fn is_live(&self, version: Version<'_>) -> bool {
        self.ring.is_live(version.address)
    }

    /// The version at an address, if its commit is above `snapshot`.
    #[inline]
    fn above(&self, address: Address, snapshot: CommitId) -> Option<Version<'_>> {
        self.version(address)
            .filter(|version| version.commit() > snapshot && self.is_live(*version))
    }

    /// The newest version of a row, and the newest of the row before it in the bucket.
    ///
    /// A row that changes moves to the front of its bucket, past a reader who is on the way. So one that is not found is
    /// looked for again if the bucket has another first row by now; whoever has followed a link that was changed for that
    /// finds that it has.
    #[inline]
    fn newest(&self, hash: u64, table: TableId, key: &[u8]) -> Option<(Version<'_>, Option<Version<'_>>)> {
        let bucket = self.bucket(hash);
        let mut first = bucket.load(Acquire);
        loop {
            crate::sync::point();
            if let Some(found) = self.newest_from(first, hash, table, key) {
                return Some(found);
            }
            fence(Acquire);
            let again = bucket.load(Acquire);
            if again == first {
                return None;
            }
            first = again;
        }
    }

    /// [`VersionStore::newest`] among the rows from an address on.
    #[inline]
    fn newest_from(
        &self,
        mut address: Address,
        hash: u64,
        table: TableId,
        key: &[u8],
    ) -> Option<(Version<'_>, Option<Version<'_>>)> {
        let mut before = None;
        loop {
            done(Kind::VersionLinks, 1);
            // What lies behind something that is gone is older, and gone as well.
            let version = self.version(address)?;
            let (is_it, next) = (version.is_of(hash, table, key), version.words.word(word::NEXT));
            if !self.is_live(version) {
                return None;
            }
            if is_it {
                return Some((version, before));
            }
            debug_assert!(next < address, "links lead to older versions");
            before = Some(version);
            address = next;
        }
    }

    /// Records what a row was before `commit` changes it. Only the applier, before it changes the page.
    pub(crate) fn record(&self, table: TableId, key: &[u8], commit: CommitId, before: Before<'_>) {
        let hash = self.hash(table, key);
        if hash.is_multiple_of(8) && crate::injected::makes(crate::injected::Bug::BeforeImageMissing) {
            return;
        }
        let place;
        let (kind, value): (u8, &[u8]) = match before {
            Before::Absent => (ABSENT, &[]),
            Before::Short(value) => (SHORT, value),
            Before::Long(reference) => {
                place = reference.encode();
                (LONG, &place)
            }
        };
        let newest = self.newest(hash, table, key);
        let older = newest.map(|(version, _)| version);
        let bucket = self.bucket(hash);
        let (next, unlinked_next) = match newest {
            // It was the first of the bucket, and the new one takes its place.
            Some((version, None)) => (version.words.word(word::NEXT), None),
            Some((version, Some(_))) => (bucket.load(Relaxed), Some(version.words.word(word::NEXT))),
            None => (bucket.load(Relaxed), None),
        };
        done(Kind::VersionBytes, 8 * words_of(key.len(), value.len()));
        let (jump, depth) = older.map_or((NOWHERE, 0), |older| self.jump_from(older));
        let forgotten = |dropped: Dropped| self.raise_floor(dropped.newest);
        let address = self
            .ring
            .append(words_of(key.len(), value.len()), commit, forgotten, |words, _| {
                words.set_word(COMMIT, commit.0);
                words.set_word(word::HASH, hash);
                words.set_word(word::NEXT, next);
                words.set_word(word::OLDER, older.map_or(NOWHERE, |older| older.address));
                words.set_word(word::JUMP, jump);
                words.set_word(word::TABLE_AND_DEPTH, u64::from(depth) << 32 | u64::from(table.0));
                let lengths = (value.len() as u64) << 32 | (key.len() as u64) << 8 | u64::from(kind);
                words.set_word(word::LENGTHS, lengths);
                words.write(8 * word::DATA, key);
                words.write(8 * word::DATA + key.len(), value);
            });
        bucket.store(address, Release);
        // Whoever finds the link changed finds the bucket changed.
        fence(Release);
        crate::sync::point();
        // The row's former newest version has its place behind the new one only. It still leads on, for who is there.
        if let (Some((_, Some(before))), Some(next)) = (newest, unlinked_next) {
            // Unless the new version took the piece that it was in.
            if self.is_live(before) {
                before.words.set_word(word::NEXT, next);
            }
        }
        self.keep_to_budget();
    }

    /// The link far down and the depth of a version that comes on top of `older`.
    fn jump_from(&self, older: Version<'_>) -> (Address, u32) {
        let depth = older.depth().wrapping_add(1);
        let behind = self.version(older.words.word(word::JUMP));
        let jump = match behind {
            Some(behind) => match self.version(behind.words.word(word::JUMP)) {
                Some(far)
                    if older.depth().wrapping_sub(behind.depth())
                        == behind.depth().wrapping_sub(far.depth()) =>
                {
                    far.address
                }
                _ => older.address,
            },
            None => older.address,
        };
        (jump, depth)
    }

    fn keep_to_budget(&self) {
        if self.history.keeps() {
            let used = self.ring.bytes();
            self.history
                .shrink(self.ring.capacity().saturating_sub(used), |commit| {
                    self.raise_floor(commit);
                });
        }
    }

    /// Takes back what was recorded for `commit`, which was given up before it changed anything. Only the applier.
    pub(crate) fn withdraw(&self, commit: CommitId) {
        let range = self.ring.of_newest(commit);
        self.ring.for_each(range, words_in, |words| {
            // What it says of the row is true all the same.
            let lengths = words.word(word::LENGTHS);
            words.set_word(word::LENGTHS, lengths | u64::from(VOID));
        });
    }

    /// What `snapshot` sees of a row on a page that changed after it; a former value is appended to `out`.
    pub(crate) fn lookup(&self, table: TableId, key: &[u8], snapshot: CommitId, out: &mut Vec<u8>) -> Lookup {
        let hash = self.hash(table, key);
        let start = out.len();
        let found = loop {
            match self.oldest_above(hash, table, key, snapshot) {
                None => break None,
                Some(version) => {
                    let state = version.append_state(out);
                    if self.is_live(version) {
                        break Some(state);
                    }
                    // It has been dropped, or moved into the history.
                    out.truncate(start);
                    if self.floor() > snapshot {
                        return Lookup::TooOld;
                    }
                }
            }
        };
        let found = match self.history.may_have(snapshot) {
            true => self.history.lookup(table, key, snapshot, start, out).or(found),
            false => found,
        };
        // Looked at after the chain: the floor rises before anything is dropped.
        if self.floor.load(Acquire) > snapshot.0 {
            out.truncate(start);
            return Lookup::TooOld;
        }
        use crate::reach::{Mechanism, mark_if};
        mark_if(found == Some(Lookup::Was), Mechanism::FormerVersionRead);
        mark_if(found == Some(Lookup::WasAbsent), Mechanism::FormerAbsenceRead);
        found.unwrap_or(Lookup::Unchanged)
    }

    /// The version of a row with the smallest commit above `snapshot`.
    fn oldest_above(&self, hash: u64, table: TableId, key: &[u8], snapshot: CommitId) -> Option<Version<'_>> {
        let snapshot = match crate::injected::makes(crate::injected::Bug::VersionOffByOne) {
            true => CommitId(snapshot.0.saturating_sub(1)),
            false => snapshot,
        };
        let (newest, _) = self.newest(hash, table, key)?;
        let mut found = Some(newest).filter(|newest| newest.commit() > snapshot)?;
        loop {
            done(Kind::VersionLinks, 1);
            let (jump, older) = (found.words.word(word::JUMP), found.words.word(word::OLDER));
            // What was read of something that is gone is not a link. The caller finds out as well.
            if !self.is_live(found) {
                return Some(found);
            }
            // Of two links that lead above the snapshot, the longer one is taken.
            let Some(next) = self.above(jump, snapshot).or_else(|| self.above(older, snapshot)) else {
                return Some(found);
            };
            debug_assert!(next.address < found.address, "links lead to older versions");
            found = next;
        }
    }

    /// The newest commit above `snapshot` that changed the row. Exact while the caller holds the row's lock.
    pub(crate) fn newest_change(&self, table: TableId, key: &[u8], snapshot: CommitId) -> Option<CommitId> {
        let hash = self.hash(table, key);
        let (mut version, _) = self.newest(hash, table, key)?;
        loop {
            done(Kind::VersionLinks, 1);
            let (commit, is_void) = (version.commit(), version.kind() & VOID != 0);
            let older = version.words.word(word::OLDER);
            if !self.is_live(version) || commit <= snapshot {
                return None;
            }
            if !is_void {
                return Some(commit);
            }
            version = self.version(older)?;
        }
    }

    /// Whether a collection would find something to do when the horizon has passed everything.
    pub(crate) fn has_backlog(&self) -> bool {
        self.ring.versions() > 0
    }

    /// How many committed versions of a row stay readable beyond the horizon, counting the current one.
    pub(crate) fn set_keep_versions(&self, keep: usize) {
        self.history.set_keep_versions(keep);
    }

    /// Drops what no snapshot at or after `horizon` needs, a few pieces of it. Only the holder of the applier.
    pub(crate) fn collect(&self, horizon: CommitId) -> Collected {
        let before = self.count();
        // Looked at once, since it may change meanwhile.
        let keeps = self.history.keeps();
        self.history.adjust(horizon, |commit| self.raise_floor(commit));
        if !keeps {
            // Ghosts and long values up to the horizon are about to go, so nobody may begin to read what was before it,
            // although whole pieces only are passed.
            self.raise_floor(horizon);
        }
        let mut has_more = true;
        for _ in 0..PASSED_AT_ONCE {
            if keeps {
                self.move_oldest(horizon);
            }
            has_more = self.ring.pass_one(horizon).is_some();
            self.keep_to_budget();
            if !has_more {
                break;
            }
        }
        let dropped = before.saturating_sub(self.count());
        crate::reach::mark_if(dropped > 0, crate::reach::Mechanism::VersionsCollected);
        Collected {
            dropped,
            has_more,
            ghost_horizon: if keeps { horizon.min(self.floor()) } else { horizon },
        }
    }

    /// Takes out some long values that were kept and are not any more: the commits that replaced them, and their pages.
    pub(crate) fn take_released(&self, most: usize) -> Vec<(CommitId, OverflowRef)> {
        self.history.take_released(most)
    }

    /// Puts one back that could not be freed yet.
    pub(crate) fn release_again(&self, commit: CommitId, chain: OverflowRef) {
        self.history.release_again(commit, chain);
    }

    /// Copies the versions of the oldest piece into the history, from where they are read once the piece is gone.
    fn move_oldest(&self, horizon: CommitId) {
        let Some(range) = self.ring.oldest(horizon) else {
            return;
        };
        let (mut key, mut value) = (Vec::new(), Vec::new());
        self.ring.for_each(range, words_in, |words| {
            let version = Version {
                words,
                address: NOWHERE,
            };
            if version.kind() & VOID != 0 {
                return;
            }
            key.clear();
            value.clear();
            words.append_to(8 * word::DATA, version.key_len(), &mut key);
            let state = version.append_state(&mut value);
            let table = TableId(words.word(word::TABLE_AND_DEPTH) as u32);
            self.history.push(table, &key, version.commit(), state, &value);
        });
    }
}

#[cfg(test)]
mod tests;
