//! Multi-version concurrency control: before-images of changed rows, snapshots, and what may be forgotten.

mod registry;
mod versions;

pub(crate) use registry::{SnapshotRegistry, SnapshotSlot};
pub(crate) use versions::{Lookup, Reclaimed, VersionStore};
