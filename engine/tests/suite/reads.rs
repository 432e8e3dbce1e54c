//! Within a transaction no read of a row is older than one before it, and what it read is durable before it is
//! acknowledged.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use engine::vfs::MemoryVfs;
use engine::{Database, Durability, Error, IsolationLevel, Table, Transaction, TxOptions};

use crate::common::{PATH, get, number, put};
use crate::gate::{GatedVfs, OpenAtEnd, commit_sync};

fn database() -> (GatedVfs, Database, Table) {
    let vfs = GatedVfs::new(MemoryVfs::default());
    let db = vfs.options().open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    for key in ["changed", "deleted", "other", "untouched"] {
        put(&db, table, key.as_bytes(), b"old");
    }
    db.sync().unwrap();
    (vfs, db, table)
}

/// The change that is applied and not yet visible while `f` runs.
const PENDING: [(&[u8], Option<&[u8]>); 4] = [
    (b"changed", Some(b"new")),
    (b"deleted", None),
    (b"inserted", Some(b"new")),
    (b"other", Some(b"new")),
];

fn while_pending<T>(vfs: &GatedVfs, db: &Database, table: Table, f: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        let _open = OpenAtEnd(vfs);
        vfs.close();
        let commit = scope.spawn(|| commit_sync(db, table, &PENDING));
        vfs.wait_for_sync();
        let result = f();
        vfs.open();
        let _ = commit.join().unwrap();
        result
    })
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn rows(tx: &mut Transaction<'_>, table: Table) -> Rows {
    let forward: Rows = tx.scan(table, ..).unwrap().map(Result::unwrap).collect();
    let mut backward: Rows = tx.scan_rev(table, ..).unwrap().map(Result::unwrap).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    forward
}

fn value(rows: &Rows, key: &str) -> Option<String> {
    let row = rows.iter().find(|(k, _)| k == key.as_bytes())?;
    Some(String::from_utf8(row.1.clone()).unwrap())
}

/// All ways to read a row give the same.
#[track_caller]
fn assert_reads(tx: &mut Transaction<'_>, table: Table, key: &str, expected: Option<&str>) {
    let expected = expected.map(str::to_owned);
    let text = |value: Option<Vec<u8>>| value.map(|v| String::from_utf8(v).unwrap());
    assert_eq!(
        text(tx.get(table, key.as_bytes()).unwrap()),
        expected,
        "get {key}"
    );
    let mut out = b"rubbish".to_vec();
    let found = tx.get_into(table, key.as_bytes(), &mut out).unwrap();
    assert_eq!(text(found.then_some(out)), expected, "get_into {key}");
    assert_eq!(value(&rows(tx, table), key), expected, "scan for {key}");
    let row: Rows = tx
        .scan(table, key.as_bytes()..=key.as_bytes())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(value(&row, key), expected, "scan of {key} alone");
}

#[test]
fn a_locked_row_reads_as_its_newest_committed_state_everywhere() {
    let (vfs, db, table) = database();
    while_pending(&vfs, &db, table, || {
        let mut tx = db.begin().unwrap();
        assert_reads(&mut tx, table, "changed", Some("old"));
        // Locked by a read.
        let newest = tx.get_for_update(table, b"changed").unwrap();
        assert_eq!(newest.as_deref(), Some(&b"new"[..]));
        assert_reads(&mut tx, table, "changed", Some("new"));
        // Locked by a delete that found nothing.
        let mut tx = db.begin().unwrap();
        assert_reads(&mut tx, table, "deleted", Some("old"));
        assert!(!tx.delete(table, b"deleted").unwrap());
        assert_reads(&mut tx, table, "deleted", None);
        // Locked by a change that was taken back.
        let mut tx = db.begin().unwrap();
        let savepoint = tx.savepoint();
        tx.put(table, b"inserted", b"own").unwrap();
        assert_reads(&mut tx, table, "inserted", Some("own"));
        tx.rollback_to(savepoint).unwrap();
        assert_reads(&mut tx, table, "inserted", Some("new"));
        let newest = tx.get_for_update(table, b"inserted").unwrap();
        assert_eq!(newest.as_deref(), Some(&b"new"[..]));
        assert!(tx.delete(table, b"inserted").unwrap());
        assert_reads(&mut tx, table, "inserted", None);
        // Many locks, and a row among them that nobody changes.
        let mut tx = db.begin().unwrap();
        for n in 0..100u8 {
            tx.get_for_update(table, &[n]).unwrap();
        }
        assert!(tx.get_for_update(table, b"untouched").unwrap().is_some());
        tx.get_for_update(table, b"other").unwrap();
        assert_reads(&mut tx, table, "other", Some("new"));
        assert_reads(&mut tx, table, "untouched", Some("old"));
    });
}

/// A statement shows the state of one commit, also when one of its rows is locked and newer than what others see.
#[test]
fn a_scan_with_a_locked_row_is_not_a_mixture_of_two_commits() {
    let (vfs, db, table) = database();
    while_pending(&vfs, &db, table, || {
        let mut tx = db.begin().unwrap();
        tx.get_for_update(table, b"changed").unwrap();
        let rows = rows(&mut tx, table);
        assert_eq!(value(&rows, "changed").as_deref(), Some("new"));
        assert_eq!(value(&rows, "other").as_deref(), Some("new"));
        assert_eq!(value(&rows, "deleted"), None);
    });
}

#[test]
fn a_transaction_that_locked_nothing_newer_reads_what_is_visible_and_waits_for_nobody() {
    let (vfs, db, table) = database();
    let is_over = AtomicBool::new(false);
    while_pending(&vfs, &db, table, || {
        let mut tx = db
            .begin_with(TxOptions::new().durability(Durability::NoSync))
            .unwrap();
        assert!(tx.get_for_update(table, b"untouched").unwrap().is_some());
        assert_reads(&mut tx, table, "changed", Some("old"));
        assert_reads(&mut tx, table, "deleted", Some("old"));
        // The gate stays closed until it has returned, or for so long that it must be waiting.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let result = tx.commit();
                is_over.store(true, SeqCst);
                result
            });
            for _ in 0..10_000 {
                if !is_over.load(SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            let is_over = is_over.load(SeqCst);
            vfs.open();
            assert!(is_over, "it waits for a commit that it has not read");
        });
    });
}

#[test]
fn a_snapshot_transaction_is_refused_a_row_with_a_newer_state_and_reads_its_own() {
    let (vfs, db, table) = database();
    while_pending(&vfs, &db, table, || {
        let mut tx = db
            .begin_with(TxOptions::new().isolation(IsolationLevel::Snapshot))
            .unwrap();
        for _ in 0..2 {
            let refused = tx.get_for_update(table, b"changed");
            assert!(matches!(refused, Err(Error::WriteConflict { .. })), "{refused:?}");
            assert_reads(&mut tx, table, "changed", Some("old"));
        }
    });
}

/// Whatever a transaction has read becomes durable before it is acknowledged: here it never does.
#[test]
fn what_was_read_under_a_lock_is_durable_before_the_commit_is_acknowledged() {
    type Step = fn(&mut Transaction<'_>, Table);
    let steps: [Step; 4] = [
        |tx, table| drop(tx.get_for_update(table, b"changed").unwrap()),
        |tx, table| assert!(!tx.delete(table, b"deleted").unwrap()),
        |tx, table| {
            tx.get_for_update(table, b"changed").unwrap();
            tx.put(table, b"copy", b"new").unwrap();
        },
        |tx, table| {
            let savepoint = tx.savepoint();
            tx.put(table, b"changed", b"own").unwrap();
            tx.rollback_to(savepoint).unwrap();
            tx.get(table, b"changed").unwrap();
        },
    ];
    for durability in [Durability::Sync, Durability::NoSync] {
        for (number, step) in steps.into_iter().enumerate() {
            let (vfs, db, table) = database();
            let is_over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let _open = OpenAtEnd(&vfs);
                vfs.close();
                let commit = scope.spawn(|| commit_sync(&db, table, &PENDING));
                vfs.wait_for_sync();
                let mut tx = db.begin_with(TxOptions::new().durability(durability)).unwrap();
                step(&mut tx, table);
                let is_over = &is_over;
                let dependent = scope.spawn(move || {
                    let result = tx.commit();
                    is_over.store(true, SeqCst);
                    result
                });
                // Time for a commit that does not wait.
                for _ in 0..20 {
                    if !is_over.load(SeqCst) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                vfs.fail();
                assert!(commit.join().unwrap().is_err());
                let result = dependent.join().unwrap();
                assert!(result.is_err(), "{durability:?}, step {number}: {result:?}");
            });
        }
    }
}

#[test]
fn increments_by_get_after_get_for_update_lose_nothing() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 2000;
    let vfs = GatedVfs::new(MemoryVfs::default());
    let db = vfs.options().open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    put(&db, table, b"counter", &0u64.to_le_bytes());
    vfs.slow_down(Duration::from_micros(50));
    let backwards = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    let mut tx = db.begin().unwrap();
                    let locked = number(&tx.get_for_update(table, b"counter").unwrap().unwrap());
                    let read = if round % 2 == 0 {
                        number(&tx.get(table, b"counter").unwrap().unwrap())
                    } else {
                        number(&tx.scan(table, ..).unwrap().next().unwrap().unwrap().1)
                    };
                    backwards.fetch_add(u64::from(read < locked), SeqCst);
                    tx.put(table, b"counter", &(read + 1).to_le_bytes()).unwrap();
                    tx.commit().unwrap();
                }
            });
        }
    });
    let sum = number(&get(&db, table, b"counter").unwrap());
    assert_eq!(
        (backwards.load(SeqCst), sum),
        (0, THREADS * ROUNDS),
        "(backwards, sum)"
    );
}
