//! The files of a running log, by what they are for.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::sizes::Need;
use crate::ids::LogPosition;
use crate::vfs::FileId;

/// A file that part of the log is in, or was in.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) path: PathBuf,
    pub(super) id: FileId,
    pub(super) start: LogPosition,
    pub(super) end: LogPosition,
    pub(super) size: u64,
}

/// A file ready for use.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) sequence: u64,
    pub(super) path: PathBuf,
    pub(super) id: FileId,
    pub(super) size: u64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) live: VecDeque<Live>,
    pub(super) spares: VecDeque<Spare>,
    pub(super) next_sequence: u64,
    /// Of the segment that was taken last.
    pub(super) time_line: u64,
    /// Where the next segment starts.
    pub(super) next_start: LogPosition,
    pub(super) need: Need,
    /// Bytes of frames for which the commit that is being applied may take spares: those are not removed.
    pub(super) promised: u64,
    /// Needed no more, and could not be removed, cut or renamed.
    pub(super) abandoned: Vec<Spare>,
    /// A spare that was wanted could not be made for want of room.
    pub(super) is_starved: bool,
}

impl State {
    pub(super) fn spare_bytes(&self) -> u64 {
        self.spares.iter().map(|spare| spare.size).sum()
    }
}
