//! What is on the disk for certain, and which changes are not yet.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk_file::DiskFile;
use super::{Image, Inode, Operation, Survival, fingerprint};

/// A disk: durable files and names, and the changes that a power loss may or may not lose.
#[derive(Clone, Debug, Default)]
pub struct Medium {
    files: BTreeMap<Inode, DiskFile>,
    names: BTreeMap<PathBuf, Inode>,
    dirs: BTreeSet<PathBuf>,
    name_changes: Vec<NameChange>,
}

/// Directories, names, and what the named files hold.
type Files = (
    BTreeSet<PathBuf>,
    BTreeMap<PathBuf, Inode>,
    Vec<(Inode, Arc<Vec<u8>>)>,
);

/// The operations whose changes are not durable, in order: survival choices number the changes from 0.
struct Numbering(Vec<usize>);

impl Numbering {
    fn of(&self, at: usize) -> usize {
        self.0.partition_point(|&other| other < at)
    }
}

#[derive(Clone, Debug)]
struct NameChange {
    at: usize,
    kind: NameKind,
}

#[derive(Clone, Debug)]
enum NameKind {
    Dir(PathBuf),
    Set {
        path: PathBuf,
        inode: Inode,
    },
    Move {
        from: PathBuf,
        to: PathBuf,
        inode: Inode,
    },
    Remove(PathBuf),
}

impl Medium {
    /// A disk that holds these files, durably. They get the inodes 0, 1, ... in the order of their paths.
    #[must_use]
    pub fn new(image: &Image) -> Self {
        let mut medium = Self {
            dirs: image.dirs.clone(),
            ..Self::default()
        };
        for (inode, (path, bytes)) in (0..).zip(&image.files) {
            medium.names.insert(path.clone(), inode);
            medium.files.insert(inode, DiskFile::new(Arc::clone(bytes)));
        }
        medium
    }

    /// Takes in operation number `at`; numbers rise.
    pub fn apply(&mut self, operation: &Operation, at: usize) {
        let named = |kind| NameChange { at, kind };
        match operation {
            Operation::CreateDir { path } => self.name_changes.push(named(NameKind::Dir(path.clone()))),
            Operation::Create { path, inode } => {
                self.files.insert(*inode, DiskFile::default());
                let (path, inode) = (path.clone(), *inode);
                self.name_changes.push(named(NameKind::Set { path, inode }));
            }
            Operation::Rename { from, to, inode } => self.name_changes.push(named(NameKind::Move {
                from: from.clone(),
                to: to.clone(),
                inode: *inode,
            })),
            Operation::Remove { path } => self.name_changes.push(named(NameKind::Remove(path.clone()))),
            Operation::SyncDir { path } => self.sync_dir(path),
            Operation::Write { inode, offset, data } => {
                self.change(*inode, |file| file.write(at, *offset, Arc::clone(data)));
            }
            Operation::SetLen { inode, len } => self.change(*inode, |file| file.set_len(at, *len)),
            Operation::Sync { inode, before } => self.change(*inode, |file| {
                file.make_durable(|change| change.at < *before && !change.is_forgotten);
            }),
            Operation::SyncWrite { inode, write } => self.change(*inode, |file| {
                file.make_durable(|change| change.at == *write);
            }),
            Operation::SyncForgotten { inode } => self.change(*inode, |file| {
                file.changes
                    .iter_mut()
                    .for_each(|change| change.is_forgotten = true);
            }),
            Operation::SyncReverted { inode } => self.change(*inode, DiskFile::revert),
        }
    }

    /// How many changes are not durable.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.files.values().map(|file| file.changes.len()).sum::<usize>() + self.name_changes.len()
    }

    /// The files as those see them who use the file system: with every change.
    pub(super) fn files(&self) -> Files {
        let (mut dirs, mut names) = (self.dirs.clone(), self.names.clone());
        for change in &self.name_changes {
            change.apply(&mut names, &mut dirs);
        }
        let contents = self.files.iter();
        let contents = contents.map(|(inode, file)| (*inode, file.content(Survival::All, |at| at)));
        (dirs, names, contents.collect())
    }

    /// The durable content of a file.
    #[must_use]
    pub(super) fn durable(&self, inode: Inode) -> Option<&Arc<Vec<u8>>> {
        self.files.get(&inode).map(|file| &file.durable)
    }

    /// The files after a power loss now.
    #[must_use]
    pub fn image(&self, survival: Survival) -> Image {
        let number = self.numbering();
        let (dirs, names) = self.surviving_names(survival, &number);
        let files = names.into_iter().filter_map(|(path, inode)| {
            let file = self.files.get(&inode)?;
            let content = file.content(survival, |at| number.of(at));
            Some((path, content))
        });
        Image {
            files: files.collect(),
            dirs,
        }
    }

    /// The [`Image::fingerprint`] of what [`Medium::image`] gives, without making it.
    #[must_use]
    pub fn fingerprint(&self, survival: Survival) -> u64 {
        let number = self.numbering();
        let (dirs, names) = self.surviving_names(survival, &number);
        let files = names.iter().filter_map(|(path, inode)| {
            let file = self.files.get(inode)?;
            Some(file.fingerprint(path, survival, |at| number.of(at)))
        });
        let dirs = dirs.iter().map(|dir| fingerprint::of_dir(dir));
        dirs.chain(files).fold(0, u64::wrapping_add)
    }

    fn numbering(&self) -> Numbering {
        let files = self.files.values();
        let mut order: Vec<usize> = files.flat_map(|f| f.changes.iter().map(|c| c.at)).collect();
        order.extend(self.name_changes.iter().map(|change| change.at));
        order.sort_unstable();
        Numbering(order)
    }

    /// Directories and names after a power loss now.
    fn surviving_names(
        &self,
        survival: Survival,
        number: &Numbering,
    ) -> (BTreeSet<PathBuf>, BTreeMap<PathBuf, Inode>) {
        let (mut dirs, mut names) = (self.dirs.clone(), self.names.clone());
        let mut lost: Vec<&NameChange> = Vec::new();
        for change in &self.name_changes {
            let survives = survival.keeps(number.of(change.at));
            if survives && !lost.iter().any(|earlier| change.follows(earlier)) {
                change.apply(&mut names, &mut dirs);
            } else {
                lost.push(change);
            }
        }
        names.retain(|path, _| path.ancestors().skip(1).all(|dir| dirs.contains(dir)));
        (dirs, names)
    }

    fn change(&mut self, inode: Inode, change: impl FnOnce(&mut DiskFile)) {
        // A file without any name, durable or not, can not come back.
        if let Some(file) = self.files.get_mut(&inode) {
            change(file);
        }
    }

    fn sync_dir(&mut self, dir: &Path) {
        let Self {
            names,
            dirs,
            name_changes,
            ..
        } = self;
        let mut frees_files = false;
        name_changes.retain(|change| {
            let is_here = change.path().parent() == Some(dir);
            if is_here {
                frees_files |= !matches!(change.kind, NameKind::Dir(_)) && names.contains_key(change.path());
                change.apply(names, dirs);
            }
            !is_here
        });
        if !frees_files {
            return;
        }
        let mut named: BTreeSet<Inode> = self.names.values().copied().collect();
        named.extend(self.name_changes.iter().filter_map(NameChange::inode));
        self.files.retain(|inode, _| named.contains(inode));
    }
}

impl NameChange {
    fn path(&self) -> &Path {
        match &self.kind {
            NameKind::Dir(path) | NameKind::Remove(path) => path,
            NameKind::Set { path, .. } | NameKind::Move { to: path, .. } => path,
        }
    }

    fn inode(&self) -> Option<Inode> {
        match self.kind {
            NameKind::Set { inode, .. } | NameKind::Move { inode, .. } => Some(inode),
            NameKind::Dir(_) | NameKind::Remove(_) => None,
        }
    }

    /// Whether an earlier change is about the same file or name, so that this one cannot survive without it.
    fn follows(&self, earlier: &Self) -> bool {
        let same_file = self.inode().is_some() && self.inode() == earlier.inode();
        let same_name = self
            .paths()
            .into_iter()
            .flatten()
            .any(|path| earlier.paths().contains(&Some(path)));
        same_file || same_name
    }

    fn paths(&self) -> [Option<&Path>; 2] {
        match &self.kind {
            NameKind::Move { from, to, .. } => [Some(from), Some(to)],
            _ => [Some(self.path()), None],
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Inode>, dirs: &mut BTreeSet<PathBuf>) {
        match &self.kind {
            NameKind::Dir(path) => {
                dirs.insert(path.clone());
            }
            NameKind::Set { path, inode } => {
                names.insert(path.clone(), *inode);
            }
            NameKind::Move { from, to, inode } => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            NameKind::Remove(path) => {
                names.remove(path);
            }
        }
    }
}
