//! Slices: the same work repeated for a short time on several threads, alternating between the engine and its bound.
//!
//! A figure is the median of the ratios of neighbouring slices, so that whatever changes slowly (clock frequency,
//! neighbours, a warming device) cancels within each pair. Which side goes first changes with every pair.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{HarnessError, Result};

/// Rates of one pair of neighbouring slices, a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    /// What was measured.
    pub engine: f64,
    /// What it is compared with.
    pub bound: f64,
}

/// Alternates `engine` and `bound`, each of which measures one slice and returns a rate, after one unmeasured slice of each.
pub(super) fn alternate(
    pairs: u32,
    stop: &AtomicBool,
    mut engine: impl FnMut() -> Result<f64>,
    mut bound: impl FnMut() -> Result<f64>,
) -> Result<Vec<Pair>> {
    engine()?;
    bound()?;
    let mut measured = Vec::new();
    for pair in 0..pairs {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (engine, bound) = if pair % 2 == 0 {
            let engine = engine()?;
            (engine, bound()?)
        } else {
            let bound = bound()?;
            (engine()?, bound)
        };
        measured.push(Pair { engine, bound });
    }
    Ok(measured)
}

/// Runs `work` on `threads` threads for `length` and returns operations a second over all of them.
///
/// `work` gets the number of its thread and a function that tells whether to go on, which it must ask before each
/// operation; it returns how many operations it did. Threads begin together; each is timed on its own, from the common
/// start to its last operation's end, and their rates are added.
pub(super) fn slice(
    threads: u32,
    length: Duration,
    work: impl Fn(u32, &mut dyn FnMut() -> bool) -> Result<u64> + Sync,
) -> Result<f64> {
    let barrier = Barrier::new(threads as usize + 1);
    let over = AtomicBool::new(false);
    let worker = |thread: u32| -> Result<f64> {
        let mut begun = None;
        let count = work(thread, &mut || {
            if begun.is_none() {
                barrier.wait();
                begun = Some(Instant::now());
            }
            !over.load(Ordering::Relaxed)
        });
        let Some(begun) = begun else {
            // It failed before its first operation; the others must not wait for it.
            barrier.wait();
            return count.map(|_| 0.0);
        };
        let elapsed = begun.elapsed();
        Ok(count? as f64 / elapsed.as_secs_f64())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn({
                    let worker = &worker;
                    move || worker(thread)
                })
            })
            .collect();
        barrier.wait();
        std::thread::sleep(length);
        over.store(true, Ordering::Relaxed);
        let mut total = 0.0;
        for worker in workers {
            total += worker
                .join()
                .map_err(|_| HarnessError::Run("a measuring thread panicked".into()))??;
        }
        Ok(total)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_take_turns_in_going_first() {
        let order = std::cell::RefCell::new(String::new());
        let stop = AtomicBool::new(false);
        let pairs = alternate(
            3,
            &stop,
            || {
                order.borrow_mut().push('e');
                Ok(6.0)
            },
            || {
                order.borrow_mut().push('b');
                Ok(3.0)
            },
        )
        .unwrap();
        assert_eq!(order.into_inner(), "ebebbeeb");
        assert_eq!(
            pairs,
            [Pair {
                engine: 6.0,
                bound: 3.0
            }; 3]
        );
    }

    #[test]
    fn a_slice_counts_what_all_threads_did() {
        let rate = slice(2, Duration::from_millis(20), |_, go_on| {
            let mut count = 0;
            while go_on() {
                std::thread::yield_now();
                count += 1;
            }
            Ok(count)
        })
        .unwrap();
        assert!(rate > 0.0);
    }

    #[test]
    fn a_thread_that_fails_ends_the_slice_with_its_error() {
        let result = slice(2, Duration::from_millis(1), |thread, go_on| {
            if thread == 1 {
                return Err(HarnessError::Run("broken".into()));
            }
            let mut count = 0;
            while go_on() {
                count += 1;
            }
            Ok(count)
        });
        assert!(result.unwrap_err().to_string().contains("broken"));
    }
}
