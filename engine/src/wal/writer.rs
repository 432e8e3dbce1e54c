//! The write side of a flush: bytes of the log buffer into the segment files, in whole aligned blocks.
//!
//! The log ends inside a block more often than not, so the last, partial block is kept in memory and written again
//! with what follows it; what was durable in it is rewritten with the same bytes. The rest of a block is zeros.

use std::sync::Arc;

use super::block::{BLOCK_BYTES, Block};
use super::buffer::Buffer;
use super::segment::{Segment, zero_block};
use crate::error::{Error, Result};

/// Blocks written at once: 1 MiB.
const CHUNK_BLOCKS: usize = 256;

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
            unsynced: Vec::new(),
        }
    }

    /// Whether everything written is durable and nothing is left to write.
    pub(super) fn is_settled(&self) -> bool {
        self.taken.is_empty() && self.unsynced.is_empty()
    }

    /// Fills the CRCs of the taken buffer, writes it and empties it. Returns the bytes written.
    pub(super) fn write_taken(&mut self) -> Result<u64> {
        let mut taken = std::mem::take(&mut self.taken);
        taken.seal();
        let mut written = 0;
        for (segment, file_offset, bytes) in taken.runs() {
            if bytes.is_empty() {
                continue;
            }
            if !self.direct
                && self
                    .unsynced
                    .last()
                    .is_none_or(|last| !Arc::ptr_eq(last, segment))
            {
                self.unsynced.push(Arc::clone(segment));
            }
            written += self.write_run(segment, file_offset, bytes)?;
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

    fn write_run(&mut self, segment: &Segment, file_offset: u64, mut bytes: &[u8]) -> Result<u64> {
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
            let filled = carried + taken;
            let block_count = filled.div_ceil(BLOCK_BYTES);
            if self.chunk.len() < block_count {
                self.chunk.resize(block_count, Block([0; BLOCK_BYTES]));
            }
            let out: &mut [u8] = bytemuck::cast_slice_mut(&mut self.chunk[..block_count]);
            out[..carried].copy_from_slice(&self.tail.0[..carried]);
            out[carried..filled].copy_from_slice(&bytes[..taken]);
            out[filled..].fill(0);
            segment
                .file
                .write_at(out, at)
                .map_err(|e| Error::io("write", &segment.path, e))?;
            written += out.len() as u64;
            carried = filled % BLOCK_BYTES;
            self.tail.0[..carried].copy_from_slice(&out[filled - carried..filled]);
            at += (filled - carried) as u64;
            bytes = &bytes[taken..];
        }
        self.tail_len = carried;
        Ok(written)
    }
}
