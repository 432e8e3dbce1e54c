//! The logs of all threads merged, and the final state judged by them.
//!
//! For each row the *candidates* are the committed writes that no other committed write certainly follows
//! ([`LoggedWrite::is_before`]): exactly one where the engine gives commit IDs, otherwise those that overlapped in
//! time. A row must hold a candidate, or the write of a transaction of unknown end, or, if nobody committed a write
//! to it, what it held before the run.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::stream::Plan;
use crate::version::{RowRef, Version};

use super::log::{
    KeptRange, LoggedWrite, Outcomes, ReadRecord, ThreadLog, UncertainTransaction, UpdateRecord,
};
use super::state::{Held, State};
use super::violation::{ViolationKind, Violations};

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its transaction committed.
    Committed,
    /// Its attempt was rolled back.
    RolledBack,
    /// Its transaction's end is unknown.
    Uncertain,
    /// No such write was made in this run.
    NeverIssued,
}

/// The fates of one thread's writes, by sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fates {
    /// Fate of the sequences in `first..next` that are in no range.
    pub otherwise: Option<Fate>,
    pub first: u64,
    pub next: u64,
    /// First sequence, the one after the last, and their fate; sorted, disjoint.
    pub ranges: Vec<(u64, u64, Fate)>,
}

impl Fates {
    fn of(&self, sequence: u64) -> Fate {
        let index = self.ranges.partition_point(|&(first, ..)| first <= sequence);
        match index.checked_sub(1).map(|before| self.ranges[before]) {
            Some((_, next, fate)) if sequence < next => fate,
            _ if (self.first..self.next).contains(&sequence) => self.otherwise.unwrap_or(Fate::NeverIssued),
            _ => Fate::NeverIssued,
        }
    }
}

/// Everything that the threads of a run did.
#[derive(Debug)]
pub struct History {
    /// Each thread's last committed write to each row, sorted by row.
    writes: Vec<LoggedWrite>,
    uncertain: Vec<UncertainTransaction>,
    /// The writes of the uncertain transactions, sorted by row: row, version, deletes.
    uncertain_writes: Vec<(RowRef, Version, bool)>,
    fates: HashMap<u16, Fates, FixedState>,
    pub(super) reads: Vec<ReadRecord>,
    pub(super) updates: Vec<UpdateRecord>,
    /// Ranges, each with the numbers of its rows.
    pub(super) ranges: Vec<(KeptRange, Vec<u64>)>,
    outcomes: Outcomes,
    values_checked: u64,
    violations: Violations,
}

impl History {
    /// Merges the logs of all threads of a run under `plan`.
    pub fn merge(plan: &Plan, logs: impl IntoIterator<Item = ThreadLog>) -> History {
        let mut history = History::empty();
        for mut log in logs {
            log.fold_all();
            log.assert_belongs_to(plan);
            history.writes.extend(log.folded.writes().copied());
            let mut fates = Fates {
                otherwise: Some(Fate::Committed),
                ..Fates::default()
            };
            if let Some((first, next)) = log.issued {
                (fates.first, fates.next) = (first, next);
            }
            fates.ranges.extend(
                log.rolled_back
                    .iter()
                    .map(|&(first, next)| (first, next, Fate::RolledBack)),
            );
            for transaction in &log.uncertain {
                let sequences = transaction.writes.iter().map(|write| write.1.sequence());
                fates
                    .ranges
                    .extend(sequences.map(|sequence| (sequence, sequence + 1, Fate::Uncertain)));
            }
            fates.ranges.sort_unstable_by_key(|range| range.0);
            assert!(
                history.fates.insert(log.thread, fates).is_none(),
                "thread {} has two logs",
                log.thread
            );
            history.uncertain.append(&mut log.uncertain);
            history.reads.append(&mut log.reads);
            history.updates.append(&mut log.updates);
            let ranges = log.ranges.iter().map(|(range, rows)| (*range, rows.to_vec()));
            history.ranges.extend(ranges);
            history.outcomes.committed += log.outcomes.committed;
            history.outcomes.rolled_back += log.outcomes.rolled_back;
            history.outcomes.uncertain += log.outcomes.uncertain;
            history.outcomes.writes += log.outcomes.writes;
            history.values_checked += log.values_checked;
            history.violations.merge(std::mem::take(&mut log.violations));
        }
        history.index();
        history
    }

    fn empty() -> History {
        History {
            writes: Vec::new(),
            uncertain: Vec::new(),
            uncertain_writes: Vec::new(),
            fates: HashMap::default(),
            reads: Vec::new(),
            updates: Vec::new(),
            ranges: Vec::new(),
            outcomes: Outcomes::default(),
            values_checked: 0,
            violations: Violations::default(),
        }
    }

    /// From parts that the journal of a killed process gives.
    pub(super) fn from_parts(
        writes: Vec<LoggedWrite>,
        uncertain: Vec<UncertainTransaction>,
        fates: HashMap<u16, Fates, FixedState>,
        outcomes: Outcomes,
    ) -> History {
        let mut history = History {
            writes,
            uncertain,
            fates,
            outcomes,
            ..History::empty()
        };
        history.index();
        history
    }

    fn index(&mut self) {
        self.writes
            .sort_unstable_by_key(|write| (write.row, write.version));
        // Of several writes of one transaction to one row only the last can be what it leaves.
        self.uncertain_writes = self
            .uncertain
            .iter()
            .flat_map(|transaction| {
                let last: HashMap<RowRef, (Version, bool), FixedState> = transaction
                    .writes
                    .iter()
                    .map(|&(row, version, deletes)| (row, (version, deletes)))
                    .collect();
                last.into_iter()
                    .map(|(row, (version, deletes))| (row, version, deletes))
            })
            .collect();
        self.uncertain_writes.sort_unstable();
    }

    /// How the transactions ended, all threads together.
    pub fn outcomes(&self) -> Outcomes {
        self.outcomes
    }

    /// Number of values whose bytes were checked when they were read.
    pub fn values_checked(&self) -> u64 {
        self.values_checked
    }

    /// What the threads noticed while they ran.
    pub fn violations(&self) -> &Violations {
        &self.violations
    }

    /// The transactions of unknown end.
    pub fn uncertain(&self) -> &[UncertainTransaction] {
        &self.uncertain
    }

    /// What became of a write.
    pub fn fate(&self, version: Version) -> Fate {
        self.fates
            .get(&version.thread())
            .map_or(Fate::NeverIssued, |fates| fates.of(version.sequence()))
    }

    /// Each thread's last committed write to `row`.
    pub fn writes_to(&self, row: RowRef) -> &[LoggedWrite] {
        let first = self.writes.partition_point(|write| write.row < row);
        let count = self.writes[first..].partition_point(|write| write.row == row);
        &self.writes[first..first + count]
    }

    /// Every row that a committed write has left there, or has deleted.
    pub(super) fn written_rows(&self) -> impl Iterator<Item = RowRef> {
        self.writes.iter().map(|write| write.row)
    }

    pub(super) fn uncertain_writes_to(&self, row: RowRef) -> &[(RowRef, Version, bool)] {
        let first = self.uncertain_writes.partition_point(|write| write.0 < row);
        let count = self.uncertain_writes[first..].partition_point(|write| write.0 == row);
        &self.uncertain_writes[first..first + count]
    }

    /// Compares `state` with what it must be, given what it was `before` the run.
    pub fn judge(&self, plan: &Plan, before: &State, state: &State) -> Violations {
        let mut violations = Violations::default();
        for (row, held) in state.iter() {
            self.judge_row(plan, row, before.held(row), held, &mut violations);
        }
        // Rows that were inserted, now or before, and that the scan did not return.
        let missing =
            |row: RowRef| row.row() >= plan.table(row.table()).rows && state.held(row) == Held::Absent;
        let mut rows: Vec<RowRef> = self
            .writes
            .iter()
            .map(|write| write.row)
            .filter(|&row| missing(row))
            .collect();
        rows.extend(before.iter().map(|(row, _)| row).filter(|&row| missing(row)));
        rows.sort_unstable();
        rows.dedup();
        for row in rows {
            self.judge_row(plan, row, before.held(row), Held::Absent, &mut violations);
        }
        self.judge_commit_order(&mut violations);
        self.judge_partial(plan, before, state, &mut violations);
        violations
    }

    fn judge_row(&self, plan: &Plan, row: RowRef, before: Held, held: Held, violations: &mut Violations) {
        if held == Held::Damaged {
            return; // The scan has said so already.
        }
        let writes = self.writes_to(row);
        if writes.is_empty() && held == before {
            return;
        }
        let leaves = |write: &LoggedWrite| held.is_left_by(plan, row, write.version, write.deletes);
        let is_superseded = |write: &LoggedWrite| writes.iter().any(|other| write.is_before(other));
        if writes.iter().any(|write| leaves(write) && !is_superseded(write)) {
            return;
        }
        let uncertain = self.uncertain_writes_to(row);
        if uncertain
            .iter()
            .any(|&(row, version, deletes)| held.is_left_by(plan, row, version, deletes))
        {
            return;
        }
        let expected = || {
            let mut names: Vec<String> = writes
                .iter()
                .filter(|write| !is_superseded(write))
                .map(|write| name_write(write.version, write.deletes, write.commit_id))
                .collect();
            if writes.is_empty() {
                names.push(before.to_string());
            }
            names.extend(
                uncertain
                    .iter()
                    .map(|&(_, version, deletes)| name_write(version, deletes, None)),
            );
            names.join(" or ")
        };
        let only_deletes = !writes.is_empty()
            && writes
                .iter()
                .filter(|write| !is_superseded(write))
                .all(|w| w.deletes);
        let kind = match held {
            Held::Absent => ViolationKind::MissingRow,
            _ if writes.is_empty() && before == Held::Absent && self.is_foreign(held) => {
                ViolationKind::UnexpectedRow
            }
            Held::Written(version) => match self.fate(version) {
                Fate::RolledBack => ViolationKind::AbortedWrite,
                _ if only_deletes => ViolationKind::ResurrectedRow,
                Fate::NeverIssued if held != before && version != Version::LOADED => {
                    ViolationKind::UnknownWrite
                }
                _ => ViolationKind::LostWrite,
            },
            _ if only_deletes => ViolationKind::ResurrectedRow,
            _ => ViolationKind::LostWrite,
        };
        violations.add(kind, Some(row), || {
            format!("holds {held}, expected {}", expected())
        });
    }

    /// True if the value is not even one of a known write.
    fn is_foreign(&self, held: Held) -> bool {
        !matches!(held, Held::Written(version) if self.fate(version) != Fate::NeverIssued)
    }

    /// Commit IDs must agree with time: of two writes to a row, the one that was acknowledged before the other
    /// began has the smaller ID.
    fn judge_commit_order(&self, violations: &mut Violations) {
        for group in self.writes.chunk_by(|a, b| a.row == b.row) {
            for (index, a) in group.iter().enumerate() {
                for b in &group[index + 1..] {
                    let (Some(id_a), Some(id_b)) = (a.commit_id, b.commit_id) else {
                        continue;
                    };
                    let (early, late, id_early, id_late) = if a.acked_ns < b.began_ns {
                        (a, b, id_a, id_b)
                    } else {
                        (b, a, id_b, id_a)
                    };
                    if early.acked_ns < late.began_ns && id_early >= id_late {
                        violations.add(ViolationKind::CommitOrder, Some(a.row), || {
                            format!(
                                "{} was acknowledged before {} began, but their commit IDs are {id_early} and {id_late}",
                                early.version, late.version
                            )
                        });
                    }
                }
            }
        }
    }
}

pub(super) fn name_write(version: Version, deletes: bool, commit_id: Option<u64>) -> String {
    let what = if deletes {
        format!("no row ({version} deleted it)")
    } else {
        version.to_string()
    };
    match commit_id {
        Some(id) => format!("{what} (commit {id})"),
        None => what,
    }
}
