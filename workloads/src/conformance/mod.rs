//! Whether an engine keeps the rules of [`driver`](crate::driver), rule by rule.
//!
//! A workload tells that something is wrong; this tells what. Each rule is a sentence that the traits' documentation has too,
//! and a check that needs no more than a [`TargetFactory`]:
//!
//! 1. it runs on databases of its own, in a directory of its own, with a few rows;
//! 2. where two sessions meet, their steps are interleaved by hand, so that what is found is found each time. Only rules about
//!    threads use threads;
//! 3. what the engine did not declare does not apply, and is said to;
//! 4. it runs on a thread of its own with a time limit, so that a panic or a hang is a finding like others. A thread that hangs
//!    is left behind; an engine that ends the process ends the checks.
//!
//! An engine that makes others wait is as good as one that lets them fail: errors that are retryable are allowed
//! wherever two transactions meet, and nowhere else.
//!
//! Not checked: what survives a crash or a loss of power (the harness's `recovery` and `powerloss` do that), and that damage of
//! files is noticed.
//!
//! ```no_run
//! use std::sync::Arc;
//! use workloads::conformance;
//!
//! fn test(my_engine: impl workloads::driver::TargetFactory + 'static) {
//!     let report = conformance::check(Arc::new(my_engine), "target/conformance".as_ref());
//!     assert!(report.is_conforming(), "{report}");
//! }
//! ```

mod bench;
mod commits;
mod figures;
mod isolation;
mod opening;
mod persistence;
mod report;
mod rows;
mod scans;
mod threads;
mod transactions;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::driver::TargetFactory;

use bench::{Bench, Check, Steps, Stop};
pub use report::{Checked, Finding, Outcome, Report};

/// A rule of the driver contract.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its name.
    pub id: &'static str,
    /// What it asks, in a sentence.
    pub about: &'static str,
    check: fn(&Bench) -> Check,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

const fn rule(id: &'static str, about: &'static str, check: fn(&Bench) -> Check) -> Rule {
    Rule { id, about, check }
}

/// Every rule, in the order of checking.
pub static RULES: &[Rule] = &[
    rule(
        "declared",
        "Factory and database declare the same, and at least one durability and one isolation level",
        opening::declared,
    ),
    rule(
        "create-new",
        "Creating a database where one exists is an error, and leaves that one as it was",
        opening::create_new,
    ),
    rule(
        "open-missing",
        "Opening a database that is not there is an error, and makes none",
        opening::open_missing,
    ),
    rule(
        "declared-levels",
        "Every declared durability and isolation level can be used",
        opening::declared_levels,
    ),
    rule(
        "declared-compressions",
        "Every declared compression can be used, and is told by the settings, if they tell one",
        opening::declared_compressions,
    ),
    rule(
        "cache-size",
        "A declared cache size is honoured: the settings tell more for more, if they tell it",
        opening::cache_size,
    ),
    rule(
        "isolation-refused",
        "An isolation level that is not declared is refused as unsupported",
        opening::isolation_refused,
    ),
    rule(
        "durability-refused",
        "A durability that is not declared is refused as unsupported",
        opening::durability_refused,
    ),
    rule(
        "compression-refused",
        "A compression that is not declared is refused as unsupported",
        opening::compression_refused,
    ),
    rule(
        "setting-refused",
        "A setting of the engine with an unknown name is refused as unsupported",
        opening::setting_refused,
    ),
    rule(
        "checked-before",
        "What open refuses as unsupported check refuses too; what is declared, and no compression, both take",
        opening::checked_before,
    ),
    rule(
        "unknown-table",
        "A table beyond those of the options is an error",
        opening::unknown_table,
    ),
    rule(
        "outside-transaction",
        "Outside of a transaction operations are a fatal error, and rollback does nothing",
        transactions::outside,
    ),
    rule(
        "one-transaction",
        "A session has one transaction at a time: a second begin is an error",
        transactions::one,
    ),
    rule(
        "commit-visible",
        "What is committed is seen by later transactions of every session",
        transactions::commit_visible,
    ),
    rule(
        "rollback-undone",
        "What is rolled back is seen by nobody",
        transactions::rollback_undone,
    ),
    rule(
        "dropped-undone",
        "Dropping a session rolls back what is open, and nobody waits for it",
        transactions::dropped_undone,
    ),
    rule(
        "failed-undone",
        "A transaction that is rolled back after an error leaves nothing, and the session goes on",
        transactions::failed_undone,
    ),
    rule(
        "own-writes-get",
        "A transaction gets what it wrote itself",
        transactions::own_writes_get,
    ),
    rule(
        "own-writes-scan",
        "A transaction scans what it wrote itself, in both directions",
        transactions::own_writes_scan,
    ),
    rule(
        "read-only",
        "A transaction that only reads refuses to write",
        transactions::read_only,
    ),
    rule(
        "get-absent",
        "Getting an absent row tells so and leaves nothing in the buffer; a present one replaces its content",
        rows::get_absent,
    ),
    rule(
        "put-replaces",
        "A put replaces the whole value, shorter or longer; of several the last one stays",
        rows::put_replaces,
    ),
    rule(
        "delete-tells",
        "A delete tells whether the row existed",
        rows::delete_tells,
    ),
    rule(
        "values",
        "Values come back whole: empty, long, of every byte, up to the declared length",
        rows::values,
    ),
    rule(
        "keys",
        "Keys are bytes: 0x00 and 0xff, prefixes of each other, up to the declared length",
        rows::keys,
    ),
    rule(
        "tables-apart",
        "Rows of one table are not in another",
        rows::tables_apart,
    ),
    rule(
        "scan-order",
        "A scan gives all rows by the bytes of their keys, rising or falling",
        scans::order,
    ),
    rule(
        "scan-start",
        "A scan begins with the row at its start, or else the next one that way; an empty start means from the end",
        scans::start,
    ),
    rule(
        "scan-limit",
        "A scan gives as many rows as there are that way, and no more than its limit",
        scans::limit,
    ),
    rule(
        "scan-appends",
        "A scan appends to its buffer, and tells how many rows it appended",
        scans::appends,
    ),
    rule(
        "scan-many",
        "Scans of a table of thousands of rows, inserted and deleted in random order, give what must be there",
        scans::many,
    ),
    rule(
        "commit-ids",
        "Commits that wrote have commit IDs where these are declared; others never have",
        commits::given,
    ),
    rule(
        "commit-ids-rise",
        "Commit IDs rise in the order of commits, over all sessions",
        commits::rise,
    ),
    rule(
        "commit-ids-reopened",
        "Commit IDs go on rising when the database was closed and opened again",
        commits::reopened,
    ),
    rule(
        "commit-ids-last",
        "Of concurrent commits to a row the one with the greatest ID is the one that stays",
        threads::commit_ids_last,
    ),
    rule(
        "no-dirty-read",
        "From read-committed on nobody reads what is not committed",
        isolation::no_dirty_read,
    ),
    rule(
        "snapshot-stands",
        "From snapshot on a transaction reads one state, whatever others commit",
        isolation::snapshot_stands,
    ),
    rule(
        "no-lost-update",
        "From snapshot on, of two transactions that write a row that both read one fails, and may be retried",
        isolation::no_lost_update,
    ),
    rule(
        "no-write-skew",
        "At serializable two transactions do not both write what the other one read",
        isolation::no_write_skew,
    ),
    rule(
        "no-phantom",
        "At serializable two transactions do not both insert into a range that the other one scanned",
        isolation::no_phantom,
    ),
    rule(
        "rows-locked",
        "Where row locks are declared no read-modify-write with get_for_update is lost, at any level",
        isolation::rows_locked,
    ),
    rule(
        "concurrent-writers",
        "Where concurrent writers are declared two can be open and commit",
        isolation::concurrent_writers,
    ),
    rule(
        "busy",
        "Who waits for another transaction gets a retryable error after the busy timeout: busy, where there is one writer",
        isolation::busy,
    ),
    rule(
        "retry",
        "What failed with a retryable error succeeds when it is tried again with nobody else at work",
        isolation::retry,
    ),
    rule(
        "threads",
        "Sessions of several threads at once lose nothing that was committed",
        threads::threads,
    ),
    rule(
        "increments",
        "Threads that increment one row, and try again after retryable errors, lose no increment",
        threads::increments,
    ),
    rule(
        "reopened",
        "What was committed is there after closing and opening again, without a sync",
        persistence::reopened,
    ),
    rule(
        "reopened-many",
        "Thousands of rows in several lives of a database stay what they are",
        persistence::reopened_many,
    ),
    rule(
        "sync",
        "What was committed before a sync is in the files: a copy of the directory has it",
        persistence::sync,
    ),
    rule(
        "not-persistent",
        "An engine that keeps nothing refuses to sync as unsupported",
        persistence::not_persistent,
    ),
    rule(
        "checkpoint",
        "A checkpoint, where declared, changes no row, and is counted if checkpoints are; else it is unsupported",
        figures::checkpoint,
    ),
    rule(
        "verify",
        "The engine's own check finds nothing in a good database, where declared; else it is unsupported",
        figures::verify,
    ),
    rule(
        "counters",
        "Counters never fall, and what is once known stays known",
        figures::counters,
    ),
    rule(
        "commits-counted",
        "Commits that wrote are counted, each once, if commits are counted",
        figures::commits_counted,
    ),
    rule(
        "no-zero-for-unknown",
        "A figure that the engine does not know is missing, and not 0",
        figures::no_zero,
    ),
];

/// How long a check may take before it counts as hanging.
pub const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Checks every rule, in databases below `directory`, which is made, and left with what the checks have made.
pub fn check(factory: Arc<dyn TargetFactory>, directory: &Path) -> Report {
    check_rules(factory, directory, TIME_LIMIT, |_| true, |_| {})
}

/// Checks those rules that are `wanted`, each for `time_limit` at most, and tells each result when it is there.
pub fn check_rules(
    factory: Arc<dyn TargetFactory>,
    directory: &Path,
    time_limit: Duration,
    wanted: impl Fn(&Rule) -> bool,
    mut done: impl FnMut(&Checked),
) -> Report {
    let mut report = Report {
        engine: factory.name().to_owned(),
        version: factory.capabilities().version.clone(),
        rules: Vec::new(),
    };
    for rule in RULES.iter().filter(|rule| wanted(rule)) {
        let outcome = check_one(rule, Arc::clone(&factory), directory, time_limit);
        let checked = Checked {
            rule: rule.id.to_owned(),
            about: rule.about.to_owned(),
            outcome,
        };
        done(&checked);
        report.rules.push(checked);
    }
    report
}

fn check_one(
    rule: &'static Rule,
    factory: Arc<dyn TargetFactory>,
    directory: &Path,
    limit: Duration,
) -> Outcome {
    let steps = Steps::default();
    let bench = Bench::new(factory, directory.join(rule.id), steps.clone());
    let (sender, receiver) = channel();
    let thread = std::thread::Builder::new()
        .name(format!("conformance {}", rule.id))
        .spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| (rule.check)(&bench)));
            // Who waits may have given up.
            let _ = sender.send(result.map_err(|panic| message_of(panic.as_ref())));
        });
    let broken = |expected: &str, saw: String| Outcome::Broken {
        finding: Finding {
            did: steps.taken(),
            expected: expected.to_owned(),
            saw,
        },
    };
    if let Err(error) = thread {
        return broken("a thread to check on", format!("the system gives none: {error}"));
    }
    match receiver.recv_timeout(limit) {
        Ok(Ok(Ok(()))) => Outcome::Passed,
        Ok(Ok(Err(Stop::Broken(finding)))) => Outcome::Broken { finding },
        Ok(Ok(Err(Stop::DoesNotApply(why)))) => Outcome::DoesNotApply { why },
        Ok(Err(panic)) => broken("an answer or an error", format!("a panic: {panic}")),
        Err(RecvTimeoutError::Timeout) => broken(
            "an answer or an error",
            format!("nothing within {} s", limit.as_secs()),
        ),
        Err(RecvTimeoutError::Disconnected) => {
            broken("an answer or an error", "the thread is gone".to_owned())
        }
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "of unknown kind".to_owned())
}
