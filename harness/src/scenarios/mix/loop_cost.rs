//! What the measuring loop costs by itself: the same transactions on an engine that does nothing.
//!
//! Choosing a transaction, making its keys and values, two looks at the clock, counting, and noting what the oracle has to
//! know are charged to every engine. The figure stands in the record, so that nobody takes it for the engine's. What is not
//! in it: checking values that were read, since this engine finds none.
//!
//! It is processor time, so that threads which wait for a processor do not make it dearer, and the least of several looks. Time and
//! allocations are counted from the [`SETTLED`]th transaction on, when buffers have found their size. What is left of
//! allocations is the log of writes, which takes memory in pieces of 4,096 writes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use reports::record::LoopCost;
use rustix::time::{ClockId, clock_gettime};
use workloads::driver::{Committed, Direction, RowBuffer, Session, TableRef, TargetError, TxOptions};
use workloads::executor::Executor;
use workloads::keys::Frontier;
use workloads::oracle::LogOptions;
use workloads::stream::{Plan, StreamOptions};

use super::pacing::Pacer;
use super::series::Slots;
use super::worker::{Shared, Window, Worker, WorkerResult};
use crate::probe::allocations;

/// How long the loop runs for a look, and ten times as long where that was too short for long transactions.
const LENGTH: Duration = Duration::from_millis(10);
const LONGER: Duration = Duration::from_millis(400);
/// Looks, of which the cheapest counts: the others were disturbed.
const LOOKS: usize = 3;
/// Transactions after which the loop must have all memory that it needs.
const SETTLED: u64 = 100;

/// What the loop did after it had settled, summed over threads.
#[derive(Debug, Default)]
struct Settled {
    transactions: AtomicU64,
    allocations: AtomicU64,
    cpu_ns: AtomicU64,
}

/// An engine that does nothing.
#[derive(Debug, Default)]
pub(super) struct Nothing<'a> {
    /// Commits do not end before this.
    until: Option<Instant>,
    settled: Option<&'a Settled>,
    begun: u64,
    allocations_when_settled: u64,
    cpu_ns_when_settled: u64,
}

/// Processor time of this thread.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
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
            let cpu_ns = cpu_ns() - self.cpu_ns_when_settled;
            settled.cpu_ns.fetch_add(cpu_ns, Relaxed);
            settled.transactions.fetch_add(self.begun - SETTLED, Relaxed);
            settled.allocations.fetch_add(allocations, Relaxed);
        }
    }
}

impl Session for Nothing<'_> {
    fn begin(&mut self, _: &TxOptions) -> Result<(), TargetError> {
        if self.begun == SETTLED {
            self.allocations_when_settled = allocations::so_far();
            self.cpu_ns_when_settled = cpu_ns();
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
    let alone = Cost::least(plan, 1);
    let together = (threads > 1).then(|| Cost::least(plan, threads)).flatten();
    let all = together.as_ref().or(alone.as_ref().filter(|_| threads == 1));
    LoopCost {
        transaction_ns: alone.as_ref().map(|cost| cost.transaction_ns),
        operation_ns: alone.as_ref().and_then(|cost| cost.operation_ns),
        transaction_ns_all_threads: all.map(|cost| cost.transaction_ns),
        allocations: all
            .map(|cost| cost.allocations)
            .filter(|_| allocations::are_counted()),
    }
}

/// What the loop costs on some number of threads, for each transaction.
#[derive(Debug)]
struct Cost {
    transaction_ns: f64,
    operation_ns: Option<f64>,
    allocations: f64,
}

impl Cost {
    /// The least of several looks; `None` if not even a long one saw enough transactions.
    fn least(plan: &Arc<Plan>, threads: usize) -> Option<Self> {
        let looks = (0..LOOKS).filter_map(|_| Cost::measure(plan, threads, LENGTH));
        looks
            .min_by(|a, b| a.transaction_ns.total_cmp(&b.transaction_ns))
            .or_else(|| Cost::measure(plan, threads, LONGER))
    }

    fn measure(plan: &Arc<Plan>, threads: usize, length: Duration) -> Option<Self> {
        let slots = Slots::new(threads);
        let settled = Settled::default();
        let counting = allocations::Counting::start();
        let begin = Instant::now();
        let window = Window {
            run_start: begin,
            run_end: begin + length,
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
        let transactions = settled.transactions.load(Relaxed);
        let each = |sum: u64| sum as f64 / transactions as f64;
        let transaction_ns = each(settled.cpu_ns.load(Relaxed));
        (transactions > 0).then(|| Cost {
            transaction_ns,
            operation_ns: (operations > 0).then(|| transaction_ns * committed as f64 / operations as f64),
            allocations: each(settled.allocations.load(Relaxed)),
        })
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
                run_end: begin + 2 * LENGTH,
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
            // The log of writes takes a piece of memory for each 4,096.
            assert!(
                allocations < 0.01,
                "{name}: {allocations} allocations a transaction"
            );
        }
    }
}
