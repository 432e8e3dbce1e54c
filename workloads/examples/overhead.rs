//! What a worker costs beside the engine: `cargo run --release -p workloads --example overhead`.
//!
//! Runs workloads of writes on an engine that does nothing, and prints nanoseconds per operation of one thread: choosing
//! rows, making keys and values, calling the engine, and remembering everything for the verification. Reads answer that
//! there is no row, so workloads that read are left out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use workloads::keys::Frontier;
use workloads::oracle::LogOptions;
use workloads::spec::{Overrides, builtin};
use workloads::stream::{Plan, StreamOptions};
use workloads::target::{Committed, Direction, RowBuffer, Session, TableRef, TargetError, TxOptions};
use workloads::worker::Worker;

struct Nothing(u64);

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
        Ok(true)
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
        self.0 += 1;
        Ok(Committed {
            commit_id: Some(self.0),
        })
    }

    fn rollback(&mut self) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "{:<18}{:>10}{:>14}{:>18}  log",
        "spec", "rows", "ns/operation", "ns/transaction"
    );
    let folding = LogOptions {
        writes_max: 0,
        ..LogOptions::default()
    };
    let keeping = LogOptions {
        writes_max: usize::MAX,
        ..LogOptions::default()
    };
    for (rows, options) in [
        (100_000, keeping),
        (100_000, folding),
        (1_000_000, keeping),
        (1_000_000, folding),
    ] {
        let overrides = Overrides {
            rows: Some(rows),
            ..Overrides::default()
        };
        let plan = Arc::new(Plan::new(builtin("oltp-write-only")?.with_overrides(&overrides)?));
        let frontier = Arc::new(Frontier::new(plan.tables().len(), 1));
        let start = Instant::now();
        let mut worker = Worker::new(
            Arc::clone(&plan),
            frontier,
            StreamOptions::fresh(0),
            options,
            start,
        );
        let (mut transactions, mut operations, mut session) = (0u64, 0u64, Nothing(0));
        while start.elapsed() < Duration::from_millis(600) {
            for _ in 0..100 {
                operations += worker.next().operations().len() as u64;
                worker.attempt(&mut session)?;
                transactions += 1;
            }
        }
        let ns = start.elapsed().as_nanos() as f64;
        let log = if options.writes_max == 0 {
            "folded at once"
        } else {
            "kept whole"
        };
        let name = &plan.spec().name;
        println!(
            "{name:<18}{rows:>10}{:>14.0}{:>18.0}  {log}",
            ns / operations as f64,
            ns / transactions as f64
        );
    }
    Ok(())
}
