//! Giving the end of the file back: extents that lie there are copied into free room further to the front, and the next
//! checkpoint, which is the first that does not need them where they were, cuts the file.
//!
//! Time-ordered data is deleted from its old end, whose pages lie at the front of the file, so free room alone does not
//! make a file shorter. An extent is moved as it is, checked but not decompressed, into room that nothing refers to; then
//! its map entry changes if it is still the same. That is a write of a page like any other: a crash before the next
//! checkpoint leaves the extent where it was.
//!
//! The file is too long when there is more free room than [`Slack`] allows. While it is, new extents go below the length
//! that it should have where they can ([`super::allocator::ExtentAllocator::set_ceiling`]).

use std::collections::BinaryHeap;

use super::allocator::UnitRange;
use super::data_file::DataFile;
use super::extent::{self, UNIT_BYTES};
use super::page_map::MapEntry;
use super::page_numbers::PageState;
use super::reading::page_identity;
use super::writing::{WRITE_BYTES_MAX, Written, growth_units};
use crate::error::{Error, Result};
use crate::ids::PageNumber;
use crate::sync::atomic::Ordering;
use crate::vfs::read_exact_at;

/// Extents moved in one step.
const STEP_EXTENTS: usize = 64;
/// Free room that no file is blamed for, in units (1 MiB).
const FREE_UNITS_MIN: u64 = 2048;
/// How much free room a file may have, measured by what is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slack {
    /// As much as is in use: checkpoints under load need that much now and again.
    Busy,
    /// An eighth: nobody is writing.
    Idle,
    /// The same, however little that is: somebody has asked for it.
    Least,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// The file is as short as it should be.
    ShortEnough,
    /// There is more to move.
    Some,
    /// All that can be is moved, or nothing can be; a checkpoint gives the end of the file back.
    Done,
}

impl DataFile {
    /// The length in units that the file should have, if it is too long.
    fn wanted_end(&self, slack: Slack) -> Option<u64> {
        let space = self.space.lock();
        let counts = space.counts();
        let used = space.end() - counts.free;
        let allowed = match slack {
            Slack::Busy => used,
            Slack::Idle | Slack::Least => used / 8,
        };
        let least = if slack == Slack::Least {
            growth_units(used)
        } else {
            FREE_UNITS_MIN
        };
        let wanted = used + used / 8 + growth_units(used);
        (counts.free > allowed.max(least) && wanted < space.end()).then_some(wanted)
    }

    /// Gives room back that is set aside for commits to come, which may lie at the end of the file. No commit is being
    /// applied.
    pub(crate) fn release_all_aside(&self) {
        self.release_reserved(0);
        self.release_aside();
    }

    /// Whether there is something to give back.
    pub(crate) fn is_too_long(&self, slack: Slack) -> bool {
        self.wanted_end(slack).is_some()
    }

    /// Whether extents have been moved since the last checkpoint began.
    pub(crate) fn has_moved(&self) -> bool {
        self.has_moved.load(Ordering::Relaxed)
    }

    /// The next checkpoint has something to give back.
    pub(crate) fn note_moved(&self) {
        self.has_moved.store(true, Ordering::Relaxed);
    }

    /// Moves some extents from the end of the file to free room further to the front.
    ///
    /// # Errors
    /// I/O errors and [`Error::Corruption`] of an extent to be moved; it stays where it is.
    pub(crate) fn move_tail(&self, slack: Slack) -> Result<Moved> {
        self.poison.check()?;
        let Some(end) = self.wanted_end(slack) else {
            self.space.lock().set_ceiling(None);
            return Ok(Moved::ShortEnough);
        };
        self.space.lock().set_ceiling(Some(end));
        self.move_map_behind(end);
        let last = self.last_extents(end);
        if last.is_empty() {
            return Ok(Moved::Done);
        }
        let moved = self.move_extents(&last, end)?;
        crate::reach::mark_if(moved > 0, crate::reach::Mechanism::ExtentMoved);
        let is_all = moved == last.len() && moved < STEP_EXTENTS;
        Ok(if moved == 0 || is_all {
            Moved::Done
        } else {
            Moved::Some
        })
    }

    /// Has the pieces of the page map that lie behind `end` written anew by the next checkpoint.
    fn move_map_behind(&self, end: u64) {
        let durable = self.durable.lock();
        let behind = durable.chunks.values().filter(|of| of.place.units().end() > end);
        for chunk in behind {
            self.map.mark_dirty(chunk.chunk);
            self.has_moved.store(true, Ordering::Relaxed);
        }
    }

    /// Of the extents behind `end`, the last ones, the very last first.
    fn last_extents(&self, end: u64) -> Vec<(PageNumber, MapEntry)> {
        // The first of those that are kept is on top, to make way for later ones.
        let mut last = BinaryHeap::with_capacity(STEP_EXTENTS + 1);
        self.map.for_each(|page, entry| {
            if entry.place().units().end() > end {
                last.push((std::cmp::Reverse(entry.offset), page.0));
                if last.len() > STEP_EXTENTS {
                    last.pop();
                }
            }
        });
        let pages = last
            .into_sorted_vec()
            .into_iter()
            .map(|(_, page)| PageNumber(page));
        pages
            .filter_map(|page| Some((page, self.map.get(page)?)))
            .collect()
    }

    /// Moves extents below `end`, as many as find room; returns how many those are.
    fn move_extents(&self, extents: &[(PageNumber, MapEntry)], end: u64) -> Result<usize> {
        let mut bytes = Vec::new();
        let mut units = Vec::new();
        let mut moved = Vec::new();
        for &(page, entry) in extents {
            let len = entry.place().units().len;
            let start = bytes.len();
            if start + len as usize * UNIT_BYTES > WRITE_BYTES_MAX && start > 0 {
                break;
            }
            bytes.resize(start + len as usize * UNIT_BYTES, 0);
            if self.copy_extent(page, &entry, &mut bytes[start..start + entry.length as usize])? {
                units.push(len);
                moved.push((page, entry));
            } else {
                bytes.truncate(start);
            }
        }
        let mut starts = Vec::new();
        self.space.lock().reserve_below(end, &units, &mut starts);
        units.truncate(starts.len());
        bytes.truncate(units.iter().sum::<u64>() as usize * UNIT_BYTES);
        let written: Vec<Written> = starts
            .iter()
            .zip(&units)
            .zip(&moved)
            .map(|((&start, &len), (_, entry))| Written {
                units: UnitRange { start, len },
                length: entry.length,
            })
            .collect();
        if let Err(source) = self.write_runs(&bytes, &written) {
            self.cancel(&written);
            return Err(self.io_error("write", source));
        }
        self.switch(&moved, &written);
        Ok(written.len())
    }

    /// Reads an extent as it is and checks it. Returns whether it is still that of the page.
    fn copy_extent(&self, page: PageNumber, entry: &MapEntry, out: &mut [u8]) -> Result<bool> {
        let answer = read_exact_at(&*self.file, out, entry.offset);
        self.counters
            .bytes_read
            .fetch_add(out.len() as u64, Ordering::Relaxed);
        let identity = page_identity(page, entry);
        let mut raw = Vec::new();
        let checked = match answer {
            Ok(()) => extent::decode(out, identity, entry.raw_length as usize, &mut raw)
                .map_err(|what| Error::corruption(&self.path, Some(page), entry.offset, what)),
            Err(source) => Err(self.io_error("read", source)),
        };
        if self.map.get(page) != Some(*entry) {
            return Ok(false);
        }
        checked.map(|()| true)
    }

    /// Points the page map at where extents have been moved to, except for pages that have changed meanwhile.
    fn switch(&self, moved: &[(PageNumber, MapEntry)], written: &[Written]) {
        let numbers = self.numbers.lock();
        // Before the map changes, as for any page that is written.
        let epoch = self.space.lock().epoch();
        let mut kept = Vec::new();
        let mut dropped = Vec::new();
        for ((page, entry), written) in moved.iter().zip(written) {
            if numbers.state(*page) != PageState::Allocated || self.map.get(*page) != Some(*entry) {
                dropped.push(written.units);
                continue;
            }
            let now = MapEntry {
                offset: written.offset(),
                epoch,
                ..*entry
            };
            self.map.set(*page, Some(now));
            kept.push((written.units, entry));
            self.has_moved.store(true, Ordering::Relaxed);
        }
        let mut space = self.space.lock();
        dropped.into_iter().for_each(|units| space.cancel(units));
        for (units, before) in kept {
            space.keep(units);
            space.retire_of(before.place().units(), before.epoch);
        }
        self.replaced.note(space.counts());
    }
}
