//! The segment files of a running log: which are live, which are spare, and how one becomes the other.
//!
//! A spare is a file of full length under the name of the next sequence number: zeroed and synced, or renamed from a
//! segment that a checkpoint made superfluous. The appender takes the oldest spare; its header is written together
//! with its first frames. Spares are made ahead in the background ([`Segments::prepare`]); when there is none, the
//! appender makes one itself and its commits wait for it.
//!
//! Lock order: `making` (held over file operations) before `state` (never).

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::discover::FoundFile;
use super::options::{WalOptions, WalStats, WalSync};
use super::probe::faster_sync;
use super::segment::{self, Segment, SegmentHeader};
use crate::error::{Error, Result};
use crate::ids::LogPosition;
use crate::vfs::Vfs;

/// However busy the log is, no more spares than this are kept.
const SPARES_MAX: usize = 16;

/// A file that part of the log is in, or was in.
#[derive(Debug)]
struct Live {
    path: PathBuf,
    end: LogPosition,
    segment_size: u64,
}

/// A file ready for use.
#[derive(Debug)]
struct Spare {
    sequence: u64,
    path: PathBuf,
}

#[derive(Debug, Default)]
struct State {
    live: VecDeque<Live>,
    spares: VecDeque<Spare>,
    next_sequence: u64,
    taken_since_checkpoint: usize,
    /// Most spares that somebody wanted at once since the last checkpoint.
    wanted_since_checkpoint: usize,
}

/// Live and spare segment files.
#[derive(Debug)]
pub(super) struct Segments {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
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
            ..State::default()
        };
        let segments = Self {
            vfs,
            dir: options.dir.clone(),
            segment_size,
            prepare_ahead: options.prepare_ahead,
            direct: false,
            state: Mutex::default(),
            making: Mutex::default(),
            created: AtomicU64::new(0),
            recycled: AtomicU64::new(0),
            removed: AtomicU64::new(0),
        };
        for file in found {
            let spare = file.is_spare();
            if spare && file.len == segment_size && state.spares.len() <= options.prepare_ahead {
                let spare = segments.rename_to_spare(&file.path, state.next_sequence)?;
                state.next_sequence += 1;
                state.spares.push_back(spare);
            } else if spare {
                segments.remove(&file.path)?;
            } else if let Some(header) = file.header {
                state.live.push_back(Live {
                    path: file.path,
                    end: header.end(),
                    segment_size: file.len,
                });
            }
        }
        *segments.state.lock() = state;
        Ok(segments)
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

    /// The next segment, in use from now on. `previous_end` is where the log ends before it, `durable` how far that
    /// is known durable.
    pub(super) fn take(&self, previous_end: LogPosition, durable: LogPosition) -> Result<Arc<Segment>> {
        let spare = match self.pop_spare() {
            Some(spare) => spare,
            None => {
                // Somebody may be making one right now; then this waits for it.
                let _making = self.making.lock();
                match self.pop_spare() {
                    Some(spare) => spare,
                    None => {
                        crate::reach::mark(crate::reach::Mechanism::SegmentMadeByCommit);
                        self.create_spare()?
                    }
                }
            }
        };
        let file = segment::open(&*self.vfs, &spare.path, self.direct)?;
        let header = SegmentHeader {
            salt: salt(self.vfs.random(), spare.sequence),
            sequence: spare.sequence,
            segment_size: self.segment_size,
            wall_clock_ms: segment::wall_clock_ms(&*self.vfs),
            previous_end,
            durable,
        };
        let mut state = self.state.lock();
        state.taken_since_checkpoint += 1;
        state.live.push_back(Live {
            path: spare.path.clone(),
            end: header.end(),
            segment_size: self.segment_size,
        });
        drop(state);
        Ok(Arc::new(Segment {
            header,
            path: spare.path,
            file,
        }))
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
                let spare = self.rename_to_spare(&live.path, sequence)?;
                let mut state = self.state.lock();
                state.next_sequence = sequence + 1;
                state.spares.push_back(spare);
            } else {
                self.remove(&live.path)?;
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

    /// A new zeroed file. The caller holds `making`, which keeps the numbers in order.
    fn create_spare(&self) -> Result<Spare> {
        let sequence = self.state.lock().next_sequence;
        let path = segment::path_of(&self.dir, sequence);
        segment::create_zeroed(&*self.vfs, &path, self.segment_size)?;
        self.state.lock().next_sequence = sequence + 1;
        self.created.fetch_add(1, Ordering::Relaxed);
        crate::reach::mark(crate::reach::Mechanism::SegmentCreated);
        Ok(Spare { sequence, path })
    }

    /// A file of an earlier use under a new name. Its old header stays until its first flush, and says which it is.
    fn rename_to_spare(&self, from: &std::path::Path, sequence: u64) -> Result<Spare> {
        let path = segment::path_of(&self.dir, sequence);
        self.vfs
            .rename(from, &path)
            .map_err(|e| Error::io("rename", from, e))?;
        self.recycled.fetch_add(1, Ordering::Relaxed);
        crate::reach::mark(crate::reach::Mechanism::SegmentRecycled);
        Ok(Spare { sequence, path })
    }

    fn remove(&self, path: &std::path::Path) -> Result<()> {
        self.vfs.remove(path).map_err(|e| Error::io("remove", path, e))?;
        self.removed.fetch_add(1, Ordering::Relaxed);
        crate::reach::mark(crate::reach::Mechanism::SegmentRemoved);
        Ok(())
    }
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
}
