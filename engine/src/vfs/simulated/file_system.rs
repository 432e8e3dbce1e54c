//! [`SimulatedVfs`]: the files as their users see them, with the disk underneath.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hashbrown::HashMap;
use parking_lot::{Mutex, MutexGuard};

use self::directory::{DIR_ID, SimulatedDir};
use super::super::lock::Lock;
use super::super::{FileId, OpenMode, Vfs, VfsFile};
use super::{
    Effect, FailedSync, Fault, Image, Inode, Medium, Operation, OperationKind, Survival, Trace, mix,
};
use crate::injected;
use crate::sync::{self, Instant};
use file::SimulatedFile;
use mistakes::Noted;

/// Wall-clock time at the start of every simulation, in seconds since the Unix epoch: nothing may depend on it.
const WALL_CLOCK_START_S: u64 = 1_700_000_000;

/// A simulated file system. A clone is another handle to the same files.
#[derive(Clone, Debug)]
pub struct SimulatedVfs {
    state: Arc<Mutex<State>>,
    start: Instant,
}

#[derive(Debug)]
struct State {
    names: BTreeMap<PathBuf, Inode>,
    dirs: BTreeSet<PathBuf>,
    dir_locks: BTreeMap<PathBuf, Lock>,
    files: HashMap<Inode, File>,
    medium: Medium,
    /// Operations so far.
    position: usize,
    recorded: Option<Trace>,
    next_inode: Inode,
    random_state: u64,
    counts: [u64; OperationKind::ALL.len()],
    faults: Vec<Fault>,
    faults_struck: u64,
    capacity_bytes: u64,
    is_off: bool,
    /// The mistake that is injected, if it is one that is made here.
    injected: Option<injected::Bug>,
}

/// A file that has a name or is open.
#[derive(Debug, Default)]
struct File {
    bytes: Arc<Vec<u8>>,
    lock: Lock,
    is_named: bool,
    handles: usize,
    noted: Noted,
}

impl SimulatedVfs {
    /// An empty file system with a root directory. The seed gives [`Vfs::random`].
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::from_image(&Image::with_dirs(["/"]), seed)
    }

    /// A file system that holds these files, durably.
    #[must_use]
    pub fn from_image(image: &Image, seed: u64) -> Self {
        Self::with_medium(Medium::new(image), 0, seed)
    }

    /// The file system of a machine that goes on after its process was killed, `position` operations from the start: all
    /// changes are there to be read, and those that were not durable still are not.
    #[must_use]
    pub fn after_kill(medium: &Medium, position: usize, seed: u64) -> Self {
        Self::with_medium(medium.clone(), position, seed)
    }

    fn with_medium(medium: Medium, position: usize, seed: u64) -> Self {
        let (dirs, names, contents) = medium.files();
        let mut files = HashMap::new();
        for (inode, bytes) in contents {
            let file = File {
                bytes,
                ..File::default()
            };
            files.insert(inode, file);
        }
        let next_inode = files.keys().max().map_or(0, |last| last + 1);
        files.retain(|inode, file| {
            file.is_named = names.values().any(|named| named == inode);
            file.is_named
        });
        Self {
            state: Arc::new(Mutex::new(State {
                names,
                dirs,
                dir_locks: BTreeMap::new(),
                files,
                medium,
                position,
                recorded: None,
                next_inode,
                random_state: seed,
                counts: [0; OperationKind::ALL.len()],
                faults: Vec::new(),
                faults_struck: 0,
                capacity_bytes: u64::MAX,
                is_off: false,
                injected: injected::current(),
            })),
            start: Instant::now(),
        }
    }

    /// Records from now on. What is there now is taken as durable.
    pub fn record(&self) {
        let mut state = self.state.lock();
        let initial = state.image();
        state.renumber(&initial);
        state.medium = Medium::new(&initial);
        state.position = 0;
        state.recorded = Some(Trace::from(state.medium.clone(), 0));
    }

    /// Records from now on, and what is not durable now still is not.
    pub fn record_on(&self) {
        let mut state = self.state.lock();
        state.recorded = Some(Trace::from(state.medium.clone(), state.position));
    }

    /// Number of operations so far; in a recording, the point in its trace.
    #[must_use]
    pub fn position(&self) -> usize {
        self.state.lock().position
    }

    /// Ends the recording and returns it; empty if there was none.
    #[must_use]
    pub fn take_trace(&self) -> Trace {
        self.state.lock().recorded.take().unwrap_or_default()
    }

    /// The files after a power loss now. The file system itself goes on.
    #[must_use]
    pub fn crash(&self, survival: Survival) -> Image {
        self.state.lock().medium.image(survival)
    }

    /// How many changes are not durable.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.state.lock().medium.pending()
    }

    /// Switches the power off, so that every operation fails and changes nothing, or on again. What the files hold is
    /// not touched: that is for [`SimulatedVfs::crash`].
    pub fn set_power(&self, is_on: bool) {
        self.state.lock().is_off = !is_on;
    }
}

impl State {
    fn used_bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes.len() as u64).sum()
    }

    /// The files as their users see them.
    fn image(&self) -> Image {
        let files = self.names.iter();
        Image {
            dirs: self.dirs.clone(),
            files: files
                .filter_map(|(path, inode)| Some((path.clone(), Arc::clone(&self.files.get(inode)?.bytes))))
                .collect(),
        }
    }

    /// Gives the files the inodes that a medium of `image` has. Nothing may be open.
    fn renumber(&mut self, image: &Image) {
        assert!(
            self.files.values().all(|file| file.handles == 0),
            "a recording begins while no file is open"
        );
        let mut files = HashMap::new();
        for (inode, path) in (0..).zip(image.files.keys()) {
            if let Some(before) = self.names.insert(path.clone(), inode)
                && let Some(file) = self.files.get_mut(&before)
            {
                files.insert(inode, std::mem::take(file));
            }
            self.next_inode = inode + 1;
        }
        self.files = files;
    }

    /// Counts an operation and lets a fault strike it: `Err` when it fails outright, an effect to be worked in otherwise.
    fn begin(&mut self, kind: OperationKind) -> io::Result<Option<Effect>> {
        if self.is_off {
            return Err(io::Error::other("the power is off"));
        }
        let nth = self.counts[kind as usize];
        self.counts[kind as usize] += 1;
        let Some(fault) = self.faults.iter().find(|fault| fault.strikes(kind, nth)) else {
            return Ok(None);
        };
        self.faults_struck += 1;
        match fault.effect {
            Effect::Error(error) => Err(io::Error::new(error, "injected fault")),
            effect => Ok(Some(effect)),
        }
    }

    fn log(&mut self, operation: Operation) {
        self.medium.apply(&operation, self.position);
        self.position += 1;
        if let Some(trace) = &mut self.recorded {
            trace.operations.push(operation);
        }
    }

    fn check_room(&self, inode: Inode, len: u64) -> io::Result<()> {
        if self.capacity_bytes == u64::MAX {
            return Ok(());
        }
        let now = self.bytes(inode).len() as u64;
        if len > now && self.used_bytes() + (len - now) > self.capacity_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn bytes(&self, inode: Inode) -> &[u8] {
        self.files.get(&inode).map_or(&[], |file| &file.bytes)
    }

    fn bytes_mut(&mut self, inode: Inode) -> &mut Vec<u8> {
        Arc::make_mut(&mut self.files.entry(inode).or_default().bytes)
    }

    fn write(&mut self, inode: Inode, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = start.checked_add(data.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        self.check_room(inode, end as u64)?;
        let bytes = self.bytes_mut(inode);
        if end > bytes.len() {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(data);
        self.note_write(inode, offset);
        self.log(Operation::Write {
            inode,
            offset,
            data: data.into(),
        });
        Ok(())
    }

    /// A failed sync.
    fn fail_sync(&mut self, inode: Inode, how: FailedSync) -> io::Result<()> {
        match how {
            FailedSync::KeptDirty => {}
            FailedSync::MarkedClean => self.log(Operation::SyncForgotten { inode }),
            FailedSync::Reverted => {
                if let Some(durable) = self.medium.durable(inode).cloned() {
                    self.files.entry(inode).or_default().bytes = durable;
                }
                self.log(Operation::SyncReverted { inode });
            }
        }
        if self.makes(injected::Bug::FailedSyncIgnored) {
            return Ok(());
        }
        Err(io::Error::other("injected sync failure"))
    }

    fn forget_unused(&mut self, inode: Inode) {
        if self
            .files
            .get(&inode)
            .is_some_and(|f| !f.is_named && f.handles == 0)
        {
            self.files.remove(&inode);
        }
    }

    fn unname(&mut self, inode: Inode) {
        if let Some(file) = self.files.get_mut(&inode) {
            file.is_named = false;
        }
        self.forget_unused(inode);
    }

    fn check_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if !self.dirs.contains(parent) => Err(io::ErrorKind::NotFound.into()),
            _ => Ok(()),
        }
    }
}

impl SimulatedVfs {
    /// An operation begins: others may have come before it.
    fn operation(&self) -> MutexGuard<'_, State> {
        sync::point();
        self.state.lock()
    }
}

impl Vfs for SimulatedVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let mut state = self.operation();
        state.begin(OperationKind::Open)?;
        if state.dirs.contains(path) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let inode = match state.names.get(path) {
            Some(inode) => *inode,
            None if mode.create && !mode.read_only => {
                state.check_parent(path)?;
                let inode = state.next_inode;
                state.next_inode += 1;
                state.names.insert(path.to_path_buf(), inode);
                let file = File {
                    is_named: true,
                    ..File::default()
                };
                state.files.insert(inode, file);
                state.log(Operation::Create {
                    path: path.to_path_buf(),
                    inode,
                });
                inode
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        let file = state.files.entry(inode).or_default();
        file.handles += 1;
        file.noted.opened(path);
        drop(state);
        Ok(Arc::new(SimulatedFile::new(Arc::clone(&self.state), inode, mode)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.operation();
        state.begin(OperationKind::Remove)?;
        let inode = state.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        state.log(Operation::Remove {
            path: path.to_path_buf(),
        });
        state.unname(inode);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.operation();
        state.begin(OperationKind::Rename)?;
        if state.dirs.contains(to) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        state.check_parent(to)?;
        let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        let replaced = state.names.insert(to.to_path_buf(), inode);
        state.log(Operation::Rename {
            from: from.to_path_buf(),
            to: to.to_path_buf(),
            inode,
        });
        if let Some(replaced) = replaced.filter(|&replaced| replaced != inode) {
            state.unname(replaced);
        }
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.operation();
        state.begin(OperationKind::List)?;
        Ok(state.names.contains_key(path) || state.dirs.contains(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut state = self.operation();
        state.begin(OperationKind::List)?;
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let in_dir = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(in_dir.cloned().collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.operation();
        state.begin(OperationKind::CreateDir)?;
        let ancestors: Vec<&Path> = dir.ancestors().collect();
        for path in ancestors.into_iter().rev() {
            if state.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if state.dirs.insert(path.to_path_buf()) {
                state.log(Operation::CreateDir {
                    path: path.to_path_buf(),
                });
            }
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.operation();
        if let Some(Effect::Sync(_) | Effect::Short) = state.begin(OperationKind::SyncDir)? {
            return Err(io::Error::other("injected sync failure"));
        }
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.forgets_names(dir) {
            return Ok(());
        }
        state.log(Operation::SyncDir {
            path: dir.to_path_buf(),
        });
        Ok(())
    }

    fn wall_clock(&self) -> SystemTime {
        let elapsed = Duration::from_millis(self.state.lock().position as u64);
        SystemTime::UNIX_EPOCH + Duration::from_secs(WALL_CLOCK_START_S) + elapsed
    }

    fn identity(&self, path: &Path) -> io::Result<FileId> {
        let state = self.state.lock();
        match state.names.get(path) {
            Some(inode) => Ok(file_id(*inode)),
            None if state.dirs.contains(path) => Ok(DIR_ID),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Arc<dyn VfsFile>> {
        if !self.state.lock().dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Arc::new(SimulatedDir::new(&self.state, dir)))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn random(&self) -> u64 {
        let mut state = self.state.lock();
        state.random_state = state.random_state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(state.random_state)
    }
}

fn file_id(inode: Inode) -> FileId {
    FileId {
        device: 1,
        inode: inode.into(),
    }
}

#[path = "controls.rs"]
mod controls;
#[path = "directory.rs"]
mod directory;
#[path = "file.rs"]
mod file;
#[path = "mistakes.rs"]
mod mistakes;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
