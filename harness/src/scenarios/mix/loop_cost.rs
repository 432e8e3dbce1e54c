//! What the measuring loop costs by itself: the same transactions on an engine that does nothing.
//!
//! Choosing a transaction, making its keys and values, two looks at the clock, counting, and noting what the oracle has to
//! know are charged to every engine. The figure stands in the record, so that nobody takes it for the engine's. What is not
//! in it: checking values that were read, since this engine finds none.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use reports::record::LoopCost;
use workloads::driver::{Committed, Direction, RowBuffer, Session, TableRef, TargetError, TxOptions};
use workloads::keys::Frontier;
use workloads::oracle::LogOptions;
use workloads::stream::{Plan, StreamOptions};
use workloads::worker::Worker as Work;

use super::pacing::Pacer;
use super::series::Slots;
use super::worker::{Harvest, Shared, Window, Worker};

/// How long the loop runs before it is measured, and while it is.
const WARMUP: Duration = Duration::from_millis(5);
const LENGTH: Duration = Duration::from_millis(20);

/// An engine that does nothing.
#[derive(Debug, Default)]
pub(super) struct Nothing {
    /// Commits do not end before this.
    pub(super) until: Option<Instant>,
}

impl Session for Nothing {
    fn begin(&mut self, _: &TxOptions) -> Result<(), TargetError> {
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
    let alone = transaction_ns(plan, 1);
    LoopCost {
        transaction_ns: alone,
        transaction_ns_all_threads: if threads > 1 {
            transaction_ns(plan, threads)
        } else {
            alone
        },
    }
}

/// Nanoseconds of one thread for each transaction; `None` if none was made in time.
fn transaction_ns(plan: &Arc<Plan>, threads: usize) -> Option<f64> {
    let slots = Slots::new(threads);
    let begin = Instant::now();
    let window = Window {
        run_start: begin + WARMUP,
        run_end: begin + WARMUP + LENGTH,
    };
    let run = |index| work_on_nothing(plan, &slots, index, Nothing::default(), window);
    let committed: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|index| scope.spawn(move || run(index)))
            .collect();
        let harvests = workers.into_iter().filter_map(|worker| worker.join().ok());
        harvests.map(|harvest| harvest.committed()).sum()
    });
    let spent_ns = LENGTH.as_nanos() as f64 * threads as f64;
    (committed > 0).then(|| spent_ns / committed as f64)
}

/// What one worker brings home from that.
pub(super) fn work_on_nothing(
    plan: &Arc<Plan>,
    slots: &Slots,
    index: usize,
    session: Nothing,
    window: Window,
) -> Harvest {
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
    let work = Work::new(Arc::clone(plan), frontier, stream, log, window.run_start);
    Worker::new(&shared, index, Box::new(session), work).run(window, Pacer::Closed)
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
            let harvest = work_on_nothing(&plan, &slots, 0, Nothing::default(), window);
            assert!(harvest.fatal.is_none(), "{name}: {:?}", harvest.fatal);
        }
    }
}
