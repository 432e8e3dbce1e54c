//! Several threads: sums that must stay, commits that must not get stuck, locks that must be released.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use engine::vfs::MemoryVfs;
use engine::{Database, Durability, Error, IsolationLevel, Table, TxOptions};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::common::{PATH, assert_sound, fresh, get, nosync, number, put, small, snapshot_isolation};

const ACCOUNTS: u64 = 40;
const START: u64 = 1000;

fn account(n: u64) -> Vec<u8> {
    format!("account/{n:05}").into_bytes()
}

fn load_accounts(db: &Database, table: Table) {
    db.write(|tx| (0..ACCOUNTS).try_for_each(|n| tx.put(table, &account(n), &START.to_le_bytes())))
        .unwrap();
}

fn transfer(db: &Database, table: Table, rng: &mut ChaCha8Rng, options: TxOptions) -> engine::Result<bool> {
    let (from, to) = (rng.random_range(0..ACCOUNTS), rng.random_range(0..ACCOUNTS));
    let amount = rng.random_range(1..50);
    let mut tx = db.begin_with(options)?;
    let has = number(&tx.get_for_update(table, &account(from))?.unwrap());
    if from == to || has < amount {
        return Ok(false);
    }
    let gets = number(&tx.get_for_update(table, &account(to))?.unwrap());
    tx.put(table, &account(from), &(has - amount).to_le_bytes())?;
    tx.put(table, &account(to), &(gets + amount).to_le_bytes())?;
    tx.commit()?;
    let _ = get(db, table, &account(from)).unwrap();
    Ok(true)
}

fn sum_of(rows: engine::Scan<'_>) -> u64 {
    rows.map(|row| number(&row.unwrap().1)).sum()
}

#[test]
fn transfers_keep_the_sum_in_every_snapshot() {
    let vfs = MemoryVfs::default();
    let db = small(&vfs)
        .background(true)
        .checkpoint_wal_bytes(128 << 10)
        .busy_timeout(Duration::from_millis(2))
        .open(PATH)
        .unwrap();
    let table = db.create_table("accounts").unwrap();
    load_accounts(&db, table);
    let (stop, retries, done, sums) = (
        AtomicBool::new(false),
        AtomicU64::new(0),
        AtomicU64::new(0),
        AtomicU64::new(0),
    );
    std::thread::scope(|scope| {
        let (db, stop, retries, done, sums) = (&db, &stop, &retries, &done, &sums);
        let writers: Vec<_> = (0..4u64)
            .map(|thread| {
                scope.spawn(move || {
                    let mut rng = ChaCha8Rng::seed_from_u64(thread);
                    let isolation = if thread % 2 == 0 {
                        IsolationLevel::ReadCommitted
                    } else {
                        IsolationLevel::Snapshot
                    };
                    for round in 0..3000 {
                        let durability = if round % 3 == 0 {
                            Durability::Sync
                        } else {
                            Durability::NoSync
                        };
                        let options = TxOptions::new().isolation(isolation).durability(durability);
                        let mut attempt = 0;
                        loop {
                            match transfer(db, table, &mut rng, options) {
                                Ok(moved) => {
                                    done.fetch_add(u64::from(moved), SeqCst);
                                    break;
                                }
                                Err(error) if error.is_retryable() => {
                                    attempt += 1;
                                    retries.fetch_add(1, SeqCst);
                                    db.back_off(&error, attempt).unwrap();
                                }
                                Err(error) => panic!("{error}"),
                            }
                        }
                    }
                })
            })
            .collect();
        for reader in 0..2 {
            scope.spawn(move || {
                let mut rng = ChaCha8Rng::seed_from_u64(100 + reader);
                while !stop.load(SeqCst) {
                    let snapshot = db.snapshot();
                    let rows = if rng.random() {
                        snapshot.scan(table, ..)
                    } else {
                        snapshot.scan_rev(table, ..)
                    };
                    assert_eq!(sum_of(rows.unwrap()), ACCOUNTS * START);
                    let by_key: u64 = (0..ACCOUNTS)
                        .map(|n| number(&snapshot.get(table, &account(n)).unwrap().unwrap()))
                        .sum();
                    assert_eq!(by_key, ACCOUNTS * START);
                    let mut tx = db.begin_with(snapshot_isolation()).unwrap();
                    assert_eq!(sum_of(tx.scan(table, ..).unwrap()), ACCOUNTS * START);
                    sums.fetch_add(1, SeqCst);
                }
            });
        }
        for writer in writers {
            writer.join().unwrap();
        }
        stop.store(true, SeqCst);
    });
    let metrics = db.metrics();
    println!(
        "{} transfers, {} retries, {} sums; {metrics:?}",
        done.load(SeqCst),
        retries.load(SeqCst),
        sums.load(SeqCst)
    );
    assert!(done.load(SeqCst) > 5000 && sums.load(SeqCst) > 0);
    assert!(metrics.conflicts > 0, "no write conflict was met");
    assert!(metrics.lock_waits + metrics.busy > 0, "no lock was waited for");
    assert_eq!((metrics.row_locks, metrics.open_snapshots), (0, 0));
    assert_sound(&db);
    db.close().unwrap();
    let db = small(&vfs).open(PATH).unwrap();
    let table = db.table("accounts").unwrap();
    assert_eq!(sum_of(db.snapshot().scan(table, ..).unwrap()), ACCOUNTS * START);
}

/// A committer that finds the applier taken relies on its holder, whoever that is.
#[test]
fn commits_beside_verification_and_checkpoints_do_not_get_stuck() {
    let (_vfs, db, table) = fresh();
    let stop = AtomicBool::new(false);
    for n in 0..3000u64 {
        put(&db, table, &n.to_be_bytes(), &[7; 100]);
    }
    std::thread::scope(|scope| {
        let (db, stop) = (&db, &stop);
        scope.spawn(move || {
            while !stop.load(SeqCst) {
                assert_sound(db);
                db.checkpoint().unwrap();
                db.gc(1);
                db.sync().unwrap();
            }
        });
        let writers: Vec<_> = [Durability::Sync, Durability::NoSync]
            .map(|durability| {
                scope.spawn(move || {
                    for n in 0..1500u64 {
                        let options = TxOptions::new().durability(durability);
                        db.write_with(options, |tx| tx.put(table, &(n * 2).to_be_bytes(), b"new"))
                            .unwrap();
                    }
                })
            })
            .into();
        for writer in writers {
            writer.join().unwrap();
        }
        stop.store(true, SeqCst);
    });
}

#[test]
fn commit_ids_are_dense_and_own_commits_are_visible_at_once() {
    let (_vfs, db, table) = fresh();
    let first = db.snapshot().commit_id().0;
    // Only puts of new rows: nothing for the engine's own housekeeping commits to do.
    let ids = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (db, ids) = (&db, &ids);
            scope.spawn(move || {
                for n in 0..400u64 {
                    let key = [thread.to_be_bytes(), n.to_be_bytes()].concat();
                    let durability = if n % 2 == 0 {
                        Durability::Sync
                    } else {
                        Durability::NoSync
                    };
                    let mut tx = db.begin_with(TxOptions::new().durability(durability)).unwrap();
                    tx.put(table, &key, b"v").unwrap();
                    let commit = tx.commit().unwrap();
                    assert!(db.snapshot().commit_id() >= commit);
                    assert!(
                        get(db, table, &key).is_some(),
                        "an own commit is visible when it has returned"
                    );
                    assert!(ids.lock().unwrap().insert(commit.0), "a commit ID was used twice");
                }
            });
        }
    });
    let ids = ids.into_inner().unwrap();
    assert!(
        ids.iter().copied().eq(first + 1..=first + 1600),
        "commit IDs have gaps"
    );
}

#[test]
fn read_for_update_loses_no_update_under_read_committed() {
    let (_vfs, db, table) = fresh();
    put(&db, table, b"counter", &0u64.to_le_bytes());
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let db = &db;
            scope.spawn(move || {
                for n in 0..500u64 {
                    let options = if (n + thread) % 4 == 0 {
                        TxOptions::new()
                    } else {
                        nosync()
                    };
                    let mut tx = db.begin_with(options).unwrap();
                    let value = number(&tx.get_for_update(table, b"counter").unwrap().unwrap());
                    tx.put(table, b"counter", &(value + 1).to_le_bytes()).unwrap();
                    tx.commit().unwrap();
                }
            });
        }
    });
    assert_eq!(number(&get(&db, table, b"counter").unwrap()), 2000);
}

#[test]
fn a_deadlock_ends_by_the_busy_timeout() {
    let (_vfs, db, table) = fresh();
    let options = nosync().busy_timeout(Duration::from_millis(30));
    let mut one = db.begin_with(options).unwrap();
    let mut two = db
        .begin_with(nosync().busy_timeout(Duration::from_secs(20)))
        .unwrap();
    one.put(table, b"a", b"1").unwrap();
    two.put(table, b"b", b"2").unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            two.put(table, b"a", b"2").unwrap();
            two.commit().unwrap()
        });
        let error = one.put(table, b"b", b"1").unwrap_err();
        assert!(
            matches!(error, Error::Busy { waited } if waited >= Duration::from_millis(30)),
            "{error}"
        );
        assert!(error.is_retryable());
        drop(one);
        waiting.join().unwrap();
    });
    assert_eq!(get(&db, table, b"a").as_deref(), Some(&b"2"[..]));
    assert_eq!(get(&db, table, b"b").as_deref(), Some(&b"2"[..]));
    let metrics = db.metrics();
    assert_eq!((metrics.busy, metrics.rollbacks, metrics.row_locks), (1, 1, 0));
}

#[test]
fn locks_end_with_their_transaction_however_it_ends() {
    let (_vfs, db, table) = fresh();
    let no_wait = nosync().busy_timeout(Duration::ZERO);
    let try_put = || -> engine::Result<()> { db.begin_with(no_wait)?.put(table, b"k", b"x") };
    let mut tx = db.begin_with(no_wait).unwrap();
    let savepoint = tx.savepoint();
    tx.put(table, b"k", b"1").unwrap();
    tx.rollback_to(savepoint).unwrap();
    assert!(
        matches!(try_put(), Err(Error::Busy { .. })),
        "a row stays locked after going back to a savepoint"
    );
    drop(tx);
    try_put().unwrap();
    let mut tx = db.begin_with(no_wait).unwrap();
    assert!(!tx.delete(table, b"k").unwrap());
    assert!(matches!(try_put(), Err(Error::Busy { .. })));
    tx.commit().unwrap();
    try_put().unwrap();
    let mut tx = db.begin_with(no_wait).unwrap();
    (0..100u8).for_each(|n| tx.put(table, &[n], b"").unwrap());
    assert_eq!(db.metrics().row_locks, 100);
    tx.rollback();
    assert_eq!(db.metrics().row_locks, 0);
    assert_eq!(get(&db, table, b"k"), None);
}

#[test]
fn many_snapshots_can_be_open_at_once() {
    let (_vfs, db, table) = fresh();
    let mut open = Vec::new();
    for n in 0..300u64 {
        put(&db, table, b"k", &n.to_le_bytes());
        open.push(db.snapshot());
    }
    for (n, snapshot) in open.iter().enumerate() {
        assert_eq!(number(&snapshot.get(table, b"k").unwrap().unwrap()), n as u64);
    }
    assert_eq!(db.metrics().open_snapshots, 300);
    drop(open);
    db.gc(1);
    let metrics = db.metrics();
    assert_eq!(
        (metrics.open_snapshots, metrics.versions, metrics.version_bytes),
        (0, 0, 0)
    );
}
