//! Where the steps of a script begin, and recording them.

use engine::vfs::SimulatedVfs;
use engine::vfs::simulated::{Image, Medium, Survival, Trace};

use super::ledger::Ledger;
use super::play::{DIRECTORY, Player, abandon};
use super::prepared::large;
use super::script::Script;

/// Where a run begins: files, and what they must hold.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub medium: Medium,
    /// File operations before.
    pub position: usize,
    pub ledger: Ledger,
}

/// Everything about one run of a script.
#[derive(Debug)]
pub(crate) struct Recording {
    pub trace: Trace,
    pub ledger: Ledger,
    /// Bytes of all files at the end.
    pub bytes: u64,
}

/// Runs a script from its beginning, with its company, and records its steps.
///
/// # Errors
/// What went wrong: without faults nothing may.
pub(crate) fn record(script: &Script, seed: u64) -> Result<Recording, String> {
    let (vfs, mut player) = prepare(script, seed)?;
    player.invite();
    player.run(&script.steps)?;
    player.await_background();
    player.look_around()?;
    player.close().map_err(|error| format!("close: {error}"))?;
    Ok(Recording {
        bytes: vfs.used_bytes(),
        trace: vfs.take_trace(),
        ledger: player.ledger,
    })
}

/// Does what comes before the steps, and records from there on.
fn prepare(script: &Script, seed: u64) -> Result<(SimulatedVfs, Player<'_>), String> {
    let mut image = Image::with_dirs([DIRECTORY]);
    let mut ledger = Ledger::default();
    if script.is_large {
        (image, ledger) = large()?;
    }
    let vfs = SimulatedVfs::from_image(&image, seed);
    let mut player = Player::new(script, vfs.clone(), seed, false);
    player.go_on_from(ledger);
    if !script.before.is_empty() {
        player.run(&script.before)?;
        player.close().map_err(|error| format!("close: {error}"))?;
    }
    vfs.record();
    player.ledger.begin(&vfs);
    Ok((vfs, player))
}

/// Where the steps of a script begin.
///
/// # Errors
/// What went wrong before them.
pub(crate) fn start(script: &Script, seed: u64) -> Result<Start, String> {
    let (vfs, player) = prepare(script, seed)?;
    Ok(Start {
        medium: Medium::new(&vfs.crash(Survival::All)),
        position: 0,
        ledger: player.ledger,
    })
}

/// What a process leaves that is killed at the end of the steps, while the machine goes on: not all of it is durable.
///
/// # Errors
/// What went wrong before it.
pub(crate) fn start_after(script: &Script, seed: u64) -> Result<Start, String> {
    let (vfs, mut player) = prepare(script, seed)?;
    player.run(&script.steps)?;
    let trace = vfs.take_trace();
    let mut replay = trace.replay();
    replay.step_to(trace.operations.len());
    let (medium, position) = (replay.medium().clone(), replay.position());
    if let Some(database) = player.take_database() {
        abandon(&vfs, database);
    }
    let promised = player.ledger.promised(usize::MAX);
    player.ledger.promises.clear();
    player.ledger.promise_at(0, promised);
    Ok(Start {
        medium,
        position,
        ledger: player.ledger,
    })
}
