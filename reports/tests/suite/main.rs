//! The crate's integration tests, one binary.

mod crash;
mod criteria;
mod files;
mod pages;
mod plots;
mod record;
mod strange;
mod tables;
mod text;

#[path = "../../examples/demo_report/crash_test.rs"]
mod crash_test;
#[path = "../../examples/demo_report/synthetic.rs"]
mod synthetic;
