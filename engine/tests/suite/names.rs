//! What people and tools do to names, on real files: links of both kinds, relative paths, other processes, names that are not
//! text, media that cannot be written. Each works, or is refused with a reason; two openings never write one log; nothing
//! acknowledged gets lost. What is done to the files of a running process is in [`crate::moved`].

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use engine::{Database, Error, Options};
use tempfile::TempDir;

use crate::common::assert_sound;

pub(crate) fn options() -> Options {
    Options::new()
        .page_size(4096)
        .cache_size(1 << 20)
        .wal_segment_size(16 << 10)
        .background(false)
}

pub(crate) fn open(path: &Path) -> engine::Result<Database> {
    options().open(path)
}

/// Adds rows, each in a synchronised commit, from number `from` on, and returns the number behind the last that was
/// acknowledged.
pub(crate) fn add(db: &Database, from: u32, count: u32) -> (u32, Option<Error>) {
    let table = db.open_or_create("t").unwrap();
    for n in from..from + count {
        if let Err(error) = db.write(|tx| tx.put(table, &n.to_be_bytes(), &[n as u8; 200])) {
            return (n, Some(error));
        }
    }
    (from + count, None)
}

/// That there are exactly the rows below `count`.
pub(crate) fn assert_rows(db: &Database, count: u32) {
    let table = db.table("t").unwrap();
    let rows: Vec<_> = db
        .snapshot()
        .scan(table, ..)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), count as usize);
    for (n, (key, value)) in (0..count).zip(&rows) {
        assert_eq!(
            (&key[..], &value[..]),
            (&n.to_be_bytes()[..], &[n as u8; 200][..])
        );
    }
    assert_sound(db);
}

pub(crate) fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// A database with `count` rows, killed as far as its files can tell: the process lives, but the handle did not close it.
pub(crate) fn killed(path: &Path, count: u32) {
    let place = TempDir::new().unwrap();
    let live = place.path().join("live.db");
    let db = open(&live).unwrap();
    add(&db, 0, count);
    fs::copy(&live, path).unwrap();
    copy_dir(&log_of(&live), &log_of(path));
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A file's name, inode, modification time and bytes.
pub(crate) type File = (PathBuf, u64, i64, Vec<u8>);

/// Every file below `dir`.
pub(crate) fn everything(dir: &Path) -> Vec<File> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            all.extend(everything(&path));
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            all.push((
                path,
                metadata.ino(),
                metadata.mtime_nsec() + metadata.mtime() * 1_000_000_000,
                bytes,
            ));
        }
    }
    all.sort();
    all
}

/// Runs [`as_child`] in a process of its own; without rights to anything but what everybody has, if `nobody`.
pub(crate) fn child(task: &str, path: &Path, current_dir: &Path, nobody: bool) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "names::as_child", "--nocapture"])
        .env("NAMES_TASK", task)
        .env("NAMES_PATH", path)
        .current_dir(current_dir);
    if nobody {
        command.uid(65_534).gid(65_534);
    }
    command.output().unwrap()
}

/// What a child does; nothing, when this is no child.
#[test]
fn as_child() {
    let (Some(task), Some(path)) = (std::env::var_os("NAMES_TASK"), std::env::var_os("NAMES_PATH")) else {
        return;
    };
    let path = Path::new(&path);
    match task.to_str().unwrap() {
        "open" => match open(path) {
            Ok(_) => println!("answer: opened"),
            Err(error) => println!("answer: {error}"),
        },
        "read" => match options().read_only(true).open(path) {
            Ok(db) => {
                let table = db.table("t").unwrap();
                println!("answer: {} rows", db.snapshot().scan(table, ..).unwrap().count());
            }
            Err(error) => println!("answer: {error}"),
        },
        "change directory" => {
            let db = open(path).unwrap();
            add(&db, 0, 20);
            std::env::set_current_dir("elsewhere").unwrap();
            let (end, error) = add(&db, 20, 200);
            assert!(error.is_none(), "{error:?}");
            db.checkpoint().unwrap();
            println!("answer: {end} {}", db.path().is_absolute());
            db.close().unwrap();
        }
        "abort" => {
            let db = open(path).unwrap();
            add(&db, 0, 100);
            println!("answer: 100");
            std::process::abort();
        }
        other => panic!("no task {other}"),
    }
}

pub(crate) fn answer(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.split_once("answer: "));
    line.unwrap_or_else(|| panic!("{output:?}")).1.to_owned()
}

#[test]
fn a_symbolic_link_leads_to_the_database_and_its_log() {
    let dir = TempDir::new().unwrap();
    let target = dir.path().join("data");
    fs::create_dir(&target).unwrap();
    let (real, link) = (target.join("real.db"), dir.path().join("link.db"));
    // Also a link to a file that is not there yet, and one to that link, and by way of a directory.
    symlink("data/real.db", &link).unwrap();
    let twice = dir.path().join("twice.db");
    symlink("link.db", &twice).unwrap();
    let there = dir.path().join("there");
    symlink("data", &there).unwrap();
    let db = open(&twice).unwrap();
    add(&db, 0, 30);
    for name in [
        &real,
        &link,
        &twice,
        &there.join("real.db"),
        &target.join("../data/./real.db"),
    ] {
        assert!(
            matches!(open(name), Err(Error::Locked { .. })),
            "{}",
            name.display()
        );
    }
    db.close().unwrap();
    assert!(log_of(&real).is_dir() && !log_of(&link).exists() && !log_of(&twice).exists());
    assert_rows(&open(&there.join("real.db")).unwrap(), 30);
    let db = open(&real).unwrap();
    assert_eq!(db.path(), real.canonicalize().unwrap());
    assert_rows(&db, 30);
    let ring = dir.path().join("ring.db");
    symlink("ring.db", &ring).unwrap();
    assert!(matches!(open(&ring), Err(Error::Io { .. })));
}

#[test]
fn the_log_can_lie_elsewhere_by_a_symbolic_link() {
    let dir = TempDir::new().unwrap();
    let (path, fast) = (dir.path().join("a.db"), dir.path().join("fast disk"));
    fs::create_dir(&fast).unwrap();
    symlink(&fast, log_of(&path)).unwrap();
    let db = open(&path).unwrap();
    let (end, error) = add(&db, 0, 200);
    assert!(error.is_none() && fs::read_dir(&fast).unwrap().count() > 1);
    db.checkpoint().unwrap();
    db.close().unwrap();
    assert_rows(&open(&path).unwrap(), end);
}

#[test]
fn a_hard_link_is_refused_under_the_name_without_the_log() {
    let dir = TempDir::new().unwrap();
    let (path, other) = (dir.path().join("a.db"), dir.path().join("b.db"));
    let db = open(&path).unwrap();
    add(&db, 0, 30);
    fs::hard_link(&path, &other).unwrap();
    assert!(
        matches!(open(&other), Err(Error::Locked { .. })),
        "it is the same file"
    );
    db.close().unwrap();
    let before = everything(dir.path());
    let error = open(&other).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    assert!(error.to_string().contains("b.db-wal"), "{error}");
    assert_eq!(everything(dir.path()), before);
    assert_rows(&open(&path).unwrap(), 30);
}

#[test]
fn a_copy_made_of_hard_links_is_the_same_database_and_never_open_twice() {
    let dir = TempDir::new().unwrap();
    let (path, other) = (dir.path().join("a.db"), dir.path().join("b.db"));
    let db = open(&path).unwrap();
    let (mut end, _) = add(&db, 0, 100);
    fs::hard_link(&path, &other).unwrap();
    fs::create_dir(log_of(&other)).unwrap();
    for entry in fs::read_dir(log_of(&path)).unwrap() {
        let entry = entry.unwrap();
        fs::hard_link(entry.path(), log_of(&other).join(entry.file_name())).unwrap();
    }
    assert!(matches!(open(&other), Err(Error::Locked { .. })));
    end = add(&db, end, 300).0;
    db.checkpoint().unwrap();
    end = add(&db, end, 10).0;
    drop(db);
    // Segments made since are under the first name only.
    match open(&other) {
        Ok(db) => assert_rows(&db, end),
        Err(error) => assert!(
            matches!(error, Error::Mismatch { .. } | Error::Corruption { .. }),
            "{error}"
        ),
    }
    if let Ok(db) = open(&path) {
        assert_rows(&db, end);
    }
}

#[test]
fn a_relative_path_means_the_same_after_a_change_of_directory() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("elsewhere")).unwrap();
    let output = child("change directory", Path::new("a.db"), dir.path(), false);
    assert_eq!(answer(&output), "220 true");
    assert_eq!(fs::read_dir(dir.path().join("elsewhere")).unwrap().count(), 0);
    assert_rows(&open(&dir.path().join("a.db")).unwrap(), 220);
}

#[test]
fn two_processes_do_not_share_a_database_and_a_killed_one_leaves_no_lock() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.db");
    let output = child("abort", &path, dir.path(), false);
    assert_eq!(answer(&output), "100");
    let db = open(&path).unwrap();
    assert_rows(&db, 100);
    for task in ["open", "read"] {
        let said = answer(&child(task, &path, dir.path(), false));
        assert!(said.contains("is in use"), "{task}: {said}");
    }
    db.close().unwrap();
    assert_eq!(answer(&child("read", &path, dir.path(), false)), "100 rows");
    assert_eq!(answer(&child("open", &path, dir.path(), false)), "opened");
}

#[test]
fn bytes_that_are_no_text_are_a_name_like_any_other() {
    let dir = TempDir::new().unwrap();
    let place = dir.path().join(OsStr::from_bytes(b"d\xFF"));
    fs::create_dir(&place).unwrap();
    let path = place.join(OsStr::from_bytes(b"\xFFa\xC0.db"));
    let db = open(&path).unwrap();
    add(&db, 0, 100);
    db.checkpoint().unwrap();
    db.close().unwrap();
    assert!(log_of(&path).is_dir());
    let said = answer(&child("read", &path, dir.path(), false));
    assert_eq!(said, "100 rows");
    fs::remove_dir_all(log_of(&path)).unwrap();
    let error = open(&path).unwrap_err().to_string();
    assert!(error.contains('\u{FFFD}') && error.contains("missing"), "{error}");
}

#[test]
fn files_that_cannot_be_written_can_be_read() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.db");
    killed(&path, 80);
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for entry in fs::read_dir(log_of(&path)).unwrap() {
        set(&entry.unwrap().path(), 0o444);
    }
    set(&path, 0o444);
    set(&log_of(&path), 0o555);
    set(dir.path(), 0o555);
    let before = everything(dir.path());
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    // Root may write everything, so somebody else has to try.
    let exe = std::env::current_exe().unwrap();
    let all_may_run = exe.ancestors().all(|part| {
        let mode = fs::metadata(part).map_or(0, |metadata| metadata.mode());
        part.as_os_str().is_empty() || mode & 0o001 != 0
    });
    if is_root && !all_may_run {
        println!("SKIPPED: nobody but root may run {}", exe.display());
        return;
    }
    assert_eq!(answer(&child("read", &path, Path::new("/"), is_root)), "80 rows");
    let said = answer(&child("open", &path, Path::new("/"), is_root));
    assert!(
        said.contains("cannot be written") && said.contains("read_only"),
        "{said}"
    );
    assert_eq!(everything(dir.path()), before);
    // A data file that can be written in a directory that cannot.
    set(&path, 0o666);
    let said = answer(&child("open", &path, Path::new("/"), is_root));
    assert!(
        said.contains("cannot be written") && said.contains("read_only"),
        "{said}"
    );
    set(dir.path(), 0o755);
    set(&log_of(&path), 0o755);
}
