//! The memory of all page frames: one zeroed allocation that lives as long as the pool.
//!
//! It is never given back while the database is open, so an optimistic reader of an evicted page reads garbage that
//! its version check throws away, and never a fault. The operating system backs it with memory only as frames
//! are first used; huge pages are asked for, since a lookup touches a few scattered lines and would otherwise miss
//! the translation cache on each.

use std::sync::atomic::AtomicU64;

/// Bytes of a cache line; every frame starts on one.
const LINE: usize = 64;

#[derive(Debug)]
pub(crate) struct Arena {
    words: Box<[AtomicU64]>,
    /// Words skipped so that frame 0 starts on a cache line.
    start: usize,
    stride: usize,
    frames: usize,
}

impl Arena {
    /// Room for `frames` frames of `stride` words each.
    pub(crate) fn new(frames: usize, stride: usize) -> Self {
        assert!((stride * 8).is_multiple_of(LINE), "frames keep to cache lines");
        let words: Box<[AtomicU64]> = bytemuck::zeroed_slice_box(frames * stride + LINE / 8);
        let start = words.as_ptr().align_offset(LINE).min(LINE / 8);
        advise_huge_pages(&words);
        Self {
            words,
            start,
            stride,
            frames,
        }
    }

    pub(crate) fn frames(&self) -> usize {
        self.frames
    }

    #[inline]
    pub(crate) fn frame(&self, index: usize) -> &[AtomicU64] {
        let at = self.start + index * self.stride;
        &self.words[at..at + self.stride]
    }
}

/// Asks for transparent huge pages. Advice only: where it is not to be had, nothing changes.
fn advise_huge_pages(words: &[AtomicU64]) {
    const SMALL_PAGE: usize = 4096;
    let address = words.as_ptr().addr();
    let skip = address.next_multiple_of(SMALL_PAGE) - address;
    let len = std::mem::size_of_val(words).saturating_sub(skip) / SMALL_PAGE * SMALL_PAGE;
    if len < 4 << 20 {
        return;
    }
    let pointer = words.as_ptr().cast::<u8>().wrapping_add(skip).cast_mut().cast();
    #[expect(unsafe_code, reason = "madvise is only reachable through a raw pointer")]
    // SAFETY: the range lies inside one live allocation, and this advice changes how memory is backed, never
    // what it holds.
    let advised = unsafe { rustix::mm::madvise(pointer, len, rustix::mm::Advice::LinuxHugepage) };
    if let Err(error) = advised {
        tracing::debug!(%error, "huge pages are not available for the page cache");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn frames_are_aligned_disjoint_and_zeroed() {
        let arena = Arena::new(600, 1032);
        for i in 0..arena.frames() {
            let frame = arena.frame(i);
            assert_eq!(frame.as_ptr().addr() % LINE, 0);
            assert!(frame.iter().all(|w| w.load(Relaxed) == 0));
            frame[0].store(i as u64 + 1, Relaxed);
            frame[1031].store(i as u64 + 1, Relaxed);
        }
        assert!((0..600).all(|i| arena.frame(i)[0].load(Relaxed) == i as u64 + 1));
    }
}
