//! Many schedules, on several threads of the operating system at once.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use engine::injected::Bug;

use crate::one::{Outcome, Source, describe, run_all};

/// Between two looks of who watches.
const WATCHED_EVERY: Duration = Duration::from_millis(100);

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

    /// Adds what others came to; how long it took all of them is for the caller to say.
    pub fn merge(&mut self, other: Self) {
        let Self {
            schedules,
            points,
            commits,
            images,
            elapsed: _,
            failures,
            fingerprints,
        } = other;
        self.schedules += schedules;
        self.points += points;
        self.commits += commits;
        self.images += images;
        self.failures.extend(failures);
        self.fingerprints.extend(fingerprints);
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
    is_stopped: AtomicBool,
    summary: Mutex<Summary>,
}

impl Seeds {
    fn is_over(&self) -> bool {
        let is_past = match self.limit {
            Limit::Schedules(most) => self.next.load(Relaxed) >= most,
            Limit::Time(most) => self.begun.elapsed() >= most,
        };
        is_past || self.has_failed.load(Relaxed) || self.is_stopped.load(Relaxed)
    }
}

impl Seeds {
    /// How far it has come.
    fn so_far(&self) -> Summary {
        let summary = self.summary.lock();
        let so_far = summary.map(|summary| Summary {
            fingerprints: Vec::new(),
            failures: summary.failures.clone(),
            ..*summary
        });
        Summary {
            elapsed: self.begun.elapsed(),
            ..so_far.unwrap_or_default()
        }
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
pub fn run(first: u64, limit: Limit, threads: usize, fault: Option<Bug>) -> Summary {
    watched(first, limit, threads, fault, None)
}

/// As [`run`]; meanwhile `watch` is told how far it has come, several times a second, and says whether to go on.
#[must_use]
pub fn watched(
    first: u64,
    limit: Limit,
    threads: usize,
    fault: Option<Bug>,
    watch: Option<&mut dyn FnMut(&Summary) -> bool>,
) -> Summary {
    let seeds = Arc::new(Seeds {
        first,
        limit,
        begun: Instant::now(),
        next: AtomicU64::new(0),
        has_failed: AtomicBool::new(false),
        is_stopped: AtomicBool::new(false),
        summary: Mutex::default(),
    });
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1))
            .map(|_| scope.spawn(|| run_all(&seeds, fault)))
            .collect();
        if let Some(watch) = watch {
            while workers.iter().any(|worker| !worker.is_finished()) {
                std::thread::sleep(WATCHED_EVERY);
                if !watch(&seeds.so_far()) {
                    seeds.is_stopped.store(true, Relaxed);
                }
            }
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
