//! One run with a fault.
//!
//! 1. The script runs while the fault strikes. Any step may give an error; none may panic, and what can be read is right.
//! 2. Two checkpoints more, then power is lost: everything acknowledged as durable is in every image.
//! 3. The fault goes away. What is open still reads right (or, where a failed sync undid pages, not at all). If it was
//!    not stopped, it commits and takes checkpoints; a disk that was full never stops it. Power is lost once more.
//! 4. It is closed, dropped or lost, and opened again on the same files: everything is there, and stays there through a
//!    power loss.

use std::collections::HashSet;

use engine::vfs::SimulatedVfs;
use engine::vfs::simulated::{Effect, FailedSync, OperationKind, Survival};

use super::super::check::{Expected, check, check_files};
use super::super::play::{Counts, Player, abandon};
use super::super::script::{Script, Step, TABLES, Value};
use super::super::start::Start;
use super::Injection;

/// A table that no script has.
const NEW_TABLE: u8 = TABLES - 1;

/// How a run went that went well.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Operations that failed.
    pub struck: u64,
    /// Calls that gave an error.
    pub refused: u64,
    /// Whether the database accepted no more commits at the end.
    pub is_poisoned: bool,
    /// Openings afterwards.
    pub reopened: u64,
}

/// What a run came to on the disk.
#[derive(Debug, Default)]
pub(super) struct Extent {
    /// Operations of each kind.
    pub counts: Counts,
    /// Operations of each kind before and after each checkpoint.
    pub checkpoints: Vec<(Counts, Counts)>,
    /// How much the files had grown at the end, in bytes.
    pub grown: u64,
}

/// Runs a script with a fault.
///
/// # Errors
/// What went wrong.
pub(super) fn run(
    script: &Script,
    start: &Start,
    injection: Injection,
    seed: u64,
) -> Result<(Outcome, Extent), String> {
    let vfs = SimulatedVfs::after_kill(&start.medium, start.position, seed);
    let before = vfs.used_bytes();
    let mut player = Player::from_start(script, vfs.clone(), start, seed);
    match injection {
        Injection::Operation(fault) => {
            vfs.set_faults([fault]);
            if fault.effect == Effect::Sync(FailedSync::Reverted) {
                player.expect_lost_pages();
            }
            if fault.kind == OperationKind::Read {
                player.expect_pages_put_aside();
            }
        }
        Injection::Room(bytes) => {
            vfs.set_faults([]);
            vfs.set_capacity(Some(before + bytes));
        }
    }
    player.run(&script.steps)?;
    // What a failed checkpoint has left out, the next ones must not.
    player.run(&[Step::Checkpoint, Step::Checkpoint])?;
    let mut outcome = Outcome {
        struck: vfs.faults_struck(),
        refused: player.errors.len() as u64,
        ..Outcome::default()
    };
    let extent = Extent {
        counts: OperationKind::ALL.map(|kind| vfs.count(kind)),
        checkpoints: std::mem::take(&mut player.checkpoints),
        grown: vfs.used_bytes().saturating_sub(before),
    };
    let full = player.errors.iter().filter(|error| error.is_disk_full()).count();
    if matches!(injection, Injection::Room(_)) {
        outcome.struck = full as u64;
    }

    outcome.reopened += lose_power(script, &player, &vfs, seed)?;
    vfs.set_faults([]);
    vfs.set_capacity(None);
    let is_open = player.is_open();
    outcome.is_poisoned = is_open && !player.is_usable();
    go_on(&mut player, injection).map_err(|what| format!("without the fault: {what}"))?;
    outcome.reopened += lose_power(script, &player, &vfs, seed ^ 1)?;
    leave(&mut player, &vfs, seed, outcome.is_poisoned)?;
    let expected = Expected {
        ledger: &player.ledger,
        promised: player.ledger.promised(usize::MAX),
        settings: &script.settings.alone(),
    };
    let again = check_files(&vfs, expected, seed)
        .map_err(|what| format!("opened again on the same files: {what}"))?;
    outcome.reopened += again.openings;
    Ok((outcome, extent))
}

/// Loses power now, with some choices of what survives.
fn lose_power(script: &Script, player: &Player<'_>, vfs: &SimulatedVfs, seed: u64) -> Result<u64, String> {
    let settings = script.settings.alone();
    let mut seen = HashSet::new();
    let mut openings = 0;
    for survival in [
        Survival::None,
        Survival::All,
        Survival::Torn(seed),
        Survival::Subset(seed),
    ] {
        let image = vfs.crash(survival);
        if !seen.insert(image.fingerprint()) {
            continue;
        }
        let expected = Expected {
            ledger: &player.ledger,
            promised: player.ledger.promised(usize::MAX),
            settings: &settings,
        };
        let recovered = check(&image, expected, seed, false)
            .map_err(|what| format!("power lost at the end, survival {survival:?}: {what}"))?;
        openings += recovered.openings;
    }
    Ok(openings)
}

/// The fault is gone: what is open reads right, and accepts commits unless it was stopped.
fn go_on(player: &mut Player<'_>, injection: Injection) -> Result<(), String> {
    if !player.is_open() {
        return Ok(());
    }
    if !player.is_usable() {
        return match injection {
            Injection::Room(_) => Err("the disk was full, and the database accepts no commits now".into()),
            Injection::Operation(_) => player.look_around_stopped(),
        };
    }
    player.look_around()?;
    player.end_tolerance();
    let value = Value { len: 700, version: 5 };
    let put = |key| Step::Put {
        slot: 0,
        table: NEW_TABLE,
        key,
        value,
    };
    let begin = Step::Begin {
        slot: 0,
        sync: true,
        snapshot: false,
    };
    player.run(&[
        Step::CreateTable(NEW_TABLE),
        begin.clone(),
        put(1),
        put(2),
        Step::Commit { slot: 0 },
        Step::Checkpoint,
        Step::Checkpoint,
        begin,
        put(3),
        Step::Commit { slot: 0 },
    ])?;
    player.look_around()
}

/// Ends the process in one of three ways.
fn leave(player: &mut Player<'_>, vfs: &SimulatedVfs, seed: u64, is_poisoned: bool) -> Result<(), String> {
    let way = (seed + player.errors.len() as u64 + player.ledger.promises.len() as u64) % 3;
    if way == 0 && !is_poisoned {
        return player.close().map_err(|error| format!("close: {error}"));
    }
    if let Some(database) = player.take_database() {
        if way == 1 {
            drop(database);
        } else {
            abandon(vfs, database);
        }
    }
    Ok(())
}
