//! All that is tried, one part after another: failing operations, scripts with power losses and damage, random mixes,
//! schedules, and the proof on injected bugs. What goes wrong is handed over as it is found; the rest is in [`Found`].

use std::time::{Duration, Instant};

use engine::injected;
use engine::reach::{self, Mechanism};

use super::check::quietly;
use super::damage::{self, Damaged};
use super::effort::Effort;
use super::explore::{Tally, explore};
use super::faults;
use super::minimise::{Failing, failure_of};
use super::play::{Recording, record};
use super::prove::{Proof, find, looked_for};
use super::random::mix;
use super::schedules;
use super::script::Script;
use super::scripts::Scenario;
use super::watch::{Progress, Watch};
use crate::error::{HarnessError, Result};

/// Random mixes when not deep.
const MIXES: u64 = 8;
/// Damages of each kind, for each scenario, when not deep and when deep.
const DAMAGES: (usize, usize) = (24, 1_000);
/// Places at which an operation fails, for each script and kind of operation, and ways to fail at each, when not deep and
/// when deep.
const PLACES_AND_WAYS: ((u64, usize), (u64, usize)) = ((3, 1), (40, usize::MAX));
/// Seeds with which each injected bug must be found.
const SEEDS: u64 = 3;
/// How often a script with threads is run until they have met as they are to: that is up to the machine.
const TRIES: usize = 20;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub seed: u64,
    /// Threads that check.
    pub threads: u32,
    /// Much more of everything, with so much time for random mixes and as much for schedules.
    pub deep: Option<Duration>,
}

/// Something that went wrong.
#[derive(Clone, Debug)]
pub(crate) enum Wrong {
    /// A script without a power loss, or with damage of what it leaves.
    Script {
        script: String,
        is_damaged: bool,
        finding: String,
    },
    /// A run in which an operation failed.
    Fault(faults::Run),
    /// What a power loss led to.
    Power(Failing),
    /// A schedule of threads, with the fault that was injected.
    #[cfg_attr(
        not(feature = "schedules"),
        expect(dead_code, reason = "only builds with schedules have any")
    )]
    Schedule {
        seed: u64,
        injected: Option<String>,
        finding: String,
    },
}

/// Who takes what goes wrong.
pub(crate) type Keep<'k> = dyn FnMut(Wrong) -> Result<()> + 'k;

/// Name and description of a mechanism, and how often it was gone through.
pub(crate) type Reach = (String, &'static str, u64);

/// What was tried and found.
#[derive(Default)]
pub(crate) struct Found<'a> {
    pub faults: Vec<faults::Run>,
    pub scripts: Vec<(&'a Script, Tally)>,
    /// Of each script.
    pub damage: Option<Vec<Damaged>>,
    /// How many, and what all of them came to.
    pub mixes: Option<(u64, Tally)>,
    pub schedules: Option<schedules::Found>,
    /// Without what injected bugs lead to; none in a build that does not count, and when it was over before.
    pub reach: Vec<Reach>,
    pub injected: Vec<Proof>,
}

/// The search.
pub(crate) struct Search<'a> {
    asked: Asked,
    effort: Effort,
    scripted: &'a [Scenario],
    watch: Watch<'a>,
    reached_before: Vec<u64>,
    pub found: Found<'a>,
}

impl Asked {
    /// One of two, by whether it is deep.
    fn either<T>(&self, (quick, deep): (T, T)) -> T {
        if self.deep.is_some() { deep } else { quick }
    }

    pub(crate) fn effort(&self, watch: Watch<'_>) -> Effort {
        Effort {
            threads: self.threads as usize,
            is_over: watch.is_over,
            ..self.either((Effort::QUICK, Effort::DEEP))
        }
    }
}

/// A part of the search. Those of `keep` are its errors, and a script that fails without anything done to it.
type Part<'a> = fn(&mut Search<'a>, &mut Keep<'_>) -> Result<()>;

impl<'a> Search<'a> {
    /// Its parts: what takes least comes first.
    pub(crate) const PARTS: [Part<'a>; 5] = [
        Self::faults,
        Self::scripts,
        Self::mixes,
        Self::schedules,
        Self::injected,
    ];

    pub(crate) fn new(asked: Asked, scripted: &'a [Scenario], watch: Watch<'a>) -> Self {
        Self {
            asked,
            effort: asked.effort(watch),
            scripted,
            watch,
            reached_before: reach::counts().to_vec(),
            found: Found::default(),
        }
    }

    fn faults(&mut self, keep: &mut Keep<'_>) -> Result<()> {
        self.watch
            .phase("failing operations", self.scripted.len() as u64, "scripts");
        let (effort, seed, amount) = (self.effort, self.asked.seed, self.asked.either(PLACES_AND_WAYS));
        for (at, scenario) in self.scripted.iter().enumerate() {
            if (self.watch.is_over)() {
                break;
            }
            let (script, before) = (&scenario.script, self.found.faults.len());
            // A large database takes half a minute.
            if self.asked.either((!script.is_large, true)) {
                faults::sweep_script(script, amount, &effort, seed, &mut self.found.faults)
                    .map_err(HarnessError::Verification)?;
            }
            let new = self.found.faults[before..].iter();
            for run in new.filter(|run| run.outcome.is_err()) {
                keep(Wrong::Fault(run.clone()))?;
            }
            let runs = &self.found.faults;
            let failures = runs.iter().filter(|run| run.outcome.is_err()).count();
            self.show(
                at as u64 + 1,
                (runs.len(), "runs with a failing operation"),
                failures,
            );
        }
        Ok(())
    }

    fn scripts(&mut self, keep: &mut Keep<'_>) -> Result<()> {
        self.watch.phase("scripts", self.scripted.len() as u64, "scripts");
        let seed = self.asked.seed;
        let mut damage = Vec::new();
        for (at, scenario) in self.scripted.iter().enumerate() {
            if (self.watch.is_over)() {
                break;
            }
            let Scenario { script, .. } = scenario;
            let mut wrong = |is_damaged, finding| {
                let script = script.name.clone();
                keep(Wrong::Script {
                    script,
                    is_damaged,
                    finding,
                })
            };
            match recorded(scenario, seed) {
                Ok(recording) => {
                    let tally = explore(&recording, &script.settings, &self.effort, seed);
                    let damages = self.asked.either(DAMAGES);
                    match damage::sweep(&recording, &script.settings, damages, &self.effort, seed) {
                        Ok(damaged) => {
                            let miss = damaged.misses().next().cloned();
                            miss.map_or(Ok(()), |finding| wrong(true, finding))?;
                            damage.push(damaged);
                        }
                        Err(finding) => wrong(true, finding)?,
                    }
                    power(script, &tally, keep)?;
                    self.found.scripts.push((script, tally));
                }
                Err(finding) => wrong(false, finding)?,
            }
            self.show_images(at as u64 + 1, self.found.scripts.iter().map(|(_, tally)| tally));
        }
        self.found.damage = Some(damage);
        Ok(())
    }

    /// A number of random mixes, or as many as the time allows.
    fn mixes(&mut self, keep: &mut Keep<'_>) -> Result<()> {
        let (total, unit) = match self.asked.deep {
            Some(time) => (time.as_millis() as u64, "ms"),
            None => (MIXES, "mixes"),
        };
        self.watch.phase("random mixes", total, unit);
        let (begun, seed) = (Instant::now(), self.asked.seed);
        for number in 0.. {
            let elapsed = begun.elapsed().as_millis() as u64;
            let done = total.min(self.asked.either((number, elapsed)));
            self.show_images(done, self.found.mixes.iter().map(|(_, tally)| tally));
            if done == total || (self.watch.is_over)() {
                break;
            }
            let script = mix(seed.wrapping_mul(1_000_003).wrapping_add(number));
            let tally = match quietly(|| record(&script, seed)) {
                Ok(recording) => explore(&recording, &script.settings, &self.effort, seed),
                Err(_) => Tally {
                    failures: failure_of(&script, &self.effort, seed).into_iter().collect(),
                    failure_count: 1,
                    ..Tally::default()
                },
            };
            power(&script, &tally, keep)?;
            let (mixes, sum) = self.found.mixes.get_or_insert_default();
            *mixes += 1;
            sum.merge(tally);
            sum.duration = begun.elapsed();
        }
        Ok(())
    }

    /// Controlled schedules, for as long as the random mixes took.
    fn schedules(&mut self, keep: &mut Keep<'_>) -> Result<()> {
        if (self.watch.is_over)() {
            return Ok(());
        }
        self.found.schedules = schedules::run(&self.asked, self.watch, keep)?;
        if reach::is_counted() && !(self.watch.is_over)() {
            let before = self.reached_before.iter();
            let all = Mechanism::ALL.iter().zip(before.zip(reach::counts()));
            self.found.reach = all
                .map(|((mechanism, what), (before, count))| (format!("{mechanism:?}"), *what, count - before))
                .collect();
        }
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is one of the parts")]
    fn injected(&mut self, _: &mut Keep<'_>) -> Result<()> {
        if !injected::are_possible() {
            (self.watch.tell)(Progress::LeftOut(
                "injected bugs are left out: they exist only in builds with debug assertions (plain `cargo run`)",
            ));
            return Ok(());
        }
        self.watch
            .phase("injected bugs", looked_for().len() as u64, "faults");
        for (at, (fault, description)) in looked_for().enumerate() {
            if (self.watch.is_over)() {
                break;
            }
            let seeds = self.asked.seed..self.asked.seed + SEEDS;
            let proof = find(fault, description, self.scripted, &self.effort, seeds);
            // One that was cut short before it came to anything is none.
            if !proof.searches.is_empty() {
                self.found.injected.push(proof);
            }
            let proofs = &self.found.injected;
            let found = proofs.iter().filter(|proof| proof.is_complete()).count();
            self.watch.done(at as u64 + 1, &[(found as f64, "found")]);
        }
        Ok(())
    }

    /// Tells how far a part is, with what this part alone has found.
    fn show(&self, done: u64, tried: (usize, &'static str), failures: usize) {
        let found = [(tried.0 as f64, tried.1), (failures as f64, "failures")];
        self.watch.done(done, &found);
    }

    fn show_images<'t>(&self, done: u64, tallies: impl Iterator<Item = &'t Tally>) {
        let (images, failures) = tallies.fold((0, 0), |(images, failures), tally| {
            (images + tally.images, failures + tally.failure_count)
        });
        self.show(done, (images as usize, "images"), failures as usize);
    }
}

/// Hands over what power losses of a script led to.
fn power(script: &Script, tally: &Tally, keep: &mut Keep<'_>) -> Result<()> {
    tally.failures.iter().cloned().try_for_each(|failure| {
        let script = script.clone();
        keep(Wrong::Power(Failing { script, failure }))
    })
}

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
