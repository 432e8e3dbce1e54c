//! The checks of what a transaction reads, on the spot: whole values, known keys, order, no gap, and what it wrote itself.

use crate::driver::{Direction, RowBuffer};
use crate::oracle::names::show;
use crate::oracle::state::Held;
use crate::oracle::violation::ViolationKind;
use crate::stream::{OperationKind, TablePlan, Transaction};
use crate::values::Identity;
use crate::version::Version;

use super::record::ReadRecord;
use super::thread::ThreadLog;

impl ThreadLog {
    /// Operation `index` of the current attempt read `row` of `table` and found `value`, or that the row does not exist.
    pub fn read(
        &mut self,
        table: &TablePlan,
        row: u64,
        value: Option<&[u8]>,
        transaction: &Transaction,
        index: usize,
    ) {
        let own = transaction.own_write(table.row_ref(row), index);
        let own = own.filter(|_| !self.options.dirty_reads);
        let Some(value) = value else {
            self.values_checked += 1;
            match own {
                Some((version, false)) => self.own_missed(table, row, version),
                Some((_, true)) => {}
                None if self.options.dirty_reads => {}
                None if table.keeps_loaded_rows && row < table.rows => {
                    self.violations
                        .add(ViolationKind::VanishedRow, Some(table.row_ref(row)), || {
                            "was read as absent, but no transaction leaves it deleted".into()
                        });
                }
                None => self.keep_read(table, row, Held::Absent),
            }
            return;
        };
        let found = self.value(table, row, value, transaction);
        if let Some((version, deletes)) = own {
            self.own(table, row, found, (version, deletes));
        }
    }

    /// Checks a value that was found, keeps it for the end, and returns which write it names.
    fn value(
        &mut self,
        table: &TablePlan,
        row: u64,
        value: &[u8],
        transaction: &Transaction,
    ) -> Option<Version> {
        self.values_checked += 1;
        match table.value.check(table.table, row, value) {
            Err(fault) => {
                self.violations
                    .add_fault(ViolationKind::DamagedRead, table.row_ref(row), fault);
                None
            }
            Ok(Identity::Anonymous) => None,
            Ok(Identity::Written(version)) => {
                if !transaction.wrote(version) && !self.options.dirty_reads {
                    self.keep_read(table, row, Held::Written(version));
                }
                Some(version)
            }
        }
    }

    /// The transaction has written the row before it read it, and `found` is the write that it read.
    fn own(&mut self, table: &TablePlan, row: u64, found: Option<Version>, (own, deletes): (Version, bool)) {
        if let Some(found) = found
            && (deletes || found != own)
        {
            self.violations
                .add(ViolationKind::OwnWrite, Some(table.row_ref(row)), || {
                    let done = if deletes { "deleted it" } else { "wrote it" };
                    format!("was read as {found}, but its own transaction {done} before, as {own}")
                });
        }
    }

    fn own_missed(&mut self, table: &TablePlan, row: u64, version: Version) {
        self.violations
            .add(ViolationKind::OwnWrite, Some(table.row_ref(row)), || {
                format!("was not found, but its own transaction wrote it before, as {version}")
            });
    }

    /// Past the limit a pseudo-random earlier record is replaced, so that the whole run stays represented.
    fn keep_read(&mut self, table: &TablePlan, row: u64, held: Held) {
        let record = ReadRecord {
            row: table.row_ref(row),
            held,
            began_ns: self.began_ns,
        };
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

    /// Operation `index` of the current attempt, a range of `table`, gave `rows`.
    pub fn range(&mut self, table: &TablePlan, transaction: &Transaction, index: usize, rows: &RowBuffer) {
        let operation = &transaction.operations()[index];
        let OperationKind::Range(direction) = operation.kind else {
            return;
        };
        let (start, limit) = (operation.row, operation.len as usize);
        let complete = table.keeps_loaded_rows && table.key.is_ordered() && !self.options.dirty_reads;
        // Kept, so that no check allocates.
        let mut start_key = std::mem::take(&mut self.start_key);
        let mut numbers = std::mem::take(&mut self.range_rows);
        numbers.clear();
        table.key(start, &mut start_key);
        let mut before: Option<&[u8]> = None;
        let mut is_sound = true;
        // Looked for once, and not for each row.
        let wrote_before = !self.options.dirty_reads
            && transaction.operations()[..index]
                .iter()
                .any(|own| own.table == table.table && own.writes());
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
                is_sound = false;
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
                is_sound = false;
                self.violations
                    .add(ViolationKind::BadKey, Some(table.row_ref(start)), || {
                        format!("a range from this row returned the foreign key {}", show(key))
                    });
                continue;
            };
            numbers.push(row);
            let found = self.value(table, row, value, transaction);
            if wrote_before && let Some(own) = transaction.own_write(table.row_ref(row), index) {
                self.own(table, row, found, own);
            }
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
        let is_exhausted = rows.len() < limit;
        if is_exhausted && let Some(due) = due {
            self.missed(table, due);
        }
        if is_sound && !self.options.dirty_reads {
            if wrote_before {
                self.own_rows(table, transaction, index, (&numbers, is_exhausted));
            }
            self.ranges.keep(
                table.table,
                start,
                direction,
                (&numbers, is_exhausted),
                self.began_ns,
            );
        }
        self.start_key = start_key;
        self.range_rows = numbers;
    }

    /// Operation `index` of the current attempt told `count` rows and gave other ones, or more than its limit.
    pub fn wrong_count(
        &mut self,
        table: &TablePlan,
        transaction: &Transaction,
        index: usize,
        count: usize,
        gave: usize,
    ) {
        let operation = &transaction.operations()[index];
        let row = Some(table.row_ref(operation.row));
        self.violations.add(ViolationKind::WrongCount, row, || {
            format!(
                "a range from this row, of at most {} rows, told {count} and gave {gave}",
                operation.len
            )
        });
    }

    /// That the rows which the transaction wrote before are in what its range gave, if they lie in it.
    fn own_rows(
        &mut self,
        table: &TablePlan,
        transaction: &Transaction,
        index: usize,
        (rows, is_exhausted): (&[u64], bool),
    ) {
        let operation = &transaction.operations()[index];
        let is_forward = operation.kind == OperationKind::Range(Direction::Forward);
        let start = table.key.rank(operation.row);
        let last = rows.last().map(|&row| table.key.rank(row));
        for own in &transaction.operations()[..index] {
            let rank = table.key.rank(own.row);
            let is_behind_start = if is_forward { rank >= start } else { rank <= start };
            let is_before_end =
                is_exhausted || last.is_some_and(|last| if is_forward { rank <= last } else { rank >= last });
            if own.table == table.table
                && own.writes()
                && is_behind_start
                && is_before_end
                && !rows.contains(&own.row)
                && let Some((version, false)) = transaction.own_write(own.row_ref(), index)
            {
                self.own_missed(table, own.row, version);
            }
        }
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
