//! One worker thread: takes transactions from its stream, runs each to its end, counts and logs.
//!
//! A transaction that meets a retryable error runs again, after a growing, jittered pause, until it commits or has been
//! tried [`ATTEMPTS_MAX`] times. Its latency is that of the whole story. It belongs to the phase in which it was (to be)
//! started; workers finish what they have begun, so a stall at the end of the run is counted too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use workloads::oracle::ThreadLog;
use workloads::stream::Plan;
use workloads::target::{Session, TargetError};
use workloads::worker::Worker as Work;

use super::pacing::{Pacer, wait_or_stop};
use super::series::Slots;
use super::tally::Tally;

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
pub(crate) struct Harvest {
    /// By transaction type, timed run only.
    pub tallies: Vec<Tally>,
    /// Arrivals that were due within the timed run (open loop); 0 in a closed loop.
    pub offered: u64,
    /// What the oracle is told.
    pub log: Option<ThreadLog>,
    /// The error that ended the run, if one did.
    pub fatal: Option<TargetError>,
}

/// A worker's own things.
pub(crate) struct Worker<'a> {
    shared: &'a Shared<'a>,
    index: usize,
    session: Box<dyn Session + 'a>,
    work: Work,
    backoff: ChaCha8Rng,
    harvest: Harvest,
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
        work: Work,
    ) -> Self {
        let spec = shared.plan.spec();
        Self {
            shared,
            index,
            session,
            work,
            backoff: ChaCha8Rng::seed_from_u64(spec.seed ^ (index as u64 + 1)),
            harvest: Harvest {
                tallies: vec![Tally::default(); spec.transactions.len()],
                offered: 0,
                log: None,
                fatal: None,
            },
        }
    }

    /// Works until the window ends or `stop` is set.
    pub(crate) fn run(mut self, window: Window, mut pacer: Pacer) -> Harvest {
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
                    self.harvest.offered += 1;
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
            if !self.transaction(started, started >= window.run_start) {
                break;
            }
        }
        // Overloaded: what was due before the end was offered and will not be done.
        let end = window.run_end.min(Instant::now());
        if matches!(pacer, Pacer::Open(_)) {
            while pacer.next_due().is_some_and(|due| due < end) {
                self.harvest.offered += 1;
            }
        }
        self.harvest.log = Some(self.work.finish());
        self.harvest
    }

    /// Runs one transaction to its end; `false` when the run is over by an error.
    fn transaction(&mut self, started: Instant, counts: bool) -> bool {
        let bytes_before = self.work.counts().bytes_written;
        let transaction = self.work.next();
        let (type_index, operations) = (transaction.type_index(), transaction.operations().len() as u64);
        let mut ignored = Tally::default();
        let tally = if counts {
            &mut self.harvest.tallies[type_index]
        } else {
            &mut ignored
        };
        let outcome = attempts(
            &mut self.work,
            self.session.as_mut(),
            &mut self.backoff,
            self.shared.stop,
            tally,
        );
        let latency_ns = Instant::now().saturating_duration_since(started).as_nanos() as u64;
        match outcome {
            Ok(Outcome::Committed) => {
                self.shared.slots.committed(self.index, latency_ns);
                tally.committed += 1;
                tally.operations += operations;
                tally.logical_bytes += self.work.counts().bytes_written - bytes_before;
                if counts {
                    tally.latency.record(latency_ns);
                }
                true
            }
            Ok(Outcome::GivenUp) => {
                self.shared.slots.aborted(self.index);
                tally.aborted += 1;
                true
            }
            Err(error) => {
                self.harvest.fatal = Some(error);
                self.shared.stop.store(true, Ordering::Relaxed);
                false
            }
        }
    }
}

/// Attempts the chosen transaction until it commits, is given up, or meets an error that trying again does not help.
fn attempts(
    work: &mut Work,
    session: &mut dyn Session,
    backoff: &mut ChaCha8Rng,
    stop: &AtomicBool,
    tally: &mut Tally,
) -> Result<Outcome, TargetError> {
    let mut failed = 0;
    loop {
        let Err(error) = work.attempt(session) else {
            return Ok(Outcome::Committed);
        };
        failed += 1;
        tally.attempt_failed(error.kind());
        if !error.is_retryable() {
            return Err(error);
        }
        if failed == ATTEMPTS_MAX || stop.load(Ordering::Relaxed) {
            return Ok(Outcome::GivenUp);
        }
        pause(backoff, failed);
        tally.retries += 1;
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
