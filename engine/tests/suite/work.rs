//! Work does not grow with what it has nothing to do with: what each operation looks at, follows and copies is counted, in
//! a small database and in one that has sixteen times as much of one thing.
//!
//! Where the things are in the operation's own way, as the rows of a transaction in its commit, the work for each counts.

use engine::vfs::MemoryVfs;
use engine::work::{Work, is_counted, measure};
use engine::{Database, Options, Table};

use crate::common::{self, PATH, nosync, small, snapshot_isolation};

/// How much more there is of it the second time.
const MORE: u64 = 16;
/// Each operation is done so often: twice as often as it takes a committer to collect old versions.
const TIMES: u64 = 64;
/// Rows that the operations are about.
const ROWS: u64 = 1000;
/// Work of each operation that may come on top of a quarter: another level of a tree or two, and a split here or there.
const SLACK: u64 = 4;
const BYTES_OF_SLACK: u64 = 512;

type Done = Vec<(&'static str, Work)>;

fn options(vfs: &MemoryVfs) -> Options {
    small(vfs).cache_size(64 << 20).version_budget(64 << 20)
}

fn key(n: u64) -> [u8; 8] {
    n.to_be_bytes()
}

fn put(db: &Database, table: Table, key: &[u8], value: &[u8]) {
    common::put(db, table, key, value);
}

fn create(db: &Database, name: &str) {
    db.create_table(name).unwrap();
}

/// Fills a table in commits of many rows.
fn fill(db: &Database, table: Table, keys: std::ops::Range<u64>, value: &[u8]) {
    let keys: Vec<_> = keys.collect();
    for part in keys.chunks(500) {
        let mut tx = db.begin_with(nosync()).unwrap();
        part.iter()
            .try_for_each(|n| tx.put(table, &key(*n), value))
            .unwrap();
        tx.commit().unwrap();
    }
}

fn delete(db: &Database, table: Table, n: u64) {
    let mut tx = db.begin_with(nosync()).unwrap();
    assert!(tx.delete(table, &key(n)).unwrap());
    tx.commit().unwrap();
}

/// A database in memory with one table of rows.
fn world(rows: u64) -> (MemoryVfs, Database, Table) {
    let vfs = MemoryVfs::default();
    let db = options(&vfs).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    fill(&db, table, 0..rows, &[7; 100]);
    db.gc(1);
    db.checkpoint().unwrap();
    (vfs, db, table)
}

/// Every kind of operation, on rows that are spread over the table, and its work.
fn operations(db: &Database, table: Table) -> Done {
    let spread = |n: u64| key(n * 13 % ROWS);
    let mut done = Done::new();
    let mut times = |name, times: u64, operation: &mut dyn FnMut(u64)| {
        let ((), work) = measure(|| (0..times).for_each(operation));
        done.push((name, work));
    };
    times("get", TIMES, &mut |n| {
        assert!(db.snapshot().get(table, &spread(n)).unwrap().is_some());
    });
    times("put and commit", TIMES, &mut |n| {
        put(db, table, &spread(n), &[8; 100])
    });
    times("delete and commit", TIMES, &mut |n| delete(db, table, n * 7));
    times("insert and commit", TIMES, &mut |n| {
        put(db, table, &key(n * 7), &[9; 100])
    });
    times("scan of 100 rows", TIMES / 8, &mut |n| {
        let from = key(n * 100);
        assert_eq!(db.snapshot().scan(table, from..).unwrap().limit(100).count(), 100);
    });
    times("backward scan of 100 rows", TIMES / 8, &mut |n| {
        let to = key(n * 100 + 100);
        assert_eq!(
            db.snapshot().scan_rev(table, ..to).unwrap().limit(100).count(),
            100
        );
    });
    times("snapshot", TIMES, &mut |_| drop(db.snapshot()));
    times("conflict", TIMES, &mut |n| {
        let mut tx = db.begin_with(snapshot_isolation()).unwrap();
        put(db, table, &spread(n), b"other");
        tx.put(table, &spread(n), b"mine").unwrap_err();
    });
    times("rollback to a savepoint", TIMES, &mut |n| {
        let mut tx = db.begin_with(nosync()).unwrap();
        tx.put(table, &spread(n), b"1").unwrap();
        let savepoint = tx.savepoint();
        tx.put(table, &spread(n), b"2").unwrap();
        tx.put(table, &spread(n + 1), b"3").unwrap();
        tx.rollback_to(savepoint).unwrap();
    });
    times("collection", TIMES / 4, &mut |n| {
        delete(db, table, n * 11 + 1);
        db.gc(1);
    });
    times("table created and dropped", TIMES / 4, &mut |_| {
        db.create_table("another").unwrap();
        db.drop_table("another").unwrap();
        db.gc(1);
    });
    db.checkpoint().unwrap();
    times("checkpoint", TIMES / 4, &mut |n| {
        put(db, table, &spread(n), &[10; 100]);
        db.checkpoint().unwrap();
    });
    done
}

/// What has grown too much, operation by operation. `grows`: what may grow with the number of things, by so much for each
/// of them and each operation.
fn compare(
    what: &str,
    few: &Done,
    many: &Done,
    allowed: impl Fn(&str, &str) -> u64,
    found: &mut Vec<String>,
) {
    for ((operation, before), (_, after)) in few.iter().zip(many) {
        for ((kind, before), (_, after)) in before.all().into_iter().zip(after.all()) {
            let slack = match kind {
                "bytes" | "version_bytes" => BYTES_OF_SLACK,
                _ => SLACK,
            };
            let limit = before + before / 4 + TIMES * slack + allowed(operation, kind);
            if after > limit {
                found.push(format!(
                    "{operation}, {what}: {kind} grew from {before} to {after}"
                ));
            }
        }
    }
}

/// Runs the operations beside `few` things and beside [`MORE`] times as many, as `beside` prepares them.
fn check(what: &str, few: u64, mut beside: impl FnMut(u64) -> Done, allowed: impl Fn(&str, &str) -> u64) {
    if !is_counted() {
        return;
    }
    let (before, after) = (beside(few), beside(few * MORE));
    assert!(
        before.iter().any(|(_, work)| *work != Work::default()),
        "nothing was counted"
    );
    let mut found = Vec::new();
    compare(what, &before, &after, allowed, &mut found);
    assert!(found.is_empty(), "{found:#?}");
}

fn nothing(_operation: &str, _kind: &str) -> u64 {
    0
}

/// Each checkpoint sets aside anew what the data file keeps for a full disk: one extent for 64 pages, 32 at most, and some for
/// the page map.
fn kept_room(operation: &str, kind: &str) -> u64 {
    match (operation, kind) {
        ("checkpoint", "free_ranges") => TIMES / 4 * 40 * 8,
        _ => 0,
    }
}

#[test]
fn rows_in_the_table() {
    let beside = |rows| {
        let (_vfs, db, table) = world(rows);
        operations(&db, table)
    };
    check("rows in the table", ROWS, beside, kept_room);
}

#[test]
fn tables() {
    let beside = |tables| {
        let (_vfs, db, table) = world(ROWS);
        (0..tables).for_each(|n| create(&db, &format!("t{n}")));
        operations(&db, table)
    };
    check("tables", 125, beside, kept_room);
}

#[test]
fn dropped_tables_that_a_snapshot_keeps() {
    let beside = |tables| {
        let (_vfs, db, table) = world(ROWS);
        (0..tables).for_each(|n| create(&db, &format!("t{n}")));
        let _snapshot = db.snapshot();
        (0..tables).for_each(|n| db.drop_table(&format!("t{n}")).unwrap());
        operations(&db, table)
    };
    check("dropped tables", 40, beside, kept_room);
}

#[test]
fn versions_of_another_row_under_an_old_snapshot() {
    let beside = |versions| {
        let (_vfs, db, table) = world(ROWS);
        let hot = db.create_table("hot").unwrap();
        put(&db, hot, b"hot", b"0");
        let old = db.snapshot();
        (0..versions).for_each(|n| put(&db, hot, b"hot", &key(n)));
        let mut done = operations(&db, table);
        let ((), work) = measure(|| (0..TIMES).for_each(|_| drop(db.snapshot().get(hot, b"hot").unwrap())));
        done.push(("get of a row with many versions", work));
        let ((), work) = measure(|| (0..TIMES).for_each(|n| put(&db, hot, b"hot", &key(n))));
        done.push(("put of a row with many versions", work));
        // The links that an old snapshot follows are logarithmic in the versions.
        let (value, work) = measure(|| old.get(hot, b"hot").unwrap());
        assert_eq!(value.unwrap(), b"0");
        done.push(("get by an old snapshot", work));
        done
    };
    check("versions of one row", 1000, beside, nothing);
}

/// What looks at every slot of the snapshot registry, to find the oldest: each step of housekeeping.
fn all_slots(few: u64) -> impl Fn(&str, &str) -> u64 {
    move |operation, kind| match (operation, kind) {
        ("collection" | "table created and dropped", "slots") => TIMES * 4 * few * MORE,
        // Beside how many commits this is done is checked by `snapshots_and_commits`.
        (_, "slots") if operation.contains("commit") || operation == "conflict" => 3 * few * MORE,
        _ => 0,
    }
}

#[test]
fn open_snapshots() {
    let beside = |snapshots| {
        let (_vfs, db, table) = world(ROWS);
        let _open: Vec<_> = (0..snapshots).map(|_| db.snapshot()).collect();
        operations(&db, table)
    };
    check("open snapshots", 100, beside, all_slots(100));
}

#[test]
fn snapshots_that_were_open_once() {
    let beside = |snapshots| {
        let (_vfs, db, table) = world(ROWS);
        let open: Vec<_> = (0..snapshots).map(|_| db.snapshot()).collect();
        drop(open);
        operations(&db, table)
    };
    check("snapshots that were open once", 100, beside, all_slots(100));
}

#[test]
fn snapshots_and_commits() {
    const SNAPSHOTS: u64 = 6400;
    const COMMITS: u64 = 1000;
    let (_vfs, db, table) = world(ROWS);
    let (mut open, begun) = measure(|| (0..SNAPSHOTS).map(|_| db.snapshot()).collect::<Vec<_>>());
    // The first 64 slots, and one more.
    assert!(begun.slots <= 70 * SNAPSHOTS, "{begun:?}");
    let (_, work) = measure(|| (0..COMMITS).for_each(|n| put(&db, table, &key(n), b"x")));
    // A collection, and up to four steps of housekeeping.
    assert!(work.slots <= COMMITS * (1 + 5 * 16) + SNAPSHOTS, "{work:?}");
    let (_, work) = measure(|| {
        for n in 0..COMMITS as usize {
            open.truncate(open.len() - n % 3);
            open.extend((0..n % 3).map(|_| db.snapshot()));
        }
    });
    assert!(work.slots <= 70 * COMMITS, "{work:?}");
}

#[test]
fn ghosts_that_a_snapshot_keeps() {
    let beside = |ghosts| {
        let (_vfs, db, table) = world(ROWS);
        fill(&db, table, 1 << 40..(1 << 40) + ghosts, &[1; 100]);
        let _snapshot = db.snapshot();
        let mut tx = db.begin_with(nosync()).unwrap();
        (0..ghosts).for_each(|n| assert!(tx.delete(table, &key((1 << 40) + n)).unwrap()));
        tx.commit().unwrap();
        operations(&db, table)
    };
    check("ghosts", 500, beside, nothing);
}

#[test]
fn replaced_long_values_that_a_snapshot_keeps() {
    let beside = |values| {
        let (_vfs, db, table) = world(ROWS);
        let long = db.create_table("long").unwrap();
        fill(&db, long, 0..values, &[1; 5000]);
        let _snapshot = db.snapshot();
        fill(&db, long, 0..values, &[2; 5000]);
        operations(&db, table)
    };
    check("replaced long values", 50, beside, kept_room);
}

#[test]
fn dirty_pages() {
    let beside = |pages| {
        let (_vfs, db, table) = world(ROWS);
        let other = db.create_table("other").unwrap();
        fill(&db, other, 0..3 * pages, &[1; 1000]);
        assert!(db.metrics().dirty_pages >= pages);
        operations(&db, table)
    };
    check("dirty pages", 100, beside, kept_room);
}

#[test]
fn free_ranges_in_the_data_file() {
    let beside = |ranges| {
        let (_vfs, db, table) = world(ROWS);
        let other = db.create_table("other").unwrap();
        // Every other page changes, and its old place becomes free.
        fill(&db, other, 0..6 * ranges, &[1; 1000]);
        db.compact().unwrap();
        (0..ranges).for_each(|n| put(&db, other, &key(6 * n), &[2; 900]));
        db.checkpoint().unwrap();
        let (_, work) = measure(|| db.verify().unwrap());
        assert!(!is_counted() || work.free_ranges >= ranges / 2, "{work:?}");
        operations(&db, table)
    };
    check("free ranges", 50, beside, kept_room);
}

#[test]
fn locks_of_others() {
    let beside = |locks| {
        let (_vfs, db, table) = world(ROWS);
        let other = db.create_table("other").unwrap();
        let mut tx = db.begin_with(nosync()).unwrap();
        (0..locks).for_each(|n| drop(tx.get_for_update(other, &key(n)).unwrap()));
        operations(&db, table)
    };
    check("locks of others", 500, beside, nothing);
}

#[test]
fn length_of_the_log() {
    let beside = |commits| {
        let (_vfs, db, table) = world(ROWS);
        let other = db.create_table("other").unwrap();
        (0..commits).for_each(|n| put(&db, other, b"k", &[n as u8; 900]));
        operations(&db, table)
    };
    check("commits in the log", 200, beside, nothing);
}

/// The work for each of `n` changes of one transaction, in [`TIMES`] of them: puts, their commit, and what else it does
/// beside them.
fn own_changes(n: u64, table_of: impl Fn(&Database, u64) -> Table) -> Done {
    let (_vfs, db, table) = world(ROWS);
    let tables: Vec<_> = (0..n).map(|n| table_of(&db, n)).collect();
    let mut done = Done::new();
    let mut tx = db.begin_with(nosync()).unwrap();
    for (n, of) in tables.iter().enumerate() {
        tx.put(*of, &key(n as u64), &[1; 100]).unwrap();
    }
    let mut times = |name, operation: &mut dyn FnMut(u64)| {
        let ((), work) = measure(|| (0..TIMES).for_each(operation));
        done.push((name, work));
    };
    times("put beside own changes", &mut |n| {
        tx.put(table, &key(n), b"x").unwrap()
    });
    times("get beside own changes", &mut |n| {
        drop(tx.get(table, &key(n)).unwrap())
    });
    times("rollback beside own changes", &mut |n| {
        let savepoint = tx.savepoint();
        tx.put(table, &key(n), b"y").unwrap();
        tx.rollback_to(savepoint).unwrap();
    });
    times("scan beside own changes", &mut |n| {
        assert_eq!(tx.scan(table, key(n)..).unwrap().limit(20).count(), 20);
    });
    let (_, work) = measure(|| tx.commit().unwrap());
    done.push(("commit of own changes", work));
    done
}

#[test]
fn rows_and_tables_of_the_own_transaction() {
    let per_change = |few: u64| {
        move |operation: &str, kind: &str| match (operation, kind) {
            ("commit of own changes", "bytes") => few * MORE * 800,
            ("commit of own changes", "version_bytes") => few * MORE * 100,
            ("commit of own changes", _) => few * MORE * 8,
            _ => 0,
        }
    };
    let beside = |changes| own_changes(changes, |db, _| db.table("rows").unwrap());
    check("own changes", 500, beside, per_change(500));
    let beside = |tables| own_changes(tables, |db, n| db.create_table(&format!("t{n}")).unwrap());
    check("tables with own changes", 50, beside, per_change(50));
}

#[test]
fn many_savepoints() {
    let beside = |savepoints| {
        let (_vfs, db, table) = world(ROWS);
        let mut tx = db.begin_with(nosync()).unwrap();
        (0..savepoints).for_each(|_| {
            tx.savepoint();
        });
        let ((), work) = measure(|| {
            for n in 0..TIMES {
                let savepoint = tx.savepoint();
                tx.put(table, &key(n), b"x").unwrap();
                tx.rollback_to(savepoint).unwrap();
            }
        });
        vec![("rollback to the newest savepoint", work)]
    };
    check("savepoints", 100, beside, nothing);
}

/// Checks what it takes to collect what `leave` leaves behind: that is in the collection's way, so it is counted for each.
fn check_giving_back(what: &str, few: u64, bytes: u64, leave: impl Fn(&Database, Table, u64)) {
    let collect = |n: u64| {
        let (_vfs, db, table) = world(ROWS);
        let left = db.storage_info().used_pages;
        leave(&db, table, n);
        let most = db.storage_info().used_pages;
        let ((), work) = measure(|| db.gc(1));
        db.checkpoint().unwrap();
        let now = db.storage_info().used_pages;
        assert!(now <= left + (most - left) / 5 + 5, "{left}, {most}, {now}");
        vec![("collection", work)]
    };
    let each = |_: &str, kind: &str| match kind {
        "bytes" => few * MORE * bytes,
        "pages" => few * MORE * 24,
        // Which of the first 64 slots a thread has depends on how many threads there were.
        "slots" => few * MORE * 200,
        _ => few * MORE * 8,
    };
    check(what, few, collect, each);
}

#[test]
fn giving_back_costs_the_same_for_each_thing() {
    check_giving_back("versions and ghosts", 200, 2000, |db, table, n| {
        fill(db, table, 1 << 40..(1 << 40) + n, &[1; 100]);
        let _snapshot = db.snapshot();
        (0..n).for_each(|n| delete(db, table, (1 << 40) + n));
    });
    check_giving_back("long values", 200, 20_000, |db, table, n| {
        fill(db, table, 1 << 40..(1 << 40) + n, &[1; 5000]);
        let _snapshot = db.snapshot();
        (0..n).for_each(|n| delete(db, table, (1 << 40) + n));
    });
    check_giving_back("dropped tables", 50, 4000, |db, _, n| {
        (0..n).for_each(|n| create(db, &format!("t{n}")));
        let _snapshot = db.snapshot();
        (0..n).for_each(|n| db.drop_table(&format!("t{n}")).unwrap());
    });
}

#[test]
fn kept_versions() {
    let beside = |versions: u64| {
        let vfs = MemoryVfs::default();
        let db = options(&vfs).keep_versions(10_000).open(PATH).unwrap();
        let table = db.create_table("rows").unwrap();
        fill(&db, table, 0..ROWS, &[7; 100]);
        (0..versions).for_each(|n| put(&db, table, &key(n % 5 * 100), &[3; 100]));
        db.gc(10_000);
        let ((), work) = measure(|| (0..TIMES).for_each(|n| put(&db, table, &key(n), &[4; 100])));
        vec![("put and commit", work)]
    };
    check("kept versions", 500, beside, nothing);
}

#[test]
fn versions_that_are_kept_no_more() {
    // Many versions are to go, and a snapshot keeps them.
    let beside = |versions: u64| {
        let vfs = MemoryVfs::default();
        let db = options(&vfs).keep_versions(10).open(PATH).unwrap();
        let table = db.create_table("rows").unwrap();
        fill(&db, table, 0..ROWS, &[7; 100]);
        let first = db.snapshot().commit_id();
        for n in 0..6 {
            fill(&db, table, 1 << 40..(1 << 40) + versions, &[n; 100]);
        }
        db.gc(10);
        let _old = db.begin_at(first).unwrap();
        db.gc(2);
        let ((), work) = measure(|| (0..TIMES).for_each(|n| put(&db, table, &key(n), &[4; 100])));
        vec![("put and commit", work)]
    };
    check("versions that are to go", 100, beside, nothing);
    // Long values that are kept no more go one by one.
    let collect = |values: u64| {
        let vfs = MemoryVfs::default();
        let db = options(&vfs).keep_versions(10).open(PATH).unwrap();
        let table = db.create_table("rows").unwrap();
        for n in 0..5 {
            fill(&db, table, 0..values, &[n; 5000]);
        }
        db.gc(10);
        let ((), work) = measure(|| db.gc(2));
        vec![("collection", work)]
    };
    let few = 20;
    let each = |_: &str, kind: &str| match kind {
        "bytes" => few * MORE * 100_000,
        _ => few * MORE * 400,
    };
    check("long values that are kept no more", few, collect, each);
}

#[test]
fn opening_looks_at_the_catalog_once() {
    const TABLES: u64 = 5000;
    let vfs = MemoryVfs::default();
    let db = options(&vfs).open(PATH).unwrap();
    (0..TABLES).for_each(|n| create(&db, &format!("table {n:06}")));
    db.close().unwrap();
    let (db, work) = measure(|| options(&vfs).open(PATH).unwrap());
    let pages = db.storage_info().used_pages;
    assert!(pages > TABLES, "a root for each");
    assert_eq!(db.table_names().len() as u64, TABLES);
    if is_counted() {
        // Names of 12 bytes, 30 or more on a page; each is reached by a descent of a few pages.
        assert!((50..8 * TABLES / 30).contains(&work.pages), "{work:?}");
        assert!(work.catalog_entries <= 4 * TABLES, "{work:?}");
    }
    assert!(db.metrics().pages_read < TABLES / 20, "{:?}", db.metrics());
}
