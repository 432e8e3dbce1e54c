//! Faults of a device that goes on working: operations that fail.

use std::io;

/// What kinds of operations can fail, each counted for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OperationKind {
    /// Opening or making a file.
    Open,
    /// Reading bytes.
    Read,
    /// Writing bytes.
    Write,
    /// Setting a length.
    SetLen,
    /// Syncing a file, or a write to a file opened with `dsync` becoming durable.
    Sync,
    /// Syncing a directory.
    SyncDir,
    /// Renaming.
    Rename,
    /// Removing.
    Remove,
    /// Making a directory.
    CreateDir,
    /// Listing a directory or asking whether a name exists.
    List,
}

impl OperationKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Open,
        Self::Read,
        Self::Write,
        Self::SetLen,
        Self::Sync,
        Self::SyncDir,
        Self::Rename,
        Self::Remove,
        Self::CreateDir,
        Self::List,
    ];

    /// The kind in one or two words, for tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::SetLen => "set length",
            Self::Sync => "sync",
            Self::SyncDir => "sync directory",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::CreateDir => "create directory",
            Self::List => "list",
        }
    }
}

/// What a failed sync leaves behind, by the file system (Rebello et al., "Can Applications Recover from fsync
/// Failures?", USENIX ATC 2020).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailedSync {
    /// The pages stay dirty: a later sync would write them.
    KeptDirty,
    /// The pages are marked clean with their new content: reads see it, a later sync succeeds and writes nothing (ext4,
    /// XFS).
    MarkedClean,
    /// The pages go back to what is on the disk (Btrfs).
    Reverted,
}

impl FailedSync {
    /// All behaviours.
    pub const ALL: [Self; 3] = [Self::KeptDirty, Self::MarkedClean, Self::Reverted];
}

/// What a failing operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It fails with this kind of error and does nothing else.
    Error(io::ErrorKind),
    /// A read or write does the first half of its bytes; the write then fails for lack of space.
    Short,
    /// A sync fails.
    Sync(FailedSync),
}

/// An operation that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Of which kind.
    pub kind: OperationKind,
    /// The how-manyeth of its kind, from 0.
    pub nth: u64,
    /// Whether all after it fail too.
    pub lasting: bool,
    /// How.
    pub effect: Effect,
}

impl Fault {
    /// Whether it strikes the `nth` operation of a kind.
    pub(super) fn strikes(&self, kind: OperationKind, nth: u64) -> bool {
        self.kind == kind && (self.nth == nth || self.lasting && nth > self.nth)
    }
}
