//! What is on the disk for certain, and which changes are not yet.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;

use super::{Image, Inode, Operation, SECTOR, Survival};

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

/// A file on the disk.
#[derive(Clone, Debug, Default)]
struct DiskFile {
    durable: Arc<Vec<u8>>,
    changes: Vec<Change>,
    /// Length with all changes.
    len: u64,
}

/// A change of a file that is not durable.
#[derive(Clone, Debug)]
struct Change {
    /// Number of its operation.
    at: usize,
    /// The length with it, where it changed the length.
    len_after: Option<u64>,
    content: Content,
    /// A failed sync marked it clean, so no later sync makes it durable.
    is_forgotten: bool,
}

#[derive(Clone, Debug)]
enum Content {
    Write {
        offset: u64,
        data: Arc<[u8]>,
    },
    /// Zeros, where a file was cut.
    Cut(Range<u64>),
    /// Nothing but a new length.
    Grown,
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
            medium.files.insert(
                inode,
                DiskFile {
                    durable: Arc::clone(bytes),
                    changes: Vec::new(),
                    len: bytes.len() as u64,
                },
            );
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
            Operation::SyncReverted { inode } => self.change(*inode, |file| {
                file.changes.clear();
                file.len = file.durable.len() as u64;
            }),
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
        let files = self.files.values();
        let mut order: Vec<usize> = files.flat_map(|f| f.changes.iter().map(|c| c.at)).collect();
        order.extend(self.name_changes.iter().map(|change| change.at));
        order.sort_unstable();
        let number = |at: usize| order.partition_point(|&other| other < at);

        let mut image = Image {
            dirs: self.dirs.clone(),
            files: BTreeMap::new(),
        };
        let mut names = self.names.clone();
        let mut lost: Vec<&NameChange> = Vec::new();
        for change in &self.name_changes {
            let survives = survival.keeps(number(change.at));
            if survives && !lost.iter().any(|earlier| change.follows(earlier)) {
                change.apply(&mut names, &mut image.dirs);
            } else {
                lost.push(change);
            }
        }
        for (path, inode) in names {
            if image.has_parents(&path)
                && let Some(file) = self.files.get(&inode)
            {
                image.files.insert(path, file.content(survival, number));
            }
        }
        image
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
        name_changes.retain(|change| {
            let is_here = change.path().parent() == Some(dir);
            if is_here {
                change.apply(names, dirs);
            }
            !is_here
        });
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

impl DiskFile {
    fn write(&mut self, at: usize, offset: u64, data: Arc<[u8]>) {
        let end = offset + data.len() as u64;
        let len_after = (end > self.len).then_some(end);
        self.push(at, len_after, Content::Write { offset, data });
    }

    fn set_len(&mut self, at: usize, len: u64) {
        let content = if len < self.len {
            Content::Cut(len..self.len)
        } else {
            Content::Grown
        };
        self.push(at, Some(len), content);
    }

    fn push(&mut self, at: usize, len_after: Option<u64>, content: Content) {
        self.len = len_after.unwrap_or(self.len);
        self.changes.push(Change {
            at,
            len_after,
            content,
            is_forgotten: false,
        });
    }

    /// Makes changes durable, and with each the older ones to the same sectors, which are in the page that is written.
    fn make_durable(&mut self, is_covered: impl Fn(&Change) -> bool) {
        let mut covered: Vec<bool> = self.changes.iter().map(&is_covered).collect();
        if !covered.iter().all(|&c| c) {
            for later in (0..covered.len()).rev() {
                if !covered[later] {
                    continue;
                }
                let sectors = self.changes[later].sectors();
                for (earlier, covered) in covered[..later].iter_mut().enumerate() {
                    let other = self.changes[earlier].sectors();
                    *covered |= other.start < sectors.end && sectors.start < other.end;
                }
            }
        }
        if !covered.contains(&true) {
            return;
        }
        self.forget_older_lengths(&covered);
        let bytes = Arc::make_mut(&mut self.durable);
        let mut at = 0;
        self.changes.retain(|change| {
            let is_covered = covered[at];
            at += 1;
            if is_covered {
                change.apply(bytes);
            }
            !is_covered
        });
    }

    /// A file has one length on the disk: once a newer one is there, no older one comes back.
    fn forget_older_lengths(&mut self, covered: &[bool]) {
        let (mut newer_is_there, mut reaches) = (false, 0);
        for (change, covered) in self.changes.iter_mut().zip(covered).rev() {
            if *covered {
                newer_is_there |= change.len_after.is_some();
                reaches = reaches.max(change.range().end);
            } else if newer_is_there || change.len_after.is_some_and(|len| len < reaches) {
                change.len_after = None;
            }
        }
    }

    /// What the file holds after a power loss; `number` tells the number of the change of an operation.
    fn content(&self, survival: Survival, number: impl Fn(usize) -> usize) -> Arc<Vec<u8>> {
        if self.changes.is_empty() || survival == Survival::None {
            return Arc::clone(&self.durable);
        }
        let mut len = self.durable.len() as u64;
        let mut newest: HashMap<u64, usize, foldhash::fast::FixedState> = HashMap::default();
        for (index, change) in self.changes.iter().enumerate() {
            let number = number(change.at);
            if let Some(after) = change.len_after.filter(|_| survival.keeps(number)) {
                len = after;
            }
            for sector in change.sectors() {
                if survival.keeps_sector(number, sector) {
                    newest.insert(sector, index);
                }
            }
        }
        let mut bytes = self.durable.to_vec();
        bytes.resize(len as usize, 0);
        for change in &self.changes {
            if let Content::Write { .. } = change.content {
                fill_with_garbage(&mut bytes, change.range(), self.durable.len(), survival);
            }
        }
        for (index, change) in self.changes.iter().enumerate() {
            for sector in change.sectors() {
                if newest.get(&sector).is_some_and(|&newest| index <= newest) {
                    change.overwrite(&mut bytes, sector * SECTOR..(sector + 1) * SECTOR);
                }
            }
        }
        Arc::new(bytes)
    }
}

/// Blocks that the file system gave to a write, but that the write never reached, hold what was on the disk before.
fn fill_with_garbage(bytes: &mut [u8], range: Range<u64>, durable_len: usize, survival: Survival) {
    let end = bytes.len().min(range.end as usize);
    let begin = durable_len.max(range.start as usize).next_multiple_of(8);
    for position in (begin..end).step_by(8) {
        let Some(garbage) = survival.garbage(position as u64) else {
            return;
        };
        let end = end.min(position + 8);
        bytes[position..end].copy_from_slice(&garbage.to_le_bytes()[..end - position]);
    }
}

impl Change {
    /// The bytes that it changes.
    fn range(&self) -> Range<u64> {
        match &self.content {
            Content::Write { offset, data } => *offset..offset + data.len() as u64,
            Content::Cut(range) => range.clone(),
            Content::Grown => 0..0,
        }
    }

    fn sectors(&self) -> Range<u64> {
        let range = self.range();
        range.start / SECTOR..range.end.div_ceil(SECTOR)
    }

    /// Makes the whole change.
    fn apply(&self, bytes: &mut Vec<u8>) {
        let range = self.range();
        let len = match (self.len_after, &self.content) {
            (Some(len), Content::Cut(_) | Content::Grown) => len as usize,
            _ => bytes.len().max(range.end as usize),
        };
        bytes.resize(len, 0);
        self.overwrite(bytes, range);
    }

    /// Makes the change inside `window`, as far as the file reaches.
    fn overwrite(&self, bytes: &mut [u8], window: Range<u64>) {
        let range = self.range();
        let start = range.start.max(window.start);
        let end = range.end.min(window.end).min(bytes.len() as u64);
        if start >= end {
            return;
        }
        let target = &mut bytes[start as usize..end as usize];
        match &self.content {
            Content::Write { offset, data } => {
                target.copy_from_slice(&data[(start - offset) as usize..(end - offset) as usize]);
            }
            Content::Cut(_) | Content::Grown => target.fill(0),
        }
    }
}
