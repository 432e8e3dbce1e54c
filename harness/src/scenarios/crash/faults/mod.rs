//! Failing file operations: operations of each script fail, in each way that a device or file system can fail them, alone
//! or with all that follow; and disks of sizes that are too small.
//!
//! 1. A run without faults counts the operations of each kind ([`one::run`] with a fault that never strikes), also those
//!    of each checkpoint.
//! 2. Of each kind, operations in the first, the middle and the last part of the script and of each of its checkpoints
//!    fail ([`places`]), each in one of the ways ([`ways`]) in turn, or in all of them; what the engine must do then is told
//!    in [`one`].
//! 3. The same at opening, after the process was killed at the end of the script and the machine went on: recovery finds
//!    what is not durable yet, while its `n`-th operation fails.

mod one;
#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use engine::vfs::simulated::{Effect, FailedSync, Fault, OperationKind};

use super::check::quietly;
use super::effort::Effort;
use super::script::Script;
use super::start::{Start, start, start_after};
use super::workers::each;
use one::Extent;
pub(crate) use one::Outcome;

/// A run that takes longer than this does not come back.
const HANGS_AFTER: Duration = Duration::from_secs(60);
/// Room on the disk grows by this much from run to run, in bytes.
const CAPACITY_STEP: u64 = 2048;

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Injection {
    /// An operation.
    Operation(Fault),
    /// Everything that needs more room than there was at the start and this many bytes.
    Room(u64),
}

/// A script, where it starts, and the operations that it comes to.
struct Target {
    script: Script,
    start: Start,
    is_opening: bool,
    plain: Extent,
}

/// A run with something that fails.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The script.
    pub script: String,
    /// Whether it is what comes after the script, opening the database.
    pub is_opening: bool,
    pub injection: Injection,
    /// How it went, or what went wrong.
    pub outcome: Result<Outcome, String>,
    pub duration: Duration,
}

/// Sweeps over one script, and over opening what a process leaves that is killed after it, until it is over. An operation of
/// a kind fails at so many places in each script and each checkpoint, and in so many ways at each.
///
/// # Errors
/// A script that fails without faults.
pub(crate) fn sweep_script(
    script: &Script,
    places_and_ways: (u64, usize),
    effort: &Effort,
    seed: u64,
    runs: &mut Vec<Run>,
) -> Result<(), String> {
    let told = |what: String| format!("{}: {what}", script.name);
    let opening = Script {
        steps: Vec::new(),
        ..script.clone()
    };
    let targets = [
        (script.clone(), start(script, seed).map_err(told)?, false),
        (opening, start_after(script, seed).map_err(told)?, true),
    ];
    for (script, start, is_opening) in targets {
        let mut target = Target {
            script,
            start,
            is_opening,
            plain: Extent::default(),
        };
        let never = Injection::Operation(Fault {
            kind: OperationKind::Read,
            nth: u64::MAX,
            lasting: false,
            effect: Effect::Error(ErrorKind::Other),
        });
        (_, target.plain) = one::run(&target.script, &target.start, never, seed).map_err(told)?;
        let injections = injections(&target, places_and_ways, seed);
        runs.extend(sweep_target(&Arc::new(target), &injections, effort, seed));
        let is_found = effort.first_only && runs.iter().any(|run| run.outcome.is_err());
        if is_found || (effort.is_over)() {
            break;
        }
    }
    Ok(())
}

/// What is made to fail.
fn injections(target: &Target, (most_places, most_ways): (u64, usize), seed: u64) -> Vec<Injection> {
    let mut runs = Vec::new();
    let whole = [([0; OperationKind::ALL.len()], target.plain.counts)];
    for (part, (from, to)) in whole.iter().chain(&target.plain.checkpoints).enumerate() {
        for kind in OperationKind::ALL {
            let mut hasher = DefaultHasher::new();
            (seed, &target.script.name, target.is_opening, kind, part).hash(&mut hasher);
            let drawn = hasher.finish();
            let (first, end) = (from[kind as usize], to[kind as usize]);
            let ways = ways(kind);
            // Checkpoints are many: one place of each kind in each, but another one in each.
            let most = if part == 0 {
                most_places
            } else {
                most_places.div_ceil(3)
            };
            for (at, nth) in places(end - first, most, drawn).enumerate() {
                for way in 0..most_ways.min(ways.len()) {
                    let (effect, lasting) = ways[(drawn as usize / 7 + at + way) % ways.len()];
                    runs.push(Injection::Operation(Fault {
                        kind,
                        nth: first + nth,
                        lasting,
                        effect,
                    }));
                }
            }
        }
    }
    let steps = target.plain.grown / CAPACITY_STEP + 1;
    runs.extend(places(steps, 3 * most_places, seed).map(|at| Injection::Room(at * CAPACITY_STEP)));
    runs
}

fn sweep_target(target: &Arc<Target>, injections: &[Injection], effort: &Effort, seed: u64) -> Vec<Run> {
    let is_found = AtomicBool::new(false);
    let is_over = || effort.first_only && is_found.load(Ordering::Relaxed) || (effort.is_over)();
    let work = |at: usize, &injection: &Injection| {
        let begun = Instant::now();
        let seed = seed.wrapping_add(at as u64);
        let outcome = watched(target, move |target| {
            one::run(&target.script, &target.start, injection, seed).map(|(outcome, _)| outcome)
        });
        is_found.fetch_or(outcome.is_err(), Ordering::Relaxed);
        Run {
            script: target.script.name.clone(),
            is_opening: target.is_opening,
            injection,
            outcome,
            duration: begun.elapsed(),
        }
    };
    each(effort.threads, injections, is_over, work)
}

/// Runs in a thread of its own, so that a run that hangs is found out.
fn watched<T: Send + 'static>(
    target: &Arc<Target>,
    run: impl FnOnce(&Target) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (tell, told) = channel();
    let (target, inherited) = (Arc::clone(target), engine::injected::inherit());
    let thread = std::thread::spawn(move || {
        let outcome = inherited.with(|| quietly(|| run(&target)));
        // Nobody listens any more when this took too long.
        let _ = tell.send(outcome);
    });
    let outcome = match told.recv_timeout(HANGS_AFTER) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => return Err(format!("it hangs: no end after {HANGS_AFTER:?}")),
        Err(RecvTimeoutError::Disconnected) => Err("the run's thread died".into()),
    };
    // It has told, so it ends.
    drop(thread.join());
    outcome
}

/// All of `0..count`, or `most` of them at even distances, the first where `offset` says.
fn places(count: u64, most: u64, offset: u64) -> impl Iterator<Item = u64> {
    let stride = count.div_ceil(most.max(1)).max(1);
    (offset % stride..count).step_by(stride as usize)
}

/// The ways in which an operation can fail, each once or from then on.
fn ways(kind: OperationKind) -> Vec<(Effect, bool)> {
    let effects = effects(kind).into_iter();
    effects
        .flat_map(|effect| [(effect, false), (effect, true)])
        .collect()
}

/// The effects that an operation of a kind can have when it fails.
fn effects(kind: OperationKind) -> Vec<Effect> {
    let error = Effect::Error(ErrorKind::Other);
    let full = Effect::Error(ErrorKind::StorageFull);
    match kind {
        OperationKind::Read => vec![error, Effect::Short],
        OperationKind::Write => vec![error, full, Effect::Short],
        OperationKind::Open | OperationKind::SetLen | OperationKind::CreateDir => vec![error, full],
        OperationKind::Sync => FailedSync::ALL.into_iter().map(Effect::Sync).collect(),
        OperationKind::SyncDir | OperationKind::Rename | OperationKind::Remove | OperationKind::List => {
            vec![error]
        }
    }
}

impl Run {
    /// What fails, and where the run begins.
    pub(crate) fn kind(&self) -> String {
        let opening = if self.is_opening { " at opening" } else { "" };
        format!("{}{opening}", self.injection.kind())
    }
}

impl Injection {
    fn kind(self) -> &'static str {
        match self {
            Self::Operation(fault) => fault.kind.name(),
            Self::Room(_) => "growth",
        }
    }

    pub(crate) fn effect(self) -> &'static str {
        let Self::Operation(fault) = self else {
            return "disk full";
        };
        match fault.effect {
            Effect::Error(ErrorKind::StorageFull) => "disk full",
            Effect::Error(_) => "error",
            Effect::Short => "short",
            Effect::Sync(FailedSync::KeptDirty) => "failed sync: kept dirty",
            Effect::Sync(FailedSync::MarkedClean) => "failed sync: marked clean",
            Effect::Sync(FailedSync::Reverted) => "failed sync: reverted",
        }
    }

    pub(crate) fn is_lasting(self) -> bool {
        match self {
            Self::Operation(fault) => fault.lasting,
            Self::Room(_) => true,
        }
    }

    /// Where it strikes, in words.
    pub(crate) fn place(self) -> String {
        match self {
            Self::Operation(fault) => format!(
                "{} {}{}",
                fault.kind.name(),
                fault.nth,
                if fault.lasting { " and all after it" } else { "" }
            ),
            Self::Room(bytes) => format!("room for {bytes} bytes more"),
        }
    }
}
