//! Throughput while a checkpoint runs, beside throughput while none does: the mix of ten reads and four updates on two
//! threads, with and without a third thread that makes one checkpoint after another.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::RatioJob;
use super::data::Subject;
use super::writes::mixed;
use crate::error::{HarnessError, Result};

/// Transactions a second while checkpoints run without a pause, and how many were completed.
pub(super) fn during_checkpoints(subject: &Subject, job: &RatioJob) -> Result<(f64, u64)> {
    let over = AtomicBool::new(false);
    let completed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let checkpoints = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                subject.target.checkpoint().map_err(subject.failed())?;
                completed.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<(), HarnessError>(())
        });
        let rate = mixed(subject, job, 2);
        over.store(true, Ordering::Relaxed);
        let checkpointing = checkpoints
            .join()
            .map_err(|_| HarnessError::Run("the checkpointing thread panicked".into()))?;
        checkpointing?;
        Ok((rate?, completed.load(Ordering::Relaxed)))
    })
}
