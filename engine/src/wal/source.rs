//! Reading a segment's file through a window, so that a segment of any size needs little memory.
//!
//! A window begins where somebody asked for bytes and ends at a fixed size behind that; it is longer only for a frame that
//! does not fit, and only when the CRC of this frame, computed piece by piece, has shown that it is one: a damaged length asks
//! for no memory. Windows are shared, so that frames can be kept without being copied ([`super::Frame::to_body`]); those that
//! nobody keeps are filled again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::discover::{fill, open_for_reading};
use super::frame::{self, CRC_BYTES, Decoded, FRAME_BYTES_MIN, FrameFault};
use super::tail::next_magic;
use crate::error::Result;
use crate::vfs::{Vfs, VfsFile};

/// Windows that are kept to be filled again.
const WINDOWS_KEPT: usize = 32;

/// Memory for windows: one after the other is filled, and comes back when nobody keeps a frame of it.
#[derive(Debug)]
pub(super) struct Windows {
    size: usize,
    given: Vec<Arc<Vec<u8>>>,
}

impl Default for Windows {
    fn default() -> Self {
        Self::new(super::WalOptions::READ_WINDOW_DEFAULT)
    }
}

impl Windows {
    /// Windows of `size` bytes, or what the smallest frame needs.
    pub(super) fn new(size: usize) -> Self {
        Self {
            size: size.max(FRAME_BYTES_MIN),
            given: Vec::new(),
        }
    }

    /// How long a window is that need not hold more.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// A buffer of `len` bytes that nobody else has.
    fn take(&mut self, len: usize) -> Vec<u8> {
        let is_free =
            |given: &mut Arc<Vec<u8>>| Arc::get_mut(given).is_some_and(|bytes| bytes.capacity() == len);
        let found = self.given.iter_mut().position(is_free);
        match found.and_then(|index| Arc::into_inner(self.given.swap_remove(index))) {
            Some(mut buffer) => {
                buffer.resize(len, 0);
                buffer
            }
            None => vec![0; len],
        }
    }

    fn share(&mut self, bytes: Vec<u8>) -> Arc<Vec<u8>> {
        let shared = Arc::new(bytes);
        if shared.capacity() == self.size {
            if self.given.len() >= WINDOWS_KEPT {
                self.given.swap_remove(0);
            }
            self.given.push(Arc::clone(&shared));
        }
        shared
    }
}

/// The file of one segment, with a window over it.
#[derive(Debug)]
pub(super) struct Source {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    /// How much of the file counts, in bytes; it may have less.
    len: u64,
    window: Arc<Vec<u8>>,
    /// Offset of the window in the file.
    at: u64,
}

impl Source {
    /// The first `len` bytes of the file.
    pub(super) fn open(vfs: &dyn Vfs, path: &Path, len: u64) -> Result<Self> {
        Ok(Self {
            file: open_for_reading(vfs, path)?,
            path: path.to_path_buf(),
            len,
            window: Arc::default(),
            at: 0,
        })
    }

    pub(super) fn file(&self) -> &dyn VfsFile {
        &*self.file
    }

    /// The window, which holds what was asked for last.
    pub(super) fn window(&self) -> &Arc<Vec<u8>> {
        &self.window
    }

    /// Where in the window a place of the file is that was asked for last.
    pub(super) fn place(&self, offset: u64) -> usize {
        (offset - self.at) as usize
    }

    /// What the window has from `offset` on: at least `len` bytes, where the file has as many.
    #[inline]
    pub(super) fn bytes(&mut self, windows: &mut Windows, offset: u64, len: usize) -> Result<&[u8]> {
        let is_inside = self.at <= offset && offset + len as u64 <= self.at + self.window.len() as u64;
        if !is_inside {
            self.load(windows, offset, len)?;
        }
        let place = self.place(offset).min(self.window.len());
        Ok(&self.window[place..])
    }

    #[cold]
    fn load(&mut self, windows: &mut Windows, offset: u64, len: usize) -> Result<()> {
        let rest = self.len.saturating_sub(offset);
        let reaches_end = self.at <= offset && self.at + self.window.len() as u64 >= self.len;
        if rest == 0 || reaches_end {
            if rest == 0 {
                self.window = Arc::default();
                self.at = offset;
            }
            return Ok(());
        }
        self.window = Arc::default();
        let mut buffer = windows.take((windows.size.max(len) as u64).min(rest) as usize);
        let filled = fill(&*self.file, &self.path, &mut buffer, offset)?;
        if filled < buffer.len() {
            self.len = offset + filled as u64;
        }
        buffer.truncate(filled);
        self.window = windows.share(buffer);
        self.at = offset;
        Ok(())
    }

    /// The frame at `offset`, before `end`, where frames have to end. The window holds it afterwards.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn frame(
        &mut self,
        windows: &mut Windows,
        offset: u64,
        end: u64,
        salt: u32,
    ) -> Result<std::result::Result<Decoded, FrameFault>> {
        let room = end.min(self.len).saturating_sub(offset) as usize;
        let head = self.bytes(windows, offset, FRAME_BYTES_MIN.min(room))?;
        let size = match frame::size_of(head, room) {
            Ok(size) => size,
            Err(fault) => return Ok(Err(fault)),
        };
        if size > windows.size
            && let Some(fault) = self.fault_of_long_frame(windows, offset, size, salt)?
        {
            return Ok(Err(fault));
        }
        let bytes = self.bytes(windows, offset, size)?;
        Ok(frame::decode(&bytes[..bytes.len().min(size)], salt))
    }

    /// What is wrong with the CRC of a frame that is longer than a window.
    fn fault_of_long_frame(
        &mut self,
        windows: &mut Windows,
        offset: u64,
        size: usize,
        salt: u32,
    ) -> Result<Option<FrameFault>> {
        let has_all = self.at <= offset && offset + size as u64 <= self.at + self.window.len() as u64;
        if has_all {
            return Ok(None);
        }
        let mut check = frame::Check::new(salt);
        let mut commit = None;
        let end = offset + (size - CRC_BYTES) as u64;
        let mut at = offset;
        while at < end {
            let bytes = self.bytes(windows, at, 1)?;
            if bytes.is_empty() {
                return Ok(Some(FrameFault::Absent));
            }
            commit.get_or_insert_with(|| frame::commit_of(bytes));
            let bytes = &bytes[..bytes.len().min((end - at) as usize)];
            check.update(bytes);
            at += bytes.len() as u64;
        }
        let stored = self.bytes(windows, end, CRC_BYTES)?;
        let stored = stored.get(..CRC_BYTES).map(|bytes| frame::u32_at(bytes, 0));
        Ok(match (stored, commit) {
            (Some(stored), Some(commit)) => check.fault(stored, commit),
            _ => Some(FrameFault::Absent),
        })
    }

    /// The next place from `offset` on, before `end`, where a frame's magic is.
    pub(super) fn next_magic(
        &mut self,
        windows: &mut Windows,
        mut offset: u64,
        end: u64,
    ) -> Result<Option<u64>> {
        const MAGIC_BYTES: usize = size_of::<u32>();
        loop {
            let rest = end.saturating_sub(offset);
            let bytes = self.bytes(windows, offset, MAGIC_BYTES)?;
            let bytes = &bytes[..(bytes.len() as u64).min(rest) as usize];
            if let Some(found) = next_magic(bytes, 0) {
                return Ok(Some(offset + found as u64));
            }
            if bytes.len() < MAGIC_BYTES {
                return Ok(None);
            }
            // One may begin at the end of this window.
            offset += (bytes.len() - MAGIC_BYTES + 1) as u64;
        }
    }
}

/// A file with these bytes, and windows of this size over it.
#[cfg(test)]
pub(super) fn source_of(bytes: &[u8], window: usize) -> (Source, Windows) {
    let vfs = crate::vfs::MemoryVfs::default();
    let path = Path::new("/segment");
    let mode = crate::vfs::OpenMode {
        create: true,
        ..Default::default()
    };
    vfs.open(path, mode).unwrap().write_at(bytes, 0).unwrap();
    let source = Source::open(&vfs, path, bytes.len() as u64).unwrap();
    (source, Windows::new(window))
}
