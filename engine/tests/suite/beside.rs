//! Work beside commits: checkpoints, verification and collection never leave a committer waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::vfs::MemoryVfs;
use engine::{Durability, Options, TxOptions};

#[test]
fn committers_and_checkpoints_go_on_beside_each_other() {
    let options = Options::new()
        .page_size(4096)
        .cache_size(1 << 20)
        .wal_segment_size(256 << 10);
    let db = options
        .vfs(Arc::new(MemoryVfs::default()))
        .open("/beside.db")
        .unwrap();
    let table = db.create_table("rows").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (db, stop) = (&db, &stop);
            scope.spawn(move || {
                let durability = if thread == 0 {
                    Durability::Sync
                } else {
                    Durability::NoSync
                };
                for n in 0..20_000u64 {
                    let mut tx = db.begin_with(TxOptions::new().durability(durability)).unwrap();
                    tx.put(table, &[thread as u8, (n % 200) as u8], &n.to_le_bytes())
                        .unwrap();
                    tx.commit().unwrap();
                }
                stop.store(true, Ordering::SeqCst);
            });
        }
        while !stop.load(Ordering::SeqCst) {
            db.checkpoint().unwrap();
            assert!(db.verify().unwrap().is_sound());
            db.gc(1);
        }
    });
    assert_eq!(db.snapshot().scan(table, ..).unwrap().count(), 4 * 200);
    assert!(db.metrics().checkpoints > 1);
}

/// With a cache much smaller than the values, so that pages of a chain come and go while it is checked.
#[test]
fn readers_beside_it_do_not_make_verification_find_damage() {
    let options = Options::new().page_size(4096).cache_size(0).background(false);
    let db = options
        .vfs(Arc::new(MemoryVfs::default()))
        .open("/beside.db")
        .unwrap();
    let table = db.create_table("rows").unwrap();
    for n in 0..60u32 {
        db.write(|tx| tx.put(table, &n.to_be_bytes(), &vec![n as u8; 20_000]))
            .unwrap();
    }
    db.checkpoint().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                for row in db.snapshot().scan(table, ..).unwrap() {
                    row.unwrap();
                }
            }
        });
        let reports: Vec<_> = (0..60).map(|_| db.verify().unwrap()).collect();
        stop.store(true, Ordering::SeqCst);
        for report in reports {
            assert!(report.is_sound(), "{:?}", report.problems);
        }
    });
}
