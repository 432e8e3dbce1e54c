//! Opening for reading only: everything can be read, nothing is written, whatever state the files are in.

use std::io;
use std::path::Path;
use std::sync::Arc;

use engine::vfs::{MemoryVfs, OpenMode, Vfs, VfsFile};
use engine::{Database, Error, Options, TxOptions};

use crate::common::{PATH, assert_sound, small};
use crate::damage::{Crashed, build_log, contents};
use crate::forward::forward;

/// A file system mounted for reading only: whatever would change it fails, and is counted.
#[derive(Debug)]
struct ReadOnlyMount {
    inner: MemoryVfs,
}

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Vfs for ReadOnlyMount {
    forward!(inner: exists, list, identity_of, open_dir, wall_clock, monotonic, random);

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        if !mode.read_only {
            return refused();
        }
        self.inner.open(path, mode)
    }
    fn remove(&self, _: &Path) -> io::Result<()> {
        refused()
    }
    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refused()
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }
}

fn read_only(vfs: &MemoryVfs) -> Options {
    let mount = ReadOnlyMount { inner: vfs.clone() };
    small(vfs)
        .read_only(true)
        .cache_size(4 << 20)
        .vfs(Arc::new(mount))
}

fn open(vfs: &MemoryVfs) -> Database {
    read_only(vfs).open(PATH).unwrap()
}

#[test]
fn a_database_on_a_medium_that_cannot_be_written_is_read_whole_its_log_included() {
    let Crashed { vfs, states, .. } = build_log();
    let db = open(&vfs);
    assert!(db.is_read_only() && db.recovery().commits > 60);
    assert!(contents(&db).unwrap() == *states.last().unwrap());
    assert_sound(&db);
    assert!(
        db.storage_info().wal_size == 0 || db.storage_info().wal_size > 0,
        "figures can be had"
    );
    db.close().unwrap();
    // And again, and after it was closed for good.
    assert!(contents(&open(&vfs)).unwrap() == *states.last().unwrap());
    small(&vfs).open(PATH).unwrap().close().unwrap();
    let db = open(&vfs);
    assert_eq!(db.recovery().commits, 0);
    assert!(contents(&db).unwrap() == *states.last().unwrap());
    assert_sound(&db);
}

#[test]
fn everything_that_would_write_is_refused_by_type() {
    let Crashed { vfs, .. } = build_log();
    let db = open(&vfs);
    let table = db.table("rows").unwrap();
    let is_refused = |what: &str, result: engine::Result<()>| {
        assert!(matches!(result, Err(Error::ReadOnly)), "{what}: {result:?}");
    };
    is_refused("begin", db.begin().map(drop));
    is_refused("begin_with", db.begin_with(TxOptions::new()).map(drop));
    is_refused("write", db.write(|tx| tx.put(table, b"k", b"v")));
    is_refused("create_table", db.create_table("new").map(drop));
    is_refused("open_or_create", db.open_or_create("new").map(drop));
    is_refused("drop_table", db.drop_table("rows"));
    is_refused("checkpoint", db.checkpoint().map(drop));
    is_refused("sync", db.sync());
    db.gc(1);
    assert_eq!(
        db.open_or_create("rows").unwrap(),
        table,
        "what is there is no write"
    );
    assert!(db.begin_at(db.snapshot().commit_id()).is_ok());
    drop(db);
    // Nothing in the way of writing later.
    let db = small(&vfs).open(PATH).unwrap();
    db.write(|tx| tx.put(table_of(&db), b"k", b"v")).unwrap();
}

fn table_of(db: &Database) -> engine::Table {
    db.table("rows").unwrap()
}

#[test]
fn readers_share_and_a_writer_is_alone() {
    let Crashed { vfs, .. } = build_log();
    let (one, two) = (open(&vfs), open(&vfs));
    let is_locked = |result: engine::Result<Database>| {
        assert!(matches!(result, Err(Error::Locked { .. })), "{result:?}");
    };
    is_locked(small(&vfs).open(PATH));
    drop(one);
    is_locked(small(&vfs).open(PATH));
    drop(two);
    let writer = small(&vfs).open(PATH).unwrap();
    is_locked(read_only(&vfs).open(PATH));
    drop(writer);
    open(&vfs);
}

#[test]
fn an_opening_that_wants_to_write_says_what_to_do() {
    let Crashed { vfs, .. } = build_log();
    let mount = ReadOnlyMount { inner: vfs.clone() };
    let error = small(&vfs).vfs(Arc::new(mount)).open(PATH).unwrap_err();
    assert!(matches!(error, Error::NotWritable { .. }), "{error}");
    assert!(error.to_string().contains("read_only"), "{error}");
}

#[test]
fn what_is_not_there_is_not_made() {
    let vfs = MemoryVfs::default();
    vfs.create_dir(Path::new("/")).unwrap();
    assert!(matches!(read_only(&vfs).open(PATH), Err(Error::Io { .. })));
    let create = OpenMode {
        create: true,
        ..OpenMode::default()
    };
    vfs.open(Path::new(PATH), create).unwrap();
    assert!(matches!(
        read_only(&vfs).open(PATH),
        Err(Error::NotADatabase { .. })
    ));
    // A creation that was cut off before its first checkpoint is an empty database.
    let vfs = MemoryVfs::default();
    let db = small(&vfs).open(PATH).unwrap();
    let cut = vfs.fork();
    drop(db);
    for vfs in [vfs, cut] {
        let db = open(&vfs);
        assert!(db.table_names().is_empty());
        assert_sound(&db);
    }
}

#[test]
fn a_log_that_changed_more_pages_than_the_cache_holds_is_a_clear_error() {
    let vfs = MemoryVfs::default();
    let db = small(&vfs).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    for n in 0..100u32 {
        db.write(|tx| (0..20u32).try_for_each(|k| tx.put(table, &(n * 20 + k).to_be_bytes(), &[7; 200])))
            .unwrap();
    }
    let vfs = vfs.fork();
    let error = read_only(&vfs).cache_size(0).open(PATH).unwrap_err();
    assert!(matches!(error, Error::CacheExhausted { .. }), "{error}");
    assert!(error.to_string().contains("cache_size"), "{error}");
    let db = open(&vfs);
    assert_eq!(db.snapshot().scan(table_of(&db), ..).unwrap().count(), 2000);
    assert_sound(&db);
}
