//! A disk with sectors that cannot be read.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::forward::forward;

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
    forward!(files: remove, rename, exists, list, create_dir, sync_dir, wall_clock, monotonic, random);

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(File {
            file: self.files.open(path, mode)?,
            bad: (path == self.path).then(|| Arc::clone(&self.bad)),
        }))
    }
}

impl VfsFile for File {
    forward!(file: write_at, len, set_len, sync_data, sync_all, try_lock);

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
}
