//! Torn or damaged? Both look the same at the first invalid frame (the *hole*). They differ in what came later: a crash
//! tears only bytes that were never durable, so a guard, or the commit mark of a later frame, that says that the log was
//! durable past the hole proves damage. Frames behind a hole without that proof are the scattered rest of unsynced writes.

use super::frame::{self, FRAME_BYTES_MIN, FRAME_MAGIC};
use super::guard;
use super::segment::SegmentHeader;
use crate::ids::{CommitId, LogPosition};

/// A proof that the log was durable past a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    /// The guard, or the frame with the mark, that says so.
    pub(super) place: LogPosition,
    /// How far it says the log was durable.
    pub(super) durable: LogPosition,
}

/// Looks through `bytes`, a segment's file, from `offset` on, for a guard, or a valid frame of a commit after `last`, that
/// records a durable position above `hole`.
pub(super) fn find_evidence(
    bytes: &[u8],
    offset: usize,
    header: &SegmentHeader,
    hole: LogPosition,
    last: Option<CommitId>,
) -> Option<Evidence> {
    find_guard(bytes, offset, header, hole)
        .or_else(|| find_mark(header.frames(bytes), offset, header, hole, last))
}

fn find_guard(bytes: &[u8], offset: usize, header: &SegmentHeader, hole: LogPosition) -> Option<Evidence> {
    guard::all_from(bytes, offset)
        .filter(|(_, guard)| {
            // One of an earlier use of the file tells nothing of this one.
            (guard.database_id, guard.sequence) == (header.database_id, header.sequence)
                && guard.durable > hole
        })
        .map(|(at, guard)| Evidence {
            place: LogPosition(header.start().0 + at as u64),
            durable: guard.durable,
        })
        .max_by_key(|evidence| evidence.durable)
}

fn find_mark(
    bytes: &[u8],
    mut offset: usize,
    header: &SegmentHeader,
    hole: LogPosition,
    last: Option<CommitId>,
) -> Option<Evidence> {
    while let Some(found) = next_magic(bytes, offset) {
        let rest = &bytes[found..];
        offset = found + 1;
        // Frames of an earlier use of the file are far more likely here than those of this log: tell by their
        // commit ID before computing a CRC.
        if rest.len() < FRAME_BYTES_MIN
            || last.is_some_and(|last| frame::u64_at(rest, frame::COMMIT_OFFSET) <= last.0)
        {
            continue;
        }
        let Ok(decoded) = frame::decode(rest, header.salt) else {
            continue;
        };
        offset = found + decoded.size;
        let position = LogPosition(header.start().0 + found as u64);
        let durable = decoded
            .mark
            .and_then(|mark| position.0.checked_sub(mark.durable_distance));
        if let Some(durable) = durable.filter(|&durable| durable > hole.0) {
            return Some(Evidence {
                place: position,
                durable: LogPosition(durable),
            });
        }
    }
    None
}

/// The next place at or after `offset` where a frame's magic is.
pub(super) fn next_magic(bytes: &[u8], mut offset: usize) -> Option<usize> {
    let magic = FRAME_MAGIC.to_le_bytes();
    while offset + magic.len() <= bytes.len() {
        // Unused space is zeros: pass it eight bytes at a time.
        if bytes.len() - offset >= 8 && frame::u64_at(bytes, offset) == 0 {
            offset += 8;
        } else if bytes[offset..].starts_with(&magic) {
            return Some(offset);
        } else {
            offset += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::guard::Guard;
    use super::*;
    use crate::ids::PageNumber;
    use crate::wal::frame::{FrameKind, StoredMark};

    fn header() -> SegmentHeader {
        SegmentHeader {
            salt: 77,
            sequence: 1,
            start: LogPosition(64 << 10),
            ..SegmentHeader::unused(64 << 10, 9)
        }
    }

    fn put_frame(bytes: &mut [u8], at: usize, commit: u64, durable: Option<u64>, salt: u32) {
        let mark = durable.map(|durable| StoredMark {
            frame_count: 1,
            wall_clock_delta_ms: 0,
            durable_distance: header().start().0 + at as u64 - durable,
        });
        let mut out = Vec::new();
        frame::begin(&mut out, PageNumber(1), CommitId(commit), FrameKind::Delta, mark);
        frame::finish(&mut out, 0).unwrap();
        frame::seal(&mut out, salt);
        bytes[at..at + out.len()].copy_from_slice(&out);
    }

    fn find(bytes: &[u8], hole: u64) -> Option<u64> {
        let found = find_evidence(bytes, 4096, &header(), LogPosition(hole), Some(CommitId(10)));
        found.map(|evidence| evidence.durable.0)
    }

    #[test]
    fn only_a_later_valid_frame_that_says_so_is_evidence() {
        let start = header().start().0;
        let hole = start + 5000;
        let mut bytes = vec![0; 64 << 10];
        assert_eq!(find(&bytes, hole), None);
        put_frame(&mut bytes, 6001, 12, Some(hole), 77);
        assert_eq!(find(&bytes, hole), None, "durable up to the hole, not past it");
        put_frame(&mut bytes, 7003, 13, None, 77);
        assert_eq!(find(&bytes, hole), None, "no mark");
        put_frame(&mut bytes, 8005, 14, Some(hole + 1), 78);
        assert_eq!(find(&bytes, hole), None, "another salt");
        put_frame(&mut bytes, 9007, 10, Some(hole + 1), 77);
        assert_eq!(find(&bytes, hole), None, "an old commit");
        put_frame(&mut bytes, (60 << 10) - 40, 15, Some(hole + 1), 77);
        assert_eq!(find(&bytes, hole), Some(hole + 1));
    }

    #[test]
    fn guards_of_this_segment_from_the_block_of_the_hole_on_are_evidence() {
        let start = header().start().0;
        let hole = start + 5000;
        let mut bytes = vec![0; 64 << 10];
        let own = Guard::of(&header(), LogPosition(hole + 1));
        let block = |number: usize| number * 4096..(number + 1) * 4096;
        for other in [
            Guard {
                database_id: 8,
                ..own
            },
            Guard { sequence: 2, ..own },
            Guard {
                durable: LogPosition(hole),
                ..own
            },
        ] {
            other.put(&mut bytes[block(2)]);
            assert_eq!(
                find_evidence(&bytes, 5000, &header(), LogPosition(hole), None),
                None
            );
        }
        for number in 0..16 {
            bytes.fill(0);
            own.put(&mut bytes[block(number)]);
            let found = find_evidence(&bytes, 5000, &header(), LogPosition(hole), None);
            assert_eq!(found.is_some(), number >= 1, "block {number}");
        }
    }

    #[test]
    fn magic_is_found_at_every_alignment_and_at_the_end() {
        for at in 0..40 {
            let mut bytes = vec![0; 44];
            bytes[at..at + 4].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
            assert_eq!(next_magic(&bytes, 0), Some(at));
            assert_eq!(next_magic(&bytes, at + 1), None);
        }
    }
}
