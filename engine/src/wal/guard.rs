//! Guards: how far the log was known to be durable, written outside the block that the log ends in.
//!
//! The log ends inside a block more often than not, and that block holds flushes of before as well as the last one. Were it
//! lost, nothing behind it could tell that it was ever there, and commits that were acknowledged long ago would be gone
//! without a word. So a flush leaves a guard, 32 bytes at the very end of a block, that says how far the log was durable
//! before it:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `PGRD` |
//! | 4 | 4 | CRC-32 of what follows |
//! | 8 | 8 | ID of the database |
//! | 16 | 8 | sequence number of the segment |
//! | 24 | 8 | durable: the log position known durable when the guard was written |
//!
//! 1. In the block that the flush ends in, if the frames leave its last sector free. It costs nothing, and one lost sector
//!    does not take both.
//! 2. In the block behind it, if they do not; or if the flush ends in the block that it began in and no guard behind that
//!    block says yet that something in it was durable, behind the position where redo starts: a recovery sees nothing
//!    of what lies before that. For small commits that is once for each block of log, and once for each checkpoint: the one
//!    in force counts, and the one that is being made, whose superblock may be durable before the log hears of it.
//!
//! 3. In the last block of the segment before, once for each segment, when something in this one is durable; also in that
//!    of an earlier process, which the log goes on from: its checkpoint may be the one in force for long.
//!
//! So after every flush, whichever one block or one file is lost, some guard outside it tells that something in it that a
//! recovery needs was durable, if anything was before that flush. Only what the last flush wrote has no witness but itself.
//! A checkpoint's superblock tells how far the log was durable, too, but nothing of later flushes.
//!
//! What a guard says was true when it was written, whatever a crash leaves around it, and it names its segment by itself:
//! in a file that has lost both copies of its header, guards tell whether it was part of the log.

use super::block::BLOCK_BYTES;
use super::frame::{checksum, u32_at, u64_at};
use super::segment::SegmentHeader;
use crate::ids::LogPosition;

/// First four bytes of a guard.
pub(crate) const GUARD_MAGIC: [u8; 4] = *b"PGRD";
/// Size of a guard, in bytes.
pub(crate) const GUARD_BYTES: usize = 32;
/// What a disk loses at least, in bytes.
pub(super) const SECTOR_BYTES: usize = 512;

/// Offsets of the fields.
pub(crate) mod offset {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const CRC: usize = 4;
    pub(crate) const DATABASE_ID: usize = 8;
    pub(crate) const SEQUENCE: usize = 16;
    pub(crate) const DURABLE: usize = 24;
}

/// How far the log was durable when a block was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guard {
    pub(crate) database_id: u64,
    /// Of the segment that it is in.
    pub(crate) sequence: u64,
    pub(crate) durable: LogPosition,
}

impl Guard {
    /// The guard of a flush into this segment, before which the log was durable up to `durable`. While nothing of this
    /// segment is durable, that is where the log ended before: without the header nobody could tell that there is nothing
    /// between there and the segment's beginning.
    pub(super) fn of(header: &SegmentHeader, durable: LogPosition) -> Self {
        let durable = if durable <= header.first_frame() {
            durable.min(header.previous_end)
        } else {
            durable
        };
        Self {
            database_id: header.database_id,
            sequence: header.sequence,
            durable,
        }
    }

    /// Writes it at the end of `block`.
    pub(super) fn put(self, block: &mut [u8]) {
        let at = block.len() - GUARD_BYTES;
        let guard = &mut block[at..];
        guard[offset::MAGIC..offset::CRC].copy_from_slice(&GUARD_MAGIC);
        guard[offset::DATABASE_ID..offset::SEQUENCE].copy_from_slice(&self.database_id.to_le_bytes());
        guard[offset::SEQUENCE..offset::DURABLE].copy_from_slice(&self.sequence.to_le_bytes());
        guard[offset::DURABLE..].copy_from_slice(&self.durable.0.to_le_bytes());
        let crc = checksum(&guard[offset::DATABASE_ID..], 0);
        guard[offset::CRC..offset::DATABASE_ID].copy_from_slice(&crc.to_le_bytes());
    }

    /// The guard at the end of `block`, if there is one.
    pub(super) fn take(block: &[u8]) -> Option<Self> {
        let guard = &block[block.len().checked_sub(GUARD_BYTES)?..];
        let is_intact = guard[..offset::CRC] == GUARD_MAGIC
            && checksum(&guard[offset::DATABASE_ID..], 0) == u32_at(guard, offset::CRC);
        is_intact.then(|| Self {
            database_id: u64_at(guard, offset::DATABASE_ID),
            sequence: u64_at(guard, offset::SEQUENCE),
            durable: LogPosition(u64_at(guard, offset::DURABLE)),
        })
    }
}

/// The guards in `bytes`, which begin with a block, and where each is.
pub(super) fn all_in(bytes: &[u8]) -> impl Iterator<Item = (usize, Guard)> {
    bytes
        .chunks_exact(BLOCK_BYTES)
        .zip((BLOCK_BYTES..).step_by(BLOCK_BYTES))
        .filter_map(|(block, end)| Some((end - GUARD_BYTES, Guard::take(block)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_comes_back_from_the_end_of_its_block_and_any_flipped_bit_is_noticed() {
        let guard = Guard {
            database_id: 5,
            sequence: 7,
            durable: LogPosition(70_001),
        };
        let mut bytes = vec![0xEE; 3 * BLOCK_BYTES];
        guard.put(&mut bytes[BLOCK_BYTES..2 * BLOCK_BYTES]);
        let at = 2 * BLOCK_BYTES - GUARD_BYTES;
        assert_eq!(all_in(&bytes).collect::<Vec<_>>(), [(at, guard)]);
        assert_eq!(all_in(&bytes[2 * BLOCK_BYTES..]).count(), 0);
        assert_eq!(all_in(&bytes[..at + GUARD_BYTES - 1]).count(), 0, "cut short");
        for bit in at * 8..2 * BLOCK_BYTES * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(all_in(&bytes).count(), 0, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
