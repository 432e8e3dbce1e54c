//! What recovery hands out: one complete commit at a time, its frames with their bodies by reference. A body that has
//! to outlive the callback (redo in parallel by page) is kept with [`Frame::to_body`], which shares the window that was read
//! and copies nothing.

use std::ops::Deref;
use std::sync::Arc;

use super::frame::FrameKind;
use crate::ids::{CommitId, LogPosition, PageNumber};

/// A complete commit, as read from the log.
#[derive(Debug)]
pub struct Commit<'a> {
    /// Its place in the commit order.
    pub id: CommitId,
    /// Time of the commit, in milliseconds since the Unix epoch.
    pub wall_clock_ms: u64,
    /// Position behind its last frame.
    pub end: LogPosition,
    /// Whether nothing more comes of it. A commit that is longer than [`super::WalOptions::commit_part`] is handed out in
    /// parts, once it is known that all of it is there.
    pub is_last_part: bool,
    pub(super) frames: &'a [ReadFrame],
    pub(super) windows: &'a [Arc<Vec<u8>>],
}

/// A frame of a [`Commit`].
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The page that it changes; `PageNumber::NONE` in an empty commit.
    pub page: PageNumber,
    /// What it does to the page.
    pub kind: FrameKind,
    /// Where it starts.
    pub position: LogPosition,
    /// The bytes behind the kind byte and the mark.
    pub body: &'a [u8],
    bytes: &'a Arc<Vec<u8>>,
    start: u32,
}

/// The body of a frame, kept by sharing what was read. Dereferences to the bytes.
#[derive(Clone, Debug)]
pub struct FrameBody {
    bytes: Arc<Vec<u8>>,
    start: u32,
    len: u32,
}

/// A frame's place in the windows that were read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadFrame {
    pub(super) page: PageNumber,
    pub(super) kind: FrameKind,
    pub(super) position: LogPosition,
    pub(super) window: u32,
    pub(super) start: u32,
    pub(super) len: u32,
}

impl<'a> Commit<'a> {
    /// The frames in log order.
    pub fn frames(&self) -> impl ExactSizeIterator<Item = Frame<'a>> + use<'a> {
        let windows = self.windows;
        self.frames.iter().map(move |frame| {
            let bytes = &windows[frame.window as usize];
            let start = frame.start as usize;
            Frame {
                page: frame.page,
                kind: frame.kind,
                position: frame.position,
                body: &bytes[start..start + frame.len as usize],
                bytes,
                start: frame.start,
            }
        })
    }
}

impl Frame<'_> {
    /// The window that the body is in, and where it begins there.
    pub(crate) fn window(&self) -> (&Arc<Vec<u8>>, u32) {
        (self.bytes, self.start)
    }

    /// Keeps the body beyond the callback; the window that it is in stays in memory as long as one of its bodies.
    #[must_use]
    pub fn to_body(&self) -> FrameBody {
        FrameBody {
            bytes: Arc::clone(self.bytes),
            start: self.start,
            len: self.body.len() as u32,
        }
    }
}

impl FrameBody {
    pub(crate) fn new(bytes: &Arc<Vec<u8>>, start: usize, len: usize) -> Self {
        Self {
            bytes: Arc::clone(bytes),
            start: start as u32,
            len: len as u32,
        }
    }
}

impl Deref for FrameBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let start = self.start as usize;
        &self.bytes[start..start + self.len as usize]
    }
}

/// What [`super::Wal::recover`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Position behind the last complete commit; where the log was asked to begin when there is none.
    pub end: LogPosition,
    /// The last complete commit; `None` when there is none.
    pub last_commit: Option<CommitId>,
    /// Frames of complete commits.
    pub frames: u64,
    /// Complete commits.
    pub commits: u64,
    /// Bytes of these frames.
    pub bytes: u64,
    /// What lies behind `end` when it is not simply unused space: a commit that never became durable.
    pub torn: Option<TornTail>,
}

/// The rest of a write that a crash cut short. Nothing in it was ever acknowledged as durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Where the log stops making sense; at or behind the recovered end.
    pub position: LogPosition,
    /// What was found there.
    pub what: String,
}
