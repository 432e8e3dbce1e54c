//! When the next transaction of a thread is due.
//!
//! *Closed loop*: at once; latency counts from the moment it starts, and a slow engine is offered less.
//! *Open loop*: at the times of a Poisson process (exponential gaps), each thread with its share of the rate, decided
//! by the seed and by nothing that the engine does. Latency counts from the *intended* time, so a stall is charged to
//! every transaction that it delayed (no coordinated omission).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// The clock of one thread's transactions.
#[derive(Debug)]
pub(crate) enum Pacer {
    /// As fast as the engine answers.
    Closed,
    /// At given times.
    Open(Box<Arrivals>),
}

/// A Poisson process.
#[derive(Debug)]
pub(crate) struct Arrivals {
    random: ChaCha8Rng,
    gap_mean_s: f64,
    next: Instant,
}

impl Pacer {
    /// The pacer of `thread` of `threads`, that begins at `begin`; `rate` is transactions a second over all threads.
    pub(crate) fn new(rate: Option<f64>, thread: u32, threads: u32, seed: u64, begin: Instant) -> Self {
        let Some(rate) = rate else { return Self::Closed };
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x9e37_79b9_7f4a_7c15);
        random.set_stream(u64::from(thread) + 1);
        let mut arrivals = Arrivals {
            random,
            gap_mean_s: f64::from(threads) / rate,
            next: begin,
        };
        let first = arrivals.gap();
        arrivals.next += first;
        Self::Open(Box::new(arrivals))
    }

    /// The intended start of the next transaction; `None` when it is now, whenever that is.
    pub(crate) fn next_due(&mut self) -> Option<Instant> {
        match self {
            Self::Closed => None,
            Self::Open(arrivals) => {
                let due = arrivals.next;
                let gap = arrivals.gap();
                arrivals.next = due + gap;
                Some(due)
            }
        }
    }
}

impl Arrivals {
    fn gap(&mut self) -> Duration {
        // 1 - u lies in (0, 1], where the logarithm is finite.
        let uniform: f64 = self.random.random();
        Duration::from_secs_f64(-(1.0 - uniform).ln() * self.gap_mean_s)
    }
}

/// Waits until `due`: sleeps for most of it and yields for the rest, since a sleep overruns by some 50 microseconds.
fn wait_until(due: Instant) {
    const SLACK: Duration = Duration::from_micros(120);
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if left > SLACK {
            std::thread::sleep(left - SLACK);
        } else {
            std::thread::yield_now();
        }
    }
}

/// Waits until `due`; `false` when the run was stopped meanwhile.
pub(crate) fn wait_or_stop(due: Instant, stop: &AtomicBool) -> bool {
    const LOOK: Duration = Duration::from_millis(50);
    loop {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        let now = Instant::now();
        if due <= now + LOOK {
            wait_until(due);
            return true;
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_keep_the_rate_and_depend_on_the_seed_only() {
        let begin = Instant::now();
        let times = |seed, thread| {
            let mut pacer = Pacer::new(Some(1000.0), thread, 2, seed, begin);
            (0..20_000)
                .map(|_| pacer.next_due().unwrap() - begin)
                .collect::<Vec<_>>()
        };
        let first = times(7, 0);
        assert_eq!(first, times(7, 0));
        assert_ne!(first, times(8, 0));
        assert_ne!(first, times(7, 1), "threads have times of their own");
        // 20000 gaps of 2 ms: their sum has a relative deviation of 1/sqrt(20000), 0.7 %.
        let total = first.last().unwrap().as_secs_f64();
        assert!((38.5..41.5).contains(&total), "{total}");
        // In a Poisson process gaps deviate as much as their mean; evenly spaced ones would not.
        let gaps: Vec<f64> = first
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs_f64())
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!((0.9..1.1).contains(&(deviation / mean)), "{deviation} / {mean}");
    }

    #[test]
    fn a_closed_loop_has_no_times_of_its_own() {
        assert_eq!(Pacer::new(None, 0, 1, 1, Instant::now()).next_due(), None);
    }

    #[test]
    fn waiting_ends_when_due_and_not_before() {
        let due = Instant::now() + Duration::from_millis(3);
        wait_until(due);
        assert!(Instant::now() >= due);
    }

    #[test]
    fn a_stopped_wait_says_so() {
        let stop = AtomicBool::new(true);
        assert!(!wait_or_stop(Instant::now() + Duration::from_secs(60), &stop));
        stop.store(false, Ordering::Relaxed);
        assert!(wait_or_stop(Instant::now(), &stop));
    }
}
