//! The next opening finds what it needs on a full disk: at whatever operation of closing, compacting or checkpointing the process
//! was killed, whatever failed there, and whoever has taken what was given back meanwhile.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use engine::vfs::{MemoryVfs, OpenMode, Vfs, VfsFile};
use engine::{Database, Options};

use crate::common::{PATH, assert_sound, nosync};
use crate::forward::forward;

/// Files in memory, to which something happens at each operation.
#[derive(Clone, Debug, Default)]
struct Watched {
    files: MemoryVfs,
    /// The files are copied before each operation that changes them.
    copies: Arc<AtomicBool>,
    copied: Arc<Mutex<Vec<(String, MemoryVfs)>>>,
    /// Writes to the data file fail.
    is_broken: Arc<AtomicBool>,
    /// The disk is full, and others take at once whatever is given back.
    takes: Arc<AtomicBool>,
}

#[derive(Debug)]
struct WatchedFile {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    of: Watched,
}

impl Watched {
    fn before(&self, what: &str, path: &Path) {
        if self.copies.load(Ordering::SeqCst) {
            let copy = (format!("{what} {}", path.display()), self.files.fork());
            self.copied.lock().unwrap().push(copy);
        }
    }

    fn given_back(&self) {
        if self.takes.load(Ordering::SeqCst) {
            fill_disk(&self.files);
        }
    }

    fn set(switch: &AtomicBool, is_on: bool) {
        switch.store(is_on, Ordering::SeqCst);
    }
}

impl Vfs for Watched {
    forward!(files: exists, list, create_dir, sync_dir, identity_of, open_dir, wall_clock, monotonic, random);

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        if mode.create {
            self.before("create", path);
        }
        Ok(Arc::new(WatchedFile {
            file: self.files.open(path, mode)?,
            path: path.to_path_buf(),
            of: self.clone(),
        }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.before("remove", path);
        self.files.remove(path)?;
        self.given_back();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.before("rename", from);
        self.files.rename(from, to)
    }
}

impl VfsFile for WatchedFile {
    forward!(file: read_at, len, sync_data, sync_all, try_lock, identity);

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.of.before("write", &self.path);
        if self.path == Path::new(PATH) && self.of.is_broken.load(Ordering::SeqCst) {
            return Err(io::Error::other("broken"));
        }
        self.file.write_at(buf, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.of.before("set the length of", &self.path);
        self.file.set_len(len)?;
        self.of.given_back();
        Ok(())
    }
}

/// Somebody else takes all that is left.
fn fill_disk(files: &MemoryVfs) {
    files.set_capacity(Some(files.used_bytes()));
}

fn open(vfs: impl Vfs + 'static) -> engine::Result<Database> {
    let options = Options::new().page_size(4096).cache_size(32 << 20);
    options.background(false).vfs(Arc::new(vfs)).open(PATH)
}

/// A database of so many rows in random order, without a checkpoint or with one.
fn filled(rows: u32, is_checkpointed: bool) -> (Watched, Database) {
    let vfs = Watched::default();
    let db = open(vfs.clone()).unwrap();
    let table = db.create_table("rows").unwrap();
    for from in (0..rows).step_by(500) {
        let mut tx = db.begin_with(nosync()).unwrap();
        for n in from..(from + 500).min(rows) {
            let key = n.wrapping_mul(0x9E37_79B1).to_be_bytes();
            tx.put(table, &key, &[n as u8; 200]).unwrap();
        }
        tx.commit().unwrap();
    }
    if is_checkpointed {
        db.checkpoint().unwrap();
    }
    db.sync().unwrap();
    (vfs, db)
}

fn keys(db: &Database) -> Vec<Vec<u8>> {
    let table = db.table("rows").unwrap();
    let snapshot = db.snapshot();
    let rows = snapshot.scan(table, ..).unwrap();
    rows.map(|row| row.unwrap().0).collect()
}

/// The database opens on the full disk with all its rows, and can be emptied.
fn opens_and_can_be_emptied(files: &MemoryVfs, rows: u32) -> Result<(), String> {
    fill_disk(files);
    let db = open(files.clone()).map_err(|error| format!("open: {error}"))?;
    let keys = keys(&db);
    if keys.len() != rows as usize {
        return Err(format!("{} of {rows} rows", keys.len()));
    }
    let table = db.table("rows").unwrap();
    for batch in keys.chunks(50) {
        let mut tries = 0;
        loop {
            let mut tx = db.begin_with(nosync()).unwrap();
            batch
                .iter()
                .for_each(|key| assert!(tx.delete(table, key).unwrap()));
            let Err(error) = tx.commit() else { break };
            tries += 1;
            if !error.is_disk_full() || tries == 4 {
                return Err(format!("delete: {error}"));
            }
            db.gc(1);
            if let Err(error) = db.checkpoint()
                && !error.is_disk_full()
            {
                return Err(format!("checkpoint: {error}"));
            }
        }
    }
    assert_sound(&db);
    Ok(())
}

const ROWS: [u32; 3] = [20, 4000, 12_000];

#[derive(Clone, Copy, Debug)]
enum Step {
    Close,
    Compact,
    Checkpoint,
}

const STEPS: [Step; 3] = [Step::Close, Step::Compact, Step::Checkpoint];

impl Step {
    fn take(self, db: Database) -> engine::Result<()> {
        match self {
            Step::Close => db.close(),
            Step::Compact => db.compact().map(drop),
            Step::Checkpoint => db.checkpoint().map(drop),
        }
    }
}

fn assert_none(failed: &[String]) {
    assert!(failed.is_empty(), "{} failed\n{failed:#?}", failed.len());
}

#[test]
fn wherever_a_process_is_killed_while_it_closes_compacts_or_checkpoints() {
    let mut failed = Vec::new();
    for rows in ROWS {
        for step in STEPS {
            for is_checkpointed in [false, true] {
                let (vfs, db) = filled(rows, is_checkpointed);
                Watched::set(&vfs.copies, true);
                step.take(db).unwrap();
                Watched::set(&vfs.copies, false);
                let copied = std::mem::take(&mut *vfs.copied.lock().unwrap());
                assert!(is_checkpointed || copied.len() > 1, "{step:?} changes files");
                for (at, (what, files)) in copied.into_iter().enumerate() {
                    if let Err(error) = opens_and_can_be_emptied(&files, rows) {
                        failed.push(format!("{rows} rows, {step:?} {at}, before {what}: {error}"));
                    }
                }
            }
        }
    }
    assert_none(&failed);
}

#[test]
fn whatever_failed_while_it_was_closed_compacted_or_checkpointed() {
    let mut failed = Vec::new();
    for rows in ROWS {
        for step in STEPS {
            for is_checkpointed in [false, true] {
                let (vfs, db) = filled(rows, is_checkpointed);
                Watched::set(&vfs.is_broken, true);
                let answer = step.take(db);
                let files = vfs.files.fork();
                if let Err(error) = opens_and_can_be_emptied(&files, rows) {
                    failed.push(format!("{rows} rows, {step:?}: {answer:?}, then {error}"));
                }
            }
        }
    }
    assert_none(&failed);
}

#[test]
fn whoever_takes_what_is_given_back_meanwhile() {
    let mut failed = Vec::new();
    for rows in ROWS {
        for step in STEPS {
            for is_checkpointed in [false, true] {
                let (vfs, db) = filled(rows, is_checkpointed);
                fill_disk(&vfs.files);
                Watched::set(&vfs.takes, true);
                let answer = step.take(db);
                let files = vfs.files.fork();
                fill_disk(&files);
                match open(files) {
                    Ok(db) => assert_eq!(keys(&db).len(), rows as usize),
                    Err(error) => failed.push(format!("{rows} rows, {step:?}: {answer:?}, then {error}")),
                }
            }
        }
    }
    assert_none(&failed);
}
