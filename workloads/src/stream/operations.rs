//! The stream of one thread's transactions.

use std::sync::Arc;

use crate::driver::{Direction, TableRef};
use crate::keys::{Chooser, Frontier};
use crate::random::Random;
use crate::spec::Action;

use super::plan::{Plan, length_of};
use super::transaction::{Operation, OperationKind, Transaction};

/// Where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// The thread, from 0.
    pub thread: u16,
    /// Which part of the run this is; parts under the same seed get different choices. 0 for a whole run; a scenario
    /// that goes on with the same database after a crash counts its rounds here.
    pub round: u32,
    /// Sequence of the first write, at least 1. Must be above every sequence that this thread has used on this
    /// database before.
    pub first_sequence: u64,
    /// Number of row numbers that this thread has used for inserts on this database before, in whichever table it
    /// used most. More does no harm: row numbers may have gaps.
    pub first_insert: u64,
}

/// Sequences set aside for each thread in each round.
const SEQUENCES_PER_ROUND: u64 = 1 << 26;
/// Row numbers set aside for the inserts of each thread in each round.
const INSERTS_PER_ROUND: u64 = 1 << 22;

impl StreamOptions {
    /// `thread` on a freshly loaded database.
    pub fn fresh(thread: u16) -> Self {
        StreamOptions {
            thread,
            round: 0,
            first_sequence: 1,
            first_insert: 0,
        }
    }

    /// `thread` in round `round` (below 1000) on a database that goes on from one round to the next. Every round has
    /// its own sequences and row numbers, so the next can begin without knowing how far the last one came; a thread may
    /// make up to 67 million writes and 4 million inserts in a round.
    pub fn of_round(thread: u16, round: u32) -> Self {
        StreamOptions {
            thread,
            round,
            first_sequence: 1 + u64::from(round) * SEQUENCES_PER_ROUND,
            first_insert: u64::from(round) * INSERTS_PER_ROUND,
        }
    }
}

/// One thread's endless stream of transactions.
#[derive(Debug)]
pub struct OperationStream {
    plan: Arc<Plan>,
    frontier: Arc<Frontier>,
    random: Random,
    choosers: Vec<Chooser>,
    transaction: Transaction,
    next_sequence: u64,
    /// Inserts begun, for each table.
    inserts: Vec<u64>,
}

impl OperationStream {
    /// The stream of one thread. `frontier` is shared by all threads of the run.
    pub fn new(plan: Arc<Plan>, frontier: Arc<Frontier>, options: StreamOptions) -> Self {
        assert!(options.first_sequence > 0, "sequence 0 is the loader's");
        assert!(
            options.thread < frontier.threads(),
            "thread {} of {}",
            options.thread,
            frontier.threads()
        );
        let stream = u64::from(options.round) << 16 | u64::from(options.thread);
        let random = Random::new(plan.spec().seed, stream);
        let choosers = plan.choosers().to_vec();
        let inserts = vec![options.first_insert; plan.tables().len()];
        for table in 0..inserts.len() {
            frontier.publish(table, options.thread, options.first_insert);
        }
        let transaction = Transaction {
            thread: options.thread,
            ..Transaction::default()
        };
        OperationStream {
            plan,
            frontier,
            random,
            choosers,
            transaction,
            next_sequence: options.first_sequence,
            inserts,
        }
    }

    /// The plan that this stream follows.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Generates the next transaction. The one before is over, however it ended: rows that it inserted may now be
    /// chosen by any thread (and are missed if it never committed).
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator cannot lend the transaction that it reuses"
    )]
    pub fn next(&mut self) -> &Transaction {
        if self.plan.tables().iter().any(|table| table.grows) {
            for (table, &count) in self.inserts.iter().enumerate() {
                self.frontier.publish(table, self.transaction.thread, count);
            }
        }
        let plan = Arc::clone(&self.plan);
        let type_index = if plan.type_count() == 1 {
            0
        } else {
            plan.pick_type(self.random.next_u64())
        };
        self.transaction.type_index = type_index;
        self.transaction.operations.clear();
        self.transaction.write_count = 0;
        for step in plan.steps(type_index) {
            for _ in 0..step.count {
                self.push(step.action, step.table, step.chooser);
            }
        }
        self.stamp();
        &self.transaction
    }

    /// The transaction last generated.
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// Prepares another attempt of the same transaction: the same operations on the same rows, with versions of their
    /// own, so that a value of the failed attempt can be told from one of this.
    pub fn again(&mut self) -> &Transaction {
        self.stamp();
        &self.transaction
    }

    /// Sequence that the next attempt's first write will get.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Number of inserts begun into `table`, those of [`StreamOptions::first_insert`] included.
    pub fn insert_count(&self, table: TableRef) -> u64 {
        self.inserts[table.index()]
    }

    fn stamp(&mut self) {
        self.transaction.first_sequence = self.next_sequence;
        self.next_sequence += u64::from(self.transaction.write_count);
    }

    #[inline]
    fn push(&mut self, action: Action, table: TableRef, chooser: Option<usize>) {
        let row = match chooser {
            Some(index) => {
                self.choosers[index].choose(&mut self.random, &self.frontier, self.transaction.thread)
            }
            None => {
                let count = &mut self.inserts[table.index()];
                let row = self
                    .frontier
                    .row(self.plan.table(table).rows, self.transaction.thread, *count);
                *count += 1;
                row
            }
        };
        let mut add = |kind: OperationKind, len: u32, writes: bool| {
            let write_index = if writes { self.transaction.write_count } else { 0 };
            self.transaction.write_count += u32::from(writes);
            self.transaction.operations.push(Operation {
                kind,
                table,
                len,
                row,
                write_index,
            });
        };
        match action {
            Action::PointRead => add(OperationKind::Read, 1, false),
            Action::Range { length, direction } => {
                let random = &mut self.random;
                let len = length_of(length, |span| random.below(span));
                let direction: Direction = direction;
                add(OperationKind::Range(direction), len, false);
            }
            Action::Update | Action::Insert => add(OperationKind::Put, 1, true),
            Action::ReadModifyWrite => add(OperationKind::ReadModifyWrite, 1, true),
            Action::Delete => add(OperationKind::Delete, 1, true),
            Action::DeleteInsert => {
                add(OperationKind::Delete, 1, true);
                add(OperationKind::Put, 1, true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::builtin;

    fn streams(name: &str, threads: u16) -> Vec<OperationStream> {
        let plan = Arc::new(Plan::new(builtin(name).unwrap()));
        let frontier = Arc::new(Frontier::new(plan.tables().len(), threads));
        (0..threads)
            .map(|thread| {
                OperationStream::new(
                    Arc::clone(&plan),
                    Arc::clone(&frontier),
                    StreamOptions::fresh(thread),
                )
            })
            .collect()
    }

    #[test]
    fn a_threads_stream_does_not_depend_on_the_others_timing_or_on_retries() {
        let mut one_by_one = streams("oltp", 3);
        let mut interleaved = streams("oltp", 3);
        let operations = |stream: &mut OperationStream| stream.next().operations().to_vec();
        let expected: Vec<Vec<_>> = one_by_one
            .iter_mut()
            .map(|stream| (0..50).map(|_| operations(stream)).collect())
            .collect();
        let mut got = vec![Vec::new(); 3];
        for round in 0..50 {
            for thread in (0..3).rev() {
                got[thread].push(operations(&mut interleaved[thread]));
                if round % 7 == thread {
                    interleaved[thread].again();
                }
            }
        }
        assert_eq!(got, expected);
        assert_ne!(expected[0], expected[1]);
    }

    #[test]
    fn the_oltp_transaction_is_sysbenchs() {
        let mut stream = streams("oltp", 1).remove(0);
        let transaction = stream.next();
        let kinds: Vec<OperationKind> = transaction
            .operations()
            .iter()
            .map(|operation| operation.kind)
            .collect();
        assert_eq!(kinds[..10], [OperationKind::Read; 10]);
        assert_eq!(kinds[10..14], [OperationKind::Range(Direction::Forward); 4]);
        use OperationKind::{Delete, Put, ReadModifyWrite};
        assert_eq!(kinds[14..], [ReadModifyWrite, Put, Delete, Put]);
        assert!(
            transaction.operations()[10..14]
                .iter()
                .all(|operation| operation.len == 100)
        );
        let writes: Vec<_> = transaction.writes().collect();
        assert_eq!(writes.len(), 4);
        assert_eq!(
            writes[2].0, writes[3].0,
            "the row that is deleted is inserted again"
        );
        assert_eq!(
            writes.iter().map(|write| write.2).collect::<Vec<_>>(),
            [false, false, true, false]
        );
    }

    #[test]
    fn every_attempt_has_versions_of_its_own() {
        let mut stream = streams("mixed", 2).remove(1);
        let mut seen = std::collections::HashSet::new();
        for round in 0..200 {
            let transaction = if round % 3 == 2 {
                stream.again()
            } else {
                stream.next()
            };
            for (_, version, _) in transaction.writes() {
                assert!(seen.insert(version), "{version:?} was given twice");
                assert!(transaction.wrote(version));
                assert_eq!(version.thread(), 1);
            }
            assert!(!transaction.wrote(crate::version::Version::new(0, transaction.first_sequence())));
        }
    }

    #[test]
    fn threads_insert_different_rows_and_a_later_round_goes_on() {
        let mut rows = std::collections::HashSet::new();
        let mut streams = streams("ycsb-d", 3);
        for stream in &mut streams {
            for _ in 0..500 {
                let transaction = stream.next();
                for (row, ..) in transaction.writes() {
                    assert!(row.row() >= 100_000);
                    assert!(rows.insert(row), "{row:?} was inserted twice");
                }
            }
        }
        assert!(rows.len() > 30, "5% of 1500 transactions insert");
        let table = TableRef(0);
        let first = &streams[0];
        let frontier = Arc::new(Frontier::new(1, 3));
        let options = StreamOptions {
            thread: 0,
            round: 1,
            first_sequence: first.next_sequence(),
            first_insert: first.insert_count(table),
        };
        let mut later = OperationStream::new(Arc::clone(first.plan()), frontier, options);
        for _ in 0..500 {
            for (row, version, _) in later.next().writes() {
                assert!(rows.insert(row), "{row:?} was inserted twice");
                assert!(version.sequence() >= options.first_sequence);
            }
        }
    }
}
