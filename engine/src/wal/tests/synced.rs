//! Files in memory that remember, for each file, the bytes as of its last sync: what is certain to be on the disk.
//! Names are taken as durable at once.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::{Image, image};
use crate::vfs::{MemoryVfs, OpenMode, Vfs, VfsFile, read_exact_at};

/// The bytes of a file at its last sync.
type Synced = Arc<Mutex<Vec<u8>>>;

#[derive(Clone, Debug)]
pub(super) struct SyncedVfs {
    inner: MemoryVfs,
    files: Arc<Mutex<BTreeMap<PathBuf, Synced>>>,
}

#[derive(Debug)]
struct SyncedFile {
    inner: Arc<dyn VfsFile>,
    synced: Synced,
}

impl SyncedVfs {
    /// Takes over files, all synced.
    pub(super) fn new(inner: MemoryVfs, files: &Image) -> Self {
        let files = files
            .iter()
            .map(|(path, bytes)| (path.clone(), Arc::new(Mutex::new(bytes.clone()))));
        Self {
            inner,
            files: Arc::new(Mutex::new(files.collect())),
        }
    }

    /// All files: the bytes as written, and as of the last sync (zeros where that knew of none).
    pub(super) fn images(&self) -> (Image, Image) {
        let written = image(&self.inner);
        let files = self.files.lock().unwrap();
        let synced = written.iter().map(|(path, bytes)| {
            let mut synced = files[path].lock().unwrap().clone();
            synced.resize(bytes.len(), 0);
            (path.clone(), synced)
        });
        (synced.collect(), written.clone())
    }
}

impl Vfs for SyncedVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let inner = self.inner.open(path, mode)?;
        let mut files = self.files.lock().unwrap();
        let synced = Arc::clone(files.entry(path.to_path_buf()).or_default());
        Ok(Arc::new(SyncedFile { inner, synced }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.lock().unwrap().remove(path);
        self.inner.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files.lock().unwrap();
        let synced = files.remove(from).unwrap_or_default();
        files.insert(to.to_path_buf(), synced);
        self.inner.rename(from, to)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.inner.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn wall_clock(&self) -> SystemTime {
        self.inner.wall_clock()
    }

    fn monotonic(&self) -> Duration {
        self.inner.monotonic()
    }

    fn random(&self) -> u64 {
        self.inner.random()
    }
}

impl VfsFile for SyncedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_at(buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()?;
        let mut bytes = vec![0; self.inner.len()? as usize];
        read_exact_at(&*self.inner, &mut bytes, 0)?;
        *self.synced.lock().unwrap() = bytes;
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.inner.try_lock()
    }
}
