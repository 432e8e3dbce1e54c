//! The engine through its public interface.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod beside;
mod collection;
mod common;
mod concurrency;
mod faults;
mod full_disk;
mod isolation;
mod limits;
mod model;
mod panics;
mod plans;
