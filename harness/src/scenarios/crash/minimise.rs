//! From a script that fails to the shortest one that still does, by leaving out steps (Zeller and Hildebrandt's delta
//! debugging, TSE 2002): halves first, then ever smaller parts, down to single steps.

use std::time::{Duration, Instant};

use super::check::quietly;
use super::effort::Effort;
use super::explore::{Failure, explore};
use super::play::record;
use super::script::{Script, Step};

/// A script that fails, and how.
#[derive(Clone, Debug)]
pub(crate) struct Failing {
    pub script: Script,
    pub failure: Failure,
}

/// The failure of a script, if it has one.
pub(crate) fn failure_of(script: &Script, effort: &Effort, seed: u64) -> Option<Failure> {
    match quietly(|| record(script, seed)) {
        Ok(recording) => {
            let tally = explore(&recording, &script.settings, effort, seed);
            tally.failures.into_iter().next()
        }
        Err(finding) => Some(Failure {
            losses: Vec::new(),
            after: "the run itself".into(),
            finding,
        }),
    }
}

/// Shortens a failing script for at most `patience`, and until it is over.
pub(crate) fn minimise(failing: Failing, effort: &Effort, seed: u64, patience: Duration) -> Failing {
    let until = Instant::now() + patience;
    let is_time = || Instant::now() < until && !(effort.is_over)();
    let effort = Effort {
        first_only: true,
        ..*effort
    };
    let mut best = failing;
    let mut shorter = true;
    while shorter && is_time() {
        shorter = false;
        let parts: [fn(&mut Script) -> &mut Vec<Step>; 2] =
            [|script| &mut script.steps, |script| &mut script.before];
        for part in parts {
            let mut size = part(&mut best.script.clone()).len().div_ceil(2);
            while size > 0 && is_time() {
                let mut at = 0;
                while at < part(&mut best.script).len() && is_time() {
                    let mut candidate = best.script.clone();
                    let steps = part(&mut candidate);
                    let end = steps.len().min(at + size);
                    steps.drain(at..end);
                    if let Some(failure) = failure_of(&candidate, &effort, seed) {
                        best = Failing {
                            script: candidate,
                            failure,
                        };
                        shorter = true;
                    } else {
                        at += size;
                    }
                }
                size /= 2;
            }
        }
    }
    best
}
