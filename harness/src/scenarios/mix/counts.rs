//! What one thread counted, by transaction type; merged when the threads have ended.

use reports::record::TransactionType;
use workloads::driver::ErrorKind;
use workloads::executor::WorkCounts;

use crate::error::Result;
use crate::probe::latency::{Recorder, latency_record};

/// Attempts that failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Failures {
    /// Attempts made again.
    pub retries: u64,
    /// Attempts that ended by a write conflict.
    pub conflicts: u64,
    /// Attempts that waited too long.
    pub busy: u64,
    /// Attempts that were the victim of a deadlock.
    pub deadlocks: u64,
    /// Attempts that ended by another passing error.
    pub errors: u64,
}

/// Counts of one transaction type: of what ended in the timed run.
#[derive(Clone, Debug, Default)]
pub(crate) struct TypeCounts {
    /// Transactions that committed.
    pub committed: u64,
    /// Transactions aborted for good, after too many attempts.
    pub aborted: u64,
    /// Attempts of both that failed.
    pub failures: Failures,
    /// Operations inside committed transactions.
    pub operations: u64,
    /// What committed transactions have read and written.
    pub work: WorkCounts,
    /// From the (intended) start to the acknowledged commit, in nanoseconds; of what was started in the timed run.
    pub latency: Recorder,
}

impl Failures {
    /// Counts an attempt that failed.
    pub(crate) fn count(&mut self, kind: ErrorKind) {
        match kind {
            ErrorKind::Conflict => self.conflicts += 1,
            ErrorKind::Busy => self.busy += 1,
            ErrorKind::Deadlock => self.deadlocks += 1,
            ErrorKind::Transient | ErrorKind::Unsupported | ErrorKind::Fatal => self.errors += 1,
        }
    }

    /// Adds other counts.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.retries += other.retries;
        self.conflicts += other.conflicts;
        self.busy += other.busy;
        self.deadlocks += other.deadlocks;
        self.errors += other.errors;
    }
}

impl TypeCounts {
    /// Adds another thread's counts.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.failures.merge(&other.failures);
        self.operations += other.operations;
        self.work.add(&other.work);
        self.latency.merge(&other.latency);
    }

    /// The counts as a record.
    pub(crate) fn to_record(&self, name: &str) -> Result<TransactionType> {
        Ok(TransactionType {
            name: name.to_owned(),
            committed: self.committed,
            aborted: self.aborted,
            retries: self.failures.retries,
            conflicts: self.failures.conflicts,
            busy: self.failures.busy,
            deadlocks: self.failures.deadlocks,
            errors: self.failures.errors,
            operations: Some(self.operations),
            reads: Some(self.work.reads),
            reads_missed: Some(self.work.reads_missed),
            updates_missed: Some(self.work.updates_missed),
            deletes_missed: Some(self.work.deletes_missed),
            ranges: Some(self.work.ranges),
            rows_scanned: Some(self.work.rows_scanned),
            rows_returned: Some(self.work.rows_read + self.work.rows_scanned),
            latency: latency_record(&self.latency)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_counter() {
        let mut failures = Failures::default();
        for kind in ErrorKind::ALL {
            failures.count(kind);
        }
        assert_eq!(
            (
                failures.conflicts,
                failures.busy,
                failures.deadlocks,
                failures.errors
            ),
            (1, 1, 1, 3)
        );
    }

    #[test]
    fn merged_counts_are_sums_and_no_latency_is_none() {
        let mut counts = TypeCounts {
            committed: 2,
            ..TypeCounts::default()
        };
        assert_eq!(counts.to_record("t").unwrap().latency, None);
        let mut other = TypeCounts {
            committed: 3,
            failures: Failures {
                retries: 1,
                ..Failures::default()
            },
            ..TypeCounts::default()
        };
        other.latency.record(5);
        other.work.rows_read = 3;
        other.work.ranges = 2;
        other.work.rows_scanned = 200;
        counts.merge(&other);
        let record = counts.to_record("t").unwrap();
        assert_eq!((record.committed, record.retries), (5, 1));
        let returned = (record.ranges, record.rows_scanned, record.rows_returned);
        assert_eq!(returned, (Some(2), Some(200), Some(203)));
        assert_eq!(record.latency.unwrap().summary.count, 1);
    }
}
