//! The injected bugs ([`crate::injected`]) that are mistakes in what is asked of files. They are made here, in the engine's
//! place: what the engine asks for is right, and what happens is what would have happened had it asked wrongly. Which
//! request is meant is told by the file, its kind, and what of the file is not synced yet.

use std::path::Path;

use super::State;
use crate::injected::{self, Bug};
use crate::vfs::simulated::Inode;

/// Bytes of both superblocks, and of one.
const SUPERBLOCKS: u64 = 8192;
const SUPERBLOCK: usize = 4096;

/// Which sync was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncKind {
    /// Of the bytes, and the length needed to read them.
    Data,
    /// Of everything.
    All,
}

/// What is noted of a file to know its requests by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Noted {
    is_log: bool,
    /// Whether a superblock, or something else, was written and not synced yet.
    head_is_unsynced: bool,
    rest_is_unsynced: bool,
    /// Where the operations were at the last write, and at the last sync of the bytes.
    last_write: usize,
    last_sync: usize,
    /// Whether the bytes were synced since the file was opened.
    is_settled: bool,
}

impl Noted {
    pub(super) fn opened(&mut self, path: &Path) {
        self.is_log = path.extension().is_some_and(|extension| extension == "wal");
        self.is_settled = false;
    }
}

impl State {
    /// Whether this mistake is made in this file system.
    pub(super) fn makes(&self, fault: Bug) -> bool {
        injected::are_possible() && self.injected == Some(fault)
    }

    pub(super) fn note_write(&mut self, inode: Inode, offset: u64) {
        let position = self.position;
        let noted = &mut self.files.entry(inode).or_default().noted;
        noted.last_write = position;
        if offset < SUPERBLOCKS {
            noted.head_is_unsynced = true;
        } else {
            noted.rest_is_unsynced = true;
        }
    }

    /// Where a write goes.
    pub(super) fn place_of(&self, inode: Inode, offset: u64, len: usize) -> u64 {
        let is_log = self.files.get(&inode).is_some_and(|file| file.noted.is_log);
        let is_superblock = !is_log && offset < SUPERBLOCKS && len == SUPERBLOCK;
        if is_superblock && self.makes(Bug::SuperblockInPlace) {
            0
        } else {
            offset
        }
    }

    /// How many operations from the start a sync covers; `None` if it does not happen.
    pub(super) fn sync_covers(&mut self, inode: Inode, kind: SyncKind) -> Option<usize> {
        let position = self.position;
        let injected = self.injected.filter(|_| injected::are_possible());
        let is_behind = |this: &Noted| {
            let newer =
                |other: &Noted| other.is_log && other.rest_is_unsynced && other.last_write > this.last_write;
            self.files.values().any(|other| newer(&other.noted))
        };
        let before = self.files.get(&inode).map(|file| file.noted).unwrap_or_default();
        let (is_log, head, rest) = (before.is_log, before.head_is_unsynced, before.rest_is_unsynced);
        let (covers, is_left_out) = match injected {
            _ if kind == SyncKind::All => (position, false),
            Some(Bug::FlushWithoutSync) => (position, is_log),
            Some(Bug::SyncBeforeWrite) if is_log => (before.last_sync, false),
            Some(Bug::OldSegmentNotSynced) => (position, is_log && is_behind(&before)),
            Some(Bug::SuperblockBeforeData) => (position, !is_log && rest && !head),
            Some(Bug::SuperblockNotSynced) => (position, !is_log && head && !rest),
            Some(Bug::SuperblockNotSettled) => (position, !is_log && head && !rest && !before.is_settled),
            _ => (position, false),
        };
        let noted = &mut self.files.entry(inode).or_default().noted;
        noted.last_sync = position;
        noted.is_settled = true;
        if is_left_out {
            return None;
        }
        noted.head_is_unsynced = false;
        noted.rest_is_unsynced = false;
        Some(covers)
    }

    /// Whether the names in a directory are not made durable although that was asked for.
    pub(super) fn forgets_names(&self, dir: &Path) -> bool {
        let is_log_dir = dir.to_string_lossy().ends_with("-wal");
        self.makes(Bug::NamesNotSynced) || !is_log_dir && self.makes(Bug::LogDirectoryNotSynced)
    }
}
