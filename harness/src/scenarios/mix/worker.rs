//! One worker thread: takes transactions from its stream, runs each to its end, counts and logs.
//!
//! A transaction that meets a retryable error runs again, after a growing, jittered pause, until it commits or has been
//! tried [`ATTEMPTS_MAX`] times. Its latency is that of the whole story.
//!
//! Two rules, for two figures. Counts, and with them rates, are of what *ended* in the timed run: one that was begun before
//! counts, and one that ends after it does not, or long transactions would make a rate that nobody has seen. Latencies are of
//! what was (to be) *started* in it: workers finish what they have begun, so that a stall at the end shows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use reports::record::Phase;
use workloads::driver::{Session, TargetError};
use workloads::executor::Executor;
use workloads::oracle::ThreadLog;
use workloads::stream::Plan;

use super::counts::{Failures, TypeCounts};
use super::pacing::{Pacer, wait_or_stop};
use super::series::Slots;

/// Attempts after which a transaction is given up.
pub(crate) const ATTEMPTS_MAX: u32 = 200;

/// When the phases begin and end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// End of the warm-up, start of the timed run.
    pub run_start: Instant,
    /// Planned end of the timed run.
    pub run_end: Instant,
}

impl Window {
    /// How much of the timed run is over at `now`: what rates are divided by, since it is in this time that workers count.
    pub(super) fn length_until(&self, now: Instant) -> Duration {
        now.min(self.run_end).saturating_duration_since(self.run_start)
    }

    /// The phase in which something ended; none after the end, planned or not.
    fn phase(&self, ended: Instant, stop: &AtomicBool) -> Option<Phase> {
        if ended >= self.run_end || stop.load(Ordering::Relaxed) {
            None
        } else if ended >= self.run_start {
            Some(Phase::Run)
        } else {
            Some(Phase::Warmup)
        }
    }
}

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Shared<'a> {
    /// The compiled specification.
    pub plan: &'a Plan,
    /// Where transactions are counted over time.
    pub slots: &'a Slots,
    /// Set to end the run before its time.
    pub stop: &'a AtomicBool,
}

/// What a worker brings home.
#[derive(Debug)]
pub(crate) struct WorkerResult {
    /// By transaction type, timed run only.
    pub by_type: Vec<TypeCounts>,
    /// Arrivals that were due within the timed run (open loop); 0 in a closed loop.
    pub offered: u64,
    /// What the oracle is told.
    pub log: Option<ThreadLog>,
    /// The error that ended the run, if one did.
    pub fatal: Option<TargetError>,
}

impl WorkerResult {
    /// Transactions that committed in the timed run.
    pub(super) fn committed(&self) -> u64 {
        self.by_type.iter().map(|counts| counts.committed).sum()
    }
}

/// A worker's own things.
pub(crate) struct Worker<'a> {
    shared: &'a Shared<'a>,
    index: usize,
    session: Box<dyn Session + 'a>,
    executor: Executor,
    backoff: ChaCha8Rng,
    result: WorkerResult,
    /// Counts of what does not count.
    ignored: TypeCounts,
}

enum Outcome {
    Committed,
    GivenUp,
}

impl<'a> Worker<'a> {
    /// A worker with an open session and its own stream of transactions.
    pub(crate) fn new(
        shared: &'a Shared<'a>,
        index: usize,
        session: Box<dyn Session + 'a>,
        executor: Executor,
    ) -> Self {
        let spec = shared.plan.spec();
        Self {
            shared,
            index,
            session,
            executor,
            backoff: ChaCha8Rng::seed_from_u64(spec.seed ^ (index as u64 + 1)),
            result: WorkerResult {
                by_type: vec![TypeCounts::default(); spec.transactions.len()],
                offered: 0,
                log: None,
                fatal: None,
            },
            ignored: TypeCounts::default(),
        }
    }

    /// Works until the window ends or `stop` is set.
    pub(crate) fn run(mut self, window: Window, mut pacer: Pacer) -> WorkerResult {
        let stop = self.shared.stop;
        while !stop.load(Ordering::Relaxed) {
            let due = pacer.next_due();
            if let Some(due) = due {
                if due >= window.run_end {
                    break;
                }
                if due < window.run_start && Instant::now() >= window.run_start {
                    // What the warm-up left undone is forgotten: the timed run begins without a queue.
                    continue;
                }
                if due >= window.run_start {
                    self.result.offered += 1;
                }
                if !wait_or_stop(due, stop) {
                    break;
                }
            }
            let now = Instant::now();
            if now >= window.run_end {
                break;
            }
            let started = due.unwrap_or(now);
            if !self.transaction(started, window) {
                break;
            }
        }
        // Overloaded: what was due before the end was offered and will not be done.
        let end = window.run_end.min(Instant::now());
        if matches!(pacer, Pacer::Open(_)) {
            while pacer.next_due().is_some_and(|due| due < end) {
                self.result.offered += 1;
            }
        }
        self.result.log = Some(self.executor.finish());
        self.result
    }

    /// Runs one transaction to its end; `false` when the run is over by an error.
    fn transaction(&mut self, started: Instant, window: Window) -> bool {
        let transaction = self.executor.next();
        let (type_index, operations) = (transaction.type_index(), transaction.operations().len() as u64);
        let mut failures = Failures::default();
        let outcome = attempts(
            &mut self.executor,
            self.session.as_mut(),
            &mut self.backoff,
            self.shared.stop,
            &mut failures,
        );
        let ended = Instant::now();
        let latency_ns = ended.saturating_duration_since(started).as_nanos() as u64;
        let phase = window.phase(ended, self.shared.stop);
        let counts = match phase {
            Some(Phase::Run) => &mut self.result.by_type[type_index],
            _ => &mut self.ignored,
        };
        counts.failures.merge(&failures);
        match outcome {
            Ok(Outcome::Committed) => {
                counts.committed += 1;
                counts.operations += operations;
                counts.work.add(self.executor.counts());
                if let Some(phase) = phase {
                    let retries = failures.retries;
                    self.shared
                        .slots
                        .committed(self.index, phase, latency_ns, retries);
                }
                if started >= window.run_start {
                    self.result.by_type[type_index].latency.record(latency_ns);
                }
                true
            }
            Ok(Outcome::GivenUp) => {
                counts.aborted += 1;
                if let Some(phase) = phase {
                    self.shared.slots.aborted(self.index, phase, failures.retries);
                }
                true
            }
            Err(error) => {
                self.result.fatal = Some(error);
                self.shared.stop.store(true, Ordering::Relaxed);
                false
            }
        }
    }
}

/// Attempts the chosen transaction until it commits, is given up, or meets an error that trying again does not help.
fn attempts(
    executor: &mut Executor,
    session: &mut dyn Session,
    backoff: &mut ChaCha8Rng,
    stop: &AtomicBool,
    failures: &mut Failures,
) -> Result<Outcome, TargetError> {
    let mut failed = 0;
    loop {
        let Err(error) = executor.attempt(session) else {
            return Ok(Outcome::Committed);
        };
        failed += 1;
        failures.count(error.kind());
        if !error.is_retryable() {
            return Err(error);
        }
        if failed == ATTEMPTS_MAX || stop.load(Ordering::Relaxed) {
            return Ok(Outcome::GivenUp);
        }
        pause(backoff, failed);
        failures.retries += 1;
    }
}

/// Waits before attempt `failed + 1`: not at all at first, then up to twice as long each time, 5 ms at most.
fn pause(random: &mut ChaCha8Rng, failed: u32) {
    const LONGEST: Duration = Duration::from_millis(5);
    if failed <= 2 {
        std::thread::yield_now();
        return;
    }
    let bound = Duration::from_micros(10 << failed.min(12)).min(LONGEST);
    std::thread::sleep(bound.mul_f64(random.random::<f64>()));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use workloads::driver::TargetStats;

    use super::super::loop_cost::{Nothing, work_on_nothing};
    use super::super::series::Series;
    use super::*;

    /// Runs with a warm-up of some length and a timed run of 50 ms; all commits wait until `until`, from the beginning.
    fn run(warmup: Duration, until: Duration) -> (WorkerResult, Slots) {
        let plan = Arc::new(Plan::new(workloads::spec::builtin("oltp").unwrap()));
        let slots = Slots::new(1);
        let begin = Instant::now();
        let window = Window {
            run_start: begin + warmup,
            run_end: begin + warmup + Duration::from_millis(50),
        };
        let session = Nothing::busy_until(begin + until);
        let result = work_on_nothing(&plan, &slots, 0, session, window);
        (result, slots)
    }

    #[test]
    fn what_ends_after_the_timed_run_has_a_latency_and_is_in_no_rate() {
        let started = loop {
            let (result, _) = run(Duration::ZERO, Duration::from_millis(80));
            assert_eq!(result.committed(), 0);
            let started: u64 = result.by_type.iter().map(|counts| counts.latency.count()).sum();
            // On a machine so busy that the run was over before it began, there is none.
            if started > 0 {
                break started;
            }
        };
        assert_eq!(started, 1);
    }

    #[test]
    fn reads_that_find_nothing_are_counted_by_type() {
        let (result, _) = run(Duration::ZERO, Duration::ZERO);
        let counts = result.by_type.iter().find(|counts| counts.committed > 0).unwrap();
        let record = counts.to_record("t").unwrap();
        assert!(record.reads > Some(0));
        assert_eq!(record.reads_missed, record.reads, "there is nothing");
    }

    #[test]
    fn what_was_started_in_the_warm_up_and_ends_in_the_timed_run_counts_in_it() {
        let window = Window {
            run_start: Instant::now() - Duration::from_secs(1),
            run_end: Instant::now() + Duration::from_secs(1000),
        };
        let stop = AtomicBool::new(false);
        let phase = |ended| window.phase(ended, &stop);
        assert_eq!(
            phase(window.run_start - Duration::from_nanos(1)),
            Some(Phase::Warmup)
        );
        assert_eq!(phase(window.run_start), Some(Phase::Run));
        assert_eq!(phase(window.run_end - Duration::from_nanos(1)), Some(Phase::Run));
        assert_eq!(phase(window.run_end), None);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(window.phase(window.run_start, &stop), None);
        // Rates are divided by the time in which workers count, whenever somebody looks.
        let length = |ms| window.length_until(window.run_start + Duration::from_millis(ms));
        assert_eq!(length(500), Duration::from_millis(500));
        assert_eq!(length(5_000_000), window.run_end - window.run_start);
    }

    #[test]
    fn workers_and_intervals_count_the_same() {
        let (result, slots) = run(Duration::from_millis(20), Duration::ZERO);
        let mut series = Series::new(TargetStats::default());
        for (at, phase) in [(20, Phase::Warmup), (70, Phase::Run)] {
            series.end_interval(Duration::from_millis(at), phase, &slots, TargetStats::default());
        }
        let intervals = series.finish().0;
        assert_eq!(intervals[1].committed, result.committed());
    }
}
