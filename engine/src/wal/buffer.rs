//! The log buffer: finished frames on their way to the segment files. There are two, which change places: the
//! appender fills one while the flush lead writes the other.

use std::sync::Arc;

use super::frame::seal;
use super::segment::{HEADER_BYTES, Segment};

/// A buffer that grew past this many bytes for one large commit is not kept.
const KEPT_BYTES_MAX: usize = 16 << 20;
/// One that is larger than this is given up when it was less than a quarter full so many times in a row.
const KEPT_ANYHOW: usize = 256 << 10;
const TIMES_UNUSED: u32 = 8;

/// A run of bytes for one segment, contiguous in the file: the header block, where the run begins a segment, and frames.
#[derive(Debug)]
struct Piece {
    segment: Arc<Segment>,
    file_offset: u64,
    /// Where the run begins in the buffer; it ends where the next one begins.
    start: usize,
}

/// Bytes to write and where they go. Lengths are in bytes.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    pieces: Vec<Piece>,
    header_bytes: usize,
    /// How many times in a row much less would have done.
    times_unused: u32,
}

impl Buffer {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of frames, without segment headers.
    pub(super) fn frame_bytes(&self) -> usize {
        self.bytes.len() - self.header_bytes
    }

    /// Starts a run at `file_offset` of `segment`; with the header block when that is the start of the file.
    pub(super) fn start_piece(&mut self, segment: &Arc<Segment>, file_offset: u64) {
        self.pieces.push(Piece {
            segment: Arc::clone(segment),
            file_offset,
            start: self.bytes.len(),
        });
        if file_offset == 0 {
            self.bytes.extend_from_slice(&segment.header.encode());
            self.header_bytes += HEADER_BYTES;
        }
    }

    pub(super) fn has_pieces(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// Fills the CRC of every frame.
    pub(super) fn seal(&mut self) {
        for index in 0..self.pieces.len() {
            let piece = &self.pieces[index];
            let end = self
                .pieces
                .get(index + 1)
                .map_or(self.bytes.len(), |next| next.start);
            let header = if piece.file_offset == 0 { HEADER_BYTES } else { 0 };
            seal(
                &mut self.bytes[piece.start + header..end],
                piece.segment.header.salt,
            );
        }
    }

    /// The runs in order: segment, file offset, bytes.
    pub(super) fn runs(&self) -> impl Iterator<Item = (&Arc<Segment>, u64, &[u8])> {
        self.pieces.iter().enumerate().map(|(index, piece)| {
            let end = self
                .pieces
                .get(index + 1)
                .map_or(self.bytes.len(), |next| next.start);
            (&piece.segment, piece.file_offset, &self.bytes[piece.start..end])
        })
    }

    /// Empties the buffer and keeps its memory for the next use, unless it has been too much for a while.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.header_bytes = 0;
        let capacity = self.bytes.capacity();
        let is_unused = capacity > KEPT_ANYHOW && self.bytes.len() < capacity / 4;
        self.times_unused = if is_unused { self.times_unused + 1 } else { 0 };
        if capacity > KEPT_BYTES_MAX || self.times_unused >= TIMES_UNUSED {
            self.bytes = Vec::new();
            self.times_unused = 0;
        } else {
            self.bytes.clear();
        }
    }
}
