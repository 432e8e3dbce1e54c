//! Several threads: commits, synchronised and not, and reads beside them.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::{Database, Durability, Options, Table, TxOptions};

const ROWS: u64 = 10_000;

fn database(dir: &tempfile::TempDir) -> (Database, Table) {
    let db = Options::new()
        .cache_size(64 << 20)
        .open(dir.path().join("bench.db"))
        .expect("a database");
    let table = db.create_table("rows").expect("a table");
    db.write(|tx| (0..ROWS).try_for_each(|row| tx.put(table, &row.to_be_bytes(), &[7; 100])))
        .expect("a commit");
    (db, table)
}

/// Time for `iterations` of `work`, spread over threads.
fn spread(threads: u64, iterations: u64, work: impl Fn(u64) + Sync) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let work = &work;
            scope.spawn(move || (thread..iterations).step_by(threads as usize).for_each(work));
        }
    });
    start.elapsed()
}

fn concurrent(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (db, table) = database(&dir);
    let mut group = c.benchmark_group("concurrent");
    group.throughput(Throughput::Elements(1));
    for threads in [1u64, 2, 4] {
        group.bench_function(BenchmarkId::new("get", threads), |b| {
            b.iter_custom(|n| {
                spread(threads, n, |i| {
                    let row = (i.wrapping_mul(0x9E37_79B9) % ROWS).to_be_bytes();
                    let found = db.snapshot().get(table, &row).expect("a read");
                    assert!(found.is_some());
                })
            });
        });
        for durability in [Durability::NoSync, Durability::Sync] {
            let options = TxOptions::new().durability(durability);
            let name = format!("commit {durability:?}");
            group.bench_function(BenchmarkId::new(name, threads), |b| {
                b.iter_custom(|n| {
                    spread(threads, n, |i| {
                        let row = (i.wrapping_mul(0x9E37_79B9) % ROWS).to_be_bytes();
                        db.write_with(options, |tx| tx.put(table, &row, &[8; 100]))
                            .expect("a commit");
                    })
                });
            });
        }
    }
}

criterion_group!(benches, concurrent);
criterion_main!(benches);
