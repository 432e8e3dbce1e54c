//! The newest state of each page that can be put together: an intact image, and what the log adds to that.
//!
//! | the data file has | the page begins with | and is the newest state |
//! |---|---|---|
//! | the image that the page map names; a recovery would take the log | that image, as in the recovery | yes |
//! | no entry for it in a whole page map; the same | nothing: the log has the page whole if it is in use | yes |
//! | others, or a recovery would refuse the log | the newest image, of one commit the one in the page map | if the log has the page whole, or the image is the page map's, and all of the commits that came then |
//!
//! An image that the page map does not name may have been made in the middle of its commit (docs/decisions/0008), or by a
//! commit that a crash cut off and whose ID another one has now. So it never counts as a page's newest state by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::log::{Known, Log, SoundEnd};
use crate::error::Result;
use crate::ids::{CommitId, PageNumber, TableId};
use crate::opening::empty_catalog;
use crate::page::layout::{HEADER, KIND_OVERFLOW, NO_BOUND, PAGE_SIZE_MAX, PAGE_SIZE_MIN};
use crate::page::node::Node;
use crate::page::words::{Word, Words, private_page};
use crate::page::{delta, image};
use crate::store::{self, FoundImage};
use crate::txn::IMAGE_CODEC_NONE;
use crate::vfs::{Vfs, VfsFile};
use crate::wal::{self, FrameKind};

/// Where an image was found; of several of one commit the last kind counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Stray,
    PageMap,
    Log,
}

/// What an image says of its page.
#[derive(Clone, Copy, Debug)]
struct Facts {
    table: TableId,
    commit: CommitId,
    origin: Origin,
    level: u8,
    is_overflow: bool,
    /// It has no bounds: the root of a tree.
    is_root: bool,
}

/// A page put together.
#[derive(Debug)]
pub(super) struct PageState {
    memory: Box<[Word]>,
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
    pub(super) log: Log,
    /// Whether a recovery would take the log.
    is_sound: bool,
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
        let mut survey = store::Survey::of(&*file, path, |page, commit, is_mapped, raw| {
            let origin = if is_mapped { Origin::PageMap } else { Origin::Stray };
            note(&mut facts, page, commit, origin, raw);
            page_size = page_size.or(page_size_of(raw));
        })?;
        let mut problems = Vec::new();
        if survey.superblock.is_none() {
            problems.push("both superblocks are lost".to_owned());
        }
        if !survey.has_whole_map {
            problems.push("the page map is lost, in whole or in part: pages whose newest image is damaged may be older than they should be, and that cannot be told".to_owned());
        }
        let own = survey.superblock.map(|own| (own.database_id, own.time_line));
        let mut log = wal::survey(vfs, wal_dir, own)?;
        problems.append(&mut log.problems);
        let sound_end = SoundEnd::find(vfs, wal_dir, &survey, &mut problems)?;
        if let Some(end) = sound_end {
            log.frames.retain(|frame| frame.position < end.position);
            log.end = log.end.min(end.position);
            // Pages that were moved out of memory for a commit that has not come to its end.
            for images in survey.images.values_mut() {
                images.retain(|image| image.commit <= end.last);
            }
        }
        for frame in &log.frames {
            if let (FrameKind::Image, [IMAGE_CODEC_NONE, raw @ ..]) = (frame.kind, &frame.body[..]) {
                note(&mut facts, frame.page, frame.commit, Origin::Log, raw);
                page_size = page_size.or(page_size_of(raw));
            }
        }
        let superblock = survey.superblock;
        let page_size = superblock.map_or(page_size, |own| Some(own.page_size as usize));
        let log = Log::new(log, superblock.as_ref(), sound_end.is_some(), &mut problems);
        Ok(Self {
            file,
            path: path.to_path_buf(),
            survey,
            log,
            is_sound: sound_end.is_some(),
            facts,
            page_size: page_size.unwrap_or(PAGE_SIZE_MIN),
            problems,
        })
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
        !self.survey.has_whole_map || self.survey.map.contains_key(&page) || self.log.has_image(page)
    }

    /// Reads the image that a page begins with, and returns its commit and whether it is the page map's; the rest is the
    /// log's to add.
    fn base(&self, page: PageNumber, words: Words<'_>) -> Option<(CommitId, bool)> {
        let mut raw = Vec::new();
        let mut read = |image: &FoundImage| {
            store::Survey::read(&*self.file, &self.path, page, image, &mut raw).is_ok()
                && image::decode(&raw, page, words).is_ok()
        };
        let mapped = self.survey.map.get(&page);
        if let Some(mapped) = mapped.filter(|_| self.is_sound)
            && read(mapped)
        {
            return Some((mapped.commit, true));
        }
        if mapped.is_none() && self.is_sound && self.survey.has_whole_map {
            return None;
        }
        let images = self.survey.images.get(&page).map_or(&[][..], Vec::as_slice);
        images
            .iter()
            .rev()
            .map(|image| (image, mapped == Some(image)))
            .filter(|(image, is_mapped)| *is_mapped || !self.log.disowns(page, image.commit))
            .find(|(image, _)| read(image))
            .map(|(image, is_mapped)| (image.commit, is_mapped))
    }

    /// The newest state of a page; `None` if nothing of it is left, or it was freed.
    pub(super) fn newest(&self, page: PageNumber) -> Option<PageState> {
        let memory = private_page(self.page_size);
        let words = Words::new(&memory);
        let base = self.base(page, words);
        let mapped = self.survey.map.get(&page).map(|image| image.commit);
        let is_as_recovered = match base {
            Some((_, is_mapped)) => is_mapped,
            None => mapped.is_none() && self.is_sound && self.survey.has_whole_map,
        };
        let frames = if is_as_recovered {
            self.log.frames_from_redo(page)
        } else {
            self.log.frames(page)
        };
        let mut at = base.map(|(commit, _)| commit);
        let mut known = at
            .filter(|_| is_as_recovered)
            .map(|at| self.log.known_of_mapped(at));
        if at.is_none() && page == PageNumber::CATALOG && !frames.is_empty() {
            // How every catalog begins is in no log, and need not be. With the first commits lost, names are better than
            // none.
            words.write(0, &empty_catalog(self.page_size));
            at = Some(CommitId(0));
            known = Some(Known::default());
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
            let is_whole = match (frame.kind, &frame.body[..]) {
                (FrameKind::Freed, _) => true,
                (FrameKind::Image, [IMAGE_CODEC_NONE, raw @ ..]) => image::decode(raw, page, words).is_ok(),
                _ => false,
            };
            if is_whole {
                known = Some(Known {
                    commit: frame.commit,
                    position: frame.position,
                });
            }
            let is_redone = is_whole
                || frame.kind == FrameKind::Delta
                    && at.is_some()
                    && delta::redo(&mut crate::page::edit::NodeMut::new(words), &frame.body).is_ok();
            if frame.kind == FrameKind::Freed {
                at = None;
            } else if is_redone {
                at = Some(frame.commit);
                words.set_word(1, frame.commit.0);
            } else {
                known = None;
            }
        }
        let at = at?;
        let node = Node::new(words);
        if node.page_number() != page || node.check().is_err() {
            return None;
        }
        let damaged = self.survey.damaged.get(&page).copied().unwrap_or_default();
        let is_newest = known.is_some_and(|known| self.log.has_all_after(known))
            && mapped.is_none_or(|mapped| at >= mapped)
            && (self.is_sound || at >= damaged);
        Some(PageState { memory, is_newest })
    }

    /// A page as one commit wrote it: a link of a long value, which never changes.
    pub(super) fn written_by(&self, page: PageNumber, commit: CommitId) -> Option<PageState> {
        // A commit that a crash cut off may have had the same ID.
        let newest = self
            .newest(page)
            .filter(|state| state.node().commit_id() == commit);
        if newest.is_some() {
            return newest;
        }
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
            || self
                .log
                .frames(page)
                .iter()
                .any(|frame| match (frame.kind, &frame.body[..]) {
                    (FrameKind::Image, [IMAGE_CODEC_NONE, raw @ ..]) if frame.commit == commit => {
                        image::decode(raw, page, words).is_ok()
                    }
                    _ => false,
                });
        is_there.then_some(PageState {
            memory,
            is_newest: true,
        })
    }
}

/// Notes what the newest image of each page says.
fn note(
    facts: &mut BTreeMap<PageNumber, Facts>,
    page: PageNumber,
    commit: CommitId,
    origin: Origin,
    raw: &[u8],
) {
    let Some(header) = raw.first_chunk::<HEADER>() else {
        return;
    };
    let u16_at = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let found = Facts {
        table: TableId(u32::from_le_bytes([header[4], header[5], header[6], header[7]])),
        commit,
        origin,
        level: header[17],
        is_overflow: header[16] == KIND_OVERFLOW,
        is_root: header[16] != KIND_OVERFLOW && u16_at(34) == 0 && u16_at(38) == NO_BOUND,
    };
    match facts.get_mut(&page) {
        Some(known) if (known.commit, known.origin) > (commit, origin) => {}
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
