//! Creating a data file, and opening one: superblocks, then the whole page map, then everything derived from it.
//!
//! Opening reads nothing but the superblocks and the page map, and writes nothing. What is found is checked in this
//! order: a superblock in force, the file's length, the map's root, each chunk, each entry, that no two extents
//! overlap, that the sums agree with the superblock.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::allocator::{ExtentAllocator, UnitRange};
use super::data_file::{CreateOptions, DataFile, DurableState};
use super::extent::{ExtentIdentity, ExtentKind, ExtentPlace, OVERHEAD_BYTES, UNIT_BYTES};
use super::map_format::{ChunkRef, decode_chunk, decode_root};
use super::page_map::{CHUNK_ENTRIES, MapEntry, PageMap};
use super::page_numbers::PageNumbers;
use super::reading::read_extent;
use super::replaced::Replaced;
use super::stats::Counters;
use super::superblock::{EXTENTS_START, Superblock, is_page_size, is_wal_segment_size};
use crate::compress::compressor_for;
use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition};
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::{Mutex, RwLock};
use crate::vfs::{Vfs, VfsFile};

impl DataFile {
    /// Whether the file holds nothing yet: it is empty, or its creation was cut off before a superblock was complete.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn is_blank(file: &dyn VfsFile, path: &Path) -> Result<bool> {
        let io_error = |source| Error::io("read", path, source);
        if file.len().map_err(io_error)? > EXTENTS_START {
            return Ok(false);
        }
        let head = read_head(file).map_err(io_error)?;
        Ok(Superblock::is_unfinished(&head))
    }

    /// Makes a database without pages out of a blank file, durably but for its name. `file` is the open (and locked)
    /// file at `path`.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for options out of their range, [`Error::NotADatabase`] when the file holds something,
    /// [`Error::Io`].
    pub(crate) fn create(
        vfs: Arc<dyn Vfs>,
        path: &Path,
        file: Arc<dyn VfsFile>,
        options: &CreateOptions,
    ) -> Result<Self> {
        if !is_page_size(options.page_size) {
            return Err(Error::InvalidOption {
                name: "page_size",
                value: options.page_size.to_string(),
                expected: "a power of two from 4096 to 65536".to_owned(),
            });
        }
        if !is_wal_segment_size(options.wal_segment_size) {
            return Err(Error::InvalidOption {
                name: "wal_segment_size",
                value: options.wal_segment_size.to_string(),
                expected: "a multiple of 4096".to_owned(),
            });
        }
        let compressor = compressor_for(options.codec, options.level)?;
        if !Self::is_blank(&*file, path)? {
            return Err(Error::NotADatabase {
                path: path.to_path_buf(),
                what: "it holds something already, so no database is created over it".to_owned(),
            });
        }
        let superblock = Superblock {
            generation: 1,
            database_id: vfs.random(),
            page_size: options.page_size,
            codec: compressor.codec(),
            level: compressor.level(),
            redo: LogPosition(0),
            must_reach: LogPosition(0),
            last_commit: CommitId(0),
            root_offset: 0,
            root_length: 0,
            page_count: 0,
            page_high: 0,
            wal_segment_size: options.wal_segment_size,
            wall_clock_ms: milliseconds(vfs.wall_clock()),
            time_line: 0,
            root_generation: 0,
        };
        let block = superblock.encode();
        let head = [&block[..], &block[..]].concat();
        let wrote = |source| Error::io("write", path, source);
        let synced = |source| Error::io("sync", path, source);
        // Zeros first: a crash then leaves zeros or parts of these blocks, which is how a later start knows it from a
        // file that is no database. What an earlier creation left must be gone: parts of both would be nobody's.
        file.set_len(0).map_err(wrote)?;
        file.set_len(EXTENTS_START).map_err(wrote)?;
        file.sync_all().map_err(synced)?;
        file.write_at(&head, 0).map_err(wrote)?;
        file.sync_all().map_err(synced)?;
        Self::open(vfs, path, file)
    }

    /// Opens a data file. `file` is the open (and locked) file at `path`.
    ///
    /// # Errors
    /// [`Error::NotADatabase`], [`Error::UnsupportedVersion`], [`Error::Corruption`], [`Error::Io`].
    pub(crate) fn open(vfs: Arc<dyn Vfs>, path: &Path, file: Arc<dyn VfsFile>) -> Result<Self> {
        let io_error = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::IsADirectory => Error::NotADatabase {
                path: path.to_path_buf(),
                what: "it is a directory".to_owned(),
            },
            _ => Error::io("read", path, source),
        };
        let head = read_head(&*file).map_err(io_error)?;
        let (superblock, _both_valid) = Superblock::choose(path, &head)?;
        let length = file.len().map_err(io_error)?;
        if length < EXTENTS_START {
            return Err(Error::corruption(
                path,
                None,
                length,
                format!("the file ends inside the superblocks, after {length} bytes: it was truncated"),
            ));
        }
        let compressor = compressor_for(superblock.codec, superblock.level).map_err(|_| {
            Error::corruption(
                path,
                None,
                superblock.slot_offset(),
                format!(
                    "the superblock names codec {} level {}, which this build does not have",
                    superblock.codec, superblock.level
                ),
            )
        })?;

        let id = file.identity().map_err(io_error)?;
        let loaded = LoadedMap::read(&*file, path, &superblock)?;
        let end = length / UNIT_BYTES as u64;
        let space = ExtentAllocator::new(EXTENTS_START / UNIT_BYTES as u64, end, loaded.extents)
            .map_err(|(unit, what)| Error::corruption(path, None, unit * UNIT_BYTES as u64, what))?;

        Ok(Self {
            path: path.to_path_buf(),
            vfs,
            file,
            page_size: superblock.page_size,
            page_commit_at_open: loaded.commit_max,
            is_as_created: Superblock::is_as_created(&head),
            id,
            time_line: AtomicU64::new(superblock.time_line),
            created: AtomicU64::new(0),
            created_with_room: AtomicU64::new(0),
            set_aside: Mutex::default(),
            replaced: Replaced::default(),
            keeps_room: AtomicBool::new(false),
            has_moved: AtomicBool::new(false),
            compressor: RwLock::new(compressor),
            durable: Mutex::new(DurableState {
                superblock,
                chunks: loaded.chunks,
            }),
            superblock: RwLock::new(superblock),
            resize: Mutex::new(()),
            numbers: Mutex::new(loaded.numbers),
            map: loaded.map,
            space: Mutex::new(space),
            reserved: Mutex::default(),
            counters: Counters::default(),
            poison: Arc::default(),
        })
    }
}

/// A page map as it was read, with everything that is derived from it.
struct LoadedMap {
    map: PageMap,
    chunks: BTreeMap<u32, ChunkRef>,
    numbers: PageNumbers,
    extents: Vec<UnitRange>,
    commit_max: CommitId,
}

impl LoadedMap {
    fn read(file: &dyn VfsFile, path: &Path, superblock: &Superblock) -> Result<Self> {
        let refs = read_root(file, path, superblock)?;
        let map = PageMap::new();
        let mut extents: Vec<UnitRange> = root_place(superblock).iter().map(ExtentPlace::units).collect();
        let mut commit_max = CommitId(0);
        for of in &refs {
            extents.push(of.place.units());
            let entries = read_chunk(file, path, superblock.page_size, of)?;
            for entry in entries.iter().flatten() {
                extents.push(entry.place().units());
                commit_max = commit_max.max(entry.commit);
            }
            map.load_chunk(of.chunk, entries);
        }
        let pages: u64 = refs.iter().map(|of| u64::from(of.pages)).sum();
        let page_high = refs.last().map_or(0, ChunkRef::page_high);
        if (pages, page_high) != (superblock.page_count.into(), superblock.page_high) {
            return Err(Error::corruption(
                path,
                None,
                superblock.slot_offset(),
                format!(
                    "the page map has {pages} pages up to number {page_high}, the superblock says {} up to {}",
                    superblock.page_count, superblock.page_high
                ),
            ));
        }
        let mut in_use = Vec::with_capacity(pages as usize);
        map.for_each(|page, _| in_use.push(page.0));
        Ok(Self {
            map,
            chunks: refs.into_iter().map(|of| (of.chunk, of)).collect(),
            numbers: PageNumbers::new(in_use.into_iter()),
            extents,
            commit_max,
        })
    }
}

/// The chunks that the superblock's root lists.
pub(super) fn read_root(file: &dyn VfsFile, path: &Path, superblock: &Superblock) -> Result<Vec<ChunkRef>> {
    let Some(place) = root_place(superblock) else {
        return Ok(Vec::new());
    };
    let identity = ExtentIdentity {
        kind: ExtentKind::MapRoot,
        number: 0,
        stamp: superblock.root_generation,
    };
    let corruption = |what| Error::corruption(path, None, place.offset, what);
    place.check().map_err(corruption)?;
    let mut raw = Vec::new();
    read_extent(file, path, identity, place, &mut raw)?;
    decode_root(&raw).map_err(corruption)
}

/// The entries of a chunk.
pub(super) fn read_chunk(
    file: &dyn VfsFile,
    path: &Path,
    page_size: u32,
    of: &ChunkRef,
) -> Result<[Option<MapEntry>; CHUNK_ENTRIES]> {
    let identity = ExtentIdentity {
        kind: ExtentKind::MapChunk,
        number: of.chunk,
        stamp: of.generation,
    };
    let mut raw = Vec::new();
    read_extent(file, path, identity, of.place, &mut raw)?;
    decode_chunk(of, &raw, page_size).map_err(|what| Error::corruption(path, None, of.place.offset, what))
}

/// Where the page map's root lies, which is never compressed; `None` for an empty map.
pub(super) fn root_place(superblock: &Superblock) -> Option<ExtentPlace> {
    (superblock.root_offset != 0).then(|| ExtentPlace {
        offset: superblock.root_offset,
        length: superblock.root_length,
        raw_length: superblock.root_length.saturating_sub(OVERHEAD_BYTES as u32),
    })
}

/// The superblock in force.
///
/// # Errors
/// As [`Superblock::choose`], [`Error::Io`].
pub(crate) fn read_superblock(file: &dyn VfsFile, path: &Path) -> Result<Superblock> {
    let head = read_head(file).map_err(|source| Error::io("read", path, source))?;
    Superblock::choose(path, &head).map(|(superblock, _)| superblock)
}

/// The bytes of both superblocks, fewer when the file is shorter.
pub(super) fn read_head(file: &dyn VfsFile) -> std::io::Result<Vec<u8>> {
    let mut head = vec![0; EXTENTS_START as usize];
    let mut filled = 0;
    while filled < head.len() {
        match file.read_at(&mut head[filled..], filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    head.truncate(filled);
    Ok(head)
}

/// Milliseconds since 1970-01-01 UTC; 0 for a clock before that.
pub(super) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
