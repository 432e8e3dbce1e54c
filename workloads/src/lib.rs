//! What to run against a storage engine.

pub mod keys;
mod names;
pub mod random;
pub mod spec;
pub mod stream;
pub mod target;
pub mod units;
pub mod values;
pub mod version;
