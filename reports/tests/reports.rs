//! The crate's integration tests, one binary.

mod record;
