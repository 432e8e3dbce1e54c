//! Properties of the data file's formats, for [`crate::fuzzing`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::bytes::put_u32;
use super::data_file::{DataFile, PageImage};
use super::extent::{self, CRC_BYTES, ExtentIdentity, ExtentKind, ExtentPlace, UNIT_BYTES};
use super::map_format::{
    ChunkRef, ENTRY_BYTES, decode_chunk, decode_root, encode_chunk, encode_root_entry, entry_field,
};
use super::page_map::CHUNK_ENTRIES;
use super::superblock::{
    self, EXTENTS_START, FILE_MAGIC, FORMAT_VERSION, SUPERBLOCK_BYTES, Superblock, field,
};
use crate::compress::{Codec, Compressor, NoCompression, compressor_for};
use crate::error::Result;
use crate::fuzzing::Input;
use crate::ids::{CommitId, LogPosition, PageNumber};
use crate::page::fuzzing::{page_image, repair_image};
use crate::vfs::{MemoryVfs, OpenMode, Vfs};

/// What reading each page gave: the commit and the image, `None` for an error.
type Answers = BTreeMap<PageNumber, Option<(Option<CommitId>, Vec<u8>)>>;

const PATH: &str = "/data";
const PAGE_SIZE: u32 = 4096;
/// Bit of the first byte: make magics, lengths and CRCs right.
const REPAIR: u8 = 1;

/// Input: flags, then for each of the two slots the fields behind the magic; or, without repair, the file's beginning.
///
/// # Panics
/// If a property does not hold.
pub fn superblock(input: &[u8]) {
    let mut input = Input(input);
    let flags = input.u8();
    let head = if flags & REPAIR == 0 {
        input.0.to_vec()
    } else {
        let mut head = vec![0; EXTENTS_START as usize];
        for (slot, block) in head.chunks_exact_mut(SUPERBLOCK_BYTES).enumerate() {
            block[..field::VERSION].copy_from_slice(&FILE_MAGIC);
            let fields: [u8; field::END - field::VERSION] = input.array();
            block[field::VERSION..field::END].copy_from_slice(&fields);
            if flags & 4 << slot == 0 {
                put_u32(block, field::VERSION, FORMAT_VERSION);
            }
            let crc = crc32fast::hash(&block[..field::CRC]);
            put_u32(block, field::CRC, crc);
        }
        head
    };
    let Ok((found, _)) = Superblock::choose(Path::new(PATH), &head) else {
        return;
    };
    assert!(superblock::is_page_size(found.page_size));
    assert!(superblock::is_wal_segment_size(found.wal_segment_size));
    let again = found.encode();
    assert!(
        head.chunks(SUPERBLOCK_BYTES).any(|block| *block == again[..]),
        "a superblock encodes to what it was"
    );
    let alone = Superblock::choose(Path::new(PATH), &again[..]);
    assert!(matches!(alone, Ok((alone, false)) if alone == found));
    // What a superblock says of the rest of the file is checked before it is used.
    let vfs = vfs_of(&head);
    if let Ok(file) = open(&vfs) {
        assert!(head.len() as u64 == EXTENTS_START && found.page_count == 0);
        go_on(&vfs, file, &Answers::new());
    }
}

/// Input: flags, page number (4), commit ID (8), page size (by its low bits), length once decompressed (2), codec byte,
/// stored bytes; or, without repair, the whole extent behind the codec byte. A flag says that the stored bytes are a page
/// image whose header is to be made to fit.
///
/// # Panics
/// If a property does not hold.
pub fn stored_page(input: &[u8]) {
    let mut input = Input(input);
    let flags = input.u8();
    let page = PageNumber(input.u32());
    let identity = ExtentIdentity {
        kind: ExtentKind::Page,
        number: page.0,
        stamp: input.u64(),
    };
    let size = 4096usize << (flags >> 4).min(4);
    let raw_len = usize::from(input.u16()) % (size + 1);
    let codec = input.u8();
    let mut raw_length = raw_len;
    let bytes = if flags & REPAIR == 0 {
        input.0.to_vec()
    } else if flags & 2 == 0 {
        extent_of(identity, codec, raw_len, input.0)
    } else {
        let mut image = input.0.to_vec();
        repair_image(&mut image, page, size);
        raw_length = image.len();
        let mut out = Vec::new();
        let length = extent::encode(identity, &image, &*compressor(codec), &mut out).expect("compresses");
        out.truncate(length);
        out
    };
    let mut raw = vec![7];
    match extent::decode(&bytes, identity, raw_length, &mut raw) {
        Ok(()) => assert_eq!(raw.len(), 1 + raw_length),
        Err(_) => {
            assert_eq!(raw, [7], "nothing is appended of a bad extent");
            return;
        }
    }
    raw.remove(0);
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        let mut out = Vec::new();
        let length =
            extent::encode(identity, &raw, &*compressor(codec.to_byte()), &mut out).expect("compresses");
        let mut back = Vec::new();
        assert_eq!(
            extent::decode(&out[..length], identity, raw.len(), &mut back),
            Ok(())
        );
        assert_eq!(back, raw);
    }
    page_image(&raw, page, size);
}

fn compressor(codec: u8) -> Arc<dyn Compressor> {
    let codec = [Codec::None, Codec::Lz4, Codec::Zstd][usize::from(codec) % 3];
    compressor_for(codec, codec.default_level()).unwrap_or_else(|_| Arc::new(NoCompression))
}

/// An extent around stored bytes, with a right CRC.
fn extent_of(identity: ExtentIdentity, codec: u8, raw_len: usize, stored: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let length = extent::encode(identity, stored, &NoCompression, &mut bytes).expect("copies");
    bytes.truncate(length);
    bytes[extent::field::CODEC] = codec;
    put_u32(&mut bytes, extent::field::RAW_BYTES, raw_len as u32);
    let crc = crc32fast::hash(&bytes[..length - CRC_BYTES]);
    put_u32(&mut bytes, length - CRC_BYTES, crc);
    bytes
}

/// Input: flags, then, without repair, length of a root (2 bytes), root, chunk. With repair a list of chunks, each the
/// distance from the one before (4 bytes), the number of its entries (2 bytes) and the entries; from which a whole data
/// file is made, opened and used.
///
/// # Panics
/// If a property does not hold.
pub fn page_map(input: &[u8]) {
    let mut input = Input(input);
    let flags = input.u8();
    if flags & REPAIR != 0 {
        whole_map(&mut input);
        return;
    }
    let len = usize::from(input.u16());
    let root = input.bytes(len);
    let Ok(chunks) = decode_root(root) else { return };
    let mut again = Vec::new();
    chunks
        .iter()
        .for_each(|chunk| encode_root_entry(chunk, &mut again));
    assert_eq!(again, root, "a root encodes to what it was");
    for chunk in &chunks {
        assert!(chunk.page_high() >= chunk.pages - 1);
        same_chunk(chunk, input.0);
    }
}

/// A chunk that decodes encodes to what it was.
fn same_chunk(of: &ChunkRef, raw: &[u8]) {
    if let Ok(entries) = decode_chunk(of, raw, PAGE_SIZE) {
        let mut again = Vec::new();
        assert_eq!(encode_chunk(&entries, &mut again), of.pages);
        assert_eq!(again, raw);
        assert!(
            entries
                .iter()
                .flatten()
                .all(|entry| entry.place().check().is_ok())
        );
    }
}

fn whole_map(input: &mut Input<'_>) {
    let mut bytes = vec![0; EXTENTS_START as usize];
    let mut root = Vec::new();
    let (mut number, mut page_count, mut page_high) = (0_u32, 0, 0);
    for n in 0..8 {
        if input.0.is_empty() {
            break;
        }
        number = number.wrapping_add(input.u32()).wrapping_add(u32::from(n > 0));
        let entries = usize::from(input.u16()) % CHUNK_ENTRIES + 1;
        let mut raw = input.bytes(entries * ENTRY_BYTES).to_vec();
        raw.resize(raw.len().next_multiple_of(ENTRY_BYTES), 0);
        let used = |entry: &[u8]| entry.iter().any(|&byte| byte != 0);
        while raw
            .chunks_exact(ENTRY_BYTES)
            .last()
            .is_some_and(|last| !used(last))
        {
            raw.truncate(raw.len() - ENTRY_BYTES);
        }
        // Most places of pages are to lie behind the map, so that there is something to open.
        for entry in raw.chunks_exact_mut(ENTRY_BYTES).filter(|entry| used(entry)) {
            entry[entry_field::OFFSET] &= 0xFE;
        }
        let pages = raw.chunks_exact(ENTRY_BYTES).filter(|entry| used(entry)).count() as u32;
        if pages == 0 {
            continue;
        }
        let of = ChunkRef {
            chunk: number,
            pages,
            place: append_extent(&mut bytes, ExtentKind::MapChunk, number, &raw),
            generation: 1,
        };
        // The root is refused for a chunk past the last page number, before anybody looks at the chunk.
        if number <= u32::MAX / CHUNK_ENTRIES as u32 {
            same_chunk(&of, &raw);
        }
        page_count += pages;
        page_high = number
            .wrapping_mul(CHUNK_ENTRIES as u32)
            .wrapping_add((raw.len() / ENTRY_BYTES) as u32 - 1);
        encode_root_entry(&of, &mut root);
    }
    if root.is_empty() {
        return;
    }
    let place = append_extent(&mut bytes, ExtentKind::MapRoot, 0, &root);
    let superblock = Superblock {
        generation: 1,
        database_id: 1,
        page_size: PAGE_SIZE,
        codec: Codec::None,
        level: 0,
        redo: LogPosition(0),
        must_reach: LogPosition(0),
        last_commit: CommitId(0),
        root_offset: place.offset,
        root_length: place.length,
        page_count,
        page_high,
        wal_segment_size: 8192,
        wall_clock_ms: 0,
        time_line: 0,
        root_generation: 1,
    };
    bytes[SUPERBLOCK_BYTES..EXTENTS_START as usize].copy_from_slice(&superblock.encode()[..]);
    bytes.resize(bytes.len() + 64 * UNIT_BYTES, 0);
    let vfs = vfs_of(&bytes);
    let Ok(file) = open(&vfs) else { return };
    let mut answers = Answers::new();
    let mut raw = Vec::new();
    file.map.for_each(|page, _| {
        answers.insert(page, None);
    });
    for (page, answer) in &mut answers {
        // None of them can be an extent of that page, unless the input spelled one out.
        *answer = file
            .read_page(*page, &mut raw)
            .ok()
            .map(|commit| (commit, raw.clone()));
    }
    go_on(&vfs, file, &answers);
}

/// Appends an extent, and says where it lies.
fn append_extent(bytes: &mut Vec<u8>, kind: ExtentKind, number: u32, raw: &[u8]) -> ExtentPlace {
    let offset = bytes.len() as u64;
    let identity = ExtentIdentity {
        kind,
        number,
        stamp: 1,
    };
    let length = extent::encode(identity, raw, &NoCompression, bytes).expect("copies");
    ExtentPlace {
        offset,
        length: length as u32,
        raw_length: raw.len() as u32,
    }
}

/// A file that could be opened can be written, checkpointed and opened again, and nothing else in it changes.
fn go_on(vfs: &MemoryVfs, file: DataFile, before: &Answers) {
    let mut found = 0;
    file.verify(&mut |_| found += 1).expect("memory");
    let Ok(page) = file.allocate_page() else { return };
    assert!(!before.contains_key(&page), "page {page} is in use");
    let commit = CommitId(u64::MAX);
    let raw = b"a new page";
    let image = PageImage {
        page,
        commit,
        raw,
        has_ghosts: false,
    };
    file.write_pages(&[image]).expect("memory");
    let superblock = file.superblock();
    let frozen = file.freeze(superblock.last_commit);
    if file
        .commit_checkpoint(frozen, superblock.redo, superblock.must_reach)
        .is_err()
    {
        return;
    }
    drop(file);
    let file = open(vfs).expect("it has just been written");
    let mut out = Vec::new();
    assert_eq!(
        file.read_page(page, &mut out).expect("just written"),
        Some(commit)
    );
    assert_eq!(out, raw);
    for (page, answer) in before {
        let now = file
            .read_page(*page, &mut out)
            .ok()
            .map(|commit| (commit, out.clone()));
        assert_eq!(now, *answer, "page {page} is as it was");
    }
}

fn vfs_of(bytes: &[u8]) -> MemoryVfs {
    let vfs = MemoryVfs::default();
    let mode = OpenMode {
        create: true,
        ..OpenMode::default()
    };
    let file = vfs.open(Path::new(PATH), mode).expect("memory");
    file.write_at(bytes, 0).expect("memory");
    vfs
}

fn open(vfs: &MemoryVfs) -> Result<DataFile> {
    let file = vfs.open(Path::new(PATH), OpenMode::default()).expect("memory");
    DataFile::open(Arc::new(vfs.clone()), Path::new(PATH), file)
}

/// Inputs from real data files.
#[cfg(test)]
pub(crate) mod seeds {
    use super::*;
    use crate::store::CreateOptions;
    use crate::vfs::read_exact_at;

    /// A file with some pages, freed and rewritten ones among them, after some checkpoints.
    fn file_bytes(checkpoints: u64) -> (DataFile, Vec<u8>) {
        let vfs = MemoryVfs::default();
        let mode = OpenMode {
            create: true,
            ..OpenMode::default()
        };
        let file = vfs.open(Path::new(PATH), mode).unwrap();
        let options = CreateOptions {
            page_size: PAGE_SIZE,
            codec: Codec::Lz4,
            level: 0,
            wal_segment_size: 8192,
        };
        let store = DataFile::create(
            Arc::new(vfs.clone()),
            Path::new(PATH),
            Arc::clone(&file),
            &options,
        )
        .unwrap();
        for number in 1..=checkpoints {
            let commit = CommitId(number);
            for part in 0..3 {
                let page = store.allocate_page().unwrap();
                let raw = vec![part; 100 + 1000 * usize::from(part)];
                let raw = &raw;
                store
                    .write_pages(&[PageImage {
                        page,
                        commit,
                        raw,
                        has_ghosts: false,
                    }])
                    .unwrap();
                if part == 1 {
                    store.free_page(page, commit);
                }
            }
            let position = LogPosition(number * 5000);
            store
                .commit_checkpoint(store.freeze(commit), position, position)
                .unwrap();
        }
        let mut bytes = vec![0; file.len().unwrap() as usize];
        read_exact_at(&*file, &mut bytes, 0).unwrap();
        (store, bytes)
    }

    pub(crate) fn superblocks() -> Vec<Vec<u8>> {
        let mut seeds = Vec::new();
        for checkpoints in [0, 1, 2] {
            let (_, bytes) = file_bytes(checkpoints);
            let slots = bytes[..EXTENTS_START as usize].chunks(SUPERBLOCK_BYTES);
            let fields: Vec<u8> = slots
                .flat_map(|slot| slot[field::VERSION..field::END].to_vec())
                .collect();
            for flags in [REPAIR, REPAIR | 4, REPAIR | 8] {
                seeds.push([&[flags], &fields[..]].concat());
            }
            if checkpoints == 1 {
                seeds.push([&[0], &bytes[..EXTENTS_START as usize]].concat());
            }
        }
        seeds
    }

    pub(crate) fn pages() -> Vec<Vec<u8>> {
        let mut seeds = Vec::new();
        for (n, image) in crate::page::fuzzing::seeds::images().into_iter().enumerate() {
            let head = |flags: u8, raw_len: usize, codec: Codec| {
                let mut input = vec![flags];
                input.extend_from_slice(&9_u32.to_le_bytes());
                input.extend_from_slice(&5_u64.to_le_bytes());
                input.extend_from_slice(&(raw_len as u16).to_le_bytes());
                input.push(codec.to_byte());
                input
            };
            seeds.push([head(REPAIR | 2, 0, Codec::Lz4), image.clone()].concat());
            let codec = [Codec::None, Codec::Lz4, Codec::Zstd][n % 3];
            let mut stored = Vec::new();
            compressor(n as u8).compress(&image, &mut stored).unwrap();
            seeds.push([head(REPAIR, image.len(), codec), stored].concat());
            if n == 1 {
                let identity = ExtentIdentity {
                    kind: ExtentKind::Page,
                    number: 9,
                    stamp: 5,
                };
                let mut bytes = Vec::new();
                let length = extent::encode(identity, &image, &NoCompression, &mut bytes).unwrap();
                bytes.truncate(length);
                seeds.push([head(0, image.len(), Codec::None), bytes].concat());
            }
        }
        seeds
    }

    pub(crate) fn maps() -> Vec<Vec<u8>> {
        let mut seeds = Vec::new();
        for checkpoints in [1, 3, 9] {
            let (store, bytes) = file_bytes(checkpoints);
            let superblock = store.superblock();
            let mut entries = [None; CHUNK_ENTRIES];
            store
                .map
                .for_each(|page, entry| entries[page.0 as usize] = Some(entry));
            let mut chunk = Vec::new();
            encode_chunk(&entries, &mut chunk);
            let root_start = superblock.root_offset as usize + extent::HEADER_BYTES;
            let root_len = superblock.root_length as usize - extent::OVERHEAD_BYTES;
            let root = &bytes[root_start..root_start + root_len];
            seeds.push([&[0], &(root_len as u16).to_le_bytes()[..], root, &chunk].concat());
            // The same entries in one chunk and in several, at places behind the map.
            for entry in chunk.chunks_exact_mut(ENTRY_BYTES).filter(|e| e[16] != 0) {
                let offset = 16_384 + 4096 * u64::from(entry[8]);
                entry[..8].copy_from_slice(&offset.to_le_bytes());
            }
            let count = (chunk.len() / ENTRY_BYTES - 1) as u16;
            for distance in [0_u32, 1, 8_388_606] {
                let one = [&distance.to_le_bytes()[..], &count.to_le_bytes(), &chunk].concat();
                seeds.push([&[REPAIR], &one[..]].concat());
                seeds.push([&[REPAIR], &one[..], &one].concat());
            }
        }
        seeds
    }
}
