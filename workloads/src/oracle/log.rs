//! What one worker remembers of its transactions, cheaply enough to stay on in every measured run.
//!
//! - **Writes.** Each committed write is appended to a chunk (a few nanoseconds, no search). When the chunks pass their
//!   budget the oldest is folded into a map from row to the thread's last write to it, so memory is bounded by the
//!   rows written, not by the length of the run.
//! - **Outcomes.** Sequences rise with every attempt, so it is enough to note the ranges that were rolled back or whose
//!   end is unknown; all others below the last are committed.
//! - **Reads.** Every n-th transaction has the values it reads checked on the spot, and their versions kept: whether
//!   the writer committed is known only at the end.
//! - **Read-modify-writes.** For a sample of the rows, which version was read and which was written.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::stream::{Plan, TablePlan, Transaction};
use crate::target::{Direction, RowBuffer};
use crate::values::Identity;
use crate::version::{RowRef, Version};

use super::violation::{ViolationKind, Violations};

/// How much a [`ThreadLog`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Writes kept before the oldest are folded together; 48 bytes each.
    pub writes_max: usize,
    /// One of this many transactions has its reads checked; 0 checks none.
    pub read_check_interval: u32,
    /// Versions read that are kept for the check at the end; 16 bytes each.
    pub reads_max: usize,
    /// One of this many rows has its read-modify-writes kept; 0 keeps none.
    pub update_row_interval: u32,
    /// Read-modify-writes kept; 24 bytes each.
    pub updates_max: usize,
    /// A transaction may see what another has not committed (isolation read-uncommitted), so reads are only checked
    /// for damage.
    pub dirty_reads: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions {
            writes_max: 512 * 1024,
            read_check_interval: 16,
            reads_max: 1024 * 1024,
            update_row_interval: 16,
            updates_max: 512 * 1024,
            dirty_reads: false,
        }
    }
}

impl LogOptions {
    /// Everything is checked and kept: for tests and for scenarios about correctness.
    pub fn thorough() -> Self {
        LogOptions {
            read_check_interval: 1,
            reads_max: 16 * 1024 * 1024,
            update_row_interval: 1,
            updates_max: 16 * 1024 * 1024,
            ..LogOptions::default()
        }
    }
}

/// A committed write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedWrite {
    /// The row.
    pub row: RowRef,
    /// Who wrote it.
    pub version: Version,
    /// The row was deleted, and not written.
    pub deletes: bool,
    /// The commit's place in commit order, if the engine tells.
    pub commit_id: Option<u64>,
    /// When the attempt began, in nanoseconds since the run's origin.
    pub began_ns: u64,
    /// When its commit was acknowledged, in nanoseconds since the run's origin.
    pub acked_ns: u64,
}

impl LoggedWrite {
    /// True if this write certainly took effect before `other`: by commit ID if both have one, else because it was
    /// acknowledged before the other began.
    pub fn is_before(&self, other: &LoggedWrite) -> bool {
        match (self.commit_id, other.commit_id) {
            _ if self.version.thread() == other.version.thread() => self.version < other.version,
            (Some(own), Some(others)) => own < others,
            _ => self.acked_ns < other.began_ns,
        }
    }
}

/// A transaction of which nobody knows whether it committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UncertainTransaction {
    /// When the attempt began, in nanoseconds since the run's origin.
    pub began_ns: u64,
    /// Its writes in order: row, version, and whether the row is deleted.
    pub writes: Vec<(RowRef, Version, bool)>,
}

/// A version that a transaction read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadRecord {
    pub row: RowRef,
    pub version: Version,
}

/// A read-modify-write: what it read and what it wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UpdateRecord {
    pub row: RowRef,
    pub read: Version,
    pub wrote: Version,
}

/// How transactions of a thread ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Committed, read-only ones included.
    pub committed: u64,
    /// Attempts that were rolled back.
    pub rolled_back: u64,
    /// Attempts of unknown end.
    pub uncertain: u64,
    /// Writes of the committed transactions.
    pub writes: u64,
}

const CHUNK_LEN: usize = 4096;

/// Last write of this thread to each row.
pub(super) type LastWrites = HashMap<RowRef, LoggedWrite, FixedState>;

/// What one worker remembers.
#[derive(Debug)]
pub struct ThreadLog {
    pub(super) thread: u16,
    options: LogOptions,
    chunks: VecDeque<Vec<LoggedWrite>>,
    pub(super) folded: LastWrites,
    /// First sequence used and the one after the last.
    pub(super) issued: Option<(u64, u64)>,
    /// Sequences of attempts that were rolled back: first, and the one after the last.
    pub(super) rolled_back: Vec<(u64, u64)>,
    pub(super) uncertain: Vec<UncertainTransaction>,
    pub(super) reads: Vec<ReadRecord>,
    reads_seen: u64,
    pub(super) updates: Vec<UpdateRecord>,
    updates_before_attempt: usize,
    attempts: u64,
    checks_reads: bool,
    last_commit_id: Option<u64>,
    pub(super) outcomes: Outcomes,
    pub(super) values_checked: u64,
    pub(super) violations: Violations,
}

impl ThreadLog {
    /// An empty log of `thread`.
    pub fn new(thread: u16, options: LogOptions) -> Self {
        ThreadLog {
            thread,
            options,
            chunks: VecDeque::new(),
            folded: LastWrites::default(),
            issued: None,
            rolled_back: Vec::new(),
            uncertain: Vec::new(),
            reads: Vec::new(),
            reads_seen: 0,
            updates: Vec::new(),
            updates_before_attempt: 0,
            attempts: 0,
            checks_reads: false,
            last_commit_id: None,
            outcomes: Outcomes::default(),
            values_checked: 0,
            violations: Violations::default(),
        }
    }

    /// How this thread's transactions ended.
    pub fn outcomes(&self) -> Outcomes {
        self.outcomes
    }

    /// An attempt begins. Exactly one of [`committed`](Self::committed), [`rolled_back`](Self::rolled_back) and
    /// [`uncertain`](Self::uncertain) must end it.
    pub fn begin(&mut self, transaction: &Transaction) {
        debug_assert_eq!(
            transaction.thread(),
            self.thread,
            "a transaction goes into its own thread's log"
        );
        let interval = u64::from(self.options.read_check_interval);
        self.checks_reads = interval > 0 && self.attempts.is_multiple_of(interval);
        self.attempts += 1;
        self.updates_before_attempt = self.updates.len();
        let first = transaction.first_sequence();
        let next = first + u64::from(transaction.write_count());
        if next > first {
            let begin = self.issued.map_or(first, |(begin, _)| begin);
            self.issued = Some((begin, next));
        }
    }

    /// True if the reads of the current attempt are to be handed to [`read`](Self::read) and
    /// [`range`](Self::range).
    #[inline]
    pub fn checks_reads(&self) -> bool {
        self.checks_reads
    }

    /// True if read-modify-writes of `row` are to be handed to [`update`](Self::update).
    #[inline]
    pub fn checks_update(&self, row: RowRef) -> bool {
        let interval = u64::from(self.options.update_row_interval);
        interval > 0 && crate::random::permute(row.to_u64()).is_multiple_of(interval)
    }

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
        let mut start_key = Vec::new();
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
    }

    fn missed(&mut self, table: &TablePlan, row: u64) {
        self.violations
            .add(ViolationKind::VanishedRow, Some(table.row_ref(row)), || {
                "a range passed over it, but no transaction leaves it deleted".into()
            });
    }

    /// The current attempt read version `read` of `row` for update, and will replace it by `wrote`.
    pub fn update(&mut self, row: RowRef, read: Version, wrote: Version) {
        if self.updates.len() < self.options.updates_max {
            self.updates.push(UpdateRecord { row, read, wrote });
        }
    }

    /// The current attempt committed. Times are nanoseconds since the run's origin.
    pub fn committed(
        &mut self,
        transaction: &Transaction,
        commit_id: Option<u64>,
        began_ns: u64,
        acked_ns: u64,
    ) {
        self.outcomes.committed += 1;
        if transaction.is_read_only() {
            return;
        }
        self.outcomes.writes += u64::from(transaction.write_count());
        if let (Some(before), Some(now)) = (self.last_commit_id, commit_id)
            && now <= before
        {
            let thread = self.thread;
            self.violations.add(ViolationKind::CommitOrder, None, || {
                format!("thread {thread} got commit ID {now} after it had got {before}")
            });
        }
        self.last_commit_id = commit_id.or(self.last_commit_id);
        for (row, version, deletes) in transaction.writes() {
            self.push(LoggedWrite {
                row,
                version,
                deletes,
                commit_id,
                began_ns,
                acked_ns,
            });
        }
    }

    #[inline]
    fn push(&mut self, write: LoggedWrite) {
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK_LEN => chunk.push(write),
            _ => {
                let mut chunk = if (self.chunks.len() + 1) * CHUNK_LEN > self.options.writes_max {
                    self.fold_oldest().unwrap_or_default()
                } else {
                    Vec::new()
                };
                chunk.reserve(CHUNK_LEN);
                chunk.push(write);
                self.chunks.push_back(chunk);
            }
        }
    }

    /// Moves the oldest chunk into the map, and gives its memory back empty.
    fn fold_oldest(&mut self) -> Option<Vec<LoggedWrite>> {
        let mut chunk = self.chunks.pop_front()?;
        for write in chunk.drain(..) {
            self.folded.insert(write.row, write);
        }
        Some(chunk)
    }

    /// The current attempt was rolled back, or its commit was refused.
    pub fn rolled_back(&mut self, transaction: &Transaction) {
        self.outcomes.rolled_back += 1;
        self.updates.truncate(self.updates_before_attempt);
        let (first, count) = (transaction.first_sequence(), u64::from(transaction.write_count()));
        match self.rolled_back.last_mut() {
            _ if count == 0 => {}
            Some(last) if last.1 == first => last.1 += count,
            _ => self.rolled_back.push((first, first + count)),
        }
    }

    /// Nobody knows whether the current attempt committed.
    pub fn uncertain(&mut self, transaction: &Transaction, began_ns: u64) {
        self.outcomes.uncertain += 1;
        self.updates.truncate(self.updates_before_attempt);
        if !transaction.is_read_only() {
            self.uncertain.push(UncertainTransaction {
                began_ns,
                writes: transaction.writes().collect(),
            });
        }
    }

    /// Folds everything; afterwards `folded` is complete.
    pub(super) fn fold_all(&mut self) {
        while self.fold_oldest().is_some() {}
    }

    /// Checks that the log was used with this plan's tables only.
    pub(super) fn assert_belongs_to(&self, plan: &Plan) {
        debug_assert!(
            self.folded
                .keys()
                .all(|row| row.table().index() < plan.tables().len()),
            "the log of thread {} names tables that the plan does not have",
            self.thread
        );
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

/// A key for people: as text if it is printable, else in hexadecimal; shortened.
pub(super) fn show(key: &[u8]) -> String {
    let part = &key[..key.len().min(32)];
    let text = match std::str::from_utf8(part) {
        Ok(text) if !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()) => format!("`{text}`"),
        _ => format!(
            "0x{}",
            part.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        ),
    };
    if part.len() < key.len() {
        format!("{text}... ({} bytes)", key.len())
    } else {
        text
    }
}

#[cfg(test)]
mod tests;
