//! What keeps a file from growing is not always a full disk: a quota, a broken device. What was reserved is there all the same,
//! and what a refused commit had borrowed is kept again.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use engine::vfs::{MemoryVfs, OpenMode, Vfs, VfsFile};
use engine::{Database, Error, Options, Table};

use crate::common::{PATH, assert_sound, nosync};
use crate::forward::forward;

const ROWS: u32 = 20_000;
/// What refuses room, as [`Files::refusal`] has it.
const FULL: u8 = 0;
const BROKEN: u8 = 1;
const QUOTA: u8 = 2;

#[derive(Clone, Debug, Default)]
struct Files {
    files: MemoryVfs,
    refusal: Arc<AtomicU8>,
}

#[derive(Debug)]
struct QuotaFile {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    of: Files,
}

impl Files {
    fn told<T>(&self, answer: io::Result<T>) -> io::Result<T> {
        answer.map_err(|error| match error.kind() {
            ErrorKind::StorageFull if self.refusal.load(Ordering::SeqCst) == QUOTA => {
                ErrorKind::QuotaExceeded.into()
            }
            _ => error,
        })
    }

    fn refuse(&self, refusal: u8) {
        self.refusal.store(refusal, Ordering::SeqCst);
    }

    /// A compacted database of pages of 4 KiB with the smallest cache.
    fn database(&self) -> (Database, Table) {
        let options = Options::new().page_size(4096).cache_size(0).background(false);
        let db = options.vfs(Arc::new(self.clone())).open(PATH).unwrap();
        let table = db.create_table("rows").unwrap();
        for from in (0..ROWS).step_by(100) {
            write(&db, table, from..from + 100).unwrap();
        }
        db.compact().unwrap();
        (db, table)
    }
}

impl Vfs for Files {
    forward!(files: exists, list, create_dir, sync_dir, identity_of, open_dir, wall_clock, monotonic, random, remove, rename);

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(QuotaFile {
            file: self.told(self.files.open(path, mode))?,
            path: path.to_path_buf(),
            of: self.clone(),
        }))
    }
}

impl VfsFile for QuotaFile {
    forward!(file: read_at, len, sync_data, sync_all, try_lock, identity);

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.of.told(self.file.write_at(bytes, offset))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let is_broken = self.of.refusal.load(Ordering::SeqCst) == BROKEN && self.path == Path::new(PATH);
        if is_broken && len > self.file.len()? {
            return Err(io::Error::other("broken"));
        }
        self.of.told(self.file.set_len(len))
    }
}

fn write(db: &Database, table: Table, rows: impl IntoIterator<Item = u32>) -> engine::Result<()> {
    let mut tx = db.begin_with(nosync())?;
    for n in rows {
        tx.put(table, &n.to_be_bytes(), &vec![n as u8; 300])?;
    }
    tx.commit().map(drop)
}

#[test]
fn a_commit_is_refused_or_done_whatever_keeps_the_file_from_growing() {
    for refusal in [FULL, BROKEN, QUOTA] {
        for more in [0, 256 << 10] {
            let vfs = Files::default();
            let (db, table) = vfs.database();
            vfs.refuse(refusal);
            vfs.files.set_capacity(Some(vfs.files.used_bytes() + more));
            let (mut refused, mut done) = (0, 0);
            for round in 0..100u32 {
                let rows = (0..1 + round % 60).map(|n| (round * 97 + n * 1999) % ROWS);
                match write(&db, table, rows) {
                    Ok(()) => done += 1,
                    Err(error @ Error::Poisoned { .. }) => {
                        panic!("refusal {refusal}, {more}, {round}: {error}")
                    }
                    Err(error) => {
                        assert!(error.is_disk_full() || refusal == BROKEN, "{error}");
                        refused += 1;
                    }
                }
            }
            assert!(
                refused > 0 && done > 0,
                "refusal {refusal}, {more}: {refused} refused, {done} done"
            );
            // With the smallest cache a verification has to write pages out.
            vfs.refuse(FULL);
            vfs.files.set_capacity(None);
            assert_sound(&db);
        }
    }
}

#[test]
fn what_a_refused_commit_has_borrowed_is_kept_again() {
    for refusal in [FULL, BROKEN, QUOTA] {
        let vfs = Files::default();
        let (db, table) = vfs.database();
        let kept = |db: &Database| {
            let info = db.storage_info();
            info.file_bytes - info.live_bytes - info.free_bytes - info.pending_bytes
        };
        let before = kept(&db);
        let mut refused = 0;
        for round in 0..6 {
            vfs.refuse(refusal);
            vfs.files
                .set_capacity((refusal != BROKEN).then_some(vfs.files.used_bytes()));
            // New rows take all room that is free.
            let first = ROWS + round * 10_000;
            let taken = (first..).take_while(|&n| write(&db, table, [n]).is_ok()).count();
            assert!(taken < 10_000);
            let _refused = db.checkpoint();
            refused += (0..10)
                .filter(|_| write(&db, table, (0..60).map(|n| n * 331)).is_err())
                .count();
            vfs.refuse(FULL);
            vfs.files.set_capacity(None);
            db.checkpoint().unwrap();
            db.compact().unwrap();
        }
        assert!(refused > 0, "refusal {refusal}");
        let after = kept(&db);
        assert!(
            after <= before + (64 << 10),
            "refusal {refusal}: {before} bytes were kept, {after} are"
        );
        assert_sound(&db);
    }
}
