//! What sets the uses of segment files apart: sequence numbers and positions that only grow, time lines, salts.

use super::block::BLOCK_BYTES;
use super::discover::FoundFile;
use crate::error::{Error, Result};
use crate::ids::LogPosition;

/// The time line of the segment that `position` is in; 0 for a log that begins.
pub(super) fn time_line_at(found: &[FoundFile], position: LogPosition) -> u64 {
    let file = found.iter().find(|file| file.holds(position));
    file.and_then(|file| file.header.as_ref())
        .map_or(0, |header| header.time_line)
}

/// The time line of a log that begins with this segment: never 0, and another than before even if the randomness starts
/// over, since sequence numbers do not repeat.
pub(super) fn time_line(random: u64, sequence: u64) -> u64 {
    // SplitMix64's last steps (Steele, Lea, Flood 2014).
    let mut z = random ^ sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)).max(1)
}

/// The salt of a segment. Sequence numbers never repeat in a directory, so that mixing one in keeps the salts of a
/// file's uses apart even if the randomness starts over when the database is opened again.
pub(super) fn salt(random: u64, sequence: u64) -> u32 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random.to_le_bytes());
    bytes[8..].copy_from_slice(&sequence.to_le_bytes());
    crc32fast::hash(&bytes)
}

/// The log's positions end here: what is left above is for arithmetic.
const POSITION_MAX: u64 = 1 << 62;

/// A sequence number above all in names and headers.
pub(super) fn first_sequence(found: &[FoundFile]) -> Result<u64> {
    let named = found.iter().map(|file| file.name_sequence);
    let headed = found.iter().filter_map(|file| file.header.as_ref());
    let newest = named.chain(headed.map(|header| header.sequence)).max();
    // Numbers of the next thousand million segments must exist too.
    newest
        .unwrap_or(0)
        .checked_add(1)
        .filter(|sequence| *sequence <= u64::MAX - (1 << 30))
        .ok_or(Error::CapacityExceeded {
            what: "the log's segment numbers",
            limit: u64::MAX,
        })
}

/// Where a log begins that continues at `after`: behind every position that any header speaks of.
pub(super) fn first_start(found: &[FoundFile], after: LogPosition) -> Result<LogPosition> {
    let ends = found
        .iter()
        .filter_map(|file| Some(file.header.as_ref()?.end().0));
    let end = ends.chain([after.0, 1]).max().unwrap_or(1);
    end.checked_next_multiple_of(BLOCK_BYTES as u64)
        .filter(|start| *start <= POSITION_MAX)
        .map(LogPosition)
        .ok_or(Error::CapacityExceeded {
            what: "the log's position space",
            limit: POSITION_MAX,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salts_differ_by_sequence_and_by_randomness() {
        let salts: std::collections::BTreeSet<u32> = (0..1000).map(|sequence| salt(7, sequence)).collect();
        assert_eq!(salts.len(), 1000);
        assert_ne!(salt(7, 1), salt(8, 1));
    }

    #[test]
    fn time_lines_differ_by_sequence_and_by_randomness() {
        let lines: std::collections::BTreeSet<u64> =
            (0..1000).map(|sequence| time_line(7, sequence)).collect();
        assert_eq!(lines.len(), 1000);
        assert_ne!(time_line(7, 1), time_line(8, 1));
    }
}
