//! Memory that a database takes beside its cache while it is used: within the budgets that it was opened with, and given back.
//!
//! It is a test binary of its own, since its allocator counts what the whole process has. Cache and versions have theirs
//! from the opening on, so what is measured here is what comes on top.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it by panicking")]

mod counting;

use std::sync::{Mutex, MutexGuard};

use counting::{held, peak_of};
use engine::{Database, Durability, Error, Options, Table, TxOptions, WalSync};

const MIB: usize = 1 << 20;
const VERSIONS: usize = MIB;
const CACHE: usize = 8 * MIB;
/// What buffers and tables that do not depend on the load take, as docs/reliability.md says.
const CONSTANT: usize = 24 * MIB;
/// What stays of that when the load has ended.
const LEFT: usize = 2 * MIB;

/// One at a time: all count in the same place.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn open(dir: &tempfile::TempDir, options: impl FnOnce(Options) -> Options) -> (Database, Table) {
    let all = Options::new()
        .page_size(4096)
        .cache_size(CACHE)
        .version_budget(VERSIONS)
        .background(false)
        .wal_sync(WalSync::Fdatasync);
    let db = options(all).open(dir.path().join("db")).unwrap();
    let table = db.create_table("rows").unwrap();
    (db, table)
}

fn nosync() -> TxOptions {
    TxOptions::new().durability(Durability::NoSync)
}

fn key(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

/// Rows in commits of `batch`, whose number says what is in them.
fn fill(db: &Database, table: Table, rows: u32, batch: u32, value: &[u8]) {
    for start in (0..rows).step_by(batch as usize) {
        let mut tx = db.begin_with(nosync()).unwrap();
        (start..(start + batch).min(rows))
            .try_for_each(|n| tx.put(table, &key(n), value))
            .unwrap();
        tx.commit().unwrap();
    }
}

/// Gives everything back that can be.
fn settle(db: &Database) {
    db.gc(1);
    db.checkpoint().unwrap();
    db.gc(1);
    db.checkpoint().unwrap();
    // What the log's buffers have grown to goes when a few flushes have not needed it.
    let table = db.table("rows").unwrap();
    for _ in 0..20 {
        fill(db, table, 1, 1, b"a row");
        db.sync().unwrap();
    }
    db.gc(1);
}

fn report(what: &str, peak: usize, before: usize) {
    let left = held() as isize - before as isize;
    println!("{what}: {} KiB at most, {} KiB left", peak >> 10, left >> 10);
}

#[track_caller]
fn assert_given_back(before: usize) {
    let left = held().saturating_sub(before);
    assert!(left <= LEFT, "{left} bytes stay");
}

#[test]
fn a_long_snapshot_costs_the_version_budget() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let (db, table) = open(&dir, |options| options);
    fill(&db, table, 1000, 100, &[1; 200]);
    settle(&db);
    let before = held();
    let (peak, old) = peak_of(|| {
        let old = db.snapshot();
        (0..200).for_each(|round| fill(&db, table, 1000, 100, &[round; 200]));
        old
    });
    assert!(matches!(
        old.get(table, &key(1)),
        Err(Error::SnapshotTooOld { .. })
    ));
    assert!(db.metrics().version_bytes as usize <= VERSIONS);
    drop(old);
    settle(&db);
    report("long snapshot", peak, before);
    assert!(peak <= VERSIONS + CONSTANT, "{peak} bytes");
    assert_given_back(before);
}

#[test]
fn a_large_delete_costs_its_transaction() {
    const TRANSACTION: usize = 8 * MIB;
    let _alone = alone();
    for (what, rows, value) in [("rows", 50_000, 1024), ("long values", 1000, 64 << 10)] {
        let dir = tempfile::tempdir().unwrap();
        let (db, table) = open(&dir, |options| options.max_transaction_size(TRANSACTION));
        fill(&db, table, rows, 50, &vec![1; value]);
        settle(&db);
        let before = held();
        let (peak, snapshot) = peak_of(|| {
            let snapshot = db.snapshot();
            let mut tx = db.begin_with(nosync()).unwrap();
            (0..rows).for_each(|n| assert!(tx.delete(table, &key(n)).unwrap()));
            tx.commit().unwrap();
            snapshot
        });
        assert_eq!(db.snapshot().scan(table, ..).unwrap().count(), 0);
        report(&format!("delete of {what}"), peak, before);
        drop(snapshot);
        let (peak_of_settling, ()) = peak_of(|| settle(&db));
        report(&format!("delete of {what}"), peak.max(peak_of_settling), before);
        assert!(
            peak.max(peak_of_settling) <= TRANSACTION + CONSTANT,
            "{peak} bytes"
        );
        assert!(db.storage_info().used_pages < 100, "{:?}", db.storage_info());
        assert_given_back(before);
    }
}

#[test]
fn a_scan_and_many_snapshots_cost_next_to_nothing() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let (db, table) = open(&dir, |options| options);
    fill(&db, table, 20_000, 500, &[1; 1000]);
    settle(&db);
    let before = held();
    let (peak, ()) = peak_of(|| {
        let open: Vec<_> = (0..1000).map(|_| db.snapshot()).collect();
        let mut rows = open[500].scan(table, ..).unwrap();
        let mut count = 0;
        while rows.next_row().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 20_000);
    });
    report("scan beside snapshots", peak, before);
    // 256 bytes for each snapshot, its slot among them, and one leaf.
    assert!(peak <= 1000 * 256 + (64 << 10), "{peak} bytes");
    assert_given_back(before);
}

#[test]
fn tables_that_were_dropped_leave_no_memory_behind() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let (db, table) = open(&dir, |options| options);
    fill(&db, table, 100, 100, &[1; 100]);
    settle(&db);
    let before = held();
    let (peak, ()) = peak_of(|| {
        let name = |n: u32| format!("a table with a name {n}");
        let tables: Vec<_> = (0..2000).map(|n| db.create_table(&name(n)).unwrap()).collect();
        tables.iter().for_each(|table| fill(&db, *table, 1, 1, b"a row"));
        (0..2000).for_each(|n| db.drop_table(&name(n)).unwrap());
    });
    settle(&db);
    report("tables", peak, before);
    assert!(peak <= 2000 * 1024 + CONSTANT, "{peak} bytes");
    assert_given_back(before);
}

/// Where a commit changes more pages than a part of the cache, it logs whole those that had to make way meanwhile, and all that
/// it logs is in memory at once, in a buffer that doubles.
#[test]
fn small_changes_on_many_pages_cost_twice_what_they_log() {
    const TRANSACTION: usize = 8 * MIB;
    const GROUPS: u32 = 9000;
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let (db, table) = open(&dir, |options| options.max_transaction_size(TRANSACTION));
    let short = |n: u32| [&key(n)[..], &[0]].concat();
    for from in (0..GROUPS).step_by(50) {
        let mut tx = db.begin_with(nosync()).unwrap();
        for n in from..from + 50 {
            tx.put(table, &short(n), b"short").unwrap();
            for part in 1..4u8 {
                tx.put(table, &[&key(n)[..], &[part]].concat(), &[n as u8; 900])
                    .unwrap();
            }
        }
        tx.commit().unwrap();
    }
    settle(&db);
    let before = held();
    let logged_before = db.metrics().wal_bytes;
    let (peak, ()) = peak_of(|| {
        let mut tx = db.begin_with(nosync()).unwrap();
        for n in 0..GROUPS {
            tx.put(table, &short(n), b"other").unwrap();
        }
        tx.commit().unwrap();
    });
    report("small changes on many pages", peak, before);
    let logged = (db.metrics().wal_bytes - logged_before) as usize;
    assert!(logged > CACHE, "{logged} bytes are logged: pages had to make way");
    assert!(
        peak <= TRANSACTION + CONSTANT + 2 * logged,
        "{peak} bytes for {logged} logged"
    );
    settle(&db);
    assert_given_back(before);
}
