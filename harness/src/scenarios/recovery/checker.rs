//! The process that opens the database after a kill and compares it with the journal of the one that died.
//!
//! It lives through many rounds, because what one round leaves is what the next begins from. It gets one request for each
//! round over its standard input and answers on its standard output.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use workloads::driver::{Durability, ErrorKind, OpenMode};
use workloads::oracle::{CrashPromise, Journal, State, ViolationKind, Violations, judge};
use workloads::stream::Plan;

use super::{RecoveryJob, open_options};
use crate::child::progress::send;
use crate::drivers::factory;
use crate::error::{HarnessError, Result};
use crate::scenarios::findings::FindingKind;

/// Findings of one round that are told in words.
const FINDINGS_MAX: usize = 10;

/// What to check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CheckRequest {
    /// The journal of the process that was killed.
    #[serde(with = "crate::child::paths")]
    pub journal: PathBuf,
    /// Directory of the database.
    #[serde(with = "crate::child::paths")]
    pub directory: PathBuf,
    /// The database was made in this round: it began with the loaded rows.
    pub fresh: bool,
    /// The next round goes on from this database.
    pub goes_on: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct CheckAnswer {
    /// Acknowledged transactions in the journal.
    pub acknowledged: u64,
    /// Transactions of unknown end in the journal.
    pub uncertain: u64,
    /// The database could not be opened and read to its end.
    pub unreadable: bool,
    /// Rows of acknowledged transactions that are not there, or not as these left them.
    pub lost: u64,
    /// Transactions of unknown end of which only a part is there.
    pub partial: u64,
    /// Acknowledged transactions that are missing with leave (durability no-sync).
    pub missing_with_leave: u64,
    /// Everything that is wrong, in words.
    pub findings: Vec<String>,
    /// Rows that the database holds.
    pub rows: u64,
    /// Time from the call to the open database, in nanoseconds.
    pub open_ns: u64,
    /// Bytes of log that the open replayed, if the engine tells.
    pub redo_bytes: Option<u64>,
    /// How long that took, in nanoseconds.
    pub redo_ns: Option<u64>,
}

/// Answers requests until the parent closes the pipe.
///
/// # Errors
/// When a request or a journal cannot be read: the harness's own trouble.
pub(crate) fn serve(job: &RecoveryJob) -> Result<()> {
    let plan = Plan::new(job.spec.clone());
    let mut before = State::loaded(&plan);
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| HarnessError::Run(format!("cannot read a request: {error}")))?;
        let request: CheckRequest = serde_json::from_str(&line)
            .map_err(|error| HarnessError::Run(format!("malformed request: {error}")))?;
        if request.fresh {
            before = State::loaded(&plan);
        }
        let text = std::fs::read_to_string(&request.journal)
            .map_err(|error| HarnessError::io("read", &request.journal, &error))?;
        let mut journal = Journal::new();
        journal
            .text(&text)
            .map_err(|error| HarnessError::Run(error.to_string()))?;
        let acknowledged = journal.acknowledged();
        match check(job, &request.directory, &plan, &before, journal)? {
            Ok((answer, state)) => {
                if request.goes_on {
                    before = state;
                }
                send(&answer);
            }
            Err(finding) => send(&CheckAnswer::unreadable(acknowledged, finding)),
        }
    }
    Ok(())
}

impl CheckAnswer {
    /// Of a database of which nothing can be said but this.
    pub(crate) fn unreadable(acknowledged: u64, finding: String) -> Self {
        Self {
            acknowledged,
            unreadable: true,
            findings: vec![finding],
            ..Self::default()
        }
    }
}

/// What was found, or why the database could not be looked at.
type Checked = Result<(CheckAnswer, State), String>;

fn check(
    job: &RecoveryJob,
    directory: &Path,
    plan: &Plan,
    before: &State,
    journal: Journal,
) -> Result<Checked> {
    let factory = factory(&job.engine)?;
    let begun = Instant::now();
    let target = match factory.open(&open_options(directory, OpenMode::Existing, plan, &job.options)) {
        Ok(target) => target,
        Err(error) => return Ok(Err(FindingKind::NotOpened.with(error))),
    };
    let open_ns = begun.elapsed().as_nanos() as u64;
    let stats = target.stats();
    let mut findings = Vec::new();
    match target.verify() {
        Err(error) if error.kind() != ErrorKind::Unsupported => {
            findings.push(FindingKind::Structure.with(error))
        }
        _ => {}
    }
    let state = match State::scan(target.as_ref(), plan) {
        Ok(state) => state,
        Err(error) => return Ok(Err(FindingKind::NotRead.with(error))),
    };
    let (acknowledged, uncertain) = (journal.acknowledged(), journal.uncertain());
    let promise = match plan.spec().durability {
        Durability::Sync => CrashPromise::Acknowledged,
        Durability::NoSync | Durability::InMemory => CrashPromise::Prefix,
    };
    let (history, missing_with_leave) = journal
        .into_history(plan, promise, &state)
        .map_err(|error| HarnessError::Run(error.to_string()))?;
    let found = judge(plan, before, &history, &state, false);
    if !found.is_clean() {
        findings.push(found.statement());
        findings.extend(
            found
                .violations
                .examples()
                .iter()
                .take(FINDINGS_MAX)
                .map(|violation| violation.words(plan)),
        );
    }
    let answer = CheckAnswer {
        acknowledged,
        uncertain,
        unreadable: false,
        lost: lost(&found.violations),
        partial: found.violations.count(ViolationKind::PartialTransaction),
        missing_with_leave,
        findings,
        rows: found.rows,
        open_ns,
        redo_bytes: stats.redo_bytes,
        redo_ns: stats.redo_ns,
    };
    Ok(Ok((answer, state)))
}

/// Rows that do not hold what was acknowledged.
fn lost(violations: &Violations) -> u64 {
    [
        ViolationKind::LostWrite,
        ViolationKind::MissingRow,
        ViolationKind::ResurrectedRow,
    ]
    .into_iter()
    .map(|kind| violations.count(kind))
    .sum()
}
