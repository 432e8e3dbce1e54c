//! Memory that an opening after a crash needs beside the cache: a constant, however long the log or a commit in it is.
//!
//! It is a test binary of its own, since its allocator counts what the whole process has.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it by panicking")]

mod counting;

use std::path::Path;

use counting::peak_of;
use engine::{Database, Durability, Options, TxOptions, WalSync};

const CACHE: usize = 8 << 20;
/// As docs/reliability.md says.
const BESIDE_CACHE: usize = 32 << 20;

fn options() -> Options {
    Options::new()
        .background(false)
        .wal_sync(WalSync::Fdatasync)
        // Has a bound of its own, and memory that is reserved and not used.
        .version_budget(1 << 20)
        .checkpoint_wal_bytes(u64::MAX)
        .checkpoint_interval(None)
}

fn nosync() -> TxOptions {
    TxOptions::new().durability(Durability::NoSync)
}

/// What is there when a machine with this database stops: copies of its files.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Writes a log by `write`, crashes, and opens with a small cache; returns the bytes of log and the peak beside the cache.
fn recover_after(segment: u64, write: impl FnOnce(&Database)) -> (u64, usize, tempfile::TempDir, Database) {
    let dir = tempfile::tempdir().unwrap();
    let (original, image) = (dir.path().join("original"), dir.path().join("image"));
    std::fs::create_dir(&original).unwrap();
    let db = options()
        .wal_segment_size(segment)
        .open(original.join("db"))
        .unwrap();
    db.create_table("rows").unwrap();
    db.checkpoint().unwrap();
    write(&db);
    db.sync().unwrap();
    copy(&original, &image);
    drop(db);
    let (peak, db) = peak_of(|| options().cache_size(CACHE).open(image.join("db")).unwrap());
    let bytes = db.recovery().bytes;
    (bytes, peak.saturating_sub(CACHE), dir, db)
}

#[test]
fn what_recovery_needs_beside_the_cache_is_a_constant() {
    // 1,000 rows again and again.
    let rounds = 70u32;
    let segment = 32 << 20;
    {
        let (log, peak, _dir, db) = recover_after(segment, |db| {
            let table = db.table("rows").unwrap();
            for round in 0..rounds {
                let mut tx = db.begin_with(nosync()).unwrap();
                (0..1000u32)
                    .try_for_each(|n| tx.put(table, &n.to_be_bytes(), &[round as u8; 1000]))
                    .unwrap();
                tx.commit().unwrap();
            }
        });
        assert!(log > 64 << 20, "{log} bytes of log");
        assert!(
            peak <= BESIDE_CACHE,
            "{peak} bytes for a log of {log}, segments of {segment}"
        );
        let table = db.table("rows").unwrap();
        let value = db.snapshot().get(table, &7u32.to_be_bytes()).unwrap().unwrap();
        assert_eq!(value[..], [69; 1000]);
    }
    // One commit of more than several batches, on more pages than the cache has.
    let (log, peak, _dir, db) = recover_after(16 << 20, |db| {
        let table = db.table("rows").unwrap();
        let mut tx = db.begin_with(nosync()).unwrap();
        (0..60_000u32)
            .try_for_each(|n| tx.put(table, &n.to_be_bytes(), &[n as u8; 1000]))
            .unwrap();
        tx.commit().unwrap();
    });
    assert!(log > 48 << 20, "{log} bytes of log");
    assert!(peak <= BESIDE_CACHE, "{peak} bytes for a commit of {log}");
    let table = db.table("rows").unwrap();
    assert_eq!(db.snapshot().scan(table, ..).unwrap().count(), 60_000);
}
