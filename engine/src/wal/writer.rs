//! The write side of a flush: bytes of the log buffer into the segment files, in whole aligned blocks.
//!
//! The log ends inside a block more often than not, so the last, partial block is kept in memory and written again
//! with what follows it; what was durable in it is rewritten with the same bytes. The rest of a block is zeros and, where
//! [`super::guard`] says so, a guard. A segment's first write also puts the other copy of its header at its end: one
//! write more for each segment, before the same sync.

use std::sync::Arc;

use super::block::{BLOCK_BYTES, Block};
use super::buffer::Buffer;
use super::guard::{Guard, SECTOR_BYTES};
use super::segment::{HEADER_BYTES, Segment, zero_block};
use crate::error::{Error, Result};
use crate::ids::LogPosition;

/// Blocks written at once: 1 MiB.
const CHUNK_BLOCKS: usize = 256;

/// What is known of the log when it is written to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// How far it is durable.
    pub(super) durable: LogPosition,
    /// Where a recovery may begin: the redo positions of the checkpoint in force, and of the one that is being made.
    pub(super) redo: [LogPosition; 2],
}

/// What the newest guard behind a block says of it.
#[derive(Clone, Copy, Debug, Default)]
struct Guarded {
    /// Log position of the block.
    block: LogPosition,
    /// How far the log was durable: past the beginning of the block.
    durable: LogPosition,
}

impl Guarded {
    /// Whether a guard behind `block` tells enough. A recovery does not look at what lies before the position that it
    /// begins at, so wherever that may be: if something behind it is durable, the guard must say so.
    fn is_enough(self, block: LogPosition, known: Known) -> bool {
        let is_told = |&redo: &LogPosition| self.durable > redo || known.durable <= redo;
        self.block == block && known.redo.iter().all(is_told)
    }
}

/// State of the one who flushes. Guarded by a mutex of the log.
pub(super) struct Writer {
    /// The buffer being written; it changes places with the appender's.
    pub(super) taken: Buffer,
    direct: bool,
    chunk: Vec<Block>,
    /// The partial block at the end of what is written: its segment, its bytes, and how many.
    tail_sequence: u64,
    tail: Box<Block>,
    tail_len: usize,
    /// Of the newest block that has a guard behind it which says that something in the block was durable.
    guarded: Guarded,
    /// The segment being written, and the one before it until that one tells of something durable in this one.
    current: Option<Arc<Segment>>,
    before: Option<Arc<Segment>>,
    /// Segments written to since the last sync, in order.
    unsynced: Vec<Arc<Segment>>,
}

impl Writer {
    pub(super) fn new(direct: bool) -> Self {
        Self {
            taken: Buffer::default(),
            direct,
            chunk: Vec::new(),
            tail_sequence: 0,
            tail: zero_block(),
            tail_len: 0,
            guarded: Guarded::default(),
            current: None,
            before: None,
            unsynced: Vec::new(),
        }
    }

    /// The log goes on from what an earlier process wrote, in another segment than this one.
    pub(super) fn continue_from(&mut self, segment: Option<Arc<Segment>>) {
        self.current = segment;
    }

    /// Whether everything written is durable and nothing is left to write.
    pub(super) fn is_settled(&self) -> bool {
        self.taken.is_empty() && self.unsynced.is_empty()
    }

    /// Fills the CRCs of the taken buffer, writes it and empties it. Returns the bytes written.
    pub(super) fn write_taken(&mut self, known: Known) -> Result<u64> {
        let mut taken = std::mem::take(&mut self.taken);
        taken.seal();
        let mut written = self.tell_before(known.durable)?;
        for (segment, file_offset, bytes) in taken.runs() {
            if bytes.is_empty() {
                continue;
            }
            self.note_unsynced(segment);
            if file_offset == 0 {
                written += write_last_block(segment, known.durable)?;
                self.before = self.current.replace(Arc::clone(segment));
            }
            written += self.write_run(segment, file_offset, bytes, known)?;
        }
        taken.clear();
        self.taken = taken;
        Ok(written)
    }

    /// Makes what was written durable, oldest segment first. Direct writes are durable already.
    pub(super) fn sync(&mut self) -> Result<()> {
        for segment in &self.unsynced {
            segment
                .file
                .sync_data()
                .map_err(|e| Error::io("sync", &segment.path, e))?;
        }
        self.unsynced.clear();
        Ok(())
    }

    fn note_unsynced(&mut self, segment: &Arc<Segment>) {
        let is_new = |last: &Arc<Segment>| !Arc::ptr_eq(last, segment);
        if !self.direct && self.unsynced.last().is_none_or(is_new) {
            self.unsynced.push(Arc::clone(segment));
        }
    }

    /// Once something in the current segment is durable, a guard in the one before says so: were the current one lost
    /// whole, nothing else would.
    fn tell_before(&mut self, durable: LogPosition) -> Result<u64> {
        let is_due = |current: &Arc<Segment>| durable > current.header.first_frame();
        if !self.current.as_ref().is_some_and(is_due) {
            return Ok(0);
        }
        let Some(before) = self.before.take() else {
            return Ok(0);
        };
        self.note_unsynced(&before);
        write_last_block(&before, durable)
    }

    fn write_run(
        &mut self,
        segment: &Segment,
        file_offset: u64,
        mut bytes: &[u8],
        known: Known,
    ) -> Result<u64> {
        crate::reach::mark_if(self.direct, crate::reach::Mechanism::DirectWrite);
        let mut carried = (file_offset % BLOCK_BYTES as u64) as usize;
        let tail_fits = self.tail_sequence == segment.header.sequence && self.tail_len == carried;
        assert!(
            carried == 0 || tail_fits,
            "a run continues where the last one ended"
        );
        self.tail_sequence = segment.header.sequence;
        let mut at = file_offset - carried as u64;
        let mut written = 0;
        while !bytes.is_empty() {
            let taken = bytes.len().min(CHUNK_BLOCKS * BLOCK_BYTES - carried);
            let is_last = taken == bytes.len();
            let filled = carried + taken;
            let block_count = filled.div_ceil(BLOCK_BYTES);
            // One more for a guard.
            if self.chunk.len() < block_count + 1 {
                self.chunk.resize(block_count + 1, Block([0; BLOCK_BYTES]));
            }
            let out: &mut [u8] = bytemuck::cast_slice_mut(&mut self.chunk[..=block_count]);
            out[..carried].copy_from_slice(&self.tail.0[..carried]);
            out[carried..filled].copy_from_slice(&bytes[..taken]);
            out[filled..].fill(0);
            let takes_block_behind =
                is_last && place_guards(segment, at, filled, known, out, &mut self.guarded);
            let blocks = block_count + usize::from(takes_block_behind);
            let out = &out[..blocks * BLOCK_BYTES];
            written += write(segment, out, at)?;
            carried = filled % BLOCK_BYTES;
            self.tail.0[..carried].copy_from_slice(&out[filled - carried..filled]);
            at += (filled - carried) as u64;
            bytes = &bytes[taken..];
        }
        self.tail_len = carried;
        Ok(written)
    }
}

/// Writes the header's copy at the end of a segment, with a guard.
fn write_last_block(segment: &Segment, durable: LogPosition) -> Result<u64> {
    let mut block = Box::new(Block(segment.header.encode()));
    Guard::of(&segment.header, durable).put(&mut block.0);
    let at = segment.header.segment_size - HEADER_BYTES as u64;
    write(segment, &block.0, at)
}

/// Puts the guards of a flush that ends in `out`, whose first `filled` bytes belong at `at` of the file and whose last
/// block lies behind them. Returns whether that block is to be written too. `guarded` is as in [`Writer`].
fn place_guards(
    segment: &Segment,
    at: u64,
    filled: usize,
    known: Known,
    out: &mut [u8],
    guarded: &mut Guarded,
) -> bool {
    let header = &segment.header;
    let guard = Guard::of(header, known.durable);
    let (frames, behind) = out.split_at_mut(out.len() - BLOCK_BYTES);
    let behind_at = LogPosition(header.start().0 + at + frames.len() as u64);
    let last_block = LogPosition(behind_at.0 - BLOCK_BYTES as u64);
    let has_room = frames.len() - filled >= SECTOR_BYTES;
    if has_room {
        guard.put(frames);
    }
    let holds_durable = known.durable > last_block;
    if has_room && (!holds_durable || guarded.is_enough(last_block, known)) {
        return false;
    }
    if behind_at == header.frames_end() {
        behind.copy_from_slice(&header.encode());
    }
    guard.put(behind);
    if holds_durable {
        *guarded = Guarded {
            block: last_block,
            durable: guard.durable,
        };
    }
    true
}

fn write(segment: &Segment, bytes: &[u8], at: u64) -> Result<u64> {
    segment
        .file
        .write_at(bytes, at)
        .map_err(|e| Error::io("write", &segment.path, e))?;
    Ok(bytes.len() as u64)
}
