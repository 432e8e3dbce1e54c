//! The scenario as the command line asks for it: scripts, random mixes, damage, planted faults; with `--deep` as many
//! random mixes as the time allows, and real processes that are killed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use engine::planted;
use engine::reach::Mechanism;
use reports::RunRecord;
use reports::record::{
    CrashFailure, CrashPhase, CrashScenario, CrashTest, DamageSweep, RandomMixes, Reached, Workload,
};
use workloads::spec::Overrides;

use super::SCENARIO;
use super::damage;
use super::explore::{Effort, Failure, Tally, explore, survival_text};
use super::faults::{self, FaultEffort, Swept};
use super::minimise::{Failing, failure_of, minimise};
use super::play::{Recording, record};
use super::prove::{find, looked_for};
use super::random::mix;
use super::replay;
use super::schedules;
use super::script::Script;
use super::scripts::{Scenario, scenarios};
use crate::child::directories::Directories;
use crate::child::interrupt::{Interrupt, requested};
use crate::child::progress::{Display, Progress};
use crate::error::{HarnessError, Result};
use crate::request::Request;
use crate::scenarios::machine::new_record;
use crate::scenarios::{Run as PreparedRun, recovery, save};

/// Random mixes without `--deep`.
const MIXES: u64 = 8;
/// Damages of each kind, for each scenario, without and with `--deep`.
const DAMAGES: (usize, usize) = (24, 1_000);
/// Places at which an operation fails, for each script, kind of operation and way to fail, without and with `--deep`.
const FAULT_PLACES: (u64, u64) = (3, 40);
/// How long `--deep` makes random mixes, and as long schedules, unless `--duration` says otherwise.
const DEEP: Duration = Duration::from_secs(600);
/// Rounds of killing real processes with `--deep`, unless `--rounds` says otherwise.
const KILLS: u32 = 3_000;
/// Seeds with which each planted fault must be found.
const SEEDS: u64 = 3;
/// How long a failing script is shortened.
const PATIENCE: Duration = Duration::from_secs(20);
/// Failures that are shortened and written down.
const FAILURES_MAX: usize = 10;
/// Most threads that recover and compare images.
const THREADS_MAX: u32 = 1024;
/// Seed without `--seed`.
const SEED: u64 = 1;

/// The scenario as requested.
///
/// # Errors
/// Usage: an engine that cannot be run on a simulated disk, or settings that need --deep.
pub(super) fn prepare(request: &Request) -> Result<PreparedRun> {
    check(request)?;
    let request = request.clone();
    Ok(Box::new(move |directories| run(directories, &request)))
}

/// Runs the scenario.
///
/// # Errors
/// Files that cannot be written, a script that fails without a crash.
fn run(directories: &Directories, request: &Request) -> Result<RunRecord> {
    let engine = request.one_engine(SCENARIO.name)?;
    let seed = request.seed.unwrap_or(SEED);
    let threads = request.threads.unwrap_or(2);
    let mut record = new_record(directories, workload(seed, request));
    let mut scenario = Run {
        effort: effort(request.deep, threads as usize),
        deep: request.deep,
        seed,
        out: directories.out.clone(),
        display: Display::new(),
        test: CrashTest {
            engine: engine.to_owned(),
            seed,
            threads,
            ..CrashTest::default()
        },
    };
    scenario.display.start("crash");
    let begun = Instant::now();
    let scripted = scenarios();
    let reached_before = engine::reach::counts();
    let random_for = request.deep.then(|| request.duration.unwrap_or(DEEP));
    // First what takes least. Each part is on disk when it ends.
    let mut save = |scenario: &mut Run| {
        scenario.test.duration_ns = begun.elapsed().as_nanos() as u64;
        record.crash = Some(scenario.test.clone());
        save(&record, directories);
    };
    scenario.faults(&scripted)?;
    save(&mut scenario);
    scenario.scripted(&scripted)?;
    save(&mut scenario);
    scenario.random(random_for)?;
    save(&mut scenario);
    scenario.schedules(random_for)?;
    save(&mut scenario);
    scenario.test.reach = reach(&reached_before);
    scenario.planted(&scripted)?;
    save(&mut scenario);
    if request.deep && requested() == Interrupt::None {
        let overrides = Overrides {
            seed: Some(seed),
            ..Overrides::default()
        };
        let subject = recovery::Subject::new(engine, &overrides)?;
        let how = recovery::Rounds {
            rounds: request.rounds.unwrap_or(KILLS),
            until: None,
            work_max: recovery::WORK_MAX,
        };
        record
            .recovery
            .push(recovery::rounds(&directories.data, &subject, &how)?);
    }
    let test = scenario.test;
    scenario.display.finish(&format!(
        "{} images, {} recoveries ({}/s), {} failures; planted faults found: {} of {}",
        units::count(test.images()),
        units::count(test.recoveries()),
        units::or_missing(test.recoveries_per_second(), |rate| units::count(rate as u64)),
        test.failure_count(),
        test.planted.iter().filter(|fault| fault.caught).count(),
        test.planted.len(),
    ));
    record.crash = Some(test);
    Ok(record)
}

/// What was gone through since the counters were these.
fn reach(before: &[u64]) -> Vec<Reached> {
    if !engine::reach::is_counted() || requested() != Interrupt::None {
        return Vec::new();
    }
    let counts = engine::reach::counts();
    let all = Mechanism::ALL.iter().zip(before.iter().zip(counts));
    all.map(|((mechanism, description), (before, count))| Reached {
        name: format!("{mechanism:?}"),
        description: (*description).to_owned(),
        count: count - before,
    })
    .collect()
}

fn check(request: &Request) -> Result<()> {
    let engine = request.one_engine(SCENARIO.name)?;
    if engine != "palimpsest" {
        return Err(HarnessError::Usage(format!(
            "crash runs an engine on a simulated disk inside this process, which only palimpsest can do; for {engine} use \
             --workload recovery (kill) or powerloss (a file system that loses power)"
        )));
    }
    if request
        .threads
        .is_some_and(|threads| !(1..=THREADS_MAX).contains(&threads))
    {
        return Err(HarnessError::Usage(format!(
            "--threads: the workload crash takes 1 to {THREADS_MAX}"
        )));
    }
    let refused = [
        ("--duration", request.duration.is_some()),
        ("--rounds", request.rounds.is_some()),
    ];
    match refused.iter().find(|(_, given)| *given && !request.deep) {
        Some((option, _)) => Err(HarnessError::Usage(format!(
            "{option} goes with the workload crash only together with --deep"
        ))),
        None => Ok(()),
    }
}

fn workload(seed: u64, request: &Request) -> Workload {
    Workload {
        name: "crash".into(),
        title: "Power loss between file operations, on a simulated disk".into(),
        description: "Scripted and random runs are recorded; power is lost after file operations all over them, with many \
                      choices of which unsynced changes survive, and every image is recovered and compared with what was \
                      promised."
            .into(),
        seed,
        overrides: request.settings(),
        ..Workload::default()
    }
}

fn effort(deep: bool, threads: usize) -> Effort {
    let quick = Effort {
        threads,
        ..Effort::QUICK
    };
    if !deep {
        return quick;
    }
    Effort {
        points: usize::MAX,
        choices: 32,
        spread: 16,
        deeper_points: 60,
        deeper_images: usize::MAX,
        recovery_points: usize::MAX,
        choices_deeper: 6,
        ..quick
    }
}

struct Run {
    effort: Effort,
    deep: bool,
    seed: u64,
    out: PathBuf,
    display: Display,
    test: CrashTest,
}

impl Run {
    fn is_stopped(&self) -> bool {
        requested() != Interrupt::None
    }

    fn scripted(&mut self, scripted: &[Scenario]) -> Result<()> {
        self.display
            .begin_phase("scripts", scripted.len() as u64, "scripts");
        let mut damage = DamageSweep::default();
        for (at, scenario) in scripted.iter().enumerate() {
            if self.is_stopped() {
                break;
            }
            let script = &scenario.script;
            let recording = match recorded(scenario, self.seed) {
                Ok(recording) => recording,
                Err(finding) => {
                    self.test.failures.push(CrashFailure {
                        scenario: script.name.clone(),
                        point: "the run itself".into(),
                        choice: "no crash".into(),
                        finding,
                        replay: None,
                        feature: None,
                    });
                    continue;
                }
            };
            let tally = explore(&recording, &script.settings, &self.effort, self.seed);
            let damages = if self.deep { DAMAGES.1 } else { DAMAGES.0 };
            let (sweep, miss) = damage::sweep(
                &recording,
                &script.settings,
                damages,
                self.effort.threads,
                self.seed,
            );
            add_damage(&mut damage, sweep);
            self.test.failures.extend(miss.map(|finding| CrashFailure {
                scenario: script.name.clone(),
                point: "at rest".into(),
                choice: "damage".into(),
                finding,
                replay: None,
                feature: None,
            }));
            self.test.scenarios.push(summary(script, &recording, &tally));
            self.take_failures(script, tally.failures)?;
            self.show(at as u64 + 1);
        }
        self.test.damage = Some(damage);
        Ok(())
    }

    /// A number of random mixes, or as many as the time allows.
    fn random(&mut self, duration: Option<Duration>) -> Result<()> {
        let total = duration.map_or(MIXES, |time| time.as_millis() as u64);
        self.display.begin_phase(
            "random mixes",
            total,
            if duration.is_some() { "ms" } else { "mixes" },
        );
        let begun = Instant::now();
        let mut found = RandomMixes::default();
        loop {
            let elapsed = begun.elapsed();
            let done = duration.map_or(found.mixes, |_| elapsed.as_millis() as u64);
            self.show(done);
            if done >= total || self.is_stopped() {
                break;
            }
            let script = mix(self.seed.wrapping_mul(1_000_003).wrapping_add(found.mixes));
            match super::check::quietly(|| record(&script, self.seed)) {
                Ok(recording) => {
                    let tally = explore(&recording, &script.settings, &self.effort, self.seed);
                    found.operations += recording.trace.operations.len() as u64;
                    found.images += tally.images;
                    found.recoveries += tally.recoveries;
                    found.failures += tally.failure_count;
                    self.take_failures(&script, tally.failures)?;
                }
                Err(_) => {
                    found.failures += 1;
                    let failure = failure_of(&script, &self.effort, self.seed);
                    self.take_failures(&script, failure.into_iter().collect())?;
                }
            }
            found.mixes += 1;
            found.duration_ns = begun.elapsed().as_nanos() as u64;
            self.test.random = Some(found.clone());
        }
        Ok(())
    }

    /// Controlled schedules, for as long as the random mixes took.
    fn schedules(&mut self, deep: Option<Duration>) -> Result<()> {
        if self.is_stopped() {
            return Ok(());
        }
        let asked = schedules::Asked {
            deep,
            seed: self.seed,
            threads: self.test.threads,
            out: &self.out,
        };
        let (found, failures) = schedules::run(&asked, &mut self.display)?;
        self.test.schedules = found;
        self.test.failures.extend(failures);
        Ok(())
    }

    fn faults(&mut self, scripted: &[Scenario]) -> Result<()> {
        self.display
            .begin_phase("failing operations", scripted.len() as u64, "scripts");
        let effort = FaultEffort {
            places: if self.deep { FAULT_PLACES.1 } else { FAULT_PLACES.0 },
            ways: if self.deep { usize::MAX } else { 1 },
            threads: self.effort.threads,
            first_only: false,
        };
        let mut swept = Swept::default();
        for (at, scenario) in scripted.iter().enumerate() {
            if self.is_stopped() {
                break;
            }
            // A large database takes half a minute.
            if self.deep || !scenario.script.is_large {
                faults::sweep_script(&scenario.script, &effort, self.seed, &mut swept)
                    .map_err(HarnessError::Verification)?;
            }
            self.show(at as u64 + 1);
        }
        self.test.faults = swept.sweeps;
        self.test.failures.extend(swept.failures);
        Ok(())
    }

    fn planted(&mut self, scripted: &[Scenario]) -> Result<()> {
        if !planted::are_possible() {
            crate::console::note(format_args!(
                "crash: planted faults are left out: they exist only in builds with debug assertions (plain `cargo run`)"
            ));
            return Ok(());
        }
        self.display
            .begin_phase("planted faults", looked_for().len() as u64, "faults");
        for (at, (fault, description)) in looked_for().enumerate() {
            if self.is_stopped() {
                break;
            }
            let seeds = self.seed..self.seed + SEEDS;
            let (found, _) = find(fault, description, scripted, &self.effort, seeds);
            self.test.planted.push(found);
            self.show(at as u64 + 1);
        }
        Ok(())
    }

    fn show(&mut self, done: u64) {
        let note = format!(
            "{} images, {} failures",
            units::count(self.test.images()),
            self.test.failure_count()
        );
        self.display.show(&Progress::Done { done, note });
    }

    /// Shortens failures, writes them down, and keeps them.
    fn take_failures(&mut self, script: &Script, failures: Vec<Failure>) -> Result<()> {
        for (at, failure) in failures.into_iter().enumerate() {
            if self.test.failures.len() >= FAILURES_MAX {
                return Ok(());
            }
            let failing = if at == 0 {
                minimise(script, failure, &self.effort, self.seed, PATIENCE)
            } else {
                Failing {
                    script: script.clone(),
                    failure,
                }
            };
            let path = self
                .out
                .join(format!("failure-{}.json", self.test.failures.len() + 1));
            replay::write(&path, &failing, self.seed)?;
            let Failure {
                losses,
                after,
                finding,
            } = failing.failure;
            self.test.failures.push(CrashFailure {
                scenario: script.name.clone(),
                point: losses.first().map_or_else(
                    || "the run itself".into(),
                    |loss| format!("after operation {}: {after}", loss.point),
                ),
                choice: losses
                    .iter()
                    .map(|loss| loss.survival.map_or_else(|| "kill".into(), survival_text::text))
                    .collect::<Vec<_>>()
                    .join(", then "),
                finding,
                replay: Some(path.display().to_string()),
                feature: None,
            });
        }
        Ok(())
    }
}

/// How often a script with threads is run until they have met as they are to: that is up to the machine.
const TRIES: usize = 20;

/// Runs a script, which must get where it is to get.
fn recorded(scenario: &Scenario, seed: u64) -> Result<Recording, String> {
    let tries = if scenario.script.has_threads() { TRIES } else { 1 };
    let mut missed = String::new();
    for _ in 0..tries {
        let recording =
            record(&scenario.script, seed).map_err(|what| format!("it failed without a crash: {what}"))?;
        match scenario.missed_goal(&recording) {
            None => return Ok(recording),
            Some(goal) => {
                let reached = &recording.ledger.reached;
                missed = format!("it did not get where it is to get: {goal:?} in {reached:?}");
            }
        }
    }
    Err(missed)
}

fn summary(script: &Script, recording: &Recording, tally: &Tally) -> CrashScenario {
    let phases = tally.phases.iter().map(|(name, phase)| CrashPhase {
        name: name.clone(),
        points: phase.points,
        images: phase.images,
        by_operation: phase
            .by_operation
            .iter()
            .map(|(operation, points)| ((*operation).to_owned(), *points))
            .collect(),
    });
    CrashScenario {
        name: script.name.clone(),
        title: script.title.clone(),
        commits: recording.ledger.reached.commits,
        operations: recording.trace.operations.len() as u64,
        phases: phases.collect(),
        images: tally.images,
        choices: tally.choices,
        recoveries: tally.recoveries,
        duration_ns: tally.duration.as_nanos() as u64,
        failures: tally.failure_count,
    }
}

fn add_damage(sum: &mut DamageSweep, sweep: DamageSweep) {
    sum.duration_ns += sweep.duration_ns;
    for block in sweep.blocks {
        match sum.blocks.iter_mut().find(|other| other.kind == block.kind) {
            Some(other) => {
                other.flips += block.flips;
                other.detected += block.detected;
                other.harmless += block.harmless;
                other.cut_off += block.cut_off;
                other.missed += block.missed;
            }
            None => sum.blocks.push(block),
        }
    }
}
