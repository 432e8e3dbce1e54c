//! The parent's side of the processes of a round: a worker that dies, and a checker that stays.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use workloads::oracle::Journal;

use super::checker::{CheckAnswer, CheckRequest};
use super::worker::WorkerLine;
use super::{RecoveryJob, Role};
use crate::child::process::{ChildProcess, Closed};
use crate::error::{HarnessError, Result};
use crate::scenarios::findings::FindingKind;

/// A worker or checker that says nothing for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a due death is looked for.
const POLL: Duration = Duration::from_millis(1);

/// When a working process dies.
pub(crate) trait Cutoff {
    /// Whether it is to be killed now. `ready` is when it told that its work begins.
    ///
    /// # Errors
    /// The harness's own trouble.
    fn is_due(&mut self, ready: Option<Instant>) -> Result<bool>;

    /// It has been killed, but may not have ended yet.
    ///
    /// # Errors
    /// The harness's own trouble.
    fn killed(&mut self) -> Result<()> {
        Ok(())
    }
}

/// How a working process came to its end.
#[derive(Debug)]
pub(crate) struct Death {
    /// It got to its work.
    pub was_ready: bool,
    /// How it ended.
    pub end: End,
}

/// The end of a working process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was killed, as planned.
    Killed,
    /// It ended by itself, and well.
    Finished,
    /// Something was wrong.
    Failed(String),
}

impl End {
    /// What is wrong with the end of a process that was to work until it is killed.
    pub(crate) fn problem(&self) -> Option<String> {
        match self {
            End::Killed => None,
            End::Finished => Some(FindingKind::WorkFailed.with("it ended before it was killed")),
            End::Failed(what) => Some(FindingKind::WorkFailed.with(what)),
        }
    }
}

/// Starts a process, copies what it tells to `journal`, and kills it (SIGKILL) when `cutoff` says so.
///
/// # Errors
/// The harness's own trouble: files and processes.
pub(crate) fn work_and_kill(
    job: &RecoveryJob,
    role: Role,
    job_file: &Path,
    journal: &mut File,
    cutoff: &mut dyn Cutoff,
) -> Result<Death> {
    let mut worker: ChildProcess<WorkerLine> =
        ChildProcess::start(job_file, super::SCENARIO.name, &(job, role))?;
    let mut ready = None;
    let mut killed = false;
    let mut stuck = false;
    let mut heard = Instant::now();
    loop {
        match worker.next_event(POLL) {
            Ok(Some(line)) => {
                heard = Instant::now();
                match line {
                    WorkerLine::Ready => ready = Some(heard),
                    WorkerLine::Journal(line) => writeln!(journal, "{line}")
                        .map_err(|error| HarnessError::Run(format!("cannot write the journal: {error}")))?,
                }
            }
            Ok(None) => {}
            Err(Closed) => break,
        }
        if !killed {
            stuck = heard.elapsed() > PATIENCE;
            if cutoff.is_due(ready)? || stuck {
                worker.kill();
                killed = true;
                cutoff.killed()?;
            }
        }
    }
    let ended = worker.wait()?;
    let end = match ended.failure() {
        _ if stuck => End::Failed("it stood still".to_owned()),
        None => End::Finished,
        Some(failure) if ended.status.code().is_some() => End::Failed(failure),
        Some(_) => End::Killed,
    };
    Ok(Death {
        was_ready: ready.is_some(),
        end,
    })
}

/// The checking process, started when it is first needed.
#[derive(Debug)]
pub(crate) struct Checker {
    job: RecoveryJob,
    job_file: PathBuf,
    process: Option<ChildProcess<CheckAnswer>>,
}

impl Checker {
    /// A checker with its job file in `directory`.
    pub(crate) fn new(job: &RecoveryJob, directory: &Path) -> Self {
        Self {
            job: job.clone(),
            job_file: directory.join("checker.job.json"),
            process: None,
        }
    }

    /// Has a database compared with a journal. A checker that dies over it is a finding.
    ///
    /// # Errors
    /// The harness's own trouble.
    pub(crate) fn check(&mut self, request: &CheckRequest) -> Result<CheckAnswer> {
        let mut checker = match self.process.take() {
            Some(checker) => checker,
            None => ChildProcess::start(&self.job_file, super::SCENARIO.name, &(&self.job, Role::Check))?,
        };
        checker.tell(request)?;
        let begun = Instant::now();
        loop {
            match checker.next_event(Duration::from_millis(100)) {
                Ok(Some(answer)) => {
                    self.process = Some(checker);
                    return Ok(answer);
                }
                Ok(None) if begun.elapsed() < PATIENCE => {}
                outcome => {
                    checker.kill();
                    let ended = checker.wait()?;
                    let what = match outcome {
                        Err(Closed) => ended
                            .failure()
                            .unwrap_or_else(|| "it ended without an answer".into()),
                        Ok(_) => "it stood still".into(),
                    };
                    let finding =
                        FindingKind::CheckFailed.with(format_args!("opening and comparing: {what}"));
                    return Ok(CheckAnswer::unreadable(acknowledged(&request.journal)?, finding));
                }
            }
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// When the operating system cannot wait for it.
    pub(crate) fn close(self) -> Result<()> {
        self.process
            .map_or(Ok(()), |process| process.close_and_wait().map(drop))
    }
}

/// Acknowledged transactions in a journal.
fn acknowledged(path: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(path).map_err(|error| HarnessError::io("read", path, &error))?;
    let mut journal = Journal::new();
    journal
        .text(&text)
        .map_err(|error| HarnessError::Run(error.to_string()))?;
    Ok(journal.acknowledged())
}
