//! The segment files of a running log: which are live, which are spare, and how one becomes the other.
//!
//! A spare is a file of full length under the name of the next sequence number: zeroed and synced, or renamed from a
//! segment that a checkpoint made superfluous. The appender takes the oldest spare; its header is written together
//! with its first frames. Spares are made ahead in the background ([`Segments::prepare`]); when there is none, the
//! appender makes one itself and its commits wait for it.
//!
//! Files are known by name, and people move names: so before a name is created, changed or removed, directory and file are
//! compared with what they were, and no name is ever taken that something has already. The log of another database
//! that was put in this one's place is left alone.
//!
//! Lock order: `making` (held over file operations) before `state` (never).

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::discover::FoundFile;
use super::options::{WalOptions, WalStats, WalSync};
use super::probe::faster_sync;
use super::segment::{self, Segment, SegmentHeader};
use crate::error::{Error, Result};
use crate::ids::LogPosition;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::vfs::{self, FileId, Vfs};

/// However busy the log is, no more spares than this are kept.
const SPARES_MAX: usize = 16;

/// A file that part of the log is in, or was in.
#[derive(Debug)]
struct Live {
    path: PathBuf,
    id: FileId,
    end: LogPosition,
    segment_size: u64,
}

/// A file ready for use.
#[derive(Debug)]
struct Spare {
    sequence: u64,
    path: PathBuf,
    id: FileId,
}

#[derive(Debug, Default)]
struct State {
    live: VecDeque<Live>,
    spares: VecDeque<Spare>,
    next_sequence: u64,
    /// Of the segment that was taken last.
    time_line: u64,
    taken_since_checkpoint: usize,
    /// Most spares that somebody wanted at once since the last checkpoint.
    wanted_since_checkpoint: usize,
}

/// Live and spare segment files.
#[derive(Debug)]
pub(super) struct Segments {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    dir_id: FileId,
    database_id: u64,
    /// Of every segment that is taken.
    time_line: u64,
    segment_size: u64,
    prepare_ahead: usize,
    direct: bool,
    state: Mutex<State>,
    making: Mutex<()>,
    created: AtomicU64,
    recycled: AtomicU64,
    removed: AtomicU64,
}

impl Segments {
    /// Takes over the files that `found` lists: spares of the right size for use, the others as live until a
    /// checkpoint passes them. The first sequence number is higher than any existing one and starts at or after `after`.
    pub(super) fn new(
        vfs: Arc<dyn Vfs>,
        options: &WalOptions,
        found: Vec<FoundFile>,
        after: LogPosition,
    ) -> Result<Self> {
        let segment_size = options.segment_size;
        let mut state = State {
            next_sequence: first_sequence(&found, segment_size, after)?,
            time_line: time_line_at(&found, after),
            ..State::default()
        };
        let mut segments = Self::read_only(vfs, options);
        let dir = &segments.dir;
        segments.dir_id = segments
            .vfs
            .identity(dir)
            .map_err(|e| Error::io("look at", dir, e))?;
        segments.time_line = time_line(segments.vfs.random(), state.next_sequence);
        for file in found {
            let spare = file.is_spare();
            if spare && file.len == segment_size && state.spares.len() <= options.prepare_ahead {
                let spare = segments.rename_to_spare(&file.path, file.id, state.next_sequence)?;
                state.next_sequence = spare.sequence + 1;
                state.spares.push_back(spare);
            } else if spare {
                segments.remove(&file.path, file.id)?;
            } else if let Some(header) = file.header {
                state.live.push_back(Live {
                    path: file.path,
                    id: file.id,
                    end: header.end(),
                    segment_size: file.len,
                });
            }
        }
        *segments.state.lock() = state;
        Ok(segments)
    }

    /// No files: for a log that is not written.
    pub(super) fn read_only(vfs: Arc<dyn Vfs>, options: &WalOptions) -> Self {
        Self {
            vfs,
            dir: options.dir.clone(),
            dir_id: FileId::default(),
            database_id: options.database_id,
            time_line: 0,
            segment_size: options.segment_size,
            prepare_ahead: options.prepare_ahead,
            direct: false,
            state: Mutex::default(),
            making: Mutex::default(),
            created: AtomicU64::new(0),
            recycled: AtomicU64::new(0),
            removed: AtomicU64::new(0),
        }
    }

    /// Chooses how a flush makes this log durable, by measuring it on a spare where the options leave it open. To be
    /// called before the first [`Segments::take`].
    pub(super) fn choose_sync(&mut self, wanted: WalSync) -> Result<WalSync> {
        self.prepare_count(1)?;
        let state = self.state.get_mut();
        let path = &state.spares.front().expect("one was just made").path;
        let vfs = &*self.vfs;
        let chosen = match wanted {
            WalSync::Auto => match segment::open(vfs, path, true) {
                Ok(direct) => {
                    let cached = segment::open(vfs, path, false)?;
                    faster_sync(vfs, &*cached, &*direct, self.segment_size)
                        .map_err(|e| Error::io("probe", path, e))?
                }
                Err(_) => WalSync::Fdatasync,
            },
            wanted => wanted,
        };
        self.direct = chosen == WalSync::Direct;
        Ok(chosen)
    }

    /// A segment of before, to write a guard into it.
    pub(super) fn open_live(&self, file: FoundFile) -> Result<Option<Arc<Segment>>> {
        let Some(header) = file.header else {
            return Ok(None);
        };
        self.check_place(&file.path, file.id)?;
        Ok(Some(Arc::new(Segment {
            header,
            file: segment::open(&*self.vfs, &file.path, self.direct)?,
            path: file.path,
        })))
    }

    /// The next segment, in use from now on. `previous_end` is where the log ends before it, `durable` how far that
    /// is known durable.
    pub(super) fn take(&self, previous_end: LogPosition, durable: LogPosition) -> Result<Arc<Segment>> {
        let segment = self.open_next(previous_end, durable)?;
        Ok(Arc::new(segment))
    }

    /// The time line of this log.
    pub(super) fn time_line(&self) -> u64 {
        self.time_line
    }

    fn open_next(&self, previous_end: LogPosition, durable: LogPosition) -> Result<Segment> {
        let spare = match self.pop_spare() {
            Some(spare) => spare,
            None => {
                // Somebody may be making one right now; then this waits for it.
                let _making = self.making.lock();
                match self.pop_spare() {
                    Some(spare) => spare,
                    None => self.create_spare()?,
                }
            }
        };
        self.check_place(&spare.path, spare.id)?;
        let file = segment::open(&*self.vfs, &spare.path, self.direct)?;
        let mut state = self.state.lock();
        let header = SegmentHeader {
            salt: salt(self.vfs.random(), spare.sequence),
            sequence: spare.sequence,
            segment_size: self.segment_size,
            wall_clock_ms: segment::wall_clock_ms(&*self.vfs),
            previous_end,
            durable,
            database_id: self.database_id,
            time_line: self.time_line,
            previous_time_line: std::mem::replace(&mut state.time_line, self.time_line),
        };
        state.taken_since_checkpoint += 1;
        state.live.push_back(Live {
            path: spare.path.clone(),
            id: spare.id,
            end: header.end(),
            segment_size: self.segment_size,
        });
        Ok(Segment {
            header,
            path: spare.path,
            file,
        })
    }

    /// Makes spares until there are `prepare_ahead`.
    pub(super) fn prepare(&self) -> Result<()> {
        self.prepare_count(self.prepare_ahead)
    }

    /// Makes spares until there are `count`.
    pub(super) fn prepare_count(&self, count: usize) -> Result<()> {
        {
            let mut state = self.state.lock();
            state.wanted_since_checkpoint = state.wanted_since_checkpoint.max(count);
        }
        while self.spare_count() < count {
            let _making = self.making.lock();
            if self.spare_count() >= count {
                break;
            }
            let spare = self.create_spare()?;
            self.state.lock().spares.push_back(spare);
        }
        Ok(())
    }

    /// Checks that the spares are still where they were, before something relies on taking them.
    pub(super) fn check_spares(&self) -> Result<()> {
        self.check_directory()?;
        let spares: Vec<_> = {
            let state = self.state.lock();
            state
                .spares
                .iter()
                .map(|spare| (spare.path.clone(), spare.id))
                .collect()
        };
        spares
            .iter()
            .try_for_each(|(path, id)| vfs::check_identity(&*self.vfs, path, *id))
    }

    pub(super) fn spare_count(&self) -> usize {
        self.state.lock().spares.len()
    }

    /// Makes spares of the segments that end at or before `position`, and removes those that are too many.
    pub(super) fn recycle_before(&self, position: LogPosition) -> Result<()> {
        let _making = self.making.lock();
        let kept_max = {
            let mut state = self.state.lock();
            let taken = std::mem::take(&mut state.taken_since_checkpoint);
            let wanted = std::mem::take(&mut state.wanted_since_checkpoint);
            (taken + wanted).min(SPARES_MAX).max(self.prepare_ahead)
        };
        while let Some(live) = self.pop_live(position) {
            if live.segment_size == self.segment_size && self.spare_count() < kept_max {
                let sequence = self.state.lock().next_sequence;
                let spare = self.rename_to_spare(&live.path, live.id, sequence)?;
                let mut state = self.state.lock();
                state.next_sequence = spare.sequence + 1;
                state.spares.push_back(spare);
            } else {
                self.remove(&live.path, live.id)?;
            }
        }
        Ok(())
    }

    /// Adds this part's counters.
    pub(super) fn count(&self, stats: &mut WalStats) {
        stats.segments_created = self.created.load(Ordering::Relaxed);
        stats.segments_recycled = self.recycled.load(Ordering::Relaxed);
        stats.segments_removed = self.removed.load(Ordering::Relaxed);
    }

    fn pop_spare(&self) -> Option<Spare> {
        self.state.lock().spares.pop_front()
    }

    fn pop_live(&self, position: LogPosition) -> Option<Live> {
        let mut state = self.state.lock();
        let is_mistaken = state.live.len() > 1 && crate::planted::makes(crate::planted::Fault::RecycleTooFar);
        let too_far = if is_mistaken { self.segment_size } else { 0 };
        let oldest_is_past = state
            .live
            .front()
            .is_some_and(|live| live.end.0 <= position.0 + too_far);
        if oldest_is_past {
            state.live.pop_front()
        } else {
            None
        }
    }

    /// A new file. The caller holds `making`, which keeps the numbers in order.
    fn create_spare(&self) -> Result<Spare> {
        self.check_directory()?;
        let sequence = self.free_name(self.state.lock().next_sequence)?;
        let path = segment::path_of(&self.dir, sequence);
        let id = segment::create(&*self.vfs, &path, self.segment_size, self.database_id)?;
        self.state.lock().next_sequence = sequence + 1;
        self.created.fetch_add(1, Ordering::Relaxed);
        crate::reach::mark(crate::reach::Mechanism::SegmentCreated);
        Ok(Spare { sequence, path, id })
    }

    /// A file of an earlier use under a new name, with `sequence` or a higher number. Its old header stays until its first
    /// flush, and says which it is.
    fn rename_to_spare(&self, from: &Path, id: FileId, sequence: u64) -> Result<Spare> {
        self.check_place(from, id)?;
        let sequence = self.free_name(sequence)?;
        let path = segment::path_of(&self.dir, sequence);
        self.vfs
            .rename(from, &path)
            .map_err(|e| Error::io("rename", from, e))?;
        self.recycled.fetch_add(1, Ordering::Relaxed);
        crate::reach::mark(crate::reach::Mechanism::SegmentRecycled);
        Ok(Spare { sequence, path, id })
    }

    fn remove(&self, path: &Path, id: FileId) -> Result<()> {
        self.check_place(path, id)?;
        self.vfs.remove(path).map_err(|e| Error::io("remove", path, e))?;
        self.removed.fetch_add(1, Ordering::Relaxed);
        crate::reach::mark(crate::reach::Mechanism::SegmentRemoved);
        Ok(())
    }

    /// The first number from `sequence` on whose name nothing has: a file that is there by somebody else's doing is not
    /// written over.
    fn free_name(&self, mut sequence: u64) -> Result<u64> {
        loop {
            let path = segment::path_of(&self.dir, sequence);
            if !self
                .vfs
                .exists(&path)
                .map_err(|e| Error::io("look for", &path, e))?
            {
                return Ok(sequence);
            }
            sequence += 1;
        }
    }

    /// That the log's directory is still where it was.
    fn check_directory(&self) -> Result<()> {
        vfs::check_identity(&*self.vfs, &self.dir, self.dir_id)
    }

    /// That the file is still where it was.
    fn check_place(&self, path: &Path, id: FileId) -> Result<()> {
        self.check_directory()?;
        vfs::check_identity(&*self.vfs, path, id)
    }
}

/// The time line of the segment that `position` is in; 0 for a log that begins.
fn time_line_at(found: &[FoundFile], position: LogPosition) -> u64 {
    let file = found.iter().find(|file| file.holds(position));
    file.and_then(|file| file.header.as_ref())
        .map_or(0, |header| header.time_line)
}

/// The time line of a log that begins with this segment: never 0, and another than before even if the randomness starts
/// over, since sequence numbers do not repeat.
fn time_line(random: u64, sequence: u64) -> u64 {
    // SplitMix64's last steps (Steele, Lea, Flood 2014).
    let mut z = random ^ sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)).max(1)
}

/// The salt of a segment. Sequence numbers never repeat in a directory, so that mixing one in keeps the salts of a
/// file's uses apart even if the randomness starts over when the database is opened again.
fn salt(random: u64, sequence: u64) -> u32 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random.to_le_bytes());
    bytes[8..].copy_from_slice(&sequence.to_le_bytes());
    crc32fast::hash(&bytes)
}

/// A sequence number above all in names and headers, whose segment starts at or behind every existing position.
fn first_sequence(found: &[FoundFile], segment_size: u64, after: LogPosition) -> Result<u64> {
    let named = found.iter().map(|file| file.name_sequence);
    let headed = found.iter().filter_map(|file| file.header.as_ref());
    let newest = named.chain(headed.clone().map(|header| header.sequence)).max();
    let last_end = headed.map(|header| header.end().0).chain([after.0]).max();
    let sequence = newest
        .map_or(Some(1), |newest| newest.checked_add(1))
        .map(|above| above.max(last_end.unwrap_or(0).div_ceil(segment_size)).max(1));
    // Positions of the next thousand million segments must exist too.
    sequence
        .filter(|&sequence| {
            sequence
                .checked_add(1 << 30)
                .and_then(|far| far.checked_mul(segment_size))
                .is_some()
        })
        .ok_or(Error::CapacityExceeded {
            what: "the log's position space",
            limit: u64::MAX,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salts_differ_by_sequence_and_by_randomness() {
        let salts: std::collections::BTreeSet<u32> = (0..1000).map(|sequence| salt(7, sequence)).collect();
        assert_eq!(salts.len(), 1000);
        assert_ne!(salt(7, 1), salt(8, 1));
    }

    #[test]
    fn time_lines_differ_by_sequence_and_by_randomness() {
        let lines: std::collections::BTreeSet<u64> =
            (0..1000).map(|sequence| time_line(7, sequence)).collect();
        assert_eq!(lines.len(), 1000);
        assert_ne!(time_line(7, 1), time_line(8, 1));
    }
}
