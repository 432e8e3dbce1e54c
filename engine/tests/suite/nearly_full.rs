//! Every operation of a database's life on a full disk, in both directions: it is refused, whatever little room there is,
//! with nothing changed, nothing lost and everything readable; and with enough room it is done by the same handle.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use engine::injected::{self, Bug};
use engine::vfs::simulated::{Image, SimulatedVfs, Survival};
use engine::{Database, Error, Options};

use crate::common::{PATH, assert_sound};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A database, what it must hold by table, and the disk under it.
struct Life {
    vfs: SimulatedVfs,
    db: Option<Database>,
    tables: BTreeMap<String, Rows>,
    /// The number of the next row that only uses up room.
    filled: u32,
}

/// What an operation would change, if it is done.
type Change = fn(&mut BTreeMap<String, Rows>);

/// An operation: what it is, what it does, and what it changes.
type Operation = (&'static str, fn(&mut Life) -> engine::Result<()>, Change);

fn options() -> Options {
    Options::new()
        .page_size(4096)
        .cache_size(0)
        .wal_segment_size(16 << 10)
        .background(false)
}

fn nothing(_: &mut BTreeMap<String, Rows>) {}

fn key(n: u32) -> Vec<u8> {
    // Spread, so that pages in the middle split.
    (n.wrapping_mul(0x9E37_79B1)).to_be_bytes().to_vec()
}

fn put(db: &Database, range: std::ops::Range<u32>, len: usize) -> engine::Result<()> {
    let table = db.table("rows")?;
    db.write(|tx| {
        range
            .clone()
            .try_for_each(|n| tx.put(table, &key(n), &vec![len as u8; len]))
    })
}

fn note(tables: &mut BTreeMap<String, Rows>, range: std::ops::Range<u32>, len: usize) {
    let rows = tables.get_mut("rows").unwrap();
    rows.extend(range.map(|n| (key(n), vec![len as u8; len])));
}

impl Life {
    fn db(&self) -> &Database {
        self.db.as_ref().unwrap()
    }

    fn open(&mut self) -> engine::Result<()> {
        self.db = Some(options().vfs(Arc::new(self.vfs.clone())).open(PATH)?);
        Ok(())
    }

    /// Uses up what room there is inside the files, by small commits, until one is refused.
    fn fill(&mut self) {
        self.vfs.set_capacity(Some(self.vfs.used_bytes()));
        let (Some(db), true) = (&self.db, self.tables.contains_key("rows")) else {
            return;
        };
        let from = self.filled;
        let error = loop {
            match put(db, self.filled..self.filled + 1, 40) {
                Ok(()) => self.filled += 1,
                Err(error) => break error,
            }
        };
        assert!(error.is_disk_full(), "{error}");
        note(&mut self.tables, from..self.filled, 40);
    }
}

const LIFE: &[Operation] = &[
    ("create the database", Life::open, nothing),
    (
        "create a table",
        |life| life.db().create_table("rows").map(drop),
        |tables| drop(tables.insert("rows".into(), Rows::new())),
    ),
    (
        "put a row",
        |life| put(life.db(), 0..1, 50),
        |tables| note(tables, 0..1, 50),
    ),
    (
        "put many rows",
        |life| put(life.db(), 0..800, 60),
        |tables| note(tables, 0..800, 60),
    ),
    ("checkpoint", |life| life.db().checkpoint().map(drop), nothing),
    (
        "put a long value",
        |life| put(life.db(), 5..6, 60_000),
        |tables| note(tables, 5..6, 60_000),
    ),
    (
        "replace rows on all pages",
        |life| put(life.db(), 0..800, 90),
        |tables| note(tables, 0..800, 90),
    ),
    (
        "create another table",
        |life| life.db().create_table("more").map(drop),
        |tables| drop(tables.insert("more".into(), Rows::new())),
    ),
    (
        "checkpoint of all pages",
        |life| life.db().checkpoint().map(drop),
        nothing,
    ),
    (
        "reopen after a close",
        |life| {
            // Without a last checkpoint, if there is no room for one.
            life.db = None;
            life.open()
        },
        nothing,
    ),
    (
        "delete every row",
        |life| {
            let table = life.db().table("rows")?;
            life.db()
                .write(|tx| (0..800).try_for_each(|n| tx.delete(table, &key(n)).map(drop)))
        },
        |tables| (0..800).for_each(|n| drop(tables.get_mut("rows").unwrap().remove(&key(n)))),
    ),
    (
        "collect what was deleted",
        |life| {
            life.db().gc(1);
            life.db().checkpoint().map(drop)
        },
        nothing,
    ),
    (
        "drop a table",
        |life| life.db().drop_table("more"),
        |tables| drop(tables.remove("more")),
    ),
    (
        "put rows again",
        |life| put(life.db(), 0..300, 70),
        |tables| note(tables, 0..300, 70),
    ),
    (
        "recover after a kill",
        |life| {
            let left = life.vfs.crash(Survival::All);
            if life.db.take().is_some() {
                restart(life, &left);
            }
            life.open()
        },
        nothing,
    ),
    (
        "close",
        |life| match life.db.take() {
            Some(db) => db.close(),
            // A close that was refused has closed; the log has everything, and the next one has another go at it.
            None => life.open().and_then(|()| life.db.take().unwrap().close()),
        },
        nothing,
    ),
    ("open again", Life::open, nothing),
];

/// The same files on a disk of the same size, under a process of its own.
fn restart(life: &mut Life, left: &Image) {
    let used = life.vfs.used_bytes();
    life.vfs = SimulatedVfs::from_image(left, 5);
    life.vfs.set_capacity(Some(used));
}

fn contents(db: &Database) -> engine::Result<BTreeMap<String, Rows>> {
    let snapshot = db.snapshot();
    let rows = |name: String| {
        let rows = snapshot
            .scan(db.table(&name)?, ..)?
            .collect::<engine::Result<_>>()?;
        Ok((name, rows))
    };
    db.table_names().into_iter().map(rows).collect()
}

/// That the handle, if there is one, and what a power loss now would leave, hold what they must.
fn check(life: &Life, what: &str, with_power_loss: bool) {
    if let Some(db) = &life.db {
        let found = match contents(db) {
            // All of the smallest cache can be changed pages, and there is no room to write one of them.
            Err(error) if error.is_disk_full() => {
                life.vfs.set_capacity(None);
                contents(db)
            }
            answer => answer,
        };
        assert!(found.unwrap() == life.tables, "{what}: the open database");
    }
    if !with_power_loss {
        return;
    }
    let left = life.vfs.crash(Survival::None);
    if left.files.is_empty() && life.tables.is_empty() {
        return;
    }
    let vfs = SimulatedVfs::from_image(&left, 7);
    let db = options().vfs(Arc::new(vfs)).open(PATH).unwrap();
    assert!(
        contents(&db).unwrap() == life.tables,
        "{what}: after a power loss"
    );
    assert_sound(&db);
}

#[test]
fn a_commit_without_its_reservations_is_found() {
    for fault in [Bug::LogNotReserved, Bug::ReservationNotHeld] {
        // Which room is just too little depends on everything before it.
        let found: Vec<_> = [3, 4, 5, 6, 8, 11]
            .into_iter()
            .filter(|part| {
                injected::with(Some(fault), || catch_unwind(|| live_on_a_full_disk(*part))).is_err()
            })
            .collect();
        println!("{fault:?} is found with room that grows by 1/{found:?}");
        assert_eq!(!found.is_empty(), injected::are_possible(), "{fault:?}");
    }
}

#[test]
fn every_operation_is_refused_on_a_full_disk_and_done_once_there_is_room() {
    live_on_a_full_disk(3);
}

/// Does every operation on a disk whose room grows by such a part with each turn, until it is done.
fn live_on_a_full_disk(part: u64) {
    let mut life = Life {
        vfs: SimulatedVfs::from_image(&Image::with_dirs(["/"]), 3),
        db: None,
        tables: BTreeMap::new(),
        filled: 100_000,
    };
    let mut refused = Vec::new();
    for (what, operation, change) in LIFE {
        let mut room = 0;
        let mut times = 0;
        loop {
            let context = format!("{what} with room for {room} bytes");
            // The disk fills up and gets free again with every turn, by what others write on it and remove.
            life.vfs.set_capacity(Some(life.vfs.used_bytes() + room));
            match operation(&mut life) {
                Ok(()) => break,
                Err(error) => assert!(error.is_disk_full(), "{context}: {error}"),
            }
            check(&life, &context, times % 4 == 0);
            times += 1;
            room += room / part + 512;
            assert!(room < 64 << 20, "{context}: never done");
        }
        change(&mut life.tables);
        check(&life, what, true);
        life.fill();
        refused.push((*what, times));
    }
    life.vfs.set_capacity(None);
    life.db().checkpoint().unwrap();
    assert_sound(life.db());
    // What needs little finds it in what is reserved, and checkpoints find what they replace free again; the others have all
    // been refused.
    let often = refused.iter().filter(|(_, times)| *times > 5).count();
    assert!(often >= 6, "{refused:?}");
}

/// Rows of one real database, by number.
fn add_until_refused(db: &Database, next: &mut u32) -> Error {
    let table = db.open_or_create("t").unwrap();
    for _ in 0..100_000 {
        match db.write(|tx| tx.put(table, &next.to_be_bytes(), &[*next as u8; 700])) {
            Ok(()) => *next += 1,
            Err(error) => return error,
        }
    }
    panic!("the disk never filled up");
}

fn assert_numbered(db: &Database, count: u32) {
    let table = db.table("t").unwrap();
    let snapshot = db.snapshot();
    let rows: Vec<_> = snapshot.scan(table, ..).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), count as usize);
    for (n, (key, value)) in (0..count).zip(&rows) {
        assert_eq!(
            (&key[..], &value[..]),
            (&n.to_be_bytes()[..], &[n as u8; 700][..])
        );
    }
}

/// What a child does in the small file system at `NEARLY_FULL_DIR`; nothing, when this is no child.
#[test]
fn as_child() {
    let Some(dir) = std::env::var_os("NEARLY_FULL_DIR") else {
        return;
    };
    println!("answer: mounted");
    let (path, ballast) = (Path::new(&dir).join("a.db"), Path::new(&dir).join("ballast"));
    let others = fs::File::options()
        .append(true)
        .create(true)
        .open(&ballast)
        .unwrap();
    (&others).write_all(&vec![7; 8 << 20]).unwrap();
    let options = options().cache_size(4 << 20);
    let db = options.clone().open(&path).unwrap();
    let (mut next, mut refused) = (0, 0);
    for round in 0..6u64 {
        let before = next;
        let error = add_until_refused(&db, &mut next);
        assert!(error.is_disk_full(), "round {round}: {error}");
        assert!(
            next > before,
            "round {round}: room was made, and nothing could be added"
        );
        assert_numbered(&db, next);
        if let Err(error) = db.checkpoint() {
            assert!(error.is_disk_full(), "round {round}: {error}");
            refused += 1;
        }
        others.set_len((8 << 20) - (round + 1) * (500 << 10)).unwrap();
    }
    drop(db);
    // Opening a database for which there is no room, and the reading of it.
    let mut rest = Vec::new();
    while (&others).write_all(&[7; 4096]).is_ok() {
        rest.push(());
    }
    assert!(!rest.is_empty());
    match options.clone().open(&path) {
        Ok(db) => assert_numbered(&db, next),
        Err(error) => assert!(error.is_disk_full(), "{error}"),
    }
    assert_numbered(&options.clone().read_only(true).open(&path).unwrap(), next);
    fs::remove_file(&ballast).unwrap();
    drop(others);
    let db = options.open(&path).unwrap();
    assert_numbered(&db, next);
    assert_sound(&db);
    db.close().unwrap();
    println!("done: {next} rows, {refused} checkpoints refused");
}

/// On a file system of the operating system, filled up and emptied by somebody else's file.
#[test]
fn a_real_disk_that_is_filled_up_and_emptied_by_others_refuses_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=10m none "$1" && shift && exec "$@""#;
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "nearly_full::as_child", "--nocapture"])
        .env("NEARLY_FULL_DIR", dir.path())
        .output();
    let said = match &output {
        Ok(output) => String::from_utf8_lossy(&output.stdout),
        Err(_) => "".into(),
    };
    if !said.contains("answer: mounted") {
        println!("SKIPPED: no file system can be mounted here: {output:?}");
        return;
    }
    assert!(said.contains("done: "), "{output:?}");
    println!("{said}");
}
