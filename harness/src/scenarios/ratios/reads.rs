//! Point gets and ranges, each in a read-only transaction (one snapshot) of its own, everything copied out.

use workloads::driver::{Direction, RowBuffer};

use super::RatioJob;
use super::data::{Random, Subject, TABLE, key, wrong};
use super::slices::slice;
use crate::error::Result;

/// Rows of one range.
pub(super) const RANGE_ROWS: usize = 100;

/// Point gets a second on `threads` threads.
pub(super) fn point_gets(subject: &Subject, job: &RatioJob, threads: u32) -> Result<f64> {
    slice(threads, job.slice(), |thread, go_on| {
        let failed = subject.failed();
        let mut session = subject.target.session().map_err(&failed)?;
        let options = subject.read_only();
        let mut random = Random::new(job.seed, u64::from(thread) + 1);
        let mut out = Vec::with_capacity(job.value_size);
        let mut count = 0;
        while go_on() {
            let row = random.below(job.rows);
            session.begin(&options).map_err(&failed)?;
            let found = session.get(TABLE, &key(row), &mut out).map_err(&failed)?;
            session.commit().map_err(&failed)?;
            if !found || out.len() != job.value_size {
                return Err(wrong(format_args!("row {row} is not there or not whole")));
            }
            count += 1;
        }
        Ok(count)
    })
}

/// Ranges of [`RANGE_ROWS`] rows a second on one thread.
pub(super) fn ranges(subject: &Subject, job: &RatioJob) -> Result<f64> {
    slice(1, job.slice(), |thread, go_on| {
        let failed = subject.failed();
        let mut session = subject.target.session().map_err(&failed)?;
        let options = subject.read_only();
        let mut random = Random::new(job.seed, u64::from(thread) + 1);
        let mut sink = RowBuffer::with_capacity(RANGE_ROWS, RANGE_ROWS * (job.value_size + 8));
        let mut count = 0;
        while go_on() {
            let row = random.below(job.rows.saturating_sub(RANGE_ROWS as u64).max(1));
            sink.clear();
            session.begin(&options).map_err(&failed)?;
            let rows = session
                .scan(TABLE, &key(row), RANGE_ROWS, Direction::Forward, &mut sink)
                .map_err(&failed)?;
            session.commit().map_err(&failed)?;
            if rows != RANGE_ROWS.min((job.rows - row) as usize) {
                return Err(wrong(format_args!("a range from row {row} has {rows} rows")));
            }
            count += 1;
        }
        Ok(count)
    })
}
