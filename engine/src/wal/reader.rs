//! Reading the log back, from a checkpoint's position to its end.
//!
//! 1. Find the segment that holds the position, by header.
//! 2. Read each segment whole and walk its frames; collect them until one has a commit mark, then hand out the commit.
//! 3. Go over to the segment that claims to continue at the position reached.
//! 4. At the first place without a valid frame the log ends, if that is legal:
//!
//! | the hole | and | then |
//! |---|---|---|
//! | before `must_reach` | | corruption |
//! | later | a guard (also at the end of a segment before), a later frame or a segment header records a durable position past it | corruption |
//! | later | no such proof | the log ends with the last complete commit |
//!
//! A segment that is to be read and is shorter than its header says is corruption: it was that long before it was used.
//! What is read belongs to one database, and follows the time lines from that of the checkpoint on: each segment names
//! its own and the one before it. Anything else is refused: it is a log of the past of another copy.
//!
//! A frame with a good CRC that does not continue its predecessor (commit ID, frame count) is corruption anywhere: no
//! crash makes one. What was read is synced before it is reported, so that what a recovery shows cannot be lost by a
//! power failure right after it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::BLOCK_BYTES;
use super::chain::{Chain, Link};
use super::commit::{Commit, ReadFrame, Recovered, TornTail};
use super::discover::{discover, open_for_reading, read_file};
use super::frame::{self, Decoded, FrameFault};
use super::guard::Guard;
use super::log::Wal;
use super::options::WalOptions;
use super::tail::find_evidence;
use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition};
use crate::planted::{self, Fault};
use crate::vfs::{Vfs, VfsFile};

/// A place without a valid frame.
struct Hole {
    position: LogPosition,
    fault: FrameFault,
}

/// Why the walk through a segment stopped.
enum Stop {
    /// The log goes on in another segment.
    Continues,
    Hole(Hole),
}

/// A segment in memory; shorter than its header says when the file was cut.
struct Loaded {
    file: Arc<dyn VfsFile>,
    bytes: Arc<Vec<u8>>,
}

/// What has been read so far.
struct Reader {
    result: Recovered,
    /// Frames of the commit that has no mark yet.
    open_commit: Option<CommitId>,
    open_frames: Vec<ReadFrame>,
    open_bytes: u64,
    /// The segments that the open frames are in, the current one last.
    segments: Vec<Arc<Vec<u8>>>,
    /// Of the guards in the last blocks of the segments that were read, the one that tells of the most, and where it is.
    told: Option<(PathBuf, LogPosition)>,
}

impl Wal {
    /// Reads the log in `options.dir` from position `from` (a commit boundary: a checkpoint's redo position) and gives
    /// each complete commit, in order, to `on_commit`. `must_reach` is a position that is known to have been durable;
    /// `from` itself when nothing is known. Segments are read with the size in their headers.
    ///
    /// # Errors
    /// [`Error::Corruption`] naming file and offset when the log is damaged before its end, or ends before
    /// `must_reach`; `on_commit` has then been called for the commits before. I/O errors; errors of `on_commit`.
    pub fn recover(
        vfs: &dyn Vfs,
        options: &WalOptions,
        from: LogPosition,
        must_reach: LogPosition,
        mut on_commit: impl FnMut(&Commit<'_>) -> Result<()>,
    ) -> Result<Recovered> {
        let chain = Chain::new(discover(vfs, &options.dir, Some(options.database_id))?, from)?;
        let mut reader = Reader::new(from);
        let Some((mut index, mut position)) = chain.locate(from) else {
            return no_segment(vfs, &chain, &options.dir, from, must_reach).map(|()| reader.result);
        };
        if let Some(expected) = options.time_line {
            let first = chain.link(index);
            let found = if first.header.holds(from) {
                first.header.time_line
            } else {
                first.header.previous_time_line
            };
            check_time_line(first, found, expected)?;
        }
        let mut files = Vec::new();
        let hole = loop {
            let link = chain.link(index);
            let successor = chain.successor(index);
            let continued_at = successor.map(|next| chain.link(next).header.previous_end);
            let loaded = load(vfs, link)?;
            if link.len < link.header.segment_size {
                let what = format!(
                    "the segment ends here; it had {} bytes before it was used, so it was cut",
                    link.header.segment_size
                );
                return Err(Error::corruption(&link.path, None, link.len, what));
            }
            reader.note_last_guard(link, &loaded.bytes);
            files.push((loaded.file, link));
            reader.enter(loaded.bytes);
            match (
                reader.walk(link, position, continued_at, &mut on_commit)?,
                successor,
            ) {
                (Stop::Continues, Some(next)) => {
                    let found = chain.link(next).header.previous_time_line;
                    check_time_line(chain.link(next), found, link.header.time_line)?;
                    index = next;
                    position = chain.link(next).header.first_frame();
                }
                (Stop::Hole(hole), _) => break hole,
                (Stop::Continues, None) => unreachable!("the walk stops at a hole when nothing continues it"),
            }
        };
        if planted::makes(Fault::IncompleteCommitRedone)
            && let Some(open) = reader.open_commit
        {
            reader.complete(open, 0, hole.position, &mut on_commit)?;
        }
        reader.judge(vfs, &chain, chain.link(index), &hole, must_reach)?;
        for (file, link) in files.into_iter().filter(|_| !options.read_only) {
            file.sync_data().map_err(|e| Error::io("sync", &link.path, e))?;
        }
        Ok(reader.result)
    }
}

impl Reader {
    fn new(from: LogPosition) -> Self {
        Self {
            result: Recovered {
                end: from,
                last_commit: None,
                frames: 0,
                commits: 0,
                bytes: 0,
                torn: None,
            },
            open_commit: None,
            open_frames: Vec::new(),
            open_bytes: 0,
            segments: Vec::new(),
            told: None,
        }
    }

    /// Makes `bytes` the current segment; earlier ones stay only while an open commit has frames in them.
    fn enter(&mut self, bytes: Arc<Vec<u8>>) {
        if self.open_frames.is_empty() {
            self.segments.clear();
        }
        self.segments.push(bytes);
    }

    /// Notes what the last block of a segment tells of the one behind it, which may be lost.
    fn note_last_guard(&mut self, link: &Link, bytes: &[u8]) {
        let last_block = &bytes[bytes.len().saturating_sub(BLOCK_BYTES)..];
        let told = self.told.as_ref().map_or(LogPosition(0), |(_, durable)| *durable);
        if let Some(guard) = Guard::take(last_block)
            && (guard.database_id, guard.sequence) == (link.header.database_id, link.header.sequence)
            && guard.durable > told
        {
            self.told = Some((link.path.clone(), guard.durable));
        }
    }

    /// Reads frames of the current segment from `position` to `continued_at` or to a hole.
    fn walk(
        &mut self,
        link: &Link,
        mut position: LogPosition,
        continued_at: Option<LogPosition>,
        on_commit: &mut impl FnMut(&Commit<'_>) -> Result<()>,
    ) -> Result<Stop> {
        let start = link.header.start().0;
        let segment = self.segments.len() - 1;
        let bytes = Arc::clone(&self.segments[segment]);
        loop {
            let offset = (position.0 - start) as usize;
            let damaged = |what: String| Error::corruption(&link.path, None, offset as u64, what);
            if let Some(end) = continued_at.filter(|&end| end <= position) {
                if end < position {
                    return Err(damaged(format!(
                        "the log is said to continue elsewhere from {end}, before {position}"
                    )));
                }
                return Ok(Stop::Continues);
            }
            let rest = link.header.frames(&bytes).get(offset..).unwrap_or_default();
            let decoded = match frame::decode(rest, link.header.salt) {
                Ok(decoded) => decoded,
                Err(fault @ FrameFault::Malformed(_)) => return Err(damaged(fault.to_string())),
                Err(fault) => return Ok(Stop::Hole(Hole { position, fault })),
            };
            self.check_order(&decoded).map_err(damaged)?;
            self.open_commit = Some(decoded.commit);
            self.open_bytes += decoded.size as u64;
            self.open_frames.push(ReadFrame {
                page: decoded.page,
                kind: decoded.kind,
                position,
                segment,
                start: (offset + decoded.body.start) as u32,
                len: decoded.body.len() as u32,
            });
            let frame_start = position;
            position = LogPosition(position.0 + decoded.size as u64);
            if let Some(mark) = decoded.mark {
                if mark.frame_count != self.open_frames.len() as u64 {
                    return Err(damaged(format!(
                        "commit {} is marked as {} frames, but has {}",
                        decoded.commit,
                        mark.frame_count,
                        self.open_frames.len()
                    )));
                }
                if mark.durable_distance > frame_start.0 {
                    return Err(damaged(
                        "a commit mark with an impossible durable position".into(),
                    ));
                }
                let segment_clock = link.header.wall_clock_ms as i64;
                let wall_clock_ms = segment_clock.wrapping_add(mark.wall_clock_delta_ms) as u64;
                self.complete(decoded.commit, wall_clock_ms, position, on_commit)?;
            }
        }
    }

    fn check_order(&self, decoded: &Decoded) -> Result<(), String> {
        let expected = match (self.open_commit, self.result.last_commit) {
            (Some(open), _) => open,
            (None, Some(last)) => last.next(),
            (None, None) => return Ok(()),
        };
        if decoded.commit == expected {
            return Ok(());
        }
        Err(format!(
            "a frame of commit {} where one of commit {expected} belongs",
            decoded.commit
        ))
    }

    /// The open commit is complete: hands it out.
    fn complete(
        &mut self,
        id: CommitId,
        wall_clock_ms: u64,
        end: LogPosition,
        on_commit: &mut impl FnMut(&Commit<'_>) -> Result<()>,
    ) -> Result<()> {
        on_commit(&Commit {
            id,
            wall_clock_ms,
            end,
            frames: &self.open_frames,
            segments: &self.segments,
        })?;
        self.result.end = end;
        self.result.last_commit = Some(id);
        self.result.commits += 1;
        self.result.frames += self.open_frames.len() as u64;
        self.result.bytes += self.open_bytes;
        self.open_commit = None;
        self.open_bytes = 0;
        self.open_frames.clear();
        Ok(())
    }

    /// Whether the log may end at `hole`, in the segment `link`.
    fn judge(
        &mut self,
        vfs: &dyn Vfs,
        chain: &Chain,
        link: &Link,
        hole: &Hole,
        must_reach: LogPosition,
    ) -> Result<()> {
        let Hole { position, fault } = hole;
        let offset = position.0 - link.header.start().0;
        if planted::makes(Fault::DamageTruncatesLog) {
            return Ok(());
        }
        let corrupt = |proof: String| {
            let what = format!("{fault} at log position {position}, but {proof}");
            Err(Error::corruption(&link.path, None, offset, what))
        };
        if *position < must_reach {
            return corrupt(format!("the log was durable up to {must_reach}"));
        }
        let last = self.result.last_commit;
        let bytes = self.segments.last().expect("a segment was entered");
        if let Some(found) = find_evidence(bytes, offset as usize, &link.header, *position, last) {
            return corrupt(format!(
                "what is at {} says that the log was durable up to {}",
                found.place, found.durable
            ));
        }
        if let Some((path, durable)) = self.told.as_ref().filter(|(_, durable)| durable > position) {
            return corrupt(format!(
                "the end of {} says that the log was durable up to {durable}",
                path.display()
            ));
        }
        if let Some(proof) = proof_behind(vfs, chain, *position, last)? {
            return corrupt(proof);
        }
        let what = if let Some(open) = self.open_commit {
            Some(format!(
                "commit {open} has {} frames and no mark, then {fault}",
                self.open_frames.len()
            ))
        } else {
            match fault {
                FrameFault::Absent => None,
                // What an earlier use of the file left here.
                FrameFault::Crc { commit, .. } if last.is_some_and(|last| *commit <= last) => None,
                fault => Some(fault.to_string()),
            }
        };
        self.result.torn = what.map(|what| TornTail {
            position: *position,
            what,
        });
        Ok(())
    }
}

/// What a segment that starts behind `hole` says about the log having been durable past it.
fn proof_behind(
    vfs: &dyn Vfs,
    chain: &Chain,
    hole: LogPosition,
    last: Option<CommitId>,
) -> Result<Option<String>> {
    for link in chain.behind(hole) {
        let name = link.path.display();
        if link.header.durable > hole {
            return Ok(Some(format!(
                "{name} says that the log was durable up to {}",
                link.header.durable
            )));
        }
        let bytes = load(vfs, link)?.bytes;
        if let Some(found) = find_evidence(&bytes, super::segment::HEADER_BYTES, &link.header, hole, last) {
            return Ok(Some(format!(
                "what is at {} in {name} says that the log was durable up to {}",
                found.place, found.durable
            )));
        }
    }
    let headless = chain.headless().filter(|(_, durable)| *durable > hole);
    Ok(headless.map(|(path, durable)| {
        format!(
            "{}, which has lost its header, says that the log was durable up to {durable}",
            path.display()
        )
    }))
}

/// Whether a segment continues the time line that leads to it.
fn check_time_line(link: &Link, found: u64, expected: u64) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let what = format!(
        "this log segment continues time line {found:016x} of the database, and not {expected:016x}: data file and log \
         come from copies that went different ways; put the data file and the log of one copy together"
    );
    Err(Error::mismatch(&link.path, what))
}

/// The error for a database without its log.
pub(crate) fn missing(dir: &Path) -> Error {
    let what = "the log is missing, and commits that the data file does not have may be in it: put the log back beside the \
                data file, or get out what the data file has with `salvage`";
    Error::mismatch(dir, what)
}

/// No segment holds `from`. Only a creation that was cut off leaves no log, or one in which nothing is needed yet: the
/// segment of a checkpoint's redo position is kept.
fn no_segment(
    vfs: &dyn Vfs,
    chain: &Chain,
    dir: &Path,
    from: LogPosition,
    must_reach: LogPosition,
) -> Result<()> {
    let proof = if from < must_reach {
        Some(format!("the log was durable up to {must_reach}"))
    } else {
        proof_behind(vfs, chain, from, None)?
    };
    match proof {
        None if from.0 == 0 => Ok(()),
        _ if chain.is_empty() && chain.headless().is_none() => Err(missing(dir)),
        proof => {
            let proof = proof.unwrap_or_else(|| {
                "its segment is kept until a checkpoint needs it no more: data file and log may be copies of \
                 different moments"
                    .into()
            });
            let what = format!("no segment holds log position {from}, where recovery begins, but {proof}");
            Err(Error::corruption(dir, None, 0, what))
        }
    }
}

/// Reads a segment's file, as much of it as there is.
fn load(vfs: &dyn Vfs, link: &Link) -> Result<Loaded> {
    let file = open_for_reading(vfs, &link.path)?;
    let bytes = Arc::new(read_file(&*file, &link.path, link.header.segment_size)?);
    Ok(Loaded { file, bytes })
}
