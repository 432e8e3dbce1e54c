//! Torn or damaged? Both look the same at the first invalid frame (the *hole*). They differ in what came later: a crash
//! tears only bytes that were never durable, so a guard, or the commit mark of a later frame, that says that the log was
//! durable past the hole proves damage. Frames behind a hole without that proof are the scattered rest of unsynced writes.

use super::block::BLOCK_BYTES;
use super::frame::{self, FRAME_BYTES_MIN, FRAME_MAGIC};
use super::guard;
use super::segment::SegmentHeader;
use super::source::{Source, Windows};
use crate::error::Result;
use crate::ids::{CommitId, LogPosition};

/// Bytes of a frame's magic behind its first one.
const MAGIC_BEHIND: usize = size_of::<u32>() - 1;

/// A proof that the log was durable past a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    /// The guard, or the frame with the mark, that says so.
    pub(super) place: LogPosition,
    /// How far it says the log was durable.
    pub(super) durable: LogPosition,
}

/// Looks through a segment's file from `offset` on for a guard, or a valid frame of a commit after `last`, that records a
/// durable position above `hole`. The file is read once, since what is behind a hole can be most of a segment.
///
/// # Errors
/// [`crate::Error::Io`].
pub(super) fn find_evidence(
    source: &mut Source,
    windows: &mut Windows,
    offset: u64,
    header: &SegmentHeader,
    hole: LogPosition,
    last: Option<CommitId>,
) -> Result<Option<Evidence>> {
    let own = (header.database_id, header.sequence);
    let place = |at: u64| LogPosition(header.start().0 + at);
    // A window holds such a piece, and the beginning of what follows.
    let piece = (windows.size() / BLOCK_BYTES).saturating_sub(1).max(1) * BLOCK_BYTES;
    let mut at = offset / BLOCK_BYTES as u64 * BLOCK_BYTES as u64;
    let mut guard: Option<Evidence> = None;
    let mut mark = None;
    let mut from = offset;
    loop {
        let bytes = source.bytes(windows, at, piece + MAGIC_BEHIND)?;
        let bytes = &bytes[..bytes.len().min(piece)];
        if bytes.is_empty() {
            return Ok(guard.or(mark));
        }
        for (found, said) in guard::all_in(bytes) {
            // One of an earlier use of the file tells nothing of this one.
            let is_own = (said.database_id, said.sequence) == own;
            if is_own && said.durable > hole && guard.is_none_or(|best| best.durable <= said.durable) {
                guard = Some(Evidence {
                    place: place(at + found as u64),
                    durable: said.durable,
                });
            }
        }
        at += bytes.len() as u64;
        if mark.is_none() {
            mark = find_mark(source, windows, &mut from, at, header, hole, last)?;
        }
    }
}

/// Looks for a frame with such a mark that begins at `from` or later, before `end`; `from` is afterwards where the next one
/// can begin.
fn find_mark(
    source: &mut Source,
    windows: &mut Windows,
    from: &mut u64,
    end: u64,
    header: &SegmentHeader,
    hole: LogPosition,
    last: Option<CommitId>,
) -> Result<Option<Evidence>> {
    let frames_end = header.frames_end().0 - header.start().0;
    let end = (end + MAGIC_BEHIND as u64).min(frames_end);
    while let Some(found) = source.next_magic(windows, *from, end)? {
        *from = found + 1;
        // Frames of an earlier use of the file are far more likely here than those of this log: tell by their
        // commit ID before computing a CRC.
        let head = source.bytes(windows, found, FRAME_BYTES_MIN)?;
        if head.len() < FRAME_BYTES_MIN || last.is_some_and(|last| frame::commit_of(head) <= last) {
            continue;
        }
        let Ok(decoded) = source.frame(windows, found, frames_end, header.salt)? else {
            continue;
        };
        *from = found + decoded.size as u64;
        let position = LogPosition(header.start().0 + found);
        let durable = decoded
            .mark
            .and_then(|mark| position.0.checked_sub(mark.durable_distance));
        if let Some(durable) = durable.filter(|&durable| durable > hole.0) {
            return Ok(Some(Evidence {
                place: position,
                durable: LogPosition(durable),
            }));
        }
    }
    *from = (*from).max(end.saturating_sub(MAGIC_BEHIND as u64));
    Ok(None)
}

/// The next place at or after `offset` where a frame's magic is.
pub(super) fn next_magic(bytes: &[u8], mut offset: usize) -> Option<usize> {
    /// Bytes that are passed at once where the magic cannot begin.
    const STEP: usize = 64;
    let magic = FRAME_MAGIC.to_le_bytes();
    while offset + magic.len() <= bytes.len() {
        let step = &bytes[offset..bytes.len().min(offset + STEP)];
        if !step
            .iter()
            .fold(false, |is_here, byte| is_here | (*byte == magic[0]))
        {
            offset += step.len();
            continue;
        }
        for _ in 0..step.len() {
            if bytes[offset..].starts_with(&magic) {
                return Some(offset);
            }
            offset += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::guard::Guard;
    use super::super::source::source_of;
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

    /// What is found, whatever the size of the windows.
    fn evidence(bytes: &[u8], offset: u64, hole: u64, last: Option<CommitId>) -> Option<Evidence> {
        let mut found = [64 << 10, 5000, 25].map(|window| {
            let (mut source, mut windows) = source_of(bytes, window);
            find_evidence(
                &mut source,
                &mut windows,
                offset,
                &header(),
                LogPosition(hole),
                last,
            )
            .unwrap()
        });
        assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
        found[0].take()
    }

    fn find(bytes: &[u8], hole: u64) -> Option<u64> {
        evidence(bytes, 4096, hole, Some(CommitId(10))).map(|evidence| evidence.durable.0)
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
            assert_eq!(evidence(&bytes, 5000, hole, None), None);
        }
        for number in 0..16 {
            bytes.fill(0);
            own.put(&mut bytes[block(number)]);
            let found = evidence(&bytes, 5000, hole, None);
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
