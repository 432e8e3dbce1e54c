//! Memory has bounds: old versions, write sets, locks, the log buffer, the cache.

use engine::vfs::MemoryVfs;
use engine::{Error, TxOptions};

use crate::common::{PATH, assert_sound, fresh, get, nosync, put, small};

#[test]
fn a_snapshot_held_for_very_long_gets_an_error_before_memory_grows() {
    const BUDGET: usize = 1 << 20;
    const ROW: usize = 900;
    let vfs = MemoryVfs::default();
    let db = small(&vfs).version_budget(BUDGET).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    for n in 0..100u32 {
        put(&db, table, &n.to_be_bytes(), &[0; ROW]);
    }
    let snapshot = db.snapshot();
    let mut most = 0;
    for round in 0..60u8 {
        let mut tx = db.begin_with(nosync()).unwrap();
        for n in 0..100u32 {
            tx.put(table, &n.to_be_bytes(), &[round; ROW]).unwrap();
        }
        tx.commit().unwrap();
        most = most.max(db.metrics().version_bytes as usize);
    }
    assert!(
        most > BUDGET / 2 && most <= BUDGET + 200 * ROW,
        "{most} bytes of versions"
    );
    let error = snapshot.get(table, &5u32.to_be_bytes()).unwrap_err();
    assert!(matches!(error, Error::SnapshotTooOld { .. }), "{error}");
    assert_eq!(get(&db, table, &5u32.to_be_bytes()).unwrap(), [59; ROW]);
    assert_sound(&db);
}

#[test]
fn what_savepoints_keep_counts_towards_the_size_of_a_transaction() {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).max_transaction_size(100_000).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    let mut tx = db.begin().unwrap();
    tx.put(table, b"k", &[0; 500]).unwrap();
    let savepoint = tx.savepoint();
    // One row, again and again: each former value is kept for the savepoint.
    let error = (0..10_000u32)
        .find_map(|n| tx.put(table, b"k", &[n as u8; 500]).err())
        .expect("memory without limit");
    assert!(matches!(error, Error::TransactionTooLarge { .. }), "{error}");
    tx.rollback_to(savepoint).unwrap();
    tx.put(table, b"k", &[1; 500]).unwrap();
    tx.commit().unwrap();
    assert_eq!(get(&db, table, b"k").unwrap(), [1; 500]);
}

#[test]
fn row_locks_count_towards_the_size_of_a_transaction() {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).max_transaction_size(100_000).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    let mut tx = db.begin_with(TxOptions::new()).unwrap();
    let error = (0..1_000_000u32)
        .find_map(|n| tx.get_for_update(table, &n.to_be_bytes()).err())
        .expect("locks without limit");
    assert!(matches!(error, Error::TransactionTooLarge { .. }), "{error}");
    drop(tx);
    assert_eq!(db.metrics().row_locks, 0);
}

#[test]
fn unsynchronised_commits_write_the_log_out_instead_of_collecting_it() {
    let (_vfs, db, table) = fresh();
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let db = &db;
            scope.spawn(move || {
                for n in 0..200u8 {
                    put(db, table, &[thread, n % 5], &vec![n; 30_000]);
                    let metrics = db.metrics();
                    let waiting = metrics.wal_bytes.saturating_sub(metrics.wal_bytes_written);
                    // 8 MiB, and what the other threads commit meanwhile.
                    assert!(waiting < 9 << 20, "{waiting} bytes of log in memory");
                }
            });
        }
    });
    assert!(db.metrics().wal_bytes > 20 << 20);
    assert_sound(&db);
}

#[test]
fn a_scan_and_a_transaction_larger_than_the_cache_get_by() {
    let (_vfs, db, table) = fresh();
    let frames = db.metrics().cache_frames;
    let rows = 60 * frames as u32;
    db.write(|tx| (0..rows).try_for_each(|n| tx.put(table, &n.to_be_bytes(), &[n as u8; 200])))
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let db = &db;
            scope.spawn(move || {
                let snapshot = db.snapshot();
                assert_eq!(snapshot.scan(table, ..).unwrap().count(), rows as usize);
            });
        }
        db.write(|tx| (0..rows).try_for_each(|n| tx.put(table, &n.to_be_bytes(), b"small")))
            .unwrap();
    });
    assert_eq!(db.metrics().cache_frames, frames);
    assert_sound(&db);
}
