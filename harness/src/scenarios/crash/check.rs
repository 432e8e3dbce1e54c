//! One power loss: open what it left, compare, go on writing, lose power again, compare again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use engine::vfs::SimulatedVfs;
use engine::vfs::simulated::{Effect, FailedSync, Fault, Image, OperationKind, Replay, Survival, Trace};
use engine::{CommitId, Database, Table};

use super::ledger::Ledger;
use super::place::{DATABASE, abandon};
use super::quiet::text_of;
use super::rescue;
use super::script::{Settings, Value, key_bytes, table_name, value_bytes};
use super::state::{Change, Difference, State, apply, compare};

/// The row that is written after a recovery.
const NEW_KEY: u32 = 0xFFFF_0000;
/// Rows that are changed to make pages move, at most.
const BUSY_ROWS: usize = 160;
/// Of so many images one is salvaged as well.
const SALVAGED: u64 = 24;

/// What a good recovery leads to.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The newest commit that is there.
    pub commit: CommitId,
    /// What it led to.
    pub state: Arc<State>,
    /// The file operations of the recovery, if they were to be recorded.
    pub trace: Option<Trace>,
    /// How often the database was opened.
    pub openings: u64,
}

/// What an image is to be checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub ledger: &'a Ledger,
    /// The newest commit that was promised to be durable.
    pub promised: CommitId,
    pub settings: &'a Settings,
}

/// Opens what a power loss left, and checks everything.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn check(
    image: &Image,
    expected: Expected<'_>,
    seed: u64,
    record: bool,
) -> Result<Recovered, String> {
    quietly(|| {
        let vfs = SimulatedVfs::from_image(image, seed);
        if record {
            vfs.record();
        }
        let recovered = check_inner(&vfs, expected, seed, record)?;
        if seed % SALVAGED == 7 {
            rescue::of_sound(image, expected, &recovered).map_err(|what| format!("salvage: {what}"))?;
        }
        Ok(recovered)
    })
}

/// Opens what a process left that was killed while the machine went on, checks everything, and loses power then.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn check_kill(
    replay: &Replay<'_>,
    expected: Expected<'_>,
    seed: u64,
    record: bool,
) -> Result<Recovered, String> {
    quietly(|| {
        let vfs = SimulatedVfs::after_kill(replay.medium(), replay.position(), seed);
        if record {
            vfs.record_on();
        }
        check_inner(&vfs, expected, seed, record)
    })
}

/// Opens files that have been in use until now, checks everything, and loses power then.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn check_files(
    vfs: &SimulatedVfs,
    expected: Expected<'_>,
    seed: u64,
) -> Result<Recovered, String> {
    quietly(|| check_inner(vfs, expected, seed, false))
}

/// Runs `f` and turns a panic into an error.
///
/// # Errors
/// Those of `f`, and panics.
pub(crate) fn quietly<T>(f: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    super::quiet::silence(|| catch_unwind(AssertUnwindSafe(f)))
        .unwrap_or_else(|panic| Err(format!("panic: {}", text_of(&*panic))))
}

fn check_inner(
    vfs: &SimulatedVfs,
    expected: Expected<'_>,
    seed: u64,
    record: bool,
) -> Result<Recovered, String> {
    let settings = &with_memory(vfs, expected.settings, seed);
    let database = open(vfs, settings).map_err(|error| format!("open: {error}"))?;
    let trace = record.then(|| vfs.take_trace());
    let (commit, state) = expected.ledger.states.check(&database)?;
    if commit < expected.promised {
        return Err(format!(
            "lost: commit {} was acknowledged as durable, and the database ends with commit {commit}",
            expected.promised
        ));
    }
    sound(&database)?;
    let mut openings = 2;
    if seed % 5 == 3 {
        stays(&vfs.crash(Survival::None), expected, commit, seed)?;
        openings += 1;
    }

    let (before, mut state) = (Arc::clone(&state), State::clone(&state));
    let old = database.snapshot();
    go_on(&database, &mut state, seed).map_err(|error| format!("going on: {error}"))?;
    if seed % 4 == 2 {
        // The next power loss comes in the middle of a checkpoint, after all its pages are written.
        vfs.set_faults([Fault {
            kind: OperationKind::Sync,
            nth: 0,
            lasting: true,
            effect: Effect::Sync(FailedSync::KeptDirty),
        }]);
        if database.checkpoint().is_ok() {
            return Err("a checkpoint succeeded without a sync".into());
        }
        vfs.set_faults([]);
    }
    // A snapshot from before still shows what there was.
    match compare(&database, &old, &before) {
        Ok(()) | Err(Difference::TooOld) => {}
        Err(what) if before.is_empty() => drop(what),
        Err(what) => return Err(format!("a snapshot from before going on: {what}")),
    }
    drop(old);
    let survival = match seed % 3 {
        0 => Survival::None,
        1 => Survival::All,
        _ => Survival::Torn(seed),
    };
    let image = vfs.crash(survival);
    abandon(vfs, database);
    let vfs = SimulatedVfs::from_image(&image, seed);
    let database = open(&vfs, settings).map_err(|error| format!("second open: {error}"))?;
    let snapshot = database.snapshot();
    compare(&database, &snapshot, &state).map_err(|what| format!("after going on: {what}"))?;
    drop(snapshot);
    sound(&database)?;
    abandon(&vfs, database);
    Ok(Recovered {
        commit,
        state: before,
        trace,
        openings,
    })
}

/// What a recovery has shown is still there after a power loss right behind it, whether or not it was durable before.
fn stays(image: &Image, expected: Expected<'_>, commit: CommitId, seed: u64) -> Result<(), String> {
    let vfs = SimulatedVfs::from_image(image, seed);
    let database = open(&vfs, expected.settings)
        .map_err(|error| format!("open after a power loss right behind the recovery: {error}"))?;
    let (still, _) = expected.ledger.states.check(&database)?;
    abandon(&vfs, database);
    if still < commit {
        return Err(format!(
            "lost: the recovery showed commit {commit}, and a power loss right behind it leaves commit {still}"
        ));
    }
    Ok(())
}

/// Mostly with memory for all of a large database, which is read several times.
fn with_memory(vfs: &SimulatedVfs, settings: &Settings, seed: u64) -> Settings {
    let pages = (vfs.used_bytes() / settings.page_bytes as u64) as usize;
    let is_little = pages > 4 * settings.cache_pages && seed % 6 > 1;
    Settings {
        cache_pages: if is_little { 2_000 } else { settings.cache_pages },
        ..settings.clone()
    }
}

fn open(vfs: &SimulatedVfs, settings: &Settings) -> engine::Result<Database> {
    settings.options(vfs)?.open(DATABASE)
}

fn sound(database: &Database) -> Result<(), String> {
    let report = database.verify().map_err(|error| format!("verify: {error}"))?;
    if report.is_sound() {
        return Ok(());
    }
    Err(format!("verify: {}", report.problems.join("; ")))
}

/// Writes, durably: now and then to rows all over a table, so that pages have to make way in memory; then a new row, and a
/// change of the last one.
fn go_on(database: &Database, state: &mut State, seed: u64) -> engine::Result<()> {
    let number = state.keys().next().copied().unwrap_or(0);
    let table = database.open_or_create(&table_name(number))?;
    state.entry(number).or_default();
    let value = Value {
        len: 100 + (seed % 300) as u32,
        version: 9,
    };
    if seed % 6 == 1 {
        let rows = &state[&number];
        let every = rows.len().div_ceil(BUSY_ROWS).max(1);
        let changes = rows.keys().step_by(every).map(|key| (number, *key, Some(value)));
        let changes: Vec<Change> = changes.collect();
        for part in changes.chunks(BUSY_ROWS / 8) {
            write(database, table, part)?;
        }
        apply(state, &changes);
    }
    let mut changes = vec![(number, NEW_KEY, Some(value))];
    if let Some(key) = state[&number].last_key_value().map(|(key, _)| *key) {
        changes.push((number, key, seed.is_multiple_of(2).then_some(value)));
    }
    write(database, table, &changes)?;
    apply(state, &changes);
    if seed % 4 < 2 {
        database.checkpoint()?;
    }
    Ok(())
}

/// Makes changes of one table, durably.
fn write(database: &Database, table: Table, changes: &[Change]) -> engine::Result<()> {
    database.write(|transaction| {
        let mut bytes = Vec::new();
        for (_, key, value) in changes {
            match value {
                Some(value) => {
                    value_bytes(*key, *value, &mut bytes);
                    transaction.put(table, &key_bytes(*key), &bytes)?;
                }
                None => {
                    transaction.delete(table, &key_bytes(*key))?;
                }
            }
        }
        Ok(())
    })
}
