//! What is in the log directory: every file with a segment's name, and what its header says.
//!
//! | name | header | the file is |
//! |---|---|---|
//! | n | sequence n | segment n of the log |
//! | n | sequence above n | that segment; the rename to its name was not durable |
//! | n | sequence below n | a spare: never used, or recycled and renamed, and not in use yet |
//! | n | none | a spare half-made, or a segment that has lost both copies of its header; its guards tell |
//!
//! A file of another database is refused, whatever it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::BLOCK_BYTES;
use super::guard::{self, Guard};
use super::segment::{COPY_BYTES, HEADER_BYTES, SegmentHeader, sequence_of};
use super::source::{Source, Windows};
use crate::error::{Error, Result};
use crate::ids::LogPosition;
use crate::injected::{self, Bug};
use crate::vfs::{FileId, OpenMode, Vfs, VfsFile};

/// One file of the log directory.
#[derive(Clone, Debug)]
pub(super) struct FoundFile {
    pub(super) path: PathBuf,
    pub(super) id: FileId,
    pub(super) name_sequence: u64,
    pub(super) len: u64,
    pub(super) header: Option<SegmentHeader>,
    /// In a file without header: the guard that tells of the most.
    pub(super) guard: Option<Guard>,
}

impl FoundFile {
    /// Whether the file is the segment that `position` is in.
    pub(super) fn holds(&self, position: LogPosition) -> bool {
        let holds = |header: &SegmentHeader| header.holds(position);
        !self.is_spare() && self.header.as_ref().is_some_and(holds)
    }

    /// Whether the file holds no part of the log: unused, or recycled for later use.
    pub(super) fn is_spare(&self) -> bool {
        self.header
            .as_ref()
            .is_none_or(|header| header.sequence < self.name_sequence)
    }

    /// Makes a spare that was never used durable at its full length: a process that was killed while making it may have left
    /// it in this machine's memory only. In use, it would look as if it had been cut. Those that were used had been synced
    /// before. Returns whether it is; one that cannot be synced is no loss.
    pub(super) fn make_durable(&self, vfs: &dyn Vfs) -> bool {
        let was_used = self.header.as_ref().is_some_and(|header| header.sequence > 0);
        if was_used || injected::makes(Bug::SpareNotSettled) {
            return true;
        }
        let synced = open_for_reading(vfs, &self.path)
            .and_then(|file| file.sync_data().map_err(|e| Error::io("sync", &self.path, e)));
        if let Err(error) = &synced {
            tracing::warn!(%error, "a log file that was never used is not taken over");
        }
        synced.is_ok()
    }
}

/// Opens a segment file to read it.
pub(super) fn open_for_reading(vfs: &dyn Vfs, path: &Path) -> Result<Arc<dyn VfsFile>> {
    let mode = OpenMode {
        read_only: true,
        ..OpenMode::default()
    };
    vfs.open(path, mode).map_err(|e| Error::io("open", path, e))
}

/// Reads from `offset` on until `buf` is full or the file ends, and returns how much that was.
pub(super) fn fill(file: &dyn VfsFile, path: &Path, buf: &mut [u8], offset: u64) -> Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        let count = file
            .read_at(&mut buf[filled..], offset + filled as u64)
            .map_err(|e| Error::io("read", path, e))?;
        if count == 0 {
            break;
        }
        filled += count;
    }
    Ok(filled)
}

/// The bytes of a file, at most `len` of them.
pub(super) fn read_file(file: &dyn VfsFile, path: &Path, len: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    let filled = fill(file, path, &mut bytes, 0)?;
    bytes.truncate(filled);
    Ok(bytes)
}

fn length(file: &dyn VfsFile, path: &Path) -> Result<u64> {
    file.len().map_err(|e| Error::io("get the length of", path, e))
}

/// The segment files of `dir`, in the order of their names; none when there is no such directory. All belong to the
/// database of that ID, where one is given.
///
/// # Errors
/// [`Error::Mismatch`] for a file of another database, [`Error::UnsupportedVersion`], [`Error::Io`].
pub(super) fn discover(vfs: &dyn Vfs, dir: &Path, database_id: Option<u64>) -> Result<Vec<FoundFile>> {
    let mut found = Vec::new();
    for path in segment_paths(vfs, dir)? {
        let Some(name_sequence) = sequence_of(&path) else {
            continue;
        };
        let file = open_for_reading(vfs, &path)?;
        let len = length(&*file, &path)?;
        let header = read_header(&*file, &path, len)?;
        if let (Some(header), Some(own)) = (&header, database_id)
            && header.database_id != own
        {
            let what = format!(
                "this log segment belongs to another database (ID {:016x}; this one has {own:016x}): move it to where \
                 it belongs, and put this database's own log in its place",
                header.database_id
            );
            return Err(Error::mismatch(&path, what));
        }
        let guard = match header {
            Some(_) => None,
            None => newest_guard(vfs, &path, len, database_id)?,
        };
        found.push(FoundFile {
            id: file.identity().map_err(|e| Error::io("look at", &path, e))?,
            path,
            name_sequence,
            len,
            header,
            guard,
        });
    }
    Ok(found)
}

fn read_header(file: &dyn VfsFile, path: &Path, len: u64) -> Result<Option<SegmentHeader>> {
    let mut copy = [0; COPY_BYTES];
    let mut at = |offset| -> Result<Option<SegmentHeader>> {
        let filled = fill(file, path, &mut copy, offset)?;
        SegmentHeader::decode(&copy[..filled], path)
    };
    let first = at(0)?;
    let last = match len.checked_sub(HEADER_BYTES as u64) {
        Some(offset) if offset > 0 => at(offset)?,
        _ => None,
    };
    Ok(SegmentHeader::choose(first, last))
}

/// The guard in the file that tells of the most.
fn newest_guard(vfs: &dyn Vfs, path: &Path, len: u64, database_id: Option<u64>) -> Result<Option<Guard>> {
    let mut source = Source::open(vfs, path, len)?;
    let mut windows = Windows::default();
    let mut newest: Option<Guard> = None;
    let mut at = 0;
    loop {
        let bytes = source.bytes(&mut windows, at, BLOCK_BYTES)?;
        let blocks = &bytes[..bytes.len() / BLOCK_BYTES * BLOCK_BYTES];
        if blocks.is_empty() {
            return Ok(newest);
        }
        let own = guard::all_in(blocks)
            .map(|(_, guard)| guard)
            .filter(|guard| database_id.is_none_or(|own| guard.database_id == own));
        newest = newest.into_iter().chain(own).max_by_key(|guard| guard.durable);
        at += blocks.len() as u64;
    }
}

/// Whether any file of the log is in `dir`.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn has_segments(vfs: &dyn Vfs, dir: &Path) -> Result<bool> {
    Ok(!segment_paths(vfs, dir)?.is_empty())
}

/// Removes every segment file of the directory `dir`, durably. The caller knows that there is nothing in them.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn remove_segments(vfs: &dyn Vfs, dir: &Path) -> Result<()> {
    for path in segment_paths(vfs, dir)? {
        vfs.remove(&path).map_err(|e| Error::io("remove", &path, e))?;
    }
    // Also where there are none: whoever removed them may not have come to this.
    vfs.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))
}

/// The files of `dir` that have a segment's name; none when there is no such directory.
fn segment_paths(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<PathBuf>> {
    if !vfs.exists(dir).map_err(|e| Error::io("look for", dir, e))? {
        return Ok(Vec::new());
    }
    let mut paths = vfs.list(dir).map_err(|e| Error::io("list", dir, e))?;
    paths.retain(|path| sequence_of(path).is_some());
    Ok(paths)
}
