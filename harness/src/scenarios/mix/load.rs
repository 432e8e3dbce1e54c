//! The load phase: every row that the specification wants, in batches, one thread.
//!
//! Batches are committed without synchronisation where the engine allows that; then everything is made durable and a
//! checkpoint is made, so that every run begins from the same clean state. The time of both counts as load time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reports::record::Load;
use workloads::driver::{Durability, ErrorKind, Isolation, Target, TargetError, TxOptions};
use workloads::load::{Loader, batches};
use workloads::stream::Plan;

use crate::child::progress;

/// Rows written by one transaction of the load.
const BATCH: u64 = 1000;

/// Loads all tables. `None` when it was stopped before its end.
pub(crate) fn load(
    target: &dyn Target,
    plan: &Plan,
    isolation: Isolation,
    stop: &AtomicBool,
) -> Result<Option<Load>, TargetError> {
    let durabilities = &target.capabilities().durabilities;
    let durability = [Durability::NoSync, Durability::InMemory, Durability::Sync]
        .into_iter()
        .find(|level| durabilities.contains(level))
        .ok_or_else(|| TargetError::unsupported("the engine declares no durability"))?;
    let options = TxOptions::read_write(isolation, durability);
    let total: u64 = plan.tables().iter().map(|table| table.rows).sum();
    progress::phase("load", total, "rows");
    let begun = Instant::now();
    let mut shown = begun;
    let mut session = target.session()?;
    let mut loader = Loader::new();
    let (mut rows, mut logical_bytes) = (0, 0);
    for (table, batch) in batches(plan, BATCH) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        rows += batch.end - batch.start;
        logical_bytes += loader.batch(session.as_mut(), plan, table, batch, &options)?;
        if shown.elapsed() > Duration::from_millis(200) {
            shown = Instant::now();
            progress::done(rows, "");
        }
    }
    drop(session);
    supported(target.sync())?;
    if target.capabilities().checkpoint {
        supported(target.checkpoint())?;
    }
    let duration = begun.elapsed();
    let load = Load {
        rows,
        duration_ns: duration.as_nanos() as u64,
        logical_bytes,
    };
    let rate = load.rows_per_second().map_or_else(String::new, |rate| {
        format!("{} rows, {} rows/s", units::count(rows), units::short(rate))
    });
    progress::done(rows, rate);
    Ok(Some(load))
}

/// What an engine does not do is no failure here.
fn supported(result: Result<(), TargetError>) -> Result<(), TargetError> {
    match result {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        other => other,
    }
}
