//! Dropped tables are freed while the disk fails now and then. Whatever fails, wherever the freeing has got to, and
//! however often the database is opened meanwhile: it is sound at each opening, and at the end every page has come back.

use std::io::ErrorKind;
use std::sync::Arc;

use engine::vfs::SimulatedVfs;
use engine::vfs::simulated::{Effect, Fault, Image, OperationKind};
use engine::{Database, Options};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::{PATH, assert_sound, nosync};

const SEEDS: u64 = 25;

fn options(vfs: &SimulatedVfs) -> Options {
    Options::new()
        .page_size(4096)
        .cache_size(0)
        .wal_segment_size(256 << 10)
        .background(false)
        .vfs(Arc::new(vfs.clone()))
}

fn fill(db: &Database, name: &str, rows: u32, rng: &mut ChaCha8Rng) {
    let table = db.create_table(name).unwrap();
    let mut tx = db.begin_with(nosync()).unwrap();
    for n in 0..rows {
        let len = if rng.random_range(0..10) == 0 {
            4000 * rng.random_range(1..7)
        } else {
            rng.random_range(0..900)
        };
        tx.put(table, &n.to_be_bytes(), &vec![n as u8; len]).unwrap();
    }
    tx.commit().unwrap();
}

/// Collections, commits and checkpoints of which any may fail.
fn work(db: &Database, rng: &mut ChaCha8Rng) {
    for _ in 0..rng.random_range(1..5) {
        db.gc(1);
    }
    let keep = db.table("keep").unwrap();
    for n in 0..rng.random_range(0..40u32) {
        let len = rng.random_range(0..5000);
        let _ = db.begin_with(nosync()).and_then(|mut tx| {
            tx.put(keep, &n.to_be_bytes(), &vec![n as u8; len])?;
            tx.commit()
        });
    }
    if rng.random_range(0..3) == 0 {
        let _ = db.checkpoint();
    }
}

fn run(seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let vfs = SimulatedVfs::from_image(&Image::with_dirs(["/"]), seed);
    let mut db = options(&vfs).open(PATH).unwrap();
    fill(&db, "keep", 100, &mut rng);
    let names: Vec<String> = (0..rng.random_range(1..5))
        .map(|n| format!("dropped{n}"))
        .collect();
    for name in &names {
        let rows = rng.random_range(10..600);
        fill(&db, name, rows, &mut rng);
    }
    names.iter().for_each(|name| db.drop_table(name).unwrap());
    for _ in 0..rng.random_range(1..5) {
        let kind = if rng.random_range(0..4) == 0 {
            OperationKind::ALL[rng.random_range(0..OperationKind::ALL.len())]
        } else {
            OperationKind::Read
        };
        let error = if rng.random_range(0..5) == 0 {
            ErrorKind::StorageFull
        } else {
            ErrorKind::Other
        };
        vfs.set_faults([Fault {
            kind,
            nth: vfs.count(kind) + rng.random_range(0..60),
            lasting: rng.random(),
            effect: Effect::Error(error),
        }]);
        work(&db, &mut rng);
        vfs.set_faults([]);
        if rng.random() {
            let _ = db.close();
            db = options(&vfs).open(PATH).unwrap();
            assert_sound(&db);
        }
    }
    let _ = db.close();
    let db = options(&vfs).open(PATH).unwrap();
    assert_sound(&db);
    for _ in 0..2 {
        db.gc(1);
        db.checkpoint().unwrap();
    }
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    let pages: u64 = report.tables.iter().map(|t| t.pages + t.overflow_pages).sum();
    assert_eq!(
        db.storage_info().used_pages,
        pages + 1,
        "pages have not come back"
    );
}

#[test]
fn dropped_tables_come_back_whatever_fails_meanwhile() {
    for seed in 0..SEEDS {
        let result = std::panic::catch_unwind(|| run(seed));
        assert!(result.is_ok(), "seed {seed}");
    }
}
