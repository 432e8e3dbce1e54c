//! Which segments make up the log, and in which order. Sequence numbers alone do not say: after a crash the log
//! continues in a fresh segment from where it was found to end, and segments that were begun before the crash, but lie
//! behind that end, are abandoned. So each header names its predecessor by the position at which the log ended
//! before it, and of several that claim the same predecessor the highest one is right: it came after the crash.
//! A file that has lost its header is in no chain; what its guards say of the log counts all the same.

use std::path::{Path, PathBuf};

use super::discover::FoundFile;
use super::guard::Guard;
use super::segment::SegmentHeader;
use crate::error::{Error, Result};
use crate::ids::LogPosition;
use crate::injected::{self, Bug};

/// A file with a valid header.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) path: PathBuf,
    pub(super) header: SegmentHeader,
    pub(super) len: u64,
}

/// All segments, by position.
#[derive(Debug)]
pub(super) struct Chain {
    links: Vec<Link>,
    /// Files that have lost their headers, and what their guards tell.
    headless: Vec<(PathBuf, Guard)>,
}

fn with_headers(files: Vec<FoundFile>) -> Vec<Link> {
    let link = |file: FoundFile| {
        Some(Link {
            // That of a file which was never used says nothing of where it is.
            header: file.header.filter(|header| header.sequence > 0)?,
            path: file.path,
            len: file.len,
        })
    };
    files.into_iter().filter_map(link).collect()
}

impl Chain {
    /// Sorts the segments of a log that is to be read from `from`. Spares are no part of it.
    ///
    /// # Errors
    /// Corruption, when two files claim the same part of the log, or a file that is named as a spare holds what is to
    /// be read: the next start would overwrite it.
    pub(super) fn new(found: Vec<FoundFile>, from: LogPosition) -> Result<Self> {
        let headless = found
            .iter()
            .filter_map(|file| Some((file.path.clone(), file.guard?)))
            .collect();
        let (spares, live): (Vec<_>, Vec<_>) = found.into_iter().partition(FoundFile::is_spare);
        let (mut links, spares) = (with_headers(live), with_headers(spares));
        links.sort_by_key(|link| link.header.start());
        let overlaps = |one: &Link, other: &Link| {
            one.header.start() < other.header.end() && other.header.start() < one.header.end()
        };
        for (one, other) in links.windows(2).map(|pair| (&pair[0], &pair[1])).chain(
            links
                .iter()
                .flat_map(|link| spares.iter().map(move |spare| (link, spare))),
        ) {
            if overlaps(one, other) {
                let what = format!("holds the same part of the log as {}", one.path.display());
                return Err(Error::corruption(&other.path, None, 0, what));
            }
        }
        let is_needed = |spare: &&Link| spare.header.end() > from;
        if let Some(spare) = spares.iter().find(is_needed) {
            let what = format!(
                "its name says that segment {:016x} was recycled, but the log is needed from position {from}: \
                 rename it to that number if it was misnamed",
                spare.header.sequence
            );
            return Err(Error::corruption(&spare.path, None, 0, what));
        }
        Ok(Self { links, headless })
    }

    /// Whether there is no segment at all.
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The file without a header that tells of the most, and how far it says the log was durable.
    pub(super) fn headless(&self) -> Option<(&Path, LogPosition)> {
        let newest = self.headless.iter().max_by_key(|(_, guard)| guard.durable);
        newest.map(|(path, guard)| (path.as_path(), guard.durable))
    }

    pub(super) fn link(&self, index: usize) -> &Link {
        &self.links[index]
    }

    /// The segment to begin in and the position to begin at, for a log that is to be read from `from`: the one that
    /// holds this position, else the one in which the log went on after it.
    pub(super) fn locate(&self, from: LogPosition) -> Option<(usize, LogPosition)> {
        if let Some(index) = self.links.iter().position(|link| link.header.holds(from)) {
            return Some((index, from));
        }
        let continues = |link: &Link| link.header.previous_end <= from && from < link.header.first_frame();
        let index = self.links.iter().rposition(continues)?;
        Some((index, self.links[index].header.first_frame()))
    }

    /// The segment in which the log continues after the one at `index`, if it does.
    pub(super) fn successor(&self, index: usize) -> Option<usize> {
        let header = &self.links[index].header;
        let claims =
            |link: &Link| link.header.start() > header.start() && header.holds(link.header.previous_end);
        let is_abandoned = self.links.iter().filter(|link| claims(link)).nth(1).is_some();
        crate::reach::mark_if(is_abandoned, crate::reach::Mechanism::SegmentAbandoned);
        if injected::makes(Bug::AbandonedSegmentRead) {
            return self.links.iter().position(claims);
        }
        self.links.iter().rposition(claims)
    }

    /// Every segment that starts behind `position`, in order.
    pub(super) fn behind(&self, position: LogPosition) -> impl Iterator<Item = &Link> {
        self.links
            .iter()
            .filter(move |link| link.header.start() > position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::FileId;

    const SIZE: u64 = 64 << 10;

    fn chain(segments: &[(u64, u64)]) -> Result<Chain> {
        let found = segments.iter().map(|&(sequence, previous_end)| FoundFile {
            path: PathBuf::from(format!("/wal/{sequence}")),
            id: FileId::default(),
            name_sequence: sequence,
            len: SIZE,
            header: Some(SegmentHeader {
                sequence,
                start: LogPosition(sequence * SIZE),
                previous_end: LogPosition(previous_end),
                ..SegmentHeader::unused(SIZE, 0)
            }),
            guard: None,
        });
        Chain::new(found.collect(), LogPosition(0))
    }

    #[test]
    fn a_segment_named_as_a_spare_is_no_part_of_the_log_and_must_not_be_needed() {
        let found = || {
            vec![FoundFile {
                path: PathBuf::from("/wal/9"),
                id: FileId::default(),
                name_sequence: 9,
                len: SIZE,
                header: Some(SegmentHeader {
                    sequence: 2,
                    start: LogPosition(2 * SIZE),
                    ..SegmentHeader::unused(SIZE, 0)
                }),
                guard: None,
            }]
        };
        let chain = Chain::new(found(), LogPosition(3 * SIZE)).unwrap();
        assert_eq!(chain.locate(LogPosition(3 * SIZE)), None);
        let error = Chain::new(found(), LogPosition(3 * SIZE - 1)).unwrap_err();
        assert!(error.to_string().contains("was recycled"), "{error}");
    }

    #[test]
    fn the_position_is_found_in_its_segment_or_in_the_one_after() {
        let chain = chain(&[(1, 0), (2, 2 * SIZE - 5000), (5, 2 * SIZE + 9000)]).unwrap();
        let at = |position| chain.locate(LogPosition(position));
        assert_eq!(at(0), Some((0, LogPosition(SIZE + 4096))));
        assert_eq!(at(SIZE + 5000), Some((0, LogPosition(SIZE + 5000))));
        assert_eq!(
            at(2 * SIZE - 4096),
            Some((0, LogPosition(2 * SIZE - 4096))),
            "the end of a full segment"
        );
        assert_eq!(at(3 * SIZE + 100), Some((2, LogPosition(5 * SIZE + 4096))));
        assert_eq!(at(6 * SIZE + 1), None);
    }

    #[test]
    fn the_last_claim_wins() {
        let chain = chain(&[
            (1, 0),
            (2, 2 * SIZE - 5000),
            (4, SIZE + 5000),
            (5, 5 * SIZE - 4096),
        ])
        .unwrap();
        assert_eq!(chain.successor(0), Some(2), "segment 2 was abandoned");
        let mistaken = injected::with(Some(Bug::AbandonedSegmentRead), || chain.successor(0));
        assert_eq!(mistaken.is_some_and(|index| index != 2), injected::are_possible());
        assert_eq!(chain.successor(1), None);
        assert_eq!(chain.successor(2), Some(3));
        assert_eq!(chain.behind(LogPosition(2 * SIZE)).count(), 2);
    }

    #[test]
    fn two_files_with_the_same_number_are_corruption() {
        let error = chain(&[(1, 0), (2, SIZE + 5000), (2, SIZE + 6000)]).unwrap_err();
        assert!(error.to_string().contains("same part of the log"), "{error}");
    }
}
