//! The engine through its public interface.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod beside;
mod checkpoints;
mod collection;
mod common;
mod concurrency;
mod damage;
mod faults;
mod full_disk;
mod identity;
mod isolation;
mod limits;
mod lost_blocks;
mod memory;
mod model;
mod names;
mod panics;
mod plans;
mod read_only;
mod salvage;
