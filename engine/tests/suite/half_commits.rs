//! No image of a page that was copied in the middle of a commit may make recovery leave out the rest of that commit.
//!
//! Commits of many rows in key order change each leaf many times; beside them checkpoints copy pages all the time, and a
//! small cache makes the applier itself move pages of its own commit out. The files are copied while that goes on, and
//! each copy must open with exactly what some commit left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use engine::vfs::MemoryVfs;
use engine::{Database, Durability, Options, TxOptions};

const ROWS: u32 = 1000;

/// What the commits of a run do to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// All rows get another value of the same length.
    Update,
    /// All rows get a value of another length, so that pages split and merge.
    Resize,
    /// Each commit replaces the rows of the one before by others.
    Replace,
    /// Long values beside short ones.
    Long,
}

fn options(vfs: &MemoryVfs, cache_pages: usize) -> Options {
    Options::new()
        .page_size(4096)
        .cache_size(cache_pages * (4096 + 64))
        .wal_segment_size(256 << 10)
        .background(false)
        .vfs(Arc::new(vfs.clone()))
}

fn key(kind: Kind, row: u32, commit: u64) -> Vec<u8> {
    let generation = if kind == Kind::Replace { commit % 7 } else { 0 };
    format!("row/{:05}/{generation}", row * 3).into_bytes()
}

fn value(kind: Kind, row: u32, commit: u64) -> Vec<u8> {
    let len = match kind {
        Kind::Update | Kind::Replace => 60,
        Kind::Resize => 20 + (commit * 37 % 150) as usize,
        Kind::Long if row.is_multiple_of(50) => 6000,
        Kind::Long => 40,
    };
    let mut value = format!("{commit:020}").into_bytes();
    value.resize(len.max(20), b'.');
    value
}

fn write(db: &Database, kind: Kind, commit: u64) {
    let table = db.open_or_create("rows").unwrap();
    let mut tx = db
        .begin_with(TxOptions::new().durability(Durability::Sync))
        .unwrap();
    for row in 0..ROWS {
        if kind == Kind::Replace && commit > 1 {
            tx.delete(table, &key(kind, row, commit - 1)).unwrap();
        }
        tx.put(table, &key(kind, row, commit), &value(kind, row, commit))
            .unwrap();
    }
    tx.commit().unwrap();
}

/// What is wrong with a copy of the files; it must hold a commit between `least` and `most`.
fn check(copy: &MemoryVfs, kind: Kind, cache_pages: usize, least: u64, most: u64) -> Result<(), String> {
    let db = options(copy, cache_pages)
        .open("/t.db")
        .map_err(|error| format!("open: {error}"))?;
    let report = db.verify().map_err(|error| format!("verify: {error}"))?;
    if !report.is_sound() {
        return Err(format!("{:?}", report.problems));
    }
    let table = db.table("rows").map_err(|error| error.to_string())?;
    let snapshot = db.snapshot();
    let rows: Vec<_> = snapshot
        .scan(table, ..)
        .and_then(|rows| rows.collect::<Result<_, _>>())
        .map_err(|error| format!("scan: {error}"))?;
    let commit: u64 = rows
        .first()
        .and_then(|(_, value)| std::str::from_utf8(&value[..20]).ok()?.parse().ok())
        .ok_or("no rows")?;
    if !(least..=most).contains(&commit) {
        return Err(format!("commit {commit} of {least} to {most}"));
    }
    for (row, found) in (0..ROWS).zip(&rows) {
        if *found != (key(kind, row, commit), value(kind, row, commit)) {
            let other = String::from_utf8_lossy(&found.1[..20]).into_owned();
            return Err(format!(
                "row {row} is of commit {other}, the first is of {commit}"
            ));
        }
    }
    if rows.len() != ROWS as usize {
        return Err(format!("{} rows", rows.len()));
    }
    Ok(())
}

/// Writes and takes checkpoints while so many copies are made and checked.
fn run(kind: Kind, cache_pages: usize, copies: u32) {
    let vfs = MemoryVfs::default();
    let db = options(&vfs, cache_pages).open("/t.db").unwrap();
    write(&db, kind, 1);
    let (stop, begun, done) = (AtomicBool::new(false), AtomicU64::new(1), AtomicU64::new(1));
    let is_over = || stop.load(Ordering::SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over() {
                db.checkpoint().unwrap();
            }
        });
        scope.spawn(|| {
            let mut commit = 1;
            while !is_over() {
                commit += 1;
                begun.store(commit, Ordering::SeqCst);
                write(&db, kind, commit);
                done.store(commit, Ordering::SeqCst);
            }
        });
        let result = (0..copies).try_for_each(|copy| {
            let least = done.load(Ordering::SeqCst);
            let files = vfs.fork();
            let most = begun.load(Ordering::SeqCst);
            check(&files, kind, cache_pages, least, most).map_err(|what| {
                format!("{kind:?}, {cache_pages} pages, copy {copy} after commit {least}: {what}")
            })
        });
        stop.store(true, Ordering::SeqCst);
        result.unwrap_or_else(|what| panic!("{what}"));
    });
}

#[test]
fn pages_copied_in_the_middle_of_a_commit_are_completed_by_redo() {
    for kind in [Kind::Update, Kind::Resize, Kind::Replace, Kind::Long] {
        run(kind, 4096, 8);
    }
}

#[test]
fn commits_larger_than_the_cache_move_their_own_pages_out() {
    for kind in [Kind::Update, Kind::Resize, Kind::Replace, Kind::Long] {
        run(kind, 64, 8);
    }
}
