//! Full disks, failed syncs, damage, foreign files, crashes: nothing acknowledged is lost, nothing wrong is read.

use std::path::Path;
use std::sync::Arc;

use engine::vfs::{MemoryVfs, OpenMode, OsVfs, Vfs};
use engine::{Database, Error, Options};

const PATH: &str = "/faults.db";

fn options(vfs: &MemoryVfs) -> Options {
    let options = Options::new()
        .page_size(4096)
        .cache_size(1 << 20)
        .wal_segment_size(256 << 10);
    options.background(false).vfs(Arc::new(vfs.clone()))
}

fn write(db: &Database, n: u32) -> engine::Result<()> {
    let table = db.open_or_create("t")?;
    db.write(|tx| (0..5u32).try_for_each(|k| tx.put(table, &(n * 5 + k).to_be_bytes(), &n.to_le_bytes())))
}

/// Every acknowledged transaction is there, and none in part.
fn check(db: &Database, acknowledged: u32) {
    let table = db.open_or_create("t").unwrap();
    let snapshot = db.snapshot();
    for n in 0..acknowledged + 5 {
        let rows: Vec<_> = (0..5u32)
            .map(|k| snapshot.get(table, &(n * 5 + k).to_be_bytes()).unwrap())
            .collect();
        let there = rows.iter().flatten().filter(|v| ***v == n.to_le_bytes()).count();
        assert!(
            there == 5 || there == 0 && n >= acknowledged,
            "transaction {n}: {there} of 5 rows"
        );
    }
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
}

#[test]
fn a_crash_at_any_moment_keeps_what_was_acknowledged() {
    let vfs = MemoryVfs::default();
    let mut acknowledged = 0;
    for round in 0..40u32 {
        let db = options(&vfs).open(PATH).unwrap();
        check(&db, acknowledged);
        for _ in 0..round * 3 {
            write(&db, acknowledged).unwrap();
            acknowledged += 1;
            if acknowledged % 37 == 0 {
                db.checkpoint().unwrap();
            }
            if acknowledged % 7 == 0 {
                let crashed = vfs.fork();
                let again = options(&crashed).open(PATH).unwrap();
                check(&again, acknowledged);
                write(&again, acknowledged).unwrap();
                let crashed_again = crashed.fork();
                check(&options(&crashed_again).open(PATH).unwrap(), acknowledged + 1);
            }
        }
    }
}

#[test]
fn a_clean_close_leaves_nothing_to_redo_and_space_is_used_again() {
    let vfs = MemoryVfs::default();
    let mut sizes = Vec::new();
    for round in 0..30u32 {
        let db = options(&vfs).open(PATH).unwrap();
        assert_eq!(db.recovery().commits, 0, "round {round}");
        for n in 0..200 {
            write(&db, n).unwrap();
        }
        db.close().unwrap();
        sizes.push(vfs.used_bytes());
    }
    assert!(sizes[29] <= sizes[9] * 3 / 2, "files keep growing: {sizes:?}");
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let vfs = MemoryVfs::default();
    let db = options(&vfs).open(PATH).unwrap();
    write(&db, 0).unwrap();
    vfs.set_capacity(Some(vfs.used_bytes() + 300_000));
    let mut acknowledged = 1;
    let error = loop {
        match write(&db, acknowledged) {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 100_000, "the disk never filled");
    };
    assert!(error.is_disk_full(), "{error}");
    check(&db, acknowledged);
    // Room again, and it goes on without being opened again.
    vfs.set_capacity(None);
    write(&db, acknowledged).unwrap();
    drop(db);
    check(&options(&vfs).open(PATH).unwrap(), acknowledged + 1);
}

#[test]
fn a_failed_sync_is_final_until_the_database_is_opened_again() {
    let vfs = MemoryVfs::default();
    let db = options(&vfs).open(PATH).unwrap();
    write(&db, 0).unwrap();
    vfs.fail_next_sync();
    assert!(write(&db, 1).is_err());
    for _ in 0..3 {
        assert!(matches!(write(&db, 1), Err(Error::Poisoned { .. })));
    }
    drop(db);
    check(&options(&vfs).open(PATH).unwrap(), 1);
}

#[test]
fn every_damaged_byte_is_found_or_does_not_matter() {
    let vfs = MemoryVfs::default();
    {
        let db = options(&vfs).open(PATH).unwrap();
        for n in 0..60 {
            write(&db, n).unwrap();
        }
        db.close().unwrap();
    }
    let len = vfs
        .open(Path::new(PATH), OpenMode::default())
        .unwrap()
        .len()
        .unwrap();
    let mut found = 0;
    for offset in (0..len).step_by(97) {
        let damaged = vfs.fork();
        let file = damaged.open(Path::new(PATH), OpenMode::default()).unwrap();
        let mut byte = [0];
        file.read_at(&mut byte, offset).unwrap();
        file.write_at(&[byte[0] ^ 1 << (offset % 8)], offset).unwrap();
        drop(file);
        // Damage is an error that names the file, or a problem that verification names, or it hit a byte that
        // nothing depends on; it is never a wrong value.
        let opened = options(&damaged).open(PATH);
        match opened {
            Err(error) => {
                assert!(error.to_string().contains("faults.db"), "{error}");
                found += 1;
            }
            Ok(db) if !db.verify().unwrap().is_sound() => found += 1,
            Ok(db) => check(&db, 60),
        }
    }
    assert!(found > 10, "only {found} damages were found");
}

#[test]
fn files_that_are_no_databases_are_refused_and_left_alone() {
    let vfs = MemoryVfs::default();
    let text = b"this is a letter, not a database".repeat(1000);
    let file = vfs
        .open(
            Path::new(PATH),
            OpenMode {
                create: true,
                ..OpenMode::default()
            },
        )
        .unwrap();
    file.write_at(&text, 0).unwrap();
    let error = options(&vfs).open(PATH).unwrap_err();
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    let mut now = vec![0; text.len()];
    file.read_at(&mut now, 0).unwrap();
    assert_eq!(now, text);
}

#[test]
fn a_second_opener_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let open = || {
        Options::new()
            .cache_size(1 << 20)
            .vfs(Arc::new(OsVfs::default()))
            .open(&path)
    };
    let db = open().unwrap();
    assert!(matches!(open(), Err(Error::Locked { .. })));
    drop(db);
    open().unwrap();
    let missing = dir.path().join("none").join("a.db");
    assert!(matches!(Database::open(&missing), Err(Error::Io { .. })));
    assert!(Database::open(dir.path()).is_err(), "a directory is no database");
}
