//! The process that will be killed: it opens the database, and commits until it dies, telling every step before and
//! after over its standard output.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use workloads::driver::{OpenMode, Target, TargetError, TxOptions};
use workloads::executor::Executor;
use workloads::keys::Frontier;
use workloads::load::{Loader, batches};
use workloads::oracle::{JournalEntry, LogOptions};
use workloads::stream::{Plan, StreamOptions};

use super::{RecoveryJob, open_options};
use crate::drivers::factory;
use crate::error::{HarnessError, Result};

/// Rows of one transaction of the load.
const BATCH: u64 = 500;

/// One line of its standard output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WorkerLine {
    /// The database is open and loaded; work begins.
    Ready,
    /// A line of the journal.
    Journal(String),
}

/// How to work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// The round, counted from the last fresh database.
    pub round: u32,
    /// New or existing.
    pub mode: OpenMode,
    /// A checkpoint is asked for whenever so much time has passed.
    pub checkpoint_every: Option<Duration>,
    /// Time since the first round began.
    pub clock: Duration,
}

/// Opens the database and closes it.
///
/// # Errors
/// When the engine fails: that is a finding.
pub(crate) fn open_and_close(job: &RecoveryJob) -> Result<()> {
    let factory = factory(&job.engine)?;
    let plan = Plan::new(job.spec.clone());
    let options = open_options(&job.directory, OpenMode::Existing, &plan, &job.options);
    let opened = factory.open(&options).map(drop);
    opened.map_err(|error| HarnessError::Run(error.context("open").to_string()))
}

/// Works until it is killed or told to stop.
///
/// # Errors
/// When the engine fails: that is a finding.
pub(crate) fn work(job: &RecoveryJob, how: Work, stop: &AtomicBool) -> Result<()> {
    // A little late, never early: every process that told something before has died before this one was started.
    let origin = Instant::now()
        .checked_sub(how.clock)
        .ok_or_else(|| HarnessError::Run("the clock does not reach back to the first round".into()))?;
    let factory = factory(&job.engine)?;
    let plan = Arc::new(Plan::new(job.spec.clone()));
    let failed =
        |doing: &'static str| move |error: TargetError| HarnessError::Run(error.context(doing).to_string());
    let target = factory
        .open(&open_options(&job.directory, how.mode, &plan, &job.options))
        .map_err(failed("open"))?;
    if how.mode == OpenMode::Create {
        load(target.as_ref(), &plan).map_err(failed("load"))?;
    }
    let threads = plan.spec().threads;
    let frontier = Arc::new(Frontier::new(plan.tables().len(), threads));
    // A line must not be cut by another thread's.
    let out = Arc::new(Mutex::new(std::io::stdout()));
    write_line(&out, &WorkerLine::Ready)
        .map_err(|error| HarnessError::Run(format!("cannot tell the parent: {error}")))?;
    let begin = Barrier::new(usize::from(threads));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (plan, frontier, out) = (Arc::clone(&plan), Arc::clone(&frontier), Arc::clone(&out));
                let (target, begin) = (target.as_ref(), &begin);
                scope.spawn(move || {
                    let options = StreamOptions::of_round(thread, how.round);
                    // The journal is the memory here; the worker's own log stays small.
                    let log = LogOptions {
                        read_check_interval: 0,
                        update_row_interval: 0,
                        ..LogOptions::default()
                    };
                    let mut executor = Executor::new(plan, frontier, options, log, origin);
                    executor.set_journal(Box::new(move |entry: &JournalEntry| {
                        write_line(&out, &WorkerLine::Journal(entry.to_string()))
                    }));
                    let session = target.session();
                    begin.wait();
                    let mut session = session?;
                    while !stop.load(Ordering::Relaxed) {
                        executor.next();
                        while let Err(error) = executor.attempt(session.as_mut()) {
                            if !error.is_retryable() {
                                return Err(error);
                            }
                            if stop.load(Ordering::Relaxed) {
                                break;
                            }
                            std::thread::yield_now();
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        if let Some(every) = how.checkpoint_every.filter(|_| target.capabilities().checkpoint) {
            ask_for_checkpoints(target.as_ref(), every, stop).map_err(failed("checkpoint"))?;
        }
        for worker in workers {
            let ended = worker
                .join()
                .map_err(|_| HarnessError::Run("a worker thread panicked".into()))?;
            ended.map_err(failed("work"))?;
        }
        Ok(())
    })
}

fn ask_for_checkpoints(target: &dyn Target, every: Duration, stop: &AtomicBool) -> Result<(), TargetError> {
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(every);
        match target.checkpoint() {
            Err(error) if !error.is_retryable() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn write_line(out: &Mutex<std::io::Stdout>, line: &WorkerLine) -> std::io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn load(target: &dyn Target, plan: &Plan) -> Result<(), TargetError> {
    let spec = plan.spec();
    let options = TxOptions::read_write(spec.isolation, spec.durability);
    let mut session = target.session()?;
    let mut loader = Loader::new();
    for (table, rows) in batches(plan, BATCH) {
        loader.batch(session.as_mut(), plan, table, rows, &options)?;
    }
    drop(session);
    // Whatever durability the work has: what it begins from must be there.
    target.sync()
}
