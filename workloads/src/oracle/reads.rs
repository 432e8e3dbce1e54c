//! What transactions read, judged when all outcomes are known: no value of a rolled-back attempt, none that nobody
//! wrote, and no two read-modify-writes of the same version.

use super::history::{Fate, History};
use super::state::{Held, State};
use super::violation::{ViolationKind, Violations};

impl History {
    /// Number of reads whose writer is checked by [`judge_reads`](Self::judge_reads).
    pub fn reads_kept(&self) -> u64 {
        self.reads.len() as u64
    }

    /// Number of read-modify-writes that [`judge_updates`](Self::judge_updates) compares.
    pub fn updates_kept(&self) -> u64 {
        self.updates.len() as u64
    }

    /// Checks that every version that was read is one that some transaction wrote and did not roll back, or what the
    /// row held `before` the run.
    pub fn judge_reads(&self, before: &State) -> Violations {
        let mut violations = Violations::default();
        for read in &self.reads {
            match self.fate(read.version) {
                Fate::Committed | Fate::Uncertain => {}
                Fate::RolledBack => violations.add(ViolationKind::AbortedRead, Some(read.row), || {
                    format!("a transaction read {}, which was rolled back", read.version)
                }),
                Fate::NeverIssued if before.held(read.row) == Held::Written(read.version) => {}
                Fate::NeverIssued => violations.add(ViolationKind::UnknownRead, Some(read.row), || {
                    format!("a transaction read {}, which was never made", read.version)
                }),
            }
        }
        violations
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
