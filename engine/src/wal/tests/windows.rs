//! Reading through windows of every size, commits in parts of every size: what is read does not depend on it.

use super::*;

/// Options with a window and a limit for commits.
fn within(read_window: usize, commit_part: usize) -> WalOptions {
    WalOptions {
        read_window,
        commit_part,
        ..options()
    }
}

/// A log over several segments whose last commit is long, and its beginning and end.
fn written(is_complete: bool) -> (MemoryVfs, Vec<TestCommit>, LogPosition, LogPosition) {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    let mut written: Vec<_> = (1..=60).map(|id| commit(id, 700)).collect();
    for commit in &written {
        append(&wal, commit).unwrap();
    }
    let mut end = wal.flush().unwrap();
    let mut long = commit(61, 300);
    long.frames = (0..80)
        .map(|n| (n + 1, FrameKind::Delta, vec![n as u8; n as usize * 13]))
        .collect();
    if is_complete {
        end = append(&wal, &long).unwrap();
        wal.flush().unwrap();
        written.push(long);
        written.push(commit(62, 100));
        end = end.max(append(&wal, &written[61]).unwrap());
    } else {
        for (page, kind, body) in &long.frames {
            wal.append(PageNumber(*page), CommitId(61), *kind, None, body)
                .unwrap();
        }
    }
    wal.flush().unwrap();
    (vfs, written, begin, end)
}

#[test]
fn frames_straddle_windows_at_every_alignment() {
    let (vfs, written, begin, end) = written(true);
    for window in (1..300).chain([511, 1000, 4095, 4096, 4097, 8192, 12_287, 12_288, 1 << 20]) {
        for part in [1, 777, 1 << 20] {
            let (recovered, read) = recover_with(&vfs, &within(window, part), begin, end).unwrap();
            assert!(read == written, "window {window}, part {part}");
            assert_eq!((recovered.end, recovered.torn), (end, None));
        }
    }
}

#[test]
fn a_long_commit_without_its_mark_is_torn_whatever_the_sizes() {
    let (vfs, written, begin, end) = written(false);
    for (window, part) in [(100, 1), (4096, 500), (1 << 20, 1), (1 << 20, 1 << 20)] {
        let (recovered, read) = recover_with(&vfs, &within(window, part), begin, end).unwrap();
        assert!(read == written, "window {window}, part {part}");
        assert_eq!(recovered.end, end);
        let torn = recovered.torn.unwrap().what;
        assert!(torn.contains("commit 61 has 80 frames and no mark"), "{torn}");
    }
}

#[test]
fn damage_is_found_through_small_windows_as_through_large_ones() {
    let (vfs, _, begin, end) = written(true);
    let paths = vfs.list(Path::new(DIR)).unwrap();
    for path in &paths {
        for offset in (4096..SEGMENT - 4096).step_by(501) {
            let vfs = vfs.fork();
            let file = vfs.open(path, OpenMode::default()).unwrap();
            let mut byte = [0];
            read_exact_at(&*file, &mut byte, offset).unwrap();
            file.write_at(&[byte[0] ^ 0x10], offset).unwrap();
            let read = |window, part| {
                let answer = recover_with(&vfs, &within(window, part), begin, begin);
                answer.map_err(|error| error.to_string())
            };
            let expected = read(1 << 20, 1 << 20);
            for (window, part) in [(60, 1 << 20), (5000, 300), (9000, 1)] {
                assert!(
                    read(window, part) == expected,
                    "{} at {offset}, {window}, {part}",
                    path.display()
                );
            }
        }
    }
    assert!(end > begin);
}
