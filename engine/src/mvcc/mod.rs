//! Multi-version concurrency control: before-images of changed rows, snapshots, and what may be forgotten.

mod history;
mod registry;
mod ring;
mod versions;

pub(crate) use registry::{SnapshotRegistry, SnapshotSlot};
pub(crate) use versions::{Before, Lookup, VersionStore};
