//! How often a thread asks for memory, counted only while somebody wants to know.
//!
//! The measuring loop must not allocate: what it allocates is charged to every engine. So the program has an allocator that
//! can count. Outside of a [`Counting`] it costs one look at a flag for each allocation. Engines in
//! other languages have allocators of their own, and are not counted. A program with another allocator has no such figure.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// The system's allocator, which can count. A program that wants the allocations of the measuring loop in its records has it as
/// its `#[global_allocator]`; without it they are not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAllocator;

#[cfg(test)]
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// How many want to know.
static COUNTING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    if COUNTING.load(Relaxed) > 0 {
        // A thread that is ending has no counter any more, and nobody who would ask for it.
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
    }
}

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe to write; this one only counts what the system's is asked for"
)]
// SAFETY: every call goes to the system's allocator as it is; counting does not allocate.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Allocations are counted as long as one of these lives.
#[derive(Debug)]
pub(crate) struct Counting;

impl Counting {
    /// Begins to count, on every thread.
    pub(crate) fn start() -> Self {
        COUNTING.fetch_add(1, Relaxed);
        Counting
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        COUNTING.fetch_sub(1, Relaxed);
    }
}

/// Allocations of the calling thread while they were counted.
pub(crate) fn so_far() -> u64 {
    COUNT.with(Cell::get)
}

/// Whether this program has the allocator that counts.
pub(crate) fn are_counted() -> bool {
    let _counting = Counting::start();
    let before = so_far();
    drop(std::hint::black_box(Box::new(0_u64)));
    so_far() > before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocations_of_this_thread_are_counted_while_somebody_wants_to_know() {
        assert!(are_counted());
        let counting = Counting::start();
        let before = so_far();
        let mut kept = std::hint::black_box(vec![0_u8; 100]);
        assert_eq!(so_far() - before, 1, "zeroed");
        kept.push(1);
        kept.shrink_to_fit();
        assert_eq!(so_far() - before, 3, "grown and shrunk");
        std::thread::scope(|scope| {
            let of_another = scope.spawn(|| {
                let before = so_far();
                drop(std::hint::black_box(Box::new([0_u64; 9])));
                so_far() - before
            });
            assert_eq!(of_another.join().unwrap(), 1);
        });
        drop(kept);
        drop(counting);
    }
}
