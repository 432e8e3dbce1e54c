//! The harness.
mod adapters;
mod cli;
mod error;
mod measure;
mod runner;
mod scenarios;
fn main() {}
