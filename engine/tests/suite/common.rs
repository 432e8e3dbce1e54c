//! Small databases in memory, and what the tests have in common.

use std::sync::Arc;
use std::time::Duration;

use engine::vfs::MemoryVfs;
use engine::{Database, Durability, IsolationLevel, Options, Table, TxOptions};

pub(crate) const PATH: &str = "/test.db";

/// Options of a small database in `vfs`: pages of 4 KiB, the smallest cache, small log segments, no thread of its own.
pub(crate) fn small(vfs: &MemoryVfs) -> Options {
    Options::new()
        .page_size(4096)
        .cache_size(0)
        .wal_segment_size(64 << 10)
        .background(false)
        .busy_timeout(Duration::from_secs(20))
        .vfs(Arc::new(vfs.clone()))
}

/// A fresh small database with one table.
pub(crate) fn fresh() -> (MemoryVfs, Database, Table) {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    (vfs, db, table)
}

pub(crate) fn snapshot_isolation() -> TxOptions {
    TxOptions::new()
        .isolation(IsolationLevel::Snapshot)
        .durability(Durability::NoSync)
}

pub(crate) fn nosync() -> TxOptions {
    TxOptions::new().durability(Durability::NoSync)
}

/// One row in a commit of its own.
pub(crate) fn put(db: &Database, table: Table, key: &[u8], value: &[u8]) -> engine::CommitId {
    let mut tx = db.begin_with(nosync()).unwrap();
    tx.put(table, key, value).unwrap();
    tx.commit().unwrap()
}

pub(crate) fn get(db: &Database, table: Table, key: &[u8]) -> Option<Vec<u8>> {
    db.snapshot().get(table, key).unwrap()
}

pub(crate) fn assert_sound(db: &Database) {
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}

pub(crate) fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().unwrap())
}
