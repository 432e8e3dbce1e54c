//! Whether an engine kept its promises in a run: checked against what the workers remember.
//!
//! 1. While the run goes on, each worker fills its own [`ThreadLog`] (no sharing).
//! 2. After it, [`History::merge`] brings the logs together and [`State::scan`] reads the whole database.
//! 3. [`verify`] compares the two: every row that must exist is there with the value of its last committed writer, no other
//!    row is, nothing of a rolled-back attempt is anywhere, and no transaction read what it must not: nothing that was
//!    rolled back, or replaced before it began, and no range passed over a row that was certainly there, whatever the order
//!    of keys.
//! 4. After a crash, [`Journal`] makes a history of what the killed process had told before it died; then also
//!    transactions under way must be there wholly or not at all.
//!
//! What this does not check: whether concurrent transactions were as isolated as their level promises (beyond lost
//! updates and reads of what was never committed).

mod history;
mod journal;
mod log;
mod names;
mod partial;
mod ranges;
mod reads;
mod state;
mod violation;

use crate::driver::{Capabilities, Isolation, Target, TargetError};
use crate::stream::Plan;

pub use history::{Fate, History};
pub use journal::{CrashPromise, Journal, JournalEntry, JournalError};
pub use log::{LogOptions, LoggedWrite, Outcomes, ThreadLog, UncertainTransaction};
pub use state::{Held, State};
pub use violation::{Violation, ViolationKind, Violations};

/// What a verification looked at and what it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Committed transactions whose writes were compared with the final state.
    pub transactions: u64,
    /// Rows that the final scan returned.
    pub rows: u64,
    /// Values that were checked for damage when they were read, during the run.
    pub values_checked: u64,
    /// Reads that were compared with the writes of the run.
    pub reads_checked: u64,
    /// Ranges that were compared with the rows that must have been in them.
    pub ranges_checked: u64,
    /// Read-modify-writes that were compared with each other; `None` if the isolation level lets updates be lost.
    pub updates_checked: Option<u64>,
    /// All that is wrong.
    pub violations: Violations,
}

impl Verification {
    /// True if nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// One sentence for people: what was verified, or how much is wrong.
    pub fn statement(&self) -> String {
        if self.is_clean() {
            let updates = match self.updates_checked {
                Some(updates) => format!(", {updates} read-modify-writes compared"),
                None => String::new(),
            };
            format!(
                "verified: {} transactions against {} rows; {} values read were whole, {} as the writes of others allow, {} ranges without a gap{updates}",
                self.transactions, self.rows, self.values_checked, self.reads_checked, self.ranges_checked
            )
        } else {
            let counts: Vec<String> = self
                .violations
                .counts()
                .map(|(kind, count)| format!("{count} {kind}"))
                .collect();
            format!("VERIFICATION FAILED: {}", counts.join(", "))
        }
    }
}

/// True if an engine at this isolation level must not lose a read-modify-write.
pub fn must_keep_updates(capabilities: &Capabilities, isolation: Isolation) -> bool {
    capabilities.locks_rows || isolation >= Isolation::Snapshot
}

/// Scans the database and judges it and the run. `before` is what it held before the run
/// ([`State::loaded`] for a fresh one). Gives the state too, as what the next run starts from.
///
/// # Errors
/// If the engine fails while it is scanned; what it answers wrongly is in [`Verification::violations`].
pub fn verify(
    target: &dyn Target,
    plan: &Plan,
    before: &State,
    history: &History,
) -> Result<(Verification, State), TargetError> {
    let state = State::scan(target, plan)?;
    let compares_updates = must_keep_updates(target.capabilities(), plan.spec().isolation);
    Ok((judge(plan, before, history, &state, compares_updates), state))
}

/// As [`verify`], with the scan done already. `compares_updates` says whether lost updates are an error.
pub fn judge(
    plan: &Plan,
    before: &State,
    history: &History,
    state: &State,
    compares_updates: bool,
) -> Verification {
    let mut violations = state.violations().clone();
    violations.merge(judge_run(plan, before, history, compares_updates));
    violations.merge(history.judge(plan, before, state));
    Verification {
        transactions: history.outcomes().committed,
        rows: state.rows(),
        values_checked: history.values_checked(),
        reads_checked: history.reads_kept(),
        ranges_checked: history.ranges_kept(),
        updates_checked: compares_updates.then(|| history.updates_kept()),
        violations,
    }
}

/// What can be judged without the final state: what the threads noticed, and what they read. `compares_updates` says whether lost
/// updates are an error.
pub fn judge_run(plan: &Plan, before: &State, history: &History, compares_updates: bool) -> Violations {
    let mut violations = history.violations().clone();
    violations.merge(history.judge_reads(plan, before));
    violations.merge(history.judge_ranges(plan, before));
    if compares_updates {
        violations.merge(history.judge_updates());
    }
    violations
}
