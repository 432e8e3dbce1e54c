//! Where each page lies: page number to extent, in memory.
//!
//! The numbers are divided into chunks of 512 entries, which are also what is written at a checkpoint; the chunks hang
//! in a radix tree of two fixed levels (2048 x 4096) that only grows, so finding a chunk takes no lock and looking up an
//! entry takes one shared lock of that chunk. Looking up happens on every page fault, changing an entry once for every
//! page written.
//!
//! A chunk becomes dirty with its first change and clean when it is copied for a checkpoint
//! ([`PageMap::copy_chunk`]); a checkpoint that fails makes its chunks dirty again.

use std::sync::OnceLock;

use super::extent::ExtentPlace;
use crate::ids::{CommitId, PageNumber};
use crate::metrics::Count;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, RwLock};
use crate::work::{Kind, done};

/// Entries of a chunk.
pub(crate) const CHUNK_ENTRIES: usize = 512;
/// Chunks under one slot of the directory.
const BRANCH_CHUNKS: usize = 4096;
/// Slots of the directory: enough for every `u32`.
const BRANCHES: usize = (1 << 32) / CHUNK_ENTRIES / BRANCH_CHUNKS;

/// Where a page lies and which state of it that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MapEntry {
    /// Offset of the extent in bytes, a multiple of 512.
    pub(crate) offset: u64,
    /// Newest commit in the image.
    pub(crate) commit: CommitId,
    /// Length of the extent in bytes, without padding.
    pub(crate) length: u32,
    /// Length of the image in bytes once decompressed.
    pub(crate) raw_length: u32,
    /// The image has deleted rows that wait to be removed.
    pub(crate) has_ghosts: bool,
    /// In memory only: between which two freezes the extent was written; 0 for what the file had when it was opened.
    pub(crate) epoch: u32,
}

impl MapEntry {
    /// Where the extent lies.
    pub(crate) fn place(&self) -> ExtentPlace {
        ExtentPlace {
            offset: self.offset,
            length: self.length,
            raw_length: self.raw_length,
        }
    }
}

/// 512 entries.
#[derive(Debug)]
struct Chunk {
    entries: [Option<MapEntry>; CHUNK_ENTRIES],
    dirty: bool,
}

type ChunkSlot = RwLock<Option<Box<Chunk>>>;

/// The page map of an open database.
#[derive(Debug)]
pub(crate) struct PageMap {
    branches: Box<[OnceLock<Box<[ChunkSlot]>>]>,
    /// Above every chunk that was ever there.
    chunks_end: AtomicU32,
    dirty: Mutex<Vec<u32>>,
    pages: AtomicU64,
    raw_bytes: Count,
    stored_bytes: Count,
}

/// Sums over the pages of a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MapTotals {
    pub(crate) pages: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) stored_bytes: u64,
}

/// The chunk of a page and the page's place in it.
fn place(page: PageNumber) -> (u32, usize) {
    (page.0 / CHUNK_ENTRIES as u32, page.0 as usize % CHUNK_ENTRIES)
}

/// The page at a place of a chunk.
pub(crate) fn page_at(chunk: u32, index: usize) -> PageNumber {
    PageNumber(chunk * CHUNK_ENTRIES as u32 + index as u32)
}

impl PageMap {
    /// A map without pages.
    pub(crate) fn new() -> Self {
        Self {
            branches: (0..BRANCHES).map(|_| OnceLock::new()).collect(),
            chunks_end: AtomicU32::new(0),
            dirty: Mutex::default(),
            pages: AtomicU64::new(0),
            raw_bytes: Count::new(0),
            stored_bytes: Count::new(0),
        }
    }

    /// Where a page lies; `None` when it has never been written or was freed.
    pub(crate) fn get(&self, page: PageNumber) -> Option<MapEntry> {
        let (chunk, index) = place(page);
        let slot = self.existing(chunk)?.read();
        slot.as_ref()?.entries[index]
    }

    /// Changes the entry of a page and returns the one before.
    pub(crate) fn set(&self, page: PageNumber, entry: Option<MapEntry>) -> Option<MapEntry> {
        let (number, index) = place(page);
        let mut slot = self.slot(number).write();
        let chunk = slot.get_or_insert_with(|| Chunk::boxed([None; CHUNK_ENTRIES]));
        let before = std::mem::replace(&mut chunk.entries[index], entry);
        if !chunk.dirty {
            chunk.dirty = true;
            self.dirty.lock().push(number);
        }
        drop(slot);
        self.count(before.as_ref(), entry.as_ref());
        before
    }

    /// Puts a chunk read from the file into the map; it is clean.
    pub(crate) fn load_chunk(&self, number: u32, entries: [Option<MapEntry>; CHUNK_ENTRIES]) {
        for entry in entries.iter().flatten() {
            self.count(None, Some(entry));
        }
        let before = self.slot(number).write().replace(Chunk::boxed(entries));
        assert!(before.is_none(), "a chunk is loaded once");
    }

    /// The chunks that have changed since they were last copied, rising. The caller copies each of them, or gives
    /// them back with [`Self::mark_dirty`].
    pub(crate) fn take_dirty(&self) -> Vec<u32> {
        let mut dirty = std::mem::take(&mut *self.dirty.lock());
        dirty.sort_unstable();
        dirty
    }

    /// A consistent copy of a chunk's entries, which makes the chunk clean.
    pub(crate) fn copy_chunk(&self, number: u32) -> [Option<MapEntry>; CHUNK_ENTRIES] {
        match self.slot(number).write().as_mut() {
            Some(chunk) => {
                done(Kind::MapEntries, CHUNK_ENTRIES);
                chunk.dirty = false;
                chunk.entries
            }
            None => [None; CHUNK_ENTRIES],
        }
    }

    /// Makes a chunk dirty again whose copy did not reach a durable checkpoint.
    pub(crate) fn mark_dirty(&self, number: u32) {
        let mut slot = self.slot(number).write();
        let chunk = slot.get_or_insert_with(|| Chunk::boxed([None; CHUNK_ENTRIES]));
        // A chunk given back before it was copied is still flagged, but no longer listed.
        chunk.dirty = true;
        let mut dirty = self.dirty.lock();
        done(Kind::MapEntries, dirty.len());
        if !dirty.contains(&number) {
            dirty.push(number);
        }
    }

    /// Visits every entry in the order of page numbers. Entries that change meanwhile may be seen before or after.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(PageNumber, MapEntry)) {
        let end = self.chunks_end.load(Ordering::Acquire) as usize;
        for (branch, slots) in self.branches.iter().enumerate() {
            let first = branch * BRANCH_CHUNKS;
            let slots = slots.get().into_iter().flatten();
            for (index, slot) in slots.take(end.saturating_sub(first)).enumerate() {
                done(Kind::MapEntries, CHUNK_ENTRIES);
                let chunk = slot.read();
                for (place, entry) in chunk.iter().flat_map(|chunk| chunk.entries.iter().enumerate()) {
                    if let Some(entry) = entry {
                        visit(page_at((first + index) as u32, place), *entry);
                    }
                }
            }
        }
    }

    /// Sums over all entries.
    pub(crate) fn totals(&self) -> MapTotals {
        MapTotals {
            pages: self.pages.load(Ordering::Relaxed),
            raw_bytes: self.raw_bytes.load(Ordering::Relaxed),
            stored_bytes: self.stored_bytes.load(Ordering::Relaxed),
        }
    }

    fn count(&self, before: Option<&MapEntry>, after: Option<&MapEntry>) {
        if let Some(entry) = after {
            self.pages.fetch_add(1, Ordering::Relaxed);
            self.raw_bytes
                .fetch_add(entry.raw_length.into(), Ordering::Relaxed);
            self.stored_bytes
                .fetch_add(entry.length.into(), Ordering::Relaxed);
        }
        if let Some(entry) = before {
            self.pages.fetch_sub(1, Ordering::Relaxed);
            self.raw_bytes
                .fetch_sub(entry.raw_length.into(), Ordering::Relaxed);
            self.stored_bytes
                .fetch_sub(entry.length.into(), Ordering::Relaxed);
        }
    }

    fn existing(&self, chunk: u32) -> Option<&ChunkSlot> {
        let slots = self.branches[chunk as usize / BRANCH_CHUNKS].get()?;
        Some(&slots[chunk as usize % BRANCH_CHUNKS])
    }

    fn slot(&self, chunk: u32) -> &ChunkSlot {
        self.chunks_end.fetch_max(chunk + 1, Ordering::AcqRel);
        let slots = self.branches[chunk as usize / BRANCH_CHUNKS]
            .get_or_init(|| (0..BRANCH_CHUNKS).map(|_| ChunkSlot::default()).collect());
        &slots[chunk as usize % BRANCH_CHUNKS]
    }
}

impl Chunk {
    fn boxed(entries: [Option<MapEntry>; CHUNK_ENTRIES]) -> Box<Self> {
        Box::new(Self {
            entries,
            dirty: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u64) -> MapEntry {
        MapEntry {
            offset: 8192 + n * 512,
            commit: CommitId(n),
            length: 100 + n as u32,
            raw_length: 200,
            has_ghosts: n % 2 == 1,
            epoch: 0,
        }
    }

    #[test]
    fn entries_are_found_over_the_whole_number_space() {
        let map = PageMap::new();
        let pages = [1, 511, 512, 513, 1 << 21, u32::MAX - 1];
        for (n, page) in (1..).zip(pages) {
            assert_eq!(map.get(PageNumber(page)), None);
            assert_eq!(map.set(PageNumber(page), Some(entry(n))), None);
        }
        for (n, page) in (1..).zip(pages) {
            assert_eq!(map.get(PageNumber(page)), Some(entry(n)));
            assert_eq!(
                map.get(PageNumber(page + 1)).is_some(),
                pages.contains(&(page + 1))
            );
        }
        let mut seen = Vec::new();
        map.for_each(|page, _| seen.push(page.0));
        assert_eq!(seen, pages);
    }

    #[test]
    fn totals_follow_the_entries() {
        let map = PageMap::new();
        map.set(PageNumber(1), Some(entry(1)));
        map.set(PageNumber(2), Some(entry(2)));
        map.set(PageNumber(2), Some(entry(5)));
        let expected = MapTotals {
            pages: 2,
            raw_bytes: 400,
            stored_bytes: 206,
        };
        assert_eq!(map.totals(), expected);
        assert_eq!(map.set(PageNumber(1), None), Some(entry(1)));
        assert_eq!(map.set(PageNumber(2), None), Some(entry(5)));
        assert_eq!(map.totals(), MapTotals::default());
    }

    #[test]
    fn a_chunk_is_dirty_from_its_first_change_to_its_copy() {
        let map = PageMap::new();
        map.set(PageNumber(1000), Some(entry(1)));
        map.set(PageNumber(1001), Some(entry(2)));
        map.set(PageNumber(3), Some(entry(3)));
        let taken = map.take_dirty();
        assert_eq!(taken, [0, 1]);
        map.set(PageNumber(4), Some(entry(4)));
        assert_eq!(
            map.take_dirty(),
            [],
            "not copied yet, so that copy will hold the change"
        );
        assert_eq!(map.copy_chunk(0)[4], Some(entry(4)));
        assert_eq!(map.copy_chunk(1)[1000 - 512], Some(entry(1)));
        map.set(PageNumber(4), None);
        assert_eq!(map.take_dirty(), [0]);
        map.mark_dirty(0);
        map.mark_dirty(1);
        map.set(PageNumber(5), Some(entry(5)));
        assert_eq!(map.take_dirty(), [0, 1]);
    }
}
