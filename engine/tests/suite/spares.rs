//! A checkpoint removes log files that are needed no more just while a commit looks whether its spares are still there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use engine::vfs::{FileId, MemoryVfs, OpenMode, Vfs, VfsFile};
use engine::{Options, WalSync};

use crate::common::PATH;

type Act = Box<dyn FnOnce() + Send>;

/// Something to be done once.
#[derive(Clone, Default)]
struct Hook(Arc<Mutex<Option<Act>>>);

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

impl Hook {
    fn set(&self, act: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(act));
    }

    fn act(&self) {
        let act = self.0.lock().unwrap().take();
        if let Some(act) = act {
            act();
        }
    }
}

/// Files in memory; something can be done at the next sync of the data file, and when the next log file is looked at.
#[derive(Clone, Debug, Default)]
struct HookedVfs {
    files: MemoryVfs,
    at_sync: Hook,
    at_look: Hook,
}

#[derive(Debug)]
struct HookedFile {
    file: Arc<dyn VfsFile>,
    at_sync: Option<Hook>,
}

impl Vfs for HookedVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(HookedFile {
            file: self.files.open(path, mode)?,
            at_sync: (path == Path::new(PATH)).then(|| self.at_sync.clone()),
        }))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.files.exists(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.files.list(dir)
    }
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.files.create_dir(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.files.sync_dir(dir)
    }
    fn wall_clock(&self) -> SystemTime {
        self.files.wall_clock()
    }
    fn monotonic(&self) -> Duration {
        self.files.monotonic()
    }
    fn random(&self) -> u64 {
        self.files.random()
    }
    fn identity(&self, path: &Path) -> io::Result<FileId> {
        if path.extension().is_some_and(|end| end == "wal") {
            self.at_look.act();
        }
        self.files.identity(path)
    }
}

impl VfsFile for HookedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(buf, offset)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        if let Some(hook) = &self.at_sync {
            hook.act();
        }
        self.file.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
    fn identity(&self) -> io::Result<FileId> {
        self.file.identity()
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
}

#[test]
fn spares_that_a_checkpoint_removes_meanwhile_are_not_missed() {
    let vfs = HookedVfs::default();
    let options = Options::new()
        .page_size(4096)
        .background(false)
        .wal_segment_size(256 << 10)
        .wal_sync(WalSync::Fdatasync);
    let db = options.vfs(Arc::new(vfs.clone())).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    for n in 0..20u32 {
        db.write(|tx| tx.put(table, &n.to_be_bytes(), &vec![1; 200_000]))
            .unwrap();
    }
    let files = || vfs.files.list(Path::new("/test.db-wal")).unwrap().len();
    db.checkpoint().unwrap();
    let spares = files();
    assert!(spares > 10, "what the load needed is kept: {spares}");
    db.write(|tx| tx.put(table, b"a", b"small")).unwrap();

    let (in_sync, is_in_sync) = channel();
    let (go_on, may_go_on) = channel();
    let (end, has_ended) = channel();
    vfs.at_sync.set(move || {
        in_sync.send(()).unwrap();
        may_go_on.recv().unwrap();
    });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            db.checkpoint().unwrap();
            end.send(()).unwrap();
        });
        is_in_sync.recv().unwrap();
        vfs.at_look.set(move || {
            go_on.send(()).unwrap();
            has_ended.recv().unwrap();
        });
        db.write(|tx| tx.put(table, b"big", &vec![2; 300_000])).unwrap();
    });
    assert!(files() < spares, "some were removed");
}
