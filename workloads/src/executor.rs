//! One worker thread's work: generate a transaction, execute it in a session, remember what happened.
//!
//! The caller decides when to start a transaction, whether to try again after a failure, and measures around it:
//!
//! ```text
//! executor.next();
//! while let Err(error) = executor.attempt(session) {
//!     if !error.is_retryable() { break }     // count it, back off
//! }
//! ```

use std::sync::Arc;
use std::time::Instant;

use crate::driver::{Committed, ErrorKind, Isolation, RowBuffer, Session, TargetError};
use crate::keys::Frontier;
use crate::oracle::{JournalEntry, LogOptions, ThreadLog};
use crate::stream::{OperationKind, OperationStream, Plan, StreamOptions, Transaction};
use crate::values::Identity;

/// Where the steps of each attempt are told, for a run that will be killed. See [`Journal`](crate::oracle::Journal).
///
/// An error from the sink ends the attempt as fatal.
pub type JournalSink = Box<dyn FnMut(&JournalEntry) -> std::io::Result<()> + Send>;

/// How much has been read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkCounts {
    /// Point reads and ranges.
    pub reads: u64,
    /// Those of them that found no row at all.
    pub reads_missed: u64,
    /// Ranges among them.
    pub ranges: u64,
    /// Rows found by point reads.
    pub rows_read: u64,
    /// Rows returned by ranges.
    pub rows_scanned: u64,
    /// Rows written.
    pub rows_written: u64,
    /// Reads for update that found no row; what followed inserted it.
    pub updates_missed: u64,
    /// Deletes.
    pub rows_deleted: u64,
    /// Those of them that found no row.
    pub deletes_missed: u64,
    /// Bytes of keys and values read and scanned.
    pub bytes_read: u64,
    /// Bytes of keys and values written, and of keys deleted: the logical bytes of write amplification.
    pub bytes_written: u64,
}

impl WorkCounts {
    /// Adds `other`.
    pub fn add(&mut self, other: &WorkCounts) {
        self.reads += other.reads;
        self.reads_missed += other.reads_missed;
        self.ranges += other.ranges;
        self.rows_read += other.rows_read;
        self.rows_scanned += other.rows_scanned;
        self.rows_written += other.rows_written;
        self.updates_missed += other.updates_missed;
        self.rows_deleted += other.rows_deleted;
        self.deletes_missed += other.deletes_missed;
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
    }

    /// Counts a point read: `len` bytes of key and value, if there was a row.
    fn read(&mut self, len: Option<usize>) {
        self.reads += 1;
        self.reads_missed += u64::from(len.is_none());
        self.rows_read += u64::from(len.is_some());
        self.bytes_read += len.unwrap_or(0) as u64;
    }
}

/// Executes the transactions of one worker thread.
pub struct Executor {
    stream: OperationStream,
    log: ThreadLog,
    origin: Instant,
    journal: Option<JournalSink>,
    attempts: u32,
    span_ns: (u64, u64),
    /// Of the attempt under way.
    counts: WorkCounts,
    key: Vec<u8>,
    value: Vec<u8>,
    found: Vec<u8>,
    rows: RowBuffer,
}

impl Executor {
    /// An executor on `plan`. `frontier` and `origin` (from which times are counted) are shared by all executors of the run.
    /// At isolation read-uncommitted, [`LogOptions::dirty_reads`] is set whatever `log` says.
    pub fn new(
        plan: Arc<Plan>,
        frontier: Arc<Frontier>,
        stream: StreamOptions,
        log: LogOptions,
        origin: Instant,
    ) -> Self {
        let dirty_reads = log.dirty_reads || plan.spec().isolation == Isolation::ReadUncommitted;
        let share = |all: usize| all / usize::from(frontier.threads());
        Executor {
            log: ThreadLog::new(
                stream.thread,
                LogOptions {
                    dirty_reads,
                    writes_max: share(log.writes_max),
                    reads_max: share(log.reads_max),
                    ranges_max: share(log.ranges_max),
                    ..log
                },
            ),
            stream: OperationStream::new(plan, frontier, stream),
            origin,
            journal: None,
            attempts: 0,
            span_ns: (0, 0),
            counts: WorkCounts::default(),
            key: Vec::new(),
            value: Vec::new(),
            found: Vec::new(),
            rows: RowBuffer::new(),
        }
    }

    /// Tells every step of transactions that write to `sink`.
    pub fn set_journal(&mut self, sink: JournalSink) {
        self.journal = Some(sink);
    }

    /// Chooses the next transaction; nothing is executed yet.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator cannot lend the transaction that it reuses"
    )]
    pub fn next(&mut self) -> &Transaction {
        self.attempts = 0;
        self.stream.next()
    }

    /// The transaction chosen last.
    pub fn transaction(&self) -> &Transaction {
        self.stream.transaction()
    }

    /// Runs the chosen transaction from `begin` to `commit`. After an error it is rolled back already; if the error is
    /// retryable, calling again makes another attempt.
    ///
    /// # Errors
    /// The engine's. A [`Fatal`](ErrorKind::Fatal) one from the commit leaves open whether it was committed.
    pub fn attempt(&mut self, session: &mut dyn Session) -> Result<Committed, TargetError> {
        if self.attempts > 0 {
            self.stream.again();
        }
        self.attempts += 1;
        self.counts = WorkCounts::default();
        let began_ns = self.now_ns();
        self.span_ns = (began_ns, began_ns);
        self.log.begin(self.stream.transaction(), began_ns);
        if let Err(error) = self.execute(session, began_ns) {
            session.rollback();
            self.rolled_back(false)?;
            self.span_ns.1 = self.now_ns();
            return Err(error);
        }
        let outcome = session.commit();
        let acked_ns = self.now_ns();
        self.span_ns.1 = acked_ns;
        let transaction = self.stream.transaction();
        match outcome {
            Ok(committed) => {
                self.log
                    .committed(transaction, committed.commit_id, began_ns, acked_ns);
                let (thread, sequence) = (transaction.thread(), transaction.first_sequence());
                if !transaction.is_read_only() {
                    let commit_id = committed.commit_id;
                    self.tell(&JournalEntry::Acknowledged {
                        thread,
                        sequence,
                        commit_id,
                        acked_ns,
                    })?;
                }
                Ok(committed)
            }
            Err(error) => {
                session.rollback();
                if error.kind() == ErrorKind::Fatal {
                    self.log.uncertain(transaction, began_ns);
                } else {
                    self.rolled_back(true)?;
                }
                Err(error)
            }
        }
    }

    /// When the last attempt began and when it ended, in nanoseconds since the origin.
    pub fn span_ns(&self) -> (u64, u64) {
        self.span_ns
    }

    /// What the last attempt has read and written.
    pub fn counts(&self) -> &WorkCounts {
        &self.counts
    }

    /// What the executor remembers so far.
    pub fn log(&self) -> &ThreadLog {
        &self.log
    }

    /// The stream that it follows.
    pub fn stream(&self) -> &OperationStream {
        &self.stream
    }

    /// Ends, and gives what is to be verified.
    pub fn finish(self) -> ThreadLog {
        self.log
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn tell(&mut self, entry: &JournalEntry) -> Result<(), TargetError> {
        match &mut self.journal {
            Some(sink) => sink(entry).map_err(|error| TargetError::fatal(format_args!("journal: {error}"))),
            None => Ok(()),
        }
    }

    /// `announced` says whether the journal has the attempt's intent.
    fn rolled_back(&mut self, announced: bool) -> Result<(), TargetError> {
        let transaction = self.stream.transaction();
        self.log.rolled_back(transaction);
        if announced && !transaction.is_read_only() {
            let (thread, sequence) = (transaction.thread(), transaction.first_sequence());
            self.tell(&JournalEntry::RolledBack { thread, sequence })?;
        }
        Ok(())
    }

    /// Everything up to the commit.
    fn execute(&mut self, session: &mut dyn Session, began_ns: u64) -> Result<(), TargetError> {
        let plan = Arc::clone(self.stream.plan());
        let read_only = self.stream.transaction().is_read_only();
        session.begin(&plan.tx_options(read_only))?;
        for index in 0..self.stream.transaction().operations().len() {
            self.operation(session, &plan, index)?;
        }
        if !read_only && self.journal.is_some() {
            let entry = JournalEntry::intent(self.stream.transaction(), began_ns);
            self.tell(&entry)?;
        }
        Ok(())
    }

    #[inline]
    fn operation(&mut self, session: &mut dyn Session, plan: &Plan, index: usize) -> Result<(), TargetError> {
        let transaction = self.stream.transaction();
        let operation = &transaction.operations()[index];
        let table = plan.table(operation.table);
        table.key(operation.row, &mut self.key);
        let counts = &mut self.counts;
        match operation.kind {
            OperationKind::Read => {
                let exists = session.get(operation.table, &self.key, &mut self.found)?;
                counts.read(exists.then(|| self.key.len() + self.found.len()));
                if self.log.checks_reads() {
                    let value = exists.then_some(self.found.as_slice());
                    self.log.read(table, operation.row, value, transaction, index);
                }
            }
            OperationKind::Range(direction) => {
                self.rows.clear();
                let limit = operation.len as usize;
                let count = session.scan(operation.table, &self.key, limit, direction, &mut self.rows)?;
                if count != self.rows.len() || self.rows.len() > limit {
                    self.log
                        .wrong_count(table, transaction, index, count, self.rows.len());
                }
                counts.reads += 1;
                counts.ranges += 1;
                counts.reads_missed += u64::from(count == 0);
                counts.rows_scanned += count as u64;
                counts.bytes_read += self.rows.bytes_len() as u64;
                if self.log.checks_reads() {
                    self.log.range(table, transaction, index, &self.rows);
                }
            }
            OperationKind::Put | OperationKind::ReadModifyWrite => {
                let version = transaction.version(operation);
                if operation.kind == OperationKind::ReadModifyWrite {
                    let exists = session.get_for_update(operation.table, &self.key, &mut self.found)?;
                    counts.updates_missed += u64::from(!exists);
                    counts.read(exists.then(|| self.key.len() + self.found.len()));
                    if self.log.checks_reads() {
                        let value = exists.then_some(self.found.as_slice());
                        self.log.read(table, operation.row, value, transaction, index);
                    }
                    let row = operation.row_ref();
                    if exists
                        && self.log.checks_update(row)
                        && let Ok(Identity::Written(read)) =
                            table.value.check(operation.table, operation.row, &self.found)
                    {
                        self.log.update(row, read, version);
                    }
                }
                table.value(operation.row, version, &mut self.value);
                session.put(operation.table, &self.key, &self.value)?;
                counts.rows_written += 1;
                counts.bytes_written += (self.key.len() + self.value.len()) as u64;
            }
            OperationKind::Delete => {
                let existed = session.delete(operation.table, &self.key)?;
                counts.rows_deleted += 1;
                counts.deletes_missed += u64::from(!existed);
                counts.bytes_written += self.key.len() as u64;
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor")
            .field("stream", &self.stream)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
