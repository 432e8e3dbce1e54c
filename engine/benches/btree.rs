//! The tree in memory, through the public interface: point reads, ranges, inserts, updates.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::vfs::MemoryVfs;
use engine::{Database, Durability, Options, Table, TxOptions};

const ROWS: u64 = 20_000;
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

fn loaded() -> (Database, Table) {
    let db = Options::new()
        .vfs(Arc::new(MemoryVfs::default()))
        .open("/bench.db")
        .expect("a database");
    let table = db.create_table("rows").expect("a table");
    for batch in 0..ROWS / 1000 {
        let mut tx = db.begin_with(no_sync()).expect("a transaction");
        for row in batch * 1000..(batch + 1) * 1000 {
            tx.put(table, &row.to_be_bytes(), &[7; 100]).expect("a row");
        }
        tx.commit().expect("a commit");
    }
    (db, table)
}

fn no_sync() -> TxOptions {
    TxOptions::new().durability(Durability::NoSync)
}

fn reads(c: &mut Criterion) {
    let (db, table) = loaded();
    let mut group = c.benchmark_group("btree");
    let mut n = 0u64;
    let mut value = Vec::new();
    group.throughput(Throughput::Elements(1));
    group.bench_function("get", |b| {
        b.iter(|| {
            n = n.wrapping_add(STEP);
            let snapshot = db.snapshot();
            assert!(
                snapshot
                    .get_into(table, &(n % ROWS).to_be_bytes(), &mut value)
                    .expect("a read")
            );
        });
    });
    group.throughput(Throughput::Elements(100));
    group.bench_function("scan of 100", |b| {
        b.iter(|| {
            n = n.wrapping_add(STEP);
            let start = (n % (ROWS - 100)).to_be_bytes();
            let snapshot = db.snapshot();
            let mut rows = snapshot.scan(table, &start[..]..).expect("a scan").limit(100);
            while let Some(row) = rows.next_row().expect("a row") {
                black_box(row);
            }
        });
    });
}

fn writes(c: &mut Criterion) {
    let (db, table) = loaded();
    let mut group = c.benchmark_group("btree");
    let mut n = 0u64;
    let put = |key: u64| {
        let mut tx = db.begin_with(no_sync()).expect("a transaction");
        tx.put(table, &key.to_be_bytes(), &[8; 100]).expect("a row");
        tx.commit().expect("a commit");
    };
    group.throughput(Throughput::Elements(1));
    group.bench_function("update", |b| {
        b.iter(|| {
            n = n.wrapping_add(STEP);
            put(n % ROWS);
        });
    });
    let mut next = ROWS;
    group.bench_function("insert in order", |b| {
        b.iter(|| {
            next += 1;
            put(next);
        });
    });
    group.bench_function("insert anywhere", |b| {
        b.iter(|| {
            n = n.wrapping_add(STEP);
            put(n | 1 << 63);
        });
    });
}

criterion_group!(benches, reads, writes);
criterion_main!(benches);
