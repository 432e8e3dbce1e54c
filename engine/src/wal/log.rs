//! [`Wal`]: append, group flush, checkpoint. Appending and flushing exclude only themselves, not each other: whoever
//! flushes takes the filled buffer, leaves an empty one, and writes while the applier goes on.
//!
//! Lock order: writer, then appender, then the segment files.

use std::fmt;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::appender::{AppendState, LogAppender};
use super::discover::discover;
use super::frame::{CommitMark, FrameKind};
use super::options::{WalOptions, WalStats, WalSync};
use super::segment::{Segment, SegmentHeader};
use super::segments::Segments;
use super::writer::{Known, Writer};
use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition, PageNumber};
use crate::injected::{self, Bug};
use crate::metrics::Count;
use crate::poison::Poison;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::vfs::{Vfs, VfsFile};

/// The write-ahead log. Dropping it does not flush: what was not flushed was not promised.
///
/// ```
/// use std::sync::Arc;
/// use engine::ids::{CommitId, LogPosition, PageNumber};
/// use engine::vfs::MemoryVfs;
/// use engine::wal::{CommitMark, FrameKind, Wal, WalOptions};
///
/// # fn main() -> engine::Result<()> {
/// let vfs = Arc::new(MemoryVfs::default());
/// let options = WalOptions { segment_size: 64 << 10, ..WalOptions::new("/db/wal") };
/// let wal = Wal::start(vfs.clone(), options.clone(), LogPosition(0))?;
/// let begin = wal.end();
/// let mark = CommitMark { frame_count: 1, wall_clock_ms: 1_700_000_000_000 };
/// wal.append(PageNumber(7), CommitId(1), FrameKind::Delta, Some(mark), b"put k v")?;
/// let durable = wal.flush()?;
/// drop(wal);
///
/// let mut bodies = Vec::new();
/// let recovered = Wal::recover(&*vfs, &options, begin, durable, |commit| {
///     bodies.extend(commit.frames().map(|frame| frame.body.to_vec()));
///     Ok(())
/// })?;
/// assert_eq!(bodies, [b"put k v"]);
/// assert_eq!(recovered.end, durable);
/// # Ok(())
/// # }
/// ```
pub struct Wal {
    pub(super) segments: Segments,
    pub(super) poison: Arc<Poison>,
    /// Position behind everything durable.
    pub(super) durable: CachePadded<AtomicU64>,
    /// Most that a frame with a page image takes, in bytes.
    pub(super) frame_bytes_usual: u64,
    vfs: Arc<dyn Vfs>,
    append: CachePadded<Mutex<AppendState>>,
    writer: CachePadded<Mutex<Writer>>,
    end: CachePadded<AtomicU64>,
    buffered_bytes: AtomicUsize,
    /// Where redo starts by the checkpoint in force, and by the one that is being made or was made last.
    kept_from: AtomicU64,
    noted: AtomicU64,
    sync: WalSync,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    flushes: Count,
    flush_ns_total: Count,
    write_outs: Count,
    bytes_taken: Count,
    bytes_written: Count,
}

impl fmt::Debug for Wal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wal")
            .field("end", &self.end())
            .field("durable", &self.durable())
            .field("sync", &self.sync)
            .field("poisoned", &self.poisoned())
            .finish_non_exhaustive()
    }
}

impl Wal {
    /// Starts a new, empty log that continues after position `after`: 0 for a fresh database, else the end that
    /// [`Wal::recover`] found. It begins a fresh segment with a higher sequence number than any existing file and makes
    /// its header durable, in a time line of its own; existing segments stay until a [`Wal::checkpoint`] passes them.
    ///
    /// A recovery after this that begins in the old log goes over into the new one at `after`.
    ///
    /// # Errors
    /// Options out of range, I/O errors, a segment of a newer format version; `WalSync::Direct` where the file system
    /// cannot do it.
    pub fn start(vfs: Arc<dyn Vfs>, options: WalOptions, after: LogPosition) -> Result<Self> {
        Self::start_sharing(vfs, options, after, Arc::default())
    }

    /// [`Wal::start`] with the poison that the log has in common with the data file.
    pub(crate) fn start_sharing(
        vfs: Arc<dyn Vfs>,
        options: WalOptions,
        after: LogPosition,
        poison: Arc<Poison>,
    ) -> Result<Self> {
        options.validate()?;
        let dir = &options.dir;
        vfs.create_dir(dir)
            .map_err(|e| Error::io("create directory", dir, e))?;
        let found = discover(&*vfs, dir, Some(options.database_id))?;
        let before = found.iter().find(|file| file.holds(after)).cloned();
        let mut segments = Segments::new(Arc::clone(&vfs), &options, found, after)?;
        let sync = segments.choose_sync(options.sync, after)?;
        let before = before.map(|file| segments.open_live(file)).transpose()?.flatten();
        let first = segments.take(after, after)?;
        vfs.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
        let begin = first.header.first_frame();
        let wal = Self::new(vfs, &options, segments, first, sync, begin, poison);
        wal.writer.lock().continue_from(before);
        wal.flush()?;
        Ok(wal)
    }

    /// A log that was recovered to `end` and is not written: everything that would is refused with [`Error::ReadOnly`].
    /// `file` is any open file; nothing is done with it.
    pub(crate) fn read_only(
        vfs: Arc<dyn Vfs>,
        options: &WalOptions,
        end: LogPosition,
        file: Arc<dyn VfsFile>,
    ) -> Self {
        let segments = Segments::read_only(Arc::clone(&vfs), options);
        let unused = Arc::new(Segment {
            header: SegmentHeader::unused(options.segment_size, options.database_id),
            path: options.dir.clone(),
            file,
        });
        let poison = Arc::new(Poison::read_only());
        Self::new(vfs, options, segments, unused, WalSync::Fdatasync, end, poison)
    }

    fn new(
        vfs: Arc<dyn Vfs>,
        options: &WalOptions,
        segments: Segments,
        first: Arc<Segment>,
        sync: WalSync,
        begin: LogPosition,
        poison: Arc<Poison>,
    ) -> Self {
        Self {
            segments,
            poison,
            durable: CachePadded::new(AtomicU64::new(begin.0)),
            frame_bytes_usual: options.frame_bytes_usual() as u64,
            vfs,
            append: CachePadded::new(Mutex::new(AppendState::new(first))),
            writer: CachePadded::new(Mutex::new(Writer::new(sync == WalSync::Direct))),
            end: CachePadded::new(AtomicU64::new(begin.0)),
            buffered_bytes: AtomicUsize::new(0),
            kept_from: AtomicU64::new(begin.0),
            noted: AtomicU64::new(begin.0),
            sync,
            counters: Counters::default(),
        }
    }

    /// Locked append access, for the one applier. Hold it over all frames of a commit.
    pub fn appender(&self) -> LogAppender<'_> {
        LogAppender {
            wal: self,
            state: self.append.lock(),
        }
    }

    /// Appends one frame: [`LogAppender::frame`] with a ready body.
    ///
    /// # Errors
    /// As [`LogAppender::frame`].
    pub fn append(
        &self,
        page: PageNumber,
        commit: CommitId,
        kind: FrameKind,
        mark: Option<CommitMark>,
        body: &[u8],
    ) -> Result<LogPosition> {
        self.appender()
            .frame(page, commit, kind, mark, |out| out.extend_from_slice(body))
    }

    /// Position behind the last frame appended.
    pub fn end(&self) -> LogPosition {
        LogPosition(self.end.load(Ordering::Acquire))
    }

    /// Position up to which the log is durable.
    pub fn durable(&self) -> LogPosition {
        LogPosition(self.durable.load(Ordering::Acquire))
    }

    /// Bytes of frames that can be appended for certain in this segment.
    pub(crate) fn segment_room(&self) -> usize {
        self.appender().segment_room() as usize
    }

    /// The time line that this log writes: drawn when it was started.
    pub fn time_line(&self) -> u64 {
        self.segments.time_line()
    }

    /// Makes everything appended so far durable and returns the new durable position. One thread flushes at a time;
    /// others wait for it and then flush what has come since.
    ///
    /// # Errors
    /// The first failed write or sync is returned and poisons the log; from then on every call returns
    /// [`Error::Poisoned`] with that cause.
    pub fn flush(&self) -> Result<LogPosition> {
        self.flush_with(&mut self.writer.lock())
    }

    /// [`Wal::flush`], or `None` at once when another thread is flushing.
    pub fn try_flush(&self) -> Option<Result<LogPosition>> {
        let mut writer = self.writer.try_lock()?;
        Some(self.flush_with(&mut writer))
    }

    /// Writes what is buffered without syncing it: bounds the buffer when nobody asks for durability. Where flushes
    /// are direct writes this makes it durable as well.
    ///
    /// # Errors
    /// As [`Wal::flush`].
    pub fn write_out(&self) -> Result<()> {
        let mut writer = self.writer.lock();
        self.poison.check()?;
        let end = self.take_buffer(&mut writer);
        if writer.taken.is_empty() {
            return Ok(());
        }
        self.write_taken(&mut writer)?;
        crate::reach::mark(crate::reach::Mechanism::WriteOut);
        if self.sync == WalSync::Direct || injected::makes(Bug::WriteOutTakenForFlush) {
            self.durable.store(end.0, Ordering::Release);
        }
        self.counters.write_outs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Bytes of frames appended and not yet taken by a flush or write-out.
    pub fn buffered_bytes(&self) -> usize {
        self.buffered_bytes.load(Ordering::Relaxed)
    }

    /// Stops the log for good: `cause` is what every later call is answered with. The first cause stays.
    pub fn poison(&self, cause: &str) -> Error {
        self.poison.set(cause)
    }

    /// The error that every call is answered with, once the log is poisoned.
    pub fn poisoned(&self) -> Option<Error> {
        self.poison.error()
    }

    /// For the background: makes sure that `prepare_ahead` unused segments exist.
    ///
    /// # Errors
    /// I/O errors, for instance a full disk. They do not poison the log.
    pub fn prepare(&self) -> Result<()> {
        self.segments.prepare()
    }

    /// Makes a spare if there is none: the next opening needs one, however full the disk is then. One that cannot be made is
    /// made later.
    pub(crate) fn keep_spare(&self) {
        if let Err(error) = self.segments.prepare_count(1) {
            tracing::debug!(%error, "no spare for the next opening yet");
        }
    }

    /// Notes the end of the log as the position where redo will start by a checkpoint that is made now, and returns it.
    /// From here on guards tell of what is durable behind it: the checkpoint may become durable, and its position the one
    /// where a recovery begins, before [`Wal::checkpoint`] says so. Nothing may be appended meanwhile.
    pub fn begin_checkpoint(&self) -> LogPosition {
        let position = self.end();
        self.noted.store(position.0, Ordering::Release);
        position
    }

    /// No commit is being applied: spares that the last one was promised may be removed.
    pub(crate) fn end_promise(&self) {
        self.segments.end_promise();
    }

    /// Makes the log as small as that of a database without load: for one that is idle, or about to be closed. Spares are
    /// removed, and a large segment is left, which a checkpoint after this removes. No commit is being applied.
    ///
    /// # Errors
    /// I/O errors; they do not poison the log.
    pub(crate) fn forget_need(&self) -> Result<()> {
        self.segments.forget_need()?;
        self.appender().leave_oversize()?;
        // The segment that it has gone over to is no need.
        self.segments.reset_need();
        self.flush().map(drop)
    }

    /// Bytes of all segment files, spares among them.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.segments.file_bytes()
    }

    /// There was no room on the disk: what the log keeps for the next time is as little as can be.
    pub(crate) fn be_sparing(&self) {
        self.segments.be_sparing();
    }

    /// Goes over to a spare that is kept, but not to the last one, if a commit has found no room for more of them: the next
    /// checkpoint gives the segments before it back. No commit is being applied.
    pub(crate) fn leave_if_starved(&self) -> Result<()> {
        if self.segments.take_starved() && self.segments.spare_count() > 1 {
            self.appender().leave_for_spare()?;
            // With its header: a checkpoint is about to name a position in it.
            self.flush()?;
        }
        Ok(())
    }

    /// Whether [`Wal::forget_need`] would make the log smaller.
    pub(crate) fn is_larger_than_needed(&self) -> bool {
        self.segments.is_larger_than_needed()
    }

    /// Sequence number of the segment that is being written.
    pub(crate) fn segment_sequence(&self) -> u64 {
        self.appender().segment_sequence()
    }

    /// Tells the log that a durable checkpoint needs nothing before `position`: segments wholly before it become
    /// spares, or are removed; a spare is left. Only call it once the checkpoint is durable.
    ///
    /// # Errors
    /// I/O errors; they do not poison the log.
    pub fn checkpoint(&self, position: LogPosition) -> Result<()> {
        self.kept_from.fetch_max(position.0, Ordering::Relaxed);
        // A segment with bytes still to be flushed stays, whatever the checkpoint says.
        self.segments.recycle_before(position.min(self.durable()))?;
        self.keep_spare();
        Ok(())
    }

    /// Bytes of log that a recovery would have to read: from the last checkpoint, or the start, to the end.
    pub fn live_bytes(&self) -> u64 {
        self.end()
            .0
            .saturating_sub(self.kept_from.load(Ordering::Relaxed))
    }

    /// What has been counted so far.
    pub fn stats(&self) -> WalStats {
        let count = |counter: &Count| counter.load(Ordering::Relaxed);
        let mut stats = WalStats {
            flushes: count(&self.counters.flushes),
            flush_ns_total: count(&self.counters.flush_ns_total),
            write_outs: count(&self.counters.write_outs),
            bytes_appended: count(&self.counters.bytes_taken) + self.buffered_bytes() as u64,
            bytes_written: count(&self.counters.bytes_written),
            sync: self.sync,
            ..WalStats::default()
        };
        self.segments.count(&mut stats);
        stats
    }

    /// Whether nobody is flushing at this moment.
    #[cfg(test)]
    pub(super) fn try_flush_would_run(&self) -> bool {
        self.writer.try_lock().is_some()
    }

    pub(super) fn publish_end(&self, end: LogPosition, buffered_bytes: usize) {
        self.end.store(end.0, Ordering::Release);
        self.buffered_bytes.store(buffered_bytes, Ordering::Relaxed);
    }

    fn flush_with(&self, writer: &mut Writer) -> Result<LogPosition> {
        self.poison.check()?;
        let end = self.take_buffer(writer);
        if writer.is_settled() {
            return Ok(self.durable());
        }
        let started = self.vfs.monotonic();
        self.write_taken(writer)?;
        writer.sync().inspect_err(|error| {
            if !injected::makes(Bug::FailedSyncForgotten) {
                drop(self.poison.set(&error.to_string()));
            }
        })?;
        let end = if injected::makes(Bug::FlushCoversLaterCommits) {
            self.end()
        } else {
            end
        };
        self.durable.store(end.0, Ordering::Release);
        let ns = self.vfs.monotonic().saturating_sub(started).as_nanos();
        self.counters.flushes.fetch_add(1, Ordering::Relaxed);
        self.counters
            .flush_ns_total
            .fetch_add(ns as u64, Ordering::Relaxed);
        Ok(end)
    }

    /// Exchanges the buffers; returns the position behind what was taken.
    fn take_buffer(&self, writer: &mut Writer) -> LogPosition {
        let mut append = self.append.lock();
        append.exchange(&mut writer.taken);
        self.buffered_bytes.store(0, Ordering::Relaxed);
        append.end()
    }

    fn write_taken(&self, writer: &mut Writer) -> Result<()> {
        crate::interleave::here(crate::interleave::Place::LogTaken);
        let taken = writer.taken.frame_bytes() as u64;
        let redo = [&self.kept_from, &self.noted];
        let known = Known {
            durable: self.durable(),
            redo: redo.map(|position| LogPosition(position.load(Ordering::Acquire))),
        };
        let written = writer
            .write_taken(known)
            .inspect_err(|error| drop(self.poison.set(&error.to_string())))?;
        self.counters.bytes_taken.fetch_add(taken, Ordering::Relaxed);
        self.counters.bytes_written.fetch_add(written, Ordering::Relaxed);
        Ok(())
    }
}
