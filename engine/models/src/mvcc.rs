//! The snapshot registry.

pub mod models;
#[path = "../../src/mvcc/registry.rs"]
mod registry;

pub(crate) use registry::SnapshotRegistry;
