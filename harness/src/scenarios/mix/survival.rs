//! What a commit that is not synchronised survives: a process of the engine is killed, and what it had acknowledged is looked for.
//!
//! Under one name, `no-sync`, engines promise different things: some hand each commit to the kernel, which outlives the
//! process, and some keep it in the process for a while. So it is measured, for each engine of a run, before its first
//! repetition: a child commits rows and tells each acknowledgement, is killed (SIGKILL) at once when it has told enough of
//! them, and another child opens the database and counts what is there.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use reports::record::Survival;
use serde::{Deserialize, Serialize};
use workloads::driver::{Durability, Isolation, OpenOptions, TableRef, TargetError, TxOptions};

use super::Job;
use crate::child::directories::Directories;
use crate::child::interrupt::{Interrupt, requested};
use crate::child::process::{ChildProcess, Closed, follow_parent};
use crate::drivers::factory;
use crate::engine_options::EngineOptions;
use crate::error::{HarnessError, Result};

/// How often a process is killed.
const KILLS: u32 = 3;
/// Acknowledgements after which it is.
const ENOUGH: u64 = 100;
/// More than can be committed until it is.
const ROWS_MAX: usize = 1 << 24;
/// One that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a child of the probe has to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SurvivalJob {
    engine: String,
    options: EngineOptions,
    isolation: Isolation,
    #[serde(with = "crate::child::paths")]
    directory: PathBuf,
    /// Count the rows that are there, instead of committing some.
    look: bool,
}

/// A row that has been committed, or that was found.
type Row = u64;

/// Kills processes of an engine and counts what is missing. The inner error says why that was not possible.
///
/// # Errors
/// The harness's own trouble.
pub(super) fn survival(
    directories: &Directories,
    engine: &str,
    options: &EngineOptions,
    isolation: Isolation,
) -> Result<std::result::Result<Survival, String>> {
    let mut found = Survival::default();
    for kill in 1..=KILLS {
        let job = SurvivalJob {
            engine: engine.to_owned(),
            options: options.clone(),
            isolation,
            directory: directories.data.join(format!("{engine}-survival-{kill}")),
            look: false,
        };
        let told = match rows_of(directories, &job, ENOUGH)? {
            Ok(told) => told,
            Err(failure) => return Ok(Err(failure)),
        };
        let look = SurvivalJob {
            look: true,
            ..job.clone()
        };
        let there = match rows_of(directories, &look, u64::MAX)? {
            Ok(there) => there,
            Err(failure) => return Ok(Err(failure)),
        };
        directories.discard(&job.directory);
        found.kills += 1;
        found.acknowledged += told.len() as u64;
        found.missing += told.iter().filter(|row| !there.contains(row)).count() as u64;
    }
    Ok(Ok(found))
}

/// What a child tells, to its end or until it is killed because it has told enough.
fn rows_of(
    directories: &Directories,
    job: &SurvivalJob,
    enough: u64,
) -> Result<std::result::Result<Vec<Row>, String>> {
    if requested() != Interrupt::None {
        return Ok(Err("it was interrupted".to_owned()));
    }
    let file = directories.data.join("survival.job.json");
    let content = Job::Survive(job.clone());
    let mut child: ChildProcess<Row> = ChildProcess::start(&file, super::SCENARIO.name, &content)?;
    let mut told = Vec::new();
    let begun = Instant::now();
    // Why it was killed before it had told enough.
    let mut given_up = None;
    let mut killed = false;
    loop {
        match child.next_event(Duration::from_millis(50)) {
            // What it told before it died counts, also if it is read only now.
            Ok(Some(row)) => told.push(row),
            Ok(None) => {}
            Err(Closed) => break,
        }
        if killed {
            continue;
        }
        killed = told.len() as u64 >= enough;
        if requested() != Interrupt::None {
            given_up = Some("it was interrupted".to_owned());
        } else if begun.elapsed() > PATIENCE {
            given_up = Some(format!("it took longer than {} s", PATIENCE.as_secs()));
        }
        killed |= given_up.is_some();
        if killed {
            child.kill();
        }
    }
    let ended = child.wait()?;
    Ok(match (given_up, ended.failure()) {
        (Some(why), _) => Err(why),
        (None, Some(failure)) if !killed => Err(failure),
        _ => Ok(told),
    })
}

/// What such a child does.
///
/// # Errors
/// When the engine fails.
pub(super) fn work(job: &SurvivalJob) -> Result<()> {
    let done = if job.look { look(job) } else { commit(job) };
    done.map_err(|error| HarnessError::Run(error.to_string()))
}

fn commit(job: &SurvivalJob) -> Result<(), TargetError> {
    let factory = factory(&job.engine).map_err(|error| TargetError::fatal(error.to_string()))?;
    let stop = follow_parent();
    let mut options = OpenOptions::create(&job.directory, ["survival"]);
    options.durability = Durability::NoSync;
    job.options.apply(&mut options);
    let target = factory.open(&options)?;
    // What it begins from must be there.
    target.sync()?;
    let mut session = target.session()?;
    for row in 0..ROWS_MAX as Row {
        if stop.load(std::sync::atomic::Ordering::Relaxed) {
            break;
        }
        session.begin(&TxOptions::read_write(job.isolation, Durability::NoSync))?;
        session.put(TableRef(0), &Row::to_be_bytes(row), b"committed")?;
        session.commit()?;
        tell(row)?;
    }
    Ok(())
}

fn look(job: &SurvivalJob) -> Result<(), TargetError> {
    let factory = factory(&job.engine).map_err(|error| TargetError::fatal(error.to_string()))?;
    let mut options = OpenOptions::existing(&job.directory, ["survival"]);
    job.options.apply(&mut options);
    let target = factory.open(&options)?;
    let mut session = target.session()?;
    session.begin(&TxOptions::read_only(job.isolation, Durability::NoSync))?;
    let mut rows = workloads::driver::RowBuffer::new();
    session.scan(
        TableRef(0),
        b"",
        ROWS_MAX,
        workloads::driver::Direction::Forward,
        &mut rows,
    )?;
    session.rollback();
    for (key, _) in rows.iter() {
        let row = key
            .try_into()
            .map_err(|_| TargetError::fatal("a key that nobody wrote"))?;
        tell(Row::from_be_bytes(row))?;
    }
    Ok(())
}

fn tell(row: Row) -> Result<(), TargetError> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{row}")
        .and_then(|()| out.flush())
        .map_err(|error| TargetError::fatal(format!("cannot tell the parent: {error}")))
}
