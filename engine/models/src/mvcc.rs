//! The snapshot registry.

pub mod models;
#[path = "../../src/mvcc/registry.rs"]
#[expect(dead_code, reason = "the models do not ask for all that the engine does")]
mod registry;

pub(crate) use registry::SnapshotRegistry;
