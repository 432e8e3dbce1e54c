//! The operating system's files: positioned reads and writes, `fdatasync`, `flock`, and on Linux `O_DIRECT` and
//! `O_DSYNC`. Every call that a signal may interrupt is repeated, so callers never see `Interrupted`.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{FallocateFlags, FlockOperation, OFlags};

use super::{FileId, OpenMode, Vfs, VfsFile};

/// The operating system's files, clock and randomness.
#[derive(Clone, Debug)]
pub struct OsVfs {
    start: Instant,
}

impl Default for OsVfs {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

/// An open file of the operating system; closing it (drop) releases its lock.
#[derive(Debug)]
struct OsFile {
    file: File,
    is_locked: AtomicBool,
}

impl From<File> for OsFile {
    fn from(file: File) -> Self {
        Self {
            file,
            is_locked: AtomicBool::new(false),
        }
    }
}

impl Drop for OsFile {
    fn drop(&mut self) {
        if *self.is_locked.get_mut() {
            // Closing alone would leave the lock to a child that another thread has just forked, until it executes its
            // program.
            let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
        }
    }
}

/// The `open` flags beyond read, write and create; `Unsupported` for direct writes where there is no `O_DIRECT`.
fn extra_flags(mode: OpenMode) -> io::Result<OFlags> {
    let mut flags = OFlags::CLOEXEC;
    if mode.dsync {
        flags |= OFlags::DSYNC;
    }
    if mode.direct {
        #[cfg(target_os = "linux")]
        {
            flags |= OFlags::DIRECT;
        }
        #[cfg(not(target_os = "linux"))]
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "direct writes need Linux",
        ));
    }
    Ok(flags)
}

/// The path to open for a directory: the empty parent of a bare file name means the current directory.
fn directory(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

/// Links to links to follow where nothing is at the end, as the kernel does.
const LINKS_MAX: usize = 40;

fn id_of(metadata: &fs::Metadata) -> FileId {
    FileId {
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

impl OsFile {
    fn flock(&self, operation: FlockOperation) -> io::Result<bool> {
        loop {
            match rustix::fs::flock(&self.file, operation) {
                Ok(()) => {
                    self.is_locked.store(true, Ordering::Relaxed);
                    return Ok(true);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Vfs for OsVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(!mode.read_only)
            .create(mode.create && !mode.read_only)
            .truncate(false)
            .custom_flags(extra_flags(mode)?.bits() as i32)
            .open(path)?;
        Ok(Arc::new(OsFile::from(file)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory(dir))? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                files.push(dir.join(entry.file_name()));
            }
        }
        files.sort();
        Ok(files)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(directory(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(directory(dir))?.sync_all()
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut path = path.to_path_buf();
        for _ in 0..LINKS_MAX {
            match fs::canonicalize(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                answer => return answer,
            }
            // A file that does not exist yet, or a link to one: creating it creates what the link names.
            let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            let parent = fs::canonicalize(directory(path.parent().unwrap_or(Path::new(""))))?;
            let place = parent.join(name);
            match fs::read_link(&place) {
                Ok(target) => path = parent.join(target),
                Err(_) => return Ok(place),
            }
        }
        Err(io::Error::other("too many symbolic links"))
    }

    fn identity(&self, path: &Path) -> io::Result<FileId> {
        fs::metadata(directory(path)).map(|metadata| id_of(&metadata))
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let file = File::open(directory(dir))?;
        Ok(Arc::new(OsFile::from(file)))
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn random(&self) -> u64 {
        // Each `RandomState` has keys that no earlier one had, drawn from the operating system's randomness.
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u128(self.start.elapsed().as_nanos());
        hasher.write_u32(std::process::id());
        hasher.finish()
    }
}

impl VfsFile for OsFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.file.read_at(&mut buf[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let now = self.file.metadata()?.len();
        if len > now {
            // With its blocks, so that a full device is found here and not by a later write into the new part. Not
            // every file system can.
            match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), now, len - now) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
                Err(e) => {
                    // It may have got some of the way.
                    self.file.set_len(now)?;
                    return Err(e.into());
                }
            }
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.flock(FlockOperation::NonBlockingLockExclusive)
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        self.flock(FlockOperation::NonBlockingLockShared)
    }

    fn identity(&self) -> io::Result<FileId> {
        self.file.metadata().map(|metadata| id_of(&metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_contract() {
        let dir = tempfile::tempdir().unwrap();
        super::super::contract::check(&OsVfs::default(), dir.path());
    }

    #[test]
    fn direct_writes_where_the_file_system_can() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = OsVfs::default();
        let path = dir.path().join("direct");
        let mode = OpenMode {
            create: true,
            direct: true,
            dsync: true,
            ..OpenMode::default()
        };
        match vfs.open(&path, mode) {
            Ok(file) => {
                // A vector of blocks of this alignment is what the log writes from.
                #[derive(Clone, Copy)]
                #[repr(C, align(4096))]
                struct Block([u8; 4096]);
                let block = Box::new(Block([7; 4096]));
                file.write_at(&block.0, 4096).unwrap();
                assert_eq!(file.len().unwrap(), 8192);
                assert!(file.write_at(&block.0[..100], 0).is_err(), "unaligned length");
            }
            Err(e) => assert!(
                matches!(e.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput),
                "{e}"
            ),
        }
    }

    #[test]
    fn a_read_only_file_cannot_be_written_or_created() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = OsVfs::default();
        let path = dir.path().join("f");
        let read_only = OpenMode {
            create: true,
            read_only: true,
            ..OpenMode::default()
        };
        assert_eq!(
            vfs.open(&path, read_only).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        fs::write(&path, b"abc").unwrap();
        let file = vfs.open(&path, read_only).unwrap();
        assert!(file.write_at(b"x", 0).is_err());
    }

    #[test]
    fn random_numbers_differ() {
        let vfs = OsVfs::default();
        assert_ne!(vfs.random(), vfs.random());
    }
}
