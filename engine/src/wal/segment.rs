//! A segment: one file of fixed size, `<sequence in 16 hex digits>.wal`, whose first 4096 bytes are its header and
//! whose rest are frames, then zeros or whatever an earlier use left (which the salt makes unreadable).
//!
//! Header block, little-endian, stored twice (at 0 and at 2048) so that one damaged sector does not hide a segment:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `PALIMWAL` |
//! | 8 | 4 | format version, 1 |
//! | 12 | 4 | salt that seeds the CRC of each frame |
//! | 16 | 8 | sequence number |
//! | 24 | 8 | segment size in bytes |
//! | 32 | 8 | wall-clock time of first use, milliseconds since the Unix epoch |
//! | 40 | 8 | previous end: the log position behind the last frame before this segment |
//! | 48 | 8 | durable: the log position known durable when the segment went into use |
//! | 56 | 4 | CRC-32 of everything before it |
//!
//! The header, not the file name, says which segment a file is: a rename may not have been durable. A file is
//! created by writing zeros over its whole length and syncing, so that later flushes change no metadata.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::{BLOCK_BYTES, Block};
use super::frame::{checksum, u32_at, u64_at};
use super::options::WalOptions;
use crate::error::{Error, Result};
use crate::ids::LogPosition;
use crate::vfs::{OpenMode, Vfs, VfsFile};

/// Size of the header block; the first frame is behind it.
pub(crate) const HEADER_BYTES: usize = BLOCK_BYTES;
/// First eight bytes of a segment.
pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"PALIMWAL";
/// The format that this build writes, and the newest that it reads.
pub(crate) const SEGMENT_VERSION: u32 = 1;
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
    pub(crate) const CRC: usize = 56;
    /// Where the second copy starts.
    pub(crate) const COPY: usize = 2048;
}
const COPY_BYTES: usize = offset::CRC + 4;
const _: () = assert!(offset::COPY >= COPY_BYTES && offset::COPY + COPY_BYTES <= HEADER_BYTES);

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
}

impl SegmentHeader {
    /// Log position of the first byte of the file.
    pub(crate) fn start(&self) -> LogPosition {
        LogPosition(self.sequence * self.segment_size)
    }

    /// Log position of the first frame.
    pub(crate) fn first_frame(&self) -> LogPosition {
        LogPosition(self.start().0 + HEADER_BYTES as u64)
    }

    /// Log position behind the last byte of the file.
    pub(crate) fn end(&self) -> LogPosition {
        LogPosition(self.start().0 + self.segment_size)
    }

    /// Whether `position` is that of a frame, or of the end of the frames, in this segment.
    pub(crate) fn holds(&self, position: LogPosition) -> bool {
        (self.first_frame()..=self.end()).contains(&position)
    }

    /// The header block.
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut copy = [0u8; COPY_BYTES];
        copy[offset::MAGIC..offset::VERSION].copy_from_slice(&SEGMENT_MAGIC);
        copy[offset::VERSION..offset::SALT].copy_from_slice(&SEGMENT_VERSION.to_le_bytes());
        copy[offset::SALT..offset::SEQUENCE].copy_from_slice(&self.salt.to_le_bytes());
        copy[offset::SEQUENCE..offset::SEGMENT_SIZE].copy_from_slice(&self.sequence.to_le_bytes());
        copy[offset::SEGMENT_SIZE..offset::WALL_CLOCK].copy_from_slice(&self.segment_size.to_le_bytes());
        copy[offset::WALL_CLOCK..offset::PREVIOUS_END].copy_from_slice(&self.wall_clock_ms.to_le_bytes());
        copy[offset::PREVIOUS_END..offset::DURABLE].copy_from_slice(&self.previous_end.0.to_le_bytes());
        copy[offset::DURABLE..offset::CRC].copy_from_slice(&self.durable.0.to_le_bytes());
        let crc = checksum(&copy[..offset::CRC], 0);
        copy[offset::CRC..].copy_from_slice(&crc.to_le_bytes());
        let mut block = [0; HEADER_BYTES];
        block[..COPY_BYTES].copy_from_slice(&copy);
        block[offset::COPY..offset::COPY + COPY_BYTES].copy_from_slice(&copy);
        block
    }

    /// Reads a header block (or as much of it as there is). `Ok(None)` when neither copy is a header, which is how
    /// an unused or half-written file looks; an error when the segment was written by a newer version.
    pub(crate) fn decode(block: &[u8], path: &Path) -> Result<Option<Self>> {
        for start in [0, offset::COPY] {
            let Some(copy) = block.get(start..start + COPY_BYTES) else {
                continue;
            };
            let crc_fits = checksum(&copy[..offset::CRC], 0) == u32_at(copy, offset::CRC);
            if copy[..offset::VERSION] != SEGMENT_MAGIC || !crc_fits {
                continue;
            }
            let found = u32_at(copy, offset::VERSION);
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
            };
            header.check(path)?;
            return Ok(Some(header));
        }
        Ok(None)
    }

    /// What no writer would have written, under a good CRC.
    fn check(&self, path: &Path) -> Result<()> {
        let size = self.segment_size;
        let size_fits = size.is_multiple_of(BLOCK_BYTES as u64)
            && (2 * BLOCK_BYTES as u64..=WalOptions::SEGMENT_SIZE_MAX).contains(&size);
        let what = if !size_fits {
            format!("segment size {size}")
        } else if self
            .sequence
            .checked_add(1)
            .and_then(|next| next.checked_mul(size))
            .is_none()
        {
            format!("segment sequence {}", self.sequence)
        } else if self.previous_end > self.start() || self.durable > self.previous_end {
            format!(
                "positions out of order: durable {}, previous end {}, start {}",
                self.durable,
                self.previous_end,
                self.start()
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

/// Creates a segment file full of zeros and makes it durable, name included. A file that cannot be completed (the
/// disk is full) is removed again.
pub(crate) fn create_zeroed(vfs: &dyn Vfs, path: &Path, segment_size: u64) -> Result<()> {
    let result = write_zeros(vfs, path, segment_size);
    if result.is_err() {
        // The first failure is the one to report; what is left over is found and removed at the next start.
        vfs.remove(path).ok();
    }
    result
}

fn write_zeros(vfs: &dyn Vfs, path: &Path, segment_size: u64) -> Result<()> {
    let mode = OpenMode {
        create: true,
        ..OpenMode::default()
    };
    let file = vfs.open(path, mode).map_err(|e| Error::io("create", path, e))?;
    let zeros = vec![0; ZERO_CHUNK_BYTES.min(segment_size) as usize];
    let mut written = 0;
    while written < segment_size {
        let len = ZERO_CHUNK_BYTES.min(segment_size - written);
        file.write_at(&zeros[..len as usize], written)
            .map_err(|e| Error::io("write", path, e))?;
        written += len;
    }
    file.sync_all().map_err(|e| Error::io("sync", path, e))?;
    if let Some(dir) = path.parent() {
        vfs.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
    }
    Ok(())
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
        }
    }

    fn decode(block: &[u8]) -> Result<Option<SegmentHeader>> {
        SegmentHeader::decode(block, Path::new("/wal/x.wal"))
    }

    #[test]
    fn round_trips_and_survives_any_one_flipped_bit() {
        let good = header().encode();
        assert_eq!(decode(&good).unwrap(), Some(header()));
        for bit in 0..good.len() * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bad).unwrap(), Some(header()), "bit {bit}");
        }
    }

    #[test]
    fn no_header_in_zeros_garbage_or_two_damaged_copies() {
        assert_eq!(decode(&[0; HEADER_BYTES]).unwrap(), None);
        assert_eq!(decode(&[0xAB; HEADER_BYTES]).unwrap(), None);
        assert_eq!(decode(&[]).unwrap(), None);
        let mut bad = header().encode();
        bad[20] ^= 1;
        bad[offset::COPY + 13] ^= 1;
        assert_eq!(decode(&bad).unwrap(), None);
        assert_eq!(decode(&header().encode()[..30]).unwrap(), None);
        assert_eq!(decode(&header().encode()[..60]).unwrap(), Some(header()));
    }

    #[test]
    fn impossible_fields_are_corruption_and_newer_versions_unsupported() {
        for bad in [
            SegmentHeader {
                segment_size: 5000,
                ..header()
            },
            SegmentHeader {
                segment_size: 0,
                ..header()
            },
            SegmentHeader {
                sequence: u64::MAX,
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
        let mut newer = header().encode();
        newer[offset::VERSION] = 2;
        let crc = checksum(&newer[..offset::CRC], 0);
        newer[offset::CRC..COPY_BYTES].copy_from_slice(&crc.to_le_bytes());
        let error = decode(&newer).unwrap_err();
        assert!(
            matches!(error, Error::UnsupportedVersion { found: 2, .. }),
            "{error}"
        );
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
        let error = create_zeroed(&vfs, &path, 3 << 20).unwrap_err();
        assert!(error.is_disk_full(), "{error}");
        assert!(!vfs.exists(&path).unwrap());
        vfs.set_capacity(None);
        create_zeroed(&vfs, &path, 3 << 20).unwrap();
        assert_eq!(vfs.used_bytes(), 3 << 20);
    }
}
