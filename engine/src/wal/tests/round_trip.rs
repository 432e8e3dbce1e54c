//! What is appended and flushed is read back, over segment boundaries, for any content.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::error::Error;

#[test]
fn an_empty_log_is_empty() {
    let vfs = MemoryVfs::default();
    let (recovered, commits) = recover(&vfs, LogPosition(0), LogPosition(0)).unwrap();
    assert_eq!(
        (recovered.end, commits.len()),
        (LogPosition(0), 0),
        "no directory at all"
    );
    let wal = start(&vfs, LogPosition(0));
    assert_eq!(wal.end(), wal.durable());
    assert_eq!(wal.live_bytes(), 0);
    assert_eq!(wal.flush().unwrap(), wal.durable(), "nothing to flush");
    let (recovered, _) = recover(&vfs, wal.end(), wal.durable()).unwrap();
    assert_eq!(recovered.end, wal.end());
    assert_eq!(recovered.torn, None);
}

#[test]
fn commits_come_back_in_order_over_segments() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    let written: Vec<_> = (1..=300).map(|id| commit(id, 200)).collect();
    let mut bytes_appended = 0;
    for commit in &written {
        let before = wal.end();
        let end = append(&wal, commit).unwrap();
        assert_eq!(end, wal.end());
        assert!(end > before);
        bytes_appended = wal.stats().bytes_appended;
        if commit.id % 7 == 0 {
            assert!(wal.buffered_bytes() > 0);
            assert_eq!(wal.flush().unwrap(), end);
            assert_eq!(wal.durable(), end);
            assert_eq!(wal.buffered_bytes(), 0);
        }
    }
    let end = wal.flush().unwrap();
    assert!(end.0 - begin.0 > 5 * SEGMENT, "several segments");
    assert_eq!(wal.live_bytes(), end.0 - begin.0);
    let (recovered, read) = recover(&vfs, begin, end).unwrap();
    assert_eq!(read, written);
    assert_eq!(recovered.end, end);
    assert_eq!(recovered.torn, None);
    assert_eq!(recovered.bytes, bytes_appended);
    assert!(wal.stats().bytes_written >= bytes_appended);

    // A checkpoint's position in the middle.
    let (_, tail) = recover(&vfs, end, end).unwrap();
    assert!(tail.is_empty());
}

#[test]
fn recovery_begins_at_any_commit_boundary() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let mut boundaries = vec![wal.end()];
    let written: Vec<_> = (1..=60).map(|id| commit(id, 300)).collect();
    for commit in &written {
        boundaries.push(append(&wal, commit).unwrap());
    }
    let end = wal.flush().unwrap();
    for (index, &from) in boundaries.iter().enumerate() {
        let (_, read) = recover(&vfs, from, end).unwrap();
        assert_eq!(read, written[index..], "from {from}");
    }
}

#[test]
fn unflushed_commits_are_not_promised_and_written_out_ones_are_readable() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    append(&wal, &commit(1, 50)).unwrap();
    wal.flush().unwrap();
    append(&wal, &commit(2, 50)).unwrap();
    wal.write_out().unwrap();
    assert!(wal.durable() < wal.end());
    assert_eq!(wal.buffered_bytes(), 0);
    append(&wal, &commit(3, 50)).unwrap();
    let (recovered, read) = recover(&vfs, begin, wal.durable()).unwrap();
    assert_eq!(read, [commit(1, 50), commit(2, 50)]);
    assert!(recovered.end < wal.end());
    assert_eq!(wal.flush().unwrap(), wal.end());
    assert_eq!(wal.stats().write_outs, 1);
}

#[test]
fn a_frame_as_large_as_a_segment_fits_and_a_larger_one_is_refused() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    let mark = CommitMark {
        frame_count: 1,
        wall_clock_ms: CLOCK_MS,
    };
    let largest = vec![7; 4096 - super::super::frame::FRAME_BYTES_MAX_BESIDE_BODY];
    for id in 1..=3 {
        wal.append(
            PageNumber(1),
            CommitId(id),
            FrameKind::Image,
            Some(mark),
            &largest,
        )
        .unwrap();
    }
    let end = wal.flush().unwrap();
    let too_large = wal
        .append(
            PageNumber(1),
            CommitId(4),
            FrameKind::Image,
            Some(mark),
            &[7; 4096],
        )
        .unwrap_err();
    assert!(
        matches!(too_large, Error::CapacityExceeded { limit, .. } if limit == largest.len() as u64),
        "{too_large}"
    );
    assert!(
        matches!(wal.poisoned(), Some(Error::Poisoned { .. })),
        "a refused frame is final"
    );
    let (_, read) = recover(&vfs, begin, end).unwrap();
    assert_eq!(read.len(), 3);
    assert_eq!(read[2].frames[0].2, largest);
}

#[test]
fn a_commit_larger_than_the_segments_spans_them() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    let large = TestCommit {
        id: 1,
        wall_clock_ms: CLOCK_MS,
        frames: (1..=40)
            .map(|page| (page, FrameKind::Image, vec![page as u8; 500]))
            .collect(),
    };
    wal.appender().reserve(40 * 560).unwrap();
    let created = wal.stats().segments_created;
    append(&wal, &large).unwrap();
    assert_eq!(
        wal.stats().segments_created,
        created,
        "reserve made all segments that it took"
    );
    append(&wal, &commit(2, 20)).unwrap();
    let end = wal.flush().unwrap();
    let (_, read) = recover(&vfs, begin, end).unwrap();
    assert_eq!(read, [large, commit(2, 20)]);
}

#[test]
fn a_body_that_panics_leaves_the_log_as_it_was() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    append(&wal, &commit(1, 20)).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut appender = wal.appender();
        appender.frame(PageNumber(1), CommitId(2), FrameKind::Delta, None, |out| {
            out.push(1);
            panic!("a body that fails");
        })
    }));
    assert!(panicked.is_err());
    append(&wal, &commit(2, 20)).unwrap();
    let end = wal.flush().unwrap();
    let (_, read) = recover(&vfs, begin, end).unwrap();
    assert_eq!(read, [commit(1, 20), commit(2, 20)]);
}

#[test]
#[should_panic(expected = "commits are appended densely and in order")]
fn a_gap_in_commit_ids_is_refused() {
    let wal = start(&MemoryVfs::default(), LogPosition(0));
    append(&wal, &commit(1, 20)).unwrap();
    append(&wal, &commit(3, 20)).unwrap();
}

#[test]
#[should_panic(expected = "the mark counts the frames of its commit")]
fn a_miscounting_mark_is_refused() {
    let wal = start(&MemoryVfs::default(), LogPosition(0));
    let mark = CommitMark {
        frame_count: 2,
        wall_clock_ms: 0,
    };
    wal.append(PageNumber(1), CommitId(1), FrameKind::Delta, Some(mark), b"")
        .unwrap();
}

#[test]
fn an_error_of_the_callback_ends_recovery() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    append(&wal, &commit(1, 20)).unwrap();
    append(&wal, &commit(2, 20)).unwrap();
    wal.flush().unwrap();
    let mut calls = 0;
    let error = Wal::recover(&vfs, &options(), begin, begin, |_| {
        calls += 1;
        Err(Error::CacheExhausted { frames: 1 })
    })
    .unwrap_err();
    assert!(matches!(error, Error::CacheExhausted { frames: 1 }), "{error}");
    assert_eq!(calls, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any commits, any mixture of flushes, write-outs and preparations.
    #[test]
    fn any_log_is_read_back(
        commits in proptest::collection::vec(
            (proptest::collection::vec((1u32.., 0usize..900), 1..6), any::<u64>(), 0u8..5),
            1..60,
        ),
        first_id in 1u64..1 << 50,
        seed: u64,
    ) {
        let vfs = MemoryVfs::with_seed(seed);
        let wal = Wal::start(Arc::new(vfs.clone()), options(), LogPosition(0)).unwrap();
        let begin = wal.end();
        let mut written = Vec::new();
        for (index, (frames, wall_clock_ms, action)) in commits.into_iter().enumerate() {
            let frame = |(page, len): (u32, usize)| (page, FrameKind::Delta, vec![page as u8; len]);
            let commit = TestCommit {
                id: first_id + index as u64,
                wall_clock_ms,
                frames: frames.into_iter().map(frame).collect(),
            };
            append(&wal, &commit).unwrap();
            written.push(commit);
            match action {
                0 => drop(wal.flush().unwrap()),
                1 => wal.write_out().unwrap(),
                2 => wal.prepare().unwrap(),
                _ => {}
            }
        }
        let end = wal.flush().unwrap();
        let (recovered, read) = recover(&vfs, begin, end).unwrap();
        prop_assert_eq!(recovered.end, end);
        prop_assert_eq!(read, written);
    }
}
