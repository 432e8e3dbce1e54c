//! An open file of the simulated file system.

use std::io;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::mistakes::SyncKind;
use super::{State, file_id};
use crate::injected;
use crate::sync;
use crate::vfs::lock::Held;
use crate::vfs::simulated::{Effect, FailedSync, Inode, Operation, OperationKind};
use crate::vfs::{FileId, OpenMode, VfsFile};

/// Offsets, lengths and addresses of direct writes are multiples of this.
const DIRECT_ALIGNMENT: usize = 4096;

#[derive(Debug)]
pub(super) struct SimulatedFile {
    state: Arc<Mutex<State>>,
    inode: Inode,
    mode: OpenMode,
    held: Mutex<Held>,
}

impl SimulatedFile {
    pub(super) fn new(state: Arc<Mutex<State>>, inode: Inode, mode: OpenMode) -> Self {
        Self {
            state,
            inode,
            mode,
            held: Mutex::default(),
        }
    }
}

impl SimulatedFile {
    fn take_lock(&self, wanted: Held) -> bool {
        let mut held = self.held.lock();
        let mut state = self.state.lock();
        let file = state.files.entry(self.inode).or_default();
        file.lock.take(&mut held, wanted)
    }

    fn begin(&self, kind: OperationKind) -> io::Result<(MutexGuard<'_, State>, Option<Effect>)> {
        sync::point();
        let mut state = self.state.lock();
        let effect = state.begin(kind)?;
        Ok((state, effect))
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.mode.read_only {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(())
    }

    fn check_alignment(&self, address: usize, len: usize, offset: u64) -> io::Result<()> {
        let is_aligned = [address as u64, len as u64, offset]
            .iter()
            .all(|n| n.is_multiple_of(DIRECT_ALIGNMENT as u64));
        if self.mode.direct && !is_aligned {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a direct transfer must be aligned to 4096 bytes",
            ));
        }
        Ok(())
    }

    fn sync(&self, kind: SyncKind) -> io::Result<()> {
        let (mut state, effect) = self.begin(OperationKind::Sync)?;
        match effect {
            Some(Effect::Sync(how)) => return state.fail_sync(self.inode, how),
            Some(_) => return state.fail_sync(self.inode, FailedSync::KeptDirty),
            None => {}
        }
        let Some(before) = state.sync_covers(self.inode, kind) else {
            return Ok(());
        };
        // A sync takes its time, in which others can write; only what was there at its start becomes durable.
        drop(state);
        sync::thread::yield_now();
        crate::interleave::here(crate::interleave::Place::Syncing);
        let mut state = self.state.lock();
        if state.is_off {
            return Err(io::Error::other("the power is off"));
        }
        state.log(Operation::Sync {
            inode: self.inode,
            before,
        });
        Ok(())
    }
}

impl VfsFile for SimulatedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.check_alignment(buf.as_ptr().addr(), buf.len(), offset)?;
        let (state, effect) = self.begin(OperationKind::Read)?;
        let tail = usize::try_from(offset)
            .ok()
            .and_then(|start| state.bytes(self.inode).get(start..))
            .unwrap_or_default();
        let mut len = tail.len().min(buf.len());
        if effect.is_some() {
            // Some of it: only the end of a file gives nothing.
            len = len.div_ceil(2);
        }
        buf[..len].copy_from_slice(&tail[..len]);
        Ok(len)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        self.check_alignment(buf.as_ptr().addr(), buf.len(), offset)?;
        let (mut state, effect) = self.begin(OperationKind::Write)?;
        if buf.is_empty() {
            return Ok(());
        }
        if effect.is_some() {
            state.write(self.inode, offset, &buf[..buf.len() / 2])?;
            if state.makes(injected::Bug::ShortWriteIgnored) {
                return Ok(());
            }
            return Err(io::ErrorKind::StorageFull.into());
        }
        let offset = state.place_of(self.inode, offset, buf.len());
        let write = state.position;
        state.write(self.inode, offset, buf)?;
        if self.mode.dsync && !state.makes(injected::Bug::DirectWithoutSync) {
            if let Some(effect) = state.begin(OperationKind::Sync)? {
                let how = match effect {
                    Effect::Sync(how) => how,
                    _ => FailedSync::KeptDirty,
                };
                return state.fail_sync(self.inode, how);
            }
            state.log(Operation::SyncWrite {
                inode: self.inode,
                write,
            });
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.state.lock();
        Ok(state.bytes(self.inode).len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let (mut state, _) = self.begin(OperationKind::SetLen)?;
        state.check_room(self.inode, len)?;
        let new_len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        state.bytes_mut(self.inode).resize(new_len, 0);
        state.log(Operation::SetLen {
            inode: self.inode,
            len,
        });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(SyncKind::Data)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(SyncKind::All)
    }

    fn try_lock(&self) -> io::Result<bool> {
        Ok(self.take_lock(Held::Exclusive))
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        Ok(self.take_lock(Held::Shared))
    }

    fn identity(&self) -> io::Result<FileId> {
        Ok(file_id(self.inode))
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        if let Some(file) = state.files.get_mut(&self.inode) {
            file.handles -= 1;
            file.lock.release(self.held.get_mut());
        }
        state.forget_unused(self.inode);
    }
}
