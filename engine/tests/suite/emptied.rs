//! A disk that is full to the brim: the database opens on it, reads, and lets its rows be deleted until there is room again.

use std::sync::Arc;

use engine::injected::{self, Bug};
use engine::vfs::MemoryVfs;
use engine::{Database, Error, Options};

use crate::common::{PATH, assert_sound, nosync};

/// What fills the disk.
#[derive(Clone, Copy, Debug)]
struct Filling {
    page_size: usize,
    cache_pages: usize,
    value_bytes: usize,
    /// Whether keys come in order.
    is_ordered: bool,
    /// Whether a refused commit is tried again behind a checkpoint, until nothing helps any more.
    to_the_brim: bool,
}

impl Filling {
    fn options(self, vfs: &MemoryVfs) -> Options {
        Options::new()
            .page_size(self.page_size)
            .cache_size(self.page_size * self.cache_pages)
            .background(false)
            .vfs(Arc::new(vfs.clone()))
    }

    fn key(self, n: u32) -> [u8; 4] {
        if self.is_ordered {
            n.to_be_bytes()
        } else {
            n.wrapping_mul(0x9E37_79B1).to_be_bytes()
        }
    }

    /// Inserts rows until the disk is full; returns how many.
    fn fill(self, db: &Database) -> u32 {
        let table = db.create_table("rows").unwrap();
        let (mut rows, mut tries) = (0, 0);
        while tries < 3 {
            let mut tx = db.begin_with(nosync()).unwrap();
            for n in rows..rows + 50 {
                tx.put(table, &self.key(n), &vec![n as u8; self.value_bytes])
                    .unwrap();
            }
            match tx.commit().and_then(|commit| db.sync().map(|()| commit)) {
                Ok(_) => {
                    rows += 50;
                    tries = 0;
                }
                Err(error) => {
                    assert!(error.is_disk_full(), "{error}");
                    if !self.to_the_brim {
                        break;
                    }
                    tries += 1;
                    make_room(db);
                }
            }
        }
        rows
    }

    fn delete(self, db: &Database, rows: std::ops::Range<u32>) -> engine::Result<()> {
        let table = db.table("rows")?;
        let mut tx = db.begin_with(nosync())?;
        for n in rows {
            assert!(tx.delete(table, &self.key(n))?);
        }
        tx.commit().map(drop)
    }

    /// Deletes all rows, `batch` at a time, and makes room where that is refused.
    fn delete_all(self, db: &Database, rows: u32, batch: u32, context: &str) {
        for from in (0..rows).step_by(batch as usize) {
            let mut tries = 0;
            while let Err(error) = self.delete(db, from..from + batch) {
                assert!(error.is_disk_full(), "{context}: {error}");
                tries += 1;
                assert!(
                    tries < 4,
                    "{context}: {} of {rows} rows are left: {error}",
                    rows - from
                );
                make_room(db);
            }
        }
        assert_eq!(count(db), 0, "{context}");
    }
}

fn make_room(db: &Database) {
    db.gc(1);
    match db.checkpoint() {
        Ok(_) => {}
        Err(error) => assert!(error.is_disk_full(), "{error}"),
    }
}

fn count(db: &Database) -> usize {
    let table = db.table("rows").unwrap();
    db.snapshot().scan(table, ..).unwrap().map(Result::unwrap).count()
}

/// Fills a disk, opens the database on it anew if that is wanted, and deletes everything.
fn run(filling: Filling, reopens: Option<bool>) {
    let context = format!("{filling:?}, {reopens:?}");
    let vfs = MemoryVfs::default();
    vfs.set_capacity(Some(16 << 20));
    let mut db = filling.options(&vfs).open(PATH).unwrap();
    let rows = filling.fill(&db);
    assert_eq!(count(&db) as u32, rows, "{context}");
    let killed;
    let vfs = match reopens {
        None => vfs,
        Some(is_killed) => {
            killed = if is_killed {
                let files = vfs.fork();
                drop(db);
                files
            } else {
                drop(db);
                vfs
            };
            killed.set_capacity(Some(killed.used_bytes()));
            db = filling
                .options(&killed)
                .open(PATH)
                .unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(count(&db) as u32, rows, "{context}");
            killed.clone()
        }
    };
    filling.delete_all(&db, rows, 50, &context);
    make_room(&db);
    let table = db.table("rows").unwrap();
    for n in 0..100u32 {
        let result = db.write(|tx| tx.put(table, &n.to_be_bytes(), &vec![1; filling.value_bytes]));
        match result {
            Ok(()) => {}
            Err(Error::Io { .. }) if n == 0 => make_room(&db),
            Err(error) => panic!("{context}: {error}"),
        }
    }
    assert_sound(&db);
    drop(db);
    assert_sound(&filling.options(&vfs).open(PATH).unwrap());
}

const FILLING: Filling = Filling {
    page_size: 4096,
    cache_pages: 1 << 13,
    value_bytes: 1000,
    is_ordered: true,
    to_the_brim: true,
};

#[test]
fn everything_can_be_deleted_from_a_database_that_filled_its_disk_once() {
    run(
        Filling {
            page_size: 16 << 10,
            cache_pages: 2048,
            to_the_brim: false,
            ..FILLING
        },
        None,
    );
}

#[test]
fn everything_can_be_deleted_when_checkpoints_have_used_up_the_last_room() {
    for is_ordered in [true, false] {
        for cache_pages in [0, 1 << 13] {
            for value_bytes in [100, 1000] {
                // Pages that have grown since the last checkpoint, very many at once, use up what is kept.
                if !is_ordered && cache_pages > 0 && value_bytes == 100 {
                    continue;
                }
                let filling = Filling {
                    is_ordered,
                    cache_pages,
                    value_bytes,
                    ..FILLING
                };
                run(filling, None);
            }
        }
    }
}

#[test]
fn without_room_that_is_kept_the_disk_stays_full() {
    for (cache_pages, value_bytes) in [(1 << 13, 100), (1 << 13, 300)] {
        let filling = Filling {
            cache_pages,
            value_bytes,
            ..FILLING
        };
        let answer = injected::with(Some(Bug::RoomNotSetAside), || {
            std::panic::catch_unwind(|| run(filling, None))
        });
        assert_eq!(answer.is_err(), injected::are_possible(), "{filling:?}");
    }
}

#[test]
fn a_database_opens_on_the_disk_that_it_filled_and_can_be_emptied() {
    for is_killed in [true, false] {
        for cache_pages in [0, 1 << 13] {
            run(
                Filling {
                    cache_pages,
                    is_ordered: false,
                    ..FILLING
                },
                Some(is_killed),
            );
        }
    }
}

/// What a process does before somebody else fills the disk.
#[derive(Clone, Copy, Debug)]
enum Before {
    Closed,
    CompactedAndClosed,
    /// It goes on.
    Compacted,
    CompactedAndKilled,
    Killed,
}

/// Fills a database on a disk with room, which somebody else then fills, and deletes everything, `batch` rows at a time.
fn run_when_others_fill(filling: Filling, rows: u32, before: Before, batch: u32) {
    use Before::{Closed, Compacted, CompactedAndClosed, CompactedAndKilled, Killed};
    let context = format!("{rows} rows, {filling:?}, {before:?}");
    let mut vfs = MemoryVfs::default();
    let db = filling.options(&vfs).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    for from in (0..rows).step_by(500) {
        let mut tx = db.begin_with(nosync()).unwrap();
        for n in from..(from + 500).min(rows) {
            tx.put(table, &filling.key(n), &vec![n as u8; filling.value_bytes])
                .unwrap();
        }
        tx.commit().unwrap();
    }
    if matches!(before, CompactedAndClosed | Compacted | CompactedAndKilled) {
        db.compact().unwrap();
    }
    let db = match before {
        Compacted => Some(db),
        Closed | CompactedAndClosed => {
            db.close().unwrap();
            None
        }
        CompactedAndKilled | Killed => {
            db.sync().unwrap();
            let files = vfs.fork();
            drop(db);
            vfs = files;
            None
        }
    };
    vfs.set_capacity(Some(vfs.used_bytes()));
    let open = || filling.options(&vfs).open(PATH);
    let db = db.unwrap_or_else(|| open().unwrap_or_else(|error| panic!("{context}: {error}")));
    filling.delete_all(&db, rows, batch, &context);
    assert_sound(&db);
}

#[test]
fn a_database_that_had_room_can_be_emptied_when_others_have_filled_the_disk() {
    use Before::{Closed, Compacted, CompactedAndClosed, CompactedAndKilled, Killed};
    let cached = Filling {
        page_size: 16 << 10,
        cache_pages: 4096,
        ..FILLING
    };
    for (rows, value_bytes) in [(6000u32, 100), (2000, 1000), (400, 8000)] {
        for before in [Closed, CompactedAndClosed, Compacted, CompactedAndKilled, Killed] {
            run_when_others_fill(
                Filling {
                    value_bytes,
                    ..cached
                },
                rows,
                before,
                10,
            );
        }
    }
    // Each of these stops when one of the things that make it possible is left out: reserving no room where all pages have
    // theirs in the cache; counting the changed ones only; borrowing what is kept; keeping it when the file is compacted and closed.
    for (cache_pages, rows, value_bytes, is_ordered) in [
        (4096, 6000, 100, false),
        (0, 200, 30_000, true),
        (0, 1500, 1000, true),
    ] {
        let filling = Filling {
            cache_pages,
            value_bytes,
            is_ordered,
            ..cached
        };
        run_when_others_fill(filling, rows, CompactedAndClosed, 2);
    }
}

#[test]
fn a_database_with_hardly_anything_in_its_log_opens_on_a_full_disk() {
    for (rows, is_compacted, is_closed) in [
        (0, false, false),
        (1, false, false),
        (1, false, true),
        (1, true, true),
        (2000, true, false),
        // The load has left large spares, which go.
        (20_000, true, false),
        (20_000, false, true),
    ] {
        let mut vfs = MemoryVfs::default();
        let open = |vfs: &MemoryVfs| {
            Options::new()
                .background(false)
                .vfs(Arc::new(vfs.clone()))
                .open(PATH)
        };
        let db = open(&vfs).unwrap();
        let table = db.create_table("rows").unwrap();
        for from in (0..rows).step_by(1000) {
            let mut tx = db.begin().unwrap();
            for n in from..(from + 1000).min(rows) {
                tx.put(table, &u32::to_be_bytes(n), &[7; 200]).unwrap();
            }
            tx.commit().unwrap();
        }
        if is_compacted {
            db.checkpoint().unwrap();
            db.compact().unwrap();
        }
        if is_closed {
            db.close().unwrap();
        } else {
            let files = vfs.fork();
            drop(db);
            vfs = files;
        }
        vfs.set_capacity(Some(vfs.used_bytes()));
        // And again: a process that has come to nothing must not use up what the next one needs.
        for life in 0..4 {
            let db = open(&vfs).unwrap_or_else(|error| panic!("{rows}, {is_compacted}, {life}: {error}"));
            assert_eq!(count(&db), rows as usize);
            if life % 2 == 0 {
                db.close().unwrap();
            } else {
                let files = vfs.fork();
                drop(db);
                vfs = files;
                vfs.set_capacity(Some(vfs.used_bytes()));
            }
        }
    }
}
