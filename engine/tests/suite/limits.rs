//! Bad input is refused by name, and what is just allowed works.

use std::sync::Arc;

use engine::vfs::MemoryVfs;
use engine::{Database, Error, Options, TxOptions};

fn small() -> Database {
    let options = Options::new()
        .page_size(4096)
        .cache_size(1 << 20)
        .wal_segment_size(1 << 20);
    options
        .vfs(Arc::new(MemoryVfs::default()))
        .open("/limits.db")
        .unwrap()
}

#[test]
fn keys_up_to_an_eighth_of_a_page() {
    let db = small();
    let table = db.create_table("t").unwrap();
    for len in [0, 1, 511, 512] {
        let key = vec![7; len];
        db.write(|tx| tx.put(table, &key, b"v")).unwrap();
        assert_eq!(
            db.snapshot().get(table, &key).unwrap().as_deref(),
            Some(&b"v"[..])
        );
    }
    let error = db.write(|tx| tx.put(table, &[7; 513], b"v")).unwrap_err();
    assert!(
        matches!(error, Error::KeyTooLarge { len: 513, max: 512 }),
        "{error}"
    );
    assert!(db.verify().unwrap().is_sound());
}

#[test]
fn values_from_none_to_larger_than_the_cache() {
    let db = small();
    let table = db.create_table("t").unwrap();
    for len in [0, 1, 959, 960, 961, 4096, 100_000, 5 << 20] {
        let value: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        db.write(|tx| tx.put(table, b"k", &value)).unwrap();
        assert!(
            db.snapshot().get(table, b"k").unwrap() == Some(value),
            "{len} bytes"
        );
        assert!(db.verify().unwrap().is_sound());
    }
    db.write(|tx| tx.delete(table, b"k")).unwrap();
    db.gc(1);
    db.checkpoint().unwrap();
    let info = db.storage_info();
    assert!(
        info.used_pages < 10,
        "long values give their pages back: {info:?}"
    );
}

#[test]
fn transactions_have_a_budget() {
    let options = Options::new()
        .max_transaction_size(10_000)
        .wal_segment_size(1 << 20);
    let db = options
        .vfs(Arc::new(MemoryVfs::default()))
        .open("/limits.db")
        .unwrap();
    let table = db.create_table("t").unwrap();
    let mut tx = db.begin().unwrap();
    let error = (0..1000u32)
        .find_map(|n| tx.put(table, &n.to_be_bytes(), &[0; 100]).err())
        .unwrap();
    assert!(
        matches!(error, Error::TransactionTooLarge { max: 10_000, .. }),
        "{error}"
    );
    tx.commit().unwrap();
}

#[test]
fn tables_have_names_and_belong_to_one_database() {
    let (db, other) = (small(), small());
    let table = db.create_table("t").unwrap();
    assert!(matches!(db.create_table("t"), Err(Error::TableExists { .. })));
    assert!(matches!(db.table("u"), Err(Error::NoSuchTable { .. })));
    assert!(matches!(db.create_table(""), Err(Error::InvalidOption { .. })));
    assert!(matches!(
        other.write(|tx| tx.put(table, b"k", b"v")),
        Err(Error::NoSuchTable { .. })
    ));
    let mut tx = db.begin().unwrap();
    tx.put(table, b"k", b"v").unwrap();
    db.drop_table("t").unwrap();
    assert!(
        matches!(tx.commit(), Err(Error::TableDropped { .. })),
        "the table was dropped meanwhile"
    );
    assert!(db.table_names().is_empty());
}

#[test]
fn options_out_of_range_are_named() {
    let open = |options: Options| {
        options
            .vfs(Arc::new(MemoryVfs::default()))
            .open("/x.db")
            .unwrap_err()
            .to_string()
    };
    assert!(open(Options::new().page_size(5000)).contains("page_size = 5000"));
    assert!(open(Options::new().wal_segment_size(4096)).contains("wal_segment_size = 4096"));
    assert!(open(Options::new().cache_size(1 << 50)).contains("cache_size"));
    assert!(open(Options::new().keep_versions(0)).contains("keep_versions"));
    assert!(
        Options::new()
            .compression("SNAPPY", 0)
            .unwrap_err()
            .to_string()
            .contains("SNAPPY")
    );
    assert!(Options::new().compression("ZSTD", 99).is_err());
}

#[test]
fn a_locked_row_is_busy_and_its_release_lets_others_go_on() {
    let db = small();
    let table = db.create_table("t").unwrap();
    let mut holder = db.begin().unwrap();
    holder.put(table, b"k", b"1").unwrap();
    let impatient = TxOptions::new().busy_timeout(std::time::Duration::from_millis(1));
    let mut other = db.begin_with(impatient).unwrap();
    let error = other.put(table, b"k", b"2").unwrap_err();
    assert!(
        matches!(error, Error::Busy { .. }) && error.is_retryable(),
        "{error}"
    );
    drop(holder);
    other.put(table, b"k", b"2").unwrap();
    other.commit().unwrap();
    assert_eq!(db.metrics().row_locks, 0);
}

#[test]
fn a_savepoint_of_another_database_is_refused() {
    let (one, other) = (small(), small());
    let table = other.create_table("rows").unwrap();
    let mut foreign = one.begin().unwrap();
    let mut tx = other.begin().unwrap();
    let _own = tx.savepoint();
    tx.put(table, b"k", b"v").unwrap();
    // Both are the first of the first transaction.
    assert!(matches!(
        tx.rollback_to(foreign.savepoint()),
        Err(Error::InvalidOption { .. })
    ));
    assert_eq!(tx.get(table, b"k").unwrap().as_deref(), Some(&b"v"[..]));
}
