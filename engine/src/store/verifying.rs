//! Checking everything in the file: each extent's bytes, the map against the extents, and the accounts of space.
//!
//! Runs beside readers and writers (each page is checked in a state that was current while it ran) and keeps
//! checkpoints waiting.

use super::allocator::UnitRange;
use super::data_file::{DataFile, DurableState};
use super::extent::{ExtentPlace, UNIT_BYTES};
use super::opening::{read_chunk, read_head, read_root, root_place};
use super::page_map::MapEntry;
use super::superblock::Superblock;
use crate::error::{Error, Result};
use crate::ids::PageNumber;
use crate::vfs::read_exact_at;

/// What a verification has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Page images read and found good.
    pub pages: u64,
    /// Pieces of the page map read and found good.
    pub map_extents: u64,
    /// Lengths of the page images before compression, in bytes.
    pub raw_bytes: u64,
    /// Length of all extents read, padding included, in bytes.
    pub extent_bytes: u64,
    /// Usable superblocks, of 2; 1 after a crash in a checkpoint, until the next one.
    pub superblocks: u32,
}

impl DataFile {
    /// Checks the whole file.
    ///
    /// # Errors
    /// The first damage found as [`Error::Corruption`]; [`Error::Io`].
    pub fn verify(&self) -> Result<VerifyReport> {
        let mut first = None;
        let report = self.verify_each(&mut |error| {
            first.get_or_insert(error);
        })?;
        first.map_or(Ok(report), Err)
    }

    /// Checks the whole file and hands every damage found to `on_damage`, pages that cannot be read among it. What the
    /// report counts is good.
    ///
    /// # Errors
    /// [`Error::Io`] when superblocks or page map cannot be read; damage is no error here.
    pub fn verify_each(&self, on_damage: &mut dyn FnMut(Error)) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        let durable = self.durable.lock();
        self.verify_superblocks(&durable, &mut report, on_damage)?;
        self.verify_map(&durable, &mut report, on_damage)?;
        let entries = self.verify_space(&durable, on_damage);
        let mut raw = Vec::new();
        for (page, entry) in entries {
            let checked = self
                .read_page(page, &mut raw)
                .and_then(|commit| Ok((commit.is_some(), self.verify_padding(page, entry)?)));
            match checked {
                Ok((true, ())) => {
                    report.pages += 1;
                    report.raw_bytes += raw.len() as u64;
                    report.extent_bytes += entry.place().units().len * UNIT_BYTES as u64;
                }
                Ok((false, ())) => {}
                // One bad sector must not hide what else is wrong.
                Err(error) => on_damage(error),
            }
        }
        Ok(report)
    }

    fn verify_superblocks(
        &self,
        durable: &DurableState,
        report: &mut VerifyReport,
        on_damage: &mut dyn FnMut(Error),
    ) -> Result<()> {
        let head = read_head(&*self.file).map_err(|source| self.io_error("read", source))?;
        match Superblock::choose(&self.path, &head) {
            Ok((found, _)) if found != durable.superblock => on_damage(self.corruption(
                None,
                durable.superblock.slot_offset(),
                "the superblock in force is not the one last written",
            )),
            Ok((_, both)) => report.superblocks = 1 + u32::from(both),
            Err(error) => damage_or_failure(error, on_damage)?,
        }
        Ok(())
    }

    /// The durable map's extents against what is known of them.
    fn verify_map(
        &self,
        durable: &DurableState,
        report: &mut VerifyReport,
        on_damage: &mut dyn FnMut(Error),
    ) -> Result<()> {
        let mut good = |place: Option<ExtentPlace>| {
            report.map_extents += u64::from(place.is_some());
            report.extent_bytes += place.map_or(0, |place| place.units().len * UNIT_BYTES as u64);
        };
        match read_root(&*self.file, &self.path, &durable.superblock) {
            Ok(refs) if !refs.iter().eq(durable.chunks.values()) => on_damage(self.corruption(
                None,
                durable.superblock.root_offset,
                "the page map's root lists other chunks than are in use",
            )),
            Ok(_) => good(root_place(&durable.superblock)),
            Err(error) => damage_or_failure(error, on_damage)?,
        }
        for of in durable.chunks.values() {
            match read_chunk(&*self.file, &self.path, self.page_size, of) {
                Ok(_) => good(Some(of.place)),
                Err(error) => damage_or_failure(error, on_damage)?,
            }
        }
        Ok(())
    }

    /// The accounts of space against the map; returns the map's entries.
    fn verify_space(
        &self,
        durable: &DurableState,
        on_damage: &mut dyn FnMut(Error),
    ) -> Vec<(PageNumber, MapEntry)> {
        let mut entries = Vec::new();
        // Entries and accounts change together under this lock.
        let _numbers = self.numbers.lock();
        self.map.for_each(|page, entry| entries.push((page, entry)));
        let map_places = durable.chunks.values().map(|of| of.place);
        let places = map_places
            .chain(root_place(&durable.superblock))
            .chain(entries.iter().map(|(_, entry)| entry.place()));
        let live: Vec<UnitRange> = places.map(|place| place.units()).collect();
        if let Err((unit, what)) = self.space.lock().check(&live) {
            on_damage(self.corruption(None, unit * UNIT_BYTES as u64, what));
        }
        entries
    }

    /// The bytes between the extent and the next whole unit are zeros, or the page lies elsewhere by now.
    fn verify_padding(&self, page: PageNumber, entry: MapEntry) -> Result<()> {
        let place = entry.place();
        let start = place.offset + u64::from(place.length);
        let mut padding = vec![0; (place.units().end() * UNIT_BYTES as u64 - start) as usize];
        let answer = read_exact_at(&*self.file, &mut padding, start);
        if self.map.get(page) != Some(entry) {
            return Ok(());
        }
        answer.map_err(|source| self.io_error("read", source))?;
        if padding.iter().any(|&byte| byte != 0) {
            return Err(self.corruption(Some(page), start, "the extent's padding is not zero"));
        }
        Ok(())
    }
}

/// Damage goes to the visitor; a file that cannot be read ends the verification.
fn damage_or_failure(error: Error, on_damage: &mut dyn FnMut(Error)) -> Result<()> {
    match error {
        Error::Io { .. } => Err(error),
        damage => {
            on_damage(damage);
            Ok(())
        }
    }
}
