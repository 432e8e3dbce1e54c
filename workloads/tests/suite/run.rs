//! Complete runs: load, several threads, verification.

use std::sync::Arc;
use std::time::Instant;

use workloads::driver::{Durability, Isolation, Target};
use workloads::executor::{Executor, WorkCounts};
use workloads::keys::Frontier;
use workloads::load::{Loader, batches};
use workloads::oracle::{History, LogOptions, State, ThreadLog, Verification, verify};
use workloads::spec::{BUILTIN_NAMES, Overrides, Spec, builtin};
use workloads::stream::{Plan, StreamOptions};

use crate::toy::{Bug, Toy};

/// A built-in spec, made small, at the only levels that the toy has.
pub(crate) fn small(name: &str, rows: u64) -> Plan {
    let overrides = Overrides {
        rows: Some(rows),
        isolation: Some(Isolation::Serializable),
        durability: Some(Durability::InMemory),
        ..Overrides::default()
    };
    Plan::new(builtin(name).unwrap().with_overrides(&overrides).unwrap())
}

pub(crate) fn load(target: &dyn Target, plan: &Plan) {
    let (mut session, mut loader) = (target.session().unwrap(), Loader::new());
    for (table, rows) in batches(plan, 500) {
        let bytes = loader
            .batch(&mut *session, plan, table, rows, &plan.tx_options(false))
            .unwrap();
        assert!(bytes > 0);
    }
}

/// `transactions` on each of four threads; attempts that are refused are made again.
pub(crate) fn run(target: &Toy, plan: &Arc<Plan>, transactions: u64, options: LogOptions) -> Vec<ThreadLog> {
    run_attempts(target, plan, transactions, options, u32::MAX)
}

/// As `run`, with at most `attempts` of each transaction.
pub(crate) fn run_attempts(
    target: &Toy,
    plan: &Arc<Plan>,
    transactions: u64,
    options: LogOptions,
    attempts: u32,
) -> Vec<ThreadLog> {
    let threads = 4;
    let frontier = Arc::new(Frontier::new(plan.tables().len(), threads));
    let origin = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (plan, frontier) = (Arc::clone(plan), Arc::clone(&frontier));
                scope.spawn(move || {
                    let mut worker =
                        Executor::new(plan, frontier, StreamOptions::fresh(thread), options, origin);
                    let mut session = target.session().unwrap();
                    for _ in 0..transactions {
                        worker.next();
                        for _ in 0..attempts {
                            match worker.attempt(&mut *session) {
                                Ok(_) => break,
                                Err(error) => assert!(error.is_retryable(), "{error}"),
                            }
                        }
                        let (began_ns, ended_ns) = worker.span_ns();
                        assert!(began_ns <= ended_ns);
                    }
                    drop(session);
                    worker.finish()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    })
}

/// Loads, runs and verifies.
pub(crate) fn verified_run(
    name: &str,
    rows: u64,
    transactions: u64,
    bug: Bug,
    commit_ids: bool,
) -> Verification {
    let plan = Arc::new(small(name, rows));
    // The load has no version of its own to lose, so the bug comes with the run.
    let toy = Toy::new(plan.tables().len(), bug, commit_ids).refusing(7);
    let loaded = Toy::new(plan.tables().len(), Bug::None, commit_ids);
    load(&loaded, &plan);
    loaded.tamper(|tables| toy.tamper(|own| own.clone_from(tables)));
    let logs = run(&toy, &plan, transactions, LogOptions::thorough());
    let history = History::merge(&plan, logs);
    verify(&toy, &plan, &State::loaded(&plan), &history).unwrap().0
}

#[test]
fn every_built_in_spec_runs_and_is_verified_on_a_correct_engine() {
    for name in BUILTIN_NAMES {
        for commit_ids in [true, false] {
            let verification = verified_run(name, 300, 150, Bug::None, commit_ids);
            assert!(
                verification.is_clean(),
                "{name} {commit_ids}: {:?}",
                verification.violations.examples()
            );
            assert_eq!(verification.transactions, 600);
            assert!(verification.rows > 0, "{name}");
            assert!(verification.statement().starts_with("verified: 600 transactions"));
        }
    }
}

#[test]
fn the_default_sampling_finds_nothing_wrong_either() {
    let plan = Arc::new(small("mixed", 200));
    let toy = Toy::new(2, Bug::None, true).refusing(3);
    load(&toy, &plan);
    let history = History::merge(&plan, run(&toy, &plan, 2000, LogOptions::default()));
    let (verification, state) = verify(&toy, &plan, &State::loaded(&plan), &history).unwrap();
    assert!(
        verification.is_clean(),
        "{:?}",
        verification.violations.examples()
    );
    assert!(verification.values_checked > 0 && verification.reads_checked > 0);
    assert!(verification.updates_checked.is_some_and(|updates| updates > 0));
    assert!(
        history.outcomes().rolled_back > 1000,
        "refused commits are attempted again"
    );

    // The database may go on from there in a second run.
    let frontier = Arc::new(Frontier::new(2, 1));
    let origin = Instant::now();
    let mut worker = Executor::new(
        Arc::clone(&plan),
        frontier,
        StreamOptions::of_round(0, 1),
        LogOptions::thorough(),
        origin,
    );
    let mut session = toy.session().unwrap();
    let mut counts = WorkCounts::default();
    for _ in 0..300 {
        worker.next();
        while worker.attempt(&mut *session).is_err() {}
        counts.add(worker.counts());
    }
    drop(session);
    assert!(
        counts.rows_written > 0
            && counts.rows_deleted > 0
            && counts.rows_scanned > 0
            && counts.bytes_read > 0
    );
    // Some of the rows are deleted by now.
    assert!(
        0 < counts.reads_missed && counts.reads_missed < counts.reads,
        "{counts:?}"
    );
    let history = History::merge(&plan, [worker.finish()]);
    let (verification, _) = verify(&toy, &plan, &state, &history).unwrap();
    assert!(
        verification.is_clean(),
        "{:?}",
        verification.violations.examples()
    );
    let (verification, _) = verify(&toy, &plan, &State::loaded(&plan), &history).unwrap();
    assert!(
        !verification.is_clean(),
        "the state before the second run is not the loaded one"
    );
}

#[test]
fn values_of_every_size_can_be_verified() {
    for size in [0, 3, 8, 20, 24] {
        let text = format!(
            "title = \"sizes\"\nisolation = \"serializable\"\ndurability = \"in-memory\"\n\
             [[table]]\nname = \"t\"\nrows = 50\nvalue = {{ size = {size} }}\n\
             [[transaction]]\nname = \"w\"\noperations = [{{ op = \"update\" }}, {{ op = \"delete\" }}, {{ op = \"read-modify-write\" }}, {{ op = \"insert\" }}]"
        );
        let plan = Arc::new(Plan::new(Spec::parse("sizes", "sizes", &text).unwrap()));
        let toy = Toy::new(1, Bug::None, true);
        load(&toy, &plan);
        let history = History::merge(&plan, run(&toy, &plan, 200, LogOptions::thorough()));
        let check = |toy: &Toy| verify(toy, &plan, &State::loaded(&plan), &history).unwrap().0;
        let verification = check(&toy);
        assert!(
            verification.is_clean(),
            "{size}: {:?}",
            verification.violations.examples()
        );
        // Whatever the size: a missing row is noticed, and, if there are bytes, another value.
        let mut removed = None;
        toy.tamper(|tables| removed = tables[0].pop_first());
        assert_eq!(check(&toy).violations.total(), 1, "{size}");
        let (key, mut value) = removed.unwrap();
        if let Some(byte) = value.first_mut() {
            *byte ^= 0x55;
            toy.tamper(|tables| drop(tables[0].insert(key, value)));
            assert_eq!(check(&toy).violations.total(), 1, "{size}");
        }
    }
}
