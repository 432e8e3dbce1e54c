//! How fast operations are generated, executed nowhere: `cargo run --release -p workloads --example generate`.
//!
//! Prints, for each built-in spec, operations per second of one thread: choosing them alone, and making their keys and
//! values too.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use workloads::keys::Frontier;
use workloads::spec::{BUILTIN_NAMES, SpecError, builtin};
use workloads::stream::{OperationKind, OperationStream, Plan, StreamOptions};

fn main() -> Result<(), SpecError> {
    println!(
        "{:<18}{:>16}{:>24}",
        "spec", "choose, M op/s", "with bytes, M op/s"
    );
    for name in BUILTIN_NAMES {
        let plan = Arc::new(Plan::new(builtin(name)?));
        let (choose, make) = (rate(&plan, false), rate(&plan, true));
        println!("{name:<18}{:>16.1}{:>24.1}", choose / 1e6, make / 1e6);
    }
    Ok(())
}

/// Operations per second.
fn rate(plan: &Arc<Plan>, with_bytes: bool) -> f64 {
    let frontier = Arc::new(Frontier::new(plan.tables().len(), 1));
    let mut stream = OperationStream::new(Arc::clone(plan), frontier, StreamOptions::fresh(0));
    let (mut key, mut value) = (Vec::new(), Vec::new());
    let mut operations = 0u64;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        for _ in 0..100 {
            let transaction = stream.next();
            operations += transaction.operations().len() as u64;
            if !with_bytes {
                black_box(transaction);
                continue;
            }
            for operation in transaction.operations() {
                let table = plan.table(operation.table);
                table.key(operation.row, &mut key);
                black_box(&key);
                if matches!(
                    operation.kind,
                    OperationKind::Put | OperationKind::ReadModifyWrite
                ) {
                    table.value(operation.row, transaction.version(operation), &mut value);
                    black_box(&value);
                }
            }
        }
    }
    operations as f64 / start.elapsed().as_secs_f64()
}
