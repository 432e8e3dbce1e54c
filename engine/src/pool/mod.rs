//! Resident pages: the page table, the latch, fault-in, eviction and the dirty set.
//!
//! A page is absent, claimed by the thread that brings it in, or in a frame. I/O is done by whoever needs the page,
//! with no latch held. Frame indices that hold no page are either in the free list or owned by one thread.

mod evict;
mod frame;
mod ghost_pages;
mod table;
mod unfinished;
mod write_back;

pub(crate) use frame::{Latched, Optimistic};
pub(crate) use unfinished::{Pages, UnfinishedCommit};
pub(crate) use write_back::{PageCopy, ToCopy};

use std::cell::RefCell;
use std::sync::Arc;

use crate::arena::Arena;
use crate::error::{Error, Result};
use crate::ids::{CommitId, PageNumber};
use crate::metrics::Count;
use crate::page::image;
use crate::store::{DataFile, Privilege};
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use crate::sync::{Condvar, Mutex, thread_local};
use crate::work::{Kind, done};
use frame::{FRAME_HEADER_WORDS, Frame};
use ghost_pages::GhostPages;
use table::{PageTable, Residence};
use unfinished::Unfinished;

/// Fewest frames a pool works with: the deepest tree path, a split and some readers at once. Trees of controlled schedules
/// are low, and schedules short.
pub(crate) const FRAMES_MIN: usize = if cfg!(shuttle) { 32 } else { 64 };

/// Rounds of eviction for a commit, which cannot be given up any more: others hold their frames only for moments.
const COMMIT_ATTEMPTS: usize = 1000;

/// Frames that readers may have taken for pages which are brought in by somebody else.
const FRAMES_OF_READERS: usize = 64;

#[derive(Debug)]
pub(crate) struct Pool {
    arena: Arena,
    table: PageTable,
    store: Arc<DataFile>,
    page_size: usize,
    free: Mutex<Vec<u32>>,
    /// Frames handed out for the first time so far.
    used: AtomicUsize,
    clock_hand: AtomicUsize,
    /// Checkpoint epoch: rises when a checkpoint takes the dirty set.
    epoch: AtomicU64,
    dirty: Mutex<Vec<PageNumber>>,
    dirty_count: AtomicUsize,
    /// Pages that a checkpoint has taken and not written yet, at most.
    taken_count: AtomicUsize,
    /// Whether some page of the database may be outside the pool.
    may_be_absent: AtomicBool,
    /// Waiters for pages that another thread is bringing in.
    arrivals: Mutex<()>,
    arrived: Condvar,
    unfinished: Unfinished,
    ghost_pages: GhostPages,
    pub(crate) counters: PoolCounters,
}

#[derive(Debug, Default)]
pub(crate) struct PoolCounters {
    pub(crate) faults: Count,
    pub(crate) evicted_clean: Count,
    pub(crate) evicted_dirty: Count,
}

thread_local! {
    static IMAGE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Pool {
    /// A pool of `cache_size` bytes, but at least [`FRAMES_MIN`] frames, over a data file.
    pub(crate) fn new(store: Arc<DataFile>, page_size: usize, cache_size: usize) -> Self {
        let stride = FRAME_HEADER_WORDS + page_size / 8;
        let frames = (cache_size / (stride * 8)).clamp(FRAMES_MIN, u32::MAX as usize - 2);
        let fresh = store.stats().page_count == 0;
        let ghost_pages = GhostPages::default();
        store.for_each_page_with_ghosts(|page| ghost_pages.add(page, CommitId(0)));
        Self {
            arena: Arena::new(frames, stride),
            table: PageTable::new(),
            store,
            page_size,
            free: Mutex::new(Vec::new()),
            used: AtomicUsize::new(0),
            clock_hand: AtomicUsize::new(0),
            epoch: AtomicU64::new(1),
            dirty: Mutex::new(Vec::new()),
            dirty_count: AtomicUsize::new(0),
            taken_count: AtomicUsize::new(0),
            may_be_absent: AtomicBool::new(!fresh),
            arrivals: Mutex::new(()),
            arrived: Condvar::new(),
            unfinished: Unfinished::default(),
            ghost_pages,
            counters: PoolCounters::default(),
        }
    }

    pub(crate) fn page_size(&self) -> usize {
        self.page_size
    }

    /// Leaves whose ghosts wait to be removed.
    pub(crate) fn ghost_pages(&self) -> &GhostPages {
        &self.ghost_pages
    }

    pub(crate) fn store(&self) -> &DataFile {
        &self.store
    }

    pub(crate) fn frames(&self) -> usize {
        self.arena.frames()
    }

    /// Frames that hold a page or are about to.
    pub(crate) fn frames_in_use(&self) -> usize {
        self.used
            .load(Relaxed)
            .min(self.frames())
            .saturating_sub(self.free.lock().len())
    }

    /// Pages that can be created for certain without moving another out. Once pages may be outside the pool, whoever reads one
    /// competes for frames: then all pages have to have room in it together, with some to spare for readers who
    /// bring in the same page at once.
    pub(crate) fn frames_available(&self) -> usize {
        if self.may_be_absent() {
            let pages = self.store.pages_in_use() as usize;
            self.frames().saturating_sub(pages + FRAMES_OF_READERS)
        } else {
            self.frames() - self.frames_in_use()
        }
    }

    /// Whether a lookup can meet a page that is not in memory.
    pub(crate) fn may_be_absent(&self) -> bool {
        self.may_be_absent.load(Relaxed)
    }

    #[inline]
    fn frame(&self, index: u32) -> Frame<'_> {
        Frame::new(self.arena.frame(index as usize), index)
    }

    /// The page, if it is in memory.
    #[inline]
    pub(crate) fn resident(&self, page: PageNumber) -> Option<Optimistic<'_>> {
        done(Kind::Pages, 1);
        while let Residence::Frame(index) = self.table.get(page) {
            let frame = self.frame(index);
            let optimistic = frame.optimistic();
            if frame.page_number() == page && optimistic.is_valid() {
                frame.touch();
                return Some(optimistic);
            }
            // It was evicted, or replaced, between the two looks: the table knows better now.
        }
        None
    }

    #[cold]
    fn fault_in(&self, page: PageNumber, privilege: Option<Privilege>) -> Result<Option<Optimistic<'_>>> {
        if page == PageNumber::NONE {
            return Ok(None);
        }
        loop {
            if let Some(optimistic) = self.resident(page) {
                return Ok(Some(optimistic));
            }
            if !self.table.claim(page) {
                self.wait_for_arrival(page);
                continue;
            }
            // Latched until the table knows the frame: before that nobody may move the page out again.
            let latched = self
                .read_into_frame(page, privilege)
                .inspect_err(|_| self.end_claim(page, None))?;
            self.end_claim(page, latched.as_ref().map(|latched| latched.frame().index()));
            if latched.is_none() {
                return Ok(None);
            }
        }
    }

    /// Reads a claimed page into a frame of its own; `None` if there is no such page.
    fn read_into_frame(&self, page: PageNumber, privilege: Option<Privilege>) -> Result<Option<Latched<'_>>> {
        IMAGE.with_borrow_mut(|bytes| {
            bytes.clear();
            // A freed page keeps its image until the next checkpoint; only a page in use is one.
            if self.store.read_page(page, bytes)?.is_none() || !self.store.is_allocated(page) {
                return Ok(None);
            }
            self.counters.faults.fetch_add(1, Relaxed);
            let index = self.take_frame(privilege)?;
            let mut latched = self.latch_free_frame(index);
            if let Err(what) = image::decode(bytes, page, latched.words_mut()) {
                drop(latched);
                self.free.lock().push(index);
                return Err(self.store.damage(page, what));
            }
            latched.set_page_number(page);
            latched.set_clean();
            latched.frame().touch();
            Ok(Some(latched))
        })
    }

    fn end_claim(&self, page: PageNumber, frame: Option<u32>) {
        self.table.set(page, frame);
        let _arrivals = self.arrivals.lock();
        if !crate::injected::makes(crate::injected::Bug::ArrivalNotAnnounced) {
            self.arrived.notify_all();
        }
    }

    fn wait_for_arrival(&self, page: PageNumber) {
        let mut arrivals = self.arrivals.lock();
        while self.table.get(page) == Residence::Claimed {
            self.arrived.wait(&mut arrivals);
        }
    }

    /// Latches a frame that holds no page and that only the caller knows.
    fn latch_free_frame(&self, index: u32) -> Latched<'_> {
        loop {
            // A reader or the clock may still look at it, but nobody else latches it for long.
            if let Some(latched) = self.frame(index).optimistic().latch() {
                return latched;
            }
        }
    }

    /// A new page in a frame that [`Pages::take_frame`] gave, latched, dirty and without content.
    pub(crate) fn create(&self, page: PageNumber, frame: u32) -> Latched<'_> {
        // A reader that followed an outdated pointer may be finding out that the page does not exist, or, if the number
        // has come into use again meanwhile, may just have brought in what the page was before.
        while !self.table.claim(page) {
            self.wait_for_arrival(page);
            if let Some(latched) = self.resident(page).and_then(Optimistic::latch) {
                self.discard(latched);
            }
        }
        let mut latched = self.latch_free_frame(frame);
        latched.set_page_number(page);
        latched.set_clean();
        self.mark_dirty(&mut latched);
        self.end_claim(page, Some(frame));
        latched
    }

    /// Notes that the page changes in this checkpoint epoch. The caller holds the applier, so the epoch stands still.
    pub(crate) fn mark_dirty(&self, latched: &mut Latched<'_>) {
        let epoch = self.epoch.load(Relaxed);
        if latched.set_dirty(epoch) != epoch {
            self.dirty.lock().push(latched.frame().page_number());
            self.dirty_count.fetch_add(1, Relaxed);
        }
    }

    /// Pages changed since the last checkpoint took the dirty set.
    pub(crate) fn dirty_count(&self) -> usize {
        self.dirty_count.load(Relaxed)
    }

    /// Frames that can hold changed pages now, at most. The caller holds the applier.
    pub(crate) fn dirty_at_most(&self) -> usize {
        let taken = self.taken_count.load(Acquire);
        self.frames().min(self.dirty_count() + taken)
    }

    /// Takes the dirty set and starts a new epoch. The caller holds the applier.
    pub(crate) fn take_dirty(&self) -> Vec<PageNumber> {
        let mut dirty = self.dirty.lock();
        self.epoch.fetch_add(1, AcqRel);
        self.taken_count.store(dirty.len(), Release);
        self.dirty_count.store(0, Relaxed);
        std::mem::take(&mut dirty)
    }

    /// The pages of the dirty set that was taken last are written.
    pub(crate) fn dirty_written(&self) {
        self.taken_count.store(0, Release);
    }

    /// Gives back pages of a dirty set that could not be written.
    pub(crate) fn return_dirty(&self, pages: &[PageNumber]) {
        if crate::injected::makes(crate::injected::Bug::FailedCheckpointForgetsPages) {
            return;
        }
        self.dirty.lock().extend_from_slice(pages);
        self.dirty_count.fetch_add(pages.len(), Relaxed);
        self.taken_count.store(0, Release);
    }

    /// Leaves in the dirty set only what is in memory and dirty, once each: pages that had to make way are written, and may be
    /// there again. Nobody changes pages meanwhile.
    pub(crate) fn tidy_dirty(&self) {
        let mut dirty = self.dirty.lock();
        done(Kind::Frames, dirty.len());
        dirty.sort_unstable();
        dirty.dedup();
        dirty.retain(|page| match self.table.get(*page) {
            Residence::Frame(index) => self.frame(index).is_dirty(),
            Residence::Absent | Residence::Claimed => false,
        });
        self.dirty_count.store(dirty.len(), Relaxed);
    }

    /// Forgets a page that the applier has freed. The caller holds its latch and has removed it from the store.
    pub(crate) fn discard(&self, mut latched: Latched<'_>) {
        let page = latched.frame().page_number();
        let index = latched.frame().index();
        latched.set_page_number(PageNumber::NONE);
        latched.set_clean();
        self.table.set(page, None);
        drop(latched);
        self.free.lock().push(index);
    }

    /// [`Pool::discard`] of a page wherever it is; nothing is read. The caller has removed it from the store and holds no
    /// latch. Whoever is bringing the page in at this moment is waited for; whoever comes later finds that it does not
    /// exist.
    pub(crate) fn forget(&self, page: PageNumber) {
        loop {
            match self.table.get(page) {
                Residence::Absent => return,
                Residence::Claimed => self.wait_for_arrival(page),
                Residence::Frame(_) => {
                    if let Some(latched) = self.resident(page).and_then(Optimistic::latch) {
                        self.discard(latched);
                        return;
                    }
                }
            }
        }
    }

    /// Takes frames that hold no page, as many of `count` as are free at once.
    pub(crate) fn take_free_frames(&self, count: usize, out: &mut Vec<u32>) {
        let mut free = self.free.lock();
        let from = free.len().saturating_sub(count);
        out.extend(free.drain(from..));
    }

    /// Gives back frames that were taken but not used.
    pub(crate) fn return_frames(&self, frames: impl IntoIterator<Item = u32>) {
        self.free.lock().extend(frames);
    }

    /// [`Pages::take_frame`].
    fn take_frame(&self, privilege: Option<Privilege>) -> Result<u32> {
        if let Some(index) = self.free.lock().pop() {
            return Ok(index);
        }
        let fresh = self.used.fetch_add(1, Relaxed);
        if fresh < self.frames() {
            return Ok(fresh as u32);
        }
        self.used.store(self.frames(), Relaxed);
        self.may_be_absent.store(true, Relaxed);
        let attempts = if privilege.is_some() { COMMIT_ATTEMPTS } else { 1 };
        for _ in 0..attempts {
            if let Some(index) = self.evict(privilege)? {
                return Ok(index);
            }
        }
        Err(Error::CacheExhausted {
            frames: self.frames(),
        })
    }
}
