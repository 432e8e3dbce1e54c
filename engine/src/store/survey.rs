//! Every page image in the data file that is intact, whether the page map knows it or not: for salvage.
//!
//! An extent starts at a multiple of 512 bytes and says what it is, so all of them can be found without superblock and
//! page map: old states of pages among them, until their room is used again.

use std::collections::BTreeMap;
use std::path::Path;

use super::bytes::{u32_at, u64_at};
use super::extent::{
    CRC_BYTES, EXTENT_MAGIC, ExtentIdentity, ExtentKind, ExtentPlace, HEADER_BYTES, OVERHEAD_BYTES,
    UNIT_BYTES, field, units_for,
};
use super::opening::{read_chunk, read_head, read_root};
use super::page_map::CHUNK_ENTRIES;
use super::reading::read_extent;
use super::superblock::{EXTENTS_START, Superblock};
use crate::error::{Error, Result};
use crate::ids::{CommitId, PageNumber};
use crate::vfs::VfsFile;

/// An intact image of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoundImage {
    pub(crate) commit: CommitId,
    place: ExtentPlace,
}

/// What is left of a data file.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The newest usable superblock.
    pub(crate) superblock: Option<Superblock>,
    /// The page map of that superblock. Only the image that it names is known to be the page's: another one of the same
    /// commit may have been made in the middle of it.
    pub(crate) map: BTreeMap<PageNumber, FoundImage>,
    /// Whether all of the map could be read.
    pub(crate) has_whole_map: bool,
    /// Intact images by page, oldest first; of those of one commit the one in the map is the last.
    pub(crate) images: BTreeMap<PageNumber, Vec<FoundImage>>,
    /// The newest damaged image of each page, by what is left of its header.
    pub(crate) damaged: BTreeMap<PageNumber, CommitId>,
    /// Damaged extents.
    pub(crate) damaged_extents: u64,
}

impl Survey {
    /// Reads an image's raw bytes into `out`.
    ///
    /// # Errors
    /// [`Error::Corruption`], [`Error::Io`].
    pub(crate) fn read(
        file: &dyn VfsFile,
        path: &Path,
        page: PageNumber,
        image: &FoundImage,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let identity = ExtentIdentity {
            kind: ExtentKind::Page,
            number: page.0,
            stamp: image.commit.0,
        };
        out.clear();
        read_extent(file, path, identity, image.place, out)
    }

    /// Looks at the whole file, and shows each intact image to `visit`, and whether the page map names it.
    ///
    /// # Errors
    /// [`Error::Io`]; damage is none.
    pub(crate) fn of(
        file: &dyn VfsFile,
        path: &Path,
        mut visit: impl FnMut(PageNumber, CommitId, bool, &[u8]),
    ) -> Result<Self> {
        let io_error = |source| Error::io("read", path, source);
        let mut survey = Self::default();
        survey.read_map(file, path)?;
        let end = file.len().map_err(io_error)?;
        let mut offset = EXTENTS_START;
        let mut raw = Vec::new();
        let mut header = [0; HEADER_BYTES];
        while offset + OVERHEAD_BYTES as u64 <= end {
            let is_whole = file.read_at(&mut header, offset).map_err(io_error)? == HEADER_BYTES;
            let mut units = 1;
            if is_whole && u32_at(&header, field::MAGIC) == EXTENT_MAGIC {
                let stored = u32_at(&header, field::STORED_BYTES) as usize;
                let place = ExtentPlace {
                    offset,
                    length: stored.saturating_add(OVERHEAD_BYTES).min(u32::MAX as usize) as u32,
                    raw_length: u32_at(&header, field::RAW_BYTES),
                };
                match survey.look_at(file, path, &header, place, &mut raw) {
                    Ok(Some((page, image))) => {
                        visit(page, image.commit, survey.map.get(&page) == Some(&image), &raw);
                        units = units_for(stored + OVERHEAD_BYTES);
                    }
                    Ok(None) => units = units_for(stored + OVERHEAD_BYTES),
                    Err(error @ Error::Io { .. }) => return Err(error),
                    Err(_) => {
                        survey.damaged_extents += 1;
                        if header[field::KIND] == ExtentKind::Page as u8 {
                            let page = PageNumber(u32_at(&header, field::NUMBER));
                            let commit = CommitId(u64_at(&header, field::STAMP));
                            let newest = survey.damaged.entry(page).or_default();
                            *newest = commit.max(*newest);
                        }
                    }
                }
            }
            offset += units * UNIT_BYTES as u64;
        }
        for (page, images) in &mut survey.images {
            let mapped = survey.map.get(page);
            images.sort_by_key(|image| (image.commit, mapped == Some(image)));
        }
        Ok(survey)
    }

    /// Reads the extent at `place`; `None` if it is intact but no page's.
    fn look_at(
        &mut self,
        file: &dyn VfsFile,
        path: &Path,
        header: &[u8; HEADER_BYTES],
        place: ExtentPlace,
        raw: &mut Vec<u8>,
    ) -> Result<Option<(PageNumber, FoundImage)>> {
        let kind = [ExtentKind::Page, ExtentKind::MapChunk, ExtentKind::MapRoot]
            .into_iter()
            .find(|kind| *kind as u8 == header[field::KIND])
            .ok_or_else(|| Error::corruption(path, None, place.offset, "unknown kind of extent"))?;
        let identity = ExtentIdentity {
            kind,
            number: u32_at(header, field::NUMBER),
            stamp: u64_at(header, field::STAMP),
        };
        raw.clear();
        place
            .check()
            .map_err(|what| Error::corruption(path, None, place.offset, what))?;
        read_extent(file, path, identity, place, raw)?;
        if kind != ExtentKind::Page {
            return Ok(None);
        }
        let page = PageNumber(identity.number);
        let image = FoundImage {
            commit: CommitId(identity.stamp),
            place,
        };
        self.images.entry(page).or_default().push(image);
        Ok(Some((page, image)))
    }

    fn read_map(&mut self, file: &dyn VfsFile, path: &Path) -> Result<()> {
        let head = read_head(file).map_err(|source| Error::io("read", path, source))?;
        let Ok((superblock, _)) = Superblock::choose(path, &head) else {
            return Ok(());
        };
        self.superblock = Some(superblock);
        let chunks = match read_root(file, path, &superblock) {
            Ok(chunks) => chunks,
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(_) => return Ok(()),
        };
        self.has_whole_map = true;
        for of in &chunks {
            match read_chunk(file, path, superblock.page_size, of) {
                Ok(entries) => {
                    let first = of.chunk * CHUNK_ENTRIES as u32;
                    for (page, entry) in (first..).zip(entries) {
                        if let Some(entry) = entry {
                            let image = FoundImage {
                                commit: entry.commit,
                                place: entry.place(),
                            };
                            self.map.insert(PageNumber(page), image);
                        }
                    }
                }
                Err(error @ Error::Io { .. }) => return Err(error),
                Err(_) => self.has_whole_map = false,
            }
        }
        Ok(())
    }
}

const _: () = assert!(OVERHEAD_BYTES == HEADER_BYTES + CRC_BYTES);

#[cfg(test)]
mod tests {
    use super::super::extent;
    use super::*;
    use crate::compress::NoCompression;
    use crate::vfs::{MemoryVfs, OpenMode, Vfs};

    #[test]
    fn intact_images_are_found_and_damaged_ones_counted() {
        let vfs = MemoryVfs::default();
        let path = Path::new("/survey");
        let mode = OpenMode {
            create: true,
            ..OpenMode::default()
        };
        let file = vfs.open(path, mode).unwrap();
        let mut bytes = Vec::new();
        for (number, stamp) in [(7, 1), (7, 3), (8, 2), (7, 2)] {
            let identity = ExtentIdentity {
                kind: ExtentKind::Page,
                number,
                stamp,
            };
            extent::encode(identity, &[number as u8; 700], &NoCompression, &mut bytes).unwrap();
        }
        bytes[2 * 1024 + 100] ^= 1;
        file.write_at(&bytes, EXTENTS_START).unwrap();
        let mut seen = Vec::new();
        let survey = Survey::of(&*file, path, |page, commit, is_mapped, raw| {
            assert_eq!((raw, is_mapped), (&[page.0 as u8; 700][..], false));
            seen.push((page.0, commit.0));
        })
        .unwrap();
        assert_eq!(seen, [(7, 1), (7, 3), (7, 2)]);
        let commits: Vec<_> = survey.images[&PageNumber(7)].iter().map(|i| i.commit.0).collect();
        assert_eq!(commits, [1, 2, 3]);
        assert_eq!(survey.damaged[&PageNumber(8)], CommitId(2));
        assert!(survey.superblock.is_none() && !survey.has_whole_map && survey.damaged_extents == 1);
    }
}
