//! The kernel's requests, mapped to the disk.
//!
//! Two choices make sure that what the engine writes is seen when it writes it:
//! - *write-through*: the kernel's cache of this file system never holds back a `write` (the write-back cache is not asked
//!   for), so each arrives as a request before the call returns, `O_DIRECT` or not. A cache for reads and mappings stays, so
//!   that shared memory mappings work: their dirty pages arrive when the engine syncs them (`msync`, `fsync`) or when the
//!   kernel likes. What has not arrived when the power is cut is always lost, which is one of the things that may happen
//!   to it, and not all of them.
//! - names and attributes may be cached for ever, since nobody but the kernel's own callers changes them.
//!
//! A write through a descriptor with `O_DSYNC` or `O_SYNC` carries these flags and is durable when it is answered; the
//! kernel sends an `fsync` after it as well. File locks are the kernel's own business (no lock requests are asked for). Hard
//! links, symbolic links, special files, removing and renaming of directories are not supported and answered so.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{FallocateFlags, OFlags};

use super::disk::{Attributes, Disk, ROOT};
use super::power::{Power, Powered};

/// How long the kernel may believe a name or an attribute.
const TTL: Duration = Duration::from_secs(3600);
const BLOCK: u32 = 4096;
/// What `statfs` says is free, in blocks.
const BLOCKS_FREE: u64 = 1 << 28;
const NO_HANDLE: FileHandle = FileHandle(0);

/// A disk as the kernel sees it.
pub(super) struct Mounted {
    power: Arc<Power>,
    /// Called when the power is cut at a planned request.
    on_cut: Box<dyn Fn(&Disk) + Send + Sync>,
    owner: (u32, u32),
}

impl Mounted {
    /// Mounts `power`'s disk for the user of this process.
    ///
    /// # Errors
    /// When the kernel or the permissions do not allow it.
    pub(super) fn mount(
        power: Arc<Power>,
        place: &Path,
        on_cut: impl Fn(&Disk) + Send + Sync + 'static,
    ) -> io::Result<fuser::BackgroundSession> {
        let process = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        let file_system = Self {
            power,
            on_cut: Box::new(on_cut),
            owner: (process, group),
        };
        let mut config = fuser::Config::default();
        config.mount_options = vec![fuser::MountOption::FSName("powerloss".into())];
        fuser::spawn_mount(file_system, place, &config)
    }

    fn read(&self) -> Result<Powered<'_>, Errno> {
        self.power.read().ok_or(Errno::EIO)
    }

    fn change(&self) -> Result<Powered<'_>, Errno> {
        self.power.change(&self.on_cut).ok_or(Errno::EIO)
    }

    fn attr(&self, found: &Attributes) -> FileAttr {
        FileAttr {
            ino: INodeNo(found.node),
            size: found.len,
            blocks: found.len.div_ceil(512),
            atime: found.changed,
            mtime: found.changed,
            ctime: found.changed,
            crtime: found.changed,
            kind: kind(found),
            perm: found.mode,
            nlink: if found.is_dir { 2 } else { 1 },
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        }
    }
}

fn kind(found: &Attributes) -> FileType {
    if found.is_dir {
        FileType::Directory
    } else {
        FileType::RegularFile
    }
}

fn errno(error: io::Error) -> Errno {
    match error.kind() {
        io::ErrorKind::NotFound => Errno::ENOENT,
        io::ErrorKind::AlreadyExists => Errno::EEXIST,
        io::ErrorKind::IsADirectory => Errno::EISDIR,
        io::ErrorKind::NotADirectory => Errno::ENOTDIR,
        io::ErrorKind::StorageFull => Errno::ENOSPC,
        io::ErrorKind::FileTooLarge => Errno::EFBIG,
        _ => Errno::EIO,
    }
}

fn permissions(mode: u32, umask: u32) -> u16 {
    (mode & !umask & 0o7777) as u16
}

/// Answers with what `$answer` makes of the result, or with its error.
macro_rules! answer {
    ($reply:ident, $result:expr, |$value:pat_param| $answer:expr) => {
        match $result {
            Ok($value) => $answer,
            Err(error) => $reply.error(error),
        }
    };
}

impl Filesystem for Mounted {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self
            .read()
            .and_then(|disk| disk.lookup(parent.0, name).map_err(errno));
        answer!(reply, found, |found| reply.entry(
            &TTL,
            &self.attr(&found),
            Generation(0)
        ));
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let found = self
            .read()
            .and_then(|disk| disk.attributes(node.0).map_err(errno));
        answer!(reply, found, |found| reply.attr(&TTL, &self.attr(&found)));
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let found = self.change().and_then(|mut disk| {
            if let Some(len) = size {
                disk.set_len(node.0, len).map_err(errno)?;
            }
            if let Some(mode) = mode {
                disk.set_mode(node.0, permissions(mode, 0));
            }
            disk.attributes(node.0).map_err(errno)
        });
        answer!(reply, found, |found| reply.attr(&TTL, &self.attr(&found)));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let made = self.change().and_then(|mut disk| {
            disk.make_dir(parent.0, name, permissions(mode, umask))
                .map_err(errno)
        });
        answer!(reply, made, |made| reply.entry(
            &TTL,
            &self.attr(&made),
            Generation(0)
        ));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self
            .change()
            .and_then(|mut disk| disk.remove(parent.0, name).map_err(errno));
        answer!(reply, removed, |()| reply.ok());
    }

    fn rmdir(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EOPNOTSUPP);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let renamed = self.change().and_then(|mut disk| {
            disk.rename((parent.0, name), (new_parent.0, new_name))
                .map_err(errno)
        });
        answer!(reply, renamed, |()| reply.ok());
    }

    fn open(&self, _: &Request, node: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let opened = self.read().and_then(|mut disk| disk.open(node.0).map_err(errno));
        answer!(reply, opened, |()| reply.opened(NO_HANDLE, FopenFlags::empty()));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let made = self.change().and_then(|mut disk| {
            let made = disk
                .create(parent.0, name, permissions(mode, umask))
                .map_err(errno)?;
            disk.open(made.node).map_err(errno)?;
            Ok(made)
        });
        answer!(reply, made, |made| reply.created(
            &TTL,
            &self.attr(&made),
            Generation(0),
            NO_HANDLE,
            FopenFlags::empty()
        ));
    }

    fn read(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self
            .read()
            .and_then(|mut disk| disk.read(node.0, offset, size as usize).map_err(errno));
        answer!(reply, read, |bytes| reply.data(&bytes));
    }

    fn write(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        // `O_SYNC` contains the bit of `O_DSYNC`.
        let synced = flags.0 as u32 & OFlags::DSYNC.bits() != 0;
        let written = self
            .change()
            .and_then(|mut disk| disk.write(node.0, offset, data, synced).map_err(errno));
        answer!(reply, written, |()| reply.written(data.len() as u32));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Closing a file makes nothing durable.
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let released = self.read().map(|mut disk| disk.close(node.0));
        answer!(reply, released, |()| reply.ok());
    }

    fn fsync(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let synced = self
            .change()
            .and_then(|mut disk| disk.sync(node.0).map_err(errno));
        answer!(reply, synced, |()| reply.ok());
    }

    fn fsyncdir(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let synced = self
            .change()
            .and_then(|disk| disk.sync_dir(node.0).map_err(errno));
        answer!(reply, synced, |()| reply.ok());
    }

    fn readdir(&self, _: &Request, node: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let entries = self.read().and_then(|disk| disk.list(node.0).map_err(errno));
        answer!(reply, entries, |entries| {
            // The parent is not kept; only `ls -ai` would notice.
            let dots = [(".", node.0), ("..", ROOT)]
                .map(|(name, node)| (OsStr::new(name).to_owned(), node, FileType::Directory));
            let entries = entries
                .into_iter()
                .map(|(name, found)| (name, found.node, kind(&found)));
            let numbered = (1..).zip(dots.into_iter().chain(entries));
            for (next, (name, node, kind)) in numbered.skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
                if reply.add(INodeNo(node), next, kind, name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(
            2 * BLOCKS_FREE,
            BLOCKS_FREE,
            BLOCKS_FREE,
            1 << 20,
            1 << 20,
            BLOCK,
            255,
            BLOCK,
        );
    }

    fn fallocate(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let mode = FallocateFlags::from_bits_retain(mode as u32);
        if mode == FallocateFlags::KEEP_SIZE {
            return reply.ok();
        }
        if !mode.is_empty() {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let grown = self.change().and_then(|mut disk| {
            let end = offset.checked_add(length).ok_or(Errno::EFBIG)?;
            let len = disk.attributes(node.0).map_err(errno)?.len;
            if end > len {
                disk.set_len(node.0, end).map_err(errno)?;
            }
            Ok(())
        });
        answer!(reply, grown, |()| reply.ok());
    }
}
