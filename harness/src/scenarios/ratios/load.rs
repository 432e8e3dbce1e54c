//! Loading in batches of 1000 rows, in key order, without synchronous commits, made durable once at the end.

use std::path::Path;
use std::time::Instant;

use workloads::driver::TargetFactory;

use super::RatioJob;
use super::data::{Subject, load};
use crate::error::{HarnessError, Result};

/// Rows a second of a load into a new database. The database is removed again, outside the time measured.
pub(super) fn rows_per_second(factory: &dyn TargetFactory, job: &RatioJob, directory: &Path) -> Result<f64> {
    let subject = Subject::create(factory, directory, job, None, &[])?;
    let begun = Instant::now();
    load(&subject, job, job.rows, false)?;
    let elapsed = begun.elapsed();
    drop(subject);
    if directory.exists() {
        std::fs::remove_dir_all(directory).map_err(|error| HarnessError::io("remove", directory, &error))?;
    }
    Ok(job.rows as f64 / elapsed.as_secs_f64())
}
