//! What to run against a storage engine, and how to know that it did it right.

pub mod keys;
pub mod load;
mod names;
pub mod oracle;
pub mod random;
pub mod spec;
pub mod stream;
pub mod target;
pub mod units;
pub mod values;
pub mod version;
pub mod worker;
