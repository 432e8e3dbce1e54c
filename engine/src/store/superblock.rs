//! The two superblocks: where a checkpoint becomes real.
//!
//! They lie at offsets 0 and 4096, each in its own 4096 bytes. A checkpoint of generation `g` writes slot `g % 2`, so
//! it never touches the slot of the checkpoint before it; a crash in the middle of that one write leaves the older
//! superblock in force. The valid one with the newest generation wins.
//!
//! | slot 0 | slot 1 | opening |
//! |---|---|---|
//! | valid | valid | the newer generation |
//! | valid | damaged | the valid one (a crash interrupted the other's checkpoint) |
//! | damaged | damaged | `Corruption` if the magic is anywhere, else `NotADatabase` |
//! | another format, intact | any | `UnsupportedVersion` |
//!
//! Fields are at fixed offsets ([`field`]), all other bytes up to the CRC are zero.

use std::path::Path;

use super::bytes::{put_u32, put_u64, u16_at, u32_at, u64_at};
use crate::compress::Codec;
use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition};

/// First bytes of a data file, and of its second superblock.
pub(crate) const FILE_MAGIC: [u8; 16] = *b"Palimpsest data\n";
/// Version of the data-file format that this build writes and reads.
pub(crate) const FORMAT_VERSION: u32 = 2;
/// Bytes of one superblock.
pub(crate) const SUPERBLOCK_BYTES: usize = 4096;
/// What a disk writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;
/// Number of superblock slots.
pub(crate) const SUPERBLOCK_SLOTS: u64 = 2;
/// Bytes of both superblocks; extents start here.
pub(crate) const EXTENTS_START: u64 = SUPERBLOCK_SLOTS * SUPERBLOCK_BYTES as u64;
/// Smallest page, in bytes.
pub(crate) const PAGE_SIZE_MIN: u32 = 4096;
/// Largest page, in bytes.
pub(crate) const PAGE_SIZE_MAX: u32 = 65_536;

/// Offsets of the fields, in bytes from the superblock's start.
pub(crate) mod field {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = 16;
    pub(crate) const PAGE_SIZE: usize = 20;
    pub(crate) const GENERATION: usize = 24;
    pub(crate) const DATABASE_ID: usize = 32;
    pub(crate) const REDO_POSITION: usize = 40;
    pub(crate) const MUST_REACH: usize = 48;
    pub(crate) const LAST_COMMIT: usize = 56;
    pub(crate) const ROOT_OFFSET: usize = 64;
    pub(crate) const ROOT_LENGTH: usize = 72;
    pub(crate) const PAGE_COUNT: usize = 76;
    pub(crate) const PAGE_HIGH: usize = 80;
    pub(crate) const CODEC: usize = 84;
    pub(crate) const LEVEL: usize = 85;
    pub(crate) const RESERVED: usize = 86;
    pub(crate) const WAL_SEGMENT_SIZE: usize = 88;
    pub(crate) const WALL_CLOCK_MS: usize = 96;
    pub(crate) const TIME_LINE: usize = 104;
    pub(crate) const ROOT_GENERATION: usize = 112;
    pub(crate) const END: usize = 120;
    pub(crate) const CRC: usize = super::SUPERBLOCK_BYTES - 4;
}

/// One checkpoint, as its superblock describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    /// Number of the superblock, one higher with each checkpoint and each opening; 1 is the empty database at its creation.
    pub(crate) generation: u64,
    /// Random number drawn at creation, which tells files of different databases apart.
    pub(crate) database_id: u64,
    /// Page size in bytes, fixed at creation: a power of two from 4096 to 65536.
    pub(crate) page_size: u32,
    /// Codec for pages written from now on; every page carries its own.
    pub(crate) codec: Codec,
    /// Level of that codec; 0 where it has none.
    pub(crate) level: i32,
    /// Where redo starts.
    pub(crate) redo: LogPosition,
    /// How far the log was durable at this checkpoint: a log that ends before this has been damaged.
    pub(crate) must_reach: LogPosition,
    /// Newest commit that the checkpoint was told to cover.
    pub(crate) last_commit: CommitId,
    /// Offset of the page map's root extent in bytes; 0 for an empty map.
    pub(crate) root_offset: u64,
    /// Length of the root extent in bytes without padding; 0 for an empty map.
    pub(crate) root_length: u32,
    /// Number of pages in the page map.
    pub(crate) page_count: u32,
    /// Highest page number in the page map; 0 when it is empty.
    pub(crate) page_high: u32,
    /// Size of a log segment in bytes, fixed at creation, because log positions are counted with it.
    pub(crate) wal_segment_size: u64,
    /// When the checkpoint was taken, in milliseconds since 1970-01-01 UTC.
    pub(crate) wall_clock_ms: u64,
    /// The time line that the log is in at `redo` and at `must_reach`; 0 at the creation, before there is a log.
    pub(crate) time_line: u64,
    /// Generation of the checkpoint that wrote the page map's root.
    pub(crate) root_generation: u64,
}

/// What a superblock slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Valid(Superblock),
    /// Intact, but of a format that this build does not know, or no longer.
    OtherVersion(u32),
    /// The magic is there, something else is wrong.
    Damaged(&'static str),
    /// Not even the magic is there.
    Foreign,
}

impl Superblock {
    /// Offset of this generation's slot in the file, in bytes.
    pub(crate) fn slot_offset(&self) -> u64 {
        self.generation % SUPERBLOCK_SLOTS * SUPERBLOCK_BYTES as u64
    }

    /// Whether the bytes of this one's slot are a superblock, whole and of another checkpoint or database. Damage is not.
    pub(crate) fn is_replaced_in(&self, slot: &[u8]) -> bool {
        matches!(decode(slot), Slot::Valid(found) if found != *self)
    }

    /// The bytes of the superblock.
    pub(crate) fn encode(&self) -> Box<[u8; SUPERBLOCK_BYTES]> {
        let mut block = Box::new([0; SUPERBLOCK_BYTES]);
        let b = &mut block[..];
        b[field::MAGIC..field::VERSION].copy_from_slice(&FILE_MAGIC);
        put_u32(b, field::VERSION, FORMAT_VERSION);
        put_u32(b, field::PAGE_SIZE, self.page_size);
        put_u64(b, field::GENERATION, self.generation);
        put_u64(b, field::DATABASE_ID, self.database_id);
        put_u64(b, field::REDO_POSITION, self.redo.0);
        put_u64(b, field::MUST_REACH, self.must_reach.0);
        put_u64(b, field::LAST_COMMIT, self.last_commit.0);
        put_u64(b, field::ROOT_OFFSET, self.root_offset);
        put_u32(b, field::ROOT_LENGTH, self.root_length);
        put_u32(b, field::PAGE_COUNT, self.page_count);
        put_u32(b, field::PAGE_HIGH, self.page_high);
        b[field::CODEC] = self.codec.to_byte();
        b[field::LEVEL] = u8::try_from(self.level).unwrap_or(0);
        put_u64(b, field::WAL_SEGMENT_SIZE, self.wal_segment_size);
        put_u64(b, field::WALL_CLOCK_MS, self.wall_clock_ms);
        put_u64(b, field::TIME_LINE, self.time_line);
        put_u64(b, field::ROOT_GENERATION, self.root_generation);
        let crc = crc32fast::hash(&b[..field::CRC]);
        put_u32(b, field::CRC, crc);
        block
    }

    /// Whether the first bytes of a file are those of a creation that was cut off: zeros, or parts of the two equal first
    /// superblocks, neither of them whole. Nothing can have been committed to such a file.
    pub(crate) fn is_unfinished(head: &[u8]) -> bool {
        let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
        head.chunks(SUPERBLOCK_BYTES).all(|slot| {
            // The first sector has all fields, the last one the CRC.
            let (fields, rest) = slot.split_at(SECTOR_BYTES.min(slot.len()));
            let (middle, crc) = rest.split_at(rest.len().saturating_sub(4));
            let is_first = || {
                fields.len() == SECTOR_BYTES
                    && fields.starts_with(&FILE_MAGIC)
                    && u64_at(fields, field::GENERATION) == 1
            };
            is_zero(middle) && (is_zero(fields) || is_zero(crc) && is_first())
        })
    }

    /// Whether the first bytes of a file are those of a creation, whole or cut off: no checkpoint was ever begun, so there
    /// need not be a log.
    pub(crate) fn is_as_created(head: &[u8]) -> bool {
        head.chunks(SUPERBLOCK_BYTES).all(|slot| {
            matches!(decode(slot), Slot::Valid(found) if found.generation == 1) || Self::is_unfinished(slot)
        })
    }

    /// Chooses the superblock in force from the first [`EXTENTS_START`] bytes of a file (fewer, if it is shorter).
    /// Also tells whether both slots were valid.
    ///
    /// # Errors
    /// As the table at the top of this module has it.
    pub(crate) fn choose(file: &Path, head: &[u8]) -> Result<(Self, bool)> {
        let not_a_database = |what: String| Error::NotADatabase {
            path: file.to_path_buf(),
            what,
        };
        if head.is_empty() {
            return Err(not_a_database("the file is empty".to_owned()));
        }
        let slots: Vec<Slot> = (0..SUPERBLOCK_SLOTS as usize)
            .map(|slot| {
                let start = (slot * SUPERBLOCK_BYTES).min(head.len());
                decode(&head[start..(start + SUPERBLOCK_BYTES).min(head.len())])
            })
            .collect();
        if let Some(&found) = slots.iter().find_map(|slot| match slot {
            Slot::OtherVersion(version) => Some(version),
            _ => None,
        }) {
            return Err(Error::UnsupportedVersion {
                path: file.to_path_buf(),
                found,
                supported: FORMAT_VERSION,
            });
        }
        match (slots[0], slots[1]) {
            (Slot::Valid(a), Slot::Valid(b)) => {
                if (a.database_id, a.page_size, a.wal_segment_size)
                    != (b.database_id, b.page_size, b.wal_segment_size)
                {
                    return Err(Error::corruption(
                        file,
                        None,
                        0,
                        "the two superblocks belong to different databases",
                    ));
                }
                let is_older_taken = crate::injected::makes(crate::injected::Bug::OlderSuperblockChosen);
                Ok((
                    if (a.generation >= b.generation) != is_older_taken {
                        a
                    } else {
                        b
                    },
                    true,
                ))
            }
            (Slot::Valid(one), _) | (_, Slot::Valid(one)) => {
                crate::reach::mark(crate::reach::Mechanism::SuperblockFellBack);
                Ok((one, false))
            }
            (Slot::Foreign, Slot::Foreign) => Err(not_a_database(if head.iter().all(|&byte| byte == 0) {
                "it begins with zeros where the superblocks should be".to_owned()
            } else {
                format!(
                    "it does not begin with {:?}",
                    FILE_MAGIC.escape_ascii().to_string()
                )
            })),
            (first, second) => {
                let why = |slot: Slot| match slot {
                    Slot::Damaged(what) => what,
                    _ => "no magic",
                };
                Err(Error::corruption(
                    file,
                    None,
                    0,
                    format!(
                        "neither superblock is usable (first: {}; second: {})",
                        why(first),
                        why(second)
                    ),
                ))
            }
        }
    }
}

/// Checks one slot, outermost first: length, magic, CRC, version, then each field.
fn decode(block: &[u8]) -> Slot {
    if block.len() < FILE_MAGIC.len() || block[..FILE_MAGIC.len()] != FILE_MAGIC {
        return Slot::Foreign;
    }
    if block.len() < SUPERBLOCK_BYTES {
        return Slot::Damaged("the file ends inside it");
    }
    if crc32fast::hash(&block[..field::CRC]) != u32_at(block, field::CRC) {
        return Slot::Damaged("wrong CRC");
    }
    let version = u32_at(block, field::VERSION);
    if version != FORMAT_VERSION {
        return Slot::OtherVersion(version);
    }
    let Some(codec) = Codec::from_byte(block[field::CODEC]) else {
        return Slot::Damaged("unknown codec");
    };
    let found = Superblock {
        generation: u64_at(block, field::GENERATION),
        database_id: u64_at(block, field::DATABASE_ID),
        page_size: u32_at(block, field::PAGE_SIZE),
        codec,
        level: i32::from(block[field::LEVEL]),
        redo: LogPosition(u64_at(block, field::REDO_POSITION)),
        must_reach: LogPosition(u64_at(block, field::MUST_REACH)),
        last_commit: CommitId(u64_at(block, field::LAST_COMMIT)),
        root_offset: u64_at(block, field::ROOT_OFFSET),
        root_length: u32_at(block, field::ROOT_LENGTH),
        page_count: u32_at(block, field::PAGE_COUNT),
        page_high: u32_at(block, field::PAGE_HIGH),
        wal_segment_size: u64_at(block, field::WAL_SEGMENT_SIZE),
        wall_clock_ms: u64_at(block, field::WALL_CLOCK_MS),
        time_line: u64_at(block, field::TIME_LINE),
        root_generation: u64_at(block, field::ROOT_GENERATION),
    };
    let reserved_is_zero =
        u16_at(block, field::RESERVED) == 0 && block[field::END..field::CRC].iter().all(|&byte| byte == 0);
    let problems = [
        (found.generation == 0, "generation 0"),
        (!is_page_size(found.page_size), "impossible page size"),
        (
            !is_wal_segment_size(found.wal_segment_size),
            "impossible log segment size",
        ),
        (found.page_count > found.page_high, "more pages than page numbers"),
        (
            (found.root_offset == 0) != (found.root_length == 0),
            "half a page-map root",
        ),
        (
            (found.root_offset == 0) != (found.page_count == 0),
            "page count and page-map root disagree",
        ),
        (found.redo > found.must_reach, "redo starts behind the log's end"),
        (
            found.root_generation > found.generation,
            "a page map of a later checkpoint",
        ),
        (!reserved_is_zero, "reserved bytes are not zero"),
    ];
    match problems.iter().find(|(wrong, _)| *wrong) {
        Some((_, what)) => Slot::Damaged(what),
        None => Slot::Valid(found),
    }
}

/// Whether pages can have this size (in bytes).
pub(crate) fn is_page_size(bytes: u32) -> bool {
    bytes.is_power_of_two() && (PAGE_SIZE_MIN..=PAGE_SIZE_MAX).contains(&bytes)
}

/// Whether log segments can have this size (in bytes).
pub(crate) fn is_wal_segment_size(bytes: u64) -> bool {
    bytes > 0 && bytes.is_multiple_of(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(generation: u64) -> Superblock {
        Superblock {
            generation,
            database_id: 0x1122_3344_5566_7788,
            page_size: 8192,
            codec: Codec::Zstd,
            level: 19,
            redo: LogPosition(4096),
            must_reach: LogPosition(9000),
            last_commit: CommitId(77),
            root_offset: 8192,
            root_length: 100,
            page_count: 3,
            page_high: 9,
            wal_segment_size: 65_536,
            wall_clock_ms: 1_700_000_000_000,
            time_line: 0xABCD_EF01,
            root_generation: generation,
        }
    }

    fn head(generations: [u64; 2]) -> Vec<u8> {
        generations.iter().flat_map(|&g| *sample(g).encode()).collect()
    }

    fn choose(head: &[u8]) -> Result<(Superblock, bool)> {
        Superblock::choose(Path::new("t.db"), head)
    }

    /// Changes a field and makes the CRC right again.
    fn patched(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let mut block = sample(4).encode().to_vec();
        change(&mut block);
        let crc = crc32fast::hash(&block[..field::CRC]);
        put_u32(&mut block, field::CRC, crc);
        block
    }

    #[test]
    fn the_newer_valid_superblock_wins() {
        assert_eq!(choose(&head([4, 5])).unwrap(), (sample(5), true));
        assert_eq!(choose(&head([6, 5])).unwrap(), (sample(6), true));
        assert_eq!(choose(&head([1, 1])).unwrap(), (sample(1), true));
        assert_eq!(sample(6).slot_offset(), 0);
        assert_eq!(sample(7).slot_offset(), 4096);
    }

    #[test]
    fn a_torn_creation_is_told_from_a_damaged_database() {
        let zeros = vec![0; EXTENTS_START as usize];
        let first = head([1, 1]);
        let torn = |from: &[u8], sectors: &[usize]| {
            let mut torn = zeros.clone();
            for sector in sectors {
                let range = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
                torn[range.clone()].copy_from_slice(&from[range]);
            }
            torn
        };
        for sectors in [&[][..], &[0], &[7], &[0, 8], &[7, 8], &[0, 15], &[1, 2]] {
            assert!(Superblock::is_unfinished(&torn(&first, sectors)), "{sectors:?}");
        }
        assert!(Superblock::is_unfinished(&[]));
        for (head, sectors) in [
            (&first, &[0, 7][..]),
            (&first, &[8, 15]),
            (&head([2, 1]), &[0, 8]),
        ] {
            assert!(!Superblock::is_unfinished(&torn(head, sectors)), "{sectors:?}");
        }
        // No checkpoint has come yet, or one has begun.
        assert!(Superblock::is_as_created(&first) && Superblock::is_as_created(&torn(&first, &[0, 7, 8])));
        assert!(!Superblock::is_as_created(&head([2, 1])));
        let mut begun = first.clone();
        begun[..SECTOR_BYTES].copy_from_slice(&head([2, 1])[..SECTOR_BYTES]);
        assert!(choose(&begun).is_ok() && !Superblock::is_as_created(&begun));
        let mut foreign = zeros.clone();
        foreign[..5].copy_from_slice(b"hello");
        assert!(!Superblock::is_unfinished(&foreign));
        foreign[..5].fill(0);
        foreign[1000] = 1;
        assert!(!Superblock::is_unfinished(&foreign));
    }

    #[test]
    fn each_single_bit_flip_falls_back_to_the_other() {
        let whole = head([6, 5]);
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let other = if bit < SUPERBLOCK_BYTES * 8 { 5 } else { 6 };
            assert_eq!(choose(&flipped).unwrap(), (sample(other), false), "bit {bit}");
        }
    }

    #[test]
    fn two_damaged_superblocks_are_corruption_and_none_at_all_is_no_database() {
        let mut both = head([6, 5]);
        both[100] ^= 1;
        both[4096 + 100] ^= 1;
        let message = choose(&both).unwrap_err().to_string();
        assert!(message.contains("neither superblock is usable"), "{message}");

        for (foreign, what) in [
            (Vec::new(), "empty"),
            (vec![0; 8192], "zeros"),
            (b"SQLite format 3\0".repeat(600), "does not begin"),
            (b"hello".to_vec(), "does not begin"),
        ] {
            let error = choose(&foreign).unwrap_err();
            assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
            assert!(error.to_string().contains(what), "{error}");
        }
        both[0] ^= 1;
        assert!(matches!(choose(&both).unwrap_err(), Error::Corruption { .. }));
        both[4096] ^= 1;
        assert!(matches!(choose(&both).unwrap_err(), Error::NotADatabase { .. }));
    }

    #[test]
    fn a_truncated_head_never_panics() {
        let whole = head([6, 5]);
        for len in 0..whole.len() {
            match choose(&whole[..len]) {
                Ok(found) => {
                    assert!(len >= SUPERBLOCK_BYTES);
                    assert_eq!(found, (sample(6), false));
                }
                Err(Error::NotADatabase { .. }) => assert!(len < FILE_MAGIC.len()),
                Err(error) => {
                    assert!(
                        (FILE_MAGIC.len()..SUPERBLOCK_BYTES).contains(&len),
                        "{len}: {error}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_unknown_version_is_named() {
        for (version, word) in [(1, "older"), (3, "newer")] {
            let other = patched(|block| put_u32(block, field::VERSION, version));
            let error = choose(&[other, sample(5).encode().to_vec()].concat()).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::UnsupportedVersion { found, supported: 2, .. } if found == version
                ),
                "{error}"
            );
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn impossible_fields_are_damage_even_under_a_right_crc() {
        let cases: [(usize, u64, usize); 10] = [
            (field::ROOT_GENERATION, 5, 8),
            (field::GENERATION, 0, 8),
            (field::PAGE_SIZE, 5000, 4),
            (field::PAGE_SIZE, 131_072, 4),
            (field::WAL_SEGMENT_SIZE, 0, 8),
            (field::PAGE_COUNT, 10, 4),
            (field::ROOT_OFFSET, 0, 8),
            (field::PAGE_COUNT, 0, 4),
            (field::REDO_POSITION, 9001, 8),
            (field::END, 1, 8),
        ];
        for (offset, value, width) in cases {
            let block = patched(|block| {
                block[offset..offset + width].copy_from_slice(&value.to_le_bytes()[..width]);
            });
            assert!(matches!(decode(&block), Slot::Damaged(_)), "offset {offset}");
        }
        for (offset, byte) in [(field::CODEC, 9), (field::RESERVED, 1)] {
            assert!(matches!(
                decode(&patched(|block| block[offset] = byte)),
                Slot::Damaged(_)
            ));
        }
    }

    #[test]
    fn superblocks_of_two_databases_are_not_mixed() {
        let mut other = sample(7);
        other.database_id ^= 1;
        let mixed = [sample(6).encode().to_vec(), other.encode().to_vec()].concat();
        assert!(
            choose(&mixed)
                .unwrap_err()
                .to_string()
                .contains("different databases")
        );
    }
}
