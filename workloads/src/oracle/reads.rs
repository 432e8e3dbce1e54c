//! What transactions read, judged when all outcomes are known: no value of a rolled-back attempt, none that nobody
//! wrote, none that was replaced before the transaction began, and no two read-modify-writes of the same version.
//!
//! Known are each thread's last committed writes to a row. A read is stale if one of them certainly follows the write that was read, and was
//! acknowledged before the reading transaction began. A row was certainly there if all of them were acknowledged before the transaction
//! began, so that nobody touched it since, and none that may be the last one deletes. Both hold at every isolation level from
//! read-committed on, since commits are visible to whatever begins after them; what may have happened beside the transaction is allowed.

use crate::stream::Plan;
use crate::version::RowRef;

use super::history::{Fate, History};
use super::log::ReadRecord;
use super::state::{Held, State};
use super::violation::{ViolationKind, Violations};

impl History {
    /// Number of reads that are checked by [`judge_reads`](Self::judge_reads).
    pub fn reads_kept(&self) -> u64 {
        self.reads.len() as u64
    }

    /// Number of read-modify-writes that [`judge_updates`](Self::judge_updates) compares.
    pub fn updates_kept(&self) -> u64 {
        self.updates.len() as u64
    }

    /// Checks that every version that was read is one that some transaction wrote and did not roll back, or what the
    /// row held `before` the run; and that none was read when it was certainly replaced.
    pub fn judge_reads(&self, plan: &Plan, before: &State) -> Violations {
        let mut violations = Violations::default();
        for read in &self.reads {
            let Held::Written(version) = read.held else {
                self.judge_currency(plan, before, read, &mut violations);
                continue;
            };
            match self.fate(version) {
                Fate::RolledBack => violations.add(ViolationKind::AbortedRead, Some(read.row), || {
                    format!("a transaction read {version}, which was rolled back")
                }),
                Fate::NeverIssued if before.held(read.row) != read.held => {
                    violations.add(ViolationKind::UnknownRead, Some(read.row), || {
                        format!("a transaction read {version}, which was never made")
                    });
                }
                _ => self.judge_currency(plan, before, read, &mut violations),
            }
        }
        violations
    }

    /// That what was read had not been replaced when the reading transaction began.
    fn judge_currency(&self, plan: &Plan, before: &State, read: &ReadRecord, violations: &mut Violations) {
        if read.held == Held::Absent {
            if self.is_certainly_there(plan, before, read.row, read.began_ns) {
                violations.add(ViolationKind::VanishedRow, Some(read.row), || {
                    "was read as absent, but was written, and not deleted, before the transaction began"
                        .into()
                });
            }
            return;
        }
        let Held::Written(version) = read.held else { return };
        if !self.uncertain_writes_to(read.row).is_empty() {
            return;
        }
        let writes = self.writes_to(read.row);
        let own = writes.iter().find(|write| write.version == version);
        let is_of_before = self.fate(version) == Fate::NeverIssued;
        let replaced = writes.iter().find(|write| {
            let follows = is_of_before
                || write.version.thread() == version.thread() && write.version > version
                || own.is_some_and(|own| own.is_before(write));
            follows && write.acked_ns < read.began_ns
        });
        if let Some(by) = replaced {
            violations.add(ViolationKind::StaleRead, Some(read.row), || {
                let done = if by.deletes { "deleted it" } else { "replaced it" };
                format!(
                    "a transaction read {version}, but {} {done}, and was acknowledged before the transaction began",
                    by.version
                )
            });
        }
    }

    /// True if the row was certainly there for the whole of a transaction that began then.
    pub(super) fn is_certainly_there(&self, plan: &Plan, before: &State, row: RowRef, began_ns: u64) -> bool {
        let keeps_rows = plan.table(row.table()).keeps_loaded_rows;
        let was_there = before.held(row) != Held::Absent;
        if keeps_rows && was_there {
            return true;
        }
        if !self.uncertain_writes_to(row).is_empty() {
            return false;
        }
        let writes = self.writes_to(row);
        if writes.is_empty() {
            return was_there;
        }
        if keeps_rows
            && writes
                .iter()
                .any(|write| write.acked_ns < began_ns && !write.deletes)
        {
            return true;
        }
        let is_superseded =
            |write: &super::log::LoggedWrite| writes.iter().any(|other| write.is_before(other));
        writes.iter().all(|write| write.acked_ns < began_ns)
            && writes
                .iter()
                .filter(|write| !is_superseded(write))
                .all(|write| !write.deletes)
    }

    /// Checks that no version of a row was read for update and replaced by two committed transactions.
    pub fn judge_updates(&self) -> Violations {
        let mut violations = Violations::default();
        let mut updates = self.updates.clone();
        updates.sort_unstable_by_key(|update| (update.row, update.read, update.wrote));
        for pair in updates.windows(2) {
            if let [a, b] = pair
                && (a.row, a.read) == (b.row, b.read)
            {
                violations.add(ViolationKind::LostUpdate, Some(a.row), || {
                    format!(
                        "{} and {} both replaced {} after reading it for update",
                        a.wrote, b.wrote, a.read
                    )
                });
            }
        }
        violations
    }
}
