//! A file system in memory that knows what is durable: the kernel's inodes on top of the simulated disk.
//!
//! [`SimulatedVfs`] has names and open files; the kernel speaks of inodes. Here each file and directory that the kernel
//! may name has a [`Node`], which stays as long as it has a name or is open. What may survive a power loss is the
//! simulated disk's business alone.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use engine::vfs::simulated::{Image, Survival, choices};
use engine::vfs::{OpenMode, SimulatedVfs, Vfs as _, VfsFile};

/// The root directory's number, which the kernel takes for granted.
pub(super) const ROOT: u64 = 1;
/// Survival choices to draw from: at least so many, and of each family so many.
const CHOICES: (usize, usize) = (16, 4);

/// Files and directories by number.
#[derive(Debug)]
pub(super) struct Disk {
    vfs: SimulatedVfs,
    nodes: HashMap<u64, Node>,
    next: u64,
    /// It says that it synced, and did not.
    lies: bool,
}

/// What the kernel calls an inode.
#[derive(Debug)]
struct Node {
    /// Where it is; `None` when it was removed and is still open.
    path: Option<PathBuf>,
    /// `None` for a directory.
    file: Option<Handles>,
    mode: u16,
    opened: u64,
    changed: SystemTime,
}

#[derive(Clone, Debug)]
struct Handles {
    plain: Arc<dyn VfsFile>,
    /// Writes through this one are durable when they return.
    synced: Arc<dyn VfsFile>,
}

/// What the kernel wants to know about a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    /// Its number.
    pub node: u64,
    /// Length in bytes; 0 for a directory.
    pub len: u64,
    /// It is a directory.
    pub is_dir: bool,
    /// Permission bits.
    pub mode: u16,
    /// Time of the last change.
    pub changed: SystemTime,
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk {
    /// A disk that holds the files of a real directory, durably.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(super) fn import(directory: &Path) -> io::Result<Self> {
        let mut image = Image::with_dirs(["/"]);
        read_tree(directory, Path::new("/"), &mut image)?;
        let mut disk = Self {
            vfs: SimulatedVfs::from_image(&image, 0),
            nodes: HashMap::new(),
            next: ROOT,
            lies: false,
        };
        for path in &image.dirs {
            disk.add(path.clone(), None, 0o755);
        }
        for path in image.files.keys() {
            let file = disk.handles(path, false)?;
            disk.add(path.clone(), Some(file), 0o644);
        }
        Ok(disk)
    }

    /// From now on it acknowledges every sync and ignores it.
    pub(super) fn lie(&mut self) {
        self.lies = true;
    }

    /// Writes the files that a power loss now leaves to a real directory. The seed chooses among what may survive.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn export(&self, seed: u64, target: &Path) -> io::Result<Survival> {
        let choices = choices(self.pending(), CHOICES.0, CHOICES.1, seed);
        let survival = choices[(seed % choices.len() as u64) as usize];
        self.vfs.crash(survival).export(target)?;
        Ok(survival)
    }

    /// How many changes are not durable.
    pub(super) fn pending(&self) -> usize {
        self.vfs.pending()
    }

    fn add(&mut self, path: PathBuf, file: Option<Handles>, mode: u16) -> u64 {
        let number = self.next;
        self.next += 1;
        self.nodes.insert(
            number,
            Node {
                path: Some(path),
                file,
                mode,
                opened: 0,
                changed: SystemTime::now(),
            },
        );
        number
    }

    fn handles(&self, path: &Path, create: bool) -> io::Result<Handles> {
        let mode = OpenMode {
            create,
            ..OpenMode::default()
        };
        Ok(Handles {
            plain: self.vfs.open(path, mode)?,
            synced: self.vfs.open(path, OpenMode { dsync: true, ..mode })?,
        })
    }

    fn node(&self, number: u64) -> io::Result<&Node> {
        self.nodes.get(&number).ok_or_else(not_found)
    }

    fn file(&mut self, number: u64) -> io::Result<&mut Handles> {
        let node = self.nodes.get_mut(&number).ok_or_else(not_found)?;
        node.file.as_mut().ok_or(io::ErrorKind::IsADirectory.into())
    }

    fn touch(&mut self, number: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.changed = SystemTime::now();
        }
    }

    fn directory(&self, number: u64) -> io::Result<&Path> {
        let node = self.node(number)?;
        match &node.path {
            Some(path) if node.file.is_none() => Ok(path),
            Some(_) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(not_found()),
        }
    }

    fn at(&self, path: &Path) -> Option<u64> {
        let mut nodes = self.nodes.iter();
        nodes
            .find(|(_, node)| node.path.as_deref() == Some(path))
            .map(|(number, _)| *number)
    }

    /// The entry `name` of a directory.
    pub(super) fn lookup(&self, parent: u64, name: &OsStr) -> io::Result<Attributes> {
        let path = self.directory(parent)?.join(name);
        self.attributes(self.at(&path).ok_or_else(not_found)?)
    }

    /// What there is to know about a node.
    pub(super) fn attributes(&self, number: u64) -> io::Result<Attributes> {
        let node = self.node(number)?;
        Ok(Attributes {
            node: number,
            len: node.file.as_ref().map_or(Ok(0), |file| file.plain.len())?,
            is_dir: node.file.is_none(),
            mode: node.mode,
            changed: node.changed,
        })
    }

    /// Name and attributes of everything in a directory, by name.
    pub(super) fn list(&self, number: u64) -> io::Result<Vec<(OsString, Attributes)>> {
        let directory = self.directory(number)?;
        let mut entries = Vec::new();
        for (number, node) in &self.nodes {
            if let Some(path) = &node.path
                && path.parent() == Some(directory)
                && let Some(name) = path.file_name()
            {
                entries.push((name.to_owned(), self.attributes(*number)?));
            }
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    /// Makes a file.
    pub(super) fn create(&mut self, parent: u64, name: &OsStr, mode: u16) -> io::Result<Attributes> {
        let path = self.free_path(parent, name)?;
        let file = self.handles(&path, true)?;
        let number = self.add(path, Some(file), mode);
        self.attributes(number)
    }

    /// Makes a directory.
    pub(super) fn make_dir(&mut self, parent: u64, name: &OsStr, mode: u16) -> io::Result<Attributes> {
        let path = self.free_path(parent, name)?;
        self.vfs.create_dir(&path)?;
        let number = self.add(path, None, mode);
        self.attributes(number)
    }

    fn free_path(&self, parent: u64, name: &OsStr) -> io::Result<PathBuf> {
        let path = self.directory(parent)?.join(name);
        match self.at(&path) {
            None => Ok(path),
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    /// Removes a file's name.
    pub(super) fn remove(&mut self, parent: u64, name: &OsStr) -> io::Result<()> {
        let path = self.directory(parent)?.join(name);
        let number = self.at(&path).ok_or_else(not_found)?;
        self.file(number)?;
        self.vfs.remove(&path)?;
        self.unname(number);
        Ok(())
    }

    /// Renames a file, replacing another.
    pub(super) fn rename(
        &mut self,
        (from_parent, from): (u64, &OsStr),
        (to_parent, to): (u64, &OsStr),
    ) -> io::Result<()> {
        let from = self.directory(from_parent)?.join(from);
        let to = self.directory(to_parent)?.join(to);
        let number = self.at(&from).ok_or_else(not_found)?;
        if from == to {
            return Ok(());
        }
        // The simulated disk renames files only.
        self.file(number)?;
        self.vfs.rename(&from, &to)?;
        if let Some(replaced) = self.at(&to) {
            self.unname(replaced);
        }
        if let Some(node) = self.nodes.get_mut(&number) {
            node.path = Some(to);
        }
        Ok(())
    }

    fn unname(&mut self, number: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.path = None;
        }
        self.forget_unused(number);
    }

    fn forget_unused(&mut self, number: u64) {
        let unused = |node: &Node| node.path.is_none() && node.opened == 0;
        if self.nodes.get(&number).is_some_and(unused) {
            self.nodes.remove(&number);
        }
    }

    /// Notes that a file was opened.
    pub(super) fn open(&mut self, number: u64) -> io::Result<()> {
        self.file(number)?;
        if let Some(node) = self.nodes.get_mut(&number) {
            node.opened += 1;
        }
        Ok(())
    }

    /// Notes that a file was closed.
    pub(super) fn close(&mut self, number: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.opened = node.opened.saturating_sub(1);
        }
        self.forget_unused(number);
    }

    /// Up to `len` bytes; fewer at the end of the file.
    pub(super) fn read(&mut self, number: u64, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let file = &self.file(number)?.plain;
        let left = file.len()?.saturating_sub(offset);
        let mut bytes = vec![0; len.min(usize::try_from(left).unwrap_or(usize::MAX))];
        let read = file.read_at(&mut bytes, offset)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Writes bytes; with `synced` they are durable at once (`O_SYNC`, `O_DSYNC`).
    pub(super) fn write(&mut self, number: u64, offset: u64, data: &[u8], synced: bool) -> io::Result<()> {
        let synced = synced && !self.lies;
        let file = self.file(number)?;
        let handle = if synced { &file.synced } else { &file.plain };
        handle.write_at(data, offset)?;
        self.touch(number);
        Ok(())
    }

    /// Cuts or grows a file.
    pub(super) fn set_len(&mut self, number: u64, len: u64) -> io::Result<()> {
        self.file(number)?.plain.set_len(len)?;
        self.touch(number);
        Ok(())
    }

    /// Sets the permission bits, which mean nothing here.
    pub(super) fn set_mode(&mut self, number: u64, mode: u16) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.mode = mode;
        }
    }

    /// Makes a file's bytes and length durable; its name is not its business.
    pub(super) fn sync(&mut self, number: u64) -> io::Result<()> {
        if self.lies {
            return Ok(());
        }
        self.file(number)?.plain.sync_all()
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync_dir(&self, number: u64) -> io::Result<()> {
        if self.lies {
            return Ok(());
        }
        self.vfs.sync_dir(self.directory(number)?)
    }
}

fn read_tree(directory: &Path, place: &Path, image: &mut Image) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let place = place.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            image.add_dir(&place);
            read_tree(&entry.path(), &place, image)?;
        } else {
            let bytes = std::fs::read(entry.path())?;
            image.files.insert(place, Arc::new(bytes));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(lies: bool) -> (tempfile::TempDir, Disk) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("d")).unwrap();
        std::fs::write(directory.path().join("d/old"), b"old").unwrap();
        let mut disk = Disk::import(directory.path()).unwrap();
        if lies {
            disk.lie();
        }
        (directory, disk)
    }

    /// Every state that may be there after a power loss: the files in the directory `d` by name.
    fn survivors(disk: &Disk) -> Vec<Vec<(OsString, Vec<u8>)>> {
        let mut all = Vec::new();
        for seed in 0..40 {
            let target = tempfile::tempdir().unwrap();
            disk.export(seed, target.path()).unwrap();
            let mut files: Vec<_> = std::fs::read_dir(target.path().join("d"))
                .unwrap()
                .map(|entry| entry.unwrap())
                .map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap()))
                .collect();
            files.sort();
            if !all.contains(&files) {
                all.push(files);
            }
        }
        all
    }

    fn directory(disk: &Disk) -> u64 {
        disk.lookup(ROOT, OsStr::new("d")).unwrap().node
    }

    #[test]
    fn what_was_imported_is_durable_and_a_write_only_when_synced() {
        let (_kept, mut disk) = disk(false);
        let d = directory(&disk);
        let old = disk.lookup(d, OsStr::new("old")).unwrap();
        assert_eq!((old.len, old.is_dir), (3, false));
        disk.write(old.node, 0, b"new", false).unwrap();
        assert_eq!(disk.read(old.node, 1, 10).unwrap(), b"ew");
        let contents = |disk: &Disk| -> Vec<Vec<u8>> {
            survivors(disk)
                .into_iter()
                .map(|mut files| files.remove(0).1)
                .collect()
        };
        let mut found = contents(&disk);
        found.sort();
        assert_eq!(found, [b"new".to_vec(), b"old".to_vec()]);
        disk.sync(old.node).unwrap();
        assert_eq!(contents(&disk), [b"new"]);
        disk.write(old.node, 0, b"NEW", true).unwrap();
        assert_eq!(contents(&disk), [b"NEW"], "O_DSYNC");
        assert_eq!(disk.pending(), 0);
    }

    #[test]
    fn a_name_is_durable_after_a_sync_of_its_directory() {
        let (_kept, mut disk) = disk(false);
        let d = directory(&disk);
        let made = disk.create(d, OsStr::new("made"), 0o600).unwrap();
        disk.write(made.node, 0, b"x", true).unwrap();
        assert!(disk.create(d, OsStr::new("made"), 0o600).is_err(), "exists");
        assert_eq!(survivors(&disk).len(), 2, "with and without it");
        disk.sync_dir(d).unwrap();
        assert_eq!(survivors(&disk).len(), 1);
        disk.rename((d, OsStr::new("made")), (d, OsStr::new("old")))
            .unwrap();
        disk.sync_dir(d).unwrap();
        assert_eq!(survivors(&disk), [[("old".into(), b"x".to_vec())]]);
        let names: Vec<_> = disk.list(d).unwrap().into_iter().map(|entry| entry.0).collect();
        assert_eq!(names, ["old"]);
    }

    #[test]
    fn a_removed_file_lives_while_it_is_open() {
        let (_kept, mut disk) = disk(false);
        let d = directory(&disk);
        let old = disk.lookup(d, OsStr::new("old")).unwrap().node;
        disk.open(old).unwrap();
        disk.remove(d, OsStr::new("old")).unwrap();
        assert!(disk.lookup(d, OsStr::new("old")).is_err());
        assert_eq!(disk.read(old, 0, 9).unwrap(), b"old");
        disk.close(old);
        assert!(disk.attributes(old).is_err());
    }

    #[test]
    fn a_lying_disk_keeps_nothing_for_certain() {
        let (_kept, mut disk) = disk(true);
        let d = directory(&disk);
        let old = disk.lookup(d, OsStr::new("old")).unwrap().node;
        disk.write(old, 0, b"new", true).unwrap();
        disk.sync(old).unwrap();
        disk.sync_dir(d).unwrap();
        assert_eq!(survivors(&disk).len(), 2, "old and new");
    }
}
