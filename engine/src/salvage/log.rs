//! What the log adds to the pages, and what it has lost.
//!
//! A recovery reads the log from the redo position on, where it must be whole. Salvage also reads what lies before: segments
//! that a checkpoint made superfluous keep their frames until they are used again, and a page whose image is damaged may be
//! put together from them. But some of these segments are gone and others are not, so that part of the log has gaps, and
//! what a page was changed by in a gap is lost. Commit IDs are dense, which shows every one of them.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition, PageNumber};
use crate::store::{self, Superblock};
use crate::vfs::Vfs;
use crate::wal::{self, FoundFrame, FrameKind, Wal, WalOptions};

/// Up to where a recovery takes the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct SoundEnd {
    pub(super) position: LogPosition,
    pub(super) last: CommitId,
}

impl SoundEnd {
    /// Where the log ends for a recovery, which leaves out what was never durable: what lies behind has holes, and would take
    /// the pages apart that it belongs to. `None` if a recovery would refuse the log; why is one of the `problems` then.
    ///
    /// # Errors
    /// I/O errors.
    pub(super) fn find(
        vfs: &dyn Vfs,
        wal_dir: &std::path::Path,
        survey: &store::Survey,
        problems: &mut Vec<String>,
    ) -> Result<Option<Self>> {
        let Some(own) = survey.superblock else {
            return Ok(None);
        };
        let mut options = WalOptions::new(wal_dir);
        options.database_id = own.database_id;
        options.time_line = Some(own.time_line);
        options.read_only = true;
        let recovered = match Wal::recover(vfs, &options, own.redo, own.must_reach, |_| Ok(())) {
            Ok(recovered) => recovered,
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(error) => {
                problems.push(error.to_string());
                return Ok(None);
            }
        };
        let last = recovered.last_commit.unwrap_or_default().max(own.last_commit);
        let newest = survey.map.values().map(|image| image.commit).max();
        if let Some(newest) = newest.filter(|newest| *newest > last) {
            problems.push(format!(
                "pages hold commit {newest}, but the log ends with commit {last}"
            ));
            return Ok(None);
        }
        Ok(Some(Self {
            position: recovered.end,
            last,
        }))
    }
}

/// Commits that the log has lost, in whole or in part.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// The last frame before, or the redo position.
    behind: LogPosition,
    /// The last of them.
    commit: CommitId,
}

/// What of a page is certain: its state with all of the changes by a commit and those before, which are in the log up to a
/// position, or need not be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) commit: CommitId,
    pub(super) position: LogPosition,
}

/// The frames of commits by page.
#[derive(Debug, Default)]
pub(super) struct Log {
    frames: HashMap<PageNumber, Vec<FoundFrame>>,
    /// Commits of which all frames are there.
    whole: HashSet<CommitId>,
    gaps: Vec<Gap>,
    redo: LogPosition,
    /// The last commit before the redo position.
    before_redo: Option<CommitId>,
    /// Frames that count.
    pub(super) frame_count: u64,
}

impl Log {
    /// Sorts the frames that were found; the rest of a commit at the end that was never completed stays out. Names in
    /// `problems` what a recovery needs and is lost.
    pub(super) fn new(
        found: wal::Survey,
        own: Option<&Superblock>,
        is_sound: bool,
        problems: &mut Vec<String>,
    ) -> Self {
        let mut log = Self::default();
        if crate::injected::makes(crate::injected::Bug::SalvageIgnoresLog) {
            return log;
        }
        if let Some(own) = own {
            log.redo = own.redo;
            // Nothing lies between the redo position and the checkpoint's end.
            log.before_redo = (is_sound || own.redo == own.must_reach).then_some(own.last_commit);
            // A log that a recovery takes reaches it, also without a frame from the redo position on.
            if !is_sound && found.end < own.must_reach {
                problems.push(format!(
                    "the log ends at {}, but was durable up to {}",
                    found.end, own.must_reach
                ));
            }
        }
        let commits = by_commit(found.frames);
        let count = commits.len();
        let mut is_behind_redo = false;
        let mut previous = CommitId(0);
        let mut behind = LogPosition(0);
        for (index, commit) in commits.into_iter().enumerate() {
            let (Some(first), Some(last)) = (commit.first(), commit.last()) else {
                continue;
            };
            let id = last.commit;
            let is_whole = last.frame_count == Some(commit.len() as u64);
            if !is_whole && index + 1 == count {
                log.lose(behind, id);
                continue;
            }
            let is_next = id == previous.next();
            if !is_next {
                let lost = if id > previous {
                    CommitId(id.0 - 1)
                } else {
                    // What was left behind by a recovery: what has become of its pages is not known.
                    CommitId(u64::MAX)
                };
                log.lose(behind, lost);
            }
            if let Some(own) = own.filter(|own| last.position >= own.redo) {
                let begins = !std::mem::replace(&mut is_behind_redo, true);
                let before = CommitId(id.0.saturating_sub(1));
                if begins
                    && (is_sound || is_next || first.position == own.redo || log.before_redo == Some(before))
                {
                    log.before_redo = Some(before);
                } else if begins {
                    log.lose(own.redo, before);
                    problems.push(format!(
                        "the log has lost what lies between position {} and commit {id}",
                        own.redo
                    ));
                } else if !is_next {
                    problems.push(format!(
                        "the log has lost what lies between commits {previous} and {id}"
                    ));
                }
            }
            if is_whole {
                log.whole.insert(id);
            } else {
                log.lose(last.position, id);
                if own.is_none() || is_behind_redo {
                    problems.push(format!("commit {id} is damaged in the log"));
                }
            }
            previous = id;
            behind = last.position;
            log.frame_count += commit.len() as u64;
            for frame in commit {
                log.frames.entry(frame.page).or_default().push(frame);
            }
        }
        if let Some(own) = own.filter(|own| own.last_commit > previous) {
            log.lose(behind.max(own.redo), own.last_commit);
        }
        log
    }

    fn lose(&mut self, behind: LogPosition, commit: CommitId) {
        self.gaps.push(Gap { behind, commit });
    }

    /// The frames of a page, in log order.
    pub(super) fn frames(&self, page: PageNumber) -> &[FoundFrame] {
        self.frames.get(&page).map_or(&[], Vec::as_slice)
    }

    /// The frames of a page that a recovery redoes on the image that the page map names.
    pub(super) fn frames_from_redo(&self, page: PageNumber) -> &[FoundFrame] {
        let frames = self.frames(page);
        &frames[frames.partition_point(|frame| frame.position < self.redo)..]
    }

    /// Whether the log has the page as it was created, or whole for another reason.
    pub(super) fn has_image(&self, page: PageNumber) -> bool {
        self.frames(page)
            .iter()
            .any(|frame| frame.kind == FrameKind::Image)
    }

    /// Whether an image of the page that says it is of `commit` cannot be: the log has the whole of that commit, which did
    /// not change the page. A commit of that ID was under way once when the power failed.
    pub(super) fn disowns(&self, page: PageNumber, commit: CommitId) -> bool {
        self.whole.contains(&commit) && self.frames(page).iter().all(|frame| frame.commit != commit)
    }

    /// What is certain of a page whose image is the one that the page map names: a checkpoint has seen to all that lies
    /// before its redo position. Of a later commit the image may have a part; its log has the page whole then.
    pub(super) fn known_of_mapped(&self, image: CommitId) -> Known {
        let before = CommitId(image.0.saturating_sub(1));
        Known {
            commit: self.before_redo.unwrap_or_default().max(before),
            position: self.redo,
        }
    }

    /// Whether everything that came after what is known is in the log.
    pub(super) fn has_all_after(&self, known: Known) -> bool {
        !self
            .gaps
            .iter()
            .any(|gap| gap.behind >= known.position && gap.commit > known.commit)
    }
}

fn by_commit(frames: Vec<FoundFrame>) -> Vec<Vec<FoundFrame>> {
    let mut commits: Vec<Vec<FoundFrame>> = Vec::new();
    for frame in frames {
        match commits.last_mut() {
            Some(commit) if commit.last().is_some_and(|last| last.commit == frame.commit) => {
                commit.push(frame);
            }
            _ => commits.push(vec![frame]),
        }
    }
    commits
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::compress::Codec;
    use crate::wal::FrameBody;

    const PAGE: PageNumber = PageNumber(7);

    /// Frames of one commit each, a hundred bytes apart: commit and whether it is whole.
    fn survey(commits: &[(u64, bool)]) -> wal::Survey {
        let frame = |(at, &(commit, is_whole)): (u64, &(u64, bool))| FoundFrame {
            page: PAGE,
            commit: CommitId(commit),
            kind: FrameKind::Delta,
            position: LogPosition(at * 100),
            frame_count: Some(if is_whole { 1 } else { 2 }),
            body: FrameBody::new(&Arc::default(), 0, 0),
        };
        wal::Survey {
            frames: (1..).zip(commits).map(frame).collect(),
            end: LogPosition(100 * (commits.len() as u64 + 1)),
            problems: Vec::new(),
        }
    }

    fn superblock(redo: u64, last_commit: u64) -> Superblock {
        Superblock {
            generation: 2,
            database_id: 1,
            page_size: 4096,
            codec: Codec::None,
            level: 0,
            redo: LogPosition(redo),
            must_reach: LogPosition(redo + 1),
            last_commit: CommitId(last_commit),
            root_offset: 0,
            root_length: 0,
            page_count: 0,
            page_high: 0,
            wal_segment_size: 4096,
            wall_clock_ms: 0,
            time_line: 1,
            root_generation: 0,
        }
    }

    fn log(commits: &[(u64, bool)], own: &Superblock) -> (Log, Vec<String>) {
        let mut problems = Vec::new();
        let log = Log::new(survey(commits), Some(own), false, &mut problems);
        (log, problems)
    }

    fn known(commit: u64, position: u64) -> Known {
        Known {
            commit: CommitId(commit),
            position: LogPosition(position),
        }
    }

    #[test]
    fn what_a_recovery_needs_and_is_lost_is_named_though_the_checkpoint_has_seen_later_commits() {
        let all = [(4, true), (5, true), (6, true), (7, true)];
        let (log_of_all, problems) = log(&all, &superblock(200, 7));
        assert!(problems.is_empty(), "{problems:?}");
        assert!(log_of_all.has_all_after(log_of_all.known_of_mapped(CommitId(2))));
        for (commits, what) in [
            (&[(4, true), (6, true), (7, true)][..], "between commits 4 and 6"),
            (&[(4, true), (5, true), (7, true)], "between commits 5 and 7"),
            (
                &[(4, true), (5, false), (6, true), (7, true)],
                "commit 5 is damaged",
            ),
        ] {
            let (log, problems) = log(commits, &superblock(100, 7));
            assert!(problems.len() == 1 && problems[0].contains(what), "{problems:?}");
            assert!(!log.has_all_after(log.known_of_mapped(CommitId(2))), "{what}");
        }
        let (log, problems) = log(&all, &superblock(50, 7));
        assert!(
            problems[0].contains("between position 50 and commit 4"),
            "{problems:?}"
        );
        assert!(!log.has_all_after(log.known_of_mapped(CommitId(2))));
    }

    #[test]
    fn gaps_before_the_redo_position_matter_to_pages_that_begin_there_only() {
        let commits = [(3, true), (4, true), (8, true), (9, true), (10, true)];
        let (log, problems) = log(&commits, &superblock(400, 10));
        assert!(problems.is_empty(), "{problems:?}");
        assert!(log.has_all_after(log.known_of_mapped(CommitId(2))));
        assert_eq!(log.frames_from_redo(PAGE).len(), 2);
        assert!(!log.has_all_after(known(3, 100)) && !log.has_all_after(known(4, 200)));
        assert!(log.has_all_after(known(8, 300)));
        assert!(log.disowns(PageNumber(8), CommitId(4)) && !log.disowns(PAGE, CommitId(4)));
        assert!(!log.disowns(PageNumber(8), CommitId(5)));
    }

    #[test]
    fn after_what_a_recovery_left_behind_nothing_before_it_is_certain() {
        let commits = [(3, true), (9, true), (4, true), (5, true)];
        let (log, problems) = log(&commits, &superblock(300, 5));
        assert!(problems.is_empty(), "{problems:?}");
        assert!(!log.has_all_after(known(9, 200)));
        assert!(log.has_all_after(log.known_of_mapped(CommitId(2))));
    }
}
