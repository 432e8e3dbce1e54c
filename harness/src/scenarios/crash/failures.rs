//! What goes wrong is kept, up to a limit: scripts are made shorter, and what `harness replay` can do again is written to a
//! file at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::effort::Effort;
use super::minimise::minimise;
use super::replay::{self, ScheduleReplay};
use super::search::Wrong;
use crate::error::Result;

/// Failures that are kept; of what rarely comes, all are.
const FAILURES_MAX: usize = 10;
/// How long a failing script is shortened.
const PATIENCE: Duration = Duration::from_secs(20);

/// Something that went wrong, and the file that does it again.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub wrong: Wrong,
    pub file: Option<PathBuf>,
}

/// Those of one run.
pub(super) struct Failures<'a> {
    pub out: &'a Path,
    pub effort: Effort,
    pub seed: u64,
    pub kept: Vec<Kept>,
}

impl Failures<'_> {
    /// Keeps one.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub(super) fn keep(&mut self, wrong: Wrong) -> Result<()> {
        let is_full = self.kept.len() >= FAILURES_MAX;
        let kept = match wrong {
            Wrong::Power(_) | Wrong::Fault(_) if is_full => return Ok(()),
            Wrong::Power(failing) => {
                let is_of_script = |kept: &&Kept| match &kept.wrong {
                    Wrong::Power(other) => other.script.name == failing.script.name,
                    _ => false,
                };
                // The first of each script.
                let failing = match self.kept.iter().find(is_of_script) {
                    None => minimise(failing, &self.effort, self.seed, PATIENCE),
                    Some(_) => failing,
                };
                let file = self.out.join(format!("failure-{}.json", self.kept.len() + 1));
                replay::write(&file, &failing, self.seed)?;
                Kept {
                    wrong: Wrong::Power(failing),
                    file: Some(file),
                }
            }
            Wrong::Schedule {
                seed,
                ref injected,
                ref finding,
            } => {
                let is_schedule = |kept: &&Kept| matches!(kept.wrong, Wrong::Schedule { .. });
                let number = self.kept.iter().filter(is_schedule).count() + 1;
                let file = self.out.join(format!("schedule-{number}.json"));
                ScheduleReplay::new(seed, injected.clone(), finding).write(&file)?;
                Kept {
                    wrong,
                    file: Some(file),
                }
            }
            Wrong::Script { .. } | Wrong::Fault(_) => Kept { wrong, file: None },
        };
        self.kept.push(kept);
        Ok(())
    }
}
