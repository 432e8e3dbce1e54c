//! What can be chosen about the log, and what it counts.

use std::path::PathBuf;
use std::str::FromStr;

use super::block::BLOCK_BYTES;
use super::frame::FRAME_BYTES_MAX_BESIDE_BODY;
use super::segment::HEADER_BYTES;
use crate::error::{Error, Result};
use crate::ids::LogPosition;

/// How a flush makes the log durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WalSync {
    /// Measure both at open and take the faster.
    #[default]
    Auto,
    /// Write through the page cache, then `fdatasync`.
    Fdatasync,
    /// Write with `O_DIRECT | O_DSYNC`: one system call, no page cache.
    Direct,
}

impl WalSync {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Fdatasync, Self::Direct];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fdatasync => "fdatasync",
            Self::Direct => "direct",
        }
    }
}

impl FromStr for WalSync {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|sync| sync.name() == text);
        found.ok_or_else(|| Error::InvalidOption {
            name: "wal_sync",
            value: text.to_owned(),
            expected: "auto, fdatasync or direct".to_owned(),
        })
    }
}

/// Where the log is and how it is laid out.
#[derive(Clone, Debug)]
pub struct WalOptions {
    /// The directory of the segment files; nothing else belongs in it.
    pub dir: PathBuf,
    /// Size of the largest segment files in bytes, a multiple of 4096. A log begins with small ones; see
    /// [`WalOptions::SEGMENT_SIZE_SMALL`].
    pub segment_size: u64,
    /// How a flush makes the log durable.
    pub sync: WalSync,
    /// How many unused segments [`super::Wal::prepare`] keeps ready.
    pub prepare_ahead: usize,
    /// The database's page size in bytes; a segment must have room for a page image.
    pub page_size: usize,
    /// The ID of the database: a log of another one is refused.
    pub database_id: u64,
    /// The time line that the log is in where [`super::Wal::recover`] begins, if that is known.
    pub time_line: Option<u64>,
    /// Where recovery begins, if that is known: a segment before it can be used again by [`super::Wal::start`].
    pub needed_from: Option<LogPosition>,
    /// Whether [`super::Wal::recover`] changes nothing, so that it does not sync what it reads.
    pub read_only: bool,
    /// How much of the log [`super::Wal::recover`] reads at a time, in bytes.
    pub read_window: usize,
    /// How much of one commit [`super::Wal::recover`] has in memory, in bytes: a longer one is handed out in parts.
    pub commit_part: usize,
}

impl WalOptions {
    /// The default segment size: 16 MiB.
    pub const SEGMENT_SIZE_DEFAULT: u64 = 16 << 20;
    /// The size that a log without load has, where pages are not too large for it: 256 KiB.
    pub const SEGMENT_SIZE_SMALL: u64 = 256 << 10;
    /// The largest segment size: 1 GiB.
    pub const SEGMENT_SIZE_MAX: u64 = 1 << 30;

    /// The default of [`WalOptions::read_window`]: 1 MiB.
    pub const READ_WINDOW_DEFAULT: usize = 1 << 20;
    /// The default of [`WalOptions::commit_part`]: 4 MiB.
    pub const COMMIT_PART_DEFAULT: usize = 4 << 20;

    /// The defaults for a log in `dir`: segments of 16 MiB, one prepared ahead, the faster way to flush, 16 KiB pages.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_size: Self::SEGMENT_SIZE_DEFAULT,
            sync: WalSync::Auto,
            prepare_ahead: 1,
            page_size: 16 << 10,
            database_id: 0,
            time_line: None,
            needed_from: None,
            read_only: false,
            read_window: Self::READ_WINDOW_DEFAULT,
            commit_part: Self::COMMIT_PART_DEFAULT,
        }
    }

    /// Smallest segment that holds a page image, in bytes.
    pub(super) fn segment_size_min(&self) -> u64 {
        (2 * HEADER_BYTES + self.frame_bytes_usual().next_multiple_of(BLOCK_BYTES)) as u64
    }

    /// Size of the segments that the log begins with.
    pub(super) fn segment_size_smallest(&self) -> u64 {
        Self::SEGMENT_SIZE_SMALL
            .max(4 * self.page_size as u64)
            .min(self.segment_size)
    }

    /// Most that a frame with a page image takes, in bytes.
    pub(super) fn frame_bytes_usual(&self) -> usize {
        self.page_size + FRAME_BYTES_MAX_BESIDE_BODY + 64
    }

    /// Checks the ranges.
    pub(super) fn validate(&self) -> Result<()> {
        let min = self.segment_size_min();
        let in_range = (min..=Self::SEGMENT_SIZE_MAX).contains(&self.segment_size);
        if !in_range || !self.segment_size.is_multiple_of(BLOCK_BYTES as u64) {
            return Err(Error::InvalidOption {
                name: "wal_segment_size",
                value: self.segment_size.to_string(),
                expected: format!(
                    "a multiple of {BLOCK_BYTES} from {min} to {} bytes with pages of {} bytes",
                    Self::SEGMENT_SIZE_MAX,
                    self.page_size
                ),
            });
        }
        Ok(())
    }
}

/// Counters of one [`super::Wal`] since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalStats {
    /// Flushes that made something durable.
    pub flushes: u64,
    /// Time spent in them, CRC, write and sync, in nanoseconds.
    pub flush_ns_total: u64,
    /// Writes without a sync ([`super::Wal::write_out`]).
    pub write_outs: u64,
    /// Bytes of all frames appended, with their headers and CRCs.
    pub bytes_appended: u64,
    /// Bytes handed to the files in flushes and write-outs: whole blocks, so more than the frames.
    pub bytes_written: u64,
    /// Bytes of zeros and headers written to new segment files before their first use.
    pub bytes_zeroed: u64,
    /// Segment files created and zeroed.
    pub segments_created: u64,
    /// Segment files taken over from an earlier use.
    pub segments_recycled: u64,
    /// Segment files removed.
    pub segments_removed: u64,
    /// How flushes are made durable; never `Auto` once the log is started.
    pub sync: WalSync,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_sync_are_read_as_they_are_shown() {
        for sync in WalSync::ALL {
            assert_eq!(sync.name().parse::<WalSync>().ok(), Some(sync));
        }
        assert!("fsync".parse::<WalSync>().is_err());
    }

    #[test]
    fn segment_sizes_are_checked() {
        let with = |segment_size, page_size| WalOptions {
            segment_size,
            page_size,
            ..WalOptions::new("/wal")
        };
        assert!(WalOptions::new("/wal").validate().is_ok());
        assert!(with(64 << 10, 4096).validate().is_ok());
        for (segment_size, page_size) in [
            (0, 4096),
            ((64 << 10) + 512, 4096),
            (64 << 10, 64 << 10),
            (2 << 30, 4096),
        ] {
            let error = with(segment_size, page_size).validate().unwrap_err();
            assert!(error.to_string().contains("wal_segment_size"), "{error}");
        }
    }
}
