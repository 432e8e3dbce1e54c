//! More of what people and tools do, on real files: a directory that is moved with an open database in it, a link that is
//! pointed elsewhere, a copy written over a file in use, other things where the log should be. And looking at files
//! changes none of them, whatever state they are in.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use engine::{Error, inspect};
use tempfile::TempDir;

use crate::names::{File, add, assert_rows, everything, killed, log_of, open, options};

#[test]
fn a_directory_that_is_moved_takes_its_database_along_and_the_old_process_writes_no_new_files() {
    let dir = TempDir::new().unwrap();
    let (before, after) = (dir.path().join("before"), dir.path().join("after"));
    fs::create_dir(&before).unwrap();
    let db = open(&before.join("a.db")).unwrap();
    let (end, _) = add(&db, 0, 30);
    fs::rename(&before, &after).unwrap();
    assert!(
        matches!(open(&after.join("a.db")), Err(Error::Locked { .. })),
        "it is open, whatever its name"
    );
    let (end, error) = add(&db, end, 100_000);
    assert!(matches!(error, Some(Error::Moved { .. })), "{error:?}");
    assert!(db.checkpoint().is_err());
    drop(db);
    assert!(!before.exists(), "nothing was made under the old name");
    assert_rows(&open(&after.join("a.db")).unwrap(), end);
}

#[test]
fn a_link_that_is_pointed_elsewhere_does_not_matter_to_who_has_come_by_it() {
    let dir = TempDir::new().unwrap();
    let [one, two, link] = ["one.db", "two.db", "link.db"].map(|name| dir.path().join(name));
    killed(&two, 10);
    symlink("one.db", &link).unwrap();
    let db = open(&link).unwrap();
    let (end, _) = add(&db, 0, 30);
    fs::remove_file(&link).unwrap();
    symlink("two.db", &link).unwrap();
    let other = (fs::read(&two).unwrap(), everything(&log_of(&two)));
    let (end, error) = add(&db, end, 200);
    assert!(error.is_none(), "{error:?}");
    db.checkpoint().unwrap();
    db.close().unwrap();
    assert!(other == (fs::read(&two).unwrap(), everything(&log_of(&two))));
    assert_rows(&open(&one).unwrap(), end);
    assert_rows(&open(&link).unwrap(), 10);
}

#[test]
fn a_copy_written_over_the_file_of_a_running_process_is_noticed_and_the_log_is_kept() {
    // `cp backup.db a.db` keeps the file and changes its bytes, so no name and no lock tells.
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.db");
    let db = open(&path).unwrap();
    let (end, _) = add(&db, 0, 100);
    db.checkpoint().unwrap();
    let copy = fs::read(&path).unwrap();
    let (end, _) = add(&db, end, 100);
    db.checkpoint().unwrap();
    let (end, _) = add(&db, end, 10);
    let newest = fs::read(&path).unwrap();
    fs::write(&path, &copy).unwrap();
    // Whoever looks is told, and no checkpoint lets the log go for a file that has lost what it had.
    assert!(!db.verify().unwrap().is_sound());
    let (end, error) = add(&db, end, 10);
    assert!(error.is_none(), "commits are in the log: {error:?}");
    let error = db.checkpoint().unwrap_err();
    assert!(
        error.to_string().contains("was moved, replaced or removed"),
        "{error}"
    );
    drop(db);
    let error = open(&path).unwrap_err();
    assert!(
        matches!(error, Error::Mismatch { .. } | Error::Corruption { .. }),
        "{error}"
    );
    // With the right bytes again, everything is there.
    fs::write(&path, &newest).unwrap();
    assert_rows(&open(&path).unwrap(), end);
}

#[test]
fn a_file_where_the_log_should_be_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let (path, away) = (dir.path().join("a.db"), dir.path().join("away"));
    fs::write(log_of(&path), b"mine").unwrap();
    let is_refused = || {
        let error = open(&path).unwrap_err();
        assert!(error.to_string().contains("a.db-wal"), "{error}");
        assert_eq!(fs::read(log_of(&path)).unwrap(), b"mine");
    };
    is_refused();
    fs::remove_file(log_of(&path)).unwrap();
    let db = open(&path).unwrap();
    let (end, _) = add(&db, 0, 20);
    db.close().unwrap();
    fs::rename(log_of(&path), &away).unwrap();
    fs::write(log_of(&path), b"mine").unwrap();
    is_refused();
    fs::remove_file(log_of(&path)).unwrap();
    fs::rename(&away, log_of(&path)).unwrap();
    assert_rows(&open(&path).unwrap(), end);
}

#[test]
fn looking_at_files_changes_none_of_them_whatever_state_they_are_in() {
    type State = fn(&Path);
    let states: [(&str, State, bool); 8] = [
        ("killed", |_| (), true),
        ("closed", |path| open(path).unwrap().close().unwrap(), true),
        (
            "its data file emptied",
            |path| fs::write(path, b"").unwrap(),
            false,
        ),
        (
            "its data file cut",
            |path| {
                fs::OpenOptions::new()
                    .write(true)
                    .open(path)
                    .unwrap()
                    .set_len(5000)
                    .unwrap()
            },
            false,
        ),
        ("its data file gone", |path| fs::remove_file(path).unwrap(), false),
        (
            "its log gone",
            |path| fs::remove_dir_all(log_of(path)).unwrap(),
            false,
        ),
        (
            "the log of another",
            |path| {
                let other = path.with_file_name("other.db");
                killed(&other, 30);
                fs::remove_dir_all(log_of(path)).unwrap();
                fs::rename(log_of(&other), log_of(path)).unwrap();
            },
            false,
        ),
        ("no database", |path| fs::write(path, [9; 10_000]).unwrap(), false),
    ];
    for (what, make, is_readable) in states {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("a.db");
        killed(&path, 40);
        make(&path);
        let before = everything(dir.path());
        let said = inspect(&path, &options()).unwrap();
        assert!(said.contains("a.db"), "{what}: {said}");
        let opened = options().read_only(true).open(&path);
        assert_eq!(opened.is_ok(), is_readable, "{what}: {:?}", opened.err());
        if let Ok(db) = opened {
            assert!(db.verify().unwrap().is_sound(), "{what}");
        }
        assert!(
            everything(dir.path()) == before,
            "{what}: looking changed something"
        );
        if !is_readable {
            let error = open(&path).unwrap_err();
            assert!(error.to_string().contains("a.db"), "{what}: {error}");
            let bytes = |all: Vec<File>| {
                all.into_iter()
                    .map(|(path, _, _, bytes)| (path, bytes))
                    .collect::<Vec<_>>()
            };
            assert!(
                bytes(everything(dir.path())) == bytes(before),
                "{what}: a refused opening changed something"
            );
        }
    }
}
