//! What changed files, in order; and going through it again.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Image, Inode, Medium, Survival};

/// Something that changes files, or what of them is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A directory was made.
    CreateDir {
        /// Its path.
        path: PathBuf,
    },
    /// A file was made.
    Create {
        /// Its name.
        path: PathBuf,
        /// The file.
        inode: Inode,
    },
    /// A name changed.
    Rename {
        /// The name before.
        from: PathBuf,
        /// The name after; another file of that name loses it.
        to: PathBuf,
        /// The file.
        inode: Inode,
    },
    /// A name was removed.
    Remove {
        /// The name.
        path: PathBuf,
    },
    /// Bytes were written.
    Write {
        /// The file.
        inode: Inode,
        /// Where, in bytes.
        offset: u64,
        /// What.
        data: Arc<[u8]>,
    },
    /// The length was set.
    SetLen {
        /// The file.
        inode: Inode,
        /// The length, in bytes.
        len: u64,
    },
    /// A file was synced: all its changes made before operation `before` are durable.
    Sync {
        /// The file.
        inode: Inode,
        /// Number of operations before the sync began.
        before: usize,
    },
    /// A write to a file opened with `dsync` became durable: the operation just before in this file.
    SyncWrite {
        /// The file.
        inode: Inode,
        /// Number of the write among all operations.
        write: usize,
    },
    /// A sync of a file failed, and its unsynced changes are marked clean: no later sync makes them durable, though any
    /// of them may be.
    SyncForgotten {
        /// The file.
        inode: Inode,
    },
    /// A sync of a file failed, and its unsynced changes are undone.
    SyncReverted {
        /// The file.
        inode: Inode,
    },
    /// A directory was synced: all names in it are durable.
    SyncDir {
        /// The directory.
        path: PathBuf,
    },
}

impl Operation {
    /// The operation in one word, for tables.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateDir { .. } => "create directory",
            Self::Create { .. } => "create",
            Self::Rename { .. } => "rename",
            Self::Remove { .. } => "remove",
            Self::Write { .. } => "write",
            Self::SetLen { .. } => "set length",
            Self::Sync { .. } | Self::SyncWrite { .. } => "sync",
            Self::SyncForgotten { .. } | Self::SyncReverted { .. } => "failed sync",
            Self::SyncDir { .. } => "sync directory",
        }
    }
}

/// A recorded run.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// What was there at the start.
    start: Medium,
    /// Operations before, which the changes that are not durable at the start are numbered by.
    begin: usize,
    /// What happened.
    pub operations: Vec<Operation>,
}

impl Trace {
    /// An empty run that begins there.
    pub(super) fn from(start: Medium, begin: usize) -> Self {
        Self {
            start,
            begin,
            operations: Vec::new(),
        }
    }

    /// Goes through the run from its start.
    #[must_use]
    pub fn replay(&self) -> Replay<'_> {
        Replay {
            trace: self,
            medium: self.start.clone(),
            point: 0,
        }
    }
}

/// A place in a recorded run: power is lost after the first [`Replay::point`] operations.
#[derive(Debug)]
pub struct Replay<'t> {
    trace: &'t Trace,
    medium: Medium,
    point: usize,
}

impl Replay<'_> {
    /// The whole run.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        self.trace
    }

    /// How many operations have happened.
    #[must_use]
    pub fn point(&self) -> usize {
        self.point
    }

    /// How many operations have happened, those before the recording included: for [`super::SimulatedVfs::after_kill`].
    #[must_use]
    pub fn position(&self) -> usize {
        self.trace.begin + self.point
    }

    /// Goes on by one operation; `None` at the end.
    pub fn step(&mut self) -> Option<&Operation> {
        let operation = self.trace.operations.get(self.point)?;
        self.medium.apply(operation, self.position());
        self.point += 1;
        Some(operation)
    }

    /// Goes on until `point` operations have happened, or to the end.
    pub fn step_to(&mut self, point: usize) {
        while self.point < point && self.step().is_some() {}
    }

    /// How many changes are not durable here.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.medium.pending()
    }

    /// What is on the disk here, and what is not yet: for [`super::SimulatedVfs::after_kill`].
    #[must_use]
    pub fn medium(&self) -> &Medium {
        &self.medium
    }

    /// Tells the files after a power loss here apart from others: [`Image::fingerprint`] without making the image.
    #[must_use]
    pub fn fingerprint(&self, survival: Survival) -> u64 {
        self.medium.fingerprint(survival)
    }

    /// The files after a power loss here.
    #[must_use]
    pub fn image(&self, survival: Survival) -> Image {
        self.medium.image(survival)
    }
}
