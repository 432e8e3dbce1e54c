//! The segment files of a running log: which are live, which are spare, and how one becomes the other.
//!
//! A spare is a file of full length under the name of the next sequence number: zeroed and synced, or renamed from a
//! segment that a checkpoint made superfluous. The appender takes the oldest spare; its header is written together
//! with its first frames. Spares are made ahead in the background ([`Segments::prepare`]); when there is none, the
//! appender makes one itself and its commits wait for it.
//!
//! How large segments are and how many spares are kept follows the need (`sizes.rs`): the spares together are no more than
//! it. So the log of a small database is small, one under load has large segments, and after a load it becomes small again
//! ([`Segments::forget_need`]).
//!
//! Files are known by name, and people move names: so before a name is created, changed or removed, directory and file are
//! compared with what they were, and no name is ever taken that something has already. The log of another database
//! that was put in this one's place is left alone.
//!
//! Lock order: `making` (held over file operations) before `state` (never).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::discover::FoundFile;
use super::files::{Live, Spare, State};
use super::numbering::{first_sequence, first_start, salt, time_line, time_line_at};
use super::options::{WalOptions, WalStats, WalSync};
use super::probe::faster_sync;
use super::segment::{self, Segment, SegmentHeader};
use super::sizes::Sizes;
use crate::error::{Error, Result};
use crate::ids::LogPosition;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::vfs::{self, FileId, Vfs};

/// Spares that are kept while the disk has room for more: on a full one the last is for the next opening, and the other for
/// commits that make room, until a checkpoint gives back what they have left.
pub(crate) const KEPT_SPARES: usize = 2;

/// Live and spare segment files.
#[derive(Debug)]
pub(super) struct Segments {
    pub(super) vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    dir_id: FileId,
    pub(super) database_id: u64,
    /// Of every segment that is taken.
    time_line: u64,
    pub(super) sizes: Sizes,
    pub(super) prepare_ahead: usize,
    direct: bool,
    pub(super) state: Mutex<State>,
    pub(super) making: Mutex<()>,
    zeroed: AtomicU64,
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
        let mut state = State {
            next_sequence: first_sequence(&found)?,
            next_start: first_start(&found, after)?,
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
            if spare
                && segments.sizes.can_be_used(file.len)
                && state.spares.len() <= options.prepare_ahead
                && file.make_durable(&*segments.vfs)
            {
                let spare = segments.rename_to_spare(&file.path, file.id, file.len, state.next_sequence)?;
                state.next_sequence = spare.sequence + 1;
                state.spares.push_back(spare);
            } else if spare {
                segments.remove(&file.path, file.id)?;
            } else if let Some(header) = file.header {
                let is_past = options.needed_from.is_some_and(|from| header.end() <= from);
                if is_past && segments.sizes.can_be_used(file.len) && state.spares.is_empty() {
                    // A checkpoint that was cut off has not come to this.
                    let spare =
                        segments.rename_to_spare(&file.path, file.id, file.len, state.next_sequence)?;
                    state.next_sequence = spare.sequence + 1;
                    state.spares.push_back(spare);
                    continue;
                }
                state.live.push_back(Live {
                    path: file.path,
                    id: file.id,
                    start: header.start(),
                    end: header.end(),
                    size: file.len,
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
            sizes: Sizes::new(options),
            prepare_ahead: options.prepare_ahead,
            direct: false,
            state: Mutex::default(),
            making: Mutex::default(),
            zeroed: AtomicU64::new(0),
            created: AtomicU64::new(0),
            recycled: AtomicU64::new(0),
            removed: AtomicU64::new(0),
        }
    }

    /// Chooses how a flush makes this log durable, by measuring it on a spare where the options leave it open. To be
    /// called before the first [`Segments::take`]. The log goes on behind `after`.
    pub(super) fn choose_sync(&mut self, wanted: WalSync, after: LogPosition) -> Result<WalSync> {
        if let Err(error) = self.prepare_count(1)
            && !(error.is_disk_full() && self.reuse_abandoned(after)?)
        {
            return Err(error);
        }
        let state = self.state.get_mut();
        let spare = state.spares.front().expect("one was just made");
        let path = &spare.path;
        let vfs = &*self.vfs;
        let chosen = match wanted {
            WalSync::Auto => match segment::open(vfs, path, true) {
                Ok(direct) => {
                    let cached = segment::open(vfs, path, false)?;
                    faster_sync(vfs, &*cached, &*direct, spare.size)
                        .map_err(|e| Error::io("probe", path, e))?
                }
                Err(_) => WalSync::Fdatasync,
            },
            wanted => wanted,
        };
        self.direct = chosen == WalSync::Direct;
        Ok(chosen)
    }

    /// Makes a spare of a segment that was begun behind the end of the log: by an opening that came to nothing, or before
    /// the end was lost. Returns whether there was one.
    fn reuse_abandoned(&self, after: LogPosition) -> Result<bool> {
        let abandoned = {
            let mut state = self.state.lock();
            let is_abandoned = |live: &Live| live.start >= after && self.sizes.can_be_used(live.size);
            let index = state.live.iter().rposition(is_abandoned);
            index.and_then(|index| state.live.remove(index))
        };
        let Some(live) = abandoned else {
            return Ok(false);
        };
        self.check_place(&live.path, live.id)?;
        // Nothing of it is left before its name says that it is a spare.
        segment::make_unused(&*self.vfs, &live.path, live.size, self.database_id)?;
        let sequence = self.state.lock().next_sequence;
        let spare = self.rename_to_spare(&live.path, live.id, live.size, sequence)?;
        let mut state = self.state.lock();
        state.next_sequence = spare.sequence + 1;
        state.spares.push_back(spare);
        Ok(true)
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
                    None => {
                        let size = self.sizes.new_segment(self.state.lock().need.bytes());
                        self.create_spare(size)?
                    }
                }
            }
        };
        let opened = self
            .check_place(&spare.path, spare.id)
            .and_then(|()| segment::open(&*self.vfs, &spare.path, self.direct));
        let mut state = self.state.lock();
        let file = match opened {
            Ok(file) => file,
            Err(error) => {
                if matches!(error, Error::Io { .. }) {
                    state.spares.push_front(spare);
                }
                return Err(error);
            }
        };
        let header = SegmentHeader {
            salt: salt(self.vfs.random(), spare.sequence),
            sequence: spare.sequence,
            segment_size: spare.size,
            wall_clock_ms: segment::wall_clock_ms(&*self.vfs),
            previous_end,
            durable,
            database_id: self.database_id,
            time_line: self.time_line,
            previous_time_line: std::mem::replace(&mut state.time_line, self.time_line),
            start: state.next_start,
        };
        state.next_start = header.end();
        state.need.took(spare.size);
        state.live.push_back(Live {
            path: spare.path.clone(),
            id: spare.id,
            start: header.start(),
            end: header.end(),
            size: spare.size,
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
        self.prepare_until(|state| state.spares.len() >= count, 0)
    }

    /// Makes spares until frames of `bytes` in total fit in them for certain, not counting those that are kept, the last one at
    /// least. They stay until the next [`Segments::end_promise`]. If there is no room for all, none is left of those that it has
    /// made.
    pub(super) fn promise(&self, bytes: u64) -> Result<()> {
        let (before, made_from) = {
            let mut state = self.state.lock();
            let before = state.promised;
            state.promised = before.max(bytes);
            (before, state.next_sequence)
        };
        let is_enough_beside = |kept: usize, state: &State| {
            let ahead = state.spares.len().saturating_sub(kept);
            let sizes = state.spares.iter().take(ahead).map(|spare| spare.size);
            sizes.map(|size| self.sizes.usable(size)).sum::<u64>() >= bytes
        };
        let Err(error) = self.prepare_until(|state| is_enough_beside(KEPT_SPARES, state), bytes) else {
            return Ok(());
        };
        if error.is_disk_full() && is_enough_beside(1, &self.state.lock()) {
            return Ok(());
        }
        {
            let mut state = self.state.lock();
            state.promised = before;
            state.is_starved |= error.is_disk_full();
        }
        let _making = self.making.lock();
        while let Some(spare) = self.pop_made_from(made_from) {
            if let Err(error) = self.remove_or_abandon(spare) {
                tracing::debug!(%error, "a spare that is too many stays for now");
            }
        }
        Err(error)
    }

    /// A spare that has this number or a later one, and is not kept.
    fn pop_made_from(&self, sequence: u64) -> Option<Spare> {
        let mut state = self.state.lock();
        let is_made = state
            .spares
            .back()
            .is_some_and(|spare| spare.sequence >= sequence);
        if is_made && state.spares.len() > KEPT_SPARES {
            return state.spares.pop_back();
        }
        None
    }

    /// Whether a spare that was wanted could not be made for want of room, since this was asked last.
    pub(super) fn take_starved(&self) -> bool {
        std::mem::take(&mut self.state.lock().is_starved)
    }

    /// No commit is being applied: nobody relies on spares any more.
    pub(super) fn end_promise(&self) {
        self.state.lock().promised = 0;
    }

    fn prepare_until(&self, is_enough: impl Fn(&State) -> bool, wanted: u64) -> Result<()> {
        while !is_enough(&self.state.lock()) {
            let _making = self.making.lock();
            let need = {
                let state = self.state.lock();
                if is_enough(&state) {
                    break;
                }
                state.need.bytes()
            };
            let mut size = self.sizes.new_segment(need.max(wanted));
            let spare = loop {
                match self.create_spare(size) {
                    // A smaller one may be enough, and for a smaller one there may be room.
                    Err(error) if error.is_disk_full() && size > self.sizes.smallest => {
                        size = self.sizes.new_segment(size);
                    }
                    answer => break answer?,
                }
            };
            self.state.lock().spares.push_back(spare);
        }
        Ok(())
    }

    /// Bytes of the longest frame that fits in any segment.
    pub(super) fn frame_room(&self) -> u64 {
        self.sizes.frame_room()
    }

    /// Bytes of all files.
    pub(super) fn file_bytes(&self) -> u64 {
        let state = self.state.lock();
        let live: u64 = state.live.iter().map(|live| live.size).sum();
        let abandoned: u64 = state.abandoned.iter().map(|file| file.size).sum();
        live + state.spare_bytes() + abandoned
    }

    /// Whether the files together are larger than those of a log without need: it is worth forgetting that.
    pub(super) fn is_larger_than_needed(&self) -> bool {
        self.file_bytes() > (1 + self.prepare_ahead as u64) * self.sizes.smallest
    }

    /// Whether a segment of this size is larger than this log needs by now.
    pub(super) fn is_oversize(&self, size: u64) -> bool {
        !self.sizes.fits_need(size, self.state.lock().need.bytes())
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
        spares.iter().try_for_each(|(path, id)| {
            let answer = vfs::check_identity(&*self.vfs, path, *id);
            // A checkpoint may have removed it meanwhile; then it is no spare any more.
            let is_spare = || self.state.lock().spares.iter().any(|spare| spare.path == *path);
            answer.or_else(|error| if is_spare() { Err(error) } else { Ok(()) })
        })
    }

    /// There was no room on the disk: for a while no spare is kept that is not sure to be needed.
    pub(super) fn be_sparing(&self) {
        self.state.lock().need.be_sparing();
    }

    pub(super) fn spare_count(&self) -> usize {
        self.state.lock().spares.len()
    }

    /// Adds this part's counters.
    pub(super) fn count(&self, stats: &mut WalStats) {
        stats.bytes_zeroed = self.zeroed.load(Ordering::Relaxed);
        stats.segments_created = self.created.load(Ordering::Relaxed);
        stats.segments_recycled = self.recycled.load(Ordering::Relaxed);
        stats.segments_removed = self.removed.load(Ordering::Relaxed);
    }

    fn pop_spare(&self) -> Option<Spare> {
        self.state.lock().spares.pop_front()
    }

    /// A new file. The caller holds `making`, which keeps the numbers in order.
    fn create_spare(&self, size: u64) -> Result<Spare> {
        self.check_directory()?;
        let sequence = self.free_name(self.state.lock().next_sequence)?;
        let path = segment::path_of(&self.dir, sequence);
        let id = segment::create(&*self.vfs, &path, size, self.database_id)?;
        self.state.lock().next_sequence = sequence + 1;
        self.created.fetch_add(1, Ordering::Relaxed);
        self.zeroed.fetch_add(size, Ordering::Relaxed);
        crate::reach::mark(crate::reach::Mechanism::SegmentCreated);
        Ok(Spare {
            sequence,
            path,
            id,
            size,
        })
    }

    /// A file of an earlier use under a new name, with `sequence` or a higher number. Its old header stays until its first
    /// flush, and says which it is.
    pub(super) fn rename_to_spare(&self, from: &Path, id: FileId, size: u64, sequence: u64) -> Result<Spare> {
        self.check_place(from, id)?;
        let sequence = self.free_name(sequence)?;
        let path = segment::path_of(&self.dir, sequence);
        self.vfs
            .rename(from, &path)
            .map_err(|e| Error::io("rename", from, e))?;
        self.recycled.fetch_add(1, Ordering::Relaxed);
        crate::reach::mark(crate::reach::Mechanism::SegmentRecycled);
        Ok(Spare {
            sequence,
            path,
            id,
            size,
        })
    }

    pub(super) fn remove(&self, path: &Path, id: FileId) -> Result<()> {
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
    pub(super) fn check_place(&self, path: &Path, id: FileId) -> Result<()> {
        self.check_directory()?;
        vfs::check_identity(&*self.vfs, path, id)
    }
}
