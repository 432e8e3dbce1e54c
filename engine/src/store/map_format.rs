//! The page map in the file: chunks of up to 512 entries, and a root that lists the chunks.
//!
//! A chunk is an extent whose raw bytes are 24-byte entries, one for each page number from the chunk's first to its last
//! page in use; the entry of an unused number is all zeros. The root is an extent of 32-byte entries in rising order of
//! chunk numbers, one for each chunk that has pages. A checkpoint writes the chunks that changed and always the root.
//!
//! The root names the generation of each chunk and the superblock that of the root, so an older piece of the map at the
//! same place is never taken for the current one.

use super::bytes::{u32_at, u64_at};
use super::extent::ExtentPlace;
use super::page_map::{CHUNK_ENTRIES, MapEntry, page_at};
use super::page_numbers::PAGE_NUMBER_MAX;
use crate::ids::CommitId;

/// Bytes of one entry of a chunk.
pub(crate) const ENTRY_BYTES: usize = 24;
/// Lowest bit of an entry's offset, which is a multiple of 512: the page's image has deleted rows that wait to be removed.
const HAS_GHOSTS: u64 = 1;
/// Bytes of one entry of the root.
pub(crate) const ROOT_ENTRY_BYTES: usize = 32;

/// Offsets in an entry of a chunk, in bytes.
pub(crate) mod entry_field {
    pub(crate) const OFFSET: usize = 0;
    pub(crate) const COMMIT: usize = 8;
    pub(crate) const LENGTH: usize = 16;
    pub(crate) const RAW_LENGTH: usize = 20;
}

/// Offsets in an entry of the root, in bytes.
pub(crate) mod root_field {
    pub(crate) const CHUNK: usize = 0;
    pub(crate) const PAGES: usize = 4;
    pub(crate) const OFFSET: usize = 8;
    pub(crate) const GENERATION: usize = 16;
    pub(crate) const LENGTH: usize = 24;
    pub(crate) const RAW_LENGTH: usize = 28;
}

/// Where a chunk of the page map lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    /// Number of the chunk.
    pub(crate) chunk: u32,
    /// Pages in the chunk, never 0.
    pub(crate) pages: u32,
    /// Where the chunk's extent lies.
    pub(crate) place: ExtentPlace,
    /// The checkpoint that wrote it.
    pub(crate) generation: u64,
}

impl ChunkRef {
    /// The highest page number that the chunk holds: its entries end with it.
    pub(crate) fn page_high(&self) -> u32 {
        page_at(self.chunk, self.place.raw_length as usize / ENTRY_BYTES - 1).0
    }
}

/// Appends a chunk's entries to `out` up to the last page in use. Returns the number of pages.
pub(crate) fn encode_chunk(entries: &[Option<MapEntry>; CHUNK_ENTRIES], out: &mut Vec<u8>) -> u32 {
    let Some(last) = entries.iter().rposition(Option::is_some) else {
        return 0;
    };
    let mut pages = 0;
    for entry in &entries[..=last] {
        match entry {
            Some(entry) => {
                pages += 1;
                let offset = entry.offset | u64::from(entry.has_ghosts);
                out.extend_from_slice(&offset.to_le_bytes());
                out.extend_from_slice(&entry.commit.0.to_le_bytes());
                out.extend_from_slice(&entry.length.to_le_bytes());
                out.extend_from_slice(&entry.raw_length.to_le_bytes());
            }
            None => out.extend_from_slice(&[0; ENTRY_BYTES]),
        }
    }
    pages
}

/// The entries of a chunk, each checked for what an entry can be in a file of this page size.
///
/// # Errors
/// What was wrong, in words.
pub(crate) fn decode_chunk(
    of: &ChunkRef,
    raw: &[u8],
    page_size: u32,
) -> Result<[Option<MapEntry>; CHUNK_ENTRIES], String> {
    if raw.is_empty() || !raw.len().is_multiple_of(ENTRY_BYTES) || raw.len() > CHUNK_ENTRIES * ENTRY_BYTES {
        return Err(format!("a page-map chunk cannot have {} bytes", raw.len()));
    }
    let mut entries = [None; CHUNK_ENTRIES];
    let mut pages = 0;
    for (index, bytes) in raw.chunks_exact(ENTRY_BYTES).enumerate() {
        if bytes.iter().all(|&byte| byte == 0) {
            continue;
        }
        let page = page_at(of.chunk, index);
        let entry = MapEntry {
            offset: u64_at(bytes, entry_field::OFFSET) & !HAS_GHOSTS,
            commit: CommitId(u64_at(bytes, entry_field::COMMIT)),
            length: u32_at(bytes, entry_field::LENGTH),
            raw_length: u32_at(bytes, entry_field::RAW_LENGTH),
            has_ghosts: u64_at(bytes, entry_field::OFFSET) & HAS_GHOSTS != 0,
            epoch: 0,
        };
        if page.0 == 0 || page.0 > PAGE_NUMBER_MAX {
            return Err(format!("page number {page} cannot exist"));
        }
        entry
            .place()
            .check()
            .map_err(|what| format!("page {page}: {what}"))?;
        if entry.raw_length > page_size {
            return Err(format!("page {page} has {} bytes", entry.raw_length));
        }
        entries[index] = Some(entry);
        pages += 1;
    }
    if entries[raw.len() / ENTRY_BYTES - 1].is_none() {
        return Err("the page-map chunk ends with unused entries".to_owned());
    }
    if pages != of.pages {
        return Err(format!("the chunk has {pages} pages, the root says {}", of.pages));
    }
    Ok(entries)
}

/// Appends the root's entry of a chunk to `out`.
pub(crate) fn encode_root_entry(of: &ChunkRef, out: &mut Vec<u8>) {
    out.extend_from_slice(&of.chunk.to_le_bytes());
    out.extend_from_slice(&of.pages.to_le_bytes());
    out.extend_from_slice(&of.place.offset.to_le_bytes());
    out.extend_from_slice(&of.generation.to_le_bytes());
    out.extend_from_slice(&of.place.length.to_le_bytes());
    out.extend_from_slice(&of.place.raw_length.to_le_bytes());
}

/// The chunks of a root, in rising order.
///
/// # Errors
/// What was wrong, in words.
pub(crate) fn decode_root(raw: &[u8]) -> Result<Vec<ChunkRef>, String> {
    if raw.is_empty() || !raw.len().is_multiple_of(ROOT_ENTRY_BYTES) {
        return Err(format!("a page-map root cannot have {} bytes", raw.len()));
    }
    let mut chunks: Vec<ChunkRef> = Vec::with_capacity(raw.len() / ROOT_ENTRY_BYTES);
    for bytes in raw.chunks_exact(ROOT_ENTRY_BYTES) {
        let chunk = ChunkRef {
            chunk: u32_at(bytes, root_field::CHUNK),
            pages: u32_at(bytes, root_field::PAGES),
            place: ExtentPlace {
                offset: u64_at(bytes, root_field::OFFSET),
                length: u32_at(bytes, root_field::LENGTH),
                raw_length: u32_at(bytes, root_field::RAW_LENGTH),
            },
            generation: u64_at(bytes, root_field::GENERATION),
        };
        let number = chunk.chunk;
        if number > u32::MAX / CHUNK_ENTRIES as u32 {
            return Err(format!("page-map chunk {number} cannot exist"));
        }
        if chunks.last().is_some_and(|before| before.chunk >= number) {
            return Err(format!("page-map chunk {number} is out of order"));
        }
        chunk
            .place
            .check()
            .map_err(|what| format!("page-map chunk {number}: {what}"))?;
        let raw_length = chunk.place.raw_length as usize;
        let entries = raw_length / ENTRY_BYTES;
        if !raw_length.is_multiple_of(ENTRY_BYTES)
            || !(1..=CHUNK_ENTRIES).contains(&entries)
            || !(1..=entries).contains(&(chunk.pages as usize))
        {
            return Err(format!(
                "page-map chunk {number} cannot have {} pages in {} bytes",
                chunk.pages, raw_length
            ));
        }
        chunks.push(chunk);
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::extent::OVERHEAD_BYTES;

    const PAGE_SIZE: u32 = 8192;

    fn entry(n: u64) -> MapEntry {
        MapEntry {
            offset: 8192 + n * 512,
            commit: CommitId(n),
            length: 32 + n as u32 % 4096,
            raw_length: 8192,
            has_ghosts: n.is_multiple_of(3),
            epoch: 0,
        }
    }

    fn chunk_ref(chunk: u32, pages: u32, raw: &[u8]) -> ChunkRef {
        ChunkRef {
            chunk,
            pages,
            place: ExtentPlace {
                offset: 512 * 40,
                length: (OVERHEAD_BYTES + raw.len().min(100)) as u32,
                raw_length: raw.len() as u32,
            },
            generation: 3,
        }
    }

    #[test]
    fn chunks_round_trip() {
        let mut entries = [None; CHUNK_ENTRIES];
        let mut raw = Vec::new();
        assert_eq!(encode_chunk(&entries, &mut raw), 0);
        assert!(raw.is_empty());
        for last in [1, 5, 511] {
            entries[last] = Some(entry(last as u64));
            raw.clear();
            let pages = encode_chunk(&entries, &mut raw);
            assert_eq!(raw.len(), (last + 1) * ENTRY_BYTES);
            let of = chunk_ref(2, pages, &raw);
            assert_eq!(of.page_high(), 1024 + last as u32);
            assert_eq!(decode_chunk(&of, &raw, PAGE_SIZE), Ok(entries));
        }
    }

    #[test]
    fn impossible_chunks_are_refused() {
        let mut entries = [None; CHUNK_ENTRIES];
        entries[1] = Some(entry(9));
        let mut raw = Vec::new();
        encode_chunk(&entries, &mut raw);
        let refused = |chunk: u32, pages: u32, raw: &[u8], page_size: u32, what: &str| {
            let message = decode_chunk(&chunk_ref(chunk, pages, raw), raw, page_size).unwrap_err();
            assert!(message.contains(what), "{message}");
        };
        refused(0, 1, &[], PAGE_SIZE, "cannot have 0 bytes");
        refused(0, 1, &raw[1..], PAGE_SIZE, "cannot have 47 bytes");
        refused(0, 1, &[0; (CHUNK_ENTRIES + 1) * ENTRY_BYTES], PAGE_SIZE, "bytes");
        refused(0, 2, &raw, PAGE_SIZE, "the root says 2");
        refused(0, 1, &raw, 4096, "page 1 has 8192 bytes");
        refused(0, 1, &raw[ENTRY_BYTES..], PAGE_SIZE, "page number 0");
        refused(
            0,
            1,
            &[&raw[..], &[0; ENTRY_BYTES]].concat(),
            PAGE_SIZE,
            "unused entries",
        );
        let mut odd = raw.clone();
        odd[ENTRY_BYTES] = 2;
        refused(0, 1, &odd, PAGE_SIZE, "multiple of 512");
        odd = raw.clone();
        odd[ENTRY_BYTES + entry_field::LENGTH] = 31;
        refused(0, 1, &odd, PAGE_SIZE, "31 bytes");

        let mut last = [None; CHUNK_ENTRIES];
        last[511] = Some(entry(9));
        raw.clear();
        encode_chunk(&last, &mut raw);
        refused(u32::MAX / 512, 1, &raw, PAGE_SIZE, "page number 4294967295");
    }

    #[test]
    fn roots_round_trip_and_impossible_ones_are_refused() {
        let chunks: Vec<ChunkRef> = [0, 1, 7, u32::MAX / 512]
            .map(|chunk| chunk_ref(chunk, 2, &[0; 48]))
            .to_vec();
        let encode = |chunks: &[ChunkRef]| {
            let mut raw = Vec::new();
            for chunk in chunks {
                encode_root_entry(chunk, &mut raw);
            }
            raw
        };
        assert_eq!(decode_root(&encode(&chunks)), Ok(chunks.clone()));
        let refused = |change: &dyn Fn(&mut Vec<ChunkRef>), what: &str| {
            let mut changed = chunks.clone();
            change(&mut changed);
            let message = decode_root(&encode(&changed)).unwrap_err();
            assert!(message.contains(what), "{message}");
        };
        refused(&|c| c.swap(0, 1), "out of order");
        refused(&|c| c[1] = c[0], "out of order");
        refused(&|c| c[3].chunk += 1, "cannot exist");
        refused(&|c| c[0].pages = 3, "cannot have 3 pages");
        refused(&|c| c[0].pages = 0, "cannot have 0 pages");
        refused(&|c| c[0].place.offset += 1, "multiple");
        refused(&|c| c[0].place.length = 10, "10 bytes");
        refused(&|c| c.clear(), "0 bytes");
        assert!(decode_root(&[0; 33]).is_err());
    }

    proptest! {
        #[test]
        fn noise_never_panics(raw in prop::collection::vec(any::<u8>(), 0..2000), pages in any::<u32>()) {
            let of = ChunkRef { pages, ..chunk_ref(1, 1, &raw) };
            drop(decode_chunk(&of, &raw, PAGE_SIZE));
            drop(decode_root(&raw));
        }
    }
}
