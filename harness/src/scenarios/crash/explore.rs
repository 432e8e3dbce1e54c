//! Losing power at every file operation of a recorded run, with many choices of what survives.
//!
//! 1. For each point of the trace, and each survival choice there, make the image of the files.
//! 2. Skip it if an equal image was checked before and held all that is promised here.
//! 3. Check it ([`super::check`]).
//! 4. Every so many images, lose power at every file operation of its recovery too, and so on, up to three deep.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engine::CommitId;
use engine::vfs::simulated::{Operation, Replay, Survival, Trace, choices};
use serde::{Deserialize, Serialize};

use super::check::{Expected, check, check_kill};
use super::play::{Ledger, Recording};
use super::script::Settings;
use crate::runner::interrupt::{Interrupt, requested};

/// How hard to try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Survival choices at each point, at least.
    pub choices: usize,
    /// Most choices of each family that grows with the number of pending changes.
    pub spread: usize,
    /// Every so many images, the recovery is crashed as well.
    pub deeper_every: usize,
    /// How deep: 1 crashes the run, 2 its recovery, 3 the recovery from that.
    pub depth: usize,
    /// Choices at each point of a recovery.
    pub choices_deeper: usize,
    /// Threads that check images.
    pub threads: usize,
    /// Stop at the first failure.
    pub first_only: bool,
}

impl Effort {
    /// What a test run can afford.
    pub(crate) const QUICK: Self = Self {
        choices: 16,
        spread: 4,
        deeper_every: 150,
        depth: 3,
        choices_deeper: 4,
        threads: 2,
        first_only: false,
    };
}

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Loss {
    /// After how many operations.
    pub point: usize,
    /// What survived the power loss; without one only the process died.
    #[serde(with = "survival_text", default, skip_serializing_if = "Option::is_none")]
    pub survival: Option<Survival>,
}

/// Something that a power loss led to and must not.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The power losses that led there: of the run, of the recovery from it, ...
    pub losses: Vec<Loss>,
    /// The operation just before the first.
    pub after: String,
    /// What was wrong.
    pub finding: String,
}

/// Crash points of one phase.
#[derive(Clone, Debug, Default)]
pub(crate) struct PhaseTally {
    pub points: u64,
    pub images: u64,
    /// Points by the operation just before.
    pub by_operation: BTreeMap<&'static str, u64>,
}

/// What was tried and found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub phases: BTreeMap<String, PhaseTally>,
    /// Survival choices tried.
    pub choices: u64,
    /// Different images checked.
    pub images: u64,
    /// Openings of the database.
    pub recoveries: u64,
    /// Failures, at most [`FAILURES_MAX`].
    pub failures: Vec<Failure>,
    pub failure_count: u64,
    pub duration: Duration,
}

/// Failures that are kept with their details.
pub(crate) const FAILURES_MAX: usize = 5;

impl Tally {
    fn merge(&mut self, other: Self) {
        for (name, theirs) in other.phases {
            let ours = self.phases.entry(name).or_default();
            ours.points += theirs.points;
            ours.images += theirs.images;
            for (operation, points) in theirs.by_operation {
                *ours.by_operation.entry(operation).or_default() += points;
            }
        }
        self.choices += other.choices;
        self.images += other.images;
        self.recoveries += other.recoveries;
        self.failure_count += other.failure_count;
        self.failures.extend(other.failures);
        self.failures.truncate(FAILURES_MAX);
    }

    fn phase(&mut self, name: &str) -> &mut PhaseTally {
        if !self.phases.contains_key(name) {
            self.phases.insert(name.to_owned(), PhaseTally::default());
        }
        self.phases.entry(name.to_owned()).or_default()
    }
}

/// Explores a recording.
pub(crate) fn explore(recording: &Recording, settings: &Settings, effort: &Effort, seed: u64) -> Tally {
    let begun = Instant::now();
    let explorer = Explorer {
        ledger: &recording.ledger,
        settings,
        effort,
        seed,
        seen: Mutex::new(HashMap::new()),
        stop: AtomicBool::new(false),
    };
    let points = recording.trace.operations.len() + 1;
    let next = AtomicUsize::new(0);
    let planted = engine::planted::current();
    let mut tally = Tally::default();
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..effort.threads.max(1))
            .map(|_| {
                let (explorer, next) = (&explorer, &next);
                scope.spawn(move || {
                    engine::planted::with(planted, || explorer.points(&recording.trace, points, next))
                })
            })
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    assert_eq!(tallies.len(), effort.threads.max(1), "checking catches panics");
    tallies.into_iter().for_each(|part| tally.merge(part));
    tally.duration = begun.elapsed();
    tally
}

/// Checks one chain of power losses, as [`explore`] would.
///
/// # Errors
/// What is wrong.
pub(crate) fn check_losses(
    recording: &Recording,
    settings: &Settings,
    losses: &[Loss],
    seed: u64,
) -> Result<(), String> {
    let mut trace = recording.trace.clone();
    let mut promised = CommitId(0);
    for (depth, loss) in losses.iter().enumerate() {
        let mut replay = trace.replay();
        replay.step_to(loss.point);
        if depth == 0 {
            promised = recording.ledger.promised(loss.point);
        }
        let expected = Expected {
            ledger: &recording.ledger,
            promised,
            settings,
        };
        let seed = seed_of(seed, loss.point);
        let recovered = match loss.survival {
            Some(survival) => check(&replay.image(survival), expected, seed, depth + 1 < losses.len()),
            None => check_kill(&replay, expected, seed),
        }?;
        promised = recovered.commit;
        trace = recovered.trace.unwrap_or_default();
    }
    Ok(())
}

fn seed_of(seed: u64, point: usize) -> u64 {
    seed.wrapping_add((point as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .rotate_left(23)
}

struct Explorer<'a> {
    ledger: &'a Ledger,
    settings: &'a Settings,
    effort: &'a Effort,
    seed: u64,
    /// Images checked, by fingerprint, with the newest commit found in each.
    seen: Mutex<HashMap<u64, CommitId>>,
    stop: AtomicBool,
}

impl Explorer<'_> {
    fn points(&self, trace: &Trace, points: usize, next: &AtomicUsize) -> Tally {
        let mut tally = Tally::default();
        let mut replay = trace.replay();
        loop {
            let point = next.fetch_add(1, Ordering::Relaxed);
            let is_stopped = self.stop.load(Ordering::Relaxed) || requested() != Interrupt::None;
            if point >= points || is_stopped {
                return tally;
            }
            replay.step_to(point);
            let phase = self.ledger.phase(point);
            let promised = self.ledger.promised(point);
            self.count_point(&mut tally, phase, trace, point);
            self.kill(&mut tally, &replay, phase, promised);
            for survival in choices(
                replay.pending(),
                self.effort.choices,
                self.effort.spread,
                seed_of(self.seed, point),
            ) {
                tally.choices += 1;
                let loss = Loss {
                    point,
                    survival: Some(survival),
                };
                self.image(&mut tally, (&replay, survival), phase, promised, &[loss], trace);
                if self.stop.load(Ordering::Relaxed) {
                    return tally;
                }
            }
        }
    }

    fn count_point(&self, tally: &mut Tally, phase: &str, trace: &Trace, point: usize) {
        let tally = tally.phase(phase);
        tally.points += 1;
        let operation = point
            .checked_sub(1)
            .map_or("begin", |at| trace.operations[at].name());
        *tally.by_operation.entry(operation).or_default() += 1;
    }

    /// Kills the process and lets the machine go on: the next process sees what was written and is not durable.
    fn kill(&self, tally: &mut Tally, replay: &Replay<'_>, phase: &str, promised: CommitId) {
        tally.images += 1;
        tally.phase(phase).images += 1;
        let expected = Expected {
            ledger: self.ledger,
            promised,
            settings: self.settings,
        };
        match check_kill(replay, expected, seed_of(self.seed, replay.point())) {
            Ok(recovered) => tally.recoveries += recovered.openings,
            Err(finding) => {
                let loss = Loss {
                    point: replay.point(),
                    survival: None,
                };
                self.fail(tally, &[loss], finding, replay.trace());
            }
        }
    }

    fn fail(&self, tally: &mut Tally, losses: &[Loss], finding: String, trace: &Trace) {
        tally.recoveries += 1;
        tally.failure_count += 1;
        if tally.failures.len() < FAILURES_MAX {
            let at = losses[losses.len() - 1].point;
            let after = at.checked_sub(1).and_then(|at| trace.operations.get(at));
            tally.failures.push(Failure {
                losses: losses.to_vec(),
                after: after.map_or_else(|| "nothing".into(), describe),
                finding,
            });
        }
        if self.effort.first_only {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Checks an image if it is a new one, and what a crash of its recovery leaves.
    fn image(
        &self,
        tally: &mut Tally,
        (replay, survival): (&Replay<'_>, Survival),
        phase: &str,
        promised: CommitId,
        losses: &[Loss],
        trace: &Trace,
    ) {
        let fingerprint = replay.fingerprint(survival);
        let seen = self
            .seen
            .lock()
            .ok()
            .and_then(|seen| seen.get(&fingerprint).copied());
        if seen.is_some_and(|commit| commit >= promised) {
            return;
        }
        tally.images += 1;
        tally.phase(phase).images += 1;
        let depth = losses.len();
        let deeper =
            depth < self.effort.depth && tally.images.is_multiple_of(self.effort.deeper_every as u64);
        let expected = Expected {
            ledger: self.ledger,
            promised,
            settings: self.settings,
        };
        let seed = seed_of(self.seed, losses[depth - 1].point);
        match check(&replay.image(survival), expected, seed, deeper) {
            Ok(recovered) => {
                tally.recoveries += recovered.openings;
                if let Ok(mut seen) = self.seen.lock() {
                    seen.insert(fingerprint, recovered.commit);
                }
                if let Some(trace) = recovered.trace {
                    self.recovery(tally, &trace, recovered.commit, losses);
                }
            }
            Err(finding) => self.fail(tally, losses, finding, trace),
        }
    }

    /// Loses power at every operation of a recovery. What it had recovered must be there still.
    fn recovery(&self, tally: &mut Tally, trace: &Trace, commit: CommitId, losses: &[Loss]) {
        let phase = if losses.len() == 1 {
            "recovery"
        } else {
            "recovery of a recovery"
        };
        let mut replay = trace.replay();
        for point in 0..=trace.operations.len() {
            replay.step_to(point);
            self.count_point(tally, phase, trace, point);
            let seed = seed_of(self.seed ^ losses[losses.len() - 1].point as u64, point);
            let few = deeper_choices(replay.pending(), seed);
            for survival in few.into_iter().take(self.effort.choices_deeper) {
                tally.choices += 1;
                let mut losses = losses.to_vec();
                losses.push(Loss {
                    point,
                    survival: Some(survival),
                });
                self.image(tally, (&replay, survival), phase, commit, &losses, trace);
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    }
}

/// Choices for a power loss during recovery, the most telling first: there is time for a few only.
fn deeper_choices(pending: usize, seed: u64) -> [Survival; 8] {
    [
        Survival::None,
        Survival::Torn(seed),
        Survival::All,
        Survival::TornAfter {
            whole: seed as usize % pending.max(1),
            seed,
        },
        Survival::Subset(seed),
        Survival::Garbage(seed),
        Survival::First(pending / 2),
        Survival::AllBut(0),
    ]
}

/// An operation in a few words.
pub(crate) fn describe(operation: &Operation) -> String {
    match operation {
        Operation::Write { inode, offset, data } => {
            format!("write of {} bytes at {offset} of file {inode}", data.len())
        }
        Operation::SetLen { inode, len } => format!("file {inode} set to {len} bytes"),
        Operation::Create { path, .. } | Operation::CreateDir { path } | Operation::Remove { path } => {
            format!("{} {}", operation.name(), path.display())
        }
        Operation::Rename { from, to, .. } => format!("rename {} to {}", from.display(), to.display()),
        Operation::SyncDir { path } => format!("sync of directory {}", path.display()),
        Operation::Sync { inode, .. } | Operation::SyncWrite { inode, .. } => format!("sync of file {inode}"),
        Operation::SyncForgotten { inode } | Operation::SyncReverted { inode } => {
            format!("failed sync of file {inode}")
        }
    }
}

/// Survival choices as text: `none`, `all`, `first 3`, `all but 2`, `only 2`, `subset 17`, `torn 17`, `garbage 17`.
pub(crate) mod survival_text {
    use engine::vfs::simulated::Survival;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// The text of a choice.
    pub(crate) fn text(survival: Survival) -> String {
        match survival {
            Survival::None => "none".into(),
            Survival::All => "all".into(),
            Survival::First(count) => format!("first {count}"),
            Survival::AllBut(change) => format!("all but {change}"),
            Survival::Only(change) => format!("only {change}"),
            Survival::Subset(seed) => format!("subset {seed}"),
            Survival::Torn(seed) => format!("torn {seed}"),
            Survival::Garbage(seed) => format!("garbage {seed}"),
            Survival::TornAfter { whole, seed } => format!("torn after {whole}, {seed}"),
        }
    }

    fn parse(text: &str) -> Option<Survival> {
        if text == "none" || text == "all" {
            return Some(if text == "none" {
                Survival::None
            } else {
                Survival::All
            });
        }
        if let Some(rest) = text.strip_prefix("torn after ") {
            let (whole, seed) = rest.split_once(", ")?;
            return Some(Survival::TornAfter {
                whole: whole.parse().ok()?,
                seed: seed.parse().ok()?,
            });
        }
        let (kind, number) = text.rsplit_once(' ')?;
        let number: u64 = number.parse().ok()?;
        Some(match kind {
            "first" => Survival::First(number as usize),
            "all but" => Survival::AllBut(number as usize),
            "only" => Survival::Only(number as usize),
            "subset" => Survival::Subset(number),
            "torn" => Survival::Torn(number),
            "garbage" => Survival::Garbage(number),
            _ => return None,
        })
    }

    pub(crate) fn serialize<S: Serializer>(
        survival: &Option<Survival>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&survival.map_or_else(|| "kill".into(), text))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Survival>, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map(Some).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is not a survival choice, for instance `torn 17`"
            ))
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn choices_come_back_as_written() {
            for choice in engine::vfs::simulated::choices(9, 30, 9, 5) {
                assert_eq!(parse(&text(choice)), Some(choice));
            }
            for bad in ["", "some", "first", "first x", "torn -1"] {
                assert_eq!(parse(bad), None, "{bad}");
            }
        }
    }
}
