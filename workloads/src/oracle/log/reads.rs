//! The checks of what a transaction reads, on the spot: whole values, known keys, order, and no gap.

use crate::driver::{Direction, RowBuffer};
use crate::oracle::state::show;
use crate::oracle::violation::ViolationKind;
use crate::stream::{TablePlan, Transaction};
use crate::values::Identity;
use crate::version::Version;

use super::record::ReadRecord;
use super::thread::ThreadLog;

impl ThreadLog {
    /// The current attempt read `row` of `table` and found `value`, or that the row does not exist.
    pub fn read(&mut self, table: &TablePlan, row: u64, value: Option<&[u8]>, transaction: &Transaction) {
        self.values_checked += 1;
        let Some(value) = value else {
            if table.keeps_loaded_rows && row < table.rows && !self.options.dirty_reads {
                self.violations
                    .add(ViolationKind::VanishedRow, Some(table.row_ref(row)), || {
                        "was read as absent, but no transaction leaves it deleted".into()
                    });
            }
            return;
        };
        match table.value.check(table.table, row, value) {
            Err(fault) => self
                .violations
                .add(ViolationKind::DamagedRead, Some(table.row_ref(row)), || {
                    fault.to_string()
                }),
            Ok(Identity::Anonymous) => {}
            Ok(Identity::Written(version)) => {
                if version != Version::LOADED && !transaction.wrote(version) && !self.options.dirty_reads {
                    self.keep_read(ReadRecord {
                        row: table.row_ref(row),
                        version,
                    });
                }
            }
        }
    }

    /// Past the limit a pseudo-random earlier record is replaced, so that the whole run stays represented.
    fn keep_read(&mut self, record: ReadRecord) {
        self.reads_seen += 1;
        if self.reads.len() < self.options.reads_max {
            self.reads.push(record);
        } else if !self.reads.is_empty() {
            let slot = crate::random::permute(self.reads_seen) % self.reads_seen;
            if let Some(kept) = self.reads.get_mut(slot as usize) {
                *kept = record;
            }
        }
    }

    /// The current attempt scanned `limit` rows of `table` from `start` on and got `rows`.
    pub fn range(
        &mut self,
        table: &TablePlan,
        start: u64,
        limit: usize,
        direction: Direction,
        rows: &RowBuffer,
        transaction: &Transaction,
    ) {
        let complete = table.keeps_loaded_rows && table.key.is_ordered() && !self.options.dirty_reads;
        // Kept, so that no check allocates.
        let mut start_key = std::mem::take(&mut self.start_key);
        table.key(start, &mut start_key);
        let mut before: Option<&[u8]> = None;
        // The row that must come next, where that is known.
        let mut due = complete.then_some(start).filter(|&row| row < table.rows);
        for (key, value) in rows.iter() {
            let in_order = match (direction, before) {
                (Direction::Forward, None) => key >= start_key.as_slice(),
                (Direction::Forward, Some(before)) => key > before,
                (Direction::Reverse, None) => key <= start_key.as_slice(),
                (Direction::Reverse, Some(before)) => key < before,
            };
            if !in_order {
                self.violations
                    .add(ViolationKind::KeyOrder, Some(table.row_ref(start)), || {
                        format!(
                            "a range from this row returned the key {} out of order",
                            show(key)
                        )
                    });
            }
            before = Some(key);
            let Some(row) = table.key.decode(key) else {
                self.violations
                    .add(ViolationKind::BadKey, Some(table.row_ref(start)), || {
                        format!("a range from this row returned the foreign key {}", show(key))
                    });
                continue;
            };
            self.read(table, row, Some(value), transaction);
            if let Some(due) = due
                && row != due
                && in_order
            {
                self.missed(table, due);
            }
            due = if complete {
                neighbour(table, row, direction)
            } else {
                None
            };
        }
        if rows.len() < limit
            && let Some(due) = due
        {
            self.missed(table, due);
        }
        self.start_key = start_key;
    }

    fn missed(&mut self, table: &TablePlan, row: u64) {
        self.violations
            .add(ViolationKind::VanishedRow, Some(table.row_ref(row)), || {
                "a range passed over it, but no transaction leaves it deleted".into()
            });
    }
}

/// The loaded row that must follow `row` in a table without gaps; `None` at the end of the loaded rows.
fn neighbour(table: &TablePlan, row: u64, direction: Direction) -> Option<u64> {
    match direction {
        Direction::Forward => Some(row + 1).filter(|&next| next < table.rows),
        // Above the loaded rows there may be gaps.
        Direction::Reverse => row.checked_sub(1).filter(|&next| next < table.rows),
    }
}
