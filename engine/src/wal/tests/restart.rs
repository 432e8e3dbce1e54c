//! Starting again: the log goes on in a fresh segment, and a recovery from before the restart still finds its way.

use super::*;

#[test]
fn the_log_goes_on_after_a_restart_and_reads_as_one() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    let mut written = Vec::new();
    let mut durable = begin;
    let mut wal = Some(wal);
    for round in 0..6 {
        let log = wal.take().unwrap();
        for _ in 0..25 {
            let commit = commit(written.len() as u64 + 1, 150);
            append(&log, &commit).unwrap();
            written.push(commit);
        }
        durable = log.flush().unwrap();
        if round % 2 == 0 {
            log.prepare().unwrap();
        }
        // Never flushed, so it is lost with the process.
        append(&log, &commit(written.len() as u64 + 1, 150)).unwrap();
        drop(log);
        let (recovered, read) = recover(&vfs, begin, durable).unwrap();
        assert_eq!(read, written);
        let log = start(&vfs, recovered.end);
        assert!(log.end() > recovered.end);
        wal = Some(log);
    }
    let (recovered, read) = recover(&vfs, begin, durable).unwrap();
    assert_eq!(read, written);
    assert_eq!(recovered.end, durable);
}

#[test]
fn what_a_crash_left_behind_the_recovered_end_is_abandoned() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    append(&wal, &commit(1, 60)).unwrap();
    let durable = wal.flush().unwrap();
    for id in 2..200 {
        append(&wal, &commit(id, 60)).unwrap();
    }
    wal.write_out().unwrap();
    drop(wal);
    // Commit 2 is lost; later ones, over several segments, are still there.
    let hole = durable.0 - START;
    overwrite(&vfs, Path::new("/db/wal/0000000000000001.wal"), &[0; 25], hole);
    let (recovered, read) = recover(&vfs, begin, durable).unwrap();
    assert_eq!((read.len(), recovered.end), (1, durable));

    let wal = start(&vfs, recovered.end);
    let restarted = wal.end();
    append(&wal, &commit(2, 90)).unwrap();
    let durable = wal.flush().unwrap();
    let (recovered, read) = recover(&vfs, begin, durable).unwrap();
    assert_eq!(read, [commit(1, 60), commit(2, 90)], "the new commit 2");
    assert_eq!(recovered.end, durable);

    // A checkpoint lets the abandoned segments go as well.
    wal.checkpoint(restarted).unwrap();
    let stats = wal.stats();
    assert!(stats.segments_recycled + stats.segments_removed >= 2, "{stats:?}");
    let (_, read) = recover(&vfs, restarted, durable).unwrap();
    assert_eq!(read, [commit(2, 90)]);
}

#[test]
fn damage_before_a_restart_is_still_damage() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    append(&wal, &commit(1, 60)).unwrap();
    let middle = append(&wal, &commit(2, 60)).unwrap();
    wal.flush().unwrap();
    drop(wal);
    let wal = start(&vfs, middle);
    drop(wal);
    overwrite(&vfs, Path::new("/db/wal/0000000000000001.wal"), &[0; 8], 4096);
    let error = recover(&vfs, begin, begin).unwrap_err();
    assert!(
        error.to_string().contains("says that the log was durable"),
        "{error}"
    );
}

#[test]
fn unused_segments_are_taken_over() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    wal.prepare().unwrap();
    drop(wal);
    let wal = start(&vfs, LogPosition(0));
    let stats = wal.stats();
    assert_eq!((stats.segments_created, stats.segments_recycled), (0, 1));
    assert_eq!(names(&vfs), ["1", "3"], "above every existing number");
    assert_eq!(
        wal.end(),
        LogPosition(START + SEGMENT + 4096),
        "behind every position"
    );
}

#[test]
fn half_made_segments_and_other_files_are_told_apart() {
    let vfs = MemoryVfs::default();
    vfs.create_dir(Path::new(DIR)).unwrap();
    overwrite(&vfs, Path::new("/db/wal/0000000000000007.wal"), &[0; 5000], 0);
    overwrite(&vfs, Path::new("/db/wal/notes.txt"), b"mine", 0);
    let wal = start(&vfs, LogPosition(0));
    assert_eq!(names(&vfs), ["8", "notes"]);
    assert!(!vfs.exists(Path::new("/db/wal/0000000000000007.wal")).unwrap());
    assert!(vfs.exists(Path::new("/db/wal/notes.txt")).unwrap());
    assert_eq!(wal.stats().segments_removed, 1);
}

#[test]
fn another_segment_size_takes_over_at_a_higher_position() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    let mut written: Vec<_> = (1..=80).map(|id| commit(id, 100)).collect();
    for commit in &written {
        append(&wal, commit).unwrap();
    }
    let end = wal.flush().unwrap();
    drop(wal);
    for (segment_size, id) in [(64 << 10, 81), (SEGMENT, 82), (16 << 10, 83)] {
        let options = WalOptions {
            segment_size,
            ..options()
        };
        let (recovered, _) = recover_with(&vfs, &options, begin, end).unwrap();
        let wal = Wal::start(Arc::new(vfs.clone()), options.clone(), recovered.end).unwrap();
        assert!(wal.end() > recovered.end);
        let commit = commit(id, 100);
        append(&wal, &commit).unwrap();
        written.push(commit);
        let durable = wal.flush().unwrap();
        let (recovered, read) = recover_with(&vfs, &options, begin, durable).unwrap();
        assert_eq!(recovered.end, durable);
        assert_eq!(read, written);
    }
}

#[test]
fn exhausted_segment_numbers_are_an_error() {
    let vfs = MemoryVfs::default();
    vfs.create_dir(Path::new(DIR)).unwrap();
    overwrite(
        &vfs,
        Path::new("/db/wal/ffffffffffffffff.wal"),
        &[0; SEGMENT as usize],
        0,
    );
    let error = Wal::start(Arc::new(vfs), options(), LogPosition(0)).unwrap_err();
    assert!(error.to_string().contains("segment numbers"), "{error}");
}

/// However often a creation is cut off before its first checkpoint, what it leaves is not taken for a log that was in use.
#[test]
fn only_a_log_that_goes_on_from_somewhere_has_contents() {
    let vfs = MemoryVfs::default();
    let find = || crate::wal::find_contents(&vfs, Path::new(DIR)).unwrap();
    let mut end = LogPosition(0);
    for opening in 0..5 {
        let wal = start(&vfs, LogPosition(0));
        end = wal.end();
        let recovered = recover(&vfs, LogPosition(0), LogPosition(0)).unwrap().0;
        assert_eq!(
            (find(), recovered.end),
            (None, LogPosition(0)),
            "opening {opening}"
        );
    }
    drop(start(&vfs, end));
    assert!(find().is_some());
}
