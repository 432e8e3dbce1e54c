//! Transactions that write: one row, ten reads with four updates, and durable commits.

use workloads::driver::TxOptions;

use super::RatioJob;
use super::data::{Random, Subject, TABLE, fill_value, key, update_one, wrong};
use super::slices::slice;
use crate::error::Result;

const MIX_READS: u32 = 10;
const MIX_UPDATES: usize = 4;
const RETRIES_MAX: u32 = 1000;

/// One-row update transactions a second on `threads` threads.
pub(super) fn one_row_updates(
    subject: &Subject,
    job: &RatioJob,
    options: TxOptions,
    threads: u32,
) -> Result<f64> {
    slice(threads, job.slice(), |thread, go_on| {
        let failed = subject.failed();
        let mut session = subject.target.session().map_err(&failed)?;
        let mut random = Random::new(job.seed ^ 0x57, u64::from(thread) + 1);
        let mut value = vec![0; job.value_size];
        let mut count = 0;
        while go_on() {
            let mut tries = 0;
            while let Err(error) = update_one(session.as_mut(), &options, job.rows, &mut random, &mut value) {
                session.rollback();
                tries += 1;
                if !error.is_retryable() || tries > RETRIES_MAX {
                    return Err(failed(error));
                }
            }
            count += 1;
        }
        Ok(count)
    })
}

/// One-row transactions a second on one thread, every other one a read: the bound of one-row transactions.
pub(super) fn half_updates(subject: &Subject, job: &RatioJob) -> Result<f64> {
    slice(1, job.slice(), |thread, go_on| {
        let failed = subject.failed();
        let mut session = subject.target.session().map_err(&failed)?;
        let (read, write) = (subject.read_only(), subject.no_sync());
        let mut random = Random::new(job.seed ^ 0x57, u64::from(thread) + 1);
        let mut value = vec![0; job.value_size];
        let mut out = Vec::with_capacity(job.value_size);
        let mut count = 0_u64;
        while go_on() {
            if count.is_multiple_of(2) {
                update_one(session.as_mut(), &write, job.rows, &mut random, &mut value).map_err(&failed)?;
            } else {
                session.begin(&read).map_err(&failed)?;
                let row = random.below(job.rows);
                let found = session.get(TABLE, &key(row), &mut out).map_err(&failed)?;
                session.commit().map_err(&failed)?;
                if !found {
                    return Err(wrong(format_args!("row {row} is not there")));
                }
            }
            count += 1;
        }
        Ok(count)
    })
}

/// Transactions of ten reads and four updates a second on `threads` threads. Retries are counted as part of theirs.
pub(super) fn mixed(subject: &Subject, job: &RatioJob, threads: u32) -> Result<f64> {
    slice(threads, job.slice(), |thread, go_on| {
        let failed = subject.failed();
        let mut session = subject.target.session().map_err(&failed)?;
        let options = subject.no_sync();
        let mut random = Random::new(job.seed ^ 0x3a, u64::from(thread) + 1);
        let mut value = vec![0; job.value_size];
        let mut out = Vec::with_capacity(job.value_size);
        let mut count = 0;
        while go_on() {
            let mut tries = 0;
            // In rising order, so that no two of these transactions can wait for each other in a circle.
            let mut rows: [u64; MIX_UPDATES] = std::array::from_fn(|_| random.below(job.rows));
            rows.sort_unstable();
            loop {
                let result = session.begin(&options).and_then(|()| {
                    for _ in 0..MIX_READS {
                        session.get(TABLE, &key(random.below(job.rows)), &mut out)?;
                    }
                    for row in rows {
                        fill_value(&mut value, &mut random);
                        session.put(TABLE, &key(row), &value)?;
                    }
                    session.commit()
                });
                match result {
                    Ok(_) => break,
                    Err(error) if error.is_retryable() && tries < RETRIES_MAX => {
                        session.rollback();
                        tries += 1;
                    }
                    Err(error) => return Err(failed(error)),
                }
            }
            count += 1;
        }
        Ok(count)
    })
}
