//! Writing in shadow: page images go to extents that nothing refers to, then the page map changes in memory.
//!
//! 1. Encode and compress the images into one buffer of up to 1 MiB, holding no lock.
//! 2. Reserve room for all of them, side by side where free space allows; make the file longer if there is none.
//! 3. Write each run of neighbours with one call.
//! 4. Change the map entries; what they replaced becomes pending.
//!
//! A failure in 2 or 3 gives the room back and leaves the map as it was. Nothing is synced here: that is the
//! checkpoint's, and until then the durable checkpoint has all of its extents.

use std::cell::Cell;
use std::sync::Arc;

use super::allocator::UnitRange;
use super::data_file::{DataFile, PageImage};
use super::extent::{self, ExtentIdentity, ExtentKind, OVERHEAD_BYTES, UNIT_BYTES, units_for};
use super::page_map::MapEntry;
use super::page_numbers::PageState;
use super::reservation::Privilege;
use super::room::Purpose;
use crate::compress::Compressor;
use crate::error::{Error, Result};
use crate::injected::{self, Bug};
use crate::sync::atomic::Ordering;
use crate::sync::thread_local;

/// Longest single write, in bytes.
pub(super) const WRITE_BYTES_MAX: usize = 1 << 20;
/// The file grows by a part of its length, between these two, in units (64 KiB and 16 MiB).
const GROWTH_UNITS: std::ops::RangeInclusive<u64> = 128..=32_768;
/// That part.
const GROWTH_PART: u64 = 32;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Extents encoded one behind the other, not placed yet.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Units of each extent.
    units: Vec<u64>,
    /// Length of each extent in bytes, without padding.
    lengths: Vec<u32>,
}

impl Batch {
    /// An empty batch on the thread's buffer.
    pub(super) fn new() -> Self {
        let mut bytes = BUFFER.take();
        bytes.clear();
        Self {
            bytes,
            units: Vec::new(),
            lengths: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Whether an extent of so many raw bytes would make the batch too long for one write.
    pub(super) fn would_overflow(&self, raw_bytes: usize) -> bool {
        self.bytes.len() + units_for(OVERHEAD_BYTES + raw_bytes) as usize * UNIT_BYTES > WRITE_BYTES_MAX
    }

    /// Appends an extent.
    pub(super) fn push(
        &mut self,
        file: &DataFile,
        identity: ExtentIdentity,
        raw: &[u8],
        compressor: &dyn Compressor,
    ) -> Result<()> {
        let start = self.bytes.len();
        let length = extent::encode(identity, raw, compressor, &mut self.bytes).map_err(|error| {
            self.bytes.truncate(start);
            file.io_error("compress for", std::io::Error::other(error))
        })?;
        self.units.push(units_for(length));
        self.lengths.push(length as u32);
        Ok(())
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.units.clear();
        self.lengths.clear();
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.bytes.capacity() <= 2 * WRITE_BYTES_MAX {
            BUFFER.set(std::mem::take(&mut self.bytes));
        }
    }
}

/// An extent that has been written and is still reserved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) units: UnitRange,
    /// Length in bytes, without padding.
    pub(super) length: u32,
}

impl Written {
    /// Offset in bytes.
    pub(super) fn offset(&self) -> u64 {
        self.units.start * UNIT_BYTES as u64
    }
}

impl DataFile {
    /// Writes page images to new extents and points the page map at them. The caller has made the log durable up to
    /// the newest commit in any of the images.
    ///
    /// An image is dropped, and its page left as it is, when the page has been freed meanwhile, or the file already has
    /// an image of a newer commit (two writers of one page, the older one late).
    ///
    /// # Errors
    /// [`Error::Io`] when there is no room or a write failed, [`Error::Poisoned`] after a failed sync,
    /// [`Error::InvalidOption`] for an image longer than a page. Images go out in groups of up to 1 MiB: those of the groups before the error are in the map, the
    /// others are not.
    pub(crate) fn write_pages(&self, pages: &[PageImage<'_>]) -> Result<()> {
        self.write_pages_for(pages, None)
    }

    /// [`DataFile::write_pages`], on behalf of a commit if it has the privilege.
    pub(crate) fn write_pages_for(
        &self,
        pages: &[PageImage<'_>],
        privilege: Option<Privilege>,
    ) -> Result<()> {
        self.poison.check()?;
        let compressor = Arc::clone(&self.compressor.read());
        let mut batch = Batch::new();
        let mut batch_start = 0;
        for (index, image) in pages.iter().enumerate() {
            self.check_image(image)?;
            if batch.would_overflow(image.raw.len()) && !batch.is_empty() {
                self.write_batch_of_pages(&mut batch, &pages[batch_start..index], privilege)?;
                batch_start = index;
            }
            let identity = ExtentIdentity {
                kind: ExtentKind::Page,
                number: image.page.0,
                stamp: image.commit.0,
            };
            batch.push(self, identity, image.raw, &*compressor)?;
        }
        if !batch.is_empty() {
            self.write_batch_of_pages(&mut batch, &pages[batch_start..], privilege)?;
        }
        Ok(())
    }

    fn check_image(&self, image: &PageImage<'_>) -> Result<()> {
        if image.raw.len() > self.page_size() {
            return Err(Error::InvalidOption {
                name: "page image",
                value: format!("{} bytes for page {}", image.raw.len(), image.page),
                expected: format!("at most the page size of {} bytes", self.page_size),
            });
        }
        Ok(())
    }

    /// Writes a batch and changes the map entries of its pages; leaves the batch empty.
    fn write_batch_of_pages(
        &self,
        batch: &mut Batch,
        pages: &[PageImage<'_>],
        privilege: Option<Privilege>,
    ) -> Result<()> {
        debug_assert_eq!(batch.units.len(), pages.len(), "one extent for each page");
        let new = pages
            .iter()
            .filter(|image| self.map.get(image.page).is_none())
            .count();
        let written = self.write_batch(batch, privilege, Purpose::Pages { new })?;
        let mut kept = Vec::with_capacity(pages.len());
        let mut dropped = Vec::new();
        let mut replaced = Vec::with_capacity(pages.len());

        let numbers = self.numbers.lock();
        // Before the map changes: what a freeze that begins meanwhile may have found there counts as older.
        let epoch = self.space.lock().epoch();
        for (image, written) in pages.iter().zip(&written) {
            let newer = self
                .map
                .get(image.page)
                .is_some_and(|entry| entry.commit > image.commit);
            if newer || numbers.state(image.page) != PageState::Allocated {
                dropped.push(written.units);
                continue;
            }
            let entry = MapEntry {
                offset: written.offset(),
                commit: image.commit,
                length: written.length,
                raw_length: image.raw.len() as u32,
                has_ghosts: image.has_ghosts,
                epoch,
            };
            kept.push(written.units);
            replaced.extend(self.map.set(image.page, Some(entry)));
        }
        let mut space = self.space.lock();
        kept.into_iter().for_each(|units| space.keep(units));
        dropped.into_iter().for_each(|units| space.cancel(units));
        for before in replaced {
            let is_free = space.retire_of(before.place().units(), before.epoch);
            if !is_free && injected::makes(Bug::ExtentReusedTooEarly) {
                space.free_last_retired();
            }
        }
        self.replaced.note(space.counts());
        drop(space);
        drop(numbers);

        self.counters
            .pages_written
            .fetch_add(pages.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Finds room for the extents of a batch and writes them; leaves the batch empty. They stay reserved.
    ///
    /// # Errors
    /// [`Error::Io`]; nothing is reserved then.
    pub(super) fn write_batch(
        &self,
        batch: &mut Batch,
        privilege: Option<Privilege>,
        purpose: Purpose,
    ) -> Result<Vec<Written>> {
        if let Purpose::Pages { new } = purpose
            && new > 0
        {
            self.release_for_new(new);
        }
        let is_front = purpose == Purpose::Map;
        let starts = self.reserve_in(&batch.units, is_front).or_else(|error| {
            let reserved = match (&batch.units[..], privilege) {
                // It lies in the file: it is there whatever keeps that from growing.
                ([units], Some(privilege)) => self.take_reserved(*units, privilege).map(|start| vec![start]),
                _ if !error.is_disk_full() => None,
                (units, _) => self.take_kept(units, purpose),
            };
            reserved.ok_or(error)
        })?;
        let written: Vec<Written> = starts
            .iter()
            .zip(&batch.units)
            .zip(&batch.lengths)
            .map(|((&start, &len), &length)| Written {
                units: UnitRange { start, len },
                length,
            })
            .collect();
        if let Err(source) = self.write_runs(&batch.bytes, &written) {
            self.cancel(&written);
            return Err(self.io_error("write", source));
        }
        batch.clear();
        Ok(written)
    }

    /// Gives the room of written extents back that nothing will refer to.
    pub(super) fn cancel(&self, written: &[Written]) {
        let mut space = self.space.lock();
        for extent in written {
            space.cancel(extent.units);
        }
    }

    /// Writes extents that lie one behind the other in `bytes` to their places, neighbours together.
    pub(super) fn write_runs(&self, bytes: &[u8], written: &[Written]) -> std::io::Result<()> {
        let mut rest = bytes;
        for run in written.chunk_by(|a, b| a.units.end() == b.units.start) {
            let units: u64 = run.iter().map(|extent| extent.units.len).sum();
            let (now, later) = rest.split_at(units as usize * UNIT_BYTES);
            self.file.write_at(now, run[0].offset())?;
            self.counters.wrote(now.len());
            rest = later;
        }
        debug_assert!(rest.is_empty(), "every extent has a place");
        Ok(())
    }

    /// Reserves room for extents of so many units each.
    pub(super) fn reserve(&self, units: &[u64]) -> Result<Vec<u64>> {
        self.reserve_in(units, false)
    }

    /// [`DataFile::reserve`], as far to the front as possible if `front` is set: the page map, which each checkpoint writes, would
    /// keep the end of the file from being cut.
    fn reserve_in(&self, units: &[u64], front: bool) -> Result<Vec<u64>> {
        let mut starts = Vec::with_capacity(units.len());
        if front {
            self.space.lock().reserve_below(u64::MAX, units, &mut starts);
        }
        loop {
            let missing = self.space.lock().reserve(&units[starts.len()..], &mut starts);
            if missing == 0 {
                return Ok(starts);
            }
            if let Err(error) = self.grow(missing) {
                let mut space = self.space.lock();
                for (&start, &len) in starts.iter().zip(units) {
                    space.cancel(UnitRange { start, len });
                }
                return Err(error);
            }
        }
    }

    /// Makes the file longer by at least so many units: by a good piece if the device has it, else by just these.
    fn grow(&self, missing: u64) -> Result<()> {
        let _resizing = self.resize.lock();
        let end = self.space.lock().end();
        let generous = missing.max(growth_units(end));
        let mut grown = generous;
        let mut answer = self.set_units(end + grown);
        if generous > missing && matches!(&answer, Err(error) if error.is_disk_full()) {
            grown = missing;
            answer = self.set_units(end + grown);
        }
        answer?;
        self.space.lock().extend(grown);
        crate::reach::mark(crate::reach::Mechanism::FileGrown);
        Ok(())
    }

    /// Gives free space at the end of the file back to the file system, except for what the file would grow by next.
    pub(super) fn shrink(&self) {
        let keep = growth_units(self.space.lock().end());
        self.cut(keep);
    }

    /// Gives all free space at the end of the file back: it is being closed.
    pub(crate) fn shrink_to_fit(&self) {
        self.cut(0);
    }

    /// Cuts the file's free end to `keep` units, if that is worth it. A failure is logged: the file is only longer than it
    /// need be.
    fn cut(&self, keep: u64) {
        if let Err(error) = self.try_cut(keep) {
            tracing::warn!(%error, "could not cut the free end of the data file");
        }
    }

    fn try_cut(&self, keep: u64) -> Result<()> {
        let _resizing = self.resize.lock();
        let mut space = self.space.lock();
        let cut = space.cut_tail(keep);
        drop(space);
        crate::reach::mark_if(cut.is_some(), crate::reach::Mechanism::FileShrunk);
        let too_much = if injected::makes(Bug::ShrinkCutsTooMuch) {
            keep + 1
        } else {
            0
        };
        cut.map_or(Ok(()), |end| self.set_units(end - too_much))
    }

    fn set_units(&self, units: u64) -> Result<()> {
        let bytes = units * UNIT_BYTES as u64;
        self.file
            .set_len(bytes)
            .map_err(|source| self.io_error("set the length of", source))
    }
}

/// How much a file of so many units grows at a time, in units.
pub(super) fn growth_units(end: u64) -> u64 {
    (end / GROWTH_PART).clamp(*GROWTH_UNITS.start(), *GROWTH_UNITS.end())
}
