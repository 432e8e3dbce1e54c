//! Damaged and torn logs: never a wrong frame, never a silently shortened log where the loss can be known.

use proptest::prelude::*;

use super::super::frame::{self, StoredMark};
use super::super::guard::GUARD_BYTES;
use super::super::segment::{HEADER_BYTES, SegmentHeader};
use super::*;
use crate::error::Error;

/// A flushed log of several segments, and where each commit ends.
struct Written {
    image: Image,
    begin: LogPosition,
    commits: Vec<TestCommit>,
    ends: Vec<LogPosition>,
    /// For each commit, the position known durable when it was appended.
    durable_before: Vec<LogPosition>,
}

impl Written {
    fn new(count: u64, body_max: usize, flush_every: u64) -> Self {
        let vfs = MemoryVfs::default();
        let wal = start(&vfs, LogPosition(0));
        let mut written = Self {
            image: Vec::new(),
            begin: wal.end(),
            commits: Vec::new(),
            ends: Vec::new(),
            durable_before: Vec::new(),
        };
        for id in 1..=count {
            let commit = commit(id, body_max);
            written.durable_before.push(wal.durable());
            written.ends.push(append(&wal, &commit).unwrap());
            written.commits.push(commit);
            if id % flush_every == 0 {
                wal.flush().unwrap();
            }
        }
        wal.flush().unwrap();
        written.image = image(&vfs);
        written
    }

    fn end(&self) -> LogPosition {
        *self.ends.last().unwrap()
    }

    /// Recovery of a damaged image is right when it reports corruption, or returns whole commits from the beginning
    /// and loses none that the rest of the log, or `must_reach`, says was durable. Returns how many commits came back.
    fn check(&self, vfs: &dyn Vfs, must_reach: LogPosition, what: &str) -> Option<usize> {
        match recover(vfs, self.begin, must_reach) {
            Ok((recovered, read)) => {
                assert_eq!(read, self.commits[..read.len()], "{what}");
                let end = read
                    .len()
                    .checked_sub(1)
                    .map_or(self.begin, |last| self.ends[last]);
                assert_eq!(recovered.end, end, "{what}");
                assert!(end >= must_reach, "{what}: ended at {end} before {must_reach}");
                Some(read.len())
            }
            Err(Error::Corruption { .. }) => None,
            Err(other) => panic!("{what}: {other}"),
        }
    }
}

/// The part of the image that holds headers and frames: (file index, byte range).
fn used_ranges(written: &Written) -> Vec<(usize, std::ops::Range<usize>)> {
    let mut ranges = Vec::new();
    for (index, (_, bytes)) in written.image.iter().enumerate() {
        let frames = bytes.len() - HEADER_BYTES;
        ranges.push((index, 0..88));
        ranges.push((index, 508..512));
        ranges.push((index, frames..frames + 88));
        ranges.push((index, bytes.len() - GUARD_BYTES..bytes.len()));
        let last = bytes[..frames].iter().rposition(|&byte| byte != 0).unwrap_or(0);
        ranges.push((index, HEADER_BYTES..(last + 8).clamp(HEADER_BYTES, frames)));
    }
    ranges
}

#[test]
fn every_flipped_bit_is_corruption_or_a_legal_end() {
    let written = Written::new(45, 60, 4);
    assert!(
        written.end().0 - written.begin.0 > SEGMENT,
        "over a segment boundary"
    );
    let (mut reported, mut ended, mut harmless) = (0, 0, 0);
    for (file, range) in used_ranges(&written) {
        let vfs = restore(&written.image);
        let (path, bytes) = &written.image[file];
        for at in range {
            for bit in [0, 3, 7] {
                let flipped = bytes[at] ^ (1 << bit);
                overwrite(&vfs, path, &[flipped], at as u64);
                let what = format!("{} byte {at} bit {bit}", path.display());
                // Knowing that all of it was durable, nothing may be missing.
                let strict = written.check(&vfs, written.end(), &what);
                assert!(
                    strict.is_none_or(|count| count == written.commits.len()),
                    "{what}"
                );
                // Knowing nothing, what later commits prove durable may not be missing.
                match written.check(&vfs, written.begin, &what) {
                    None => reported += 1,
                    Some(count) if count == written.commits.len() => harmless += 1,
                    Some(count) => {
                        ended += 1;
                        // One commit is damaged; those behind it are intact and would prove a loss.
                        let proof = written.durable_before[count + 1..]
                            .iter()
                            .any(|&durable| durable >= written.ends[count]);
                        assert!(!proof, "{what}: lost {count}.. silently");
                    }
                }
                overwrite(&vfs, path, &[bytes[at]], at as u64);
            }
        }
    }
    assert!(
        reported > 1000 && ended > 100 && harmless > 100,
        "{reported} {ended} {harmless}"
    );
}

#[test]
fn a_segment_in_use_that_was_cut_is_reported() {
    let written = Written::new(70, 60, 5);
    let in_use = |bytes: &[u8]| bytes[HEADER_BYTES..].starts_with(&0x377F_0682u32.to_le_bytes());
    let used: Vec<_> = written.image.iter().filter(|(_, bytes)| in_use(bytes)).collect();
    assert!(used.len() >= 2);
    for (path, bytes) in used {
        for len in (0..bytes.len()).step_by(97) {
            let vfs = restore(&written.image);
            vfs.open(path, OpenMode::default())
                .unwrap()
                .set_len(len as u64)
                .unwrap();
            // A file is made whole before it is used, so no crash leaves less of it. Without a header, and with all frames
            // and guards gone, the newest segment is as if it had never been.
            let what = format!("{} cut to {len}", path.display());
            let strict = written.check(&vfs, written.end(), &what);
            assert_eq!(strict, None, "{what}");
            if len >= HEADER_BYTES {
                assert_eq!(written.check(&vfs, written.begin, &what), None, "{what}");
            }
        }
    }
}

#[test]
fn a_torn_last_flush_ends_the_log_at_any_byte() {
    let written = Written::new(30, 60, 100);
    let vfs = restore(&written.image);
    let wal = Wal::recover(&vfs, &options(), written.begin, written.end(), |_| Ok(())).unwrap();
    assert_eq!(wal.torn, None);
    // Everything was one flush: any prefix of it, with anything behind, is a legal end.
    let (path, bytes) = &written.image[0];
    let end = (written.end().0 - START) as usize;
    for at in HEADER_BYTES..end {
        let vfs = restore(&written.image);
        let zeros = vec![0; bytes.len() - HEADER_BYTES - at];
        overwrite(&vfs, path, &zeros, at as u64);
        let count = written.check(&vfs, written.begin, &format!("zeros from {at}"));
        // A commit whose last bytes, those of a CRC, happen to be zeros loses nothing with them.
        let is_whole = |end: &LogPosition| {
            let end = (end.0 - START) as usize;
            end <= at || bytes[at..end].iter().all(|&byte| byte == 0)
        };
        let expected = written.ends.iter().take_while(|end| is_whole(end)).count();
        assert_eq!(count, Some(expected));
    }
}

#[test]
fn damage_names_file_offset_and_proof() {
    let written = Written::new(40, 60, 1);
    let vfs = restore(&written.image);
    let (path, bytes) = &written.image[0];
    overwrite(&vfs, path, &[!bytes[HEADER_BYTES + 30]], HEADER_BYTES as u64 + 30);
    let error = recover(&vfs, written.begin, written.begin).unwrap_err();
    let Error::Corruption {
        file, offset, what, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (file, *offset),
        (path, HEADER_BYTES as u64),
        "the first frame begins here"
    );
    assert!(
        what.contains("CRC") && what.contains("says that the log was durable"),
        "{what}"
    );
    let error = recover(&vfs, written.begin, written.end()).unwrap_err();
    assert!(error.to_string().contains("was durable up to"), "{error}");
}

#[test]
fn holes_in_unsynced_bytes_are_a_torn_tail() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    let synced = append(&wal, &commit(1, 60)).unwrap();
    wal.flush().unwrap();
    let hole_at = append(&wal, &commit(2, 60)).unwrap();
    let mut id = 3;
    while wal.end().0 < begin.0 + 3 * SEGMENT {
        append(&wal, &commit(id, 60)).unwrap();
        if id.is_multiple_of(5) {
            wal.write_out().unwrap();
        }
        id += 1;
    }
    wal.write_out().unwrap();
    assert_eq!(wal.durable(), synced);
    // The power fails; some unsynced bytes made it, some did not.
    let offset = hole_at.0 - START;
    overwrite(&vfs, Path::new("/db/wal/0000000000000001.wal"), &[0; 30], offset);
    let (recovered, read) = recover(&vfs, begin, synced).unwrap();
    assert_eq!(read, [commit(1, 60), commit(2, 60)]);
    assert_eq!(recovered.end, hole_at);

    // The same hole after the rest was synced is damage.
    append(&wal, &commit(id, 60)).unwrap();
    wal.flush().unwrap();
    append(&wal, &commit(id + 1, 60)).unwrap();
    wal.flush().unwrap();
    let error = recover(&vfs, begin, synced).unwrap_err();
    assert!(error.to_string().contains("0000000000000001.wal"), "{error}");
}

#[test]
fn a_commit_without_its_last_frame_does_not_count() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    let end = append(&wal, &commit(1, 60)).unwrap();
    wal.append(PageNumber(9), CommitId(2), FrameKind::Delta, None, b"half")
        .unwrap();
    wal.flush().unwrap();
    let (recovered, read) = recover(&vfs, begin, end).unwrap();
    assert_eq!(read, [commit(1, 60)]);
    assert_eq!(recovered.end, end);
    let torn = recovered.torn.unwrap();
    assert!(torn.position > end);
    assert!(
        torn.what.contains("commit 2 has 1 frames and no mark"),
        "{torn:?}"
    );
}

#[test]
fn a_missing_segment_is_corruption_when_its_content_was_needed() {
    let written = Written::new(120, 100, 3);
    let segments: Vec<_> = written
        .image
        .iter()
        .filter(|(_, bytes)| bytes[HEADER_BYTES] != 0)
        .map(|(path, _)| path.clone())
        .collect();
    assert!(segments.len() >= 3);
    for (index, path) in segments.iter().enumerate() {
        let vfs = restore(&written.image);
        vfs.remove(path).unwrap();
        let strict = recover(&vfs, written.begin, written.end()).unwrap_err();
        assert!(matches!(strict, Error::Corruption { .. }), "{strict}");
        let lenient = recover(&vfs, written.begin, written.begin);
        if index + 1 < segments.len() {
            assert!(
                matches!(lenient, Err(Error::Corruption { .. })),
                "segment {index}: {lenient:?}"
            );
        } else {
            // A guard in the segment before tells if something in it was durable; else the log ends there.
            match lenient {
                Err(Error::Corruption { .. }) => {}
                other => assert!(other.unwrap().1.len() < written.commits.len(), "the last one"),
            }
        }
    }
}

#[test]
fn either_copy_of_a_header_is_enough() {
    let written = Written::new(120, 100, 3);
    for (path, bytes) in &written.image {
        for at in [0, bytes.len() - HEADER_BYTES] {
            for damage in [[0; HEADER_BYTES], [0xA5; HEADER_BYTES]] {
                let vfs = restore(&written.image);
                overwrite(&vfs, path, &damage, at as u64);
                let what = format!("block at {at} of {}", path.display());
                let count = written.check(&vfs, written.end(), &what);
                assert_eq!(count, Some(written.commits.len()), "{what}");
            }
        }
    }
}

#[test]
fn a_segment_that_has_lost_both_copies_of_its_header_is_told_by_its_guards() {
    let written = Written::new(120, 100, 3);
    let used: Vec<_> = written
        .image
        .iter()
        .filter(|(_, bytes)| bytes[HEADER_BYTES] != 0)
        .collect();
    for (path, bytes) in used {
        let vfs = restore(&written.image);
        for at in [0, bytes.len() - HEADER_BYTES] {
            overwrite(&vfs, path, &[0; HEADER_BYTES], at as u64);
        }
        let error = recover(&vfs, written.begin, written.begin).unwrap_err();
        assert!(matches!(error, Error::Corruption { .. }), "{error}");
        let message = error.to_string();
        assert!(
            message.contains("says that the log was durable") || message.contains("lost its header"),
            "{message}"
        );
    }
}

#[test]
fn a_copied_segment_file_is_reported() {
    let written = Written::new(20, 60, 3);
    let vfs = restore(&written.image);
    overwrite(
        &vfs,
        Path::new("/db/wal/00000000000000ff.wal"),
        &written.image[0].1,
        0,
    );
    let error = recover(&vfs, written.begin, written.begin).unwrap_err();
    assert!(error.to_string().contains("same part of the log"), "{error}");
}

#[test]
fn frames_out_of_order_under_a_good_crc_are_corruption() {
    // Two frames of one size change places; their CRCs stay right.
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    let mark = CommitMark {
        frame_count: 1,
        wall_clock_ms: CLOCK_MS,
    };
    let mut ends = Vec::new();
    for id in 1..=4 {
        let end = wal
            .append(PageNumber(1), CommitId(id), FrameKind::Delta, Some(mark), b"same")
            .unwrap();
        ends.push(end.0 - begin.0);
        wal.flush().unwrap();
    }
    let (path, bytes) = &image(&vfs)[0];
    let frame = |index: usize| {
        let start = HEADER_BYTES + if index == 0 { 0 } else { ends[index - 1] as usize };
        bytes[start..HEADER_BYTES + ends[index] as usize].to_vec()
    };
    let (second, third) = (frame(1), frame(2));
    assert_eq!(second.len(), third.len());
    overwrite(
        &vfs,
        path,
        &[third, second].concat(),
        HEADER_BYTES as u64 + ends[0],
    );
    let error = recover(&vfs, begin, begin).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a frame of commit 3 where one of commit 2 belongs"),
        "{error}"
    );
}

#[test]
fn marks_that_cannot_be_under_a_good_crc_are_corruption() {
    let vfs = MemoryVfs::default();
    let begin = start(&vfs, LogPosition(0)).end();
    let (path, bytes) = &image(&vfs)[0];
    let salt = SegmentHeader::of_file(bytes, path).unwrap().unwrap().salt;
    let good = StoredMark {
        frame_count: 1,
        wall_clock_delta_ms: 0,
        durable_distance: 0,
    };
    let forge = |mark: StoredMark| {
        let mut out = Vec::new();
        frame::begin(&mut out, PageNumber(1), CommitId(1), FrameKind::Delta, Some(mark));
        frame::finish(&mut out, 0).unwrap();
        frame::seal(&mut out, salt);
        let vfs = restore(&vec![(path.clone(), bytes.clone())]);
        overwrite(&vfs, path, &out, HEADER_BYTES as u64);
        recover(&vfs, begin, begin)
    };
    assert_eq!(forge(good).unwrap().1.len(), 1);
    let miscounting = StoredMark {
        frame_count: 2,
        ..good
    };
    let error = forge(miscounting).unwrap_err();
    assert!(
        error.to_string().contains("marked as 2 frames, but has 1"),
        "{error}"
    );
    let before_the_log = StoredMark {
        durable_distance: u64::MAX,
        ..good
    };
    let error = forge(before_the_log).unwrap_err();
    assert!(
        error.to_string().contains("impossible durable position"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Random overwrites of random places, several at once.
    #[test]
    fn any_garbage_is_answered(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), proptest::collection::vec(any::<u8>(), 1..300)), 1..5),
        must_reach_end: bool,
    ) {
        let written = Written::new(60, 100, 4);
        let vfs = restore(&written.image);
        for (file, at, bytes) in &damage {
            let (path, original) = &written.image[file.index(written.image.len())];
            let at = at.index(original.len());
            let len = bytes.len().min(original.len() - at);
            overwrite(&vfs, path, &bytes[..len], at as u64);
        }
        let must_reach = if must_reach_end { written.end() } else { written.begin };
        written.check(&vfs, must_reach, "garbage");
    }
}

#[test]
fn a_frame_without_sense_under_a_good_crc_is_corruption() {
    let written = Written::new(3, 60, 1);
    let (path, bytes) = &written.image[0];
    let salt = SegmentHeader::of_file(bytes, path).unwrap().unwrap().salt;
    let frame_at = HEADER_BYTES;
    let size = frame::decode(&bytes[frame_at..], salt).unwrap().size;
    let mut changed = bytes[frame_at..frame_at + size].to_vec();
    changed[frame::DATA_OFFSET] = 9;
    frame::seal(&mut changed, salt);
    let vfs = restore(&written.image);
    overwrite(&vfs, path, &changed, frame_at as u64);
    let error = recover(&vfs, written.begin, written.begin).unwrap_err();
    assert!(
        error.to_string().contains("an unknown kind of page data"),
        "{error}"
    );
}

#[test]
fn reading_from_a_part_that_a_restart_abandoned_is_corruption() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let kept = append(&wal, &commit(1, 20)).unwrap();
    let abandoned = append(&wal, &commit(2, 20)).unwrap();
    wal.flush().unwrap();
    assert!(format!("{wal:?}").contains("durable"));
    drop(wal);
    let wal = start(&vfs, kept);
    append(&wal, &commit(2, 30)).unwrap();
    wal.flush().unwrap();
    let error = recover(&vfs, abandoned, abandoned).unwrap_err();
    assert!(
        error.to_string().contains("is said to continue elsewhere"),
        "{error}"
    );
}
