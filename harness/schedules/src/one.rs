//! One schedule: running it, judging it, and losing power in it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use engine::Database;
use engine::injected::{self, Bug};
use engine::sync::controlled;
use engine::vfs::SimulatedVfs;
use engine::vfs::simulated::{Survival, Trace, choices};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use shuttle::{Config, MaxSteps, Runner};

use crate::actors::{Done, act};
use crate::base;
use crate::check::{Expected, check};
use crate::chooser::{Chooser, Policy};
use crate::history::put_together;
use crate::ledger::Ledger;
use crate::place::{DATABASE, abandon};
use crate::plan::Plan;
use crate::quiet::{silence, text_of};
use crate::script::Settings;

/// A schedule without end has come to no end by this point.
const POINTS_MAX: usize = 600_000;
/// The stack of a thread, in bytes.
const STACK_BYTES: usize = 512 << 10;
/// Power losses of a schedule.
const LOSSES: usize = 2;

/// What a schedule led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Points at which the scheduler chose.
    pub points: usize,
    /// File operations.
    pub operations: usize,
    /// Commits.
    pub commits: u64,
    /// Images of the disk that were recovered and checked.
    pub images: usize,
    /// Tells the file operations of this schedule from those of others.
    pub fingerprint: u64,
}

/// What the threads of a schedule leave.
struct Ran {
    trace: Trace,
    ledger: Ledger,
    settings: Settings,
}

/// Where seeds come from, and what came of them goes.
pub(crate) trait Source: Send + Sync + 'static {
    /// The next seed.
    fn draw(&self) -> Option<u64>;
    /// What the schedule of a seed led to.
    fn note(&self, seed: u64, result: Result<Outcome, String>);
}

/// Runs the schedule of a seed and checks everything, with a fault in the engine or without. The same seed is the same
/// schedule, in any process of the same build.
///
/// # Errors
/// What is wrong, in words.
pub fn replay(seed: u64, fault: Option<Bug>) -> Result<Outcome, String> {
    struct Once {
        seed: Mutex<Option<u64>>,
        result: Mutex<Option<Result<Outcome, String>>>,
    }
    impl Source for Once {
        fn draw(&self) -> Option<u64> {
            take(&self.seed)
        }
        fn note(&self, _: u64, result: Result<Outcome, String>) {
            put(&self.result, result);
        }
    }
    let once = Arc::new(Once {
        seed: Mutex::new(Some(seed)),
        result: Mutex::default(),
    });
    run_all(&once, fault);
    take(&once.result).unwrap_or_else(|| Err("the schedule did not come to its end".into()))
}

/// Runs the schedules of all seeds that a source has, until one panics.
pub(crate) fn run_all(source: &Arc<impl Source>, fault: Option<Bug>) {
    // A schedule that panics leaves stacks that are never unwound: in a thread that nobody uses afterwards.
    let run = {
        let source = Arc::clone(source);
        move || injected::with(fault, || run_here(&source))
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        source.note(
            0,
            Err(format!("a panic between two schedules: {}", text_of(&*panic))),
        );
    }
}

pub(crate) fn run_here(source: &Arc<impl Source>) {
    // Made once, and not in the middle of somebody's schedule.
    base::make_all();
    let current: Arc<AtomicU64> = Arc::default();
    let draw = {
        let (source, current) = (Arc::clone(source), Arc::clone(&current));
        move || source.draw().inspect(|seed| current.store(*seed, Relaxed))
    };
    let body = {
        let (source, current) = (Arc::clone(source), Arc::clone(&current));
        move || {
            let seed = current.load(Relaxed);
            let result = controlled::execution(|| run_threads(seed));
            source.note(seed, result);
        }
    };
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(POINTS_MAX);
    config.failure_persistence = shuttle::FailurePersistence::None;
    config.silence_warnings = true;
    config.ungraceful_shutdown_config.immediately_return_on_panic = true;
    let runner = Runner::new(Chooser::new(Box::new(draw)), config);
    if let Err(panic) = silence(|| catch_unwind(AssertUnwindSafe(|| runner.run(body)))) {
        source.note(current.load(Relaxed), Err(format!("panic: {}", text_of(&*panic))));
    }
}

fn put<T>(slot: &Mutex<Option<T>>, value: T) {
    if let Ok(mut slot) = slot.lock() {
        *slot = Some(value);
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().ok()?.take()
}

/// The body of an execution.
fn run_threads(seed: u64) -> Result<Outcome, String> {
    let plan = Plan::drawn(seed);
    let settings = Settings {
        background: plan.background.then_some(6),
        ..plan.base.settings.clone()
    };
    let vfs = SimulatedVfs::from_image(&plan.base.image, seed);
    vfs.record();
    let open = || settings.options(&vfs)?.open(DATABASE);
    // The background thread has to belong to the execution. Without it nobody is there yet who could come in between.
    let database = if plan.background {
        open()
    } else {
        controlled::aside(open)
    };
    let database = database.map_err(|error| format!("open: {error}"))?;
    let results: Mutex<Vec<Result<Done, String>>> = Mutex::default();
    shuttle::thread::scope(|scope| {
        for actor in &plan.actors {
            let (database, vfs, results) = (&database, &vfs, &results);
            scope.spawn(move || {
                let done = act(database, vfs, actor);
                if let Ok(mut results) = results.lock() {
                    results.push(done);
                }
            });
        }
    });
    let points = shuttle::current::context_switches();
    let done = results
        .into_inner()
        .unwrap_or_default()
        .into_iter()
        .collect::<Result<_, _>>()?;
    // Closing ends the background thread, with which it has to be in the execution.
    let database = if plan.background {
        database.close().map_err(|error| format!("close: {error}"))?;
        None
    } else {
        Some(database)
    };
    controlled::aside(|| {
        let (ledger, state) = put_together(plan.base, done)?;
        let trace = vfs.take_trace();
        let alone = settings.alone();
        let database = match database {
            Some(database) => database,
            None => alone
                .options(&vfs)
                .and_then(|options| options.open(DATABASE))
                .map_err(|error| format!("open after closing: {error}"))?,
        };
        at_the_end(&database, &ledger, &state)?;
        abandon(&vfs, database);
        let ran = Ran {
            trace,
            ledger,
            settings: alone,
        };
        let mut outcome = Outcome {
            points,
            operations: ran.trace.operations.len(),
            commits: ran.ledger.states.commits().count() as u64,
            ..Outcome::default()
        };
        lose_power(&ran, seed, &mut outcome)?;
        Ok(outcome)
    })
}

/// The database holds what all commits led to, and is sound.
fn at_the_end(database: &Database, ledger: &Ledger, state: &crate::state::State) -> Result<(), String> {
    let (commit, found) = ledger
        .states
        .check(database)
        .map_err(|what| format!("at the end: {what}"))?;
    if *found != *state {
        return Err(format!(
            "at the end commit {commit} is the newest, and not all are there"
        ));
    }
    let report = database.verify().map_err(|error| format!("verify: {error}"))?;
    if report.is_sound() {
        return Ok(());
    }
    Err(format!("verify: {}", report.problems.join("; ")))
}

/// Loses power at some of the file operations, and checks what is found.
fn lose_power(ran: &Ran, seed: u64, outcome: &mut Outcome) -> Result<(), String> {
    let Ran {
        trace,
        ledger,
        settings,
    } = ran;
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x10_55);
    let operations = trace.operations.len();
    let mut points: Vec<usize> = (0..LOSSES)
        .map(|loss| match ledger.promises.len() {
            // Just when something has been promised is the moment to take it away.
            promises if loss == 0 => ledger.promises[random.random_range(0..promises)].point,
            _ => random.random_range(0..=operations),
        })
        .collect();
    points.sort_unstable();
    let mut replay = trace.replay();
    for point in points {
        replay.step_to(point);
        let survival = match random.random_range(0..3) {
            0 => Survival::None,
            _ => {
                let choices = choices(replay.pending(), 8, 3, random.random());
                choices[random.random_range(0..choices.len())]
            }
        };
        outcome.fingerprint = outcome
            .fingerprint
            .rotate_left(9)
            .wrapping_add(replay.fingerprint(survival));
        let expected = Expected {
            ledger,
            promised: ledger.promised(point),
            settings,
        };
        outcome.images += 1;
        check(&replay.image(survival), expected, random.random(), false).map_err(|what| {
            format!("power lost after {point} of {operations} operations, {survival:?}: {what}")
        })?;
    }
    replay.step_to(operations);
    outcome.fingerprint = outcome
        .fingerprint
        .rotate_left(9)
        .wrapping_add(replay.fingerprint(Survival::All));
    Ok(())
}

/// A schedule in words: how it is chosen and who takes part.
pub(crate) fn describe(seed: u64) -> String {
    let plan = Plan::drawn(seed);
    format!(
        "seed {seed} ({:?}, {} threads{}; `schedules::replay({seed}, fault)` does it again)",
        Policy::drawn(seed),
        plan.actors.len(),
        if plan.background {
            " and the background"
        } else {
            ""
        },
    )
}
