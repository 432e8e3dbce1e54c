//! Many schedules, on several threads of the operating system at once.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use engine::planted::Fault;

use crate::one::{Outcome, Source, describe, run_all};

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// After so many schedules.
    Schedules(u64),
    /// After this time.
    Time(Duration),
}

/// What many schedules came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Schedules.
    pub schedules: u64,
    /// Points at which a scheduler chose, in all.
    pub points: u64,
    /// Commits, in all.
    pub commits: u64,
    /// Images of the disk that were recovered and checked.
    pub images: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// The first failures: the schedule in words, and what was wrong.
    pub failures: Vec<(u64, String)>,
    /// Schedules that did not fail, by number of seed; their fingerprints.
    pub fingerprints: Vec<(u64, u64)>,
}

impl Summary {
    /// Schedules in a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.schedules as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    fn add(&mut self, seed: u64, result: Result<Outcome, String>) {
        self.schedules += 1;
        match result {
            Ok(outcome) => {
                self.points += outcome.points as u64;
                self.commits += outcome.commits;
                self.images += outcome.images as u64;
                self.fingerprints.push((seed, outcome.fingerprint));
            }
            Err(what) => self.failures.push((seed, format!("{}: {what}", describe(seed)))),
        }
    }
}

/// Seeds from a first one on.
struct Seeds {
    first: u64,
    limit: Limit,
    begun: Instant,
    next: AtomicU64,
    has_failed: AtomicBool,
    summary: Mutex<Summary>,
}

impl Seeds {
    fn is_over(&self) -> bool {
        let is_past = match self.limit {
            Limit::Schedules(most) => self.next.load(Relaxed) >= most,
            Limit::Time(most) => self.begun.elapsed() >= most,
        };
        is_past || self.has_failed.load(Relaxed)
    }
}

impl Source for Seeds {
    fn draw(&self) -> Option<u64> {
        if self.is_over() {
            return None;
        }
        let nth = self.next.fetch_add(1, Relaxed);
        let is_one_too_many = matches!(self.limit, Limit::Schedules(most) if nth >= most);
        (!is_one_too_many).then(|| self.first.wrapping_add(nth))
    }

    fn note(&self, seed: u64, result: Result<Outcome, String>) {
        if result.is_err() {
            self.has_failed.store(true, Relaxed);
        }
        if let Ok(mut summary) = self.summary.lock() {
            summary.add(seed, result);
        }
    }
}

/// Runs the schedules of the seeds from `first` on, with a fault in the engine or without, and stops at the first failures
/// or at the limit.
#[must_use]
pub fn run(first: u64, limit: Limit, threads: usize, fault: Option<Fault>) -> Summary {
    let seeds = Arc::new(Seeds {
        first,
        limit,
        begun: Instant::now(),
        next: AtomicU64::new(0),
        has_failed: AtomicBool::new(false),
        summary: Mutex::default(),
    });
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| run_all(&seeds, fault));
        }
    });
    let mut summary = seeds
        .summary
        .lock()
        .map(|mut summary| std::mem::take(&mut *summary))
        .unwrap_or_default();
    summary.elapsed = seeds.begun.elapsed();
    summary.failures.sort();
    summary.fingerprints.sort_unstable();
    summary
}
