//! Damage at rest: bits flipped, blocks zeroed, blocks and files written to the wrong place, files emptied. The engine must report it, or
//! be right all the same (a second copy, bytes without use); a wrong value or a panic is a miss.
//!
//! Damage in the last flush of the log looks like that flush cut off by a crash: nothing that came later can prove that it
//! was whole. There the database may end with the flush before. Anywhere else damage of the log must be reported.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::vfs::SimulatedVfs;
use engine::vfs::simulated::{Image, Operation, Survival};
use engine::{CommitId, Database, Error};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::check::quietly;
use super::effort::Effort;
use super::play::{DATABASE, Ledger, Recording, abandon};
use super::rescue;
use super::script::Settings;
use super::workers::each;

/// Bytes of both superblocks.
const SUPERBLOCKS: usize = 8192;
/// What a disk writes at once, in bytes.
const SECTOR: usize = 512;
/// Of so many damages one is salvaged as well.
const SALVAGED: usize = 3;
/// First bytes of every extent of the data file (docs/format.md).
const EXTENT_MAGIC: &[u8] = b"PXTN";
/// First bytes of a superblock.
const DATA_MAGIC: &[u8] = b"Palimpsest data";
/// Bytes of a log segment's header block.
const LOG_HEADER: usize = 4096;
const SECTOR_ZEROED: &str = "log: one sector zeroed";
/// No frame behind it can tell that anything was there: a log that ended earlier looks the same.
const TAIL_ZEROED: &str = "log: the last frames zeroed";
/// As if the newest segment had never been: nothing elsewhere says that it was.
const SEGMENT_LOST: &str = "log: the newest segment lost";
/// Files of so many bytes are damaged as often as was asked for, larger ones less.
const USUAL_BYTES: usize = 512 << 10;
/// First bytes of every frame of the log.
const FRAME_MAGIC: [u8; 4] = 0x377F_0682_u32.to_le_bytes();

/// One damage.
#[derive(Clone, Debug)]
struct Damage {
    kind: &'static str,
    file: PathBuf,
    change: Change,
}

#[derive(Clone)]
enum Change {
    Flip {
        byte: usize,
        bit: u8,
    },
    Zero {
        from: usize,
        len: usize,
    },
    /// Bytes of the same file, written to the wrong place.
    Copy {
        from: usize,
        to: usize,
        len: usize,
    },
    /// The first and the last block, each with a copy of the header.
    ZeroEnds {
        len: usize,
    },
    /// Another file's bytes, or none.
    Replace(Arc<Vec<u8>>),
}

/// How the engine took it.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It reported corruption.
    Detected,
    /// The contents were right all the same.
    Harmless,
    /// The log ends before its last flush, as if that had never been.
    CutOff,
    /// None of these: what was damaged, and what came of it.
    Missed(String),
}

/// What was tried and found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damaged {
    /// Each damage, by its kind.
    pub outcomes: Vec<(&'static str, Outcome)>,
    pub duration: Duration,
}

impl Damaged {
    /// The misses.
    pub(crate) fn misses(&self) -> impl Iterator<Item = &String> {
        self.outcomes.iter().filter_map(|(_, outcome)| match outcome {
            Outcome::Missed(what) => Some(what),
            Outcome::Detected | Outcome::Harmless | Outcome::CutOff => None,
        })
    }
}

/// Damages the files of a run, as they are before it closes the database, in about `flips` ways of each kind, until it is
/// over.
///
/// # Errors
/// Files that cannot be opened without any damage.
pub(crate) fn sweep(
    recording: &Recording,
    settings: &Settings,
    flips: usize,
    effort: &Effort,
    seed: u64,
) -> Result<Damaged, String> {
    let begun = Instant::now();
    let closing = recording.ledger.phases.last().map_or(0, |(point, _)| *point);
    let mut replay = recording.trace.replay();
    replay.step_to(closing);
    let image = replay.image(Survival::None);
    let bytes = image
        .files
        .get(Path::new(DATABASE))
        .map_or(0, |bytes| bytes.len());
    let part = (bytes / USUAL_BYTES).clamp(1, 16);
    let flips = flips.div_ceil(part);
    let damages = thinned(damages(&image, flips, seed), flips);
    let (last, stored) = last_commits(&image, settings)
        .map_err(|error| format!("the files cannot be opened without any damage: {error}"))?;
    let settings = &settings.alone();
    let undamaged = Undamaged {
        ledger: &recording.ledger,
        settings,
        last,
    };
    let floor = before_last_flush(recording, closing);
    let work = |at: usize, damage: &Damage| {
        let damaged = damage.apply(&image);
        let earliest = match damage.kind {
            // What is in the data file does not depend on the log.
            TAIL_ZEROED | SEGMENT_LOST => stored,
            _ => floor,
        };
        let mut outcome = quietly(|| Ok(undamaged.judge(&damaged, earliest)));
        if outcome.is_ok() && at.is_multiple_of(SALVAGED * part) {
            let salvaged = quietly(|| undamaged.salvage(&damaged, earliest));
            outcome = salvaged.map_err(|what| format!("salvage: {what}")).and(outcome);
        }
        let outcome = match outcome.unwrap_or_else(Outcome::Missed) {
            Outcome::Missed(what) => Outcome::Missed(format!(
                "{} of {} ({:?}): {what}",
                damage.kind,
                damage.file.display(),
                damage.change
            )),
            outcome => outcome,
        };
        (damage.kind, outcome)
    };
    let mut outcomes = each(effort.threads, &damages, effort.is_over, work);
    outcomes.sort_by_key(|(kind, _)| *kind);
    Ok(Damaged {
        outcomes,
        duration: begun.elapsed(),
    })
}

/// The newest commit that was promised before the last flush of the log began. The first sync of a file that was made
/// meanwhile is none: there is nothing of the log in it yet. Nor is a sync of the data file, of a checkpoint beside.
fn before_last_flush(recording: &Recording, point: usize) -> CommitId {
    let operations = &recording.trace.operations[..point];
    let is_of_new_file = |index: usize, file| {
        let before = operations[..index].iter().rev();
        let mut made = before.filter_map(|operation| match operation {
            Operation::Create { inode, .. } if *inode == file => Some(true),
            Operation::Sync { inode, .. } if *inode == file => Some(false),
            _ => None,
        });
        made.next().unwrap_or(false)
    };
    // Each opening begins by writing a superblock.
    let data_file = operations.iter().find_map(|operation| match operation {
        Operation::Write { inode, data, .. } if data.starts_with(DATA_MAGIC) => Some(*inode),
        _ => None,
    });
    let is_flush = |index: usize| match operations[index] {
        Operation::Sync { inode, .. } => Some(inode) != data_file && !is_of_new_file(index, inode),
        Operation::SyncWrite { .. } => true,
        _ => false,
    };
    let last = (0..point).rev().find(|index| is_flush(*index));
    recording.ledger.promised(last.unwrap_or(0))
}

fn damages(image: &Image, flips: usize, seed: u64) -> Vec<Damage> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut damages = Vec::new();
    let data = Path::new(DATABASE);
    let Some(bytes) = image.files.get(data) else {
        return damages;
    };
    let mut push = |kind, file: &Path, change| {
        damages.push(Damage {
            kind,
            file: file.to_path_buf(),
            change,
        });
    };
    let mut flip = |ranges: &[Range<usize>]| {
        let bytes: usize = ranges.iter().map(Range::len).sum();
        let stride = bytes.div_ceil(flips.max(1)).max(1);
        let all = ranges.iter().cloned().flatten().step_by(stride);
        let changes = all.map(|byte| Change::Flip {
            byte,
            bit: random.random_range(0..8),
        });
        changes.collect::<Vec<_>>()
    };
    for change in flip(std::slice::from_ref(&(0..SUPERBLOCKS.min(bytes.len())))) {
        push("superblock: bit flip", data, change);
    }
    let extents = extents(bytes);
    let ranges: Vec<_> = extents.iter().map(|&(from, len)| from..from + len).collect();
    for change in flip(&ranges) {
        push("extent: bit flip", data, change);
    }
    for (at, &(from, len)) in extents.iter().enumerate() {
        push("extent: zeroed", data, Change::Zero { from, len });
        push(
            "extent: one sector zeroed",
            data,
            Change::Zero {
                from: from + len - SECTOR,
                len: SECTOR,
            },
        );
        if let Some(&(to, _)) = extents.get((at + 1) % extents.len()) {
            push(
                "extent: written over another",
                data,
                Change::Copy { from, to, len },
            );
        }
    }
    for (old, new) in generations(bytes, &extents) {
        let (from, len) = old;
        push(
            "extent: an older image of the page",
            data,
            Change::Copy { from, to: new.0, len },
        );
    }
    push("data file: emptied", data, Change::Replace(Arc::default()));
    let logs: Vec<_> = image
        .files
        .iter()
        .filter(|(path, _)| path.as_path() != data)
        .collect();
    let newest = logs
        .iter()
        .max_by_key(|(_, bytes)| sequence(bytes))
        .map(|(path, _)| *path);
    for (at, (path, bytes)) in logs.iter().enumerate() {
        let used = bytes
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        for change in flip(std::slice::from_ref(&(0..used.min(LOG_HEADER)))) {
            push("log header: bit flip", path, change);
        }
        for change in flip(std::slice::from_ref(&(LOG_HEADER.min(used)..used))) {
            push("log frames: bit flip", path, change);
        }
        for from in (LOG_HEADER..used).step_by(SECTOR) {
            // A frame behind it tells how far the log was durable.
            let has_frame_behind = bytes[from + SECTOR..used.max(from + SECTOR)]
                .windows(4)
                .any(|bytes| bytes == FRAME_MAGIC);
            let kind = if has_frame_behind || Some(*path) != newest {
                SECTOR_ZEROED
            } else {
                TAIL_ZEROED
            };
            push(kind, path, Change::Zero { from, len: SECTOR });
        }
        if used > LOG_HEADER {
            let len = LOG_HEADER;
            push("log: both headers zeroed", path, Change::ZeroEnds { len });
        }
        let Some((_, other)) = logs.get((at + 1) % logs.len()).filter(|_| logs.len() > 1) else {
            continue;
        };
        let kind = if Some(*path) == newest {
            SEGMENT_LOST
        } else {
            "log: a segment over another"
        };
        push(kind, path, Change::Replace(Arc::clone(other)));
    }
    damages
}

/// At most about `most` of each kind, evenly spread.
fn thinned(damages: Vec<Damage>, most: usize) -> Vec<Damage> {
    let mut by_kind: BTreeMap<&'static str, Vec<Damage>> = BTreeMap::new();
    for damage in damages {
        by_kind.entry(damage.kind).or_default().push(damage);
    }
    let kinds = by_kind.into_values();
    let thinned = kinds.flat_map(|damages| {
        let stride = damages.len().div_ceil(most.max(1)).max(1);
        damages.into_iter().step_by(stride)
    });
    thinned.collect()
}

/// Pairs of extents that hold different images of the same page, of one size: what a lost write leaves, and should have
/// left (offsets of the header's fields in docs/format.md).
fn generations(bytes: &[u8], extents: &[(usize, usize)]) -> Vec<((usize, usize), (usize, usize))> {
    let is_page = |at: usize| bytes[at + 24] == 1;
    let number = |at: usize| &bytes[at + 4..at + 8];
    let stamp = |at: usize| &bytes[at + 8..at + 16];
    let sizes = |at: usize| &bytes[at + 16..at + 24];
    let mut pairs = Vec::new();
    for &old in extents.iter().filter(|extent| is_page(extent.0)) {
        for &new in extents.iter().filter(|extent| is_page(extent.0)) {
            if number(old.0) == number(new.0) && sizes(old.0) == sizes(new.0) && stamp(old.0) != stamp(new.0)
            {
                pairs.push((old, new));
            }
        }
    }
    pairs
}

/// The sequence number in a log segment's header (docs/format.md); 0 in a file that was not used yet.
fn sequence(bytes: &[u8]) -> u64 {
    let field = bytes.get(16..24).and_then(|field| field.try_into().ok());
    field.map_or(0, u64::from_le_bytes)
}

/// The extents of a data file: where they begin, and their length up to the next.
fn extents(bytes: &[u8]) -> Vec<(usize, usize)> {
    let is_start = |at: &usize| bytes[*at..].starts_with(EXTENT_MAGIC);
    let mut starts: Vec<usize> = (SUPERBLOCKS..bytes.len())
        .step_by(SECTOR)
        .filter(is_start)
        .collect();
    starts.push(bytes.len());
    starts
        .windows(2)
        .map(|pair| (pair[0], pair[1] - pair[0]))
        .collect()
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flip { byte, bit } => write!(f, "bit {bit} of byte {byte}"),
            Self::Zero { from, len } => write!(f, "{len} bytes at {from}"),
            Self::Copy { from, to, len } => write!(f, "{len} bytes at {from}, copied to {to}"),
            Self::ZeroEnds { len } => write!(f, "{len} bytes at either end"),
            Self::Replace(_) => write!(f, "the whole file"),
        }
    }
}

impl Damage {
    fn apply(&self, image: &Image) -> Image {
        let mut image = image.clone();
        let Some(bytes) = image.files.get_mut(&self.file) else {
            return image;
        };
        match &self.change {
            Change::Replace(other) => *bytes = Arc::clone(other),
            change => {
                let bytes = Arc::make_mut(bytes);
                match *change {
                    Change::Flip { byte, bit } => bytes[byte] ^= 1 << bit,
                    Change::Zero { from, len } => bytes[from..from + len].fill(0),
                    Change::Copy { from, to, len } => {
                        let len = len.min(bytes.len() - to);
                        bytes.copy_within(from..from + len, to);
                    }
                    Change::ZeroEnds { len } => {
                        let end = bytes.len();
                        bytes[..len].fill(0);
                        bytes[end - len..].fill(0);
                    }
                    Change::Replace(_) => {}
                }
            }
        }
        image
    }
}

/// What the files are compared with.
struct Undamaged<'a> {
    ledger: &'a Ledger,
    settings: &'a Settings,
    /// The newest commit in the files.
    last: CommitId,
}

/// The newest commit of a sound database, and the newest that its data file holds.
fn last_commits(image: &Image, settings: &Settings) -> engine::Result<(CommitId, CommitId)> {
    let vfs = SimulatedVfs::from_image(image, 1);
    let database = settings.options(&vfs)?.open(DATABASE)?;
    let last = database.snapshot().commit_id();
    let stored = CommitId(last.0.saturating_sub(database.recovery().commits));
    abandon(&vfs, database);
    Ok((last, stored))
}

/// Whether an error says that files are damaged.
fn names_damage(error: &Error) -> bool {
    matches!(
        error,
        Error::Corruption { .. }
            | Error::Mismatch { .. }
            | Error::NotADatabase { .. }
            | Error::UnsupportedVersion { .. }
    )
}

/// What an error of the engine means here.
fn answered(error: &Error) -> Outcome {
    if names_damage(error) {
        Outcome::Detected
    } else {
        Outcome::Missed(format!("the error does not name the damage: {error}"))
    }
}

impl Undamaged<'_> {
    /// `earliest` is the oldest commit with which the log may end.
    fn judge(&self, image: &Image, earliest: CommitId) -> Outcome {
        let vfs = SimulatedVfs::from_image(image, 1);
        let opened = self
            .settings
            .options(&vfs)
            .and_then(|options| options.open(DATABASE));
        let database = match opened {
            Ok(database) => database,
            Err(error) => return answered(&error),
        };
        let outcome = self.judge_open(&database, earliest);
        abandon(&vfs, database);
        outcome
    }

    /// Every row is there, or reported as lost.
    fn salvage(&self, image: &Image, earliest: CommitId) -> Result<(), String> {
        rescue::of_damaged(image, self.settings, &self.ledger.states, earliest, self.last)
    }

    fn judge_open(&self, database: &Database, earliest: CommitId) -> Outcome {
        if let Err(error) = reads(database) {
            return answered(&error);
        }
        let commit = match self.ledger.states.check(database) {
            Ok((commit, _)) => commit,
            Err(what) => return Outcome::Missed(what.into()),
        };
        match database.verify() {
            Ok(report) if report.is_sound() => {}
            Ok(_) => return Outcome::Detected,
            Err(error) => return answered(&error),
        }
        if commit >= self.last {
            return Outcome::Harmless;
        }
        if commit < earliest {
            return Outcome::Missed(format!(
                "the database ends with commit {commit} of {} and says nothing",
                self.last
            ));
        }
        Outcome::CutOff
    }
}

/// Reads every row.
fn reads(database: &Database) -> engine::Result<()> {
    let snapshot = database.snapshot();
    for name in database.table_names() {
        let mut scan = snapshot.scan(database.table(&name)?, ..)?;
        while scan.next_row()?.is_some() {}
    }
    Ok(())
}
