//! The harness.
mod adapters;
mod cli { pub(crate) mod suggest; pub(crate) mod units; }
mod error;
mod measure;
fn main() {}
