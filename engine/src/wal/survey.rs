//! Every frame of the log that is intact, whatever lies between: for salvage, which takes what there is.
//!
//! Where a frame is damaged, the search goes on at the next place that looks like one; its CRC, seeded with the salt of
//! the segment, says whether it is. Frames that a recovery left behind (a later segment continues the log from before
//! them) never counted, and do not here. Neither do segments of other databases, or of time lines that do not lead to the
//! database's own or on from it: copies that went different ways are not mixed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::commit::FrameBody;
use super::discover::{FoundFile, discover, open_for_reading, read_file};
use super::frame::{self, FrameFault, FrameKind};
use super::segment::{HEADER_BYTES, SegmentHeader};
use super::source::{Source, Windows};
use super::tail::next_magic;
use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition, PageNumber};
use crate::vfs::Vfs;

/// An intact frame.
#[derive(Debug)]
pub(crate) struct FoundFrame {
    pub(crate) page: PageNumber,
    pub(crate) commit: CommitId,
    pub(crate) kind: FrameKind,
    pub(crate) position: LogPosition,
    /// The last frame of a commit says how many it has.
    pub(crate) frame_count: Option<u64>,
    pub(crate) body: FrameBody,
}

/// What is left of a log.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// In log order.
    pub(crate) frames: Vec<FoundFrame>,
    /// Behind the last of them.
    pub(crate) end: LogPosition,
    /// What is wrong with files of the log, which are left out.
    pub(crate) problems: Vec<String>,
}

/// A segment that was read.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    header: SegmentHeader,
    bytes: Arc<Vec<u8>>,
}

/// Reads all of the log in `dir` that belongs to the database of that ID and time line; to that of the newest segment, where
/// none is given.
///
/// # Errors
/// I/O errors, and a log of another version of the format; damage is none.
pub(crate) fn survey(vfs: &dyn Vfs, dir: &Path, own: Option<(u64, u64)>) -> Result<Survey> {
    let mut survey = Survey::default();
    let mut segments = Vec::new();
    for found in discover(vfs, dir, None)? {
        let bytes = read(vfs, &found.path, found.len)?;
        match found.header {
            // Never used.
            Some(header) if header.sequence == 0 => {}
            Some(header) => segments.push(Segment {
                path: found.path,
                header,
                bytes,
            }),
            // Half-made, if it is all zeros.
            None if bytes.iter().any(|&byte| byte != 0) => {
                let name = found.path.display();
                survey
                    .problems
                    .push(format!("log segment {name} has no readable header"));
            }
            None => {}
        }
    }
    segments.sort_by_key(|segment| segment.header.start());
    let segments = survey.own_segments(segments, own);
    for segment in &segments {
        survey.read_frames(segment, &segments);
    }
    Ok(survey)
}

impl Survey {
    /// The segments that belong to the database and its time line; names the others.
    fn own_segments(&mut self, segments: Vec<Segment>, own: Option<(u64, u64)>) -> Vec<Segment> {
        let newest = segments.last().map(|newest| &newest.header);
        let Some((database_id, time_line)) =
            own.or_else(|| newest.map(|newest| (newest.database_id, newest.time_line)))
        else {
            return Vec::new();
        };
        let (mut own, foreign): (Vec<_>, Vec<_>) = segments
            .into_iter()
            .partition(|segment| segment.header.database_id == database_id);
        let related = related(&own, time_line);
        let mut others = Vec::new();
        own.retain(|segment| {
            let is_related = related.contains(&segment.header.time_line);
            if !is_related {
                others.push((segment.path.clone(), segment.header.start()));
            }
            is_related
        });
        own.dedup_by_key(|segment| segment.header.start());
        // What a recovery left behind is nobody's.
        others.retain(|(_, start)| !is_abandoned(&own, *start));
        let mut name = |path: &Path, what: &str| {
            self.problems.push(format!(
                "log segment {} belongs to another {what}",
                path.display()
            ));
        };
        foreign.iter().for_each(|segment| name(&segment.path, "database"));
        others
            .iter()
            .for_each(|(path, _)| name(path, "copy of the database"));
        own
    }

    /// Takes the intact frames of a segment, one of `segments`.
    fn read_frames(&mut self, segment: &Segment, segments: &[Segment]) {
        let Segment { header, bytes, .. } = segment;
        let part = header.frames(bytes);
        let mut offset = HEADER_BYTES;
        while let Some(found) = next_magic(part, offset) {
            let decoded = match frame::decode(&part[found..], header.salt) {
                Ok(decoded) => decoded,
                Err(FrameFault::Absent) => break,
                Err(_) => {
                    offset = found + 1;
                    continue;
                }
            };
            offset = found + decoded.size;
            let position = LogPosition(header.start().0 + found as u64);
            if is_abandoned(segments, position) {
                continue;
            }
            self.end = self.end.max(LogPosition(header.start().0 + offset as u64));
            self.frames.push(FoundFrame {
                page: decoded.page,
                commit: decoded.commit,
                kind: decoded.kind,
                position,
                frame_count: decoded.mark.map(|mark| mark.frame_count),
                body: FrameBody::new(bytes, found + decoded.body.start, decoded.body.len()),
            });
        }
    }
}

/// Whether a recovery left behind what is at `position`: a later segment continues the log from before it.
fn is_abandoned(segments: &[Segment], position: LogPosition) -> bool {
    segments
        .iter()
        .any(|later| later.header.previous_end <= position && position < later.header.start())
}

/// The time lines that lead to `time_line`, itself, and those that go on from it.
fn related(segments: &[Segment], time_line: u64) -> BTreeSet<u64> {
    let mut before = BTreeSet::from([time_line]);
    let mut after = before.clone();
    let mut len = 0;
    while before.len() + after.len() > len {
        len = before.len() + after.len();
        for SegmentHeader {
            time_line,
            previous_time_line,
            ..
        } in segments.iter().map(|segment| &segment.header)
        {
            if before.contains(time_line) {
                before.insert(*previous_time_line);
            }
            if after.contains(previous_time_line) {
                after.insert(*time_line);
            }
        }
    }
    before.union(&after).copied().collect()
}

/// The first file of the log in `dir` that a creation which was cut off cannot have left, of whatever database.
///
/// The log of a creation begins at position 0 and has no frame; if the creation is cut off, each further opening begins a
/// segment with a higher number, but again at position 0. A segment that goes on from anywhere else follows a checkpoint
/// or frames, even if none are left: an opening puts the log's files to use again.
///
/// # Errors
/// I/O errors, and a log of another version of the format.
pub(crate) fn find_contents(vfs: &dyn Vfs, dir: &Path) -> Result<Option<PathBuf>> {
    let mut windows = Windows::default();
    for found in discover(vfs, dir, None)? {
        let mut source = Source::open(vfs, &found.path, found.len)?;
        let holds_something = match &found.header {
            Some(header) => continues_something(header) || holds_frame(&mut source, &mut windows, header)?,
            // Without a salt a frame cannot be told from noise, and need not be.
            None => found.guard.is_some() || source.next_magic(&mut windows, 0, found.len)?.is_some(),
        };
        if holds_something {
            return Ok(Some(found.path));
        }
    }
    Ok(None)
}

/// What each file of the log in `dir` says of itself, in words.
///
/// # Errors
/// I/O errors.
pub(crate) fn list(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<String>> {
    let found = match discover(vfs, dir, None) {
        Ok(found) => found,
        Err(error @ Error::Io { .. }) => return Err(error),
        Err(error) => return Ok(vec![error.to_string()]),
    };
    let describe = |file: FoundFile| {
        let name = file.path.file_name().unwrap_or_default().display().to_string();
        let is_spare = file.is_spare();
        match file.header {
            None => format!("{name}: no readable header, {} bytes", file.len),
            Some(header) if header.sequence == 0 => {
                format!("{name}: never used, database {:016x}", header.database_id)
            }
            Some(header) => format!(
                "{name}: {} {:x}, database {:016x}, time line {:016x} after {:016x}, continues from {}",
                if is_spare { "spare, was segment" } else { "segment" },
                header.sequence,
                header.database_id,
                header.time_line,
                header.previous_time_line,
                header.previous_end,
            ),
        }
    };
    Ok(found.into_iter().map(describe).collect())
}

/// Whether the segment goes on from a log that had something in it.
fn continues_something(header: &SegmentHeader) -> bool {
    header.previous_end > LogPosition(0) || header.durable > LogPosition(0) || header.previous_time_line != 0
}

fn holds_frame(source: &mut Source, windows: &mut Windows, header: &SegmentHeader) -> Result<bool> {
    let end = header.frames_end().0 - header.start().0;
    let mut offset = HEADER_BYTES as u64;
    while let Some(found) = source.next_magic(windows, offset, end)? {
        if source.frame(windows, found, end, header.salt)?.is_ok() {
            return Ok(true);
        }
        offset = found + 1;
    }
    Ok(false)
}

fn read(vfs: &dyn Vfs, path: &Path, len: u64) -> Result<Arc<Vec<u8>>> {
    let file = open_for_reading(vfs, path)?;
    Ok(Arc::new(read_file(&*file, path, len)?))
}
