//! What a run has been through: a counter for each mechanism that a check should exercise, so that a check which never
//! gets to one can be told from a check that finds nothing wrong with it.
//!
//! The counters are the process's. Builds without debug assertions count nothing.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

macro_rules! mechanisms {
    ($($name:ident: $what:literal,)*) => {
        /// Something that the engine does, but not in every run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Mechanism {
            $(#[doc = $what] $name,)*
        }

        impl Mechanism {
            /// All of them, with a description each.
            pub const ALL: &'static [(Mechanism, &'static str)] = &[$((Mechanism::$name, $what),)*];
        }
    };
}

mechanisms! {
    LeafSplit: "a leaf was split",
    InnerSplit: "an inner page was split",
    RootSplit: "a root was split, and the tree grew higher",
    LeafMerge: "two leaves were merged",
    InnerMerge: "two inner pages were merged",
    RootCollapse: "a root with one child took its place, and the tree grew lower",
    GhostPurged: "a deleted row was removed from its leaf for good",
    ChainWritten: "a long value was written into overflow pages",
    ChainRetired: "a value in overflow pages was replaced or deleted",
    ChainFreed: "the overflow pages of a replaced or deleted value were freed",
    ChainFreedInPart: "a dropped table's long value was freed in part, and the rest by a later commit",
    TableFreedInPart: "a dropped table was freed in part, and the rest by a later commit",
    DropUnderSnapshot: "a dropped table's pages waited for a snapshot",
    PageImageLogged: "a page with many changes was logged whole",
    PageChangedWhileCopied: "a page changed while it was being copied for the data file",
    PageChangedBehindCopy: "a page changed after it was copied and before the copy was written",
    PagePutAside: "a checkpoint met a page that a commit was changing, and copied it later",
    PageMovedInCommit: "a page of an unfinished commit made room in the cache, and was logged whole",
    CleanEviction: "an unchanged page made room in the cache",
    DirtyEviction: "a changed page was written to make room in the cache",
    DirtyEvictionInCommit: "a commit wrote a changed page to make room in the cache",
    SecondMapChunk: "a checkpoint wrote a page map of two chunks or more",
    MapChunkEmptied: "a chunk of the page map lost its last page",
    CheckpointInRounds: "a checkpoint on a full disk made durable what it had written, to go on where that was",
    ReplacedFreedEarly: "what pages had replaced was freed before the next checkpoint, since it was much",
    KeptRoomUsed: "room that is kept for a full disk was used",
    ExtentMoved: "an extent was moved from the end of the file to its front",
    FreshExtentFreed: "an extent that no checkpoint ever had was free again at once",
    FileGrown: "the data file grew",
    FileShrunk: "the data file was cut",
    ReservationUsed: "a commit on a full disk used its reservation",
    ReservationRefused: "a commit was refused because its reservation did not fit on the disk",
    CheckpointCancelled: "a checkpoint failed, and the one before stayed in force",
    CheckpointBesideCommits: "commits were applied between the beginning of a checkpoint and its end",
    SegmentSwitchInCommit: "the log went over to its next segment between two frames of a commit",
    SegmentSwitchInCheckpoint: "the log went over to its next segment during a checkpoint",
    SegmentFilled: "a frame ended with the last byte of its segment",
    SegmentCreated: "a log segment was created",
    SegmentRecycled: "a log segment was recycled",
    SegmentRemoved: "a log segment was removed",
    WriteOut: "log was written without being synced",
    DirectWrite: "log was written by direct, synchronous writes",
    CommitQueued: "a commit was applied by the thread of another",
    GroupFlush: "one flush made several commits durable",
    LeadPassed: "the lead of the flushes was handed on",
    CommitUnsynced: "a commit was visible that was not durable",
    CommitWithoutChange: "a transaction with writes changed nothing",
    LockWait: "a transaction waited for a row lock and got it",
    LockTimeout: "a transaction gave up waiting for a row lock",
    WriteConflict: "a transaction lost against one that committed after its snapshot",
    NestedSavepoints: "a transaction had three savepoints at once",
    RolledBackToSavepoint: "a transaction went back to a savepoint",
    FormerVersionRead: "a snapshot read what a row had been before",
    FormerAbsenceRead: "a snapshot did not see a row that came later",
    SnapshotTooOld: "a snapshot was too old",
    SecondSlotChunk: "a snapshot took a slot behind the first 64",
    VersionsCollected: "old row versions were collected",
    BackgroundCheckpoint: "the background thread took a checkpoint",
    BackgroundCollection: "the background thread collected old row versions",
    RedoParallel: "the log was redone by several threads",
    RedoImage: "a page was redone from an image in the log",
    RedoDelta: "changes of a page were redone",
    RedoFreed: "the freeing of a page was redone",
    RedoSkipped: "the log had changes that the page in the data file had already",
    TornTail: "the log ended in a commit that was not complete",
    SegmentAbandoned: "the log went on after a recovery, past a segment that was abandoned",
    SuperblockFellBack: "only one of the two superblocks was valid",
    CreationCutShort: "a database was opened whose creation had been cut short",
    SalvagedSeveralTables: "several tables were salvaged at once",
    SalvagedFromLog: "salvage redid changes from the log",
    SalvagedOrphan: "salvage used a page that nothing pointed to",
    SalvageLostRange: "salvage reported a range of keys as lost",
}

static COUNTS: [AtomicU64; Mechanism::ALL.len()] = [const { AtomicU64::new(0) }; Mechanism::ALL.len()];

/// Notes that it happened.
#[inline]
pub(crate) fn mark(mechanism: Mechanism) {
    if cfg!(debug_assertions) {
        COUNTS[mechanism as usize].fetch_add(1, Relaxed);
    }
}

/// Notes it if it happened.
#[inline]
pub(crate) fn mark_if(happened: bool, mechanism: Mechanism) {
    if cfg!(debug_assertions) && happened {
        mark(mechanism);
    }
}

/// How often each mechanism was gone through since the process began, in the order of [`Mechanism::ALL`].
#[must_use]
pub fn counts() -> Vec<u64> {
    COUNTS.iter().map(|count| count.load(Relaxed)).collect()
}

/// Whether this build counts.
#[must_use]
pub const fn is_counted() -> bool {
    cfg!(debug_assertions)
}
