//! What a returned commit ID promises is true however the commit went: it is visible, and durable if that was asked
//! for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use engine::vfs::SimulatedVfs;
use engine::vfs::simulated::Survival;
use engine::{
    CommitId, Database, Durability, IsolationLevel, Options, Table, Transaction, TxOptions, WalSync,
};

use crate::common::{PATH, put};

fn options(vfs: &SimulatedVfs, sync: WalSync) -> Options {
    Options::new()
        .page_size(4096)
        .cache_size(0)
        .wal_segment_size(64 << 10)
        .wal_sync(sync)
        .background(false)
        .vfs(Arc::new(vfs.clone()))
}

fn database(sync: WalSync) -> (SimulatedVfs, Database, Table) {
    let vfs = SimulatedVfs::new(7);
    let db = options(&vfs, sync).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    for key in ["a", "b", "c"] {
        put(&db, table, key.as_bytes(), b"old");
    }
    db.sync().unwrap();
    (vfs, db, table)
}

/// The newest commit that a power loss now leaves at worst.
fn survives(vfs: &SimulatedVfs, sync: WalSync) -> CommitId {
    let after = SimulatedVfs::from_image(&vfs.crash(Survival::None), 8);
    let db = options(&after, sync).open(PATH).unwrap();
    db.snapshot().commit_id()
}

type Step = fn(&mut Transaction<'_>, Table);

/// Transactions, with whether they change anything in the end.
const TRANSACTIONS: [(&str, Step); 9] = [
    ("nothing at all", |_, _| ()),
    ("a read", |tx, table| {
        assert_eq!(tx.get(table, b"a").unwrap().as_deref(), Some(&b"unsynced"[..]));
    }),
    ("a scan", |tx, table| {
        assert_eq!(tx.scan(table, ..).unwrap().count(), 3)
    }),
    ("a locking read", |tx, table| {
        drop(tx.get_for_update(table, b"b").unwrap())
    }),
    ("a delete of nothing", |tx, table| {
        assert!(!tx.delete(table, b"none").unwrap());
    }),
    ("a put that is taken back", |tx, table| {
        let savepoint = tx.savepoint();
        tx.put(table, b"b", b"own").unwrap();
        tx.rollback_to(savepoint).unwrap();
    }),
    ("a new row that is deleted again", |tx, table| {
        tx.put(table, b"none", b"own").unwrap();
        assert!(tx.delete(table, b"none").unwrap());
    }),
    ("a put", |tx, table| tx.put(table, b"b", b"own").unwrap()),
    ("a delete", |tx, table| assert!(tx.delete(table, b"b").unwrap())),
];

#[test]
fn a_returned_commit_is_visible_and_durable_if_that_was_asked_for() {
    for sync in [WalSync::Fdatasync, WalSync::Direct] {
        for level in [IsolationLevel::ReadCommitted, IsolationLevel::Snapshot] {
            for (what, step) in TRANSACTIONS {
                for housekeeping in [false, true] {
                    let (vfs, db, table) = database(sync);
                    db.create_table("dropped").unwrap();
                    let held = db.snapshot();
                    db.drop_table("dropped").unwrap();
                    let unsynced = put(&db, table, b"a", b"unsynced");
                    if housekeeping {
                        drop(held);
                        // Frees the table, in a commit of the engine's own.
                        db.gc(1);
                        assert!(db.snapshot().commit_id() > unsynced);
                    }
                    assert!(survives(&vfs, sync) < unsynced, "{what}: it is not durable yet");
                    let mut relaxed = db
                        .begin_with(TxOptions::new().isolation(level).durability(Durability::NoSync))
                        .unwrap();
                    step(&mut relaxed, table);
                    let visible = relaxed.commit().unwrap();
                    assert!(db.snapshot().commit_id() >= visible, "{what}");
                    let mut tx = db
                        .begin_with(TxOptions::new().isolation(level).durability(Durability::Sync))
                        .unwrap();
                    if what != "a delete" {
                        step(&mut tx, table);
                    }
                    let commit = tx.commit().unwrap();
                    let survived = survives(&vfs, sync);
                    assert!(db.snapshot().commit_id() >= commit, "{what}");
                    assert!(commit >= unsynced, "{what}: what it could read is part of it");
                    assert!(
                        survived >= commit,
                        "{sync:?}, {level:?}, {what}, housekeeping {housekeeping}: {commit} was returned, {survived} is \
                         left"
                    );
                }
            }
        }
    }
}

/// The same through the commit queue, beside commits that ask for no durability.
#[test]
fn a_returned_commit_is_durable_beside_others_that_are_not() {
    let sync = WalSync::Fdatasync;
    let (vfs, db, table) = database(sync);
    let stop = AtomicBool::new(false);
    let rounds = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let noise = scope.spawn(|| {
            let mut n = 0u64;
            while !stop.load(SeqCst) {
                // Not without end, because recovering it takes time.
                if n < 10 * (rounds.load(SeqCst) as u64 + 1) {
                    put(&db, table, b"a", &n.to_le_bytes());
                    n += 1;
                }
            }
        });
        let checks: Vec<_> = (0..2u8)
            .map(|thread| {
                let (db, vfs, stop, rounds) = (&db, &vfs, &stop, &rounds);
                scope.spawn(move || {
                    for round in 0..24 {
                        rounds.fetch_add(1, SeqCst);
                        let mut tx = db.begin().unwrap();
                        if round % 2 == 0 {
                            tx.put(table, &[thread], b"own").unwrap();
                            assert!(tx.delete(table, &[thread]).unwrap());
                        }
                        let commit = tx.commit().unwrap();
                        let survived = survives(vfs, sync);
                        if survived < commit {
                            stop.store(true, SeqCst);
                            panic!("round {round}: {commit} was returned, {survived} is left");
                        }
                    }
                })
            })
            .collect();
        let failed: Vec<_> = checks
            .into_iter()
            .filter_map(|check| check.join().err())
            .collect();
        stop.store(true, SeqCst);
        noise.join().unwrap();
        assert!(failed.is_empty());
    });
}
