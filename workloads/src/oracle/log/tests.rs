//! The log by itself: folding, limits, and the checks of single reads.

use std::sync::Arc;

use super::thread::CHUNK_LEN;
use super::*;
use crate::driver::{Direction, RowBuffer, TableRef};
use crate::keys::Frontier;
use crate::oracle::state::Held;
use crate::oracle::violation::{ViolationKind, Violations};
use crate::spec::builtin;
use crate::stream::{Operation, OperationKind, OperationStream, Plan, StreamOptions, TablePlan};
use crate::version::Version;

fn stream(name: &str) -> OperationStream {
    let plan = Arc::new(Plan::new(builtin(name).unwrap()));
    let frontier = Arc::new(Frontier::new(plan.tables().len(), 1));
    OperationStream::new(plan, frontier, StreamOptions::fresh(0))
}

#[test]
fn folding_keeps_the_last_write_of_every_row() {
    let mut stream = stream("mixed");
    let options = LogOptions {
        writes_max: 2 * CHUNK_LEN,
        ..LogOptions::default()
    };
    let mut log = ThreadLog::new(0, options);
    let mut last = std::collections::HashMap::new();
    for time in 0..20_000 {
        let transaction = stream.next();
        log.begin(transaction, 0);
        if time % 5 == 0 {
            log.rolled_back(transaction);
            continue;
        }
        log.committed(transaction, Some(time), time, time + 1);
        for (row, version, deletes) in transaction.writes() {
            last.insert(row, (version, deletes));
        }
    }
    assert!(log.chunks.len() <= 3, "memory is bounded");
    log.fold_all();
    let folded: std::collections::HashMap<_, _> = log
        .folded
        .writes()
        .map(|write| (write.row, (write.version, write.deletes)))
        .collect();
    assert_eq!(folded, last);
    assert_eq!(log.outcomes().rolled_back, 4000);
    assert_eq!(log.issued, Some((1, stream.next_sequence())));
}

#[test]
fn commit_ids_must_rise_within_a_thread() {
    let mut stream = stream("oltp");
    let mut log = ThreadLog::new(0, LogOptions::default());
    for id in [1, 2, 2] {
        let transaction = stream.next();
        log.begin(transaction, 0);
        log.committed(transaction, Some(id), 0, 0);
    }
    assert_eq!(log.violations.count(ViolationKind::CommitOrder), 1);
}

/// A range read of an ordered table with rows `from..to`, as an engine would answer it.
fn rows(table: &TablePlan, numbers: impl Iterator<Item = u64>) -> RowBuffer {
    let (mut key, mut value, mut buffer) = (Vec::new(), Vec::new(), RowBuffer::new());
    for row in numbers {
        table.key(row, &mut key);
        table.value(row, Version::LOADED, &mut value);
        buffer.push(&key, &value);
    }
    buffer
}

fn range_of(start: u64, limit: usize, direction: Direction) -> Operation {
    Operation {
        kind: OperationKind::Range(direction),
        table: TableRef(0),
        len: limit as u32,
        row: start,
        write_index: 0,
    }
}

fn range_violations(start: u64, limit: usize, direction: Direction, answer: &RowBuffer) -> Violations {
    let mut stream = stream("oltp");
    let plan = Arc::clone(stream.plan());
    let mut log = ThreadLog::new(0, LogOptions::thorough());
    let transaction = stream.next().reading(range_of(start, limit, direction));
    log.begin(&transaction, 0);
    log.range(&plan.tables()[0], &transaction, 0, answer);
    log.violations
}

#[test]
fn a_complete_range_is_fine_also_at_the_ends_of_the_table() {
    let plan = Plan::new(builtin("oltp").unwrap());
    let table = &plan.tables()[0];
    let last = table.rows - 1;
    for (start, limit, direction, answer) in [
        (5, 3, Direction::Forward, rows(table, 5..8)),
        (last - 1, 10, Direction::Forward, rows(table, last - 1..=last)),
        (7, 3, Direction::Reverse, rows(table, (5..=7).rev())),
        (1, 10, Direction::Reverse, rows(table, (0..=1).rev())),
    ] {
        let violations = range_violations(start, limit, direction, &answer);
        assert!(
            violations.is_empty(),
            "{start} {direction:?}: {:?}",
            violations.examples()
        );
    }
}

#[test]
fn ranges_with_gaps_disorder_early_ends_and_foreign_keys_are_noticed() {
    let plan = Plan::new(builtin("oltp").unwrap());
    let table = &plan.tables()[0];
    let gap = rows(table, [5, 6, 8].into_iter());
    assert_eq!(
        range_violations(5, 3, Direction::Forward, &gap).count(ViolationKind::VanishedRow),
        1
    );
    let first_missing = rows(table, 6..9);
    assert_eq!(
        range_violations(5, 3, Direction::Forward, &first_missing).count(ViolationKind::VanishedRow),
        1
    );
    let short = rows(table, 5..7);
    assert_eq!(
        range_violations(5, 3, Direction::Forward, &short).count(ViolationKind::VanishedRow),
        1
    );
    let disorder = rows(table, [5, 7, 6].into_iter());
    assert!(range_violations(5, 3, Direction::Forward, &disorder).count(ViolationKind::KeyOrder) == 1);
    let twice = rows(table, [5, 5].into_iter());
    assert_eq!(
        range_violations(5, 2, Direction::Forward, &twice).count(ViolationKind::KeyOrder),
        1
    );
    let mut foreign = rows(table, 5..6);
    foreign.push(b"zzz", b"");
    assert_eq!(
        range_violations(5, 2, Direction::Forward, &foreign).count(ViolationKind::BadKey),
        1
    );
}

#[test]
fn damaged_and_vanished_reads_are_noticed_at_once() {
    let mut stream = stream("oltp");
    let plan = Arc::clone(stream.plan());
    let table = &plan.tables()[0];
    let mut log = ThreadLog::new(0, LogOptions::thorough());
    let transaction = stream.next();
    log.begin(transaction, 0);
    let mut value = Vec::new();
    table.value(3, Version::new(9, 9), &mut value);
    log.read(table, 3, Some(&value), transaction, 0);
    assert!(log.violations.is_empty());
    assert_eq!(log.reads.len(), 1);
    log.read(table, 4, Some(&value), transaction, 0);
    value[50] ^= 1;
    log.read(table, 3, Some(&value), transaction, 0);
    assert_eq!(log.violations.count(ViolationKind::DamagedRead), 2);
    log.read(table, 3, None, transaction, 0);
    assert_eq!(log.violations.count(ViolationKind::VanishedRow), 1);
    log.read(table, table.rows, None, transaction, 0);
    assert_eq!(
        log.violations.count(ViolationKind::VanishedRow),
        1,
        "a row that was never loaded may be absent"
    );
}

#[test]
fn updates_of_a_rolled_back_attempt_are_forgotten() {
    let mut stream = stream("oltp");
    let mut log = ThreadLog::new(0, LogOptions::thorough());
    let transaction = stream.next();
    let (row, version, _) = transaction.writes().next().unwrap();
    for commits in [false, true, false] {
        log.begin(transaction, 0);
        log.update(row, Version::LOADED, version);
        if commits {
            log.committed(transaction, None, 0, 0);
        } else {
            log.rolled_back(transaction);
        }
    }
    assert_eq!(log.updates.len(), 1);
}

#[test]
fn kept_reads_stay_within_their_limit() {
    let mut stream = stream("oltp");
    let plan = Arc::clone(stream.plan());
    let table = &plan.tables()[0];
    let mut log = ThreadLog::new(
        0,
        LogOptions {
            reads_max: 10,
            ..LogOptions::thorough()
        },
    );
    let transaction = stream.next();
    log.begin(transaction, 0);
    let mut value = Vec::new();
    for sequence in 0..1000 {
        table.value(3, Version::new(7, sequence), &mut value);
        log.read(table, 3, Some(&value), transaction, 0);
    }
    assert_eq!(log.reads.len(), 10);
    assert!(
        log.reads
            .iter()
            .any(|read| matches!(read.held, Held::Written(version) if version.sequence() > 100)),
        "later reads are represented too"
    );
}
