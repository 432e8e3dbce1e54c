//! A checkpoint that fails: what was in force stays in force, and what it took is not forgotten.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use engine::vfs::Vfs;
use engine::vfs::simulated::{Effect, FailedSync, Fault, Operation, OperationKind, SimulatedVfs, Survival};
use engine::{Database, Error, Options, injected};

use crate::common::{assert_sound, get, put};

const PATH: &str = "/dir/test.db";

fn open(vfs: &SimulatedVfs) -> Database {
    Options::new()
        .page_size(4096)
        .cache_size(0)
        .wal_segment_size(64 << 10)
        .background(false)
        .vfs(Arc::new(vfs.clone()))
        .open(PATH)
        .unwrap()
}

/// A database with more dirty pages than a checkpoint writes at once.
fn with_rows() -> (SimulatedVfs, Database) {
    let vfs = SimulatedVfs::new(3);
    vfs.create_dir(Path::new("/dir")).unwrap();
    vfs.sync_dir(Path::new("/")).unwrap();
    let db = open(&vfs);
    let table = db.create_table("rows").unwrap();
    db.checkpoint().unwrap();
    for n in 0..400_u32 {
        put(&db, table, &n.to_be_bytes(), &[n as u8; 300]);
    }
    db.sync().unwrap();
    (vfs, db)
}

fn check(db: &Database) {
    let table = db.open_or_create("rows").unwrap();
    for n in 0..400_u32 {
        assert_eq!(
            get(db, table, &n.to_be_bytes()),
            Some(vec![n as u8; 300]),
            "row {n}"
        );
    }
    assert_sound(db);
}

#[test]
fn a_checkpoint_without_room_can_be_tried_again() {
    let mut failed = 0;
    for (kind, effect) in [
        (OperationKind::Write, Effect::Error(ErrorKind::StorageFull)),
        (OperationKind::SetLen, Effect::Error(ErrorKind::StorageFull)),
        (OperationKind::Write, Effect::Short),
    ] {
        for nth in 0.. {
            let (vfs, db) = with_rows();
            vfs.set_faults([Fault {
                kind,
                nth,
                lasting: true,
                effect,
            }]);
            let answer = db.checkpoint();
            if vfs.faults_struck() == 0 {
                answer.unwrap();
                break;
            }
            vfs.set_faults([]);
            let again = db.checkpoint();
            match (&answer, &again) {
                // The log or the superblock: whether it got there is not known until the next opening.
                (Err(_), Err(Error::Poisoned { .. })) => {}
                (Err(error), Ok(_)) => {
                    assert!(error.is_disk_full(), "{error}");
                    failed += 1;
                }
                // Only cutting the free end of the file failed.
                (Ok(_), Ok(_)) => {}
                (_, Err(error)) => panic!("{kind:?} {nth}: {error}"),
            }
            if again.is_ok() {
                assert_eq!(db.checkpoint().unwrap().pages, 0, "nothing is left to write");
                check(&db);
            }
            drop(db);
            check(&open(&vfs));
        }
    }
    assert!(failed >= 3, "{failed}");
}

#[test]
fn a_checkpoint_whose_sync_fails_is_final_and_loses_nothing() {
    for behaviour in FailedSync::ALL {
        for nth in 0.. {
            let (vfs, db) = with_rows();
            vfs.set_faults([Fault {
                kind: OperationKind::Sync,
                nth,
                lasting: false,
                effect: Effect::Sync(behaviour),
            }]);
            let answer = db.checkpoint();
            if vfs.faults_struck() == 0 {
                answer.unwrap();
                break;
            }
            answer.unwrap_err();
            vfs.set_faults([]);
            assert!(
                matches!(db.checkpoint(), Err(Error::Poisoned { .. })),
                "{behaviour:?} {nth}"
            );
            let refused = db
                .open_or_create("rows")
                .and_then(|rows| db.write(|tx| tx.put(rows, b"a", b"b")));
            assert!(matches!(refused, Err(Error::Poisoned { .. })), "{refused:?}");
            for survival in [Survival::None, Survival::All, Survival::Torn(nth)] {
                check(&open(&SimulatedVfs::from_image(&vfs.crash(survival), 4)));
            }
            drop(db);
            check(&open(&vfs));
        }
    }
}

/// Whether an opening after a killed process makes the superblock that it found durable before it changes anything else.
fn settles_first() -> bool {
    let (vfs, db) = with_rows();
    vfs.set_power(false);
    drop(db);
    let after = SimulatedVfs::from_image(&vfs.crash(Survival::All), 6);
    after.record();
    let db = open(&after);
    assert_eq!(db.recovery().commits, 400);
    let operations = after.take_trace().operations;
    let (Operation::Write { inode, offset, .. }, rest) = operations.split_first().unwrap() else {
        panic!("{operations:?}");
    };
    assert!(*offset < 8192, "a superblock is written first");
    let sync =
        |operation: &Operation| matches!(operation, Operation::Sync { inode: synced, .. } if synced == inode);
    sync(&rest[0])
}

#[test]
fn an_opening_relies_on_no_superblock_that_is_not_durable() {
    assert!(settles_first());
    let found = injected::with(Some(injected::Bug::SuperblockNotSettled), || !settles_first());
    assert_eq!(found, injected::are_possible());
}
