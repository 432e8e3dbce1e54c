//! Segment files are prepared ahead, used again under another salt, and removed when there are too many.

use std::collections::BTreeSet;

use super::super::segment::SegmentHeader;
use super::super::segments::KEPT_SPARES;
use super::*;

fn headers(vfs: &dyn Vfs) -> Vec<SegmentHeader> {
    image(vfs)
        .iter()
        .filter_map(|(path, bytes)| SegmentHeader::of_file(bytes, path).unwrap())
        .filter(|header| header.sequence > 0)
        .collect()
}

/// Appends and flushes commits until the log has grown by `bytes`; returns the next commit ID.
fn fill(wal: &Wal, mut id: u64, bytes: u64) -> u64 {
    let until = wal.end().0 + bytes;
    while wal.end().0 < until {
        append(wal, &commit(id, 100)).unwrap();
        if id.is_multiple_of(4) {
            wal.flush().unwrap();
        }
        id += 1;
    }
    wal.flush().unwrap();
    id
}

#[test]
fn segments_are_prepared_ahead() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    wal.prepare().unwrap();
    assert_eq!(names(&vfs), ["1", "2"]);
    wal.prepare().unwrap();
    assert_eq!(names(&vfs), ["1", "2"], "enough is enough");
    let prepared = wal.stats().segments_created;
    fill(&wal, 1, SEGMENT);
    assert_eq!(
        wal.stats().segments_created,
        prepared,
        "the prepared one was taken"
    );
    fill(&wal, wal_next(&vfs, &wal), SEGMENT);
    assert_eq!(
        wal.stats().segments_created,
        prepared + 1,
        "with none prepared, one is made in passing"
    );
}

fn wal_next(vfs: &dyn Vfs, wal: &Wal) -> u64 {
    let begin = LogPosition(START + 4096);
    recover(vfs, begin, wal.durable())
        .unwrap()
        .0
        .last_commit
        .unwrap()
        .0
        + 1
}

#[test]
fn a_checkpoint_recycles_what_is_wholly_before_it() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let next = fill(&wal, 1, 4 * SEGMENT);
    let position = wal.end();
    let before = wal.stats();
    let file_count = names(&vfs).len();
    wal.checkpoint(position).unwrap();
    assert_eq!(wal.live_bytes(), 0);
    assert_eq!(
        wal.stats().segments_recycled,
        before.segments_recycled + 4,
        "five were taken, four are behind"
    );
    assert_eq!(names(&vfs).len(), file_count);

    // The log goes on in recycled files, creating none, and what they held is not read as log.
    let last = fill(&wal, next, 4 * SEGMENT);
    assert_eq!(wal.stats().segments_created, before.segments_created);
    let (_, read) = recover(&vfs, position, wal.durable()).unwrap();
    assert_eq!(read.first().map(|commit| commit.id), Some(next));
    assert_eq!(read.last().map(|commit| commit.id), Some(last - 1));
    let salts: BTreeSet<_> = headers(&vfs).iter().map(|header| header.salt).collect();
    assert_eq!(salts.len(), headers(&vfs).len(), "every use has its own salt");
}

#[test]
fn where_checkpoints_follow_each_other_unevenly_hardly_any_file_is_made() {
    for filled in [[1, 3, 1, 2], [1, 1, 4, 1], [2, 0, 3, 0]] {
        let vfs = MemoryVfs::default();
        let wal = start(&vfs, LogPosition(0));
        let (mut next, mut warmed_up) = (1, 0);
        for round in 0..12 {
            for segments in filled {
                next = fill(&wal, next, segments * SEGMENT);
                wal.prepare().unwrap();
                wal.checkpoint(wal.end()).unwrap();
            }
            if round == 1 {
                warmed_up = wal.stats().segments_created;
            }
        }
        // Of 40 checkpoints: it was 29 when only the last time counted.
        let created = wal.stats().segments_created - warmed_up;
        assert!(created <= 4, "{filled:?}: {created}");
    }
}

#[test]
fn old_frames_in_a_recycled_file_end_the_log_cleanly() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let mut next = fill(&wal, 1, 3 * SEGMENT);
    for _ in 0..5 {
        let position = wal.end();
        wal.checkpoint(position).unwrap();
        next = fill(&wal, next, SEGMENT + 700);
        // Behind the end lie frames of the earlier use, at every alignment that the rounds bring about.
        let (recovered, read) = recover(&vfs, position, wal.durable()).unwrap();
        assert_eq!(recovered.end, wal.end());
        assert_eq!(read.last().map(|commit| commit.id), Some(next - 1));
        assert_eq!(recovered.torn, None);
    }
}

#[test]
fn a_checkpoint_keeps_what_it_does_not_cover() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    fill(&wal, 1, 3 * SEGMENT);
    wal.checkpoint(begin).unwrap();
    wal.checkpoint(LogPosition(0)).unwrap();
    let stats = wal.stats();
    assert_eq!((stats.segments_removed, stats.segments_recycled), (0, 0));
    assert_eq!(wal.live_bytes(), wal.end().0 - begin.0);
    let (_, read) = recover(&vfs, begin, wal.durable()).unwrap();
    assert_eq!(read[0].id, 1);

    // Not flushed is not recycled, even if a checkpoint claims it.
    let next = read.last().unwrap().id + 1;
    for id in next..next + 100 {
        append(&wal, &commit(id, 100)).unwrap();
    }
    let durable = wal.durable();
    wal.checkpoint(wal.end()).unwrap();
    let (_, read) = recover(&vfs, durable, durable).unwrap();
    assert!(read.is_empty());
    wal.flush().unwrap();
    let (_, read) = recover(&vfs, durable, wal.durable()).unwrap();
    assert_eq!(read.len(), 100);
}

#[test]
fn too_many_spares_are_removed() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let next = fill(&wal, 1, 40 * SEGMENT);
    wal.checkpoint(wal.end()).unwrap();
    assert_eq!(names(&vfs).len(), 17, "16 spares and the current one");
    assert!(wal.stats().segments_removed >= 20);
    // After a quiet time fewer are kept.
    fill(&wal, next, SEGMENT);
    wal.checkpoint(wal.end()).unwrap();
    assert!(names(&vfs).len() <= 17);
}

#[test]
fn a_rename_that_was_lost_does_not_matter() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let next = fill(&wal, 1, 3 * SEGMENT);
    let position = wal.end();
    wal.checkpoint(position).unwrap();
    fill(&wal, next, 2 * SEGMENT);
    let durable = wal.durable();
    // The power fails before the directory was written: a file in use has its old name again.
    let newest = headers(&vfs).iter().map(|header| header.sequence).max().unwrap();
    let path = super::super::segment::path_of(Path::new(DIR), newest);
    vfs.rename(&path, &super::super::segment::path_of(Path::new(DIR), 1))
        .unwrap();
    let (recovered, read) = recover(&vfs, position, durable).unwrap();
    assert_eq!(recovered.end, durable);
    assert_eq!(read[0].id, next);
    // And a start after that keeps it until a checkpoint passes it, and does not reuse its number.
    let wal = start(&vfs, recovered.end);
    assert!(wal.end() > durable);
    assert!(headers(&vfs).iter().any(|header| header.sequence > newest));
    let (again, _) = recover(&vfs, position, durable).unwrap();
    assert_eq!(again.end, recovered.end);
}

fn growing() -> WalOptions {
    WalOptions {
        segment_size: 4 << 20,
        page_size: 4096,
        prepare_ahead: 1 + KEPT_SPARES,
        ..options()
    }
}

#[test]
fn segments_grow_with_the_load_and_a_log_that_has_forgotten_it_is_small() {
    let vfs = MemoryVfs::default();
    let wal = Wal::start(Arc::new(vfs.clone()), growing(), LogPosition(0)).unwrap();
    let begin = wal.end();
    let mut next = fill(&wal, 1, 6 << 20);
    let sizes: BTreeSet<u64> = headers(&vfs).iter().map(|header| header.segment_size).collect();
    assert!(
        sizes.contains(&(256 << 10)) && sizes.contains(&(2 << 20)),
        "{sizes:?}"
    );
    let (recovered, read) = recover_with(&vfs, &growing(), begin, wal.durable()).unwrap();
    assert_eq!((recovered.end, read.len() as u64), (wal.end(), next - 1));
    // As under load: what the interval needed is kept.
    wal.checkpoint(wal.end()).unwrap();
    assert!(wal.file_bytes() <= 14 << 20, "{}", wal.file_bytes());
    assert!(wal.is_larger_than_needed());
    let before = wal.end();
    wal.forget_need().unwrap();
    assert!(wal.end() > before, "the large segment was left");
    wal.checkpoint(wal.begin_checkpoint()).unwrap();
    assert!(!wal.is_larger_than_needed(), "{}", wal.file_bytes());
    let begin = wal.end();
    next = fill(&wal, next, 100 << 10);
    let (recovered, read) = recover_with(&vfs, &growing(), begin, wal.durable()).unwrap();
    assert_eq!((recovered.end, read.last().unwrap().id), (wal.end(), next - 1));
}

#[test]
fn on_a_full_disk_a_refused_reservation_leaves_no_files_and_the_last_spare_is_nobodys() {
    let vfs = MemoryVfs::default();
    let wal = Wal::start(Arc::new(vfs.clone()), growing(), LogPosition(0)).unwrap();
    wal.prepare().unwrap();
    let files = names(&vfs).len();
    assert_eq!(files, 2 + KEPT_SPARES);
    vfs.set_capacity(Some(vfs.used_bytes() + (600 << 10)));
    let used = vfs.used_bytes();
    let error = wal.appender().reserve(8 << 20).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    assert!(
        names(&vfs).len() < files + 1 && vfs.used_bytes() <= used,
        "what it made is gone"
    );
    // A little is granted, from what is not kept, until that is used up.
    vfs.set_capacity(Some(vfs.used_bytes()));
    let mut next = 1;
    while wal.appender().reserve(20_000).is_ok() {
        next = fill(&wal, next, 10_000);
    }
    assert_eq!(wal.segments.spare_count(), 1, "the last is for an opening");
    wal.leave_if_starved().unwrap();
    assert_eq!(wal.segments.spare_count(), 1, "and not for a checkpoint either");
    let killed = vfs.fork();
    killed.set_capacity(Some(killed.used_bytes()));
    Wal::start(Arc::new(killed), growing(), wal.end()).unwrap();
    // Which gives back what the commits have left.
    wal.checkpoint(wal.begin_checkpoint()).unwrap();
    assert!(wal.segments.spare_count() >= KEPT_SPARES);
    // With more than one, the checkpoint goes over to one of them.
    assert!(wal.appender().reserve(8 << 20).unwrap_err().is_disk_full());
    let (spares, sequence) = (wal.segments.spare_count(), wal.segment_sequence());
    wal.leave_if_starved().unwrap();
    assert_eq!(wal.segments.spare_count(), spares - 1);
    assert!(wal.segment_sequence() > sequence);
}

/// A checkpoint that was cut off has not come to giving back what is before its redo position.
#[test]
fn on_a_full_disk_an_opening_takes_what_no_recovery_needs() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    fill(&wal, 1, 3 * SEGMENT);
    assert_eq!(wal.segments.spare_count(), 0);
    let redo = wal.end();
    let start_on = |needed_from| {
        let vfs = vfs.fork();
        vfs.set_capacity(Some(vfs.used_bytes()));
        let options = WalOptions {
            needed_from,
            ..options()
        };
        Wal::start(Arc::new(vfs), options, redo).map(drop)
    };
    assert!(start_on(None).unwrap_err().is_disk_full());
    start_on(Some(redo)).unwrap();
}
