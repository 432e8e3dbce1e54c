//! Many schedules, on several threads of the operating system at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use engine::planted::Fault;

use crate::one::{Outcome, describe, one};
use crate::quiet::text_of;

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

/// Runs the schedules of the seeds from `first` on, with a fault in the engine or without, and stops at the first failures
/// or at the limit.
#[must_use]
pub fn run(first: u64, limit: Limit, threads: usize, fault: Option<Fault>) -> Summary {
    let begun = Instant::now();
    let next = AtomicU64::new(0);
    let has_failed = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    let draw = || {
        let nth = next.fetch_add(1, Relaxed);
        let is_over = match limit {
            Limit::Schedules(most) => nth >= most,
            Limit::Time(most) => begun.elapsed() >= most,
        };
        (!is_over && !has_failed.load(Relaxed)).then_some(first.wrapping_add(nth))
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(seed) = draw() {
                    let (draw, summary) = (&draw, &summary);
                    // A thread in which a schedule has failed is not used again.
                    let ended =
                        std::thread::scope(|inner| inner.spawn(|| run_on(seed, draw, fault, summary)).join());
                    match ended {
                        Ok(true) => {}
                        Ok(false) => has_failed.store(true, Relaxed),
                        Err(panic) => {
                            has_failed.store(true, Relaxed);
                            note(summary, seed, Err(format!("panic: {}", text_of(&*panic))));
                        }
                    }
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap_or_default();
    summary.elapsed = begun.elapsed();
    summary.failures.sort();
    summary.fingerprints.sort_unstable();
    summary
}

/// Runs schedules until there are no more, or one fails: then `false`.
fn run_on(
    seed: u64,
    draw: &impl Fn() -> Option<u64>,
    fault: Option<Fault>,
    summary: &Mutex<Summary>,
) -> bool {
    let mut seed = Some(seed);
    while let Some(now) = seed {
        let result = one(now, fault);
        let has_failed = result.is_err();
        note(summary, now, result);
        if has_failed {
            return false;
        }
        seed = draw();
    }
    true
}

fn note(summary: &Mutex<Summary>, seed: u64, result: Result<Outcome, String>) {
    if let Ok(mut summary) = summary.lock() {
        summary.add(seed, result);
    }
}
