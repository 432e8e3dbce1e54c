//! A segment: one file whose size is fixed when it is made, `<sequence in 16 hex digits>.wal`. Its first and its last 4096 bytes hold a copy each
//! of its header; between them are frames, then zeros or whatever an earlier use left (which the salt makes unreadable).
//! The two copies are as far apart as they can be, because a disk loses blocks, and blocks beside each other.
//!
//! A copy, little-endian, is one sector, which a disk writes whole or not at all:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `PALIMWAL` |
//! | 8 | 4 | format version, 3 |
//! | 12 | 4 | salt that seeds the CRC of each frame |
//! | 16 | 8 | sequence number; 0 in a file that was never used |
//! | 24 | 8 | segment size in bytes |
//! | 32 | 8 | wall-clock time of first use, milliseconds since the Unix epoch |
//! | 40 | 8 | previous end: the log position behind the last frame before this segment |
//! | 48 | 8 | durable: the log position known durable when the segment went into use |
//! | 56 | 8 | ID of the database |
//! | 64 | 8 | time line: drawn by each opening that writes, for the stretch of log that it writes |
//! | 72 | 8 | time line of the segment before |
//! | 80 | 8 | start: the log position of the first byte of the file |
//! | 88 | 420 | zeros |
//! | 508 | 4 | CRC-32 of everything before it |
//!
//! The header, not the file name, says which segment a file is: a rename may not have been durable. Of two copies that
//! differ the one with the higher sequence number counts: the other is of the use before, and the flush that was to
//! replace both was cut off.
//!
//! A file is created by writing zeros over its whole length, with headers of sequence number 0 at both ends, and syncing, so
//! that later flushes change no metadata. From then on at least one copy is valid whatever a crash tears: a file
//! without any is half-made, or damaged. That is told by its guards ([`super::guard`]).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::{BLOCK_BYTES, Block};
use super::frame::{checksum, u32_at, u64_at};
use super::options::WalOptions;
use crate::error::{Error, Result};
use crate::ids::LogPosition;
use crate::vfs::{FileId, OpenMode, Vfs, VfsFile};

/// Size of the block at the start of the file, and of the one at its end, that hold the header.
pub(crate) const HEADER_BYTES: usize = BLOCK_BYTES;
/// First eight bytes of a segment.
pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"PALIMWAL";
/// The format that this build writes and reads.
pub(crate) const SEGMENT_VERSION: u32 = 3;
/// Bytes of one copy of the header.
pub(crate) const COPY_BYTES: usize = 512;
/// Offsets of the header's fields.
pub(crate) mod offset {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = 8;
    pub(crate) const SALT: usize = 12;
    pub(crate) const SEQUENCE: usize = 16;
    pub(crate) const SEGMENT_SIZE: usize = 24;
    pub(crate) const WALL_CLOCK: usize = 32;
    pub(crate) const PREVIOUS_END: usize = 40;
    pub(crate) const DURABLE: usize = 48;
    pub(crate) const DATABASE_ID: usize = 56;
    pub(crate) const TIME_LINE: usize = 64;
    pub(crate) const PREVIOUS_TIME_LINE: usize = 72;
    pub(crate) const START: usize = 80;
    #[cfg(any(test, fuzzing))]
    pub(crate) const END: usize = 88;
    pub(crate) const CRC: usize = super::COPY_BYTES - 4;
    /// Where version 1 had its CRC.
    pub(crate) const CRC_OF_VERSION_1: usize = 56;
}

/// Zeros are written in chunks of this many bytes.
const ZERO_CHUNK_BYTES: u64 = 1 << 20;

/// What a segment says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) salt: u32,
    pub(crate) sequence: u64,
    pub(crate) segment_size: u64,
    pub(crate) wall_clock_ms: u64,
    pub(crate) previous_end: LogPosition,
    pub(crate) durable: LogPosition,
    pub(crate) database_id: u64,
    pub(crate) time_line: u64,
    pub(crate) previous_time_line: u64,
    /// Log position of the first byte of the file.
    pub(crate) start: LogPosition,
}

impl SegmentHeader {
    /// The header of a file that was never used.
    pub(crate) fn unused(segment_size: u64, database_id: u64) -> Self {
        Self {
            salt: 0,
            sequence: 0,
            segment_size,
            wall_clock_ms: 0,
            previous_end: LogPosition(0),
            durable: LogPosition(0),
            database_id,
            time_line: 0,
            previous_time_line: 0,
            start: LogPosition(0),
        }
    }

    /// Log position of the first byte of the file.
    pub(crate) fn start(&self) -> LogPosition {
        self.start
    }

    /// Log position of the first frame.
    pub(crate) fn first_frame(&self) -> LogPosition {
        LogPosition(self.start.0 + HEADER_BYTES as u64)
    }

    /// Log position behind the last byte that a frame can be in.
    pub(crate) fn frames_end(&self) -> LogPosition {
        LogPosition(self.end().0 - HEADER_BYTES as u64)
    }

    /// Log position behind the last byte of the file.
    pub(crate) fn end(&self) -> LogPosition {
        LogPosition(self.start.0 + self.segment_size)
    }

    /// Whether `position` is that of a frame, or of the end of the frames, in this segment.
    pub(crate) fn holds(&self, position: LogPosition) -> bool {
        (self.first_frame()..=self.frames_end()).contains(&position)
    }

    /// The part of `bytes`, the file's, that frames are in.
    pub(crate) fn frames<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let end = (self.segment_size as usize - HEADER_BYTES).min(bytes.len());
        &bytes[..end]
    }

    /// The block that is written at both ends of the file.
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut block = [0; HEADER_BYTES];
        let copy = &mut block[..COPY_BYTES];
        copy[offset::MAGIC..offset::VERSION].copy_from_slice(&SEGMENT_MAGIC);
        copy[offset::VERSION..offset::SALT].copy_from_slice(&SEGMENT_VERSION.to_le_bytes());
        copy[offset::SALT..offset::SEQUENCE].copy_from_slice(&self.salt.to_le_bytes());
        for (at, number) in [
            (offset::SEQUENCE, self.sequence),
            (offset::SEGMENT_SIZE, self.segment_size),
            (offset::WALL_CLOCK, self.wall_clock_ms),
            (offset::PREVIOUS_END, self.previous_end.0),
            (offset::DURABLE, self.durable.0),
            (offset::DATABASE_ID, self.database_id),
            (offset::TIME_LINE, self.time_line),
            (offset::PREVIOUS_TIME_LINE, self.previous_time_line),
            (offset::START, self.start.0),
        ] {
            copy[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let crc = checksum(&copy[..offset::CRC], 0);
        copy[offset::CRC..].copy_from_slice(&crc.to_le_bytes());
        block
    }

    /// Reads one copy. `Ok(None)` when it is none, which is how a damaged one looks; an error when the segment was
    /// written in another version of the format.
    pub(crate) fn decode(copy: &[u8], path: &Path) -> Result<Option<Self>> {
        let Some(copy) = copy.get(..COPY_BYTES) else {
            return Ok(None);
        };
        if copy[..offset::VERSION] != SEGMENT_MAGIC {
            return Ok(None);
        }
        let found = u32_at(copy, offset::VERSION);
        let crc = if found == 1 {
            offset::CRC_OF_VERSION_1
        } else {
            offset::CRC
        };
        if checksum(&copy[..crc], 0) != u32_at(copy, crc) {
            return Ok(None);
        }
        if found != SEGMENT_VERSION {
            return Err(Error::UnsupportedVersion {
                path: path.to_path_buf(),
                found,
                supported: SEGMENT_VERSION,
            });
        }
        let header = Self {
            salt: u32_at(copy, offset::SALT),
            sequence: u64_at(copy, offset::SEQUENCE),
            segment_size: u64_at(copy, offset::SEGMENT_SIZE),
            wall_clock_ms: u64_at(copy, offset::WALL_CLOCK),
            previous_end: LogPosition(u64_at(copy, offset::PREVIOUS_END)),
            durable: LogPosition(u64_at(copy, offset::DURABLE)),
            database_id: u64_at(copy, offset::DATABASE_ID),
            time_line: u64_at(copy, offset::TIME_LINE),
            previous_time_line: u64_at(copy, offset::PREVIOUS_TIME_LINE),
            start: LogPosition(u64_at(copy, offset::START)),
        };
        header.check(path)?;
        Ok(Some(header))
    }

    /// Of the two copies, the one that counts.
    pub(crate) fn choose(first: Option<Self>, last: Option<Self>) -> Option<Self> {
        first.into_iter().chain(last).max_by_key(|header| header.sequence)
    }

    /// The header of a file whose bytes these are.
    #[cfg(test)]
    pub(crate) fn of_file(bytes: &[u8], path: &Path) -> Result<Option<Self>> {
        let last = &bytes[bytes.len().saturating_sub(HEADER_BYTES)..];
        Ok(Self::choose(
            Self::decode(bytes, path)?,
            Self::decode(last, path)?,
        ))
    }

    /// What no writer would have written, under a good CRC.
    fn check(&self, path: &Path) -> Result<()> {
        let size = self.segment_size;
        let size_fits = size.is_multiple_of(BLOCK_BYTES as u64)
            && (3 * BLOCK_BYTES as u64..=WalOptions::SEGMENT_SIZE_MAX).contains(&size);
        let what = if !size_fits {
            format!("segment size {size}")
        } else if !self.start.0.is_multiple_of(BLOCK_BYTES as u64) || self.start.0.checked_add(size).is_none()
        {
            format!("start position {}", self.start)
        } else if self.previous_end > self.start || self.durable > self.previous_end {
            format!(
                "positions out of order: durable {}, previous end {}, start {}",
                self.durable, self.previous_end, self.start
            )
        } else {
            return Ok(());
        };
        Err(Error::corruption(
            path,
            None,
            0,
            format!("segment header with {what}"),
        ))
    }
}

/// A segment in use: its header and its file, open in the way that flushes write.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn VfsFile>,
}

/// The file of the segment numbered `sequence`.
pub(crate) fn path_of(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("{sequence:016x}.wal"))
}

/// The sequence number in a file's name; `None` for files that are not segments.
pub(crate) fn sequence_of(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".wal")?;
    let canonical = digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    canonical.then(|| u64::from_str_radix(digits, 16).ok())?
}

/// Opens a segment file for flushes.
pub(crate) fn open(vfs: &dyn Vfs, path: &Path, direct: bool) -> Result<Arc<dyn VfsFile>> {
    let mode = OpenMode {
        direct,
        dsync: direct,
        ..OpenMode::default()
    };
    vfs.open(path, mode).map_err(|e| {
        let operation = if direct { "open for direct writes" } else { "open" };
        Error::io(operation, path, e)
    })
}

/// Creates a segment file, zeros between the headers of a file never used, and makes it durable, name included. A file
/// that cannot be completed (the disk is full) is removed again.
pub(crate) fn create(vfs: &dyn Vfs, path: &Path, segment_size: u64, database_id: u64) -> Result<FileId> {
    let result = write_unused(vfs, path, segment_size, database_id);
    if result.is_err() {
        // The first failure is the one to report; what is left over is found and removed at the next start.
        vfs.remove(path).ok();
    }
    result
}

/// Makes a file of this size that was in use look as if it never had been, durably.
pub(crate) fn make_unused(vfs: &dyn Vfs, path: &Path, segment_size: u64, database_id: u64) -> Result<()> {
    let file = open(vfs, path, false)?;
    let header = SegmentHeader::unused(segment_size, database_id).encode();
    for at in [0, segment_size - HEADER_BYTES as u64] {
        file.write_at(&header, at)
            .map_err(|e| Error::io("write", path, e))?;
    }
    file.sync_data().map_err(|e| Error::io("sync", path, e))
}

fn write_unused(vfs: &dyn Vfs, path: &Path, segment_size: u64, database_id: u64) -> Result<FileId> {
    let mode = OpenMode {
        create: true,
        ..OpenMode::default()
    };
    let file = vfs.open(path, mode).map_err(|e| Error::io("create", path, e))?;
    let write = |bytes: &[u8], at| file.write_at(bytes, at).map_err(|e| Error::io("write", path, e));
    let header = SegmentHeader::unused(segment_size, database_id).encode();
    let last = segment_size - HEADER_BYTES as u64;
    let zeros = vec![0; ZERO_CHUNK_BYTES.min(segment_size) as usize];
    let mut written = HEADER_BYTES as u64;
    write(&header, 0)?;
    while written < last {
        let len = ZERO_CHUNK_BYTES.min(last - written);
        write(&zeros[..len as usize], written)?;
        written += len;
    }
    write(&header, last)?;
    file.sync_all().map_err(|e| Error::io("sync", path, e))?;
    if let Some(dir) = path.parent() {
        vfs.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
    }
    file.identity().map_err(|e| Error::io("look at", path, e))
}

/// Milliseconds since the Unix epoch.
pub(crate) fn wall_clock_ms(vfs: &dyn Vfs) -> u64 {
    vfs.wall_clock()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A zero block, for the probe.
pub(crate) fn zero_block() -> Box<Block> {
    Box::new(Block([0; BLOCK_BYTES]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::MemoryVfs;

    fn header() -> SegmentHeader {
        SegmentHeader {
            salt: 0x1234_5678,
            sequence: 3,
            segment_size: 64 << 10,
            wall_clock_ms: 1_700_000_000_000,
            previous_end: LogPosition(3 * (64 << 10) - 17),
            durable: LogPosition(70_000),
            database_id: 0xDA7A,
            time_line: 77,
            previous_time_line: 76,
            start: LogPosition(3 * (64 << 10)),
        }
    }

    fn decode(copy: &[u8]) -> Result<Option<SegmentHeader>> {
        SegmentHeader::decode(copy, Path::new("/wal/x.wal"))
    }

    #[test]
    fn round_trips_and_any_flipped_bit_is_noticed() {
        let good = header().encode();
        assert_eq!(decode(&good).unwrap(), Some(header()));
        for bit in 0..COPY_BYTES * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bad).unwrap(), None, "bit {bit}");
        }
    }

    #[test]
    fn no_header_in_zeros_garbage_or_part_of_one() {
        assert_eq!(decode(&[0; HEADER_BYTES]).unwrap(), None);
        assert_eq!(decode(&[0xAB; HEADER_BYTES]).unwrap(), None);
        assert_eq!(decode(&[]).unwrap(), None);
        assert_eq!(decode(&header().encode()[..COPY_BYTES - 1]).unwrap(), None);
        assert_eq!(decode(&header().encode()[..COPY_BYTES]).unwrap(), Some(header()));
    }

    #[test]
    fn of_two_copies_the_newer_counts_and_either_is_enough() {
        let older = SegmentHeader {
            sequence: 2,
            ..header()
        };
        let newest = |first: &SegmentHeader, last: &SegmentHeader| {
            SegmentHeader::choose(Some(first.clone()), Some(last.clone()))
        };
        assert_eq!(newest(&older, &header()), Some(header()));
        assert_eq!(newest(&header(), &older), Some(header()));
        assert_eq!(
            SegmentHeader::choose(None, Some(older.clone())),
            Some(older.clone())
        );
        assert_eq!(SegmentHeader::choose(Some(older.clone()), None), Some(older));
        assert_eq!(SegmentHeader::choose(None, None), None);
    }

    #[test]
    fn impossible_fields_are_corruption_and_other_versions_unsupported() {
        for bad in [
            SegmentHeader {
                segment_size: 5000,
                ..header()
            },
            SegmentHeader {
                segment_size: 8192,
                ..header()
            },
            SegmentHeader {
                start: LogPosition(u64::MAX - 4095),
                ..header()
            },
            SegmentHeader {
                start: LogPosition(3 * (64 << 10) + 512),
                ..header()
            },
            SegmentHeader {
                previous_end: LogPosition(u64::MAX),
                ..header()
            },
            SegmentHeader {
                durable: LogPosition(3 * (64 << 10)),
                ..header()
            },
        ] {
            let error = decode(&bad.encode()).unwrap_err();
            assert!(matches!(error, Error::Corruption { .. }), "{error}");
        }
        for (version, crc_at, word) in [
            (1, offset::CRC_OF_VERSION_1, "older"),
            (2, offset::CRC, "older"),
            (4, offset::CRC, "newer"),
        ] {
            let mut other = header().encode();
            other[offset::VERSION] = version;
            let crc = checksum(&other[..crc_at], 0);
            other[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
            let error = decode(&other).unwrap_err();
            assert!(
                matches!(error, Error::UnsupportedVersion { found, supported: 3, .. } if found == u32::from(version)),
                "{error}"
            );
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn names_are_read_back_and_others_ignored() {
        let dir = Path::new("/wal");
        assert_eq!(
            path_of(dir, 0x1F),
            Path::new("/wal/000000000000001f.wal").to_path_buf()
        );
        assert_eq!(sequence_of(&path_of(dir, u64::MAX)), Some(u64::MAX));
        for other in [
            "1f.wal",
            "000000000000001F.wal",
            "000000000000001f",
            "+00000000000001f.wal",
            "data",
        ] {
            assert_eq!(sequence_of(&dir.join(other)), None, "{other}");
        }
    }

    #[test]
    fn a_file_that_does_not_fit_is_not_left_behind() {
        let vfs = MemoryVfs::default();
        vfs.create_dir(Path::new("/wal")).unwrap();
        let path = path_of(Path::new("/wal"), 1);
        vfs.set_capacity(Some(100_000));
        let error = create(&vfs, &path, 3 << 20, 7).unwrap_err();
        assert!(error.is_disk_full(), "{error}");
        assert!(!vfs.exists(&path).unwrap());
        vfs.set_capacity(None);
        create(&vfs, &path, 3 << 20, 7).unwrap();
        assert_eq!(vfs.used_bytes(), 3 << 20);
    }
}
