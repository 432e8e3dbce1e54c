//! The same work in several threads, each with the faults of the engine that are injected where it was begun.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What each of so many threads came to, of which there is at least one. The work catches panics.
pub(crate) fn in_threads<T: Send>(threads: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    let threads = threads.max(1);
    let inherited = engine::injected::inherit().scheduled(None);
    let results: Vec<T> = std::thread::scope(|scope| {
        let begun: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| inherited.with(&work)))
            .collect();
        begun
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    assert_eq!(results.len(), threads, "checking catches panics");
    results
}

/// Does each of the items, with its number, until it is over. What comes back is what was done, in no order.
pub(crate) fn each<I: Sync, T: Send>(
    threads: usize,
    items: &[I],
    is_over: impl Fn() -> bool + Sync,
    work: impl Fn(usize, &I) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let numbers = || std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
    let done = in_threads(threads, || {
        let mine = numbers().map_while(|at| items.get(at).filter(|_| !is_over()).map(|item| (at, item)));
        mine.map(|(at, item)| work(at, item)).collect::<Vec<_>>()
    });
    done.into_iter().flatten().collect()
}
