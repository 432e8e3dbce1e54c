//! A part of the log, bounded in bytes, whose frames can be had by page.
//!
//! The bodies stay in the windows that the log was read through. Frames are not moved either: what is sorted is an index of
//! one number each, page and place in the log.

use std::sync::Arc;

use crate::ids::{CommitId, LogPosition, PageNumber};
use crate::wal::{Commit, FrameKind};

/// A frame to redo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Redo {
    pub(super) commit: CommitId,
    pub(super) position: LogPosition,
    pub(super) page: PageNumber,
    window: u32,
    start: u32,
    len: u32,
    pub(super) kind: FrameKind,
}

/// Memory for a frame beside its bytes in the log. Vectors grow to twice what is in them.
const BYTES_BESIDE: usize = 2 * (size_of::<Redo>() + size_of::<u64>());

#[derive(Debug)]
pub(super) struct Batch {
    bound: usize,
    bytes: usize,
    frames: Vec<Redo>,
    windows: Vec<Arc<Vec<u8>>>,
    /// Page and index of each frame, once sorted.
    order: Vec<u64>,
}

impl Batch {
    /// One of so many bytes; longer, if a single part of a commit is.
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            bytes: 0,
            frames: Vec::new(),
            windows: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Whether the batch with these frames keeps to its bound, or has nothing yet.
    pub(super) fn has_room_for(&self, commit: &Commit<'_>) -> bool {
        self.frames.is_empty()
            || self.bytes + commit.frames().map(|frame| bytes_of(frame.body)).sum::<usize>() <= self.bound
    }

    /// Takes the frames of a commit, or of a part of one.
    pub(super) fn add(&mut self, commit: &Commit<'_>) {
        for frame in commit.frames().filter(|frame| frame.kind != FrameKind::Commit) {
            let (window, start) = frame.window();
            if self.windows.last().is_none_or(|last| !Arc::ptr_eq(last, window)) {
                self.windows.push(Arc::clone(window));
            }
            self.bytes += bytes_of(frame.body);
            self.frames.push(Redo {
                commit: commit.id,
                position: frame.position,
                page: frame.page,
                window: self.windows.len() as u32 - 1,
                start,
                len: frame.body.len() as u32,
                kind: frame.kind,
            });
        }
    }

    /// Leaves out the last commit.
    pub(super) fn forget_last_commit(&mut self) {
        if let Some(last) = self.frames.last().map(|frame| frame.commit) {
            self.frames.retain(|frame| frame.commit != last);
        }
    }

    /// Sorts the frames by page, those of a page in the order of the log.
    pub(super) fn sort(&mut self) {
        let key = |(index, frame): (usize, &Redo)| u64::from(frame.page.0) << 32 | index as u64;
        self.order.extend(self.frames.iter().enumerate().map(key));
        self.order.sort_unstable();
    }

    /// The frames, sorted: each is a key for [`Batch::frame`].
    pub(super) fn order(&self) -> &[u64] {
        &self.order
    }

    pub(super) fn frame(&self, key: u64) -> &Redo {
        &self.frames[key as u32 as usize]
    }

    pub(super) fn body(&self, frame: &Redo) -> &[u8] {
        &self.windows[frame.window as usize][frame.start as usize..][..frame.len as usize]
    }

    pub(super) fn clear(&mut self) {
        self.bytes = 0;
        self.frames.clear();
        self.windows.clear();
        self.order.clear();
    }
}

/// The page of a key.
pub(super) fn page_of(key: u64) -> PageNumber {
    PageNumber((key >> 32) as u32)
}

fn bytes_of(body: &[u8]) -> usize {
    body.len() + BYTES_BESIDE
}
