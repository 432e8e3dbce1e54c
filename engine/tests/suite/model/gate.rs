//! A file system whose log can be kept from becoming durable, so that commits wait, applied and not yet visible.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use crate::forward::forward;

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
    forward!(files: remove, rename, exists, list, create_dir, sync_dir, wall_clock, monotonic, random);

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let is_log = path.extension().is_some_and(|extension| extension == "wal");
        Ok(Arc::new(GatedFile {
            file: self.files.open(path, mode)?,
            bar: is_log.then(|| Arc::clone(&self.bar)),
        }))
    }
}

impl VfsFile for GatedFile {
    forward!(file: read_at, write_at, len, set_len, sync_all, try_lock);

    fn sync_data(&self) -> io::Result<()> {
        if let Some(bar) = &self.bar {
            bar.pass();
        }
        self.file.sync_data()
    }
}
