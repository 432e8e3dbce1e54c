//! Files of a running process that are moved, replaced, removed or copied, on real files: it stops with a reason, writes over
//! nothing that belongs to others, and keeps what was acknowledged.

use std::fs;

use engine::{Database, Error};
use tempfile::TempDir;

use crate::common::assert_sound;
use crate::names::{add, answer, assert_rows, child, everything, killed, log_of, open};

/// Adds rows until something is refused; returns how many are acknowledged.
fn add_until_refused(db: &Database, from: u32) -> (u32, Error) {
    let (end, error) = add(db, from, 100_000);
    (end, error.unwrap())
}

#[test]
fn a_log_that_is_moved_away_stops_commits_when_it_needs_a_file_and_keeps_what_was_acknowledged() {
    let dir = TempDir::new().unwrap();
    let (path, away) = (dir.path().join("a.db"), dir.path().join("away"));
    let db = open(&path).unwrap();
    let (end, _) = add(&db, 0, 30);
    fs::rename(log_of(&path), &away).unwrap();
    let (end, error) = add_until_refused(&db, end);
    assert!(matches!(error, Error::Moved { .. }), "{error}");
    assert!(
        error.to_string().contains("a.db-wal") && error.to_string().contains("put"),
        "{error}"
    );
    assert!(!log_of(&path).exists(), "nothing is made in its place");
    drop(db);
    assert!(matches!(open(&path), Err(Error::Mismatch { .. })));
    fs::rename(&away, log_of(&path)).unwrap();
    assert_rows(&open(&path).unwrap(), end);
}

#[test]
fn the_log_of_another_database_in_the_place_of_ones_own_is_not_touched() {
    let dir = TempDir::new().unwrap();
    let (path, other, away) = (
        dir.path().join("a.db"),
        dir.path().join("b.db"),
        dir.path().join("away"),
    );
    killed(&other, 150);
    let db = open(&path).unwrap();
    let (end, _) = add(&db, 0, 100);
    fs::rename(log_of(&path), &away).unwrap();
    fs::rename(log_of(&other), log_of(&path)).unwrap();
    let before = everything(&log_of(&path));
    let (end, error) = add_until_refused(&db, end);
    assert!(matches!(error, Error::Moved { .. }), "{error}");
    // Nor by a checkpoint, which would recycle and remove files.
    assert!(matches!(db.checkpoint(), Err(Error::Moved { .. })));
    drop(db);
    assert_eq!(everything(&log_of(&path)), before);
    fs::rename(log_of(&path), log_of(&other)).unwrap();
    fs::rename(&away, log_of(&path)).unwrap();
    assert_rows(&open(&other).unwrap(), 150);
    assert_rows(&open(&path).unwrap(), end);
}

#[test]
fn a_log_file_that_is_replaced_is_not_recycled() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.db");
    let db = open(&path).unwrap();
    add(&db, 0, 150);
    let mut files: Vec<_> = fs::read_dir(log_of(&path))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    fs::write(dir.path().join("mine"), b"something else").unwrap();
    fs::rename(dir.path().join("mine"), &files[0]).unwrap();
    let error = db.checkpoint().unwrap_err();
    assert!(matches!(error, Error::Moved { .. }), "{error}");
    assert_eq!(fs::read(&files[0]).unwrap(), b"something else");
    // The next one passes it by.
    add(&db, 150, 50);
    db.checkpoint().unwrap();
    db.close().unwrap();
    assert_eq!(fs::read(&files[0]).unwrap(), b"something else");
    fs::remove_file(&files[0]).unwrap();
    assert_rows(&open(&path).unwrap(), 200);
}

#[test]
fn a_name_that_is_taken_in_the_log_is_not_written_over() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.db");
    let db = open(&path).unwrap();
    add(&db, 0, 30);
    let taken: Vec<_> = (1..30u32)
        .map(|n| log_of(&path).join(format!("{n:016x}.wal")))
        .filter(|name| !name.exists())
        .take(5)
        .collect();
    taken.iter().for_each(|name| fs::write(name, b"mine").unwrap());
    let (end, error) = add(&db, 30, 300);
    assert!(error.is_none(), "{error:?}");
    db.checkpoint().unwrap();
    for name in &taken {
        assert_eq!(fs::read(name).unwrap(), b"mine", "{}", name.display());
    }
    db.close().unwrap();
    assert_rows(&open(&path).unwrap(), end);
}

#[test]
fn a_data_file_that_is_moved_or_removed_stops_the_database_and_the_log_keeps_everything() {
    for removed in [false, true] {
        let dir = TempDir::new().unwrap();
        let (path, away) = (dir.path().join("a.db"), dir.path().join("away.db"));
        let db = open(&path).unwrap();
        let (end, _) = add(&db, 0, 50);
        let copy = fs::read(&path).unwrap();
        if removed {
            fs::remove_file(&path).unwrap();
        } else {
            fs::rename(&path, &away).unwrap();
        }
        // Commits are in the log and go on; a checkpoint would let the log go for a file that may be nowhere.
        let (end, error) = add(&db, end, 20);
        assert!(error.is_none(), "{error:?}");
        let error = db.checkpoint().unwrap_err();
        assert!(
            error.to_string().contains("was moved, replaced or removed"),
            "{error}"
        );
        let (end, error) = add(&db, end, 1);
        assert!(matches!(error, Some(Error::Poisoned { .. })), "{error:?}");
        drop(db);
        // Nobody takes the name for a new database's.
        let error = open(&path).unwrap_err();
        assert!(
            matches!(error, Error::Mismatch { .. }) && !path.exists(),
            "{error}"
        );
        if removed {
            // From a copy of before, since no checkpoint has come.
            fs::write(&path, copy).unwrap();
        } else {
            fs::rename(&away, &path).unwrap();
        }
        assert_rows(&open(&path).unwrap(), end);
    }
}

#[test]
fn a_data_file_that_is_replaced_leaves_the_log_to_the_process_that_has_it() {
    let dir = TempDir::new().unwrap();
    let (path, copy) = (dir.path().join("a.db"), dir.path().join("copy"));
    let db = open(&path).unwrap();
    let (end, _) = add(&db, 0, 50);
    fs::copy(&path, &copy).unwrap();
    let (end, _) = add(&db, end, 50);
    // A restore by way of a new file, as most tools do it.
    fs::rename(&copy, &path).unwrap();
    let error = open(&path).unwrap_err();
    assert!(
        matches!(error, Error::Locked { .. }),
        "the log is in use: {error}"
    );
    let said = answer(&child("open", &path, dir.path(), false));
    assert!(said.contains("is in use"), "{said}");
    let (end, _) = add(&db, end, 5);
    assert!(db.checkpoint().is_err());
    drop(db);
    assert_rows(&open(&path).unwrap(), end);
}

#[test]
fn a_database_that_is_removed_and_made_anew_is_not_written_by_the_old_process() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.db");
    let old = open(&path).unwrap();
    let (old_end, _) = add(&old, 0, 20);
    fs::remove_file(&path).unwrap();
    fs::remove_dir_all(log_of(&path)).unwrap();
    let new = open(&path).unwrap();
    let (end, _) = add(&new, 0, 40);
    let before = everything(dir.path());
    let (_, error) = add_until_refused(&old, old_end);
    assert!(matches!(error, Error::Moved { .. }), "{error}");
    assert!(old.checkpoint().is_err());
    drop(old);
    assert_eq!(everything(dir.path()), before);
    let (end, error) = add(&new, end, 200);
    assert!(error.is_none(), "{error:?}");
    new.close().unwrap();
    assert_rows(&open(&path).unwrap(), end);
}

/// Ten rows of one number; each commit sets all of them to the next.
fn set_all(db: &Database, number: u32) {
    let table = db.open_or_create("t").unwrap();
    db.write(|tx| (0..10u8).try_for_each(|row| tx.put(table, &[row], &number.to_be_bytes())))
        .unwrap();
}

#[test]
fn a_copy_of_a_live_database_is_refused_or_whole_and_fresh() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("live.db");
    let db = open(&path).unwrap();
    set_all(&db, 0);
    let newest = std::sync::atomic::AtomicU32::new(0);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut opened = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                number += 1;
                set_all(&db, number);
                newest.store(number, std::sync::atomic::Ordering::SeqCst);
                if number.is_multiple_of(40) {
                    db.checkpoint().unwrap();
                }
            }
        });
        for round in 0..30 {
            let copy = dir.path().join(format!("copy-{round}.db"));
            let acknowledged = newest.load(std::sync::atomic::Ordering::SeqCst);
            let copy_log = || {
                // A file may be gone before it is copied: like `cp -r`, which then complains.
                fs::create_dir(log_of(&copy)).unwrap();
                for entry in fs::read_dir(log_of(&path)).unwrap() {
                    let entry = entry.unwrap();
                    let _ = fs::copy(entry.path(), log_of(&copy).join(entry.file_name()));
                }
            };
            let data_first = round % 2 == 0;
            if !data_first {
                copy_log();
            }
            fs::copy(&path, &copy).unwrap();
            if data_first {
                copy_log();
            }
            match open(&copy) {
                Ok(copied) => {
                    opened += 1;
                    let table = copied.table("t").unwrap();
                    let rows: Vec<_> = copied
                        .snapshot()
                        .scan(table, ..)
                        .unwrap()
                        .map(|row| u32::from_be_bytes(row.unwrap().1.try_into().unwrap()))
                        .collect();
                    assert!(
                        rows.len() == 10 && rows.iter().all(|row| *row == rows[0]),
                        "{rows:?}"
                    );
                    assert!(
                        !data_first || rows[0] >= acknowledged,
                        "{} of {acknowledged}",
                        rows[0]
                    );
                    assert_sound(&copied);
                }
                Err(error) => assert!(
                    matches!(error, Error::Mismatch { .. } | Error::Corruption { .. }),
                    "{error}"
                ),
            }
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    assert!(opened > 0, "some of the copies are whole");
}
