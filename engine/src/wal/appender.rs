//! The append side: the one applier writes frames straight into the log buffer, in commit order. No allocation and no
//! CRC here; both would be serial time of every commit.
//!
//! Frames never span segments: one that does not fit leaves the rest of its segment unused and begins the next.

use std::sync::Arc;

use super::buffer::Buffer;
use super::frame::{self, CommitMark, FrameKind, StoredMark};
use super::log::Wal;
use super::segment::{HEADER_BYTES, Segment};
use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition, PageNumber};
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering;

/// Where the log is being written. Guarded by a mutex of the log.
#[derive(Debug)]
pub(super) struct AppendState {
    pub(super) buffer: Buffer,
    /// Length of the finished frames in `buffer`; anything behind it is the rest of a body closure that panicked.
    filled: usize,
    segment: Arc<Segment>,
    /// Offset in the segment's file behind the last frame.
    offset: u64,
    last_commit: Option<CommitId>,
    /// Frames of the commit that has no mark yet.
    open_frames: u32,
}

impl AppendState {
    /// The log begins at the start of `segment`.
    pub(super) fn new(segment: Arc<Segment>) -> Self {
        let mut buffer = Buffer::default();
        buffer.start_piece(&segment, 0);
        Self {
            filled: buffer.bytes.len(),
            buffer,
            segment,
            offset: HEADER_BYTES as u64,
            last_commit: None,
            open_frames: 0,
        }
    }

    /// Goes on at the start of `segment`.
    fn enter(&mut self, segment: Arc<Segment>) {
        self.segment = segment;
        self.offset = HEADER_BYTES as u64;
        self.buffer.start_piece(&self.segment, 0);
    }

    pub(super) fn end(&self) -> LogPosition {
        LogPosition(self.segment.header.start().0 + self.offset)
    }

    /// Gives the filled buffer for the empty `other`.
    pub(super) fn exchange(&mut self, other: &mut Buffer) {
        debug_assert!(other.is_empty());
        self.buffer.bytes.truncate(self.filled);
        std::mem::swap(&mut self.buffer, other);
        self.filled = 0;
    }

    /// What the order of frames must be. A violation is an error of the engine, never of its input.
    fn check_order(&self, page: PageNumber, commit: CommitId, kind: FrameKind, mark: Option<CommitMark>) {
        assert_eq!(
            kind == FrameKind::Commit,
            page == PageNumber::NONE,
            "exactly empty commits have no page"
        );
        assert!(
            kind != FrameKind::Commit || mark.is_some(),
            "an empty commit has a mark"
        );
        if let Some(last) = self.last_commit {
            let expected = if self.open_frames > 0 { last } else { last.next() };
            assert_eq!(commit, expected, "commits are appended densely and in order");
        }
        if let Some(mark) = mark {
            assert_eq!(
                mark.frame_count,
                self.open_frames + 1,
                "the mark counts the frames of its commit"
            );
        }
    }

    /// The mark as stored in a frame that starts here.
    fn stored(&self, mark: CommitMark, durable: LogPosition) -> StoredMark {
        let segment_clock = self.segment.header.wall_clock_ms;
        StoredMark {
            frame_count: u64::from(mark.frame_count),
            wall_clock_delta_ms: (mark.wall_clock_ms as i64).wrapping_sub(segment_clock as i64),
            durable_distance: self.end().0 - durable.0,
        }
    }

    fn room(&self) -> u64 {
        self.segment.header.segment_size - HEADER_BYTES as u64 - self.offset
    }
}

/// Exclusive access to the end of the log; the flush lead waits while it is held, so a commit's frames that are
/// appended under one `LogAppender` reach the disk in one flush.
#[derive(Debug)]
pub struct LogAppender<'a> {
    pub(super) wal: &'a Wal,
    pub(super) state: MutexGuard<'a, AppendState>,
}

impl LogAppender<'_> {
    /// Appends one frame; `body` appends the bytes that follow the kind byte and the mark, and must not touch those
    /// before. The last frame of a commit carries its `mark`. Returns the position behind the frame.
    ///
    /// # Errors
    /// A frame larger than a segment; an I/O error when the next segment had to be made here and could not be. Either
    /// poisons the log, since the page may hold the change already and a commit may be half appended: use
    /// [`LogAppender::reserve`] first to find out while nothing is changed yet.
    ///
    /// # Panics
    /// When commit IDs are not dense, a mark miscounts the frames of its commit, or a page number is missing.
    pub fn frame(
        &mut self,
        page: PageNumber,
        commit: CommitId,
        kind: FrameKind,
        mark: Option<CommitMark>,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<LogPosition> {
        self.wal.poison.check()?;
        self.state.check_order(page, commit, kind, mark);
        let end = self
            .write_frame(page, commit, kind, mark, body)
            .inspect_err(|error| drop(self.wal.poison.set(&error.to_string())))?;
        let state = &mut *self.state;
        state.last_commit = Some(commit);
        state.open_frames = if mark.is_some() { 0 } else { state.open_frames + 1 };
        self.wal.publish_end(end, state.buffer.frame_bytes());
        Ok(end)
    }

    /// Makes sure that frames of `bytes` in total can be appended without creating a file, by creating spare segments
    /// now. A full disk is thus found before a commit changes anything, and poisons nothing; nor does a log that was
    /// moved away.
    ///
    /// # Errors
    /// Poisoned, the I/O error of creating a segment, or [`Error::Moved`].
    pub fn reserve(&mut self, bytes: usize) -> Result<()> {
        self.wal.poison.check()?;
        let bytes = bytes as u64;
        let room = self.state.room();
        if bytes <= room || crate::injected::makes(crate::injected::Bug::LogNotReserved) {
            return Ok(());
        }
        let missing = bytes - room.saturating_sub(self.wal.frame_bytes_usual);
        self.wal.segments.promise(missing)?;
        self.wal.segments.check_spares()
    }

    /// Bytes of frames that can be appended for certain in this segment.
    pub(super) fn segment_room(&self) -> u64 {
        self.state.room()
    }

    /// The position behind the last frame.
    #[must_use]
    pub fn end(&self) -> LogPosition {
        self.state.end()
    }

    /// Sequence number of the segment that is being written.
    pub(super) fn segment_sequence(&self) -> u64 {
        self.state.segment.header.sequence
    }

    /// Goes over to a fresh segment if this one is larger than the log needs, and there is room for another spare: the next
    /// opening needs one.
    ///
    /// # Errors
    /// As [`LogAppender::reserve`].
    pub(super) fn leave_oversize(&mut self) -> Result<()> {
        self.wal.poison.check()?;
        debug_assert_eq!(self.state.open_frames, 0, "between two commits");
        if !self
            .wal
            .segments
            .is_oversize(self.state.segment.header.segment_size)
        {
            return Ok(());
        }
        match self.wal.segments.prepare_count(2) {
            Err(error) if error.is_disk_full() => Ok(()),
            answer => answer.and_then(|()| self.leave_for_spare()),
        }
    }

    /// Goes over to a spare, if there is one.
    pub(super) fn leave_for_spare(&mut self) -> Result<()> {
        self.wal.poison.check()?;
        self.wal.segments.check_spares()?;
        if self.wal.segments.spare_count() == 0 {
            return Ok(());
        }
        let state = &mut *self.state;
        let durable = LogPosition(self.wal.durable.load(Ordering::Relaxed));
        state.buffer.bytes.truncate(state.filled);
        state.enter(self.wal.segments.take(state.end(), durable)?);
        state.filled = state.buffer.bytes.len();
        self.wal.publish_end(state.end(), state.buffer.frame_bytes());
        Ok(())
    }

    fn write_frame(
        &mut self,
        page: PageNumber,
        commit: CommitId,
        kind: FrameKind,
        mark: Option<CommitMark>,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<LogPosition> {
        let state = &mut *self.state;
        state.buffer.bytes.truncate(state.filled);
        if !state.buffer.has_pieces() {
            state.buffer.start_piece(&state.segment, state.offset);
        }
        let durable = LogPosition(self.wal.durable.load(Ordering::Relaxed));
        let mut start = state.buffer.bytes.len();
        let stored = mark.map(|mark| state.stored(mark, durable));
        frame::begin(&mut state.buffer.bytes, page, commit, kind, stored);
        let body_start = state.buffer.bytes.len();
        body(&mut state.buffer.bytes);
        assert!(
            state.buffer.bytes.len() >= body_start,
            "a body is appended, nothing removed"
        );
        let mut size = frame::finish(&mut state.buffer.bytes, start);
        if size.is_none_or(|size| size as u64 > state.room()) {
            let body_end = size.map_or(state.buffer.bytes.len(), |size| start + size - frame::CRC_BYTES);
            let body_bytes = state.buffer.bytes[body_start..body_end].to_vec();
            state.buffer.bytes.truncate(start);
            let segment_room = self.wal.segments.frame_room();
            if (body_bytes.len() + frame::FRAME_BYTES_MAX_BESIDE_BODY) as u64 > segment_room {
                return Err(Error::CapacityExceeded {
                    what: "a log frame",
                    limit: segment_room - frame::FRAME_BYTES_MAX_BESIDE_BODY as u64,
                });
            }
            let previous_end = state.end();
            crate::reach::mark_if(
                state.open_frames > 0,
                crate::reach::Mechanism::SegmentSwitchInCommit,
            );
            state.enter(self.wal.segments.take(previous_end, durable)?);
            start = state.buffer.bytes.len();
            let stored = mark.map(|mark| state.stored(mark, durable));
            frame::begin(&mut state.buffer.bytes, page, commit, kind, stored);
            state.buffer.bytes.extend_from_slice(&body_bytes);
            size = frame::finish(&mut state.buffer.bytes, start);
        }
        let size = size.expect("a frame that fits a segment has a 32-bit size");
        state.offset += size as u64;
        crate::reach::mark_if(state.room() == 0, crate::reach::Mechanism::SegmentFilled);
        assert!(
            state.end() <= state.segment.header.frames_end(),
            "frames never span segments"
        );
        state.filled = state.buffer.bytes.len();
        Ok(state.end())
    }
}
