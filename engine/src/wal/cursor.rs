//! Walks from frame to frame, through one segment and over to the one that continues it.

use std::path::PathBuf;

use super::block::BLOCK_BYTES;
use super::chain::{Chain, Link};
use super::frame::{Decoded, FrameFault};
use super::guard::Guard;
use super::options::WalOptions;
use super::source::{Source, Windows};
use crate::error::{Error, Result};
use crate::ids::LogPosition;
use crate::vfs::Vfs;

/// A place in the log: which segment, and where in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) index: usize,
    pub(super) position: LogPosition,
}

/// A place without a valid frame.
#[derive(Debug)]
pub(super) struct Hole {
    pub(super) position: LogPosition,
    pub(super) fault: FrameFault,
}

/// What is at the next place.
#[derive(Debug)]
pub(super) enum Next {
    /// A frame; [`Cursor::window`] has it until the next step.
    Frame(Decoded),
    Hole(Hole),
}

#[derive(Debug)]
pub(super) struct Cursor<'c> {
    vfs: &'c dyn Vfs,
    chain: &'c Chain,
    is_read_only: bool,
    /// Behind the last frame.
    place: Place,
    /// The segment that is being read.
    source: Option<Source>,
    /// Where another segment continues it, and which.
    continued: Option<(LogPosition, usize)>,
    /// Of the guards in the last blocks of the segments that were read, the one that tells of the most, and where it is.
    told: Option<(PathBuf, LogPosition)>,
}

impl<'c> Cursor<'c> {
    pub(super) fn new(vfs: &'c dyn Vfs, chain: &'c Chain, options: &WalOptions, place: Place) -> Self {
        Self {
            vfs,
            chain,
            is_read_only: options.read_only,
            place,
            source: None,
            continued: None,
            told: None,
        }
    }

    /// Another one, at a place that this one has passed.
    pub(super) fn back_at(&self, place: Place) -> Self {
        Self {
            place,
            source: None,
            continued: None,
            told: None,
            ..*self
        }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// The segment that is being read.
    pub(super) fn link(&self) -> &'c Link {
        self.chain.link(self.place.index)
    }

    /// Its file, which was opened with the first step.
    pub(super) fn source(&self) -> &Source {
        self.source.as_ref().expect("a segment was entered")
    }

    pub(super) fn source_mut(&mut self) -> &mut Source {
        self.source.as_mut().expect("a segment was entered")
    }

    /// What the end of a segment tells of the one behind it, which may be lost: where, and how far the log was durable.
    pub(super) fn told(&self) -> Option<(&PathBuf, LogPosition)> {
        self.told.as_ref().map(|(path, durable)| (path, *durable))
    }

    /// What is damaged in the segment at a position.
    pub(super) fn damaged(&self, position: LogPosition, what: impl Into<String>) -> Error {
        let link = self.link();
        Error::corruption(&link.path, None, position.0 - link.header.start().0, what)
    }

    /// The next frame, or the hole that ends the walk; going on after that finds it again.
    ///
    /// # Errors
    /// Corruption of what no crash leaves; I/O errors.
    pub(super) fn next(&mut self, windows: &mut Windows) -> Result<Next> {
        loop {
            let position = self.place.position;
            if let Some((end, successor)) = self.continued.filter(|&(end, _)| end <= position) {
                if end < position {
                    let what = format!("the log is said to continue elsewhere from {end}, before {position}");
                    return Err(self.damaged(position, what));
                }
                self.go_over(successor)?;
                continue;
            }
            let Some(source) = &mut self.source else {
                self.enter(windows)?;
                continue;
            };
            let header = &self.chain.link(self.place.index).header;
            let (start, end) = (header.start().0, header.frames_end().0);
            return match source.frame(windows, position.0 - start, end - start, header.salt)? {
                Ok(decoded) => {
                    self.place.position = LogPosition(position.0 + decoded.size as u64);
                    Ok(Next::Frame(decoded))
                }
                Err(fault @ FrameFault::Malformed(_)) => Err(self.damaged(position, fault.to_string())),
                Err(fault) => Ok(Next::Hole(Hole { position, fault })),
            };
        }
    }

    /// Begins to read the segment of the place.
    fn enter(&mut self, windows: &mut Windows) -> Result<()> {
        let link = self.link();
        let segment_size = link.header.segment_size;
        if link.len < segment_size {
            let what = format!(
                "the segment ends here; it had {segment_size} bytes before it was used, so it was cut"
            );
            return Err(Error::corruption(&link.path, None, link.len, what));
        }
        let mut source = Source::open(self.vfs, &link.path, segment_size)?;
        let last_block = source.bytes(windows, segment_size - BLOCK_BYTES as u64, BLOCK_BYTES)?;
        let told = self.told.as_ref().map_or(LogPosition(0), |(_, durable)| *durable);
        if let Some(guard) = Guard::take(last_block)
            && (guard.database_id, guard.sequence) == (link.header.database_id, link.header.sequence)
            && guard.durable > told
        {
            self.told = Some((link.path.clone(), guard.durable));
        }
        let successor = self.chain.successor(self.place.index);
        self.continued = successor.map(|next| (self.chain.link(next).header.previous_end, next));
        self.source = Some(source);
        Ok(())
    }

    /// Goes over to the segment that continues this one.
    fn go_over(&mut self, successor: usize) -> Result<()> {
        self.sync()?;
        let next = self.chain.link(successor);
        check_time_line(next, next.header.previous_time_line, self.link().header.time_line)?;
        self.place = Place {
            index: successor,
            position: next.header.first_frame(),
        };
        (self.source, self.continued) = (None, None);
        Ok(())
    }

    /// Makes durable what was read of the segment, so that what a recovery shows cannot be lost any more.
    pub(super) fn sync(&self) -> Result<()> {
        match &self.source {
            Some(source) if !self.is_read_only => source
                .file()
                .sync_data()
                .map_err(|e| Error::io("sync", &self.link().path, e)),
            _ => Ok(()),
        }
    }
}

/// Whether a segment continues the time line that leads to it.
pub(super) fn check_time_line(link: &Link, found: u64, expected: u64) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let what = format!(
        "this log segment continues time line {found:016x} of the database, and not {expected:016x}: data file and log \
         come from copies that went different ways; put the data file and the log of one copy together"
    );
    Err(Error::mismatch(&link.path, what))
}
