//! Injected bugs: mistakes that a storage engine can make, each behind a switch, so that the checks can be shown to find
//! every one of them.
//!
//! A fault is switched on for the calling thread and what it calls; threads that the engine or a check starts take it
//! over ([`inherit`]). Mistakes in what is asked of files are made by the simulated file system in the engine's
//! place ([`crate::vfs::simulated`]), the others where the engine would make them. Builds without debug assertions
//! have no faults: there every question is answered with a constant `false`.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::interleave::Schedule;

macro_rules! faults {
    ($($name:ident: $what:literal,)*) => {
        /// A mistake.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Bug {
            $(#[doc = $what] $name,)*
        }

        impl Bug {
            /// All of them, with a description each.
            pub const ALL: &'static [(Bug, &'static str)] = &[$((Bug::$name, $what),)*];
        }
    };
}

faults! {
    // What is asked of files: vfs/simulated/mistakes.rs.
    FlushWithoutSync: "a flush of the log writes and does not sync",
    SyncBeforeWrite: "a flush of the log syncs first and writes then, so that the sync covers what was flushed before",
    DirectWithoutSync: "direct writes of the log go without O_DSYNC",
    OldSegmentNotSynced: "a flush over two log segments syncs the newer one only",
    NamesNotSynced: "directories are not synced after files were made in them",
    LogDirectoryNotSynced: "the name of the log's directory is not made durable",
    SuperblockBeforeData: "a checkpoint syncs only after it has written the superblock",
    SuperblockNotSynced: "a checkpoint does not sync the superblock before the space of the one before is used again",
    SuperblockNotSettled: "opening does not make the superblock that it found durable again",
    SuperblockInPlace: "every checkpoint writes the same superblock slot",
    FailedSyncIgnored: "a failed sync is taken for one that succeeded",
    ShortWriteIgnored: "a write that did not fit is taken for one that did",
    // The log.
    NoFrameCrc: "the CRC of log frames is not checked",
    CrcWithoutSalt: "the CRC of log frames is not seeded with the segment's salt",
    IncompleteCommitRedone: "recovery redoes the frames of a commit that has no mark",
    LongCommitNotAwaited: "recovery hands out what it has of a long commit before it knows that the commit is complete",
    DamageTruncatesLog: "damage in the middle of the log ends it, as if it were a torn tail",
    AbandonedSegmentRead: "of several segments that continue the log, recovery takes the oldest",
    RecycleTooEarly: "log segments are recycled before the checkpoint that makes them superfluous is durable",
    SpareNotSettled: "a log file that a killed process was making is used without having been synced",
    RecycleTooFar: "a checkpoint recycles one log segment too many",
    FailedSyncForgotten: "a failed sync of the log is reported once, and the next flush goes on as if nothing was wrong",
    WriteOutTakenForFlush: "log that was written without a sync is taken for durable",
    LogNotReserved: "a commit has no reservation in the log before it changes pages",
    // Commits.
    RetiredFreedTooEarly: "the pages of a replaced long value are freed while a snapshot still reads them",
    PageMissingFromLog: "a commit of several pages leaves one of them out of the log",
    SyncPromisesNothing: "`Database::sync` returns without flushing",
    UnchangedCommitNotFlushed: "a synchronised commit that changes nothing promises another's that is not durable",
    GroupAcknowledgesOneMore: "a flush acknowledges one commit more than it covered",
    VisibleBeforeDurable: "a commit is shown to readers before it is durable",
    RowsNotLocked: "writes take no row locks",
    ConflictOverlooked: "a transaction on a snapshot overwrites what was committed after it",
    LockedRowReadsOldSnapshot: "a row that the transaction has locked reads as an older snapshot shows it",
    // Versions.
    BeforeImageMissing: "one in eight rows is changed without recording what it was before",
    VersionOffByOne: "a snapshot sees what a row was before the snapshot's own commit",
    HorizonMissesSecondChunk: "the horizon ignores all snapshots behind the first 64 slots",
    GhostPurgedTooEarly: "a deleted row is removed while a snapshot needs it",
    DroppedTableFreedTooEarly: "a dropped table's pages are freed while a snapshot reads it",
    // Pages.
    BoundSearchedUnchecked: "the bound of a scan is searched in a leaf that does not cover it",
    SeparatorOffByOne: "a leaf split puts its separator one row too low",
    InnerMergeLosesChild: "the merge of two inner pages loses a child",
    FormerValueNotFreed: "the overflow pages of a replaced value stay in use",
    // Moving pages to the data file.
    HalfCommitCopied: "a page is copied between two changes of one commit",
    DirtyMarkCleared: "a page that changed while it was being written is marked clean",
    EvictionDoesNotWrite: "a changed page is moved out of the cache without being written",
    DirtyPageForgotten: "a checkpoint leaves out one changed page",
    FreedMapMovesRedo: "a page map that is made durable between checkpoints moves the redo position to the end of the log",
    RedoPositionTooLate: "a checkpoint notes the redo position after it has copied the pages, not before",
    LogBehindPages: "a checkpoint does not flush the log before it makes pages durable",
    FailedCheckpointForgetsPages: "the pages of a checkpoint that failed are not written by the next one",
    FailedCheckpointForgetsMap: "the page map of a checkpoint that failed is not written by the next one",
    FailedCheckpointFreesExtents: "a checkpoint that failed frees the space of the one before",
    ExtentReusedTooEarly: "the space of a replaced page image is free at once, while the durable checkpoint needs it",
    OnlyFirstMapChunkWritten: "a checkpoint writes the first chunk of the page map only",
    ShrinkCutsTooMuch: "the data file is cut shorter than its last extent",
    RoomNotSetAside: "no room in the data file is set aside for a full disk",
    ReservationNotHeld: "a commit has no reservation for pages that have to make way",
    // Opening.
    NoExtentCrc: "the CRC of page images is not checked",
    NoExtentIdentity: "page images are not compared with what the page map says of them",
    OlderSuperblockChosen: "of two valid superblocks opening takes the older one",
    EmptyDataFileIsNew: "an empty data file beside a log is taken for a new database",
    RedoSkipsNextCommit: "recovery leaves out the frame of the commit after the page's own",
    LastCommitNotRedone: "recovery leaves out the last complete commit",
    FreedNotRedone: "recovery does not redo that a page was freed",
    RedoneNumberStaysFree: "the number of a page that recovery brought back is handed out again",
    RedoBatchLosesLast: "redo in several steps leaves out the commit that fills a step",
    PageFreedInCacheStays: "a page that one step of redo changed and a later one freed stays in the cache",
    ParallelRedoLosesBatch: "one batch of pages is lost between the threads of a parallel redo",
    // What takes two threads in a particular order: found under controlled schedules.
    SnapshotLooksOnce: "a snapshot does not look at the visible commit again once it is registered",
    HorizonLooksBackwards: "the horizon is read from the slots first, and from the visible commit after them",
    ReadNotValidated: "what was read of a page counts, whether or not it changed meanwhile",
    LeadNotPassed: "who has flushed gives the lead to nobody",
    LeadLostWithItsHolder: "the lead that was given to a commit which another flush has covered is not given on",
    QueueNotLookedAtAgain: "who lets go of the applier does not look at the queue once more",
    WaiterNotWoken: "whose commit another thread has made durable is not woken",
    LocksReleasedTooEarly: "row locks are released before the commit is applied",
    UnsyncedOvertakes: "an unsynchronised commit is visible at once, also behind one that waits to be durable",
    FlushCoversLaterCommits: "a flush takes for durable what came into the log while it was syncing",
    CheckpointDoesNotPause: "a checkpoint takes the dirty set and then the redo position, with commits in between",
    PageBroughtInTwice: "two threads bring one page in at once",
    EvictionDoesNotLookAgain: "a page that changed while it was being written is moved out of the cache",
    ArrivalNotAnnounced: "those who wait for a page that another thread brings in are not woken",
    DroppedTableNotNoticed: "a read does not look at whether its table has been dropped",
    // Salvage.
    SalvageIgnoresLog: "salvage does not look at the log",
    SalvageHidesLoss: "salvage does not report the ranges that it has lost",
}

thread_local! {
    static INJECTED: Cell<Option<Bug>> = const { Cell::new(None) };
    static SCHEDULE: RefCell<Option<Arc<Schedule>>> = const { RefCell::new(None) };
}

/// Whether faults can be injected in this build.
#[must_use]
pub const fn are_possible() -> bool {
    cfg!(debug_assertions)
}

/// The fault that this thread has.
#[must_use]
pub fn current() -> Option<Bug> {
    INJECTED.get()
}

/// The schedule that this thread has.
pub(crate) fn schedule() -> Option<Arc<Schedule>> {
    SCHEDULE.with_borrow(Clone::clone)
}

/// What a thread has switched on, to be taken over by another.
#[derive(Clone, Debug, Default)]
pub struct Inherited {
    fault: Option<Bug>,
    schedule: Option<Arc<Schedule>>,
}

/// What this thread has switched on.
#[must_use]
pub fn inherit() -> Inherited {
    Inherited {
        fault: current(),
        schedule: schedule(),
    }
}

impl Inherited {
    /// The same with a schedule, or without one.
    #[must_use]
    pub fn scheduled(self, schedule: Option<Arc<Schedule>>) -> Self {
        Self { schedule, ..self }
    }

    /// Runs `f` with all that switched on, and nothing else.
    pub fn with<T>(&self, f: impl FnOnce() -> T) -> T {
        struct Restore(Inherited);
        impl Drop for Restore {
            fn drop(&mut self) {
                INJECTED.set(self.0.fault);
                SCHEDULE.set(self.0.schedule.take());
            }
        }
        let _restore = Restore(Inherited {
            fault: INJECTED.replace(self.fault),
            schedule: SCHEDULE.replace(self.schedule.clone()),
        });
        f()
    }
}

/// Runs `f` with this fault injected, or with none.
pub fn with<T>(fault: Option<Bug>, f: impl FnOnce() -> T) -> T {
    let inherited = Inherited { fault, ..inherit() };
    inherited.with(f)
}

/// Whether the engine makes this mistake now.
#[inline]
pub(crate) fn makes(fault: Bug) -> bool {
    are_possible() && INJECTED.get() == Some(fault)
}
