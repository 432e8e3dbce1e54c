//! What keeps old versions and pages from being collected, and what must not.

use engine::vfs::MemoryVfs;
use engine::{Error, TxOptions};

use crate::common::{PATH, assert_sound, fresh, get, put, small};

#[test]
fn an_idle_read_committed_transaction_holds_no_old_versions() {
    let (_vfs, db, table) = fresh();
    put(&db, table, b"k", b"0");
    let mut idle = db.begin_with(TxOptions::new()).unwrap();
    assert_eq!(idle.get(table, b"k").unwrap().as_deref(), Some(&b"0"[..]));
    assert_eq!(idle.scan(table, ..).unwrap().count(), 1);
    for n in 0..100u8 {
        put(&db, table, b"k", &[n]);
    }
    db.gc(1);
    assert_eq!(db.metrics().versions, 0);
    assert_eq!(db.metrics().open_snapshots, 0);
    let reading = idle.scan(table, ..).unwrap();
    put(&db, table, b"k", b"last");
    db.gc(1);
    assert_eq!(db.metrics().versions, 1, "a scan under way holds its versions");
    drop(reading);
    db.gc(1);
    assert_eq!(db.metrics().versions, 0);
    assert_eq!(idle.get(table, b"k").unwrap().as_deref(), Some(&b"last"[..]));
}

#[test]
fn a_scan_ends_with_its_first_error() {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).version_budget(2000).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    for n in 0..400u16 {
        put(&db, table, &n.to_be_bytes(), b"old");
    }
    let snapshot = db.snapshot();
    for n in 0..400u16 {
        put(&db, table, &n.to_be_bytes(), b"new");
    }
    db.gc(1);
    let mut scan = snapshot.scan(table, ..).unwrap();
    assert!(matches!(scan.next(), Some(Err(Error::SnapshotTooOld { .. }))));
    assert!(scan.next().is_none() && scan.next().is_none());
}

#[test]
fn dropped_tables_are_freed_although_versions_of_rows_are_kept() {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).keep_versions(3).open(PATH).unwrap();
    let keep = db.create_table("keep").unwrap();
    let table = db.create_table("rows").unwrap();
    for n in 0..40u8 {
        put(&db, table, &[n], &[n; 9000]);
    }
    let first = put(&db, keep, b"k", b"1");
    put(&db, keep, b"k", b"2");
    let snapshot = db.snapshot();
    db.drop_table("rows").unwrap();
    db.gc(3);
    assert_eq!(snapshot.scan(table, ..).unwrap().count(), 40, "still being read");
    drop(snapshot);
    db.gc(3);
    db.checkpoint().unwrap();
    assert!(db.storage_info().used_pages < 8);
    assert_eq!(get(&db, keep, b"k").as_deref(), Some(&b"2"[..]));
    let then = db.begin_at(first).unwrap();
    assert_eq!(then.get(keep, b"k").unwrap().as_deref(), Some(&b"1"[..]));
    assert!(matches!(then.get(table, &[1]), Err(Error::TableDropped { .. })));
    assert_sound(&db);
}

#[test]
fn a_refused_commit_leaves_no_trace_for_conflicts() {
    let (vfs, db, table) = fresh();
    put(&db, table, b"k", b"1");
    db.gc(1);
    vfs.set_capacity(Some(vfs.used_bytes()));
    let error = (0..100)
        .find_map(|_| db.write(|tx| tx.put(table, b"k", &[7; 60_000])).err())
        .unwrap();
    assert!(error.is_disk_full(), "{error}");
    vfs.set_capacity(None);
    // The refused commit's number must not look like the winner of a conflict.
    let options = TxOptions::new().isolation(engine::IsolationLevel::Snapshot);
    let mut tx = db.begin_with(options).unwrap();
    tx.put(table, b"k", b"2").unwrap();
    tx.commit().unwrap();
    assert_eq!(get(&db, table, b"k").as_deref(), Some(&b"2"[..]));
}
