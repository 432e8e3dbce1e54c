//! The newest state of each page that can be put together: its newest intact image, and what the log adds to that.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::error::Result;
use crate::ids::{CommitId, LogPosition, PageNumber, TableId};
use crate::opening::empty_catalog;
use crate::page::layout::{HEADER, KIND_OVERFLOW, NO_BOUND, PAGE_SIZE_MAX, PAGE_SIZE_MIN};
use crate::page::node::Node;
use crate::page::words::{Words, private_page};
use crate::page::{delta, image};
use crate::store;
use crate::txn::IMAGE_CODEC_NONE;
use crate::vfs::{Vfs, VfsFile};
use crate::wal::{self, FoundFrame, FrameKind, Wal, WalOptions};

/// What an image says of its page.
#[derive(Clone, Copy, Debug)]
struct Facts {
    table: TableId,
    commit: CommitId,
    level: u8,
    is_overflow: bool,
    /// It has no bounds: the root of a tree.
    is_root: bool,
}

/// A page put together.
#[derive(Debug)]
pub(super) struct PageState {
    memory: Box<[AtomicU64]>,
    /// Nothing says that there was a newer state.
    pub(super) is_newest: bool,
}

impl PageState {
    pub(super) fn node(&self) -> Node<'_> {
        Node::new(Words::new(&self.memory))
    }
}

/// All that is left of a database's pages.
#[derive(Debug)]
pub(super) struct Pages {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    pub(super) survey: store::Survey,
    log: HashMap<PageNumber, Vec<FoundFrame>>,
    /// Frames that count.
    pub(super) log_frames: u64,
    /// The first commit of which the log has a frame, and perhaps not all; those behind it are whole but for damage.
    log_begins: CommitId,
    facts: BTreeMap<PageNumber, Facts>,
    pub(super) page_size: usize,
    /// What is wrong with the database as a whole.
    pub(super) problems: Vec<String>,
}

impl Pages {
    /// Looks at everything that is left.
    ///
    /// # Errors
    /// I/O errors; damage is none.
    pub(super) fn survey(vfs: &dyn Vfs, path: &Path, wal_dir: &Path, file: Arc<dyn VfsFile>) -> Result<Self> {
        let mut facts = BTreeMap::new();
        let mut page_size = None;
        let mut survey = store::Survey::of(&*file, path, |page, commit, raw| {
            note(&mut facts, page, commit, raw);
            page_size = page_size.or(page_size_of(raw));
        })?;
        let own = survey.superblock.map(|own| (own.database_id, own.time_line));
        let mut log = wal::survey(vfs, wal_dir, own)?;
        if let Some((end, last)) = sound_end(vfs, wal_dir, &survey) {
            log.frames.retain(|frame| frame.position < end);
            log.end = log.end.min(end);
            // Pages that were moved out of memory for a commit that has not come to its end.
            for images in survey.images.values_mut() {
                images.retain(|image| image.commit <= last);
            }
        }
        for frame in &log.frames {
            if let (FrameKind::Image, [IMAGE_CODEC_NONE, raw @ ..]) = (frame.kind, &frame.body[..]) {
                note(&mut facts, frame.page, frame.commit, raw);
                page_size = page_size.or(page_size_of(raw));
            }
        }
        let page_size = survey
            .superblock
            .map_or(page_size, |superblock| Some(superblock.page_size as usize));
        let mut pages = Self {
            file,
            path: path.to_path_buf(),
            survey,
            log: HashMap::new(),
            log_frames: 0,
            log_begins: CommitId(u64::MAX),
            facts,
            page_size: page_size.unwrap_or(PAGE_SIZE_MIN),
            problems: Vec::new(),
        };
        if pages.survey.superblock.is_none() {
            pages.problem("both superblocks are lost");
        }
        if !pages.survey.has_whole_map {
            pages.problem("the page map is lost, in whole or in part: pages whose newest image is damaged may be older than they should be, and that cannot be told");
        }
        pages.problems.extend(log.problems);
        if let Some(first) = log.frames.first() {
            pages.log_begins = first.commit;
        }
        pages.sort_log(log.frames, log.end);
        Ok(pages)
    }

    fn problem(&mut self, what: impl Into<String>) {
        self.problems.push(what.into());
    }

    /// Sorts the frames of commits by page; the rest of a commit at the end of the log that was never completed stays out.
    fn sort_log(&mut self, frames: Vec<FoundFrame>, end: LogPosition) {
        if crate::planted::makes(crate::planted::Fault::SalvageIgnoresLog) {
            return;
        }
        let redo = self
            .survey
            .superblock
            .map(|s| (s.redo, s.must_reach, s.last_commit));
        if let Some((_, must_reach, _)) = redo
            && end < must_reach
        {
            self.problem(format!(
                "the log ends at {end}, but was durable up to {must_reach}"
            ));
        }
        let mut commits: Vec<Vec<FoundFrame>> = Vec::new();
        for frame in frames {
            match commits.last_mut() {
                Some(commit) if commit.last().is_some_and(|last| last.commit == frame.commit) => {
                    commit.push(frame);
                }
                _ => commits.push(vec![frame]),
            }
        }
        let count = commits.len();
        let mut previous = redo.map(|(.., last)| last);
        for (index, commit) in commits.into_iter().enumerate() {
            let Some(last) = commit.last() else { continue };
            let is_whole = last.frame_count == Some(commit.len() as u64);
            if !is_whole && index + 1 == count {
                continue;
            }
            let is_needed = redo.is_none_or(|(redo, ..)| last.position >= redo);
            let id = last.commit;
            if is_needed && !is_whole {
                self.problem(format!("commit {id} is damaged in the log"));
            }
            if let (true, Some(before)) = (is_needed && redo.is_some(), previous)
                && id > before.next()
            {
                self.problem(format!(
                    "the log has lost what lies between commits {before} and {id}"
                ));
            }
            if is_needed {
                previous = previous.max(Some(id));
            }
            self.log_frames += commit.len() as u64;
            for frame in commit {
                self.log.entry(frame.page).or_default().push(frame);
            }
        }
    }

    /// Pages of a table that rows can be in, the newest state first.
    pub(super) fn leaves_of(&self, table: TableId) -> Vec<PageNumber> {
        let mut found: Vec<_> = self
            .facts
            .iter()
            .filter(|(_, facts)| facts.table == table && facts.level == 0 && !facts.is_overflow)
            .map(|(page, facts)| (std::cmp::Reverse(facts.commit), *page))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, page)| page).collect()
    }

    /// Tables that pages belong to.
    pub(super) fn tables(&self) -> BTreeSet<TableId> {
        self.facts.values().map(|facts| facts.table).collect()
    }

    /// The root of a table that the catalog does not name.
    pub(super) fn root_of(&self, table: TableId) -> Option<PageNumber> {
        self.facts
            .iter()
            .filter(|(_, facts)| facts.table == table && facts.is_root)
            .max_by_key(|(_, facts)| (facts.commit, facts.level))
            .map(|(page, _)| *page)
    }

    /// Whether the page is in use, as far as that is known.
    pub(super) fn may_be_live(&self, page: PageNumber) -> bool {
        !self.survey.has_whole_map
            || self.survey.map.contains_key(&page)
            || self
                .log
                .get(&page)
                .is_some_and(|frames| frames.iter().any(|frame| frame.kind == FrameKind::Image))
    }

    /// The newest state of a page; `None` if nothing of it is left, or it was freed.
    pub(super) fn newest(&self, page: PageNumber) -> Option<PageState> {
        let memory = private_page(self.page_size);
        let words = Words::new(&memory);
        let images = self.survey.images.get(&page).map_or(&[][..], Vec::as_slice);
        let mut raw = Vec::new();
        let mut at = images.iter().rev().find_map(|found| {
            store::Survey::read(&*self.file, &self.path, page, found, &mut raw).ok()?;
            image::decode(&raw, page, words).ok().map(|()| found.commit)
        });
        let expected = self.survey.map.get(&page).copied().unwrap_or_default();
        let damaged = self.survey.damaged.get(&page).copied().unwrap_or_default();
        // What came between an image that is not the last one and the beginning of the log is lost with that.
        let mut is_newest = at.is_none_or(|at| at >= expected.max(damaged) || at >= self.log_begins);
        let frames = self.log.get(&page).map_or(&[][..], Vec::as_slice);
        if at.is_none() && page == PageNumber::CATALOG && !frames.is_empty() {
            // How every catalog begins is in no log, and need not be. With the first commits lost, names are better than
            // none.
            words.write(0, &empty_catalog(self.page_size));
            at = Some(CommitId(0));
            is_newest = self.log_begins == CommitId(1);
        }
        for frame in frames {
            // An image of the middle of a commit is possible; that commit has logged the page whole.
            let is_old = |at| match frame.kind {
                FrameKind::Delta => frame.commit <= at,
                _ => frame.commit < at,
            };
            if at.is_some_and(is_old) {
                continue;
            }
            let is_redone = match (frame.kind, &frame.body[..]) {
                (FrameKind::Freed, _) => {
                    at = None;
                    is_newest = true;
                    continue;
                }
                (FrameKind::Image, [IMAGE_CODEC_NONE, raw @ ..]) => image::decode(raw, page, words).is_ok(),
                (FrameKind::Delta, body) if at.is_some() => {
                    delta::redo(&mut crate::page::edit::NodeMut::new(words), body).is_ok()
                }
                _ => false,
            };
            if is_redone {
                at = Some(frame.commit);
                words.set_word(1, frame.commit.0);
                is_newest |= frame.kind == FrameKind::Image;
            } else {
                is_newest = false;
            }
        }
        let at = at?;
        let node = Node::new(words);
        if node.page_number() != page || node.check().is_err() {
            return None;
        }
        is_newest &= at >= expected && at >= damaged;
        Some(PageState { memory, is_newest })
    }

    /// A page as one commit wrote it: a link of a long value, which never changes.
    pub(super) fn written_by(&self, page: PageNumber, commit: CommitId) -> Option<PageState> {
        let memory = private_page(self.page_size);
        let words = Words::new(&memory);
        let mut raw = Vec::new();
        let images = self.survey.images.get(&page).map_or(&[][..], Vec::as_slice);
        let stored = images
            .iter()
            .rev()
            .filter(|found| found.commit == commit)
            .any(|found| {
                store::Survey::read(&*self.file, &self.path, page, found, &mut raw).is_ok()
                    && image::decode(&raw, page, words).is_ok()
            });
        let is_there = stored
            || self.log.get(&page).is_some_and(|frames| {
                frames.iter().any(|frame| match (frame.kind, &frame.body[..]) {
                    (FrameKind::Image, [IMAGE_CODEC_NONE, raw @ ..]) if frame.commit == commit => {
                        image::decode(raw, page, words).is_ok()
                    }
                    _ => false,
                })
            });
        is_there.then_some(PageState {
            memory,
            is_newest: true,
        })
    }
}

/// Where the log ends for a recovery, which leaves out what was never durable, and the last commit then; `None` if a
/// recovery would refuse it. What lies behind has holes, and would take the pages apart that it belongs to.
fn sound_end(vfs: &dyn Vfs, wal_dir: &Path, survey: &store::Survey) -> Option<(LogPosition, CommitId)> {
    let own = survey.superblock?;
    let mut options = WalOptions::new(wal_dir);
    options.database_id = own.database_id;
    options.time_line = Some(own.time_line);
    options.read_only = true;
    let recovered = Wal::recover(vfs, &options, own.redo, own.must_reach, |_| Ok(()));
    let recovered = recovered.ok()?;
    let last = recovered.last_commit.unwrap_or(CommitId(0)).max(own.last_commit);
    let are_in_log = survey.map.values().all(|commit| *commit <= last);
    are_in_log.then_some((recovered.end, last))
}

/// Notes what the newest image of each page says.
fn note(facts: &mut BTreeMap<PageNumber, Facts>, page: PageNumber, commit: CommitId, raw: &[u8]) {
    let Some(header) = raw.first_chunk::<HEADER>() else {
        return;
    };
    let u16_at = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let found = Facts {
        table: TableId(u32::from_le_bytes([header[4], header[5], header[6], header[7]])),
        commit,
        level: header[17],
        is_overflow: header[16] == KIND_OVERFLOW,
        is_root: header[16] != KIND_OVERFLOW && u16_at(34) == 0 && u16_at(38) == NO_BOUND,
    };
    match facts.get_mut(&page) {
        Some(known) if known.commit > commit => {}
        Some(known) => *known = found,
        None => {
            facts.insert(page, found);
        }
    }
}

/// The page size that an image was made with, which its gap tells; an overflow page has none.
fn page_size_of(raw: &[u8]) -> Option<usize> {
    let header = raw.first_chunk::<HEADER>()?;
    if header[16] == KIND_OVERFLOW {
        return None;
    }
    let slots = 8 * usize::from(u16::from_le_bytes([header[20], header[21]]));
    let heap = u32::from_le_bytes([header[24], header[25], header[26], header[27]]) as usize;
    let size = raw.len().checked_sub(HEADER + slots)?.checked_add(heap)?;
    (size.is_power_of_two() && (PAGE_SIZE_MIN..=PAGE_SIZE_MAX).contains(&size)).then_some(size)
}
