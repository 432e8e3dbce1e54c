//! A database is a data file and a log that belong together. Whatever is mixed up, by a failed copy, a restore of one of
//! the two or a move, is refused with the reason, and nothing of it is changed; what belongs together works under any
//! name.

use std::path::{Path, PathBuf};

use engine::vfs::{MemoryVfs, OpenMode, Vfs};
use engine::{Database, Error, salvage};

use crate::common::{PATH, assert_sound, small};
use crate::damage::{read_file, write_file};

const OTHER: &str = "/other.db";
const NEW: &str = "/new.db";

fn log_of(path: &str) -> PathBuf {
    PathBuf::from(format!("{path}-wal"))
}

fn remove_all(vfs: &MemoryVfs, path: &str) {
    let _ = vfs.remove(Path::new(path));
    remove_log(vfs, path);
}

fn remove_log(vfs: &MemoryVfs, path: &str) {
    for file in vfs.list(&log_of(path)).unwrap_or_default() {
        vfs.remove(&file).unwrap();
    }
}

fn copy_file(from: &MemoryVfs, source: &Path, to: &MemoryVfs, target: &Path) {
    let create = OpenMode {
        create: true,
        ..OpenMode::default()
    };
    let bytes = read_file(from, source);
    let file = to.open(target, create).unwrap();
    file.set_len(0).unwrap();
    file.write_at(&bytes, 0).unwrap();
}

fn copy_data(from: &MemoryVfs, source: &str, to: &MemoryVfs, target: &str) {
    copy_file(from, Path::new(source), to, Path::new(target));
}

/// Replaces the log of `target` by that of `source`.
fn copy_log(from: &MemoryVfs, source: &str, to: &MemoryVfs, target: &str) {
    remove_log(to, target);
    to.create_dir(&log_of(target)).unwrap();
    for file in from.list(&log_of(source)).unwrap() {
        copy_file(from, &file, to, &log_of(target).join(file.file_name().unwrap()));
    }
}

/// All files with their bytes.
fn everything(vfs: &MemoryVfs) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for path in [PATH, OTHER] {
        for file in vfs
            .list(&log_of(path))
            .unwrap_or_default()
            .into_iter()
            .chain([PathBuf::from(path)])
        {
            if vfs.exists(&file).unwrap() {
                all.push((file.clone(), read_file(vfs, &file)));
            }
        }
    }
    all
}

fn put(db: &Database, range: std::ops::Range<u32>, value: u8) {
    let table = db.open_or_create("t").unwrap();
    for n in range {
        db.write(|tx| tx.put(table, &n.to_be_bytes(), &[value; 50]))
            .unwrap();
    }
}

/// The first byte of each value.
fn values(db: &Database) -> Vec<u8> {
    let Ok(table) = db.table("t") else {
        return Vec::new();
    };
    db.snapshot()
        .scan(table, ..)
        .unwrap()
        .map(|row| row.unwrap().1[0])
        .collect()
}

/// A database at `path` that was closed with 10 rows of 1, and then killed with 10 more in the log.
fn killed(path: &str) -> MemoryVfs {
    let vfs = MemoryVfs::with_seed(path.len() as u64);
    let db = small(&vfs).open(path).unwrap();
    put(&db, 0..10, 1);
    db.close().unwrap();
    let db = small(&vfs).open(path).unwrap();
    put(&db, 10..20, 2);
    vfs.fork()
}

/// Opening is refused as parts that do not belong together; the message has all of `words`; nothing is changed.
fn assert_refused(vfs: &MemoryVfs, path: &str, words: &[&str]) {
    let before = everything(vfs);
    let error = small(vfs).open(path).map(|db| values(&db)).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, Error::Mismatch { .. }), "{error:?}");
    assert!(!error.is_retryable() && message.contains(path), "{message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert!(
        everything(vfs) == before,
        "a refused opening changes nothing: {message}"
    );
}

#[test]
fn a_data_file_that_was_emptied_or_lost_beside_a_full_log_is_refused_and_salvage_finds_the_rows() {
    let base = MemoryVfs::default();
    let db = small(&base).open(PATH).unwrap();
    put(&db, 0..30, 7);
    let base = base.fork();
    type Damage = fn(&MemoryVfs);
    let ways: [(&str, Damage); 4] = [
        ("of length 0", |vfs| {
            vfs.open(Path::new(PATH), OpenMode::default())
                .unwrap()
                .set_len(0)
                .unwrap()
        }),
        ("cut in its first superblock", |vfs| {
            vfs.open(Path::new(PATH), OpenMode::default())
                .unwrap()
                .set_len(100)
                .unwrap();
            write_file(vfs, Path::new(PATH), &[0; 100], 0);
        }),
        ("zeros", |vfs| {
            vfs.open(Path::new(PATH), OpenMode::default())
                .unwrap()
                .set_len(0)
                .unwrap();
            write_file(vfs, Path::new(PATH), &[0; 8192], 0);
        }),
        ("gone", |vfs| vfs.remove(Path::new(PATH)).unwrap()),
    ];
    for (what, damage) in ways {
        let vfs = base.fork();
        damage(&vfs);
        assert_refused(&vfs, PATH, &["test.db-wal", "salvage"]);
        assert_eq!(
            vfs.exists(Path::new(PATH)).unwrap(),
            what != "gone",
            "{what}: no file was made"
        );
        let report = salvage(PATH, NEW, small(&vfs)).unwrap();
        assert!(
            !report.is_complete(),
            "{what}: it cannot be known that this is all"
        );
        let db = small(&vfs).open(NEW).unwrap();
        assert_eq!(
            values(&db),
            [7; 30],
            "{what}: every row is there, under its table's name"
        );
    }
}

#[test]
fn a_log_that_is_gone_is_missed() {
    // Killed, and closed: the newest commits may be in the log that is gone either way.
    let closed = killed(PATH);
    small(&closed).open(PATH).unwrap().close().unwrap();
    for vfs in [killed(PATH), closed] {
        remove_log(&vfs, PATH);
        assert_refused(&vfs, PATH, &["test.db-wal", "missing", "salvage"]);
        let report = salvage(PATH, NEW, small(&vfs)).unwrap();
        assert!(report.rows() >= 10);
    }
}

#[test]
fn a_log_of_another_database_is_refused_by_name() {
    let (one, two) = (killed(PATH), killed(OTHER));
    // In the place of the own one, and among its files.
    let vfs = one.fork();
    copy_log(&two, OTHER, &vfs, PATH);
    assert_refused(&vfs, PATH, &["test.db-wal/", "another database"]);
    let vfs = one.fork();
    let foreign = two.list(&log_of(OTHER)).unwrap().pop().unwrap();
    copy_file(&two, &foreign, &vfs, &log_of(PATH).join("00000000000000aa.wal"));
    assert_refused(&vfs, PATH, &["00000000000000aa.wal", "another database"]);
    vfs.remove(&log_of(PATH).join("00000000000000aa.wal")).unwrap();
    let db = small(&vfs).open(PATH).unwrap();
    assert_eq!(
        values(&db),
        [[1; 10], [2; 10]].concat(),
        "the own log was left alone"
    );
}

#[test]
fn copies_that_went_different_ways_are_not_mixed() {
    let base = killed(PATH);
    // Two copies of one database go on, each for itself, by the same steps.
    let go_on = |value: u8, checkpoint: bool| {
        let vfs = base.fork();
        let db = small(&vfs).open(PATH).unwrap();
        put(&db, 20..40, value);
        if checkpoint {
            db.checkpoint().unwrap();
            put(&db, 40..50, value);
        }
        vfs.fork()
    };
    for (first, second) in [(false, false), (true, false), (false, true), (true, true)] {
        let (one, two) = (go_on(3, first), go_on(4, second));
        let vfs = one.fork();
        copy_log(&two, PATH, &vfs, PATH);
        assert_refused(&vfs, PATH, &["test.db-wal", "time line"]);
        let vfs = two.fork();
        copy_data(&one, PATH, &vfs, PATH);
        assert_refused(&vfs, PATH, &["test.db-wal", "time line"]);
        // And one segment of the other among the own ones.
        let vfs = one.fork();
        let newest = two.list(&log_of(PATH)).unwrap().pop().unwrap();
        copy_file(&two, &newest, &vfs, &newest);
        let opened = small(&vfs).open(PATH).map(|db| values(&db));
        if let Ok(values) = opened {
            assert!(!values.contains(&4), "a mixture: {values:?}");
        }
    }
}

#[test]
fn a_restored_copy_of_one_of_the_two_is_refused_or_recovers_everything() {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).open(PATH).unwrap();
    let mut copies = Vec::new();
    for round in 0..6u32 {
        put(&db, round * 10..round * 10 + 10, round as u8);
        if round % 2 == 1 {
            db.checkpoint().unwrap();
        }
        copies.push(vfs.fork());
    }
    drop(db);
    copies.push(vfs.fork());
    let db = small(&vfs).open(PATH).unwrap();
    put(&db, 60..70, 9);
    copies.push(vfs.fork());
    let newest = values(&db);
    let (mut refused, mut whole) = (0, 0);
    for (index, copy) in copies.iter().enumerate() {
        // An older data file beside the newest log.
        let mixed = vfs.fork();
        copy_data(copy, PATH, &mixed, PATH);
        match small(&mixed).open(PATH) {
            Ok(db) => {
                assert_eq!(values(&db), newest, "data file of {index}");
                assert_sound(&db);
                whole += 1;
            }
            Err(error) => {
                assert!(
                    matches!(error, Error::Mismatch { .. } | Error::Corruption { .. }),
                    "{error}"
                );
                refused += 1;
            }
        }
        // An older log beside the newest data file: commits of the newest session are nowhere else.
        let mixed = vfs.fork();
        copy_log(copy, PATH, &mixed, PATH);
        match small(&mixed).open(PATH) {
            Ok(db) => assert_eq!(values(&db), newest, "log of {index}"),
            Err(error) => {
                assert!(
                    matches!(error, Error::Mismatch { .. } | Error::Corruption { .. }),
                    "{error}"
                );
                refused += 1;
            }
        }
    }
    assert!(refused >= 8 && whole >= 1, "{refused} refused, {whole} whole");
}

#[test]
fn both_parts_under_a_new_name_are_the_same_database() {
    let vfs = killed(PATH);
    vfs.rename(Path::new(PATH), Path::new("/moved/there.db")).unwrap();
    vfs.create_dir(&log_of("/moved/there.db")).unwrap();
    for file in vfs.list(&log_of(PATH)).unwrap() {
        vfs.rename(&file, &log_of("/moved/there.db").join(file.file_name().unwrap()))
            .unwrap();
    }
    let db = small(&vfs).open("/moved/there.db").unwrap();
    assert_eq!(values(&db), [[1; 10], [2; 10]].concat());
    put(&db, 20..21, 3);
    db.close().unwrap();
    // And the old name is free for a new one.
    remove_all(&vfs, PATH);
    assert!(values(&small(&vfs).open(PATH).unwrap()).is_empty());
}

#[test]
fn a_lost_data_file_is_noticed_although_its_log_is_empty_by_now() {
    for openings in 0..4 {
        for is_removed in [false, true] {
            let vfs = MemoryVfs::default();
            let db = small(&vfs).open(PATH).unwrap();
            put(&db, 0..1, 1);
            db.close().unwrap();
            for _ in 0..openings {
                small(&vfs).open(PATH).unwrap().close().unwrap();
            }
            let path = Path::new(PATH);
            if is_removed {
                vfs.remove(path).unwrap();
            } else {
                vfs.open(path, OpenMode::default()).unwrap().set_len(0).unwrap();
            }
            let opened = small(&vfs).open(PATH);
            assert!(opened.is_err(), "a new database after {openings} openings");
        }
    }
}

#[test]
fn what_a_creation_left_that_was_cut_off_is_no_obstacle() {
    // The data file's name was not durable yet, and the log's first segment was.
    let vfs = MemoryVfs::default();
    drop(small(&vfs).open(PATH).unwrap());
    for blank in [false, true] {
        let vfs = vfs.fork();
        vfs.remove(Path::new(PATH)).unwrap();
        if blank {
            write_file_new(&vfs, &[0; 8192]);
        }
        let db = small(&vfs).open(PATH).unwrap();
        put(&db, 0..10, 1);
        db.close().unwrap();
        assert_eq!(values(&small(&vfs).open(PATH).unwrap()), [1; 10]);
    }
}

fn write_file_new(vfs: &MemoryVfs, bytes: &[u8]) {
    let create = OpenMode {
        create: true,
        ..OpenMode::default()
    };
    vfs.open(Path::new(PATH), create)
        .unwrap()
        .write_at(bytes, 0)
        .unwrap();
}
