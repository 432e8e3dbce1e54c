//! The oracle after a crash: journals of transactions, and databases in states that a crash may and may not leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use workloads::keys::Frontier;
use workloads::oracle::{CrashPromise, Journal, JournalEntry, State, Verification, ViolationKind, judge};
use workloads::stream::{OperationStream, Plan, StreamOptions, Transaction};
use workloads::version::Version;

use crate::run::{load, small};
use crate::toy::{Bug, Tables, Toy};

/// One transaction as the engine executed it.
struct Step {
    intent: JournalEntry,
    writes: Vec<(workloads::version::RowRef, Version, bool)>,
}

/// A plan, its loaded tables, and the first transactions that write.
struct Scene {
    plan: Arc<Plan>,
    loaded: Tables,
    steps: Vec<Step>,
}

impl Scene {
    fn new(name: &str, rows: u64, count: usize) -> Scene {
        let plan = Arc::new(small(name, rows));
        let toy = Toy::new(plan.tables().len(), Bug::None, true);
        load(&toy, &plan);
        let mut loaded = Tables::new();
        toy.tamper(|tables| loaded.clone_from(tables));
        let frontier = Arc::new(Frontier::new(plan.tables().len(), 3));
        let mut streams: Vec<_> = (0..3)
            .map(|thread| {
                OperationStream::new(
                    Arc::clone(&plan),
                    Arc::clone(&frontier),
                    StreamOptions::fresh(thread),
                )
            })
            .collect();
        let mut steps = Vec::new();
        while steps.len() < count {
            let turn = steps.len() % 3;
            let transaction: &Transaction = streams[turn].next();
            if !transaction.is_read_only() {
                let time = steps.len() as u64 * 10;
                steps.push(Step {
                    intent: JournalEntry::intent(transaction, time),
                    writes: transaction.writes().collect(),
                });
            }
        }
        Scene { plan, loaded, steps }
    }

    /// The tables after some of the steps.
    fn tables(&self, steps: impl Iterator<Item = usize>) -> Tables {
        let mut tables = self.loaded.clone();
        for step in steps {
            for index in 0..self.steps[step].writes.len() {
                self.apply(&mut tables, step, index);
            }
        }
        tables
    }

    fn apply(&self, tables: &mut Tables, step: usize, index: usize) {
        let (row, version, deletes) = self.steps[step].writes[index];
        let (table, mut key, mut value) = (self.plan.table(row.table()), Vec::new(), Vec::new());
        table.key(row.row(), &mut key);
        table.value(row.row(), version, &mut value);
        let rows: &mut BTreeMap<_, _> = &mut tables[row.table().index()];
        if deletes {
            rows.remove(&key);
        } else {
            rows.insert(key, value);
        }
    }

    /// The journal with the first `acknowledged` steps answered and the rest announced only.
    fn journal(&self, acknowledged: usize) -> Journal {
        let mut text = String::new();
        for (number, step) in self.steps.iter().enumerate() {
            text += &format!("{}\n", step.intent);
            let JournalEntry::Intent {
                thread,
                sequence,
                began_ns,
                ..
            } = step.intent
            else {
                unreachable!()
            };
            if number < acknowledged {
                let commit_id = Some(number as u64 + 1);
                text += &format!(
                    "{}\n",
                    JournalEntry::Acknowledged {
                        thread,
                        sequence,
                        commit_id,
                        acked_ns: began_ns + 5
                    }
                );
            }
        }
        let mut journal = Journal::new();
        journal.text(&text).unwrap();
        assert_eq!(journal.acknowledged(), acknowledged as u64);
        journal
    }

    fn judge(&self, acknowledged: usize, tables: Tables, promise: CrashPromise) -> (Verification, u64) {
        let toy = Toy::with_tables(tables);
        let state = State::scan(&toy, &self.plan).unwrap();
        let (history, missing) = self
            .journal(acknowledged)
            .into_history(&self.plan, promise, &state)
            .unwrap();
        (
            judge(&self.plan, &State::loaded(&self.plan), &history, &state, true),
            missing,
        )
    }
}

#[track_caller]
fn assert_clean(verification: &Verification) {
    assert!(
        verification.is_clean(),
        "{:?}",
        verification.violations.examples()
    );
}

#[test]
fn all_acknowledged_and_any_choice_of_the_uncertain_is_fine() {
    let scene = Scene::new("mixed", 400, 60);
    // Steps 57, 58 and 59 are of three threads and were all under way.
    for choice in 0..8u32 {
        let steps = (0..57).chain(
            (0..3)
                .filter(|bit| choice & (1 << bit) != 0)
                .map(|bit| 57 + bit as usize),
        );
        let (verification, missing) = scene.judge(57, scene.tables(steps), CrashPromise::Acknowledged);
        assert_clean(&verification);
        assert_eq!((verification.transactions, missing), (57, 0));
    }
}

#[test]
fn every_lost_acknowledged_transaction_is_found() {
    let scene = Scene::new("oltp-write-only", 5000, 30);
    for lost in 0..30 {
        let (verification, _) = scene.judge(
            30,
            scene.tables((0..30).filter(|&step| step != lost)),
            CrashPromise::Acknowledged,
        );
        assert!(
            verification.violations.count(ViolationKind::LostWrite) >= 2,
            "step {lost}"
        );
    }
}

#[test]
fn every_part_of_a_transaction_under_way_is_found_to_be_partial() {
    let scene = Scene::new("oltp-write-only", 5000, 31);
    for part in 0..3 {
        let mut tables = scene.tables(0..30);
        scene.apply(&mut tables, 30, part);
        let (verification, _) = scene.judge(30, tables, CrashPromise::Acknowledged);
        let kinds: Vec<_> = verification.violations.counts().map(|(kind, _)| kind).collect();
        if part == 2 {
            // The delete of a delete-insert alone: the row is gone, which no committed transaction did.
            assert_eq!(kinds, [ViolationKind::MissingRow]);
        } else {
            assert_eq!(kinds, [ViolationKind::PartialTransaction], "part {part}");
        }
    }
}

#[test]
fn an_uncertain_transaction_that_was_overwritten_proves_nothing() {
    let scene = Scene::new("oltp-write-only", 5000, 3);
    // The last step's transaction is applied and one of its rows was then overwritten by one that overlapped it.
    let mut tables = scene.tables(0..3);
    let (row, ..) = scene.steps[2].writes[0];
    let version = Version::new(0, 1000);
    let (table, mut key, mut value) = (scene.plan.table(row.table()), Vec::new(), Vec::new());
    table.key(row.row(), &mut key);
    table.value(row.row(), version, &mut value);
    tables[0].insert(key, value);
    let state = State::scan(&Toy::with_tables(tables), &scene.plan).unwrap();
    for (acked_ns, partial) in [(25, 0), (15, 1)] {
        let mut journal = scene.journal(2);
        journal.line(&format!("I 0 1000 12 0:{}", row.row())).unwrap();
        journal.line(&format!("A 0 1000 9 {acked_ns}")).unwrap();
        let (history, _) = journal
            .into_history(&scene.plan, CrashPromise::Acknowledged, &state)
            .unwrap();
        let violations = history.judge(&scene.plan, &State::loaded(&scene.plan), &state);
        assert_eq!(
            violations.count(ViolationKind::PartialTransaction),
            partial,
            "acknowledged at {acked_ns}"
        );
        assert_eq!(violations.total(), partial);
    }
}

#[test]
fn without_synchronisation_a_prefix_may_remain_and_only_a_prefix() {
    let scene = Scene::new("oltp-write-only", 5000, 40);
    for kept in [0, 1, 17, 40] {
        let (verification, missing) = scene.judge(40, scene.tables(0..kept), CrashPromise::Prefix);
        assert_clean(&verification);
        assert_eq!(missing, 40 - kept as u64);
    }
    let (verification, _) = scene.judge(
        40,
        scene.tables((0..20).filter(|&step| step != 10)),
        CrashPromise::Prefix,
    );
    assert!(
        verification.violations.count(ViolationKind::LostWrite) > 0,
        "a hole in the prefix"
    );
    let mut tables = scene.tables(0..20);
    scene.apply(&mut tables, 20, 0);
    let (verification, _) = scene.judge(40, tables, CrashPromise::Prefix);
    assert!(!verification.is_clean(), "half of the last transaction");
    // An uncertain transaction is there, so what was acknowledged before it began must be there.
    let (verification, _) = scene.judge(39, scene.tables((0..20).chain([39])), CrashPromise::Prefix);
    assert!(verification.violations.count(ViolationKind::LostWrite) > 0);
}

#[test]
fn a_journal_without_commit_ids_cannot_tell_a_prefix() {
    let scene = Scene::new("oltp-write-only", 100, 1);
    let mut journal = Journal::new();
    journal.text("I 0 1 0 0:5\nA 0 1 - 5\n").unwrap();
    let state = State::loaded(&scene.plan);
    assert!(
        journal
            .into_history(&scene.plan, CrashPromise::Prefix, &state)
            .is_err()
    );
    let mut journal = Journal::new();
    journal.text("I 0 1 0 7:5\n").unwrap();
    let error = journal
        .into_history(&scene.plan, CrashPromise::Acknowledged, &state)
        .unwrap_err();
    assert!(error.to_string().contains("table number 7"), "{error}");
}
