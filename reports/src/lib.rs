//! What came out of a run: the run record and everything that is made of it.
//!
//! A harness fills a [`RunRecord`]; tables, statistics, verdicts, plots and reports are pure functions of it.
//! This crate knows no engine: engines appear only as names inside records and criteria.

pub mod criteria;
mod html;
pub mod plot;
pub mod record;
pub mod statistics;
pub mod summary;
mod text;
pub mod time;
pub mod units;

pub use criteria::evaluate;
pub use html::{ReportError, ReportFiles, compare, render_report, write_comparison, write_report};
pub use record::{RecordError, RunRecord};
pub use text::{DEFAULT_WIDTH, text_ratios, text_ratios_within, text_table, text_table_within};
