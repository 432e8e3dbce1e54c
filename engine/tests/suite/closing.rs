//! A database that a load has left long is made shorter while it closes: pages move, the file and the log are cut. The power
//! fails at every moment of that, and every kind of operation.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use engine::reach::Mechanism;
use engine::vfs::simulated::{
    Effect, FailedSync, Fault, Image, OperationKind, SimulatedVfs, Survival, choices,
};
use engine::vfs::{OpenMode, Vfs};
use engine::{Database, Options};

use crate::common::{PATH, assert_sound, nosync};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// What made the file long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Long {
    /// Seven of ten rows were deleted, those in front.
    Emptied,
    /// It was loaded in random order beside a small cache, and no checkpoint came.
    Loaded,
}

fn open(vfs: &SimulatedVfs, page: usize) -> Database {
    let options = Options::new().page_size(page).cache_size(0).background(false);
    let options = options.wal_segment_size(256 << 10).vfs(Arc::new(vfs.clone()));
    options.open(PATH).unwrap()
}

fn value(n: u32, page: usize) -> Vec<u8> {
    let len = if n.is_multiple_of(97) {
        5 * page
    } else {
        200 + n as usize % 300
    };
    (0..len as u32)
        .map(|at| (n ^ at.wrapping_mul(0x9E37_79B1) >> 13) as u8)
        .collect()
}

fn long(vfs: &SimulatedVfs, page: usize, count: u32, how: Long) -> (Database, Rows) {
    let db = open(vfs, page);
    let table = db.create_table("rows").unwrap();
    let mut rows = Rows::new();
    for from in (0..count).step_by(200) {
        let mut tx = db.begin_with(nosync()).unwrap();
        for n in from..(from + 200).min(count) {
            let place = if how == Long::Loaded {
                n.wrapping_mul(0x9E37_79B1)
            } else {
                n
            };
            let (key, value) = (place.to_be_bytes().to_vec(), value(n, page));
            tx.put(table, &key, &value).unwrap();
            rows.insert(key, value);
        }
        tx.commit().unwrap();
    }
    if how == Long::Emptied {
        db.checkpoint().unwrap();
        let gone: Vec<_> = rows.keys().take(count as usize * 7 / 10).cloned().collect();
        for part in gone.chunks(200) {
            let mut tx = db.begin_with(nosync()).unwrap();
            for key in part {
                tx.delete(table, key).unwrap();
                rows.remove(key);
            }
            tx.commit().unwrap();
        }
        db.gc(1);
        db.checkpoint().unwrap();
        db.gc(1);
    }
    db.sync().unwrap();
    (db, rows)
}

fn check(db: &Database, rows: &Rows, context: &str) {
    let table = db.table("rows").unwrap();
    let snapshot = db.snapshot();
    let seen: engine::Result<Rows> = snapshot.scan(table, ..).unwrap().collect();
    let seen = seen.unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(
        seen == *rows,
        "{context}: {} rows, not {}",
        seen.len(),
        rows.len()
    );
    assert_sound(db);
}

fn data_len(vfs: &SimulatedVfs) -> u64 {
    vfs.open(Path::new(PATH), OpenMode::default())
        .unwrap()
        .len()
        .unwrap()
}

fn moved() -> u64 {
    let counts = engine::reach::counts();
    let all = Mechanism::ALL.iter().zip(counts);
    all.filter(|((mechanism, _), _)| *mechanism == Mechanism::ExtentMoved)
        .map(|(_, count)| count)
        .sum()
}

#[test]
fn power_fails_at_any_moment_while_a_long_file_is_closed() {
    for (page, count, how) in [
        (4096, 3000, Long::Emptied),
        (4096, 3000, Long::Loaded),
        (16 << 10, 5000, Long::Emptied),
    ] {
        let vfs = SimulatedVfs::new(3);
        let (db, rows) = long(&vfs, page, count, how);
        vfs.record_on();
        let (long, moved_before) = (data_len(&vfs), moved());
        db.close().unwrap();
        assert!(data_len(&vfs) < long, "{page} {how:?}: closing made it shorter");
        if engine::reach::is_counted() {
            assert!(moved() > moved_before, "{page} {how:?}: extents were moved");
        }
        let trace = vfs.take_trace();
        let operations = trace.operations.len();
        let mut replay = trace.replay();
        while replay.step().is_some() {
            let point = replay.point();
            if !point.is_multiple_of((operations / 12).max(1)) && point + 6 < operations {
                continue;
            }
            for (nth, survival) in choices(replay.pending(), 1, 1, point as u64 * 7919)
                .into_iter()
                .enumerate()
            {
                let context = format!("{page} {how:?}, after {point} of {operations}, {survival:?}");
                let vfs = SimulatedVfs::from_image(&replay.medium().image(survival), 5);
                let db = open(&vfs, page);
                check(&db, &rows, &context);
                // Some are closed again, and the power fails behind that.
                if nth == point % 2 {
                    db.close().unwrap();
                    let vfs = SimulatedVfs::from_image(&vfs.crash(Survival::None), 6);
                    check(&open(&vfs, page), &rows, &context);
                }
            }
        }
    }
}

#[test]
fn any_operation_fails_while_a_long_file_is_closed() {
    let (page, count) = (4096, 2500);
    for how in [Long::Emptied, Long::Loaded] {
        let base = SimulatedVfs::new(3);
        let (db, rows) = long(&base, page, count, how);
        let image = base.crash(Survival::All);
        drop(db);
        let counted = closed_with(&image, page, None);
        let clean = data_len(&SimulatedVfs::from_image(&counted.crash(Survival::All), 2));
        let mut cases = 0;
        for (kind, effect) in [
            (OperationKind::Read, Effect::Error(ErrorKind::Other)),
            (OperationKind::Write, Effect::Error(ErrorKind::Other)),
            (OperationKind::Write, Effect::Error(ErrorKind::StorageFull)),
            (OperationKind::Write, Effect::Short),
            (OperationKind::SetLen, Effect::Error(ErrorKind::QuotaExceeded)),
            (OperationKind::Sync, Effect::Sync(FailedSync::MarkedClean)),
            (OperationKind::Sync, Effect::Sync(FailedSync::Reverted)),
            (OperationKind::SyncDir, Effect::Error(ErrorKind::Other)),
            (OperationKind::Rename, Effect::Error(ErrorKind::Other)),
            (OperationKind::Remove, Effect::Error(ErrorKind::Other)),
            (OperationKind::Open, Effect::Error(ErrorKind::Other)),
        ] {
            let operations = counted.count(kind);
            let places = operations.min(5);
            for place in 0..places {
                for lasting in [false, true] {
                    let nth = place * operations / places;
                    let fault = Fault {
                        kind,
                        nth,
                        lasting,
                        effect,
                    };
                    let context = format!("{how:?}, {fault:?} of {operations}");
                    let vfs = closed_with(&image, page, Some(fault));
                    assert!(vfs.faults_struck() > 0, "{context}");
                    cases += 1;
                    for survival in [Survival::None, Survival::All, Survival::Torn(nth)] {
                        let vfs = SimulatedVfs::from_image(&vfs.crash(survival), 4);
                        let db = open(&vfs, page);
                        check(&db, &rows, &context);
                        db.close().unwrap();
                        let len = data_len(&vfs);
                        assert!(
                            len <= clean + clean / 4 + (1 << 20),
                            "{context}: {len} bytes, not {clean}"
                        );
                    }
                }
            }
        }
        assert!(cases > 20, "{how:?}: {cases} cases");
    }
}

/// Opens an image and closes it, with a fault.
fn closed_with(image: &Image, page: usize, fault: Option<Fault>) -> SimulatedVfs {
    let vfs = SimulatedVfs::from_image(image, 9);
    let db = open(&vfs, page);
    vfs.set_faults(fault);
    let closed = db.close();
    assert!(closed.is_ok() || fault.is_some(), "{closed:?}");
    vfs
}
