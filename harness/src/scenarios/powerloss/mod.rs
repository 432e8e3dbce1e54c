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
//! Memory mappings work (`fuse.rs`); so SQLite runs as it is, with the shared index of its log.

#[cfg(all(feature = "fuse", target_os = "linux"))]
mod disk;
#[cfg(all(feature = "fuse", target_os = "linux"))]
mod fuse;
#[cfg(all(feature = "fuse", target_os = "linux"))]
mod mount;
#[cfg(all(feature = "fuse", target_os = "linux"))]
mod power;
#[cfg(all(feature = "fuse", target_os = "linux"))]
mod rounds;
#[cfg(all(feature = "fuse", target_os = "linux"))]
mod run;
#[cfg(test)]
#[cfg(all(feature = "fuse", target_os = "linux"))]
mod tests;

use super::{EMPTY, Scenario};

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "powerloss",
    about: "cut the power under a working process, reopen what may have survived, verify the same",
    text: include_str!("about.txt"),
    accepts: &[
        ("rounds", "how often the power is cut (40)"),
        ("duration", "longest work before that (80 ms)"),
        (
            "drop-syncs",
            "the file system acknowledges every sync and ignores it: commits must get lost and be reported",
        ),
        ("threads", "sessions that commit, each on its own thread"),
        ("rows", "rows that are loaded first"),
        ("value-size", "bytes of a value"),
        (
            "durability",
            "what is promised: with no-sync the last commits may be missing, in order",
        ),
        ("isolation", "isolation level of every transaction"),
        ("cache-size", "memory for the engine's page cache"),
        ("compression", "compression of stored data"),
        (
            "busy-timeout",
            "how long a transaction waits for another's lock (50 ms)",
        ),
        (
            "set",
            "settings of one engine, for instance palimpsest.page-size=8KiB",
        ),
        ("seed", "of the work, and of the moments"),
    ],
    ..AVAILABLE
};

#[cfg(all(feature = "fuse", target_os = "linux"))]
const AVAILABLE: Scenario = Scenario {
    prepare: run::prepare,
    work: run::work,
    ..EMPTY
};

#[cfg(not(all(feature = "fuse", target_os = "linux")))]
const AVAILABLE: Scenario = Scenario {
    lacks: Some(
        "on Linux, build with --features fuse, or in a crate of your own with features = [\"fuse\"] on the dependency",
    ),
    ..EMPTY
};
