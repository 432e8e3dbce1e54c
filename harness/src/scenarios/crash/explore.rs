//! Losing power at file operations all over a recorded run, or at every one, with many choices of what survives.
//!
//! 1. For each point of the trace, and each survival choice there, make the image of the files.
//! 2. Skip it if an equal image was checked before and held all that is promised here.
//! 3. Check it ([`super::check`]).
//! 4. At some of the points, lose power at file operations of the recoveries too, also of those after a kill, and so
//!    on, up to three deep.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engine::CommitId;
use engine::vfs::simulated::{Operation, Replay, Survival, Trace, choices};
use serde::{Deserialize, Serialize};

use super::check::{Expected, check, check_kill};
use super::effort::Effort;
use super::play::{Ledger, Recording};
use super::script::Settings;
use super::workers::in_threads;

/// `most` of `count`, evenly spread; all if they are no more.
fn spread(count: usize, most: usize, seed: u64) -> Vec<usize> {
    let taken = count.min(most);
    let offset = if taken < count {
        seed as usize % (count / taken.max(1)).max(1)
    } else {
        0
    };
    (0..taken)
        .map(|at| (at * count / taken + offset).min(count - 1))
        .collect()
}

/// Files whose making is cut off just before their first sync, at most.
const HALF_MADE_MAX: usize = 2;
/// Choices at each point of the recovery from that, at least.
const HALF_MADE_CHOICES: usize = 24;

/// Just before the first sync of files that were created, of the first ones.
fn half_made(trace: &Trace) -> Vec<usize> {
    let created = trace.operations.iter().filter_map(|operation| match operation {
        Operation::Create { inode, .. } => Some(*inode),
        _ => None,
    });
    let first_sync = |created| {
        let syncs =
            |operation: &Operation| matches!(operation, Operation::Sync { inode, .. } if *inode == created);
        trace.operations.iter().position(syncs)
    };
    created.filter_map(first_sync).take(HALF_MADE_MAX).collect()
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
    /// Commits and file operations of the run.
    pub commits: u64,
    pub operations: u64,
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
    pub(crate) fn merge(&mut self, other: Self) {
        for (name, theirs) in other.phases {
            let ours = self.phases.entry(name).or_default();
            ours.points += theirs.points;
            ours.images += theirs.images;
            for (operation, points) in theirs.by_operation {
                *ours.by_operation.entry(operation).or_default() += points;
            }
        }
        self.commits += other.commits;
        self.operations += other.operations;
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

/// Explores a recording until it is over.
pub(crate) fn explore(recording: &Recording, settings: &Settings, effort: &Effort, seed: u64) -> Tally {
    let begun = Instant::now();
    let effort = &effort.for_size(recording.bytes);
    let all = recording.trace.operations.len() + 1;
    let half_made = half_made(&recording.trace);
    let mut points = spread(all, effort.points, seed);
    let deeper = spread(points.len(), effort.deeper_points, seed ^ 5)
        .into_iter()
        .map(|at| points[at])
        .collect();
    points.extend(&half_made);
    points.sort_unstable();
    points.dedup();
    let explorer = Explorer {
        ledger: &recording.ledger,
        settings: &settings.alone(),
        effort,
        seed,
        deeper,
        half_made,
        seen: Mutex::new(HashMap::new()),
        has_failed: AtomicBool::new(false),
    };
    let next = AtomicUsize::new(0);
    let mut tally = Tally {
        commits: recording.ledger.reached.commits,
        operations: recording.trace.operations.len() as u64,
        ..Tally::default()
    };
    in_threads(effort.threads, || {
        explorer.points(&recording.trace, &points, &next)
    })
    .into_iter()
    .for_each(|part| tally.merge(part));
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
    let settings = &settings.alone();
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
        let seed = seed_of(seed, loss);
        let record = depth + 1 < losses.len();
        let recovered = match loss.survival {
            Some(survival) => check(&replay.image(survival), expected, seed, record),
            None => check_kill(&replay, expected, seed, record),
        }?;
        if loss.survival.is_some() {
            promised = recovered.commit;
        }
        trace = recovered.trace.unwrap_or_default();
    }
    Ok(())
}

fn seed_of(seed: u64, loss: &Loss) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, loss.point, loss.survival).hash(&mut hasher);
    hasher.finish()
}

struct Explorer<'a> {
    ledger: &'a Ledger,
    settings: &'a Settings,
    effort: &'a Effort,
    seed: u64,
    /// Points at which recoveries are crashed as well.
    deeper: HashSet<usize>,
    /// Points at which a file has been made and not been synced: what a killed process leaves there looks finished.
    half_made: Vec<usize>,
    /// Images checked, by fingerprint, with the newest commit found in each.
    seen: Mutex<HashMap<u64, CommitId>>,
    has_failed: AtomicBool,
}

impl Explorer<'_> {
    fn is_over(&self) -> bool {
        self.effort.first_only && self.has_failed.load(Ordering::Relaxed) || (self.effort.is_over)()
    }

    fn points(&self, trace: &Trace, points: &[usize], next: &AtomicUsize) -> Tally {
        let mut tally = Tally::default();
        let mut replay = trace.replay();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(&point) = points.get(at).filter(|_| !self.is_over()) else {
                return tally;
            };
            replay.step_to(point);
            let phase = self.ledger.phase(point);
            let promised = self.ledger.promised(point);
            self.count_point(&mut tally, phase, trace, point);
            self.kill(&mut tally, &replay, phase, promised);
            let choices = choices(
                replay.pending(),
                self.effort.choices,
                self.effort.spread,
                self.seed ^ point as u64,
            );
            let mut deeper = self.deeper_images(point);
            for survival in choices {
                let loss = Loss {
                    point,
                    survival: Some(survival),
                };
                self.image(&mut tally, &replay, phase, promised, &[loss], &mut deeper);
                if self.is_over() {
                    return tally;
                }
            }
        }
    }

    /// Of how many images at a point the recovery is crashed as well.
    fn deeper_images(&self, point: usize) -> usize {
        let is_chosen = self.deeper.contains(&point);
        if is_chosen { self.effort.deeper_images } else { 0 }
    }

    fn count_point(&self, tally: &mut Tally, phase: &str, trace: &Trace, point: usize) {
        let tally = tally.phase(phase);
        tally.points += 1;
        let operation = point
            .checked_sub(1)
            .map_or("begin", |at| trace.operations[at].name());
        *tally.by_operation.entry(operation).or_default() += 1;
    }

    /// Kills the process and lets the machine go on: the next process sees what was written and is not durable. While that
    /// recovers, power can be lost as well, before it has made anything durable.
    fn kill(&self, tally: &mut Tally, replay: &Replay<'_>, phase: &str, promised: CommitId) {
        tally.images += 1;
        tally.phase(phase).images += 1;
        let expected = Expected {
            ledger: self.ledger,
            promised,
            settings: self.settings,
        };
        let loss = Loss {
            point: replay.point(),
            survival: None,
        };
        let is_deeper = self.deeper_images(replay.point()) > 0 || self.half_made.contains(&replay.point());
        let deeper = self.effort.depth > 1 && is_deeper;
        match check_kill(replay, expected, seed_of(self.seed, &loss), deeper) {
            Ok(recovered) => {
                tally.recoveries += recovered.openings;
                if let Some(trace) = recovered.trace {
                    self.recovery(tally, &trace, promised, &[loss]);
                }
            }
            Err(finding) => self.fail(tally, &[loss], finding, replay.trace()),
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
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// Checks an image if it is a new one, and what a crash of its recovery leaves.
    fn image(
        &self,
        tally: &mut Tally,
        replay: &Replay<'_>,
        phase: &str,
        promised: CommitId,
        losses: &[Loss],
        deeper_images: &mut usize,
    ) {
        tally.choices += 1;
        let depth = losses.len();
        let loss = losses[depth - 1];
        let Some(survival) = loss.survival else { return };
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
        let deeper = depth < self.effort.depth && *deeper_images > 0;
        if deeper {
            *deeper_images -= 1;
        }
        let expected = Expected {
            ledger: self.ledger,
            promised,
            settings: self.settings,
        };
        let image = replay.image(survival);
        match check(&image, expected, seed_of(self.seed, &loss), deeper) {
            Ok(recovered) => {
                tally.recoveries += recovered.openings;
                if let Ok(mut seen) = self.seen.lock() {
                    seen.insert(fingerprint, recovered.commit);
                }
                if let Some(trace) = recovered.trace {
                    self.recovery(tally, &trace, recovered.commit, losses);
                }
            }
            Err(finding) => self.fail(tally, losses, finding, replay.trace()),
        }
    }

    /// Loses power at every operation of a recovery. This commit must be there still.
    fn recovery(&self, tally: &mut Tally, trace: &Trace, commit: CommitId, losses: &[Loss]) {
        let phase = match losses {
            [Loss { survival: None, .. }] => "recovery after a kill",
            [_] => "recovery",
            _ => "recovery of a recovery",
        };
        let mut replay = trace.replay();
        let begin = self.seed ^ losses[losses.len() - 1].point as u64;
        let points = spread(trace.operations.len() + 1, self.effort.recovery_points, begin);
        for point in points {
            let mut deepest = usize::from(tally.images.is_multiple_of(self.effort.deepest_every));
            replay.step_to(point);
            self.count_point(tally, phase, trace, point);
            let seed = self.seed ^ (losses[losses.len() - 1].point as u64) << 20 ^ point as u64;
            // What a killed process has left half-made takes a rare combination to be lost.
            let chosen = match losses {
                [
                    Loss {
                        point,
                        survival: None,
                    },
                ] if self.half_made.contains(point) => {
                    choices(replay.pending(), HALF_MADE_CHOICES, self.effort.spread, seed)
                }
                _ => deeper_choices(replay.pending(), seed)
                    .into_iter()
                    .take(self.effort.choices_deeper)
                    .collect(),
            };
            for survival in chosen {
                let mut losses = losses.to_vec();
                losses.push(Loss {
                    point,
                    survival: Some(survival),
                });
                self.image(tally, &replay, phase, commit, &losses, &mut deepest);
                if self.is_over() {
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
