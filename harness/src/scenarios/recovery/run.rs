//! The parent's side: rounds of starting, killing and checking.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use reports::RunRecord;
use reports::record::{Recovery, Workload};
use workloads::spec::Spec;
use workloads::target::Durability;

use super::checker::{CheckAnswer, CheckRequest};
use super::worker::WorkerLine;
use super::{MIX, RecoveryJob, Role};
use crate::adapters::factory;
use crate::cli::args::RunArgs;
use crate::cli::run::one_engine;
use crate::cli::workload::{overrides, recorded_overrides};
use crate::error::{HarnessError, Result};
use crate::runner::directories::Directories;
use crate::runner::interrupt::{Interrupt, requested};
use crate::runner::process::{ChildProcess, Closed, write_json};
use crate::runner::progress::{Display, Progress};
use crate::runner::{Job, parent, warnings};

const ROUNDS: u32 = 20;
/// Longest work before a kill.
const WORK_MAX: Duration = Duration::from_millis(400);
/// Every so many rounds the database is a fresh one.
const FRESH_EVERY: u32 = 10;
/// After one of so many kills another process is killed while it recovers from the first.
const EARLY_EVERY: u32 = 4;
/// Longest time from the start of such a process to its death.
const EARLY_MAX: Duration = Duration::from_millis(40);
/// A worker or checker that says nothing for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// Findings kept in the record.
const FINDINGS_MAX: usize = 40;

/// Runs the scenario as the command line asks.
///
/// # Errors
/// Usage: options or engines that do not go with it. Run: files or processes that cannot be made.
pub(crate) fn run(directories: &Directories, args: &RunArgs) -> Result<RunRecord> {
    let engine = one_engine(&args.engine, "recovery")?;
    let spec = spec(engine, args)?;
    let workload = Workload {
        name: "recovery".into(),
        title: spec.title.clone(),
        description: spec.description.clone(),
        spec_toml: MIX.into(),
        seed: spec.seed,
        overrides: recorded_overrides(args),
    };
    let mut record = parent::new_record(directories, workload);
    let mut scenario = Scenario {
        directory: directories.data.clone(),
        job: RecoveryJob {
            engine: engine.to_owned(),
            spec_toml: spec.to_toml(),
            directory: directories.data.join("database"),
        },
        random: ChaCha8Rng::seed_from_u64(spec.seed),
        work_max: args.duration.unwrap_or(WORK_MAX),
        commit_ids: factory(engine)?.capabilities().commit_ids,
        checker: None,
        found: Recovery {
            engine: engine.to_owned(),
            rounds_planned: Some(u64::from(args.rounds.unwrap_or(ROUNDS))),
            ..Recovery::default()
        },
    };
    scenario.all_rounds(args.rounds.unwrap_or(ROUNDS))?;
    record.interrupted = requested() != Interrupt::None;
    record.recovery = Some(scenario.found);
    record.warnings = warnings::warnings(&record);
    Ok(record)
}

fn spec(engine: &str, args: &RunArgs) -> Result<Spec> {
    let refused = [
        ("--rate", args.rate.is_some(), "it runs as fast as it can"),
        ("--warmup", args.warmup.is_some(), "it has none"),
        (
            "--checkpoint-every",
            args.checkpoint_every.is_some(),
            "it decides that itself",
        ),
        ("--repeat", args.repeat.is_some(), "use --rounds"),
        (
            "--compression",
            args.compression.is_some(),
            "it takes the engine's default",
        ),
    ];
    if let Some((option, _, why)) = refused.iter().find(|(_, given, _)| *given) {
        return Err(HarnessError::Usage(format!(
            "{option} does not go with the workload recovery: {why}"
        )));
    }
    let usage = |error: workloads::spec::SpecError| HarnessError::Usage(error.to_string());
    let mut overrides = overrides(args)?;
    overrides.run = None;
    let spec = Spec::parse("recovery", "built-in recovery", MIX).map_err(usage)?;
    let spec = spec.with_overrides(&overrides).map_err(usage)?;
    let factory = factory(engine)?;
    let capabilities = factory.capabilities();
    if !capabilities.persistent {
        return Err(HarnessError::Usage(format!(
            "{engine} keeps nothing, so nothing of it can be recovered"
        )));
    }
    if let Some(refusal) = capabilities.refusal(spec.durability, spec.isolation) {
        return Err(HarnessError::Usage(refusal));
    }
    if spec.durability == Durability::NoSync && !capabilities.commit_ids {
        return Err(HarnessError::Usage(format!(
            "{engine} gives no commit IDs, without which the order of unsynchronised commits cannot be checked"
        )));
    }
    Ok(spec)
}

struct Scenario {
    directory: PathBuf,
    job: RecoveryJob,
    random: ChaCha8Rng,
    work_max: Duration,
    /// The engine gives commit IDs, so the journals of two processes can be judged together.
    commit_ids: bool,
    checker: Option<ChildProcess<CheckAnswer>>,
    found: Recovery,
}

impl Scenario {
    fn all_rounds(&mut self, rounds: u32) -> Result<()> {
        let mut display = Display::new();
        display.start(format!("recovery of {}", self.job.engine));
        display.begin_phase("kill and reopen", u64::from(rounds), "rounds");
        let mut since_fresh = 0;
        let mut loaded = false;
        for round in 0..rounds {
            if requested() != Interrupt::None {
                break;
            }
            if round % FRESH_EVERY == 0 || !loaded {
                since_fresh = 0;
                self.remove_database()?;
            }
            let fresh = since_fresh == 0;
            let journal = self.directory.join("round.journal");
            let mut file =
                File::create(&journal).map_err(|error| HarnessError::io("make", &journal, &error))?;
            loaded |= self.work_and_kill(
                round,
                Role::Work {
                    round: since_fresh,
                    fresh,
                },
                false,
                &mut file,
            )?;
            if loaded && self.commit_ids && self.random.random_range(0..EARLY_EVERY) == 0 {
                since_fresh += 1;
                self.work_and_kill(
                    round,
                    Role::Work {
                        round: since_fresh,
                        fresh: false,
                    },
                    true,
                    &mut file,
                )?;
            }
            drop(file);
            if !loaded {
                self.finding(round, "the first process never got to its work");
                break;
            }
            let answer = self.check(&CheckRequest {
                journal: journal.clone(),
                fresh,
            })?;
            if !self.take(round, &answer) {
                // What follows would only repeat what is wrong already.
                loaded = false;
            }
            std::fs::remove_file(&journal).map_err(|error| HarnessError::io("remove", &journal, &error))?;
            since_fresh += 1;
            let note = format!(
                "{} acknowledged, {} lost, {} partial",
                self.found.acknowledged, self.found.lost, self.found.partial
            );
            display.show(&Progress::Done {
                done: u64::from(round) + 1,
                note,
            });
        }
        if let Some(checker) = self.checker.take() {
            checker.close_and_wait()?;
        }
        let found = &self.found;
        display.finish(&format!(
            "{} rounds, {} acknowledged commits, {} lost, {} partial; redo {}/s",
            found.rounds,
            reports::units::count(found.acknowledged),
            found.lost,
            found.partial,
            reports::units::or_missing(found.redo_bytes_per_second(), |rate| reports::units::bytes(
                rate as u64
            )),
        ));
        Ok(())
    }

    fn remove_database(&self) -> Result<()> {
        let database = &self.job.directory;
        let removed = if database.is_dir() {
            std::fs::remove_dir_all(database)
        } else if database.exists() {
            std::fs::remove_file(database)
        } else {
            Ok(())
        };
        removed.map_err(|error| HarnessError::io("remove", database, &error))
    }

    /// Starts a worker, kills it, and keeps everything that it told; whether it got to its work. An `early` kill comes
    /// while it opens the database, which has to recover from the kill before.
    fn work_and_kill(&mut self, round: u32, role: Role, early: bool, journal: &mut File) -> Result<bool> {
        let job = Job::Recovery {
            job: self.job.clone(),
            role,
        };
        let path = write_json(self.directory.join("worker.job.json"), &job)?;
        let work = self.work_max.mul_f64(self.random.random::<f64>());
        let mut worker: ChildProcess<WorkerLine> = ChildProcess::start(&path)?;
        let begun = Instant::now();
        let mut kill_at = early.then(|| begun + EARLY_MAX.mul_f64(self.random.random::<f64>()));
        let mut was_ready = false;
        let mut killed = false;
        let mut heard = begun;
        loop {
            match worker.next_event(Duration::from_millis(1)) {
                Ok(Some(line)) => {
                    heard = Instant::now();
                    match line {
                        WorkerLine::Ready => {
                            was_ready = true;
                            kill_at = kill_at.or_else(|| Some(Instant::now() + work));
                        }
                        WorkerLine::Journal(line) => {
                            writeln!(journal, "{line}").map_err(|error| {
                                HarnessError::Run(format!("cannot write the journal: {error}"))
                            })?;
                        }
                    }
                }
                Ok(None) => {}
                Err(Closed) => break,
            }
            let stuck = heard.elapsed() > PATIENCE;
            if !killed && (stuck || kill_at.is_some_and(|at| Instant::now() >= at)) {
                worker.kill();
                killed = true;
                if stuck {
                    self.finding(round, "the working process was stuck");
                }
            }
        }
        let ended = worker.wait()?;
        if !killed || ended.status.code().is_some() {
            let failure = ended.failure();
            self.finding(
                round,
                failure
                    .as_deref()
                    .unwrap_or("the working process ended before it was killed"),
            );
        }
        Ok(was_ready)
    }

    /// Has the checker compare the database with a journal.
    fn check(&mut self, request: &CheckRequest) -> Result<CheckAnswer> {
        let mut checker = match self.checker.take() {
            Some(checker) => checker,
            None => {
                let job = Job::Recovery {
                    job: self.job.clone(),
                    role: Role::Check,
                };
                ChildProcess::start(&write_json(self.directory.join("checker.job.json"), &job)?)?
            }
        };
        checker.tell(request)?;
        let begun = Instant::now();
        loop {
            match checker.next_event(Duration::from_millis(100)) {
                Ok(Some(answer)) => {
                    self.checker = Some(checker);
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
                        Ok(_) => "it was stuck".into(),
                    };
                    return Ok(CheckAnswer {
                        findings: vec![format!("opening and checking after the kill: {what}")],
                        ..CheckAnswer::default()
                    });
                }
            }
        }
    }

    /// Adds a round's answer; `false` when the database is no good to go on with.
    fn take(&mut self, round: u32, answer: &CheckAnswer) -> bool {
        let found = &mut self.found;
        found.rounds += 1;
        found.acknowledged += answer.acknowledged;
        found.lost += answer.lost;
        found.partial += answer.partial;
        if answer.redo_bytes.is_some() && answer.redo_ns.is_some() {
            found.redo_bytes = Some(found.redo_bytes.unwrap_or(0) + answer.redo_bytes.unwrap_or(0));
            found.redo_duration_ns = Some(found.redo_duration_ns.unwrap_or(0) + answer.redo_ns.unwrap_or(0));
        }
        if answer.open_ns > 0 {
            found.open_duration_ns.push(answer.open_ns);
        }
        for finding in &answer.findings {
            self.finding(round, finding);
        }
        answer.findings.is_empty()
    }

    fn finding(&mut self, round: u32, what: &str) {
        if self.found.findings.len() < FINDINGS_MAX {
            self.found.findings.push(format!("round {}: {what}", round + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_mix_is_a_good_specification() {
        let spec = Spec::parse("recovery", "built-in recovery", MIX).unwrap();
        assert_eq!(spec.durability, Durability::Sync);
        assert!(!spec.is_read_only());
    }
}
