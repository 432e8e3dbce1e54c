//! Memory for optimistic readers: one zeroed allocation, in frames of one size.
//!
//! It stays mapped while the database is open, so an optimistic reader of a frame that was given to something else reads
//! garbage that its version check throws away, and never a fault. The operating system backs it with memory only as frames
//! are first used, and can have the memory of a frame back ([`Arena::give_back`]). For page frames huge pages are asked
//! for, since a lookup touches a few scattered lines and would otherwise miss the translation cache on each.

use std::sync::atomic::AtomicU64;

use rustix::mm::Advice;

/// What it consists of.
pub(crate) type Word = AtomicU64;

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
    /// Room for `frames` frames of `stride` words each, on huge pages if there are any.
    pub(crate) fn new(frames: usize, stride: usize) -> Self {
        let arena = Self::of_small_pages(frames, stride);
        advise(&arena.words, 4 << 20, Advice::LinuxHugepage);
        arena
    }

    /// The same on ordinary pages, so that it can be given back in parts.
    pub(crate) fn of_small_pages(frames: usize, stride: usize) -> Self {
        assert!((stride * 8).is_multiple_of(LINE), "frames keep to cache lines");
        let words: Box<[AtomicU64]> = bytemuck::zeroed_slice_box(frames * stride + LINE / 8);
        let start = words.as_ptr().align_offset(LINE).min(LINE / 8);
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

    /// Gives the memory of a frame back to the operating system. Who reads the frame after that finds zeros.
    pub(crate) fn give_back(&self, index: usize) {
        advise(self.frame(index), 1, Advice::LinuxDontNeed);
    }
}

/// Tells the operating system how the whole pages of these words, if they are so many bytes, are to be backed. Advice only:
/// where it is not taken, nothing changes but what memory costs.
fn advise(words: &[AtomicU64], at_least: usize, advice: Advice) {
    const SMALL_PAGE: usize = 4096;
    let address = words.as_ptr().addr();
    let skip = address.next_multiple_of(SMALL_PAGE) - address;
    let len = std::mem::size_of_val(words).saturating_sub(skip) / SMALL_PAGE * SMALL_PAGE;
    if len < at_least {
        return;
    }
    let pointer = words.as_ptr().cast::<u8>().wrapping_add(skip).cast_mut().cast();
    #[expect(unsafe_code, reason = "madvise is only reachable through a raw pointer")]
    // SAFETY: the range lies inside one live allocation of atomics. Of the two pieces of advice that are given, one changes
    // how memory is backed and not what it holds; the other makes it zeros, which any thread could have stored.
    let advised = unsafe { rustix::mm::madvise(pointer, len, advice) };
    if let Err(error) = advised {
        tracing::debug!(%error, ?advice, "advice on memory was not taken");
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

    #[test]
    fn a_frame_that_was_given_back_can_be_used_again_and_others_keep_their_content() {
        let arena = Arena::of_small_pages(3, 4096);
        let fill = |frame: usize, value| arena.frame(frame).iter().for_each(|w| w.store(value, Relaxed));
        (0..3).for_each(|frame| fill(frame, 7));
        arena.give_back(1);
        assert!(
            [0, 2]
                .iter()
                .all(|&i| arena.frame(i).iter().all(|w| w.load(Relaxed) == 7))
        );
        let zeros = arena.frame(1).iter().filter(|w| w.load(Relaxed) == 0).count();
        assert!(zeros >= 4096 - 2 * 512 && cfg!(target_os = "linux") || cfg!(not(target_os = "linux")));
        fill(1, 8);
        assert!(arena.frame(1).iter().all(|w| w.load(Relaxed) == 8));
    }
}
