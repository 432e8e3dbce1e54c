//! A file on the disk: what is durable, and the changes that are not yet.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use hashbrown::HashMap;

use super::fingerprint::{self, Sector, Terms};
use super::{SECTOR, Survival};

/// A file on the disk.
#[derive(Clone, Debug, Default)]
pub(super) struct DiskFile {
    pub(super) durable: Arc<Vec<u8>>,
    pub(super) changes: Vec<Change>,
    /// Length with all changes.
    len: u64,
    /// Of what is durable; made when it is first asked for.
    terms: OnceLock<Terms>,
}

/// A change of a file that is not durable.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Number of its operation.
    pub(super) at: usize,
    /// The length with it, where it changed the length.
    len_after: Option<u64>,
    content: Content,
    /// A failed sync marked it clean, so no later sync makes it durable.
    pub(super) is_forgotten: bool,
}

#[derive(Clone, Debug)]
enum Content {
    Write {
        offset: u64,
        data: Arc<[u8]>,
    },
    /// Zeros, where a file was cut.
    Cut(Range<u64>),
    /// Nothing but a new length.
    Grown,
}

/// What is left of a file after a power loss: its length, and the sectors that may differ from what was durable.
struct After {
    len: u64,
    sectors: BTreeMap<u64, Sector>,
}

impl DiskFile {
    pub(super) fn new(durable: Arc<Vec<u8>>) -> Self {
        Self {
            len: durable.len() as u64,
            durable,
            ..Self::default()
        }
    }

    pub(super) fn write(&mut self, at: usize, offset: u64, data: Arc<[u8]>) {
        let end = offset + data.len() as u64;
        let len_after = (end > self.len).then_some(end);
        self.push(at, len_after, Content::Write { offset, data });
    }

    pub(super) fn set_len(&mut self, at: usize, len: u64) {
        let content = if len < self.len {
            Content::Cut(len..self.len)
        } else {
            Content::Grown
        };
        self.push(at, Some(len), content);
    }

    fn push(&mut self, at: usize, len_after: Option<u64>, content: Content) {
        self.len = len_after.unwrap_or(self.len);
        self.changes.push(Change {
            at,
            len_after,
            content,
            is_forgotten: false,
        });
    }

    /// Undoes what is not durable.
    pub(super) fn revert(&mut self) {
        self.changes.clear();
        self.len = self.durable.len() as u64;
    }

    /// Makes changes durable, and with each the older ones to the same sectors, which are in the page that is written.
    pub(super) fn make_durable(&mut self, is_covered: impl Fn(&Change) -> bool) {
        let mut covered: Vec<bool> = self.changes.iter().map(&is_covered).collect();
        if !covered.iter().all(|&c| c) {
            for later in (0..covered.len()).rev() {
                if !covered[later] {
                    continue;
                }
                let sectors = self.changes[later].sectors();
                for (earlier, covered) in covered[..later].iter_mut().enumerate() {
                    let other = self.changes[earlier].sectors();
                    *covered |= other.start < sectors.end && sectors.start < other.end;
                }
            }
        }
        if !covered.contains(&true) {
            return;
        }
        self.forget_older_lengths(&covered);
        let bytes = Arc::make_mut(&mut self.durable);
        let mut changed: Vec<Range<u64>> = Vec::new();
        let mut at = 0;
        self.changes.retain(|change| {
            let is_covered = covered[at];
            at += 1;
            if is_covered {
                changed.push(last_sector(bytes.len() as u64));
                change.apply(bytes);
                changed.push(change.sectors());
            }
            !is_covered
        });
        if let Some(terms) = self.terms.get_mut() {
            changed.push(last_sector(bytes.len() as u64));
            terms.refresh(bytes, changed.into_iter().flatten());
        }
    }

    /// A file has one length on the disk: once a newer one is there, no older one comes back.
    fn forget_older_lengths(&mut self, covered: &[bool]) {
        let (mut newer_is_there, mut reaches) = (false, 0);
        for (change, covered) in self.changes.iter_mut().zip(covered).rev() {
            if *covered {
                newer_is_there |= change.len_after.is_some();
                reaches = reaches.max(change.range().end);
            } else if newer_is_there || change.len_after.is_some_and(|len| len < reaches) {
                change.len_after = None;
            }
        }
    }

    fn is_as_durable(&self, survival: Survival) -> bool {
        self.changes.is_empty() || survival == Survival::None
    }

    /// What the file holds after a power loss; `number` tells the number of the change of an operation.
    pub(super) fn content(&self, survival: Survival, number: impl Fn(usize) -> usize) -> Arc<Vec<u8>> {
        if self.is_as_durable(survival) {
            return Arc::clone(&self.durable);
        }
        let after = self.after(survival, number);
        let mut bytes = Vec::with_capacity(after.len as usize);
        bytes.extend_from_slice(&self.durable[..self.durable.len().min(after.len as usize)]);
        bytes.resize(after.len as usize, 0);
        for (number, sector) in &after.sectors {
            let start = (number * SECTOR) as usize;
            let end = bytes.len().min(start + sector.len());
            bytes[start..end].copy_from_slice(&sector[..end - start]);
        }
        Arc::new(bytes)
    }

    /// The fingerprint of [`DiskFile::content`], from the sectors that have changed alone.
    pub(super) fn fingerprint(
        &self,
        path: &Path,
        survival: Survival,
        number: impl Fn(usize) -> usize,
    ) -> u64 {
        let terms = self.terms.get_or_init(|| Terms::of(&self.durable));
        let mut sum = terms.sum();
        if self.is_as_durable(survival) {
            return fingerprint::of_file(path, self.durable.len() as u64, sum);
        }
        let mut after = self.after(survival, number);
        let last = last_sector(after.len).start;
        let end = after.len.div_ceil(SECTOR);
        if after.len < self.durable.len() as u64 {
            // What lay behind the new end is gone, from the middle of its sector on.
            sum = sum.wrapping_sub(terms.sum_from(end));
            after.sectors.entry(last).or_insert_with(|| {
                let kept = &self.durable[..after.len as usize];
                fingerprint::sector_of(kept, last)
            });
        }
        for (&number, sector) in after.sectors.iter().filter(|(number, _)| **number < end) {
            sum = sum
                .wrapping_sub(terms.term(number))
                .wrapping_add(fingerprint::of_sector(number, sector));
        }
        fingerprint::of_file(path, after.len, sum)
    }

    fn after(&self, survival: Survival, number: impl Fn(usize) -> usize) -> After {
        let mut len = self.durable.len() as u64;
        let mut newest: HashMap<u64, usize, foldhash::fast::FixedState> = HashMap::default();
        for (index, change) in self.changes.iter().enumerate() {
            let number = number(change.at);
            if let Some(after) = change.len_after.filter(|_| survival.keeps(number)) {
                len = after;
            }
            for sector in change.sectors() {
                if survival.keeps_sector(number, sector) {
                    newest.insert(sector, index);
                }
            }
        }
        let in_file = 0..len.div_ceil(SECTOR);
        let mut sectors: BTreeMap<u64, Sector> = BTreeMap::new();
        let base = |number: u64| {
            let kept = &self.durable[..self.durable.len().min(len as usize)];
            fingerprint::sector_of(kept, number)
        };
        if survival.garbage(0).is_some() {
            for change in &self.changes {
                if let Content::Write { .. } = change.content {
                    let range = change.range();
                    for number in change.sectors().filter(|number| in_file.contains(number)) {
                        let sector = sectors.entry(number).or_insert_with(|| base(number));
                        let window = number * SECTOR..len.min((number + 1) * SECTOR);
                        fill_with_garbage(sector, window, &range, self.durable.len(), survival);
                    }
                }
            }
        }
        for (index, change) in self.changes.iter().enumerate() {
            for number in change.sectors().filter(|number| in_file.contains(number)) {
                if newest.get(&number).is_some_and(|&newest| index <= newest) {
                    let sector = sectors.entry(number).or_insert_with(|| base(number));
                    let end = (len - number * SECTOR).min(SECTOR) as usize;
                    change.overwrite(&mut sector[..end], number * SECTOR);
                }
            }
        }
        After { len, sectors }
    }
}

/// The sector in which a file of this length ends, if it ends inside of one.
fn last_sector(len: u64) -> Range<u64> {
    len / SECTOR..len.div_ceil(SECTOR)
}

/// Blocks that the file system gave to a write (`range`), but that the write never reached, hold what was on the disk
/// before. `window` is the part of the file that `sector` holds.
fn fill_with_garbage(
    sector: &mut Sector,
    window: Range<u64>,
    range: &Range<u64>,
    durable_len: usize,
    survival: Survival,
) {
    let begin = (durable_len as u64).max(range.start).next_multiple_of(8);
    let end = window.end.min(range.end);
    for position in (begin.max(window.start)..end).step_by(8) {
        let Some(garbage) = survival.garbage(position) else {
            return;
        };
        let (from, to) = (
            (position - window.start) as usize,
            (end.min(position + 8) - window.start) as usize,
        );
        sector[from..to].copy_from_slice(&garbage.to_le_bytes()[..to - from]);
    }
}

impl Change {
    /// The bytes that it changes.
    fn range(&self) -> Range<u64> {
        match &self.content {
            Content::Write { offset, data } => *offset..offset + data.len() as u64,
            Content::Cut(range) => range.clone(),
            Content::Grown => 0..0,
        }
    }

    fn sectors(&self) -> Range<u64> {
        let range = self.range();
        range.start / SECTOR..range.end.div_ceil(SECTOR)
    }

    /// Makes the whole change.
    fn apply(&self, bytes: &mut Vec<u8>) {
        let range = self.range();
        let len = match (self.len_after, &self.content) {
            (Some(len), Content::Cut(_) | Content::Grown) => len as usize,
            _ => bytes.len().max(range.end as usize),
        };
        bytes.resize(len, 0);
        self.overwrite(bytes, 0);
    }

    /// Makes the change in `bytes`, which lie at `start` in the file, as far as they reach.
    fn overwrite(&self, bytes: &mut [u8], start: u64) {
        let range = self.range();
        let from = range.start.max(start);
        let to = range.end.min(start + bytes.len() as u64);
        if from >= to {
            return;
        }
        let target = &mut bytes[(from - start) as usize..(to - start) as usize];
        match &self.content {
            Content::Write { offset, data } => {
                target.copy_from_slice(&data[(from - offset) as usize..(to - offset) as usize]);
            }
            Content::Cut(_) | Content::Grown => target.fill(0),
        }
    }
}
