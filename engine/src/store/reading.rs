//! Reading: one positioned read of the length that the page map names, then every check, then decompression.
//!
//! A reader takes no lock on the extent. It may have looked up an extent that is replaced, freed and reused while it
//! reads, which shows as wrong bytes, or as right bytes of an older state. So it looks at the map again afterwards and
//! starts over when the entry changed. Bytes that are wrong under an unchanged entry are read once more before they
//! are called corrupt: the entry could have changed twice and look the same.

use std::cell::RefCell;
use std::path::Path;

use super::data_file::DataFile;
use super::extent::{self, ExtentIdentity, ExtentKind, ExtentPlace};
use super::page_map::MapEntry;
use crate::error::{Error, Result};
use crate::ids::{CommitId, PageNumber};
use crate::sync::atomic::Ordering;
use crate::sync::thread_local;
use crate::vfs::{VfsFile, read_exact_at};

/// Reads under an unchanged map entry that must fail before the page is called corrupt.
const FAILED_READS_MAX: u32 = 2;
/// Longest extent that the thread's read buffer is kept for, in bytes.
const KEPT_BUFFER_MAX: usize = 1 << 20;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl DataFile {
    /// Reads a page image into `out`, replacing what is there, and returns the newest commit in it; `None` when the
    /// page has no image (it is free, or was never written), with `out` empty.
    ///
    /// # Errors
    /// [`Error::Corruption`] when the bytes are not what was written, [`Error::Io`]; `out` is then empty.
    pub(crate) fn read_page(&self, page: PageNumber, out: &mut Vec<u8>) -> Result<Option<CommitId>> {
        let mut failed = (None, 0);
        loop {
            out.clear();
            let Some(entry) = self.map.get(page) else {
                return Ok(None);
            };
            let answer = self.read_image(page, &entry, out);
            if self.map.get(page) != Some(entry) {
                continue;
            }
            match answer {
                Ok(()) => {
                    self.counters.pages_read.fetch_add(1, Ordering::Relaxed);
                    return Ok(Some(entry.commit));
                }
                Err(error) => {
                    let times = if failed.0 == Some(entry) { failed.1 + 1 } else { 1 };
                    if times >= FAILED_READS_MAX {
                        if matches!(error, Error::Corruption { .. }) {
                            self.counters.corruptions.fetch_add(1, Ordering::Relaxed);
                        }
                        return Err(error);
                    }
                    failed = (Some(entry), times);
                }
            }
        }
    }

    fn read_image(&self, page: PageNumber, entry: &MapEntry, out: &mut Vec<u8>) -> Result<()> {
        self.counters
            .bytes_read
            .fetch_add(entry.length.into(), Ordering::Relaxed);
        read_extent(
            &*self.file,
            &self.path,
            page_identity(page, entry),
            entry.place(),
            out,
        )
    }
}

/// What a page's extent must say of itself.
pub(super) fn page_identity(page: PageNumber, entry: &MapEntry) -> ExtentIdentity {
    ExtentIdentity {
        kind: ExtentKind::Page,
        number: page.0,
        stamp: entry.commit.0,
    }
}

/// Reads the extent at `place` and appends its raw bytes to `out`.
///
/// # Errors
/// [`Error::Corruption`], [`Error::Io`]; `out` is then as it was.
pub(super) fn read_extent(
    file: &dyn VfsFile,
    path: &Path,
    identity: ExtentIdentity,
    place: ExtentPlace,
    out: &mut Vec<u8>,
) -> Result<()> {
    let offset = place.offset;
    BUFFER.with_borrow_mut(|buffer| {
        let length = place.length as usize;
        if buffer.len() < length {
            // Never more than the file has, so that a damaged length cannot ask for any amount of memory.
            let rest = file
                .len()
                .map_err(|source| Error::io("read", path, source))?
                .saturating_sub(offset);
            if rest < length as u64 {
                return Err(ends_inside(path, identity, offset));
            }
            buffer.resize(length, 0);
        }
        let bytes = &mut buffer[..length];
        let answer = match read_exact_at(file, bytes, offset) {
            Ok(()) => extent::decode(bytes, identity, place.raw_length as usize, out)
                .map_err(|what| Error::corruption(path, identity.page(), offset, what)),
            Err(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(ends_inside(path, identity, offset))
            }
            Err(source) => Err(Error::io("read", path, source)),
        };
        if buffer.len() > KEPT_BUFFER_MAX {
            *buffer = Vec::new();
        }
        answer
    })
}

fn ends_inside(path: &Path, identity: ExtentIdentity, offset: u64) -> Error {
    let what = "the file ends inside this extent: it was truncated";
    Error::corruption(path, identity.page(), offset, what)
}
