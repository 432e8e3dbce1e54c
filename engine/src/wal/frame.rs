//! The frame: the unit of the log, one change of one page. All integers little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `0x377F0682` |
//! | 4 | 4 | size of the whole frame in bytes, with header and CRC |
//! | 8 | 4 | page number; 0 only in an empty commit |
//! | 12 | 8 | commit ID |
//! | 20 | n | page data: kind byte, mark where bit 0x80 of the kind is set, body |
//! | 20 + n | 4 | CRC-32 of everything before it, seeded with the salt of the segment |
//!
//! The mark makes its frame the last of the commit, so that a one-row commit is one frame. It is three varints:
//! the number of frames of the commit, the wall-clock time as signed milliseconds since the segment header's, and
//! the distance in bytes back from the start of this frame to the position that was known durable when it was written.
//!
//! Writing is in two steps. [`begin`] and [`finish`] put a frame into the log buffer without its CRC; [`seal`] fills
//! that in later, by whoever flushes, so that it costs the serial append path nothing. [`decode`] checks magic, size
//! and CRC before it looks at anything else, and never trusts a length.

use std::fmt;
use std::ops::Range;

use super::varint;
use crate::ids::{CommitId, PageNumber};
use crate::injected::{self, Bug};

/// First four bytes of every frame, as a little-endian number.
pub(crate) const FRAME_MAGIC: u32 = 0x377F_0682;
/// Offset of the frame size.
pub(crate) const SIZE_OFFSET: usize = 4;
/// Offset of the page number.
pub(crate) const PAGE_OFFSET: usize = 8;
/// Offset of the commit ID.
pub(crate) const COMMIT_OFFSET: usize = 12;
/// Offset of the page data, which is also the size of the frame header.
pub(crate) const DATA_OFFSET: usize = 20;
/// Size of the CRC at the end.
pub(crate) const CRC_BYTES: usize = 4;
/// The smallest frame: header, kind byte, CRC.
pub(crate) const FRAME_BYTES_MIN: usize = DATA_OFFSET + 1 + CRC_BYTES;
/// Most that a frame has beside its body: header, kind byte, mark and CRC.
pub(crate) const FRAME_BYTES_MAX_BESIDE_BODY: usize = FRAME_BYTES_MIN + 3 * varint::VARINT_BYTES_MAX;
/// Bit of the kind byte: a commit mark follows.
pub(crate) const MARK_BIT: u8 = 0x80;

const _: () = assert!(DATA_OFFSET == COMMIT_OFFSET + 8 && COMMIT_OFFSET == PAGE_OFFSET + 4);

/// What a frame says about its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// Operations on the page, by key.
    Delta,
    /// The whole page: codec byte and bytes.
    Image,
    /// The page is free now.
    Freed,
    /// A commit that changed no page: page number 0, no body, always with a mark.
    Commit,
}

impl FrameKind {
    /// The low bits of the kind byte.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Delta => 1,
            Self::Image => 2,
            Self::Freed => 3,
            Self::Commit => 4,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::Delta, Self::Image, Self::Freed, Self::Commit]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// What the last frame of a commit carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitMark {
    /// How many frames the commit has, this one included.
    pub frame_count: u32,
    /// Time of the commit, in milliseconds since the Unix epoch.
    pub wall_clock_ms: u64,
}

/// A mark as it is stored, relative to its segment and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredMark {
    pub(crate) frame_count: u64,
    pub(crate) wall_clock_delta_ms: i64,
    pub(crate) durable_distance: u64,
}

/// A frame whose checks have passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) size: usize,
    pub(crate) page: PageNumber,
    pub(crate) commit: CommitId,
    pub(crate) kind: FrameKind,
    pub(crate) mark: Option<StoredMark>,
    /// Where the body is, from the start of the frame.
    pub(crate) body: Range<usize>,
}

/// Why there is no frame at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FrameFault {
    /// Too few bytes are left for a frame, or the place was never written.
    Absent,
    /// Something else than a frame.
    Magic(u32),
    /// A size below the minimum or past the end of the segment.
    Size { size: u32, room: usize },
    /// The CRC does not match. `commit` is the unverified commit ID.
    Crc {
        stored: u32,
        computed: u32,
        commit: CommitId,
    },
    /// The CRC matches, but the content makes no sense: never the result of a torn write.
    Malformed(&'static str),
}

impl fmt::Display for FrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => write!(f, "no frame"),
            Self::Magic(found) => write!(f, "frame magic {found:#010x} instead of {FRAME_MAGIC:#010x}"),
            Self::Size { size, room } => {
                write!(
                    f,
                    "frame size {size}, expected {FRAME_BYTES_MIN} to the {room} bytes left"
                )
            }
            Self::Crc { stored, computed, .. } => {
                write!(f, "frame CRC {stored:#010x}, computed {computed:#010x}")
            }
            Self::Malformed(what) => write!(f, "frame with a good CRC but {what}"),
        }
    }
}

/// Starts a frame at the end of `out`; the caller appends the body next and then calls [`finish`].
pub(crate) fn begin(
    out: &mut Vec<u8>,
    page: PageNumber,
    commit: CommitId,
    kind: FrameKind,
    mark: Option<StoredMark>,
) {
    let mut header = [0u8; DATA_OFFSET];
    header[..SIZE_OFFSET].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
    header[PAGE_OFFSET..COMMIT_OFFSET].copy_from_slice(&page.0.to_le_bytes());
    header[COMMIT_OFFSET..].copy_from_slice(&commit.0.to_le_bytes());
    out.extend_from_slice(&header);
    match mark {
        None => out.push(kind.code()),
        Some(mark) => {
            out.push(kind.code() | MARK_BIT);
            varint::put(out, mark.frame_count);
            varint::put(out, varint::zigzag(mark.wall_clock_delta_ms));
            varint::put(out, mark.durable_distance);
        }
    }
}

/// Ends the frame that began at `start`: room for the CRC, and the size. Returns the size in bytes, or `None` (with
/// the frame left unfinished) when it passes 32 bits.
pub(crate) fn finish(out: &mut Vec<u8>, start: usize) -> Option<usize> {
    let size = out.len() - start + CRC_BYTES;
    let stored = u32::try_from(size).ok()?;
    out.extend_from_slice(&[0; CRC_BYTES]);
    out[start + SIZE_OFFSET..start + PAGE_OFFSET].copy_from_slice(&stored.to_le_bytes());
    Some(size)
}

/// Fills the CRC of each frame in `frames`, which holds nothing but finished frames.
pub(crate) fn seal(mut frames: &mut [u8], salt: u32) {
    while !frames.is_empty() {
        let size = u32_at(frames, SIZE_OFFSET) as usize;
        assert!(
            (FRAME_BYTES_MIN..=frames.len()).contains(&size),
            "the log buffer holds whole frames"
        );
        let (frame, rest) = frames.split_at_mut(size);
        let (covered, crc) = frame.split_at_mut(size - CRC_BYTES);
        crc.copy_from_slice(&checksum(covered, salt_used(salt)).to_le_bytes());
        frames = rest;
    }
}

/// CRC-32 seeded with a salt.
pub(crate) fn checksum(bytes: &[u8], salt: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize()
}

fn salt_used(salt: u32) -> u32 {
    if injected::makes(Bug::CrcWithoutSalt) {
        0
    } else {
        salt
    }
}

/// The CRC of a frame that is computed in parts.
pub(super) struct Check(crc32fast::Hasher);

impl Check {
    /// Of a frame in a segment with this salt.
    pub(super) fn new(salt: u32) -> Self {
        Self(crc32fast::Hasher::new_with_initial(salt_used(salt)))
    }

    /// The next part of what the CRC covers.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// What is wrong, if anything is.
    pub(super) fn fault(self, stored: u32, commit: CommitId) -> Option<FrameFault> {
        let computed = self.0.finalize();
        (stored != computed && !injected::makes(Bug::NoFrameCrc)).then_some(FrameFault::Crc {
            stored,
            computed,
            commit,
        })
    }
}

/// The size of the frame that begins with the bytes `head`, where `room` bytes are left for it. Nothing but the size is
/// checked. `head` has as many bytes as the smallest frame, unless there is no room for it.
pub(super) fn size_of(head: &[u8], room: usize) -> Result<usize, FrameFault> {
    if head.len() < FRAME_BYTES_MIN {
        return Err(FrameFault::Absent);
    }
    match u32_at(head, 0) {
        FRAME_MAGIC => {}
        0 => return Err(FrameFault::Absent),
        other => return Err(FrameFault::Magic(other)),
    }
    let size = u32_at(head, SIZE_OFFSET);
    if !(FRAME_BYTES_MIN..=room).contains(&(size as usize)) {
        return Err(FrameFault::Size { size, room });
    }
    Ok(size as usize)
}

/// The commit ID of the frame that begins with the bytes `head`, unchecked.
pub(super) fn commit_of(head: &[u8]) -> CommitId {
    CommitId(u64_at(head, COMMIT_OFFSET))
}

/// The frame at the start of `bytes`, which reach to the end of the segment.
pub(crate) fn decode(bytes: &[u8], salt: u32) -> Result<Decoded, FrameFault> {
    let size = size_of(bytes, bytes.len())?;
    let page = PageNumber(u32_at(bytes, PAGE_OFFSET));
    let commit = CommitId(u64_at(bytes, COMMIT_OFFSET));
    let data_end = size - CRC_BYTES;
    let stored = u32_at(bytes, data_end);
    let computed = checksum(&bytes[..data_end], salt_used(salt));
    if stored != computed && !injected::makes(Bug::NoFrameCrc) {
        return Err(FrameFault::Crc {
            stored,
            computed,
            commit,
        });
    }
    let kind_byte = bytes[DATA_OFFSET];
    let kind = FrameKind::from_code(kind_byte & !MARK_BIT)
        .ok_or(FrameFault::Malformed("an unknown kind of page data"))?;
    let mut rest = &bytes[DATA_OFFSET + 1..data_end];
    let mark = if kind_byte & MARK_BIT == 0 {
        None
    } else {
        Some(take_mark(&mut rest).ok_or(FrameFault::Malformed("a broken commit mark"))?)
    };
    let body = data_end - rest.len()..data_end;
    match (kind, page, mark) {
        (FrameKind::Commit, PageNumber::NONE, Some(_)) if body.is_empty() => {}
        (FrameKind::Commit, ..) => return Err(FrameFault::Malformed("an empty commit that is not empty")),
        (_, PageNumber::NONE, _) => return Err(FrameFault::Malformed("no page number")),
        _ => {}
    }
    Ok(Decoded {
        size,
        page,
        commit,
        kind,
        mark,
        body,
    })
}

fn take_mark(rest: &mut &[u8]) -> Option<StoredMark> {
    Some(StoredMark {
        frame_count: varint::take(rest)?,
        wall_clock_delta_ms: varint::unzigzag(varint::take(rest)?),
        durable_distance: varint::take(rest)?,
    })
}

/// The little-endian number at `offset`, which the caller has checked to be inside `bytes`.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(number)
}

/// The little-endian number at `offset`, which the caller has checked to be inside `bytes`.
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(
        page: u32,
        commit: u64,
        kind: FrameKind,
        mark: Option<StoredMark>,
        body: &[u8],
        salt: u32,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        begin(&mut out, PageNumber(page), CommitId(commit), kind, mark);
        out.extend_from_slice(body);
        finish(&mut out, 0).unwrap();
        seal(&mut out, salt);
        out
    }

    fn kinds() -> impl Strategy<Value = FrameKind> {
        prop_oneof![
            Just(FrameKind::Delta),
            Just(FrameKind::Image),
            Just(FrameKind::Freed)
        ]
    }

    fn marks() -> impl Strategy<Value = Option<StoredMark>> {
        proptest::option::of((any::<u64>(), any::<i64>(), any::<u64>()).prop_map(
            |(count, clock, distance)| StoredMark {
                frame_count: count,
                wall_clock_delta_ms: clock,
                durable_distance: distance,
            },
        ))
    }

    proptest! {
        #[test]
        fn round_trips(
            page in 1u32.., commit: u64, kind in kinds(), mark in marks(), body: Vec<u8>, salt: u32, behind: Vec<u8>,
        ) {
            let mut bytes = encode(page, commit, kind, mark, &body, salt);
            let size = bytes.len();
            bytes.extend_from_slice(&behind);
            let frame = decode(&bytes, salt).unwrap();
            prop_assert_eq!(frame.size, size);
            prop_assert_eq!(frame.page, PageNumber(page));
            prop_assert_eq!(frame.commit, CommitId(commit));
            prop_assert_eq!(frame.kind, kind);
            prop_assert_eq!(frame.mark, mark);
            prop_assert_eq!(&bytes[frame.body], &body[..]);
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>, salt: u32) {
            prop_assert!(decode(&bytes, salt).is_err());
        }

        /// With a good CRC around them, arbitrary page data reach the inner checks.
        #[test]
        fn any_page_data_is_answered(page: u32, data: Vec<u8>, salt: u32) {
            let mut bytes = encode(page, 1, FrameKind::Delta, None, &data, salt);
            bytes.remove(DATA_OFFSET);
            let size = bytes.len() as u32;
            bytes[SIZE_OFFSET..PAGE_OFFSET].copy_from_slice(&size.to_le_bytes());
            if bytes.len() >= FRAME_BYTES_MIN {
                seal(&mut bytes, salt);
            }
            if let Ok(frame) = decode(&bytes, salt) {
                prop_assert!(frame.body.end == bytes.len() - CRC_BYTES && frame.body.start > DATA_OFFSET);
            }
        }

        #[test]
        fn another_salt_never_fits(body: Vec<u8>, salt: u32, other: u32) {
            prop_assume!(salt != other);
            let bytes = encode(7, 9, FrameKind::Delta, None, &body, salt);
            prop_assert!(matches!(decode(&bytes, other), Err(FrameFault::Crc { .. })), "salts differ");
        }
    }

    #[test]
    fn a_marked_frame_costs_its_body_and_thirty_bytes() {
        let mark = StoredMark {
            frame_count: 1,
            wall_clock_delta_ms: 5000,
            durable_distance: 300,
        };
        assert_eq!(
            encode(7, 9, FrameKind::Delta, Some(mark), &[0; 100], 1).len(),
            100 + 30
        );
    }

    #[test]
    fn the_longest_mark_is_what_is_reserved_for_it() {
        let mark = StoredMark {
            frame_count: u64::MAX,
            wall_clock_delta_ms: i64::MIN,
            durable_distance: u64::MAX,
        };
        let frame = encode(7, 9, FrameKind::Image, Some(mark), &[0; 100], 1);
        assert_eq!(frame.len(), 100 + FRAME_BYTES_MAX_BESIDE_BODY);
    }

    #[test]
    fn every_bit_flip_is_found() {
        let mark = StoredMark {
            frame_count: 1,
            wall_clock_delta_ms: -3,
            durable_distance: 200,
        };
        let good = encode(7, 9, FrameKind::Image, Some(mark), b"some page", 0xDEAD_BEEF);
        assert!(decode(&good, 0xDEAD_BEEF).is_ok());
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            bad.extend_from_slice(&[0; 64]);
            assert!(decode(&bad, 0xDEAD_BEEF).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn faults_say_what_is_wrong() {
        let good = encode(7, 9, FrameKind::Delta, None, b"x", 1);
        assert_eq!(decode(&[0; 100], 1), Err(FrameFault::Absent));
        assert_eq!(decode(&good[..10], 1), Err(FrameFault::Absent));
        assert_eq!(decode(&[0xFF; 100], 1), Err(FrameFault::Magic(u32::MAX)));
        for (size, room) in [(0u32, 26), (24, 26), (27, 26), (u32::MAX, 26)] {
            let mut bad = good.clone();
            bad[SIZE_OFFSET..PAGE_OFFSET].copy_from_slice(&size.to_le_bytes());
            assert_eq!(decode(&bad, 1), Err(FrameFault::Size { size, room }));
        }
        let no_page = encode(0, 9, FrameKind::Delta, None, b"x", 1);
        assert_eq!(decode(&no_page, 1), Err(FrameFault::Malformed("no page number")));
        let unmarked = encode(0, 9, FrameKind::Commit, None, b"", 1);
        assert!(
            matches!(decode(&unmarked, 1), Err(FrameFault::Malformed(_))),
            "mark missing"
        );
        let mut kind = good.clone();
        kind[DATA_OFFSET] = 0x55;
        seal(&mut kind, 1);
        let fault = decode(&kind, 1).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "frame with a good CRC but an unknown kind of page data"
        );
    }
}
