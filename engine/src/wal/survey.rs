//! Every frame of the log that is intact, whatever lies between: for salvage, which takes what there is.
//!
//! Where a frame is damaged, the search goes on at the next place that looks like one; its CRC, seeded with the salt of
//! the segment, says whether it is. Frames that a recovery left behind (a later segment continues the log from before
//! them) never counted, and do not here.

use std::path::Path;
use std::sync::Arc;

use super::commit::FrameBody;
use super::discover::{discover, open_for_reading};
use super::frame::{self, FrameFault, FrameKind};
use super::segment::{HEADER_BYTES, SegmentHeader};
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
    /// Segments whose header is gone, so that their frames cannot be told from noise.
    pub(crate) unreadable: Vec<String>,
}

/// Reads all of the log in `dir`.
///
/// # Errors
/// I/O errors, and a log of a newer format; damage is none.
pub(crate) fn survey(vfs: &dyn Vfs, dir: &Path) -> Result<Survey> {
    let mut survey = Survey::default();
    let mut segments: Vec<(SegmentHeader, Arc<Vec<u8>>)> = Vec::new();
    for found in discover(vfs, dir)? {
        let bytes = read(vfs, &found.path)?;
        match found.header {
            Some(header) => segments.push((header, bytes)),
            // A spare that was never used is all zeros.
            None if bytes.iter().any(|&byte| byte != 0) => {
                survey.unreadable.push(found.path.display().to_string());
            }
            None => {}
        }
    }
    segments.sort_by_key(|(header, _)| header.start());
    segments.dedup_by_key(|(header, _)| header.start());
    for (header, bytes) in &segments {
        let mut offset = HEADER_BYTES;
        while let Some(found) = next_magic(bytes, offset) {
            let decoded = match frame::decode(&bytes[found..], header.salt) {
                Ok(decoded) => decoded,
                Err(FrameFault::Absent) => break,
                Err(_) => {
                    offset = found + 1;
                    continue;
                }
            };
            offset = found + decoded.size;
            let position = LogPosition(header.start().0 + found as u64);
            let is_abandoned = segments
                .iter()
                .any(|(later, _)| later.previous_end <= position && position < later.start());
            if is_abandoned {
                continue;
            }
            survey.end = survey.end.max(LogPosition(header.start().0 + offset as u64));
            survey.frames.push(FoundFrame {
                page: decoded.page,
                commit: decoded.commit,
                kind: decoded.kind,
                position,
                frame_count: decoded.mark.map(|mark| mark.frame_count),
                body: FrameBody::new(bytes, found + decoded.body.start, decoded.body.len()),
            });
        }
    }
    Ok(survey)
}

fn read(vfs: &dyn Vfs, path: &Path) -> Result<Arc<Vec<u8>>> {
    let io_error = |e| Error::io("read", path, e);
    let file = open_for_reading(vfs, path)?;
    let mut bytes = vec![0; file.len().map_err(io_error)? as usize];
    let mut filled = 0;
    while filled < bytes.len() {
        match file
            .read_at(&mut bytes[filled..], filled as u64)
            .map_err(io_error)?
        {
            0 => break,
            n => filled += n,
        }
    }
    bytes.truncate(filled);
    Ok(Arc::new(bytes))
}
