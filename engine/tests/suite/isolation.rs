//! What each isolation level must prevent, and what it must allow.

use std::sync::Arc;

use engine::vfs::MemoryVfs;
use engine::{Database, Error, IsolationLevel, Options, Table, TxOptions};

fn database() -> (Database, Table) {
    let db = Options::new()
        .vfs(Arc::new(MemoryVfs::default()))
        .open("/iso.db")
        .unwrap();
    let table = db.create_table("t").unwrap();
    db.write(|tx| tx.put(table, b"a", b"0").and_then(|()| tx.put(table, b"b", b"0")))
        .unwrap();
    (db, table)
}

fn at(level: IsolationLevel) -> TxOptions {
    TxOptions::new().isolation(level)
}

#[test]
fn nobody_sees_what_is_not_committed() {
    let (db, table) = database();
    for level in [IsolationLevel::ReadCommitted, IsolationLevel::Snapshot] {
        let mut writer = db.begin().unwrap();
        writer.put(table, b"a", b"dirty").unwrap();
        let mut reader = db.begin_with(at(level)).unwrap();
        assert_eq!(reader.get(table, b"a").unwrap().as_deref(), Some(&b"0"[..]));
        assert_eq!(writer.get(table, b"a").unwrap().as_deref(), Some(&b"dirty"[..]));
    }
}

#[test]
fn read_committed_allows_a_read_that_does_not_repeat_and_snapshot_does_not() {
    for (level, second) in [
        (IsolationLevel::ReadCommitted, b"1"),
        (IsolationLevel::Snapshot, b"0"),
    ] {
        let (db, table) = database();
        let mut reader = db.begin_with(at(level)).unwrap();
        assert_eq!(reader.get(table, b"a").unwrap().as_deref(), Some(&b"0"[..]));
        db.write(|tx| tx.put(table, b"a", b"1")).unwrap();
        db.write(|tx| tx.put(table, b"new", b"1")).unwrap();
        assert_eq!(reader.get(table, b"a").unwrap().as_deref(), Some(&second[..]));
        let rows = reader.scan(table, ..).unwrap().count();
        assert_eq!(
            rows,
            if level == IsolationLevel::Snapshot { 2 } else { 3 },
            "{level:?}"
        );
    }
}

#[test]
fn snapshot_prevents_lost_updates_and_allows_write_skew() {
    let (db, table) = database();
    let mut first = db.begin_with(at(IsolationLevel::Snapshot)).unwrap();
    let mut second = db.begin_with(at(IsolationLevel::Snapshot)).unwrap();
    first.put(table, b"a", b"1").unwrap();
    let winner = first.commit().unwrap();
    for _ in 0..2 {
        let error = second.put(table, b"a", b"2").unwrap_err();
        assert!(
            matches!(error, Error::WriteConflict { winner: w } if w == winner),
            "{error}"
        );
    }
    drop(second);
    let mut first = db.begin_with(at(IsolationLevel::Snapshot)).unwrap();
    let mut second = db.begin_with(at(IsolationLevel::Snapshot)).unwrap();
    assert!(first.get(table, b"b").unwrap().is_some() && second.get(table, b"a").unwrap().is_some());
    first.put(table, b"a", b"skew").unwrap();
    second.put(table, b"b", b"skew").unwrap();
    first.commit().unwrap();
    second.commit().unwrap();
}

#[test]
fn concurrent_increments_under_locks_lose_nothing() {
    let (db, table) = database();
    let add = |level: IsolationLevel, key: &'static [u8]| {
        for _ in 0..500 {
            db.write_with(at(level), |tx| {
                let now = tx.get_for_update(table, key)?.unwrap_or_default();
                let next = String::from_utf8_lossy(&now).parse::<u64>().unwrap() + 1;
                tx.put(table, key, next.to_string().as_bytes())
            })
            .unwrap();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| add(IsolationLevel::ReadCommitted, b"a"));
            scope.spawn(|| add(IsolationLevel::Snapshot, b"b"));
        }
    });
    let snapshot = db.snapshot();
    for key in [b"a", b"b"] {
        assert_eq!(snapshot.get(table, key).unwrap().as_deref(), Some(&b"2000"[..]));
    }
}

#[test]
fn an_older_commit_is_readable_while_a_snapshot_or_the_kept_versions_hold_it() {
    let (db, table) = database();
    let held = db.snapshot();
    let then = held.commit_id();
    for n in 0..200u32 {
        db.write(|tx| tx.put(table, b"a", &n.to_le_bytes())).unwrap();
    }
    assert_eq!(
        db.begin_at(then).unwrap().get(table, b"a").unwrap().as_deref(),
        Some(&b"0"[..])
    );
    drop(held);
    db.gc(1);
    assert!(matches!(db.begin_at(then), Err(Error::SnapshotTooOld { .. })));
    let newest = db.snapshot().commit_id();
    assert!(matches!(
        db.begin_at(newest.next()),
        Err(Error::NotYetVisible { .. })
    ));
}
