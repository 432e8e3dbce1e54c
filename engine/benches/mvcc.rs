//! Multi-versioning: reads of rows that changed after the snapshot, by length of the chain of versions.

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use engine::vfs::MemoryVfs;
use engine::{Durability, Options, TxOptions};

fn old_snapshots(c: &mut Criterion) {
    let mut group = c.benchmark_group("mvcc");
    for changes in [0u64, 1, 16, 256] {
        let db = Options::new()
            .vfs(Arc::new(MemoryVfs::default()))
            .open("/bench.db")
            .expect("a database");
        let table = db.create_table("rows").expect("a table");
        db.write(|tx| tx.put(table, b"row", b"first")).expect("a commit");
        let snapshot = db.snapshot();
        let options = TxOptions::new().durability(Durability::NoSync);
        for n in 0..changes {
            db.write_with(options, |tx| tx.put(table, b"row", &n.to_le_bytes()))
                .expect("a commit");
        }
        let mut value = Vec::new();
        group.bench_function(BenchmarkId::new("read behind changes", changes), |b| {
            b.iter(|| assert!(snapshot.get_into(table, b"row", &mut value).expect("a read")));
        });
        assert_eq!(value, b"first");
    }
}

fn snapshots(c: &mut Criterion) {
    let db = Options::new()
        .vfs(Arc::new(MemoryVfs::default()))
        .open("/bench.db")
        .expect("a database");
    let table = db.create_table("rows").expect("a table");
    let mut group = c.benchmark_group("mvcc");
    group.bench_function("begin and end a snapshot", |b| b.iter(|| drop(db.snapshot())));
    let options = TxOptions::new().durability(Durability::NoSync);
    group.bench_function("write and see it", |b| {
        b.iter(|| {
            let mut tx = db.begin_with(options).expect("a transaction");
            tx.put(table, b"row", b"value").expect("a row");
            let commit = tx.commit().expect("a commit");
            assert!(db.snapshot().commit_id() >= commit);
        });
    });
}

criterion_group!(benches, old_snapshots, snapshots);
criterion_main!(benches);
