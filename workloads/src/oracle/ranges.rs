//! Which rows a range must have returned, for keys of every form and order.
//!
//! A range answers for all keys from its start to its last row, or to the end of the table if it gave fewer rows than it might. The
//! row numbers of every key order have a [`rank`](crate::keys::KeyCodec::rank) that rises with the key, so
//!
//! 1. for each table the ranks of all rows that can ever have been there, loaded or inserted, are sorted once: 8 bytes a row;
//! 2. each kept range is walked beside them. A row that the range passed over must be one that may have been absent
//!    ([`History::is_certainly_there`]). The first that may not ends the walk.
//!
//! Order, limit, and that every row returned was there, are checked elsewhere: on the spot, and as reads. Rows that a transaction has
//! written itself are checked on the spot too; when it committed, they are not settled for it, and when it did not, its ranges were
//! forgotten.
//!
//! The walk is bounded: a range that passed over very many rows that may all be absent proves nothing about those behind.

use crate::driver::Direction;
use crate::stream::Plan;
use crate::version::RowRef;

use super::history::History;
use super::names::row_words;
use super::state::{Held, State};
use super::violation::{ViolationKind, Violations};

/// Rows that a range may have passed over, until nothing more is asked of it.
const PASSED_MAX: usize = 1024;

fn comes_before(direction: Direction, rank: u64, other: u64) -> bool {
    match direction {
        Direction::Forward => rank < other,
        Direction::Reverse => rank > other,
    }
}

impl History {
    /// Number of ranges that [`judge_ranges`](Self::judge_ranges) checks.
    pub fn ranges_kept(&self) -> u64 {
        self.ranges.len() as u64
    }

    /// Checks that no range passed over a row that was certainly there.
    pub fn judge_ranges(&self, plan: &Plan, before: &State) -> Violations {
        let mut violations = Violations::default();
        if self.ranges.is_empty() {
            return violations;
        }
        let ranks = self.ranks(plan, before);
        for (range, rows) in &self.ranges {
            let table = plan.table(range.table);
            let start = table.key.rank(range.start);
            let last = rows.last().map(|&row| table.key.rank(row));
            let all = &ranks[range.table.index()];
            let mut returned = rows.iter().map(|&row| table.key.rank(row)).peekable();
            let end = match last {
                _ if range.is_exhausted => None,
                // Of no rows, and not exhausted: the limit was 0.
                None => continue,
                last => last,
            };
            let mut passed = 0;
            let mut pass = |rank: u64| {
                // Rows that no committed write is known of, for instance of a transaction of unknown end.
                while returned
                    .next_if(|&other| comes_before(range.direction, other, rank))
                    .is_some()
                {}
                if returned.peek() == Some(&rank) {
                    returned.next();
                    return true;
                }
                passed += 1;
                let row = RowRef::new(range.table, table.key.row_of_rank(rank));
                let is_missing = self.is_certainly_there(plan, before, row, range.began_ns);
                if is_missing {
                    violations.add(ViolationKind::VanishedRow, Some(row), || {
                        format!(
                            "a range of {} rows from {} passed over it, but it was there before the transaction began",
                            rows.len(),
                            row_words(plan, RowRef::new(range.table, range.start))
                        )
                    });
                }
                !is_missing && passed < PASSED_MAX
            };
            match range.direction {
                Direction::Forward => {
                    let from = all.partition_point(|&rank| rank < start);
                    let to = end.map_or(all.len(), |end| all.partition_point(|&rank| rank <= end));
                    let _ = all[from..to.max(from)].iter().all(|&rank| pass(rank));
                }
                Direction::Reverse => {
                    let to = all.partition_point(|&rank| rank <= start);
                    let from = end.map_or(0, |end| all.partition_point(|&rank| rank < end));
                    let _ = all[from.min(to)..to].iter().rev().all(|&rank| pass(rank));
                }
            }
        }
        violations
    }

    /// For each table the ranks of all rows that were there before or that a committed write is known of, rising.
    fn ranks(&self, plan: &Plan, before: &State) -> Vec<Vec<u64>> {
        let mut ranks: Vec<Vec<u64>> = plan.tables().iter().map(|_| Vec::new()).collect();
        let there = before
            .iter()
            .filter(|(_, held)| *held != Held::Absent)
            .map(|(row, _)| row);
        for row in there.chain(self.written_rows()) {
            ranks[row.table().index()].push(plan.table(row.table()).key.rank(row.row()));
        }
        for ranks in &mut ranks {
            ranks.sort_unstable();
            ranks.dedup();
        }
        ranks
    }
}
