//! Plans of the model test: a million operations in all, each plan held to what it is there to reach.

use crate::model::volume::{Plan, run};

#[test]
fn a_tiny_cache_evicts_beside_readers() {
    let passed = run(Plan {
        operations: 60_000,
        ..Plan::default()
    });
    assert!(
        passed.evicted_dirty > 100 && passed.evicted_clean > 100,
        "{passed:?}"
    );
    assert!(
        passed.overflow_pages > 0 && passed.redone_commits > 0 && passed.checkpoints > 0,
        "{passed:?}"
    );
}

#[test]
fn no_background_thread() {
    let plan = Plan {
        seed: 2,
        operations: 260_000,
        background: false,
        readers: 0,
        keys: 8000,
        ..Plan::default()
    };
    let passed = run(plan);
    assert!(
        passed.evicted_dirty > 1000 && passed.redone_commits > 0 && passed.levels >= 3,
        "{passed:?}"
    );
}

#[test]
fn compressed_large_pages() {
    let plan = Plan {
        seed: 3,
        operations: 200_000,
        page_size: 65536,
        keys: 40_000,
        readers: 0,
        compression: "LZ4",
        ..Plan::default()
    };
    let passed = run(plan);
    assert!(passed.compression_ratio > 1.5, "{passed:?}");
}

#[test]
fn compressed_with_zstd_and_evicted() {
    let plan = Plan {
        seed: 4,
        operations: 200_000,
        page_size: 8192,
        keys: 20_000,
        readers: 0,
        compression: "ZSTD",
        ..Plan::default()
    };
    let passed = run(plan);
    assert!(
        passed.compression_ratio > 2.0 && passed.evicted_dirty > 100,
        "{passed:?}"
    );
}

#[test]
fn rows_leave_faster_than_they_come() {
    let plan = Plan {
        seed: 5,
        operations: 250_000,
        keys: 6000,
        readers: 0,
        shrinking: true,
        ..Plan::default()
    };
    let passed = run(plan);
    assert!(passed.checkpoints >= 4, "{passed:?}");
}

#[test]
fn few_hot_rows_beside_readers() {
    let plan = Plan {
        seed: 6,
        operations: 60_000,
        keys: 40,
        readers: 3,
        cache_pages: 200,
        ..Plan::default()
    };
    run(plan);
}
