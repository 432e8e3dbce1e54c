//! Checking everything in the file: each extent's bytes, the map against the extents, and the accounts of space.
//!
//! Runs beside readers and writers (each page is checked in a state that was current while it ran) and keeps
//! checkpoints waiting.

use super::allocator::UnitRange;
use super::data_file::{DataFile, DurableState};
use super::extent::UNIT_BYTES;
use super::opening::{read_chunk, read_head, read_root, root_place};
use super::page_map::MapEntry;
use super::superblock::Superblock;
use crate::error::{Error, Result};
use crate::ids::PageNumber;
use crate::vfs::read_exact_at;

impl DataFile {
    /// Checks the whole file and hands every damage found to `on_damage`, pages that cannot be read among it. Returns
    /// how many page images were found good.
    ///
    /// # Errors
    /// [`Error::Io`] when superblocks or page map cannot be read; damage is no error here.
    pub(crate) fn verify(&self, on_damage: &mut dyn FnMut(Error)) -> Result<u64> {
        let mut good = 0;
        let durable = self.durable.lock();
        self.verify_superblocks(&durable, on_damage)?;
        self.verify_map(&durable, on_damage)?;
        let entries = self.verify_space(&durable, on_damage);
        let mut raw = Vec::new();
        for (page, entry) in entries {
            let checked = self
                .read_page(page, &mut raw)
                .and_then(|commit| Ok((commit.is_some(), self.verify_padding(page, entry)?)));
            match checked {
                Ok((is_there, ())) => good += u64::from(is_there),
                // One bad sector must not hide what else is wrong.
                Err(error) => on_damage(error),
            }
        }
        Ok(good)
    }

    fn verify_superblocks(&self, durable: &DurableState, on_damage: &mut dyn FnMut(Error)) -> Result<()> {
        let head = read_head(&*self.file).map_err(|source| self.io_error("read", source))?;
        match Superblock::choose(&self.path, &head) {
            Ok((found, _)) if found != durable.superblock => on_damage(self.corruption(
                None,
                durable.superblock.slot_offset(),
                "the superblock in force is not the one last written",
            )),
            Ok(_) => {}
            Err(error) => damage_or_failure(error, on_damage)?,
        }
        Ok(())
    }

    /// The durable map's extents against what is known of them.
    fn verify_map(&self, durable: &DurableState, on_damage: &mut dyn FnMut(Error)) -> Result<()> {
        match read_root(&*self.file, &self.path, &durable.superblock) {
            Ok(refs) if !refs.iter().eq(durable.chunks.values()) => on_damage(self.corruption(
                None,
                durable.superblock.root_offset,
                "the page map's root lists other chunks than are in use",
            )),
            Ok(_) => {}
            Err(error) => damage_or_failure(error, on_damage)?,
        }
        for of in durable.chunks.values() {
            if let Err(error) = read_chunk(&*self.file, &self.path, self.page_size, of) {
                damage_or_failure(error, on_damage)?;
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
