//! A failure as a file: the script, the power losses, what was found. `harness replay FILE` does it again.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::check::quietly;
use super::explore::{Loss, check_losses};
use super::minimise::Failing;
use super::play::record;
use super::schedules;
use super::script::Script;
use crate::error::{Exit, HarnessError, Result};

/// Version of the file's format.
const VERSION: u32 = 1;
/// How often a script with threads is run.
const TRIES: u32 = 20;

/// The file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Replay {
    palimpsest_crash_replay: u32,
    /// Seed of the run.
    seed: u64,
    /// The injected bug under which it failed, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    injected: Option<String>,
    /// What was found.
    finding: String,
    /// The power losses; empty when the run itself failed.
    losses: Vec<Loss>,
    script: Script,
}

/// A schedule of threads that failed: its number is all that it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ScheduleReplay {
    palimpsest_schedule_replay: u32,
    pub seed: u64,
    /// The injected bug under which it failed, if any.
    #[serde(default, alias = "planted", skip_serializing_if = "Option::is_none")]
    pub injected: Option<String>,
    /// What was found.
    pub finding: String,
}

impl ScheduleReplay {
    pub(super) fn new(seed: u64, injected: Option<String>, finding: &str) -> Self {
        Self {
            palimpsest_schedule_replay: VERSION,
            seed,
            injected,
            finding: finding.to_owned(),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        write_json(path, self)
    }
}

fn write_json(path: &Path, content: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(content)
        .map_err(|error| HarnessError::Run(format!("cannot encode {}: {error}", path.display())))?;
    text.push('\n');
    std::fs::write(path, text).map_err(|error| HarnessError::io("write", path, &error))
}

/// Writes a failure.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write(path: &Path, failing: &Failing, seed: u64) -> Result<()> {
    let replay = Replay {
        palimpsest_crash_replay: VERSION,
        seed,
        injected: engine::injected::current().map(|fault| format!("{fault:?}")),
        finding: failing.failure.finding.clone(),
        losses: failing.failure.losses.clone(),
        script: failing.script.clone(),
    };
    write_json(path, &replay)
}

fn replay_schedule(replay: &ScheduleReplay) -> Result<Exit> {
    let again = schedules::again(replay)?;
    crate::console::tell(format_args!("schedule of seed {}", replay.seed));
    crate::console::tell(format_args!("recorded finding: {}", replay.finding));
    let came_to = again().map_err(|what| HarnessError::Verification(format!("it fails again: {what}")))?;
    crate::console::tell(format_args!("it does not fail with this build: {came_to}"));
    Ok(Exit::Good)
}

/// Does what a file says, and tells what happened.
///
/// # Errors
/// Usage, when the file is no replay. Verification, when it failed again.
pub(crate) fn replay(path: &Path) -> Result<Exit> {
    let usage = |what: String| HarnessError::Usage(format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| usage(format!("cannot be read: {error}")))?;
    if let Ok(replay) = serde_json::from_str::<ScheduleReplay>(&text) {
        if replay.palimpsest_schedule_replay != VERSION {
            return Err(usage(format!(
                "has version {}; this build replays version {VERSION}",
                replay.palimpsest_schedule_replay
            )));
        }
        return replay_schedule(&replay);
    }
    let replay: Replay = serde_json::from_str(&text)
        .map_err(|error| usage(format!("is not a crash test to replay: {error}")))?;
    if replay.palimpsest_crash_replay != VERSION {
        return Err(usage(format!(
            "has version {}; this build replays version {VERSION}",
            replay.palimpsest_crash_replay
        )));
    }
    replay.script.check().map_err(&usage)?;
    if replay.losses.iter().skip(1).any(|loss| loss.survival.is_none()) {
        return Err(usage(
            "has a loss without `survival` that is not the first one".into(),
        ));
    }
    let injected = replay.injected.as_deref().map(|name| {
        let found = engine::injected::Bug::ALL
            .iter()
            .find(|(fault, _)| format!("{fault:?}") == name);
        match found {
            Some((fault, _)) if engine::injected::are_possible() => Ok(*fault),
            Some(_) => Err(usage(format!(
                "needs the injected bug {name}, which release builds do not have"
            ))),
            None => Err(usage(format!(
                "names the injected bug {name}, which this build does not know"
            ))),
        }
    });
    let injected = injected.transpose()?;
    crate::console::tell(format_args!(
        "{}: {} steps, seed {}",
        replay.script.name,
        replay.script.steps.len(),
        replay.seed
    ));
    for loss in &replay.losses {
        let how = loss.survival.map_or_else(
            || "the process is killed".into(),
            |survival| {
                format!(
                    "power is lost, surviving: {}",
                    super::explore::survival_text::text(survival)
                )
            },
        );
        crate::console::tell(format_args!("after {} file operations {how}", loss.point));
    }
    crate::console::tell(format_args!("recorded finding: {}", replay.finding));
    let tries = if replay.script.has_threads() { TRIES } else { 1 };
    for _ in 0..tries {
        let again = engine::injected::with(injected, || {
            quietly(|| {
                let recording = record(&replay.script, replay.seed)?;
                check_losses(&recording, &replay.script.settings, &replay.losses, replay.seed)
            })
        });
        if let Err(finding) = again {
            return Err(HarnessError::Verification(format!("it fails again: {finding}")));
        }
    }
    if tries > 1 {
        return Err(HarnessError::Run(format!(
            "it did not fail in {tries} tries, which says little: its threads make each run another one"
        )));
    }
    crate::console::tell(format_args!("it does not fail with this build"));
    Ok(Exit::Good)
}
