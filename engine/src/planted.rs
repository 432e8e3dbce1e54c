//! Planted durability faults: mistakes that a storage engine can make, each behind a switch, so that the crash checker
//! can be shown to find every one of them.
//!
//! A fault is switched on for the calling thread and what it calls. Builds without debug assertions have no faults:
//! there every question is answered with a constant `false`.

use std::cell::Cell;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A flush of the log writes and does not sync.
    FlushWithoutSync,
    /// A flush of the log syncs first and writes then, so that the sync covers what was flushed before.
    SyncBeforeWrite,
    /// Direct writes of the log go without O_DSYNC.
    DirectWithoutSync,
    /// The CRC of log frames is not checked.
    NoFrameCrc,
    /// The CRC of log frames is not seeded with the segment's salt.
    CrcWithoutSalt,
    /// Directories are not synced after files were made in them.
    NamesNotSynced,
    /// Recovery redoes the frames of a commit that has no mark.
    IncompleteCommitRedone,
    /// Damage in the middle of the log ends it, as if it were a torn tail.
    DamageTruncatesLog,
    /// Of several segments that continue the log, recovery takes the oldest.
    AbandonedSegmentRead,
    /// Log segments are recycled before the checkpoint that makes them superfluous is durable.
    RecycleTooEarly,
    /// A checkpoint does not flush the log before it makes pages durable.
    LogBehindPages,
    /// A checkpoint notes the redo position after it has copied the pages, not before.
    RedoPositionTooLate,
    /// A checkpoint leaves out one changed page.
    DirtyPageForgotten,
    /// A checkpoint syncs only after it has written the superblock.
    SuperblockBeforeData,
    /// A checkpoint does not sync the superblock before the space of the one before is used again.
    SuperblockNotSynced,
    /// Opening does not make the superblock that it found durable again.
    SuperblockNotSettled,
    /// Every checkpoint writes the same superblock slot.
    SuperblockInPlace,
    /// The space of a replaced page image is free at once, while the durable checkpoint needs it.
    ExtentReusedTooEarly,
    /// The CRC of page images is not checked.
    NoExtentCrc,
    /// Page images are not compared with what the page map says of them.
    NoExtentIdentity,
    /// Recovery leaves out the frame of the commit after the page's own.
    RedoSkipsNextCommit,
    /// Recovery leaves out the last complete commit.
    LastCommitNotRedone,
    /// Recovery does not redo that a page was freed.
    FreedNotRedone,
    /// A commit of several pages leaves one of them out of the log.
    PageMissingFromLog,
    /// `Database::sync` returns without flushing.
    SyncPromisesNothing,
    /// A failed sync of the log is reported once, and the next flush goes on as if nothing was wrong.
    FailedSyncForgotten,
    /// A page is copied in the middle of a commit as if it had all of the commit's changes.
    HalfCommitCopied,
}

impl Fault {
    /// All of them, with a description each.
    pub const ALL: &'static [(Fault, &'static str)] = &[
        (
            Fault::FlushWithoutSync,
            "a flush of the log writes and does not sync",
        ),
        (
            Fault::SyncBeforeWrite,
            "a flush of the log syncs first and writes then, so that the sync covers what was flushed before",
        ),
        (
            Fault::DirectWithoutSync,
            "direct writes of the log go without O_DSYNC",
        ),
        (Fault::NoFrameCrc, "the CRC of log frames is not checked"),
        (
            Fault::CrcWithoutSalt,
            "the CRC of log frames is not seeded with the segment's salt",
        ),
        (
            Fault::NamesNotSynced,
            "directories are not synced after files were made in them",
        ),
        (
            Fault::IncompleteCommitRedone,
            "recovery redoes the frames of a commit that has no mark",
        ),
        (
            Fault::DamageTruncatesLog,
            "damage in the middle of the log ends it, as if it were a torn tail",
        ),
        (
            Fault::AbandonedSegmentRead,
            "of several segments that continue the log, recovery takes the oldest",
        ),
        (
            Fault::RecycleTooEarly,
            "log segments are recycled before the checkpoint that makes them superfluous is durable",
        ),
        (
            Fault::LogBehindPages,
            "a checkpoint does not flush the log before it makes pages durable",
        ),
        (
            Fault::RedoPositionTooLate,
            "a checkpoint notes the redo position after it has copied the pages, not before",
        ),
        (
            Fault::DirtyPageForgotten,
            "a checkpoint leaves out one changed page",
        ),
        (
            Fault::SuperblockBeforeData,
            "a checkpoint syncs only after it has written the superblock",
        ),
        (
            Fault::SuperblockNotSynced,
            "a checkpoint does not sync the superblock before the space of the one before is used again",
        ),
        (
            Fault::SuperblockNotSettled,
            "opening does not make the superblock that it found durable again",
        ),
        (
            Fault::SuperblockInPlace,
            "every checkpoint writes the same superblock slot",
        ),
        (
            Fault::ExtentReusedTooEarly,
            "the space of a replaced page image is free at once, while the durable checkpoint needs it",
        ),
        (Fault::NoExtentCrc, "the CRC of page images is not checked"),
        (
            Fault::NoExtentIdentity,
            "page images are not compared with what the page map says of them",
        ),
        (
            Fault::RedoSkipsNextCommit,
            "recovery leaves out the frame of the commit after the page's own",
        ),
        (
            Fault::LastCommitNotRedone,
            "recovery leaves out the last complete commit",
        ),
        (
            Fault::FreedNotRedone,
            "recovery does not redo that a page was freed",
        ),
        (
            Fault::PageMissingFromLog,
            "a commit of several pages leaves one of them out of the log",
        ),
        (
            Fault::SyncPromisesNothing,
            "`Database::sync` returns without flushing",
        ),
        (
            Fault::FailedSyncForgotten,
            "a failed sync of the log is reported once, and the next flush goes on as if nothing was wrong",
        ),
        (
            Fault::HalfCommitCopied,
            "a page is copied in the middle of a commit as if it had all of the commit's changes",
        ),
    ];
}

thread_local! {
    static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// Whether faults can be planted in this build.
#[must_use]
pub const fn are_possible() -> bool {
    cfg!(debug_assertions)
}

/// The fault that this thread has.
#[must_use]
pub fn current() -> Option<Fault> {
    PLANTED.get()
}

/// Runs `f` with this fault planted, or with none.
pub fn with<T>(fault: Option<Fault>, f: impl FnOnce() -> T) -> T {
    struct Restore(Option<Fault>);
    impl Drop for Restore {
        fn drop(&mut self) {
            PLANTED.set(self.0);
        }
    }
    let _restore = Restore(PLANTED.replace(fault));
    f()
}

/// Whether the engine makes this mistake now.
#[inline]
pub(crate) fn makes(fault: Fault) -> bool {
    are_possible() && PLANTED.get() == Some(fault)
}
