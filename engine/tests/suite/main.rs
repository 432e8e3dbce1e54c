//! The engine through its public interface.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_sectors;
mod beside;
mod checkpoints;
mod collection;
mod common;
mod concurrency;
mod damage;
mod damage_met;
mod faults;
mod full_disk;
mod isolation;
mod limits;
mod memory;
mod model;
mod ordered;
mod panics;
mod plans;
mod ranges;
mod salvage;
mod whole_api;
