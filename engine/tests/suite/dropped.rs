//! Handles of dropped tables: a snapshot older than the drop reads the whole table, everybody else is told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use engine::vfs::MemoryVfs;
use engine::{Database, Error, IsolationLevel, Snapshot, Table, Transaction, TxOptions};

use crate::common::{PATH, assert_sound, fresh, nosync, put, small, snapshot_isolation};

const ROWS: u32 = 300;

/// Rows enough for many pages, some of them long.
fn fill(db: &Database, table: Table) {
    let mut tx = db.begin_with(nosync()).unwrap();
    for n in 0..ROWS {
        let len = if n % 50 == 0 { 9000 } else { 100 };
        tx.put(table, &n.to_be_bytes(), &vec![n as u8; len]).unwrap();
    }
    tx.commit().unwrap();
}

fn is_dropped<T: std::fmt::Debug>(result: &engine::Result<T>) -> bool {
    matches!(result, Err(Error::TableDropped { .. }))
}

#[track_caller]
fn assert_whole(snapshot: &Snapshot<'_>, table: Table) {
    let rows: Vec<_> = snapshot.scan(table, ..).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len() as u32, ROWS);
    let back = snapshot.scan_rev(table, ..).unwrap().map(Result::unwrap).count();
    assert_eq!(back as u32, ROWS);
    for n in 0..ROWS {
        let value = snapshot.get(table, &n.to_be_bytes()).unwrap().unwrap();
        assert!(value.iter().all(|&byte| byte == n as u8));
    }
}

#[track_caller]
fn assert_refuses(snapshot: &Snapshot<'_>, table: Table) {
    assert!(is_dropped(&snapshot.get(table, b"k")));
    assert!(is_dropped(&snapshot.get_into(table, b"k", &mut Vec::new())));
    assert!(is_dropped(&snapshot.scan(table, ..).map(|_| ())));
    assert!(is_dropped(&snapshot.scan_rev(table, ..).map(|_| ())));
}

#[track_caller]
fn assert_refuses_reads(tx: &mut Transaction<'_>, table: Table) {
    assert!(is_dropped(&tx.get(table, b"k")));
    assert!(is_dropped(&tx.scan(table, ..).map(|_| ())));
    assert!(is_dropped(&tx.scan_rev(table, b"a"..).map(|_| ())));
}

#[track_caller]
fn assert_refuses_writes(tx: &mut Transaction<'_>, table: Table) {
    assert!(is_dropped(&tx.put(table, b"k", b"v")));
    assert!(is_dropped(&tx.delete(table, b"k")));
    assert!(is_dropped(&tx.get_for_update(table, b"k")));
}

/// Everything that could free the table's pages and use them again.
fn churn(db: &Database, other: Table) {
    for n in 0..20u32 {
        db.gc(1);
        put(db, other, &n.to_be_bytes(), &[1; 9000]);
    }
    db.checkpoint().unwrap();
    db.gc(1);
    for n in 0..20u32 {
        put(db, other, &n.to_be_bytes(), &[2; 9000]);
    }
}

#[test]
fn an_older_snapshot_reads_the_whole_table_and_everybody_else_is_told_at_once() {
    let (_vfs, db, table) = fresh();
    let other = db.create_table("other").unwrap();
    fill(&db, table);
    let old = db.snapshot();
    let mut old_tx = db.begin_with(snapshot_isolation()).unwrap();
    let mut committed = db.begin().unwrap();
    assert!(committed.get(table, &0u32.to_be_bytes()).unwrap().is_some());
    let mut scanning = db.begin().unwrap();
    let mut scan = scanning.scan(table, ..).unwrap();
    assert!(scan.next_row().unwrap().is_some());
    let before = db.snapshot().commit_id();
    db.drop_table("rows").unwrap();
    let after = db.snapshot();
    for round in 0..3 {
        assert_refuses(&after, table);
        assert_refuses(&db.snapshot(), table);
        assert_refuses_reads(&mut committed, table);
        assert_refuses_writes(&mut committed, table);
        let mut new_tx = db.begin_with(snapshot_isolation()).unwrap();
        assert_refuses_reads(&mut new_tx, table);
        assert_refuses_writes(&mut new_tx, table);
        assert_whole(&old, table);
        assert_whole(&db.begin_at(before).unwrap(), table);
        assert_eq!(old_tx.scan(table, ..).unwrap().count() as u32, ROWS);
        assert_eq!(old_tx.get(table, b"k").unwrap(), None);
        assert_refuses_writes(&mut old_tx, table);
        assert!(
            old_tx.get(other, b"k").is_ok(),
            "round {round}: its other tables stay"
        );
        churn(&db, other);
    }
    let mut rest = 0;
    while scan.next_row().unwrap().is_some() {
        rest += 1;
    }
    assert_eq!(rest, ROWS - 1, "a scan that had begun goes on to its end");
    drop(scan);
    assert_refuses_reads(&mut scanning, table);
    drop((old, old_tx));
    churn(&db, other);
    assert_refuses(&after, table);
    let late = db.begin_at(before);
    assert!(matches!(late, Err(Error::SnapshotTooOld { .. })) || is_dropped(&late.unwrap().get(table, b"k")));
    let error = after.get(table, b"k").unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("dropped") && told.contains(&before.next().to_string()),
        "{told}"
    );
    assert_eq!(db.metrics().corruptions_detected, 0);
    drop((after, committed, scanning));
    churn(&db, other);
    assert_sound(&db);
}

/// With kept versions an older commit can still be read when the table's pages are gone.
#[test]
fn no_old_commit_reads_freed_pages() {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).keep_versions(5).open(PATH).unwrap();
    let (table, other) = (
        db.create_table("rows").unwrap(),
        db.create_table("other").unwrap(),
    );
    fill(&db, table);
    let before = put(&db, other, b"k", b"1");
    let held = db.begin_at(before).unwrap();
    db.drop_table("rows").unwrap();
    put(&db, other, b"k", b"2");
    for _ in 0..5 {
        db.gc(5);
        assert_whole(&db.begin_at(before).unwrap(), table);
    }
    drop(held);
    for _ in 0..20 {
        db.gc(5);
        let then = db.begin_at(before).unwrap();
        assert_eq!(then.get(other, b"k").unwrap().as_deref(), Some(&b"1"[..]));
        assert_refuses(&then, table);
    }
    assert_eq!(db.metrics().corruptions_detected, 0);
    assert_sound(&db);
}

#[test]
fn a_new_table_of_the_same_name_has_nothing_to_do_with_the_old_handle() {
    let (_vfs, db, _) = fresh();
    let other = db.create_table("other").unwrap();
    let mut handles = Vec::new();
    for round in 0..100u32 {
        let table = db.create_table("again").unwrap();
        fill(&db, table);
        let row = round.to_be_bytes();
        put(&db, table, b"round", &row);
        let snapshot = db.snapshot();
        assert_eq!(db.table("again").unwrap(), table);
        assert_eq!(snapshot.get(table, b"round").unwrap().as_deref(), Some(&row[..]));
        for handle in &handles {
            assert!(is_dropped(&snapshot.get(*handle, b"round")), "round {round}");
            assert!(
                is_dropped(&db.write(|tx| tx.put(*handle, b"k", b"v"))),
                "round {round}"
            );
        }
        db.drop_table("again").unwrap();
        assert_eq!(snapshot.get(table, b"round").unwrap().as_deref(), Some(&row[..]));
        handles.push(table);
        if round % 10 == 0 {
            drop(snapshot);
            churn(&db, other);
        }
    }
    assert_eq!(db.metrics().corruptions_detected, 0);
    assert_sound(&db);
}

#[test]
fn a_write_set_for_a_dropped_table_fails_and_an_empty_one_does_not() {
    for level in [IsolationLevel::ReadCommitted, IsolationLevel::Snapshot] {
        let (_vfs, db, table) = fresh();
        let other = db.create_table("other").unwrap();
        fill(&db, table);
        let begin = || db.begin_with(TxOptions::new().isolation(level)).unwrap();
        let mut writes = begin();
        writes.put(table, b"a", b"v").unwrap();
        writes.put(other, b"a", b"v").unwrap();
        let mut taken_back = begin();
        let savepoint = taken_back.savepoint();
        taken_back.put(table, b"b", b"v").unwrap();
        taken_back.rollback_to(savepoint).unwrap();
        let mut elsewhere = begin();
        let savepoint = elsewhere.savepoint();
        elsewhere.put(table, b"c", b"v").unwrap();
        elsewhere.rollback_to(savepoint).unwrap();
        elsewhere.put(other, b"c", b"v").unwrap();
        let mut locked = begin();
        assert!(!locked.delete(table, b"d").unwrap());
        db.drop_table("rows").unwrap();
        churn(&db, other);
        let own = writes.get(table, b"a");
        assert!(is_dropped(&own) || level == IsolationLevel::Snapshot, "{own:?}");
        assert!(is_dropped(&writes.commit()));
        taken_back.commit().unwrap();
        elsewhere.commit().unwrap();
        locked.commit().unwrap();
        let snapshot = db.snapshot();
        assert_eq!(snapshot.get(other, b"a").unwrap(), None, "all or nothing");
        assert!(snapshot.get(other, b"c").unwrap().is_some());
        let metrics = db.metrics();
        assert_eq!((metrics.row_locks, metrics.corruptions_detected), (0, 0));
        assert_sound(&db);
    }
}

#[test]
fn who_waits_for_a_row_while_the_table_is_dropped_is_told() {
    type Step = fn(&mut Transaction<'_>, Table) -> engine::Result<()>;
    let steps: [Step; 3] = [
        |tx, table| tx.put(table, b"k", b"v"),
        |tx, table| tx.delete(table, b"k").map(|_| ()),
        |tx, table| tx.get_for_update(table, b"k").map(|_| ()),
    ];
    for level in [IsolationLevel::ReadCommitted, IsolationLevel::Snapshot] {
        for step in steps {
            let (_vfs, db, table) = fresh();
            let other = db.create_table("other").unwrap();
            fill(&db, table);
            let mut holder = db.begin().unwrap();
            holder.put(table, b"k", b"held").unwrap();
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| {
                    let mut tx = db.begin_with(TxOptions::new().isolation(level)).unwrap();
                    step(&mut tx, table)
                });
                // Long enough for it to wait; otherwise it is told without waiting.
                std::thread::sleep(std::time::Duration::from_millis(20));
                db.drop_table("rows").unwrap();
                churn(&db, other);
                holder.rollback();
                let result = waiting.join().unwrap();
                assert!(is_dropped(&result), "{result:?}");
            });
            let metrics = db.metrics();
            assert_eq!((metrics.row_locks, metrics.corruptions_detected), (0, 0));
        }
    }
}

#[test]
fn handles_end_with_their_database() {
    let (vfs, db, table) = fresh();
    db.drop_table("rows").unwrap();
    db.close().unwrap();
    let db = small(&vfs).open(PATH).unwrap();
    let again = db.create_table("rows").unwrap();
    assert_ne!(again.id(), table.id(), "numbers are not used again");
    assert!(matches!(
        db.snapshot().get(table, b"k"),
        Err(Error::NoSuchTable { .. })
    ));
}

struct StopAtEnd<'s>(&'s AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Readers of every kind beside a thread that makes, fills, drops and frees tables.
#[test]
fn beside_drops_every_read_is_of_a_whole_table_or_refused() {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).keep_versions(2).open(PATH).unwrap();
    let other = db.create_table("other").unwrap();
    let current: Mutex<Option<Table>> = Mutex::new(None);
    let stop = AtomicBool::new(false);
    let (whole, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let mut readers = Vec::new();
        for reader in 0..3 {
            let (db, current, stop, whole, refused) = (&db, &current, &stop, &whole, &refused);
            readers.push(scope.spawn(move || {
                let key = 7u32.to_be_bytes();
                while !stop.load(SeqCst) {
                    let Some(table) = *current.lock().unwrap() else {
                        continue;
                    };
                    let row = |result: engine::Result<Option<Vec<u8>>>| {
                        result.map(|value| {
                            assert_eq!(value, Some(vec![7; 100]), "a row of a whole table");
                        })
                    };
                    let rows = |scan: engine::Result<engine::Scan<'_>>| {
                        scan.map(|scan| {
                            let count = scan.map(Result::unwrap).count();
                            assert_eq!(count as u32, ROWS, "a scan of a whole table");
                        })
                    };
                    // Until the handle is refused for good.
                    loop {
                        let result = match reader {
                            0 => {
                                let snapshot = db.snapshot();
                                row(snapshot.get(table, &key)).and_then(|()| rows(snapshot.scan(table, ..)))
                            }
                            1 => {
                                let mut tx = db.begin_with(nosync()).unwrap();
                                row(tx.get_for_update(table, &key))
                                    .and_then(|()| row(tx.get(table, &key)))
                                    .and_then(|()| rows(tx.scan_rev(table, ..)))
                            }
                            _ => {
                                let commit = db.snapshot().commit_id();
                                match db.begin_at(commit) {
                                    Ok(then) => row(then.get(table, &key)),
                                    Err(Error::SnapshotTooOld { .. }) => Ok(()),
                                    Err(error) => Err(error),
                                }
                            }
                        };
                        match result {
                            Ok(()) => drop(whole.fetch_add(1, SeqCst)),
                            Err(Error::TableDropped { .. }) => break,
                            Err(error) => panic!("{error}"),
                        }
                        if stop.load(SeqCst) {
                            break;
                        }
                    }
                    refused.fetch_add(1, SeqCst);
                }
            }));
        }
        // Ends the readers also when this thread fails.
        let _stop = StopAtEnd(&stop);
        for round in 0..60 {
            let table = db.create_table("t").unwrap();
            fill(&db, table);
            *current.lock().unwrap() = Some(table);
            let enough = whole.load(SeqCst) + 10;
            while whole.load(SeqCst) < enough {
                assert!(
                    readers.iter().all(|reader| !reader.is_finished()),
                    "a reader failed"
                );
                std::thread::yield_now();
            }
            db.drop_table("t").unwrap();
            for n in 0..3u32 {
                db.gc(1 + round % 2);
                put(&db, other, &n.to_be_bytes(), &[1; 9000]);
            }
            if round % 8 == 0 {
                db.checkpoint().unwrap();
            }
        }
    });
    assert!(refused.load(SeqCst) > 0);
    assert_eq!(db.metrics().corruptions_detected, 0);
    assert_sound(&db);
}
