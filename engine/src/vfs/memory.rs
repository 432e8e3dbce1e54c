//! Files in memory, for tests and for databases that need not outlive the process.
//!
//! Cloning a [`MemoryVfs`] gives another handle to the same files, so a test can drop a database and open it again.
//! Names behave as on POSIX: a removed or replaced file lives on for those who have it open; directories come into
//! being with their first file or by `create_dir`. Locks exclude other handles of the same file, in this process.
//! There is no `O_DIRECT`. Writes are never lost here: this is not a simulation of power loss.
//!
//! Two faults can be set: a capacity in bytes, past which growing a file fails with `StorageFull`
//! ([`MemoryVfs::set_capacity`]), and one failing sync ([`MemoryVfs::fail_next_sync`]).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, RwLock};

use super::lock::{Held, Lock};
use super::{FileId, OpenMode, Vfs, VfsFile};
use crate::sync::Instant;

/// Files in memory. A clone is another handle to the same files.
#[derive(Clone, Debug)]
pub struct MemoryVfs {
    names: Arc<Mutex<Names>>,
    device: Arc<Device>,
}

#[derive(Debug, Default)]
struct Names {
    files: BTreeMap<PathBuf, Arc<Node>>,
    dirs: BTreeMap<PathBuf, Arc<Node>>,
}

/// What all files share: room, faults, time and randomness.
#[derive(Debug)]
struct Device {
    used_bytes: AtomicU64,
    capacity_bytes: AtomicU64,
    fail_next_sync: AtomicBool,
    random_state: AtomicU64,
    next_inode: AtomicU64,
    start: Instant,
}

/// One file, which several names (over time) and handles can refer to, or a directory, which has no bytes.
#[derive(Debug)]
struct Node {
    inode: u64,
    bytes: RwLock<Vec<u8>>,
    lock: Mutex<Lock>,
    device: Arc<Device>,
}

/// An open file.
#[derive(Debug)]
struct MemoryFile {
    node: Arc<Node>,
    mode: OpenMode,
    held: Mutex<Held>,
}

impl Node {
    fn new(device: &Arc<Device>, bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            inode: device.next_inode.fetch_add(1, Ordering::Relaxed),
            bytes: RwLock::new(bytes),
            lock: Mutex::default(),
            device: Arc::clone(device),
        })
    }

    fn id(&self) -> FileId {
        FileId {
            device: 1,
            inode: self.inode,
        }
    }
}

impl Default for MemoryVfs {
    fn default() -> Self {
        Self::with_seed(0x5041_4C49_4D50_5345)
    }
}

impl MemoryVfs {
    /// An empty file system whose [`Vfs::random`] gives the same numbers for the same seed.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self {
            names: Arc::default(),
            device: Arc::new(Device {
                used_bytes: AtomicU64::new(0),
                capacity_bytes: AtomicU64::new(u64::MAX),
                fail_next_sync: AtomicBool::new(false),
                random_state: AtomicU64::new(seed),
                next_inode: AtomicU64::new(1),
                start: Instant::now(),
            }),
        }
    }

    /// A copy of all files as they are now, unlocked: what another process would find if this one were killed.
    #[must_use]
    pub fn fork(&self) -> Self {
        let fork = Self::with_seed(self.random());
        {
            let (mut names, own) = (fork.names.lock(), self.names.lock());
            for dir in own.dirs.keys() {
                names.add_dir(dir, &fork.device);
            }
            for (path, node) in &own.files {
                let bytes = node.bytes.read().clone();
                fork.device
                    .used_bytes
                    .fetch_add(bytes.len() as u64, Ordering::SeqCst);
                names.files.insert(path.clone(), Node::new(&fork.device, bytes));
            }
        }
        fork
    }

    /// Limits the sum of all file lengths, in bytes; growing a file past it fails with `StorageFull`. `None` lifts it.
    pub fn set_capacity(&self, capacity_bytes: Option<u64>) {
        self.device
            .capacity_bytes
            .store(capacity_bytes.unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Sum of the lengths of all files, in bytes.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.device.used_bytes.load(Ordering::SeqCst)
    }

    /// Makes the next sync of any file or directory (or the next write to a file opened with `dsync`) fail, once.
    pub fn fail_next_sync(&self) {
        self.device.fail_next_sync.store(true, Ordering::SeqCst);
    }
}

impl Device {
    /// Takes `bytes` of room.
    fn take(&self, bytes: u64) -> io::Result<()> {
        let capacity = self.capacity_bytes.load(Ordering::SeqCst);
        self.used_bytes
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
                used.checked_add(bytes).filter(|&sum| sum <= capacity)
            })
            .map(|_| ())
            .map_err(|_| io::ErrorKind::StorageFull.into())
    }

    fn give_back(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::SeqCst);
    }

    fn sync(&self) -> io::Result<()> {
        if self.fail_next_sync.swap(false, Ordering::SeqCst) {
            return Err(io::Error::other("injected sync failure"));
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.device.give_back(self.bytes.get_mut().len() as u64);
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        self.node.lock.lock().release(self.held.get_mut());
    }
}

impl Names {
    fn add_dir(&mut self, dir: &Path, device: &Arc<Device>) {
        for ancestor in dir.ancestors() {
            if self.dirs.contains_key(ancestor) {
                break;
            }
            self.dirs
                .insert(ancestor.to_path_buf(), Node::new(device, Vec::new()));
        }
    }
}

impl Vfs for MemoryVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        if mode.direct {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut names = self.names.lock();
        if names.dirs.contains_key(path) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let node = match names.files.get(path) {
            Some(node) => Arc::clone(node),
            None if mode.create && !mode.read_only => {
                if let Some(parent) = path.parent() {
                    names.add_dir(parent, &self.device);
                }
                let node = Node::new(&self.device, Vec::new());
                names.files.insert(path.to_path_buf(), Arc::clone(&node));
                node
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(MemoryFile {
            node,
            mode,
            held: Mutex::default(),
        }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self.names.lock().files.remove(path);
        removed.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names.lock();
        if names.dirs.contains_key(to) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let node = names.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        if let Some(parent) = to.parent() {
            names.add_dir(parent, &self.device);
        }
        names.files.insert(to.to_path_buf(), node);
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let names = self.names.lock();
        Ok(names.files.contains_key(path) || names.dirs.contains_key(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let names = self.names.lock();
        if !names.dirs.contains_key(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let in_dir = names.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(in_dir.cloned().collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut names = self.names.lock();
        if names.files.contains_key(dir) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        names.add_dir(dir, &self.device);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if !self.names.lock().dirs.contains_key(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.device.sync()
    }

    fn identity(&self, path: &Path) -> io::Result<FileId> {
        let names = self.names.lock();
        let node = names.files.get(path).or_else(|| names.dirs.get(path));
        node.map(|node| node.id())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let names = self.names.lock();
        let node = names.dirs.get(dir).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile {
            node: Arc::clone(node),
            mode: OpenMode {
                read_only: true,
                ..OpenMode::default()
            },
            held: Mutex::default(),
        }))
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        self.device.start.elapsed()
    }

    fn random(&self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let state = self.device.random_state.fetch_add(STEP, Ordering::SeqCst);
        let mut z = state.wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl MemoryFile {
    fn take_lock(&self, wanted: Held) -> bool {
        let mut held = self.held.lock();
        self.node.lock.lock().take(&mut held, wanted)
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.mode.read_only {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(())
    }
}

impl VfsFile for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.node.bytes.read();
        let tail = usize::try_from(offset)
            .ok()
            .and_then(|start| bytes.get(start..))
            .unwrap_or_default();
        let len = tail.len().min(buf.len());
        buf[..len].copy_from_slice(&tail[..len]);
        Ok(len)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        if buf.is_empty() {
            return Ok(());
        }
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = start.checked_add(buf.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        let mut bytes = self.node.bytes.write();
        if end > bytes.len() {
            self.node.device.take((end - bytes.len()) as u64)?;
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(buf);
        drop(bytes);
        if self.mode.dsync {
            self.node.device.sync()?;
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.node.bytes.read().len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = self.node.bytes.write();
        if len > bytes.len() {
            self.node.device.take((len - bytes.len()) as u64)?;
        } else {
            self.node.device.give_back((bytes.len() - len) as u64);
        }
        bytes.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.node.device.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.node.device.sync()
    }

    fn try_lock(&self) -> io::Result<bool> {
        Ok(self.take_lock(Held::Exclusive))
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        Ok(self.take_lock(Held::Shared))
    }

    fn identity(&self) -> io::Result<FileId> {
        Ok(self.node.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATE: OpenMode = OpenMode {
        create: true,
        read_only: false,
        direct: false,
        dsync: false,
    };

    #[test]
    fn keeps_the_contract() {
        super::super::contract::check(&MemoryVfs::default(), Path::new("/db"));
    }

    #[test]
    fn a_clone_sees_the_same_files_and_locks() {
        let vfs = MemoryVfs::default();
        let path = Path::new("/db/data");
        let file = vfs.open(path, CREATE).unwrap();
        file.write_at(b"abc", 0).unwrap();
        assert!(file.try_lock().unwrap());
        let other = vfs.clone().open(path, OpenMode::default()).unwrap();
        assert_eq!(other.len().unwrap(), 3);
        assert!(!other.try_lock().unwrap());
    }

    #[test]
    fn capacity_bounds_growth_and_removal_frees_it() {
        let vfs = MemoryVfs::default();
        vfs.set_capacity(Some(100));
        let file = vfs.open(Path::new("/a"), CREATE).unwrap();
        file.write_at(&[1; 60], 0).unwrap();
        let error = file.write_at(&[2; 60], 50).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.len().unwrap(), 60, "a refused write changes nothing");
        file.write_at(&[3; 60], 0).unwrap();
        assert_eq!(file.set_len(101).unwrap_err().kind(), io::ErrorKind::StorageFull);
        vfs.remove(Path::new("/a")).unwrap();
        assert_eq!(vfs.used_bytes(), 60, "still open");
        drop(file);
        assert_eq!(vfs.used_bytes(), 0);
    }

    #[test]
    fn one_sync_fails_when_asked() {
        let vfs = MemoryVfs::default();
        let file = vfs.open(Path::new("/a"), CREATE).unwrap();
        vfs.fail_next_sync();
        assert!(file.sync_data().is_err());
        assert!(file.sync_data().is_ok());
        let dsync = vfs
            .open(
                Path::new("/a"),
                OpenMode {
                    dsync: true,
                    ..CREATE
                },
            )
            .unwrap();
        vfs.fail_next_sync();
        assert!(dsync.write_at(b"x", 0).is_err());
        vfs.fail_next_sync();
        assert!(vfs.sync_dir(Path::new("/")).is_err());
    }

    #[test]
    fn direct_is_refused_and_read_only_is_kept() {
        let vfs = MemoryVfs::default();
        let direct = OpenMode {
            direct: true,
            ..CREATE
        };
        assert_eq!(
            vfs.open(Path::new("/a"), direct).unwrap_err().kind(),
            io::ErrorKind::Unsupported
        );
        vfs.open(Path::new("/a"), CREATE).unwrap();
        let read_only = OpenMode {
            read_only: true,
            ..OpenMode::default()
        };
        let file = vfs.open(Path::new("/a"), read_only).unwrap();
        assert_eq!(
            file.write_at(b"x", 0).unwrap_err().kind(),
            io::ErrorKind::PermissionDenied
        );
    }

    #[test]
    fn randomness_follows_the_seed() {
        let (a, b, c) = (
            MemoryVfs::with_seed(1),
            MemoryVfs::with_seed(1),
            MemoryVfs::with_seed(2),
        );
        let first = a.random();
        assert_eq!(first, b.random());
        assert_ne!(first, c.random());
        assert_ne!(first, a.random());
    }
}
