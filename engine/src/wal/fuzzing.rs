//! Properties of the log's formats, for [`crate::fuzzing`].

use std::path::Path;
use std::sync::Arc;

use super::frame::{self, CRC_BYTES, DATA_OFFSET, FRAME_BYTES_MIN, FRAME_MAGIC, PAGE_OFFSET, SIZE_OFFSET};
use super::segment::{self, COPY_BYTES, HEADER_BYTES, SEGMENT_MAGIC, SEGMENT_VERSION, SegmentHeader, offset};
use super::{CommitMark, FrameKind, Recovered, Wal, WalOptions, WalSync};
use crate::error::Result;
use crate::fuzzing::Input;
use crate::ids::{CommitId, LogPosition, PageNumber};
use crate::vfs::{MemoryVfs, OpenMode, Vfs};

/// The commits behind a position: number, and all bodies one after the other.
type Commits = Vec<(u64, Vec<u8>)>;

const DIR: &str = "/wal";
const SEGMENT_BYTES: u64 = 12_288;
/// Bit of the first byte: make magics, sizes and CRCs right.
const REPAIR: u8 = 1;
/// Bit of the first byte: only the copy of the header at the end of each segment is there.
const FIRST_COPY_LOST: u8 = 2;

/// Input: flags, salt (4 bytes), frame.
///
/// # Panics
/// If a property does not hold.
pub fn wal_frame(input: &[u8]) {
    let mut input = Input(input);
    let flags = input.u8();
    let salt = input.u32();
    let mut bytes = input.0.to_vec();
    if flags & REPAIR != 0 && bytes.len() >= FRAME_BYTES_MIN {
        bytes[..SIZE_OFFSET].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
        repair_frame(&mut bytes, salt);
    }
    let Ok(found) = frame::decode(&bytes, salt) else {
        return;
    };
    let mut again = Vec::new();
    frame::begin(&mut again, found.page, found.commit, found.kind, found.mark);
    again.extend_from_slice(&bytes[found.body.clone()]);
    assert!(frame::finish(&mut again, 0).is_some(), "no longer than it was");
    frame::seal(&mut again, salt);
    let twice = frame::decode(&again, salt);
    // A number may be stored longer than it need be; the encoder never does.
    assert!(
        again.len() <= found.size,
        "{} bytes from {}",
        again.len(),
        found.size
    );
    let twice = twice.unwrap_or_else(|fault| panic!("encoded again: {fault}"));
    assert_eq!(
        (twice.page, twice.commit, twice.kind, twice.mark),
        (found.page, found.commit, found.kind, found.mark)
    );
    assert_eq!(again[twice.body], bytes[found.body], "the same body");
    assert!(
        frame::decode(&bytes[..found.size - 1], salt).is_err(),
        "a frame that was cut short is none"
    );
}

/// Makes the size fit and the CRC right of what has a frame's magic.
fn repair_frame(bytes: &mut [u8], salt: u32) -> usize {
    let stored = frame::u32_at(bytes, SIZE_OFFSET) as usize;
    let size = if (FRAME_BYTES_MIN..=bytes.len()).contains(&stored) {
        stored
    } else {
        bytes.len().min(DATA_OFFSET + 64)
    };
    bytes[SIZE_OFFSET..PAGE_OFFSET].copy_from_slice(&(size as u32).to_le_bytes());
    let crc = frame::checksum(&bytes[..size - CRC_BYTES], salt);
    bytes[size - CRC_BYTES..size].copy_from_slice(&crc.to_le_bytes());
    size
}

/// Input: flags, position to recover from (8 bytes), then for each of up to four segments: name (8 bytes), length of its
/// frames (2 bytes), header fields from the salt on (68 bytes), frames.
///
/// # Panics
/// If a property does not hold.
pub fn wal_segment(input: &[u8]) {
    let mut input = Input(input);
    let flags = input.u8();
    let from = LogPosition(input.u64());
    let vfs = MemoryVfs::default();
    let dir = Path::new(DIR);
    vfs.create_dir(dir).expect("memory");
    for _ in 0..4 {
        if input.0.is_empty() {
            break;
        }
        let name = input.u64();
        let len = usize::from(input.u16());
        let header: [u8; 76] = input.array();
        let bytes = segment_file(flags, &header, input.bytes(len));
        let create = OpenMode {
            create: true,
            ..OpenMode::default()
        };
        let file = vfs.open(&segment::path_of(dir, name), create).expect("memory");
        file.write_at(&bytes, 0).expect("memory");
    }
    let options = WalOptions {
        segment_size: SEGMENT_BYTES,
        page_size: 512,
        sync: WalSync::Fdatasync,
        ..WalOptions::new(DIR)
    };
    let Ok((found, commits)) = recover(&vfs, &options, from) else {
        return;
    };
    let again = recover(&vfs, &options, from).expect("recovery changes nothing");
    assert_eq!((&found, &commits), (&again.0, &again.1));
    assert!(found.end >= from && found.commits == commits.len() as u64);
    assert!(commits.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "dense");
    continue_log(&vfs, &options, from, &found, &commits);
}

/// The log goes on behind what was recovered, and is then read back as a whole.
fn continue_log(
    vfs: &MemoryVfs,
    options: &WalOptions,
    from: LogPosition,
    found: &Recovered,
    commits: &[(u64, Vec<u8>)],
) {
    let Ok(wal) = Wal::start(Arc::new(vfs.clone()), options.clone(), found.end) else {
        return;
    };
    let next = found.last_commit.map_or(1, |last| last.0 + 1);
    let mark = CommitMark {
        frame_count: 1,
        wall_clock_ms: 0,
    };
    wal.append(
        PageNumber(9),
        CommitId(next),
        FrameKind::Delta,
        Some(mark),
        b"next",
    )
    .expect("there is room for a frame");
    let durable = wal.flush().expect("memory");
    drop(wal);
    let (after, mut all) = recover(vfs, options, from).expect("the log goes on");
    assert_eq!(after.end, durable);
    assert_eq!(all.pop(), Some((next, b"next".to_vec())));
    assert_eq!(all, commits, "what was recovered before");
}

fn recover(vfs: &MemoryVfs, options: &WalOptions, from: LogPosition) -> Result<(Recovered, Commits)> {
    let mut commits = Vec::new();
    let recovered = Wal::recover(vfs, options, from, from, |commit| {
        let bodies = commit
            .frames()
            .flat_map(|frame| frame.to_body().to_vec())
            .collect();
        commits.push((commit.id.0, bodies));
        Ok(())
    })?;
    Ok((recovered, commits))
}

fn segment_file(flags: u8, fields: &[u8; 76], frames: &[u8]) -> Vec<u8> {
    let mut header = [0; COPY_BYTES];
    header[offset::MAGIC..offset::VERSION].copy_from_slice(&SEGMENT_MAGIC);
    header[offset::VERSION..offset::SALT].copy_from_slice(&SEGMENT_VERSION.to_le_bytes());
    header[offset::SALT..offset::END].copy_from_slice(fields);
    let crc = frame::checksum(&header[..offset::CRC], 0);
    header[offset::CRC..].copy_from_slice(&crc.to_le_bytes());
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[..header.len()].copy_from_slice(&header);
    let decoded = SegmentHeader::decode(&bytes, Path::new(DIR));
    if let Ok(Some(header)) = &decoded {
        assert_eq!(header.encode()[..], bytes, "a header encodes to what it was");
    }
    bytes.extend_from_slice(frames);
    if flags & REPAIR != 0 {
        let salt = frame::u32_at(&header, offset::SALT);
        let mut at = HEADER_BYTES;
        while bytes.len() - at >= FRAME_BYTES_MIN {
            at += if frame::u32_at(&bytes, at) == FRAME_MAGIC {
                repair_frame(&mut bytes[at..], salt)
            } else {
                1
            };
        }
    }
    let size = frame::u64_at(&header, offset::SEGMENT_SIZE).min(8 * SEGMENT_BYTES) as usize;
    bytes.resize(size.max(bytes.len()), 0);
    if let Ok(Some(header)) = decoded
        && flags & FIRST_COPY_LOST != 0
        && bytes.len() as u64 == header.segment_size
    {
        bytes[..HEADER_BYTES].fill(0);
        let last = bytes.len() - HEADER_BYTES;
        bytes[last..].copy_from_slice(&header.encode());
    }
    bytes
}

/// Inputs from real logs.
#[cfg(test)]
pub(crate) mod seeds {
    use super::*;
    use crate::vfs::read_exact_at;
    use crate::wal::frame::StoredMark;

    pub(crate) fn frames() -> Vec<Vec<u8>> {
        let mark = StoredMark {
            frame_count: 300,
            wall_clock_delta_ms: -5,
            durable_distance: 70_000,
        };
        let mut seeds = Vec::new();
        for (kind, page) in [
            (FrameKind::Delta, 7),
            (FrameKind::Image, 8),
            (FrameKind::Freed, 9),
            (FrameKind::Commit, 0),
        ] {
            for mark in [None, Some(mark)] {
                let mut bytes = Vec::new();
                frame::begin(&mut bytes, PageNumber(page), CommitId(77), kind, mark);
                if page > 0 {
                    bytes.extend_from_slice(b"the body of a frame");
                }
                frame::finish(&mut bytes, 0).unwrap();
                frame::seal(&mut bytes, 5);
                for flags in [0, REPAIR] {
                    seeds.push([&[flags, 5, 0, 0, 0], &bytes[..]].concat());
                }
            }
        }
        seeds
    }

    /// Logs of one to four segments, whole, cut short, damaged, and continued after a restart.
    pub(crate) fn segments() -> Vec<Vec<u8>> {
        let vfs = MemoryVfs::default();
        let options = WalOptions {
            segment_size: SEGMENT_BYTES,
            page_size: 512,
            sync: WalSync::Fdatasync,
            ..WalOptions::new(DIR)
        };
        let mut after = LogPosition(0);
        let mut seeds = Vec::new();
        for (commits, body) in [(3, 20), (5, 700), (2, 1500)] {
            let wal = Wal::start(Arc::new(vfs.clone()), options.clone(), after).unwrap();
            let first = if after.0 == 0 { 1 } else { 4 };
            for id in first..first + commits {
                let mark = CommitMark {
                    frame_count: 2,
                    wall_clock_ms: id,
                };
                let body = vec![id as u8; body];
                wal.append(PageNumber(3), CommitId(id), FrameKind::Delta, None, &body)
                    .unwrap();
                after = wal
                    .append(PageNumber(4), CommitId(id), FrameKind::Image, Some(mark), &body)
                    .unwrap();
                if id % 2 == 0 {
                    wal.flush().unwrap();
                }
            }
            wal.flush().unwrap();
            after = after.min(wal.end());
            drop(wal);
            for flags in [0, REPAIR, FIRST_COPY_LOST] {
                seeds.push(input_of(&vfs, flags, 0, 0));
                seeds.push(input_of(&vfs, flags, 4096 + SEGMENT_BYTES, 30));
                seeds.push(input_of(&vfs, flags, after.0, 0));
            }
        }
        seeds
    }

    fn input_of(vfs: &MemoryVfs, flags: u8, from: u64, cut: usize) -> Vec<u8> {
        let mut input = vec![flags];
        input.extend_from_slice(&from.to_le_bytes());
        for path in vfs.list(Path::new(DIR)).unwrap() {
            let file = vfs.open(&path, OpenMode::default()).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            read_exact_at(&*file, &mut bytes, 0).unwrap();
            let used = bytes
                .iter()
                .rposition(|&byte| byte != 0)
                .map_or(0, |last| last + 1);
            let used = used.max(HEADER_BYTES).saturating_sub(cut).max(HEADER_BYTES);
            input.extend_from_slice(&segment::sequence_of(&path).unwrap().to_le_bytes());
            input.extend_from_slice(&((used - HEADER_BYTES) as u16).to_le_bytes());
            input.extend_from_slice(&bytes[offset::SALT..offset::END]);
            input.extend_from_slice(&bytes[HEADER_BYTES..used]);
        }
        input
    }
}
