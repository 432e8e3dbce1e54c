//! What is in the log directory: every file with a segment's name, and what its header says.
//!
//! | name | header | the file is |
//! |---|---|---|
//! | n | sequence n | segment n of the log |
//! | n | sequence above n | that segment; the rename to its name was not durable |
//! | n | sequence below n | a spare: recycled and renamed, not in use yet |
//! | n | none | a spare that was never used, one half-written, or a damaged segment |

use std::path::{Path, PathBuf};

use super::segment::{HEADER_BYTES, SegmentHeader, sequence_of};
use crate::error::{Error, Result};
use crate::vfs::{OpenMode, Vfs, VfsFile};

/// One file of the log directory.
#[derive(Debug)]
pub(super) struct FoundFile {
    pub(super) path: PathBuf,
    pub(super) name_sequence: u64,
    pub(super) len: u64,
    pub(super) header: Option<SegmentHeader>,
}

impl FoundFile {
    /// Whether the file holds no part of the log: unused, or recycled for later use.
    pub(super) fn is_spare(&self) -> bool {
        self.header
            .as_ref()
            .is_none_or(|header| header.sequence < self.name_sequence)
    }
}

/// Opens a segment file to read it.
pub(super) fn open_for_reading(vfs: &dyn Vfs, path: &Path) -> Result<std::sync::Arc<dyn VfsFile>> {
    let mode = OpenMode {
        read_only: true,
        ..OpenMode::default()
    };
    vfs.open(path, mode).map_err(|e| Error::io("open", path, e))
}

/// The segment files of `dir`, in the order of their names; none when there is no such directory.
pub(super) fn discover(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<FoundFile>> {
    let exists = vfs.exists(dir).map_err(|e| Error::io("look for", dir, e))?;
    if !exists {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for path in vfs.list(dir).map_err(|e| Error::io("list", dir, e))? {
        let Some(name_sequence) = sequence_of(&path) else {
            continue;
        };
        let file = open_for_reading(vfs, &path)?;
        let len = file.len().map_err(|e| Error::io("get the length of", &path, e))?;
        let mut block = [0; HEADER_BYTES];
        let filled = file
            .read_at(&mut block, 0)
            .map_err(|e| Error::io("read", &path, e))?;
        let header = SegmentHeader::decode(&block[..filled], &path)?;
        found.push(FoundFile {
            path,
            name_sequence,
            len,
            header,
        });
    }
    Ok(found)
}
