//! Every file operation, the clock and randomness of the engine go through [`Vfs`] and [`VfsFile`], so that a
//! test can put memory, a simulated power loss or an injected fault under the whole engine.
//!
//! The contract is POSIX's, stated once: a write is volatile until `sync_data` or `sync_all` of that file returns
//! (or at once when the file was opened with [`OpenMode::dsync`]); a created, renamed or removed name is volatile
//! until `sync_dir` of its directory returns; a failed sync leaves the state of the unsynced bytes unknown.

#[cfg(test)]
mod contract;
mod lock;
mod memory;
mod os;
pub mod simulated;

pub use memory::MemoryVfs;
pub use os::OsVfs;
pub use simulated::SimulatedVfs;

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};

/// How to open a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenMode {
    /// Create it when it does not exist.
    pub create: bool,
    /// Open for reading only; implies no creation.
    pub read_only: bool,
    /// Bypass the page cache (`O_DIRECT`): offsets, lengths and buffer addresses must be multiples of 4096.
    /// Opening fails with `Unsupported` or `InvalidInput` where the file system cannot do it.
    pub direct: bool,
    /// Every write is durable when it returns (`O_DSYNC`).
    pub dsync: bool,
}

/// Which file or directory it is, whatever its name: a name that leads to another one was moved or replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device.
    pub device: u64,
    /// The inode on it.
    pub inode: u64,
}

/// An open file. Methods take `&self` and may be called from several threads.
pub trait VfsFile: Send + Sync + Debug {
    /// Reads up to `buf.len()` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `buf` at `offset`, growing the file as needed.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// Current length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Sets the length, cutting or zero-filling.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes the written bytes, and the length needed to read them, durable.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes bytes and all metadata durable.
    fn sync_all(&self) -> io::Result<()>;
    /// Takes the exclusive advisory lock of this file; `false` when somebody else holds it. Released on drop.
    fn try_lock(&self) -> io::Result<bool>;
    /// Takes the lock shared with others that only read; `false` when somebody holds it exclusively. Released on drop.
    /// Without a lock of that kind the exclusive one is taken.
    fn try_lock_shared(&self) -> io::Result<bool> {
        self.try_lock()
    }
    /// Which file it is; the same for all where there are no such numbers.
    fn identity(&self) -> io::Result<FileId> {
        Ok(FileId::default())
    }
}

/// A file system, a clock and a source of random seeds.
pub trait Vfs: Send + Sync + Debug {
    /// Opens (or creates) a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Renames a file, replacing the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Whether a file or directory exists.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// The files of a directory, full paths, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
    /// Creates a directory and its parents; no error when it exists.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// The path without links and relative parts, so that it means the same from wherever it is used later. The file need
    /// not exist, its directory must. The path itself where there are no links.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }
    /// Which file or directory the name leads to; the same for all where there are no such numbers.
    fn identity(&self, path: &Path) -> io::Result<FileId> {
        let _ = path;
        Ok(FileId::default())
    }
    /// Opens a directory, for its lock and its identity only. `Unsupported` where directories have no locks.
    fn open_dir(&self, dir: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let _ = dir;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Wall-clock time, for timestamps only.
    fn wall_clock(&self) -> SystemTime;
    /// Time since an arbitrary start that never goes back.
    fn monotonic(&self) -> Duration;
    /// A random number (log salts).
    fn random(&self) -> u64;
}

/// Checks that `path` still leads to the file or directory that it led to, where that can be told.
///
/// # Errors
/// [`Error::Moved`] when it does not, [`Error::Io`] when that cannot be told.
pub(crate) fn check_identity(vfs: &dyn Vfs, path: &Path, id: FileId) -> Result<()> {
    let unknown = FileId::default();
    if id == unknown {
        return Ok(());
    }
    match vfs.identity(path) {
        Ok(found) if found == id || found == unknown => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("look at", path, error)),
        _ => Err(Error::Moved {
            path: path.to_path_buf(),
        }),
    }
}

/// Reads exactly `buf.len()` bytes at `offset`, looping over short reads; `UnexpectedEof` when the file ends first.
pub fn read_exact_at(file: &dyn VfsFile, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match file.read_at(buf, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
