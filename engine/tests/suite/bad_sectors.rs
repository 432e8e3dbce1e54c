//! A disk with sectors that cannot be read.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use engine::vfs::{MemoryVfs, OpenMode, Vfs, VfsFile};

/// Files in memory, of which some bytes of one file cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct BadSectors {
    files: MemoryVfs,
    path: PathBuf,
    bad: Arc<Mutex<Vec<Range<u64>>>>,
}

impl BadSectors {
    /// All sectors are good at first.
    pub(crate) fn new(files: &MemoryVfs, path: &Path) -> Self {
        Self {
            files: files.clone(),
            path: path.to_path_buf(),
            bad: Arc::default(),
        }
    }

    pub(crate) fn break_range(&self, range: Range<usize>) {
        self.bad
            .lock()
            .unwrap()
            .push(range.start as u64..range.end as u64);
    }
}

#[derive(Debug)]
struct File {
    file: Arc<dyn VfsFile>,
    bad: Option<Arc<Mutex<Vec<Range<u64>>>>>,
}

impl Vfs for BadSectors {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(File {
            file: self.files.open(path, mode)?,
            bad: (path == self.path).then(|| Arc::clone(&self.bad)),
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

impl VfsFile for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if let Some(bad) = &self.bad {
            let end = offset + buf.len() as u64;
            if bad
                .lock()
                .unwrap()
                .iter()
                .any(|bad| bad.start < end && offset < bad.end)
            {
                return Err(io::Error::other("a bad sector"));
            }
        }
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
        self.file.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
}
