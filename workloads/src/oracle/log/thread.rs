//! The log of one thread.

use std::collections::VecDeque;

use crate::oracle::violation::{ViolationKind, Violations};
use crate::stream::{Plan, Transaction};
use crate::version::{RowRef, Version};

use super::folded::Folded;
use super::options::LogOptions;
use super::ranges::KeptRanges;
use super::record::{LoggedWrite, Outcomes, ReadRecord, UncertainTransaction, UpdateRecord};

pub(super) const CHUNK_LEN: usize = 4096;

/// What one worker remembers.
#[derive(Debug)]
pub struct ThreadLog {
    pub(in crate::oracle) thread: u16,
    pub(super) options: LogOptions,
    pub(super) chunks: VecDeque<Vec<LoggedWrite>>,
    /// Writes in the chunks that have not been folded.
    kept: usize,
    /// Of the oldest chunk, the first write that has not been folded.
    next_to_fold: usize,
    /// An empty chunk.
    spare: Vec<LoggedWrite>,
    pub(in crate::oracle) folded: Folded,
    /// First sequence used and the one after the last.
    pub(in crate::oracle) issued: Option<(u64, u64)>,
    /// Sequences of attempts that were rolled back: first, and the one after the last.
    pub(in crate::oracle) rolled_back: Vec<(u64, u64)>,
    pub(in crate::oracle) uncertain: Vec<UncertainTransaction>,
    pub(in crate::oracle) reads: Vec<ReadRecord>,
    pub(super) reads_seen: u64,
    pub(in crate::oracle) ranges: KeptRanges,
    pub(in crate::oracle) updates: Vec<UpdateRecord>,
    updates_before_attempt: usize,
    attempts: u64,
    checks_reads: bool,
    /// When the current attempt began.
    pub(super) began_ns: u64,
    /// Of the range that is being checked.
    pub(super) start_key: Vec<u8>,
    /// The rows of the range that is being checked.
    pub(super) range_rows: Vec<u64>,
    last_commit_id: Option<u64>,
    pub(in crate::oracle) outcomes: Outcomes,
    pub(in crate::oracle) values_checked: u64,
    pub(in crate::oracle) violations: Violations,
}

impl ThreadLog {
    /// An empty log of `thread`.
    pub fn new(thread: u16, options: LogOptions) -> Self {
        ThreadLog {
            thread,
            options,
            chunks: VecDeque::new(),
            kept: 0,
            next_to_fold: 0,
            spare: Vec::new(),
            folded: Folded::default(),
            issued: None,
            rolled_back: Vec::new(),
            uncertain: Vec::new(),
            reads: Vec::new(),
            reads_seen: 0,
            ranges: KeptRanges::new(options.ranges_max),
            updates: Vec::new(),
            updates_before_attempt: 0,
            attempts: 0,
            checks_reads: false,
            began_ns: 0,
            start_key: Vec::new(),
            range_rows: Vec::new(),
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

    /// An attempt begins, `began_ns` after the run's origin. Exactly one of [`committed`](Self::committed), [`rolled_back`](Self::rolled_back) and
    /// [`uncertain`](Self::uncertain) must end it.
    pub fn begin(&mut self, transaction: &Transaction, began_ns: u64) {
        self.began_ns = began_ns;
        self.ranges.begin();
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

    /// Past the budget the oldest is folded for each that comes, so that no transaction bears the work of many.
    #[inline]
    fn push(&mut self, write: LoggedWrite) {
        if self.kept >= self.options.writes_max {
            self.fold_oldest();
        }
        self.kept += 1;
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK_LEN => chunk.push(write),
            _ => {
                let mut chunk = std::mem::take(&mut self.spare);
                chunk.reserve(CHUNK_LEN);
                chunk.push(write);
                self.chunks.push_back(chunk);
            }
        }
    }

    /// Moves the oldest write into the map; `false` if there is none.
    fn fold_oldest(&mut self) -> bool {
        let Some(write) = self.chunks.front().and_then(|chunk| chunk.get(self.next_to_fold)) else {
            return false;
        };
        self.folded.insert(*write);
        self.kept -= 1;
        self.next_to_fold += 1;
        if self
            .chunks
            .front()
            .is_some_and(|chunk| chunk.len() == self.next_to_fold)
        {
            self.next_to_fold = 0;
            self.spare = self.chunks.pop_front().unwrap_or_default();
            self.spare.clear();
        }
        true
    }

    /// The current attempt was rolled back, or its commit was refused.
    pub fn rolled_back(&mut self, transaction: &Transaction) {
        self.outcomes.rolled_back += 1;
        self.updates.truncate(self.updates_before_attempt);
        if !transaction.is_read_only() {
            // What they did not find may be what the attempt had deleted.
            self.ranges.forget_attempt();
        }
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
        self.ranges.forget_attempt();
        self.updates.truncate(self.updates_before_attempt);
        if !transaction.is_read_only() {
            self.uncertain.push(UncertainTransaction {
                began_ns,
                writes: transaction.writes().collect(),
            });
        }
    }

    /// Folds everything; afterwards `folded` is complete.
    pub(in crate::oracle) fn fold_all(&mut self) {
        while self.fold_oldest() {}
    }

    /// Checks that the log was used with this plan's tables only.
    pub(in crate::oracle) fn assert_belongs_to(&self, plan: &Plan) {
        debug_assert!(
            self.folded
                .writes()
                .all(|write| write.row.table().index() < plan.tables().len()),
            "the log of thread {} names tables that the plan does not have",
            self.thread
        );
    }
}
