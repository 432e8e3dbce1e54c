//! What the measuring loop costs by itself: the same transactions on an engine that does nothing.
//!
//! Choosing a transaction, making its keys and values, two looks at the clock, counting, and noting what the oracle has to
//! know are charged to every engine. The figure stands in the record, so that nobody takes it for the engine's. What is not
//! in it: checking values that were read, since this engine finds none.
//!
//! Allocations are counted from the [`SETTLED`]th transaction on, when buffers have found their size. What is left is the
//! log of writes, which takes memory in large pieces: about one in ten thousand transactions.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use reports::record::LoopCost;
use workloads::driver::{Committed, Direction, RowBuffer, Session, TableRef, TargetError, TxOptions};
use workloads::executor::Executor;
use workloads::keys::Frontier;
use workloads::oracle::LogOptions;
use workloads::stream::{Plan, StreamOptions};

use super::pacing::Pacer;
use super::series::Slots;
use super::worker::{Shared, Window, Worker, WorkerResult};
use crate::probe::allocations;

/// How long the loop runs before it is measured, and while it is.
const WARMUP: Duration = Duration::from_millis(5);
const LENGTH: Duration = Duration::from_millis(20);

/// Transactions after which the loop must have all memory that it needs.
const SETTLED: u64 = 200;

/// What the loop did after it had settled, summed over threads.
#[derive(Debug, Default)]
struct Settled {
    transactions: AtomicU64,
    allocations: AtomicU64,
}

/// An engine that does nothing.
#[derive(Debug, Default)]
pub(super) struct Nothing<'a> {
    /// Commits do not end before this.
    until: Option<Instant>,
    settled: Option<&'a Settled>,
    begun: u64,
    allocations_when_settled: u64,
}

#[cfg(test)]
impl Nothing<'_> {
    /// One whose commits do not end before `until`.
    pub(super) fn busy_until(until: Instant) -> Self {
        Nothing {
            until: Some(until),
            ..Nothing::default()
        }
    }
}

impl Drop for Nothing<'_> {
    fn drop(&mut self) {
        if let Some(settled) = self.settled
            && self.begun > SETTLED
        {
            let allocations = allocations::so_far() - self.allocations_when_settled;
            settled.transactions.fetch_add(self.begun - SETTLED, Relaxed);
            settled.allocations.fetch_add(allocations, Relaxed);
        }
    }
}

impl Session for Nothing<'_> {
    fn begin(&mut self, _: &TxOptions) -> Result<(), TargetError> {
        if self.begun == SETTLED {
            self.allocations_when_settled = allocations::so_far();
        }
        self.begun += 1;
        Ok(())
    }

    fn get(&mut self, _: TableRef, _: &[u8], _: &mut Vec<u8>) -> Result<bool, TargetError> {
        Ok(false)
    }

    fn get_for_update(&mut self, _: TableRef, _: &[u8], _: &mut Vec<u8>) -> Result<bool, TargetError> {
        Ok(false)
    }

    fn put(&mut self, _: TableRef, _: &[u8], _: &[u8]) -> Result<(), TargetError> {
        Ok(())
    }

    fn delete(&mut self, _: TableRef, _: &[u8]) -> Result<bool, TargetError> {
        Ok(false)
    }

    fn scan(
        &mut self,
        _: TableRef,
        _: &[u8],
        _: usize,
        _: Direction,
        _: &mut RowBuffer,
    ) -> Result<usize, TargetError> {
        Ok(0)
    }

    fn commit(&mut self) -> Result<Committed, TargetError> {
        if let Some(until) = self.until {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        Ok(Committed::default())
    }

    fn rollback(&mut self) {}
}

/// Measures the loop on one thread, and on as many as the plan says.
pub(super) fn loop_cost(plan: &Arc<Plan>) -> LoopCost {
    let threads = usize::from(plan.spec().threads);
    let alone = Cost::measure(plan, 1);
    let together = (threads > 1).then(|| Cost::measure(plan, threads));
    LoopCost {
        transaction_ns: alone.transaction_ns,
        operation_ns: alone.operation_ns,
        transaction_ns_all_threads: together.as_ref().unwrap_or(&alone).transaction_ns,
        allocations: together.as_ref().unwrap_or(&alone).allocations,
    }
}

/// What the loop costs on some number of threads; `None` for what did not happen in time.
#[derive(Debug)]
struct Cost {
    /// Nanoseconds of one thread for each transaction.
    transaction_ns: Option<f64>,
    /// The same for each operation.
    operation_ns: Option<f64>,
    /// Allocations for each transaction.
    allocations: Option<f64>,
}

impl Cost {
    fn measure(plan: &Arc<Plan>, threads: usize) -> Self {
        let slots = Slots::new(threads);
        let settled = Settled::default();
        let counting = allocations::Counting::start();
        let begin = Instant::now();
        let window = Window {
            run_start: begin + WARMUP,
            run_end: begin + WARMUP + LENGTH,
        };
        let run = |index| {
            let session = Nothing {
                settled: Some(&settled),
                ..Nothing::default()
            };
            work_on_nothing(plan, &slots, index, session, window)
        };
        let (mut committed, mut operations) = (0, 0);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|index| scope.spawn(move || run(index)))
                .collect();
            for result in workers.into_iter().filter_map(|worker| worker.join().ok()) {
                committed += result.committed();
                operations += result.by_type.iter().map(|counts| counts.operations).sum::<u64>();
            }
        });
        drop(counting);
        let each = |sum: f64, count: u64| (count > 0).then(|| sum / count as f64);
        let spent_ns = LENGTH.as_nanos() as f64 * threads as f64;
        Cost {
            transaction_ns: each(spent_ns, committed),
            operation_ns: each(spent_ns, operations),
            allocations: each(
                settled.allocations.load(Relaxed) as f64,
                settled.transactions.load(Relaxed),
            ),
        }
    }
}

/// What one worker brings home from that.
pub(super) fn work_on_nothing(
    plan: &Arc<Plan>,
    slots: &Slots,
    index: usize,
    session: Nothing<'_>,
    window: Window,
) -> WorkerResult {
    let stop = AtomicBool::new(false);
    let shared = Shared {
        plan,
        slots,
        stop: &stop,
    };
    let frontier = Arc::new(Frontier::new(plan.tables().len(), plan.spec().threads));
    // An engine that finds nothing must not be judged: a violation noted for each read would cost more than a good one.
    let log = LogOptions {
        dirty_reads: true,
        ..LogOptions::default()
    };
    let stream = StreamOptions::fresh(index as u16);
    let executor = Executor::new(Arc::clone(plan), frontier, stream, log, window.run_start);
    Worker::new(&shared, index, Box::new(session), executor).run(window, Pacer::Closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_mix_runs_on_nothing() {
        for name in workloads::spec::BUILTIN_NAMES {
            let plan = Arc::new(Plan::new(workloads::spec::builtin(name).unwrap()));
            let slots = Slots::new(1);
            let begin = Instant::now();
            let window = Window {
                run_start: begin,
                run_end: begin + LENGTH,
            };
            let result = work_on_nothing(&plan, &slots, 0, Nothing::default(), window);
            assert!(result.fatal.is_none(), "{name}: {:?}", result.fatal);
        }
    }

    #[test]
    fn the_loop_of_every_built_in_mix_allocates_nothing_once_it_has_settled() {
        for name in workloads::spec::BUILTIN_NAMES {
            let plan = Arc::new(Plan::new(workloads::spec::builtin(name).unwrap()));
            // On a machine so busy that it did not settle in time, again.
            let allocations = loop {
                if let Some(allocations) = loop_cost(&plan).allocations {
                    break allocations;
                }
            };
            assert!(
                allocations < 0.01,
                "{name}: {allocations} allocations a transaction"
            );
        }
    }
}
