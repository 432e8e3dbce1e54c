//! What crash testing on a simulated disk tried and found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::environment::quote;
use super::schedules::Schedules;

/// Crash tests of one engine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CrashTest {
    /// Engine name.
    pub engine: String,
    /// Seed of every choice.
    pub seed: u64,
    /// Threads that checked images.
    pub threads: u32,
    /// Scripted scenarios, in the order in which they ran.
    pub scenarios: Vec<CrashScenario>,
    /// Random mixes, if there were any.
    pub random: Option<RandomMixes>,
    /// Failing file operations.
    pub faults: Vec<FaultSweep>,
    /// Damage at rest.
    pub damage: Option<DamageSweep>,
    /// Bugs injected into the engine, to prove that the checks find them.
    #[serde(alias = "planted")]
    pub injected: Vec<InjectedBug>,
    /// Controlled schedules of the engine's threads, if they were asked for.
    pub schedules: Option<Schedules>,
    /// How often each mechanism of the engine was gone through; empty where that is not counted, or the run was cut short.
    pub reach: Vec<Reached>,
    /// What was wrong, up to a limit.
    pub failures: Vec<CrashFailure>,
    /// Duration of everything, in nanoseconds.
    pub duration_ns: u64,
}

/// Something that the engine does in some runs, and what the checks must go through to say anything about it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reached {
    /// Its name.
    pub name: String,
    /// What happens.
    pub description: String,
    /// How often it happened.
    pub count: u64,
}

/// A scripted scenario: power is lost at each of its file operations.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CrashScenario {
    /// Its name, for instance `split`.
    pub name: String,
    /// What it is about.
    pub title: String,
    /// Commits of its run.
    pub commits: u64,
    /// File operations of its run.
    pub operations: u64,
    /// Crash points by what the engine was doing.
    pub phases: Vec<CrashPhase>,
    /// Different images that were opened and checked.
    pub images: u64,
    /// Survival choices that were tried; several can give the same image.
    pub choices: u64,
    /// Openings of the database.
    pub recoveries: u64,
    /// Duration of the checks, in nanoseconds.
    pub duration_ns: u64,
    /// Images that were not as promised.
    pub failures: u64,
}

/// Crash points of one phase of the engine's work.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CrashPhase {
    /// For instance `commit`, `checkpoint`, `recovery`.
    pub name: String,
    /// Points at which power was lost.
    pub points: u64,
    /// Different images that were checked.
    pub images: u64,
    /// Points by the file operation just before.
    pub by_operation: BTreeMap<String, u64>,
}

/// Random mixes of steps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RandomMixes {
    /// Mixes run.
    pub mixes: u64,
    /// File operations of their runs.
    pub operations: u64,
    /// Different images that were opened and checked.
    pub images: u64,
    /// Openings of the database.
    pub recoveries: u64,
    /// Duration, in nanoseconds.
    pub duration_ns: u64,
    /// Images that were not as promised.
    pub failures: u64,
}

/// One kind of failing file operation, at every place where it can happen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FaultSweep {
    /// The operation: `read`, `write`, `sync`, ...
    pub kind: String,
    /// What it does: `error`, `short`, `disk full`, `failed sync: kept dirty`, ...
    pub effect: String,
    /// Every later operation of the kind fails too.
    pub lasting: bool,
    /// Runs, each with another operation failing.
    pub runs: u64,
    /// Operations that failed.
    pub struck: u64,
    /// Calls of the engine that answered with an error.
    pub refused: u64,
    /// Runs after which the database accepted no more commits.
    pub poisoned: u64,
    /// Openings afterwards, each compared with what was promised.
    pub reopened: u64,
    /// Runs that ended wrong.
    pub failures: u64,
    /// Duration, in nanoseconds.
    pub duration_ns: u64,
}

/// Damage of files at rest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DamageSweep {
    /// By kind of block.
    pub blocks: Vec<DamagedBlock>,
    /// Duration, in nanoseconds.
    pub duration_ns: u64,
}

/// Damage of one kind of block.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DamagedBlock {
    /// The kind of block and of damage.
    pub kind: String,
    /// Damages tried.
    pub flips: u64,
    /// Reported as corruption.
    pub detected: u64,
    /// Without effect: the contents were right all the same, from a second copy or because the bytes are not used.
    pub harmless: u64,
    /// The log's last flush was taken for one that had never been: nothing behind it tells. What was there before it is
    /// right.
    pub cut_off: u64,
    /// None of these: wrong contents, or a panic.
    pub missed: u64,
}

/// A fault injected in the engine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InjectedBug {
    /// Its name.
    pub name: String,
    /// What the engine does wrong.
    pub description: String,
    /// Whether the checks found it with every seed.
    pub caught: bool,
    /// Seeds with which it was looked for.
    pub seeds: u64,
    /// Seeds with which it was found.
    pub seeds_caught: u64,
    /// The check that found it first.
    pub check: Option<String>,
    /// The scenario that did.
    pub scenario: Option<String>,
    /// Images checked until then, with the seed that took the most.
    pub images: u64,
    /// Time of all seeds, in nanoseconds.
    pub duration_ns: u64,
    /// What was found.
    pub finding: Option<String>,
}

/// Something that a crash led to and must not.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CrashFailure {
    /// The scenario.
    pub scenario: String,
    /// Where power was lost.
    pub point: String,
    /// What survived.
    pub choice: String,
    /// What was wrong.
    pub finding: String,
    /// A file for `harness replay`.
    pub replay: Option<String>,
    /// Feature of the build that replaying it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
}

impl CrashScenario {
    /// Points at which power was lost.
    #[must_use]
    pub fn points(&self) -> u64 {
        total(self.phases.iter().map(|phase| phase.points))
    }

    /// Openings each second, checks included; `None` when there were none.
    #[must_use]
    pub fn recoveries_per_second(&self) -> Option<f64> {
        units::per_second(self.recoveries, self.duration_ns).filter(|_| self.recoveries > 0)
    }
}

impl RandomMixes {
    /// Openings each second, checks included; `None` when there were none.
    #[must_use]
    pub fn recoveries_per_second(&self) -> Option<f64> {
        units::per_second(self.recoveries, self.duration_ns).filter(|_| self.recoveries > 0)
    }
}

impl FaultSweep {
    /// Whether the operation fails once or for good, in words.
    #[must_use]
    pub fn how_long(&self) -> &'static str {
        if self.lasting { "from then on" } else { "once" }
    }
}

impl CrashFailure {
    /// The command that does it again, if it was kept.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        let file = self.replay.as_ref()?;
        let feature = self.feature.as_ref();
        let feature = feature.map_or_else(String::new, |feature| format!(" --features {}", quote(feature)));
        Some(format!("cargo run -p harness{feature} -- replay {}", quote(file)))
    }
}

fn total(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

impl CrashTest {
    /// Different images that were opened and checked.
    #[must_use]
    pub fn images(&self) -> u64 {
        let scripted = self.scenarios.iter().map(|scenario| scenario.images);
        total(scripted.chain(self.random.iter().map(|random| random.images)))
    }

    /// Images that were not as promised.
    #[must_use]
    pub fn images_lost(&self) -> u64 {
        let scripted = self.scenarios.iter().map(|scenario| scenario.failures);
        total(scripted.chain(self.random.iter().map(|random| random.failures)))
    }

    /// Points of the scripted scenarios at which power was lost.
    #[must_use]
    pub fn points(&self) -> u64 {
        total(self.scenarios.iter().map(CrashScenario::points))
    }

    /// The phases of all scenarios, those of one name put together, in order of first appearance.
    #[must_use]
    pub fn phases(&self) -> Vec<CrashPhase> {
        let mut phases: Vec<CrashPhase> = Vec::new();
        for phase in self.scenarios.iter().flat_map(|scenario| &scenario.phases) {
            let Some(sum) = phases.iter_mut().find(|sum| sum.name == phase.name) else {
                phases.push(phase.clone());
                continue;
            };
            sum.points = sum.points.saturating_add(phase.points);
            sum.images = sum.images.saturating_add(phase.images);
            for (operation, points) in &phase.by_operation {
                let sum = sum.by_operation.entry(operation.clone()).or_default();
                *sum = sum.saturating_add(*points);
            }
        }
        phases
    }

    /// Injected bugs that were found.
    #[must_use]
    pub fn injected_caught(&self) -> usize {
        self.injected.iter().filter(|fault| fault.caught).count()
    }

    /// Openings of the database in scenarios and mixes.
    #[must_use]
    pub fn recoveries(&self) -> u64 {
        let scripted = self.scenarios.iter().map(|scenario| scenario.recoveries);
        total(scripted.chain(self.random.iter().map(|random| random.recoveries)))
    }

    /// Openings each second, checks included; `None` when there were none.
    #[must_use]
    pub fn recoveries_per_second(&self) -> Option<f64> {
        let scripted = self.scenarios.iter().map(|scenario| scenario.duration_ns);
        let duration = total(scripted.chain(self.random.iter().map(|random| random.duration_ns)));
        units::per_second(self.recoveries(), duration).filter(|_| self.recoveries() > 0)
    }

    /// Images, runs and damages that ended wrong.
    #[must_use]
    pub fn failure_count(&self) -> u64 {
        let faults = self.faults.iter().map(|sweep| sweep.failures);
        let damage = self.damage.iter().flat_map(|damage| &damage.blocks);
        let missed = damage.map(|block| block.missed);
        let schedules = self.schedules.iter().map(|schedules| schedules.failures);
        let all = [self.images_lost()].into_iter().chain(faults);
        total(all.chain(missed).chain(schedules))
    }

    /// Whether nothing was lost, every injected bug was found, and every mechanism was reached.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failure_count() == 0
            && self.failures.is_empty()
            && self.injected.iter().all(|fault| fault.caught)
            && self.schedules.as_ref().is_none_or(Schedules::is_good)
            && self.unreached().next().is_none()
    }

    /// Mechanisms that were never gone through.
    pub fn unreached(&self) -> impl Iterator<Item = &str> {
        let never = self.reach.iter().filter(|reached| reached.count == 0);
        never.map(|reached| reached.name.as_str())
    }
}
