//! A database that has stopped: what never became durable is not read any more, and nothing is committed.

use engine::vfs::MemoryVfs;
use engine::{Database, Durability, Error, IsolationLevel, Table, Transaction, TxOptions};

use crate::common::{PATH, fresh, get, nosync, put};
use crate::gate::{GatedVfs, OpenAtEnd, commit_sync};

fn database() -> (GatedVfs, Database, Table) {
    let vfs = GatedVfs::new(MemoryVfs::default());
    let db = vfs.options().open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    for key in [b"a", b"b", b"c"] {
        put(&db, table, key, b"old");
    }
    db.sync().unwrap();
    (vfs, db, table)
}

const ABORTED: [(&[u8], Option<&[u8]>); 3] = [
    (b"a", Some(b"aborted")),
    (b"b", None),
    (b"inserted", Some(b"aborted")),
];

/// Runs `during` while a commit is applied that will fail, and then lets it fail.
fn fail_a_commit<T>(vfs: &GatedVfs, db: &Database, table: Table, during: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        let _open = OpenAtEnd(vfs);
        vfs.close();
        let commit = scope.spawn(|| commit_sync(db, table, &ABORTED));
        vfs.wait_for_sync();
        let result = during();
        vfs.fail();
        assert!(commit.join().unwrap().is_err());
        result
    })
}

fn is_poisoned<T: std::fmt::Debug>(result: &engine::Result<T>) -> bool {
    matches!(result, Err(Error::Poisoned { .. }))
}

fn begin(db: &Database, level: IsolationLevel) -> Transaction<'_> {
    db.begin_with(TxOptions::new().isolation(level)).unwrap()
}

#[test]
fn after_a_failed_flush_no_transaction_reads_what_it_should_have_made_durable() {
    let (vfs, db, table) = database();
    let mut before = begin(&db, IsolationLevel::ReadCommitted);
    let mut snapshot = begin(&db, IsolationLevel::Snapshot);
    let snapshot_of_before = db.snapshot();
    let mut empty = begin(&db, IsolationLevel::ReadCommitted);
    assert!(empty.get(table, b"a").unwrap().is_some());
    let mut taken_back = begin(&db, IsolationLevel::ReadCommitted);
    let (mut reading, mut scanning) = fail_a_commit(&vfs, &db, table, || {
        let mut reading = begin(&db, IsolationLevel::ReadCommitted);
        let newest = reading.get_for_update(table, b"a").unwrap();
        assert_eq!(newest.as_deref(), Some(&b"aborted"[..]));
        let mut scanning = begin(&db, IsolationLevel::ReadCommitted);
        assert!(!scanning.delete(table, b"b").unwrap());
        let savepoint = taken_back.savepoint();
        taken_back.put(table, b"inserted", b"own").unwrap();
        taken_back.rollback_to(savepoint).unwrap();
        (reading, scanning)
    });
    // Rows that were locked while the commit was on its way.
    assert!(is_poisoned(&reading.get(table, b"a")));
    assert!(is_poisoned(&reading.get_for_update(table, b"a")));
    assert!(is_poisoned(&reading.delete(table, b"a")));
    assert!(is_poisoned(&scanning.get(table, b"b")));
    let scanned = scanning
        .scan(table, ..)
        .and_then(Iterator::collect::<engine::Result<Vec<_>>>);
    assert!(is_poisoned(&scanned));
    assert!(is_poisoned(&taken_back.get(table, b"inserted")));
    assert!(is_poisoned(&reading.commit()));
    assert!(is_poisoned(&scanning.commit()));
    assert!(is_poisoned(&taken_back.commit()));
    // Rows that are locked now.
    for key in [&b"a"[..], b"b", b"inserted"] {
        assert!(is_poisoned(&before.get_for_update(table, key)));
        assert!(is_poisoned(&before.delete(table, key)));
        let conflict = snapshot.get_for_update(table, key);
        assert!(is_poisoned(&conflict), "{conflict:?}");
        let conflict = snapshot.put(table, key, b"v");
        assert!(is_poisoned(&conflict), "{conflict:?}");
    }
    // What was visible before can be read, and shows nothing of it.
    assert_eq!(before.get(table, b"a").unwrap().as_deref(), Some(&b"old"[..]));
    assert_eq!(before.scan(table, ..).unwrap().count(), 3);
    assert_eq!(snapshot.scan(table, ..).unwrap().count(), 3);
    for snapshot in [snapshot_of_before, db.snapshot()] {
        assert_eq!(snapshot.get(table, b"a").unwrap().as_deref(), Some(&b"old"[..]));
        assert_eq!(snapshot.scan(table, ..).unwrap().count(), 3);
    }
    // And nothing is committed, changes or not.
    assert!(is_poisoned(&before.commit()));
    assert!(is_poisoned(&snapshot.commit()));
    assert!(is_poisoned(&empty.commit()));
    assert!(is_poisoned(&db.begin().map(|_| ())));
    assert!(is_poisoned(&db.sync()));
}

#[test]
fn a_scan_under_way_does_not_hand_out_what_was_aborted() {
    let (vfs, db, table) = database();
    let mut tx = begin(&db, IsolationLevel::ReadCommitted);
    std::thread::scope(|scope| {
        let _open = OpenAtEnd(&vfs);
        vfs.close();
        let commit = scope.spawn(|| commit_sync(&db, table, &ABORTED));
        vfs.wait_for_sync();
        tx.get_for_update(table, b"inserted").unwrap();
        let mut scan = tx.scan(table, ..).unwrap();
        let first = scan.next_row().unwrap().map(|(_, value)| value.to_vec());
        assert_eq!(
            first.as_deref(),
            Some(&b"aborted"[..]),
            "it builds on the pending commit"
        );
        vfs.fail();
        assert!(commit.join().unwrap().is_err());
        assert!(is_poisoned(&scan.next_row().map(|_| ())));
        assert!(
            scan.next_row().unwrap().is_none(),
            "a scan ends with its first error"
        );
    });
}

/// A commit that asks for no durability comes in while the flush of one before it fails.
#[test]
fn commits_behind_a_failed_one_fail_with_it_and_never_show_it() {
    for _ in 0..40 {
        let (vfs, db, table) = database();
        std::thread::scope(|scope| {
            let _open = OpenAtEnd(&vfs);
            vfs.close();
            let commit = scope.spawn(|| commit_sync(&db, table, &ABORTED));
            vfs.wait_for_sync();
            let behind: Vec<_> = (0..3u8)
                .map(|thread| {
                    let db = &db;
                    scope.spawn(move || {
                        for n in 0..100u8 {
                            let mut tx = db.begin_with(nosync())?;
                            tx.put(table, &[thread, n], b"behind")?;
                            tx.commit()?;
                        }
                        Ok::<_, Error>(())
                    })
                })
                .collect();
            std::thread::yield_now();
            vfs.fail();
            assert!(commit.join().unwrap().is_err());
            for thread in behind {
                assert!(
                    thread.join().unwrap().is_err(),
                    "commits succeed behind one that failed"
                );
            }
        });
        assert_eq!(get(&db, table, b"a").as_deref(), Some(&b"old"[..]));
        assert_eq!(db.snapshot().scan(table, ..).unwrap().count(), 3);
    }
}

#[test]
fn tables_are_listed_when_their_creation_is_durable_and_until_their_drop_is() {
    for fails in [false, true] {
        let (vfs, db, table) = database();
        std::thread::scope(|scope| {
            let _open = OpenAtEnd(&vfs);
            vfs.close();
            let create = scope.spawn(|| db.create_table("new"));
            vfs.wait_for_sync();
            let drop_it = scope.spawn(|| db.drop_table("rows"));
            // Until the drop is applied, which a put notices.
            let is_applied = || {
                let put = db.begin().unwrap().put(table, b"k", b"v");
                matches!(put, Err(Error::TableDropped { .. }))
            };
            let mut tries = 0;
            while !is_applied() {
                tries += 1;
                assert!(tries < 10_000, "a put does not notice the drop");
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            assert_eq!(db.table_names(), ["rows"]);
            assert!(matches!(db.table("new"), Err(Error::NoSuchTable { .. })));
            assert_eq!(db.table("rows").unwrap(), table);
            assert!(db.snapshot().get(table, b"a").unwrap().is_some());
            // A second one is told what is true when it is told.
            let second = scope.spawn(|| db.create_table("new"));
            let opened = scope.spawn(|| db.open_or_create("new"));
            let again = scope.spawn(|| db.drop_table("rows"));
            for _ in 0..20 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            assert!(!second.is_finished() && !opened.is_finished() && !again.is_finished());
            if fails {
                vfs.fail();
                assert!(create.join().unwrap().is_err());
                assert!(drop_it.join().unwrap().is_err());
                assert!(is_poisoned(&second.join().unwrap()));
                assert!(is_poisoned(&opened.join().unwrap()));
                assert!(is_poisoned(&again.join().unwrap()));
            } else {
                vfs.open();
                let created = create.join().unwrap().unwrap();
                drop_it.join().unwrap().unwrap();
                assert!(matches!(second.join().unwrap(), Err(Error::TableExists { .. })));
                assert_eq!(opened.join().unwrap().unwrap(), created);
                assert!(matches!(again.join().unwrap(), Err(Error::NoSuchTable { .. })));
            }
        });
        if fails {
            assert_eq!(db.table_names(), ["rows"]);
            assert!(db.table("new").is_err());
            assert!(is_poisoned(&db.create_table("new")));
            assert!(is_poisoned(&db.drop_table("rows")));
            let table = db.table("rows").unwrap();
            assert!(db.snapshot().get(table, b"a").unwrap().is_some());
        } else {
            assert_eq!(db.table_names(), ["new"]);
            assert!(db.table("rows").is_err());
        }
    }
}

/// A transaction that empties its write set asks for nothing but the truth of what it has read.
#[test]
fn an_empty_commit_after_the_end_is_refused_at_every_durability() {
    for durability in [Durability::Sync, Durability::NoSync] {
        let (vfs, db, table) = database();
        let mut tx = db.begin_with(TxOptions::new().durability(durability)).unwrap();
        assert!(tx.get(table, b"a").unwrap().is_some());
        fail_a_commit(&vfs, &db, table, || ());
        assert!(is_poisoned(&tx.commit()), "{durability:?}");
    }
}

#[test]
fn a_database_that_has_stopped_can_be_read_beyond_its_cache() {
    let (vfs, db, table) = fresh();
    for n in 0..2400u32 {
        put(&db, table, &n.to_be_bytes(), &[1; 400]);
    }
    db.checkpoint().unwrap();
    for n in 0..20u32 {
        put(&db, table, &(n * 100).to_be_bytes(), &[2; 400]);
    }
    vfs.fail_next_sync();
    assert!(db.write(|tx| tx.put(table, b"x", b"y")).is_err());
    let snapshot = db.snapshot();
    let rows: engine::Result<Vec<_>> = snapshot.scan(table, ..).unwrap().collect();
    assert_eq!(rows.unwrap().len(), 2400);
}
