//! The engine through its public interface.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod beside;
mod model;
mod plans;
