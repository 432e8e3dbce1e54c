//! Open directories of the simulated file system.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::super::VfsFile;
use super::super::super::lock::Held;
use super::{FileId, State};

/// Directories are never moved or removed here, so they need not be told apart.
pub(super) const DIR_ID: FileId = FileId { device: 2, inode: 0 };

/// An open directory: its lock, and nothing else.
#[derive(Debug)]
pub(super) struct SimulatedDir {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    held: Mutex<Held>,
}

impl SimulatedDir {
    pub(super) fn new(state: &Arc<Mutex<State>>, dir: &Path) -> Self {
        Self {
            state: Arc::clone(state),
            path: dir.to_path_buf(),
            held: Mutex::default(),
        }
    }

    fn take_lock(&self, wanted: Held) -> bool {
        let mut held = self.held.lock();
        let mut state = self.state.lock();
        let lock = state.dir_locks.entry(self.path.clone()).or_default();
        lock.take(&mut held, wanted)
    }
}

impl VfsFile for SimulatedDir {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::IsADirectory.into())
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::IsADirectory.into())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::IsADirectory.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::IsADirectory.into())
    }

    fn sync_all(&self) -> io::Result<()> {
        Err(io::ErrorKind::IsADirectory.into())
    }

    fn try_lock(&self) -> io::Result<bool> {
        Ok(self.take_lock(Held::Exclusive))
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        Ok(self.take_lock(Held::Shared))
    }

    fn identity(&self) -> io::Result<FileId> {
        Ok(DIR_ID)
    }
}

impl Drop for SimulatedDir {
    fn drop(&mut self) {
        if let Some(lock) = self.state.lock().dir_locks.get_mut(&self.path) {
            lock.release(self.held.get_mut());
        }
    }
}
