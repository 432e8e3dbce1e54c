//! How large segments are made, and which are worth keeping, by what the log needs.
//!
//! The *need* is the bytes of the segments that went into use between two checkpoints, the most of the last few times: where
//! one checkpoint follows the other, now one segment goes into use between two of them and now three, and what is removed
//! today would be made again tomorrow, in the way of commits. A new segment is half of the need, as a power of two between
//! the smallest and the largest. Where the disk was found full, only the last time counts for a while.

use super::block::BLOCK_BYTES;
use super::options::WalOptions;
use super::segment::HEADER_BYTES;

/// A segment that is more times larger or smaller than a new one would be is not kept for later.
const MISFIT: u64 = 4;

/// Times between two checkpoints that are remembered, beside that since the last one.
const REMEMBERED: usize = 4;
/// Checkpoints for which spares are counted narrowly after the disk was full.
const SPARING: u32 = 8;

/// Bytes of segments that are needed between two checkpoints.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Need {
    /// The latest first.
    before_last: [u64; REMEMBERED],
    since_last: u64,
    /// Checkpoints for which only the latest counts.
    sparing: u32,
}

impl Need {
    pub(super) fn bytes(self) -> u64 {
        let counted = if self.sparing > 0 { 1 } else { REMEMBERED };
        self.before_last[..counted]
            .iter()
            .fold(self.since_last, |most, &bytes| most.max(bytes))
    }

    /// There was no room on the disk.
    pub(super) fn be_sparing(&mut self) {
        self.sparing = SPARING;
    }

    pub(super) fn is_sparing(self) -> bool {
        self.sparing > 0
    }

    /// A segment of this size goes into use.
    pub(super) fn took(&mut self, size: u64) {
        self.since_last += size;
    }

    pub(super) fn at_checkpoint(&mut self) {
        self.before_last.rotate_right(1);
        self.before_last[0] = std::mem::take(&mut self.since_last);
        self.sparing = self.sparing.saturating_sub(1);
    }
}

/// The sizes that segments of one log can have, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) smallest: u64,
    pub(super) largest: u64,
    /// Most that a frame with a page image takes: so much can stay unused at the end of a segment.
    frame_bytes_usual: u64,
}

impl Sizes {
    pub(super) fn new(options: &WalOptions) -> Self {
        Self {
            smallest: options.segment_size_smallest(),
            largest: options.segment_size,
            frame_bytes_usual: options.frame_bytes_usual() as u64,
        }
    }

    /// Of a segment that is made when so many bytes are needed.
    pub(super) fn new_segment(self, need: u64) -> u64 {
        let half = (need / 2).checked_next_power_of_two().unwrap_or(self.largest);
        half.clamp(self.smallest, self.largest)
    }

    /// Whether a file of this length can be a segment of this log.
    pub(super) fn can_be_used(self, len: u64) -> bool {
        (self.smallest..=self.largest).contains(&len) && len.is_multiple_of(BLOCK_BYTES as u64)
    }

    /// Whether a segment of this size is worth keeping when so many bytes are needed. Where nothing is, only the smallest
    /// is.
    pub(super) fn fits_need(self, size: u64, need: u64) -> bool {
        let new = self.new_segment(need);
        let misfit = if need == 0 { 1 } else { MISFIT };
        self.can_be_used(size) && new / misfit <= size && size <= new.saturating_mul(misfit)
    }

    /// Bytes of frames that fit in a fresh segment of this size for certain.
    pub(super) fn usable(self, size: u64) -> u64 {
        let room = size - 2 * HEADER_BYTES as u64;
        room.saturating_sub(self.frame_bytes_usual).max(room / 2)
    }

    /// Bytes of the longest frame that fits in any segment.
    pub(super) fn frame_room(self) -> u64 {
        self.smallest - 2 * HEADER_BYTES as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_of_the_last_times_is_needed_but_on_a_full_disk_the_last_time_alone() {
        let mut need = Need::default();
        for taken in [5, 9, 1, 2] {
            need.took(taken);
            need.at_checkpoint();
        }
        assert_eq!(need.bytes(), 9);
        need.took(12);
        assert_eq!(
            need.bytes(),
            12,
            "what went into use since the last checkpoint counts"
        );
        for expected in [12, 12, 12, 12, 0] {
            need.at_checkpoint();
            assert_eq!(need.bytes(), expected);
        }
        need.took(7);
        need.at_checkpoint();
        need.took(3);
        need.at_checkpoint();
        need.be_sparing();
        assert_eq!((need.bytes(), need.is_sparing()), (3, true));
        for _ in 0..SPARING {
            assert!(need.is_sparing());
            need.took(4);
            need.at_checkpoint();
        }
        assert!(!need.is_sparing());
    }

    #[test]
    fn segments_are_half_of_what_is_needed_within_limits() {
        let sizes = Sizes::new(&WalOptions::new("/wal"));
        assert_eq!((sizes.smallest, sizes.largest), (256 << 10, 16 << 20));
        for (need, size) in [
            (0, 256 << 10),
            (512 << 10, 256 << 10),
            ((512 << 10) + 2, 512 << 10),
            (4 << 20, 2 << 20),
            (1 << 30, 16 << 20),
            (u64::MAX, 16 << 20),
        ] {
            assert_eq!(sizes.new_segment(need), size, "{need}");
            assert!(sizes.fits_need(size, need), "{need}");
        }
    }

    #[test]
    fn what_is_far_too_large_or_small_is_not_kept_and_without_need_only_the_smallest_is() {
        let sizes = Sizes::new(&WalOptions::new("/wal"));
        let need = 8 << 20;
        for (size, fits) in [(512 << 10, false), (1 << 20, true), (16 << 20, true)] {
            assert_eq!(sizes.fits_need(size, need), fits, "{size}");
        }
        assert!(!sizes.fits_need(8 << 20, 1 << 20));
        assert!(sizes.fits_need(256 << 10, 0) && !sizes.fits_need(512 << 10, 0));
        for len in [0, 4096, (256 << 10) + 512, 32 << 20] {
            assert!(!sizes.can_be_used(len), "{len}");
        }
    }

    #[test]
    fn where_segments_are_smaller_than_the_first_would_be_all_are_of_one_size() {
        let options = WalOptions {
            segment_size: 64 << 10,
            page_size: 4096,
            ..WalOptions::new("/wal")
        };
        let sizes = Sizes::new(&options);
        assert_eq!(sizes.new_segment(1 << 30), sizes.new_segment(0));
        assert!(sizes.fits_need(64 << 10, 0));
    }
}
