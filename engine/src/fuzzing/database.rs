//! A whole database, driven by the bytes of an input: each says what is done next, and an oracle of ordered maps says what
//! must be seen. Two lives and more of it: it is closed, and killed, and opened again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Input;
use crate::vfs::MemoryVfs;
use crate::{Database, Durability, Options, Snapshot, Table, Transaction, TxOptions};

const PATH: &str = "/fuzz.db";
const NAMES: [&str; 3] = ["a", "b", "c"];
/// Longer inputs are cut off, so that no one of them takes a second.
const STEPS_MAX: usize = 400;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
type Tables = BTreeMap<&'static str, Rows>;

/// What a database shows is what was committed, before and after it is closed or killed; its structure is sound.
///
/// # Panics
/// If a property does not hold.
pub fn database_operations(input: &[u8]) {
    let mut input = Input(input);
    let shape = input.u8();
    let mut vfs = MemoryVfs::default();
    let mut committed = Tables::new();
    let mut steps = 0;
    while let Some(end) = live(&vfs, shape, &mut input, &mut committed, &mut steps) {
        vfs = end;
    }
    let db = open(&vfs, shape);
    compare(&db, &committed);
    db.close().expect("it closes");
}

fn open(vfs: &MemoryVfs, shape: u8) -> Database {
    let mut options = Options::new()
        .page_size(if shape & 1 == 0 { 4096 } else { 16 << 10 })
        .cache_size(if shape & 2 == 0 { 0 } else { 4 << 20 })
        .wal_segment_size(64 << 10)
        .background(false)
        .vfs(Arc::new(vfs.clone()));
    if shape & 4 == 0 {
        options = options.compression("LZ4", 0).expect("a codec of the engine");
    }
    if shape & 8 == 0 {
        options = options.version_budget(64 << 10);
    }
    options.open(PATH).expect("it opens")
}

/// One life of the database; the files that the next one begins with, or nothing when the input has ended.
fn live(
    vfs: &MemoryVfs,
    shape: u8,
    input: &mut Input<'_>,
    committed: &mut Tables,
    steps: &mut usize,
) -> Option<MemoryVfs> {
    let db = open(vfs, shape);
    compare(&db, committed);
    // A snapshot, with what it must go on showing.
    let mut held: Option<(Snapshot<'_>, Tables)> = None;
    while !input.0.is_empty() && *steps < STEPS_MAX {
        *steps += 1;
        let step = input.u8();
        let name = NAMES[usize::from(input.u8()) % NAMES.len()];
        match step % 16 {
            0..=8 => transaction(&db, name, input, committed),
            9 => db.checkpoint().map(drop).expect("a checkpoint"),
            10 => db.gc(usize::from(input.u8() % 3)),
            11 => db.compact().map(drop).expect("it can be compacted"),
            12 => {
                if committed.remove(name).is_some() {
                    held = None;
                    db.drop_table(name).expect("the table is there");
                }
            }
            13 => match held.take() {
                Some((snapshot, rows)) => compare_snapshot(&db, &snapshot, &rows),
                None => held = Some((db.snapshot(), committed.clone())),
            },
            14 => {
                drop(held);
                db.close().expect("it closes");
                return Some(vfs.clone());
            }
            _ => {
                db.sync().expect("it can be synchronised");
                return Some(vfs.fork());
            }
        }
    }
    None
}

/// Some rows of a table; committed, or rolled back.
fn transaction(db: &Database, name: &'static str, input: &mut Input<'_>, committed: &mut Tables) {
    let table = db.open_or_create(name).expect("a table");
    let mut rows = committed.entry(name).or_default().clone();
    let mut tx = db
        .begin_with(TxOptions::new().durability(Durability::NoSync))
        .expect("a transaction");
    let mut saved = None;
    let ending = input.u8();
    for _ in 0..ending >> 2 {
        if input.0.is_empty() {
            break;
        }
        match input.u8() % 8 {
            0..=3 => {
                let (key, value) = (key(input), value(input));
                tx.put(table, &key, &value).expect("a row");
                rows.insert(key, value);
            }
            4 => {
                let key = key(input);
                let was_there = tx.delete(table, &key).expect("a deletion");
                assert_eq!(was_there, rows.remove(&key).is_some());
            }
            5 => {
                let key = key(input);
                assert_eq!(tx.get(table, &key).expect("a read"), rows.get(&key).cloned());
            }
            6 => saved = Some((tx.savepoint(), rows.clone())),
            _ => {
                if let Some((savepoint, before)) = saved.take() {
                    tx.rollback_to(savepoint).expect("its own savepoint");
                    rows = before;
                }
            }
        }
    }
    compare_transaction(&mut tx, table, &rows);
    if ending & 3 == 0 {
        tx.rollback();
    } else {
        tx.commit().expect("a commit");
        committed.insert(name, rows);
    }
}

/// Few short keys that share beginnings, and some long ones.
fn key(input: &mut Input<'_>) -> Vec<u8> {
    let (class, n) = (input.u8(), input.u8());
    match class % 4 {
        0 => vec![n],
        1 => vec![b'k'; usize::from(n)],
        2 => [vec![b'p'; 200], vec![n]].concat(),
        _ => u16::from_be_bytes([class, n]).to_be_bytes().to_vec(),
    }
}

/// From none to several pages.
fn value(input: &mut Input<'_>) -> Vec<u8> {
    let (class, n) = (input.u8(), usize::from(input.u8()));
    let len = match class % 4 {
        0 => n,
        1 => 4 * n,
        2 => 40 * n,
        _ => 200 * n,
    };
    (0..len).map(|at| class ^ ((at * (n | 1)) >> 3) as u8).collect()
}

fn compare_transaction(tx: &mut Transaction<'_>, table: Table, rows: &Rows) {
    let seen = tx.scan(table, ..).expect("a scan").map(|row| row.expect("a row"));
    assert!(seen.eq(rows.clone()), "a transaction sees what it has done");
    let seen = tx
        .scan_rev(table, ..)
        .expect("a scan")
        .map(|row| row.expect("a row"));
    assert!(seen.eq(rows.clone().into_iter().rev()), "also backwards");
}

fn compare_snapshot(db: &Database, snapshot: &Snapshot<'_>, tables: &Tables) {
    for (name, rows) in tables {
        let table = db.table(name).expect("a table of the snapshot");
        let mut seen = Rows::new();
        for row in snapshot.scan(table, ..).expect("a scan") {
            match row {
                Ok((key, value)) => drop(seen.insert(key, value)),
                // It may end, where versions take too much; it never shows something else.
                Err(crate::Error::SnapshotTooOld { .. }) => return,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(seen == *rows, "{name} in an old snapshot");
    }
}

fn compare(db: &Database, committed: &Tables) {
    let report = db.verify().expect("it can be verified");
    assert!(report.is_sound(), "{:?}", report.problems);
    let names: Vec<_> = committed.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(db.table_names(), names, "what was dropped does not come back");
    for name in db.table_names() {
        let table = db.table(&name).expect("a table that is listed");
        let rows = committed.get(&*name).cloned().unwrap_or_default();
        let snapshot = db.snapshot();
        let seen = snapshot
            .scan(table, ..)
            .expect("a scan")
            .map(|row| row.expect("a row"));
        assert!(seen.eq(rows), "{name} holds what was committed");
    }
}

/// Inputs that a search begins with.
#[cfg(test)]
pub(crate) mod seeds {
    /// Streams of pseudo-random bytes, long and short, of every shape.
    pub(crate) fn operations() -> Vec<Vec<u8>> {
        (0..24u32)
            .map(|seed| {
                let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
                let mut next = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                };
                let tail = (0..200 + 150 * seed).map(|_| next());
                std::iter::once(seed as u8).chain(tail).collect()
            })
            .collect()
    }
}
