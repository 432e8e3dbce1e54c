//! What is no longer needed comes back, and budgets hold while it is there.

use std::panic::catch_unwind;
use std::sync::Arc;

use engine::injected::{self, Bug};
use engine::vfs::MemoryVfs;
use engine::{Database, Error, Options};

use crate::common::{PATH, assert_sound, nosync, put, small};

/// Rows of all kinds: short ones in key order and not, long ones, one in a table of its own.
fn fill(db: &Database) -> u64 {
    let table = db.create_table("rows").unwrap();
    for batch in (0..20_000u32).collect::<Vec<_>>().chunks(500) {
        let mut tx = db.begin_with(nosync()).unwrap();
        for n in batch {
            let scattered = n.wrapping_mul(2_654_435_761);
            let len = if n % 100 == 0 { 9_000 } else { 100 };
            tx.put(table, &scattered.to_be_bytes(), &vec![*n as u8; len])
                .unwrap();
        }
        tx.commit().unwrap();
    }
    db.checkpoint().unwrap();
    db.storage_info().used_pages
}

fn delete_all(db: &Database) {
    let table = db.table("rows").unwrap();
    loop {
        let keys: Vec<_> = db
            .snapshot()
            .scan(table, ..)
            .unwrap()
            .limit(700)
            .map(|row| row.unwrap().0)
            .collect();
        if keys.is_empty() {
            return;
        }
        let mut tx = db.begin_with(nosync()).unwrap();
        for key in keys {
            assert!(tx.delete(table, &key).unwrap());
        }
        tx.commit().unwrap();
    }
}

fn assert_given_back(db: &Database, before: u64) {
    db.gc(1);
    db.checkpoint().unwrap();
    db.checkpoint().unwrap();
    let info = db.storage_info();
    assert!(info.used_pages * 50 < before, "{before} pages before, {info:?}");
    assert!(info.live_bytes * 50 < before * info.page_size, "{info:?}");
    assert_sound(db);
}

#[test]
fn after_everything_was_deleted_the_pages_are_back() {
    let db = small(&MemoryVfs::default()).open(PATH).unwrap();
    let before = fill(&db);
    delete_all(&db);
    assert_given_back(&db, before);
}

#[test]
fn the_pages_are_back_although_a_snapshot_kept_them_until_the_end_and_the_database_was_closed_or_left() {
    for is_closed in [true, false] {
        let vfs = MemoryVfs::default();
        let db = small(&vfs).open(PATH).unwrap();
        let before = fill(&db);
        let old = db.snapshot();
        delete_all(&db);
        db.gc(1);
        db.checkpoint().unwrap();
        assert!(db.storage_info().used_pages * 2 > before, "a snapshot reads them");
        let rows = old.scan(db.table("rows").unwrap(), ..).unwrap().count();
        assert_eq!(rows, 20_000);
        drop(old);
        db.sync().unwrap();
        let files = if is_closed { vfs.clone() } else { vfs.fork() };
        db.close().unwrap();
        assert_given_back(&small(&files).open(PATH).unwrap(), before);
    }
}

#[test]
fn a_commit_that_deletes_long_values_stays_within_the_budget_of_versions() {
    const BUDGET: u64 = 1 << 20;
    let options = Options::new()
        .vfs(Arc::new(MemoryVfs::default()))
        .background(false)
        .version_budget(BUDGET as usize);
    let db = options.open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    for n in 0..60u8 {
        put(&db, table, &[n], &vec![n; 1 << 20]);
    }
    db.gc(1);
    let old = db.snapshot();
    let mut tx = db.begin().unwrap();
    for n in 0..60u8 {
        assert!(tx.delete(table, &[n]).unwrap());
    }
    tx.commit().unwrap();
    assert!(db.metrics().version_bytes <= BUDGET);
    db.gc(1);
    // And the values are still there for who needs them.
    for n in (0..60u8).step_by(7) {
        assert_eq!(old.get(table, &[n]).unwrap(), Some(vec![n; 1 << 20]));
    }
    let back: Vec<_> = old
        .scan_rev(table, ..)
        .unwrap()
        .map(|row| row.unwrap().1[0])
        .collect();
    assert_eq!(back, (0..60u8).rev().collect::<Vec<_>>());
    drop(old);
    db.gc(1);
    assert!(db.storage_info().used_pages < 20);
    assert_sound(&db);
}

#[test]
fn long_values_that_are_freed_too_early_are_missed() {
    let found = injected::with(Some(Bug::RetiredFreedTooEarly), || {
        catch_unwind(a_commit_that_deletes_long_values_stays_within_the_budget_of_versions)
    });
    assert_eq!(found.is_err(), injected::are_possible());
}

#[test]
fn an_old_snapshot_beside_a_hot_row_costs_the_budget_and_nothing_more() {
    const BUDGET: u64 = 1 << 20;
    let db = small(&MemoryVfs::default())
        .version_budget(BUDGET as usize)
        .open(PATH)
        .unwrap();
    let table = db.create_table("rows").unwrap();
    put(&db, table, b"cold", b"first");
    put(&db, table, b"hot", b"first");
    let old = db.snapshot();
    let mut passed = 0;
    for n in 0..30_000u32 {
        put(&db, table, b"hot", &n.to_be_bytes());
        let metrics = db.metrics();
        assert!(metrics.version_bytes <= BUDGET, "{metrics:?}");
        passed += u32::from(metrics.versions < u64::from(n) + 1);
    }
    assert!(passed > 10_000, "the budget was passed");
    let error = old.get(table, b"hot").unwrap_err();
    assert!(matches!(error, Error::SnapshotTooOld { .. }), "{error}");
    // It holds nothing back any more.
    db.gc(1);
    assert_eq!(db.metrics().versions, 0);
    assert_eq!(
        db.snapshot().get(table, b"hot").unwrap(),
        Some(29_999u32.to_be_bytes().to_vec())
    );
}

#[test]
fn a_snapshot_that_begins_beside_a_commit_past_the_budget_can_be_read() {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).version_budget(20_000).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    let set_all = |value: u8| {
        let mut tx = db.begin_with(nosync()).unwrap();
        for n in 0..3_000u32 {
            tx.put(table, &n.to_be_bytes(), &[value; 40]).unwrap();
        }
        tx.commit().unwrap();
    };
    set_all(0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (1..40).for_each(set_all));
        let mut reads = 0u32;
        while !writer.is_finished() || reads == 0 {
            let snapshot = db.snapshot();
            // It may be too old by the time it is read, but not before the next commit.
            match snapshot.get(table, &(reads % 3_000).to_be_bytes()) {
                Ok(value) => assert_eq!(value.map(|value| value.len()), Some(40)),
                Err(error) => assert!(matches!(error, Error::SnapshotTooOld { .. }), "{error}"),
            }
            reads += 1;
        }
    });
    let snapshot = db.snapshot();
    let rows = snapshot.scan(table, ..).unwrap();
    assert!(rows.map(|row| row.unwrap().1).all(|value| value == [39; 40]));
    assert_sound(&db);
}

#[test]
fn long_values_that_are_kept_for_their_row_give_way_to_newer_ones() {
    let db = small(&MemoryVfs::default()).keep_versions(3).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    for n in 0..300u32 {
        put(&db, table, b"row", &vec![n as u8; 40_000]);
        let commit = db.snapshot().commit_id();
        if n % 10 == 9 {
            db.gc(3);
            let kept = db.begin_at(engine::CommitId(commit.0 - 2));
            if let Ok(kept) = kept {
                match kept.get(table, b"row") {
                    Ok(value) => assert!(value.is_some_and(|value| value.len() == 40_000)),
                    Err(error) => assert!(matches!(error, Error::SnapshotTooOld { .. }), "{error}"),
                }
            }
        }
    }
    db.gc(3);
    // A version has ten pages.
    assert!(db.storage_info().used_pages < 60, "{:?}", db.storage_info());
    assert_sound(&db);
}
