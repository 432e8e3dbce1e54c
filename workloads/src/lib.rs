//! What to run against a storage engine.

mod names;
pub mod target;
