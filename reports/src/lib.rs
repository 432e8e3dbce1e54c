//! What came out of a run: the run record and everything that is made of it.
//!
//! A harness fills a [`RunRecord`]; tables, statistics, verdicts, plots and reports are pure functions of it.
//! This crate knows no engine: engines appear only as names inside records and criteria.

pub mod criteria;
pub mod record;
pub mod statistics;
pub mod time;
pub mod units;

pub use criteria::evaluate;
pub use record::{RecordError, RunRecord};
