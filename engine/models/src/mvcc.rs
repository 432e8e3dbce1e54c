//! The snapshot registry.

pub mod models;
#[path = "../../src/mvcc/registry.rs"]
#[expect(dead_code, reason = "a figure of the engine's that no model needs")]
mod registry;

pub(crate) use registry::SnapshotRegistry;
