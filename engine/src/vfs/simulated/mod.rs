//! A simulated disk and file system, for power loss and faults.
//!
//! [`SimulatedVfs`] behaves like a file system as long as nothing goes wrong. Beside what its users see it keeps a
//! [`Medium`]: what is durable, and every change that is not yet. From these, and a [`Survival`] choice, comes an
//! [`Image`]: the files that a machine could find after losing power at that moment. It also records a [`Trace`] of
//! everything that changes files, so that one run is enough to lose power at each of its operations
//! ([`Trace::replay`]), in the manner of ALICE (Pillai et al., OSDI 2014) and CrashMonkey (Mohan et al., OSDI 2018).
//!
//! What the model allows, which is what POSIX leaves open:
//! 1. An unsynced write may be on the medium or not, whatever happened to those before and after it; sectors of 512
//!    bytes are written whole or not at all, each for itself. A sector has the content of some moment: never a newer
//!    write without the older ones to the same sector.
//! 2. An unsynced length is that of some moment since the last sync; bytes gained by setting the length are zeros;
//!    those gained by a write that did not survive are zeros, or what was on the disk before ([`Survival::Garbage`]).
//! 3. A created, renamed or removed name is durable after a sync of its directory; before, each such change may be there
//!    or not, whatever happened to the others, except that changes of one file or one name survive in order. A rename is
//!    atomic. Syncing a file does not make its name durable.
//! 4. What was synced before the power loss, and only that, is certain.
//!
//! [`Fault`]s make the n-th operation of a kind fail, once or from then on; a failed sync does to the unsynced pages what
//! one of the known file systems does ([`FailedSync`]; Rebello et al., ATC 2020).

mod disk_file;
mod fault;
mod file_system;
mod fingerprint;
mod image;
mod medium;
mod survival;
mod trace;

pub use fault::{Effect, FailedSync, Fault, OperationKind};
pub use file_system::SimulatedVfs;
pub use image::Image;
pub use medium::Medium;
pub use survival::{Survival, choices};
pub use trace::{Operation, Replay, Trace};

/// What a disk writes whole or not at all, in bytes.
pub const SECTOR: u64 = 512;

/// A file, whatever its names are.
pub type Inode = u32;

/// SplitMix64 (Steele, Lea, Flood 2014): one step from a state to a well-mixed number.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
