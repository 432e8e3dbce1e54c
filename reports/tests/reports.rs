//! The crate's integration tests, one binary.

mod criteria;
mod record;
