//! Reading the log back, from a checkpoint's position to its end.
//!
//! 1. Find the segment that holds the position, by header.
//! 2. Walk its frames, in windows ([`super::source`]), and go over to the segment that claims to continue at the position
//!    reached ([`super::cursor`]); collect frames until one has a commit mark, then hand out the commit.
//! 3. A commit that is longer than a limit is not collected: once its mark is found it is read again, and handed out in parts.
//!    So memory is needed for a window and that limit, however long the log, a segment or a commit is.
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
//! crash makes one. What was read is synced before the end is reported, so that what a recovery shows cannot be lost by a
//! power failure right after it.

use std::path::Path;
use std::sync::Arc;

use super::chain::Chain;
use super::commit::{Commit, ReadFrame, Recovered, TornTail};
use super::cursor::{Cursor, Hole, Next, Place, check_time_line};
use super::discover::discover;
use super::frame::{Decoded, FrameFault};
use super::log::Wal;
use super::options::WalOptions;
use super::segment::HEADER_BYTES;
use super::source::{Source, Windows};
use super::tail::find_evidence;
use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition};
use crate::injected::{self, Bug};
use crate::vfs::Vfs;

/// The commit that has no mark yet.
struct Open {
    commit: CommitId,
    /// Of its first frame.
    place: Place,
    frames: u64,
    bytes: u64,
    /// It has passed the limit: its frames are not kept, and will be read again.
    is_long: bool,
}

/// Frames that wait to be handed out, with the windows that they are in.
#[derive(Default)]
struct Kept {
    frames: Vec<ReadFrame>,
    windows: Vec<Arc<Vec<u8>>>,
    /// Memory for them, in bytes; windows not counted, which are a part of one longer at each end.
    bytes: usize,
}

/// What has been read so far.
struct Reader {
    windows: Windows,
    commit_part: usize,
    result: Recovered,
    open: Option<Open>,
    kept: Kept,
}

/// What is known of a commit when its mark is.
#[derive(Clone, Copy)]
struct Marked {
    id: CommitId,
    wall_clock_ms: u64,
    end: LogPosition,
}

impl Wal {
    /// Reads the log in `options.dir` from position `from` (a commit boundary: a checkpoint's redo position) and gives
    /// each complete commit, in order, to `on_commit`; one that is longer than `options.commit_part` in several parts.
    /// `must_reach` is a position that is known to have been durable; `from` itself when nothing is known. Segments are read
    /// with the size in their headers.
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
        let mut reader = Reader {
            windows: Windows::new(options.read_window),
            commit_part: options.commit_part,
            result: Recovered {
                end: from,
                last_commit: None,
                frames: 0,
                commits: 0,
                bytes: 0,
                torn: None,
            },
            open: None,
            kept: Kept::default(),
        };
        let Some((index, position)) = chain.locate(from) else {
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
        let mut cursor = Cursor::new(vfs, &chain, options, Place { index, position });
        let hole = loop {
            match cursor.next(&mut reader.windows)? {
                Next::Frame(decoded) => reader.take(&cursor, &decoded, &mut on_commit)?,
                Next::Hole(hole) => break hole,
            }
        };
        if injected::makes(Bug::IncompleteCommitRedone)
            && let Some(open) = &reader.open
        {
            let marked = Marked {
                id: open.commit,
                wall_clock_ms: 0,
                end: hole.position,
            };
            reader.complete(&cursor, marked, &mut on_commit)?;
        }
        reader.judge(vfs, &chain, &mut cursor, &hole, must_reach)?;
        cursor.sync()?;
        Ok(reader.result)
    }
}

impl Kept {
    /// Keeps the frame that the cursor has just passed.
    fn push(&mut self, cursor: &Cursor<'_>, decoded: &Decoded) {
        let source = cursor.source();
        let is_new = |last: &Arc<Vec<u8>>| !Arc::ptr_eq(last, source.window());
        if self.windows.last().is_none_or(is_new) {
            self.windows.push(Arc::clone(source.window()));
        }
        let link = cursor.link();
        let position = LogPosition(cursor.place().position.0 - decoded.size as u64);
        let start = source.place(position.0 - link.header.start().0) + decoded.body.start;
        self.bytes += decoded.size + size_of::<ReadFrame>();
        self.frames.push(ReadFrame {
            page: decoded.page,
            kind: decoded.kind,
            position,
            window: self.windows.len() as u32 - 1,
            start: start as u32,
            len: decoded.body.len() as u32,
        });
    }

    fn hand_out(
        &mut self,
        marked: Marked,
        is_last_part: bool,
        on_commit: &mut impl FnMut(&Commit<'_>) -> Result<()>,
    ) -> Result<()> {
        on_commit(&Commit {
            id: marked.id,
            wall_clock_ms: marked.wall_clock_ms,
            end: marked.end,
            is_last_part,
            frames: &self.frames,
            windows: &self.windows,
        })?;
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.frames.clear();
        self.windows.clear();
        self.bytes = 0;
    }
}

impl Reader {
    /// Takes the frame that the cursor has just passed.
    fn take(
        &mut self,
        cursor: &Cursor<'_>,
        decoded: &Decoded,
        on_commit: &mut impl FnMut(&Commit<'_>) -> Result<()>,
    ) -> Result<()> {
        let end = cursor.place().position;
        let position = LogPosition(end.0 - decoded.size as u64);
        self.check_order(decoded)
            .map_err(|what| cursor.damaged(position, what))?;
        let open = self.open.get_or_insert_with(|| Open {
            commit: decoded.commit,
            place: Place {
                position,
                ..cursor.place()
            },
            frames: 0,
            bytes: 0,
            is_long: false,
        });
        open.frames += 1;
        open.bytes += decoded.size as u64;
        if !open.is_long {
            self.kept.push(cursor, decoded);
            if self.kept.bytes > self.commit_part {
                if injected::makes(Bug::LongCommitNotAwaited) {
                    let marked = Marked {
                        id: decoded.commit,
                        wall_clock_ms: 0,
                        end,
                    };
                    return self.kept.hand_out(marked, false, on_commit);
                }
                open.is_long = true;
                self.kept.clear();
            }
        }
        let Some(mark) = decoded.mark else {
            return Ok(());
        };
        if mark.frame_count != open.frames {
            return Err(cursor.damaged(
                position,
                format!(
                    "commit {} is marked as {} frames, but has {}",
                    decoded.commit, mark.frame_count, open.frames
                ),
            ));
        }
        if mark.durable_distance > position.0 {
            return Err(cursor.damaged(position, "a commit mark with an impossible durable position"));
        }
        let segment_clock = cursor.link().header.wall_clock_ms as i64;
        let marked = Marked {
            id: decoded.commit,
            wall_clock_ms: segment_clock.wrapping_add(mark.wall_clock_delta_ms) as u64,
            end,
        };
        self.complete(cursor, marked, on_commit)
    }

    fn check_order(&self, decoded: &Decoded) -> Result<(), String> {
        let expected = match (&self.open, self.result.last_commit) {
            (Some(open), _) => open.commit,
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
        cursor: &Cursor<'_>,
        marked: Marked,
        on_commit: &mut impl FnMut(&Commit<'_>) -> Result<()>,
    ) -> Result<()> {
        let open = self.open.take().expect("a commit has a frame");
        if open.is_long {
            self.read_again(cursor, &open, marked, on_commit)?;
        } else {
            self.kept.hand_out(marked, true, on_commit)?;
        }
        self.result.end = marked.end;
        self.result.last_commit = Some(marked.id);
        self.result.commits += 1;
        self.result.frames += open.frames;
        self.result.bytes += open.bytes;
        Ok(())
    }

    /// Reads a long commit once more, and hands it out in parts.
    fn read_again(
        &mut self,
        cursor: &Cursor<'_>,
        open: &Open,
        marked: Marked,
        on_commit: &mut impl FnMut(&Commit<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut again = cursor.back_at(open.place);
        for left in (0..open.frames).rev() {
            match again.next(&mut self.windows)? {
                Next::Frame(decoded) if decoded.commit == open.commit => self.kept.push(&again, &decoded),
                _ => {
                    let what = "a frame that was there when it was read before";
                    return Err(again.damaged(again.place().position, format!("{what} is not any more")));
                }
            }
            if left == 0 || self.kept.bytes > self.commit_part {
                self.kept.hand_out(marked, left == 0, on_commit)?;
            }
        }
        Ok(())
    }

    /// Whether the log may end at `hole`, where the cursor is.
    fn judge(
        &mut self,
        vfs: &dyn Vfs,
        chain: &Chain,
        cursor: &mut Cursor<'_>,
        hole: &Hole,
        must_reach: LogPosition,
    ) -> Result<()> {
        let Hole { position, fault } = hole;
        let link = cursor.link();
        let offset = position.0 - link.header.start().0;
        if injected::makes(Bug::DamageTruncatesLog) {
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
        let (source, windows) = (cursor.source_mut(), &mut self.windows);
        if let Some(found) = find_evidence(source, windows, offset, &link.header, *position, last)? {
            return corrupt(format!(
                "what is at {} says that the log was durable up to {}",
                found.place, found.durable
            ));
        }
        if let Some((path, durable)) = cursor.told().filter(|(_, durable)| durable > position) {
            return corrupt(format!(
                "the end of {} says that the log was durable up to {durable}",
                path.display()
            ));
        }
        if let Some(proof) = proof_behind(vfs, chain, &mut self.windows, *position, last)? {
            return corrupt(proof);
        }
        let what = if let Some(open) = &self.open {
            Some(format!(
                "commit {} has {} frames and no mark, then {fault}",
                open.commit, open.frames
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
    windows: &mut Windows,
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
        let mut source = Source::open(vfs, &link.path, link.header.segment_size)?;
        let from = HEADER_BYTES as u64;
        if let Some(found) = find_evidence(&mut source, windows, from, &link.header, hole, last)? {
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
        proof_behind(vfs, chain, &mut Windows::default(), from, None)?
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
