//! Promises that are not kept yet, each with the smallest case that shows it.

use engine::vfs::MemoryVfs;
use engine::{Database, TxOptions};

use crate::common::{PATH, assert_sound, nosync, put, small};

fn change_all(db: &Database, options: TxOptions, value: Option<&[u8]>) {
    let table = db.table("rows").unwrap();
    let mut tx = db.begin_with(options).unwrap();
    for n in 0..2000u32 {
        match value {
            Some(value) => tx.put(table, &n.to_be_bytes(), value).unwrap(),
            None => drop(tx.delete(table, &n.to_be_bytes()).unwrap()),
        }
    }
    tx.commit().unwrap();
}

fn assert_no_ghosts(db: &Database) {
    for n in 0..100u32 {
        put(db, db.table("rows").unwrap(), b"other", &n.to_be_bytes());
    }
    db.gc(1);
    assert_sound(db);
    let report = db.verify().unwrap();
    assert_eq!((report.tables[0].ghosts, report.tables[0].pages), (0, 1));
}

#[test]

fn ghosts_go_although_their_versions_were_dropped_for_the_budget() {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).version_budget(20_000).open(PATH).unwrap();
    db.create_table("rows").unwrap();
    change_all(&db, nosync(), Some(&[7; 100]));
    db.gc(1);
    let old = db.snapshot();
    change_all(&db, nosync(), None);
    drop(old);
    assert_no_ghosts(&db);
}

#[test]

fn ghosts_go_although_the_database_was_closed_meanwhile() {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).open(PATH).unwrap();
    db.create_table("rows").unwrap();
    change_all(&db, nosync(), Some(&[7; 100]));
    let old = db.snapshot();
    change_all(&db, nosync(), None);
    drop(old);
    db.close().unwrap();
    assert_no_ghosts(&small(&vfs).open(PATH).unwrap());
}
