//! A file system whose log can be kept from becoming durable, so that commits wait, applied and not yet visible.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};

use engine::vfs::{MemoryVfs, OpenMode, Vfs, VfsFile};

#[derive(Debug, Default)]
struct Bar {
    is_closed: Mutex<bool>,
    opened: Condvar,
}

impl Bar {
    fn pass(&self) {
        let mut is_closed = self.is_closed.lock().unwrap();
        while *is_closed {
            is_closed = self.opened.wait(is_closed).unwrap();
        }
    }
}

/// Files in memory. While the gate is closed, a flush of the log does not return. (New segments are made with another
/// kind of sync, which passes: nobody waits while holding the applier.)
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    pub(super) files: MemoryVfs,
    bar: Arc<Bar>,
}

impl Gate {
    pub(super) fn over(files: MemoryVfs) -> Self {
        Self {
            files,
            bar: Arc::default(),
        }
    }

    pub(super) fn close(&self) {
        *self.bar.is_closed.lock().unwrap() = true;
    }

    pub(super) fn open(&self) {
        *self.bar.is_closed.lock().unwrap() = false;
        self.bar.opened.notify_all();
    }
}

#[derive(Debug)]
struct GatedFile {
    file: Arc<dyn VfsFile>,
    bar: Option<Arc<Bar>>,
}

impl Vfs for Gate {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let is_log = path.extension().is_some_and(|extension| extension == "wal");
        Ok(Arc::new(GatedFile {
            file: self.files.open(path, mode)?,
            bar: is_log.then(|| Arc::clone(&self.bar)),
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
}

impl VfsFile for GatedFile {
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
        if let Some(bar) = &self.bar {
            bar.pass();
        }
        self.file.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
}
