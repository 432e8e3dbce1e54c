//! The data file as the rest of the engine uses it: pages by number, written in shadow, made durable by checkpoints.
//!
//! | path | module |
//! |---|---|
//! | create and open | here, [`super::opening`] |
//! | read a page | [`super::reading`] |
//! | write pages, find room for them | [`super::writing`] |
//! | complete a checkpoint | [`super::completion`] |
//! | check everything | [`super::verifying`] |
//!
//! Locks, in the order in which they are taken; none below `resize` is held across I/O, and `set_aside` and `resize` only
//! while the file is made longer:
//!
//! | lock | protects |
//! |---|---|
//! | `durable` | what the durable checkpoint consists of; held through a whole checkpoint or verification |
//! | `set_aside` | room that is set aside |
//! | `resize` | the length of the file |
//! | `numbers` | page numbers in use; held over every change of map entries, so that entry, number and space change together |
//! | chunk (in `map`) | 512 map entries |
//! | `reserved` | extents reserved for commits |
//! | `space` | the extent allocator |

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::allocator::{ExtentAllocator, UnitRange};
use super::extent::UNIT_BYTES;
use super::map_format::ChunkRef;
use super::page_map::PageMap;
use super::page_numbers::{PageNumbers, PageState};
use super::replaced::Replaced;
use super::room::SetAside;
use super::stats::{Counters, StoreStats};
use super::superblock::Superblock;
use crate::compress::{Codec, Compressor, compressor_for};
use crate::error::{Error, Result};
use crate::ids::{CommitId, PageNumber};
use crate::poison::Poison;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, RwLock};
use crate::vfs::{FileId, Vfs, VfsFile};

/// What is fixed when a data file is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CreateOptions {
    /// Page size in bytes: a power of two from 4096 to 65536.
    pub(crate) page_size: u32,
    /// Codec for new pages; can be changed later.
    pub(crate) codec: Codec,
    /// Level of the codec; matters to ZSTD only (1 to 19).
    pub(crate) level: i32,
    /// Size of a log segment in bytes, a multiple of 4096.
    pub(crate) wal_segment_size: u64,
}

/// A page image to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageImage<'a> {
    /// Number of the page, which must be allocated.
    pub(crate) page: PageNumber,
    /// Newest commit in the image.
    pub(crate) commit: CommitId,
    /// The image, at most a page long; trailing free space may be left off.
    pub(crate) raw: &'a [u8],
    /// Whether deleted rows wait in the page to be removed; the page map remembers it.
    pub(crate) has_ghosts: bool,
}

/// An open data file. All methods may be called from several threads; checkpoints exclude each other.
pub(crate) struct DataFile {
    pub(super) path: PathBuf,
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) file: Arc<dyn VfsFile>,
    pub(super) page_size: u32,
    pub(super) page_commit_at_open: CommitId,
    /// Whether the file was as its creation left it when it was opened.
    pub(super) is_as_created: bool,
    /// Which file it is, to notice when its name leads to another one.
    pub(super) id: FileId,
    /// The time line that the log is being written in.
    pub(super) time_line: AtomicU64,
    /// Pages created since the file was opened, and how many there may be before room is looked for again.
    pub(super) created: AtomicU64,
    pub(super) created_with_room: AtomicU64,
    pub(super) set_aside: Mutex<SetAside>,
    /// Whether room is kept for a full disk.
    pub(super) keeps_room: AtomicBool,
    /// Whether extents have been moved since the page map was frozen last.
    pub(super) has_moved: AtomicBool,
    pub(super) compressor: RwLock<Arc<dyn Compressor>>,
    pub(super) durable: Mutex<DurableState>,
    /// A copy of `durable.superblock` for readers, who must not wait for a checkpoint.
    pub(super) superblock: RwLock<Superblock>,
    pub(super) resize: Mutex<()>,
    pub(super) numbers: Mutex<PageNumbers>,
    pub(super) map: PageMap,
    pub(super) space: Mutex<ExtentAllocator>,
    /// Extents reserved for commits, all of one length.
    pub(super) reserved: Mutex<Vec<UnitRange>>,
    pub(super) counters: Counters,
    pub(super) replaced: Replaced,
    /// Why nothing more may be written.
    pub(super) poison: Arc<Poison>,
}

/// What the durable checkpoint consists of.
#[derive(Debug)]
pub(super) struct DurableState {
    pub(super) superblock: Superblock,
    /// Chunks of the page map by number.
    pub(super) chunks: BTreeMap<u32, ChunkRef>,
}

impl fmt::Debug for DataFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataFile")
            .field("path", &self.path)
            .field("superblock", &self.superblock())
            .finish_non_exhaustive()
    }
}

impl DataFile {
    /// Visits the pages whose images have deleted rows that wait to be removed.
    pub(crate) fn for_each_page_with_ghosts(&self, mut visit: impl FnMut(PageNumber)) {
        self.map.for_each(|page, entry| {
            if entry.has_ghosts {
                visit(page);
            }
        });
    }

    /// The durable checkpoint's superblock.
    #[must_use]
    pub(crate) fn superblock(&self) -> Superblock {
        *self.superblock.read()
    }

    /// Page size in bytes.
    #[must_use]
    pub(crate) fn page_size(&self) -> usize {
        self.page_size as usize
    }

    /// Newest commit of any page that the checkpoint held when the file was opened. Recovery must reach it: no page
    /// is written before the log is durable up to its commit.
    #[must_use]
    pub(crate) fn page_commit_at_open(&self) -> CommitId {
        self.page_commit_at_open
    }

    /// Whether the file was as its creation, perhaps cut off, left it when it was opened: nothing was ever committed.
    #[must_use]
    pub(crate) fn is_as_created(&self) -> bool {
        self.is_as_created
    }

    /// Whether nothing may be written.
    #[must_use]
    pub(crate) fn is_read_only(&self) -> bool {
        self.poison.is_read_only()
    }

    /// From now on everything that would write is refused with [`Error::ReadOnly`].
    #[must_use]
    pub(crate) fn read_only(mut self) -> Self {
        self.poison = Arc::new(Poison::read_only());
        self
    }

    /// Newest commit in the page's image, if it has one.
    #[must_use]
    pub(crate) fn page_commit(&self, page: PageNumber) -> Option<CommitId> {
        self.map.get(page).map(|entry| entry.commit)
    }

    /// All page numbers in use, rising.
    #[must_use]
    pub(crate) fn allocated_pages(&self) -> Vec<PageNumber> {
        self.numbers.lock().allocated()
    }

    /// What stops all writing to this file, and to what shares it.
    pub(crate) fn poison(&self) -> &Arc<Poison> {
        &self.poison
    }

    /// Damage of a page whose bytes were intact: what they say makes no sense.
    pub(crate) fn damage(&self, page: PageNumber, what: impl Into<String>) -> Error {
        let offset = self.map.get(page).map_or(0, |entry| entry.place().offset);
        self.corruption(Some(page), offset, what)
    }

    /// Whether the page's number is in use.
    #[must_use]
    pub(crate) fn is_allocated(&self, page: PageNumber) -> bool {
        self.numbers.lock().state(page) == PageState::Allocated
    }

    /// Takes the lowest free page number. In memory only: after a crash, the log says which numbers are in use.
    ///
    /// # Errors
    /// [`Error::CapacityExceeded`] when no number is left.
    pub(crate) fn allocate_page(&self) -> Result<PageNumber> {
        self.created.fetch_add(1, Ordering::Relaxed);
        self.numbers.lock().allocate()
    }

    /// Puts a page number into use that the log names (redo of a page that the checkpoint does not hold). No matter
    /// if it is in use; a page whose freeing waits for a checkpoint stays.
    ///
    /// # Errors
    /// [`Error::CapacityExceeded`] for page 0 and the last `u32`, which are never handed out.
    pub(crate) fn mark_allocated(&self, page: PageNumber) -> Result<()> {
        self.numbers.lock().mark_allocated(page).map(drop)
    }

    /// Notes that `commit` freed the page. Returns whether it was in use; freeing twice changes nothing.
    ///
    /// The image stays in the file, and the number stays taken, until a checkpoint whose `last_commit` is at least
    /// `commit`: were the image gone from a durable checkpoint and the freeing commit lost in a crash, the page would be
    /// lost. From now on images of the page are not written any more.
    pub(crate) fn free_page(&self, page: PageNumber, commit: CommitId) -> bool {
        self.numbers.lock().start_freeing(page, commit)
    }

    /// Takes another codec and level for pages written from now on. It becomes the file's own with the next checkpoint.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a codec that this build does not have or a level out of range.
    pub(crate) fn set_codec(&self, codec: Codec, level: i32) -> Result<()> {
        let compressor = compressor_for(codec, level)?;
        *self.compressor.write() = compressor;
        Ok(())
    }

    /// Codec and level for pages written from now on.
    #[must_use]
    pub(crate) fn codec(&self) -> (Codec, i32) {
        let compressor = self.compressor.read();
        (compressor.codec(), compressor.level())
    }

    /// Pages that have an image in the file.
    pub(crate) fn mapped_pages(&self) -> u64 {
        self.map.totals().pages
    }

    /// Figures of the file at this moment.
    #[must_use]
    pub(crate) fn stats(&self) -> StoreStats {
        let superblock = self.superblock();
        let (page_count, free_pages, freeing) = {
            let numbers = self.numbers.lock();
            (numbers.count(), numbers.free_count(), numbers.freeing_count())
        };
        let totals = self.map.totals();
        let (units, end) = {
            let space = self.space.lock();
            (space.counts(), space.end())
        };
        let counters = &self.counters;
        let bytes = |units: u64| units * UNIT_BYTES as u64;
        StoreStats {
            file_bytes: bytes(end),
            live_bytes: bytes(units.live),
            reserved_bytes: bytes(units.reserved),
            pending_bytes: bytes(units.pending),
            free_bytes: bytes(units.free),
            page_count,
            used_pages: page_count - free_pages - freeing,
            free_pages: free_pages + freeing,
            mapped_pages: totals.pages,
            raw_bytes: totals.raw_bytes,
            stored_bytes: totals.stored_bytes,
            pages_read: counters.pages_read.load(Ordering::Relaxed),
            pages_written: counters.pages_written.load(Ordering::Relaxed),
            bytes_read: counters.bytes_read.load(Ordering::Relaxed),
            bytes_written: counters.bytes_written.load(Ordering::Relaxed),
            writes: counters.writes.load(Ordering::Relaxed),
            corruptions: counters.corruptions.load(Ordering::Relaxed),
            generation: superblock.generation,
            last_checkpoint: (superblock.generation > 1)
                .then(|| SystemTime::UNIX_EPOCH + Duration::from_millis(superblock.wall_clock_ms)),
        }
    }

    /// Wraps an operating-system error of this file.
    pub(super) fn io_error(&self, operation: &'static str, source: std::io::Error) -> Error {
        Error::io(operation, &self.path, source)
    }

    /// Damage in this file.
    pub(super) fn corruption(&self, page: Option<PageNumber>, offset: u64, what: impl Into<String>) -> Error {
        self.counters.corruptions.fetch_add(1, Ordering::Relaxed);
        Error::corruption(&self.path, page, offset, what)
    }
}
