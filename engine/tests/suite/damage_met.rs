//! Damage that is met while the database is at work: it fails the operation that needs the damaged bytes, before anything
//! is changed, and nothing else. Housekeeping puts a page aside that it cannot read, says so, and goes on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use engine::vfs::MemoryVfs;
use engine::{Database, Error, Table};

use crate::bad_sectors::BadSectors;
use crate::common::{PATH, get, nosync, put, small};
use crate::damage::{Extent, live_extents, read_file, write_file};

const IMAGE: usize = 28;

/// A database at rest: a table that stays whole, one of many leaves, one of long values, one to be dropped.
fn build() -> MemoryVfs {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).open(PATH).unwrap();
    // Tables are purged from the highest number down, and dropped ones are freed in the order of their drops: what is
    // damaged is always met before what has to go on.
    for (name, rows, len) in [
        ("whole", 120, 100),
        ("rows", 240, 100),
        ("long", 8, 9000),
        ("plain", 60, 2000),
    ] {
        let table = db.create_table(name).unwrap();
        for n in 0..rows {
            put(&db, table, &key(n), &value(n, len));
        }
    }
    db.close().unwrap();
    vfs
}

fn key(n: u32) -> Vec<u8> {
    format!("row-{n:06}").into_bytes()
}

fn value(n: u32, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i as u32 * (n + 3) / 7) as u8).collect()
}

fn table_of(file: &[u8], extent: &Extent) -> u32 {
    u32::from_le_bytes(file[extent.start + IMAGE + 4..][..4].try_into().unwrap())
}

/// The pages of some tables.
fn pages_of(vfs: &MemoryVfs, names: &[&str]) -> Vec<(String, Extent)> {
    let numbers: BTreeMap<u32, String> = {
        let db = small(vfs).open(PATH).unwrap();
        let number = |name: &&str| (db.table(name).unwrap().id().0, (*name).to_owned());
        names.iter().map(number).collect()
    };
    let file = read_file(vfs, Path::new(PATH));
    let pages = live_extents(&file).into_iter().filter(|extent| extent.kind == 1);
    pages
        .filter_map(|page| Some((numbers.get(&table_of(&file, &page))?.clone(), page)))
        .collect()
}

/// The kind byte of a page: 1 leaf, 2 inner, 3 overflow.
fn kind_of_page(file: &[u8], extent: &Extent) -> u8 {
    file[extent.start + IMAGE + 16]
}

/// How an extent goes bad.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip,
    BadSector,
}

/// A copy of the database with one page damaged, opened.
fn open_damaged(base: &MemoryVfs, extent: &Extent, damage: Damage) -> Database {
    let vfs = base.fork();
    let path = Path::new(PATH);
    let disk = BadSectors::new(&vfs, path);
    match damage {
        Damage::Flip => {
            let at = extent.start + extent.len / 2;
            let byte = read_file(&vfs, path)[at];
            write_file(&vfs, path, &[byte ^ 0x10], at);
        }
        Damage::BadSector => disk.break_range(extent.start..extent.start + extent.len),
    }
    small(&vfs).vfs(Arc::new(disk)).open(PATH).unwrap()
}

/// Whether an operation met the damage.
fn met<T: std::fmt::Debug>(answer: Result<T, Error>, what: &str) -> bool {
    match answer {
        Ok(_) => false,
        Err(Error::Corruption { .. } | Error::Io { .. }) => true,
        Err(error) => panic!("{what}: {error}"),
    }
}

fn change(db: &Database, table: Table, key: &[u8], value: Option<&[u8]>) -> Result<(), Error> {
    let mut tx = db.begin_with(nosync())?;
    match value {
        Some(value) => tx.put(table, key, value)?,
        None => drop(tx.delete(table, key)?),
    }
    tx.commit().map(drop)
}

/// The table that is whole has these rows, and can be written.
fn assert_whole(db: &Database, rows: &BTreeMap<Vec<u8>, Vec<u8>>, what: &str) {
    let table = db.table("whole").unwrap();
    let snapshot = db.snapshot();
    let found: Result<BTreeMap<_, _>, _> = snapshot.scan(table, ..).unwrap().collect();
    assert!(found.unwrap() == *rows, "{what}: rows of a table without damage");
}

fn whole_rows() -> BTreeMap<Vec<u8>, Vec<u8>> {
    (0..120).map(|n| (key(n), value(n, 100))).collect()
}

/// Ghosts of the whole table, and its pages.
fn ghosts_and_pages(db: &Database) -> (u64, u64) {
    let report = db.verify().unwrap();
    let table = report.tables.iter().find(|table| table.name == "whole").unwrap();
    (table.ghosts, table.pages)
}

/// Works on a table one of whose pages is damaged: overwrites, deletes, collects, drops.
fn work(db: &Database, name: &str, what: &str) {
    let mut whole_rows = whole_rows();
    let whole = db.table("whole").unwrap();
    let table = db.table(name).unwrap();
    let rows = if name == "long" { 8 } else { 240 };
    // Everything at once, with rows of a sound table first: all or nothing.
    let mut tx = db.begin_with(nosync()).unwrap();
    tx.put(whole, &key(0), b"all or nothing").unwrap();
    for n in 0..rows {
        tx.put(table, &key(n), b"all or nothing").unwrap();
    }
    // The pages of a long value are not needed to replace it.
    let is_needed = !what.contains("overflow");
    assert_eq!(
        met(tx.commit(), what),
        is_needed,
        "{what}: a commit over the whole table"
    );
    if !is_needed {
        whole_rows.insert(key(0), b"all or nothing".to_vec());
    }
    assert_whole(db, &whole_rows, what);
    let changed =
        |n: &u32| matches!(db.snapshot().get(table, &key(*n)), Ok(Some(v)) if v == b"all or nothing");
    let changed = (0..rows).filter(changed).count() as u32;
    assert_eq!(
        changed,
        if is_needed { 0 } else { rows },
        "{what}: all or nothing"
    );
    let mut refused = 0;
    for n in 0..rows {
        refused += u32::from(met(change(db, table, &key(n), Some(b"short")), what));
        refused += u32::from(met(change(db, table, &key(n), None), what));
    }
    assert_eq!(refused > 0, is_needed, "{what}: {refused} met the damage");
    assert!(
        refused < 2 * rows || name == "long" || what.contains("inner"),
        "{what}: everything met the damage"
    );
    // Housekeeping, with other work behind what it stumbles over.
    for n in 20..120 {
        change(db, whole, &key(n), None).unwrap();
        whole_rows.remove(&key(n));
    }
    for _ in 0..3 {
        db.gc(1);
    }
    assert_whole(db, &whole_rows, what);
    let (ghosts, pages) = ghosts_and_pages(db);
    assert_eq!(ghosts, 0, "{what}: ghosts of a sound table stay");
    assert_eq!(pages, 1, "{what}: leaves of a sound table are not merged");
    // Drops, the damaged one first.
    db.drop_table(name).unwrap();
    db.drop_table("plain").unwrap();
    for _ in 0..10 {
        db.gc(1);
    }
    db.checkpoint().unwrap();
    put(db, whole, b"later", b"1");
    whole_rows.insert(b"later".to_vec(), b"1".to_vec());
    assert_whole(db, &whole_rows, what);
    assert!(
        db.metrics().quarantined_pages > 0,
        "{what}: nothing was put aside"
    );
    let report = db.verify().unwrap();
    assert!(
        report
            .problems
            .iter()
            .any(|problem| problem.contains("put aside")),
        "{what}: {:#?}",
        report.problems
    );
}

fn all_damages(kind: u8, name: &str) {
    let base = build();
    let file = read_file(&base, Path::new(PATH));
    let pages = pages_of(&base, &[name]);
    let all_pages = pages_of(&base, &["whole", "rows", "long", "plain"]);
    let of_table = |name: &str| all_pages.iter().filter(|(of, _)| of == name).count() as u64;
    let mut tried = 0;
    for (_, extent) in pages
        .iter()
        .filter(|(_, extent)| kind_of_page(&file, extent) == kind)
    {
        for damage in [Damage::Flip, Damage::BadSector] {
            let kind = ["leaf", "inner", "overflow"][usize::from(kind) - 1];
            let what = format!("{damage:?} of page {} of {name}, {kind}", extent.number);
            let db = open_damaged(&base, extent, damage);
            work(&db, name, &what);
            // What other table is left: the whole one, of one leaf by now, and one not worked on.
            let rest = 1
                + 1
                + ["rows", "long"]
                    .iter()
                    .filter(|other| **other != name)
                    .map(|other| of_table(other))
                    .sum::<u64>();
            let left = db.storage_info().used_pages;
            assert!(
                left > rest && left <= rest + of_table(name),
                "{what}: {left} pages are left, {rest} are needed"
            );
            if kind == "leaf" && name == "rows" {
                match damage {
                    Damage::Flip => assert_eq!(left, rest + 1, "{what}: only the damaged page is lost"),
                    // It may be readable at the next opening, and stays with what leads to it and the leftmost leaf.
                    Damage::BadSector => assert!(left <= rest + 3, "{what}: {left} of {rest} and three"),
                }
            }
            db.close().unwrap();
            tried += 1;
        }
    }
    println!("{tried} damages");
    assert!(tried > 0);
}

#[test]
fn damaged_leaves_stop_nothing_else() {
    all_damages(1, "rows");
}

#[test]
fn a_damaged_root_stops_nothing_else() {
    all_damages(2, "rows");
    all_damages(1, "long");
}

#[test]
fn damaged_links_of_long_values_stop_nothing_else() {
    all_damages(3, "long");
}

#[test]
fn a_dropped_table_with_a_damaged_branch_is_freed_but_for_that() {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).cache_size(8 << 20).open(PATH).unwrap();
    for name in ["keep", "deep", "behind"] {
        let table = db.create_table(name).unwrap();
        for from in (0..9000).step_by(500) {
            let mut tx = db.begin_with(nosync()).unwrap();
            for n in from..from + if name == "deep" { 500 } else { 10 } {
                tx.put(table, &key(n), &value(n, 100)).unwrap();
            }
            tx.commit().unwrap();
        }
    }
    let levels = db.verify().unwrap().tables.iter().map(|table| table.levels).max();
    assert_eq!(levels, Some(3));
    db.close().unwrap();
    let file = read_file(&vfs, Path::new(PATH));
    let level_of = |extent: &Extent| file[extent.start + IMAGE + 17];
    let branches: Vec<_> = pages_of(&vfs, &["deep"])
        .into_iter()
        .map(|(_, extent)| extent)
        .collect();
    let branches: Vec<_> = branches.iter().filter(|extent| level_of(extent) == 1).collect();
    assert!(branches.len() >= 2);
    let whole = live_extents(&file)
        .iter()
        .filter(|extent| extent.kind == 1)
        .count() as u64;
    let deep = pages_of(&vfs, &["deep"]).len() as u64;
    let behind = pages_of(&vfs, &["behind"]).len() as u64;
    for extent in branches {
        let db = open_damaged(&vfs, extent, Damage::Flip);
        db.drop_table("deep").unwrap();
        db.drop_table("behind").unwrap();
        db.gc(1);
        db.checkpoint().unwrap();
        assert_eq!(db.metrics().quarantined_pages, 1);
        let left = db.storage_info().used_pages;
        let below = left - (whole - deep - behind);
        assert!(
            below > 1 && below < deep,
            "{below} of {deep} pages are below the damaged one"
        );
        // What is lost to the file is lost for good, but nothing waits for it.
        db.close().unwrap();
    }
}

#[test]
fn a_long_value_that_cannot_be_read_can_be_overwritten_and_deleted() {
    let base = build();
    let file = read_file(&base, Path::new(PATH));
    let (_, extent) = pages_of(&base, &["long"])
        .into_iter()
        .find(|(_, extent)| kind_of_page(&file, extent) == 3)
        .unwrap();
    let db = open_damaged(&base, &extent, Damage::Flip);
    let table = db.table("long").unwrap();
    let bad: Vec<_> = (0..8)
        .filter(|n| db.snapshot().get(table, &key(*n)).is_err())
        .collect();
    assert_eq!(bad.len(), 1, "one long value has the page");
    let before = db.snapshot();
    for n in 0..8 {
        change(&db, table, &key(n), Some(b"short")).unwrap();
        assert_eq!(get(&db, table, &key(n)).as_deref(), Some(&b"short"[..]));
        let error = before.get(table, &key(n)).err();
        assert_eq!(error.is_some(), bad.contains(&n), "{error:?}");
        assert!(error.is_none_or(|error| matches!(error, Error::Corruption { .. })));
    }
    change(&db, table, &key(bad[0]), None).unwrap();
    drop(before);
    // All chains are freed, as far as they can be read.
    db.gc(1);
    assert_eq!((db.metrics().row_locks, db.metrics().versions), (0, 0));
    assert_eq!(db.metrics().quarantined_pages, 1);
    let report = db.verify().unwrap();
    let long = report.tables.iter().find(|table| table.name == "long").unwrap();
    assert_eq!((long.rows, long.overflow_pages), (7, 0));
    db.close().unwrap();
}
