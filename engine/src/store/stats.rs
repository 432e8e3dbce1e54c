//! What a data file consists of and what was done with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Figures of a data file at one moment; see [`super::DataFile::stats`].
///
/// `file_bytes` is the sum of the superblocks (8192 bytes), live, reserved, pending and free bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreStats {
    /// Length of the file.
    pub(crate) file_bytes: u64,
    /// Extents that the page map refers to, and the page map itself, with padding.
    pub(crate) live_bytes: u64,
    /// Extents being written.
    pub(crate) reserved_bytes: u64,
    /// Replaced extents that the durable checkpoint may still refer to.
    pub(crate) pending_bytes: u64,
    /// Extents that can be handed out.
    pub(crate) free_bytes: u64,
    /// Page numbers up to the highest in use, in use or free.
    pub(crate) page_count: u32,
    /// Page numbers in use, written or not.
    pub(crate) used_pages: u32,
    /// Page numbers below the highest in use that are free, or will be with the next checkpoint.
    pub(crate) free_pages: u32,
    /// Pages that have an image in the file.
    pub(crate) mapped_pages: u64,
    /// Lengths of those images before compression, in bytes.
    pub(crate) raw_bytes: u64,
    /// Lengths of those images as stored, with header and CRC and without padding, in bytes.
    pub(crate) stored_bytes: u64,
    /// Page images read since the file was opened.
    pub(crate) pages_read: u64,
    /// Page images written since the file was opened.
    pub(crate) pages_written: u64,
    /// Bytes read since the file was opened, the page map included.
    pub(crate) bytes_read: u64,
    /// Bytes written since the file was opened, the page map and superblocks included.
    pub(crate) bytes_written: u64,
    /// Write calls since the file was opened.
    pub(crate) writes: u64,
    /// Reads since the file was opened whose bytes were not what was written.
    pub(crate) corruptions: u64,
    /// Generation of the durable checkpoint; 1 is the creation of the database.
    pub(crate) generation: u64,
    /// When the durable checkpoint was taken; `None` when there has been none since creation.
    pub(crate) last_checkpoint: Option<SystemTime>,
}

/// Counts since the file was opened.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) pages_read: AtomicU64,
    pub(super) pages_written: AtomicU64,
    pub(super) bytes_read: AtomicU64,
    pub(super) bytes_written: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) corruptions: AtomicU64,
}

impl Counters {
    /// Counts one write of so many bytes.
    pub(super) fn wrote(&self, bytes: usize) {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.bytes_written.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
