//! A full disk at every moment: a commit is refused or done, the database is never stopped by it, and it goes on as
//! soon as there is room.

use std::collections::BTreeMap;

use engine::vfs::MemoryVfs;
use engine::{Database, Error, Table};

use crate::common::{PATH, assert_sound, small};

type Oracle = BTreeMap<Vec<u8>, Vec<u8>>;

/// Cheap numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.0 >> 33
    }
}

/// A transaction whose rows are spread over all leaves, so that many of them split at once. Some of the rows are as
/// large as rows get, some have long values, some are deleted.
fn transaction(numbers: &mut Numbers) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let count = 1 + numbers.next() % 60;
    (0..count)
        .map(|_| {
            let number = numbers.next();
            let mut key = (number % 4000).to_be_bytes().to_vec();
            if number.is_multiple_of(31) {
                key.resize(500, 7);
            }
            let value = match number % 97 {
                0..8 => None,
                8 => Some(vec![number as u8; 20_000]),
                9..12 => Some(vec![number as u8; 900]),
                _ => Some(vec![number as u8; (number % 60) as usize]),
            };
            (key, value)
        })
        .collect()
}

fn write(db: &Database, table: Table, rows: &[(Vec<u8>, Option<Vec<u8>>)]) -> engine::Result<()> {
    db.write(|tx| {
        rows.iter().try_for_each(|(key, value)| match value {
            Some(value) => tx.put(table, key, value),
            None => tx.delete(table, key).map(drop),
        })
    })
}

fn apply(oracle: &mut Oracle, rows: &[(Vec<u8>, Option<Vec<u8>>)]) {
    for (key, value) in rows {
        match value {
            Some(value) => oracle.insert(key.clone(), value.clone()),
            None => oracle.remove(key),
        };
    }
}

fn check(db: &Database, table: Table, oracle: &Oracle, context: &str) {
    let snapshot = db.snapshot();
    let rows: Oracle = snapshot
        .scan(table, ..)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(
        rows == *oracle,
        "{context}: {} rows, expected {}",
        rows.len(),
        oracle.len()
    );
}

#[test]
fn a_disk_that_fills_up_at_any_byte_refuses_commits_and_stops_nothing() {
    let base = MemoryVfs::default();
    let mut oracle = Oracle::new();
    let mut numbers = Numbers(5);
    {
        let db = small(&base).open(PATH).unwrap();
        let table = db.create_table("rows").unwrap();
        for _ in 0..60 {
            let rows = transaction(&mut numbers);
            write(&db, table, &rows).unwrap();
            apply(&mut oracle, &rows);
        }
        db.close().unwrap();
    }
    let mut refused = 0;
    let mut done = 0;
    for step in 0..160u64 {
        let vfs = base.fork();
        let mut oracle = oracle.clone();
        let mut numbers = Numbers(step);
        let context = format!("step {step}");
        let db = small(&vfs).open(PATH).unwrap();
        let table = db.table("rows").unwrap();
        vfs.set_capacity(Some(vfs.used_bytes() + step * 4096));
        for number in 0..30 {
            let rows = transaction(&mut numbers);
            match write(&db, table, &rows) {
                Ok(()) => {
                    apply(&mut oracle, &rows);
                    done += 1;
                }
                Err(error) => {
                    assert!(error.is_disk_full(), "{context}: {error}");
                    refused += 1;
                }
            }
            if number % 7 == 3 {
                // Housekeeping and a checkpoint may fail, but must not stop anything either.
                db.gc(1);
                if let Err(error) = db.checkpoint() {
                    assert!(error.is_disk_full(), "{context}: {error}");
                }
            }
        }
        check(&db, table, &oracle, &context);
        vfs.set_capacity(None);
        let rows = transaction(&mut numbers);
        write(&db, table, &rows).unwrap_or_else(|error| panic!("{context}: with room again, {error}"));
        apply(&mut oracle, &rows);
        check(&db, table, &oracle, &context);
        assert_sound(&db);
        let crashed = vfs.fork();
        drop(db);
        for vfs in [crashed, vfs] {
            let db = small(&vfs).open(PATH).unwrap();
            let table = db.table("rows").unwrap();
            check(&db, table, &oracle, &context);
            assert_sound(&db);
        }
    }
    assert!(refused > 300 && done > 300, "{refused} refused, {done} done");
}

#[test]
fn housekeeping_on_a_full_disk_waits_for_room() {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    let dropped = db.create_table("dropped").unwrap();
    for n in 0..200u64 {
        db.write(|tx| (0..40u64).try_for_each(|k| tx.put(table, &(n * 40 + k).to_be_bytes(), &[7; 100])))
            .unwrap();
    }
    db.write(|tx| (0..20u8).try_for_each(|k| tx.put(dropped, &[k], &[k; 50_000])))
        .unwrap();
    let snapshot = db.snapshot();
    for n in 0..40u64 {
        db.write(|tx| (0..200u64).try_for_each(|k| tx.delete(table, &(n * 200 + k).to_be_bytes()).map(drop)))
            .unwrap();
    }
    db.drop_table("dropped").unwrap();
    db.checkpoint().unwrap();
    drop(snapshot);
    let used = db.storage_info().used_pages;
    vfs.set_capacity(Some(vfs.used_bytes()));
    for _ in 0..20 {
        db.gc(1);
        assert!(
            !matches!(db.begin().map(drop), Err(Error::Poisoned { .. })),
            "housekeeping stopped the database"
        );
    }
    assert_sound(&db);
    vfs.set_capacity(None);
    db.gc(1);
    db.checkpoint().unwrap();
    let now = db.storage_info().used_pages;
    assert!(now < 20 && used > 300, "{now} pages of {used} are still in use");
    assert_sound(&db);
    drop(db);
    let db = small(&vfs).open(PATH).unwrap();
    assert_sound(&db);
    assert_eq!(db.snapshot().scan(table_of(&db), ..).unwrap().count(), 0);
}

fn table_of(db: &Database) -> Table {
    db.table("rows").unwrap()
}
