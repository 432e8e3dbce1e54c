//! Loss of power under an unmodified process: whatever was acknowledged as synchronous must be there afterwards.
//!
//! Each round:
//! 1. A *mounting* process mounts a FUSE file system that begins with the database's files, and keeps apart what was synced
//!    from what was not. What may survive is the model of `engine::vfs::simulated`: unsynced writes in any subset, torn at 512
//!    bytes; names only after a sync of their directory.
//! 2. The worker of the scenario `recovery`, which knows nothing of this, works with its database in the mount, and the parent
//!    keeps its journal.
//! 3. At some request of the kernel, or after some time, the power is cut: from this moment every process that needs the
//!    file system stands still, sees no error, and is killed. An acknowledgement in the journal therefore came before the cut, or
//!    after a sync that was answered before the cut; either way the commit must be there.
//! 4. Some surviving states are written to plain directories, each chosen by a seed, and the checker of `recovery` opens
//!    each one and compares it with the journal. The next round begins with the last of them.
//! 5. In some rounds the database is first opened by further processes, and the power fails while they recover it.
//!
//! Memory mappings work ([`fuse`]); so SQLite runs as it is, with the shared index of its log.

mod disk;
mod fuse;
mod mount;
mod power;
mod rounds;
mod run;
#[cfg(test)]
mod tests;

pub(crate) use mount::{MountJob, serve};
pub(crate) use run::run;
