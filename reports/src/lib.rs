//! What came out of a run: the run record and everything that is made of it.
//!
//! A harness fills a [`RunRecord`]; tables, statistics, verdicts, plots and reports are pure functions of it.
//! This crate knows no engine: engines appear only as names inside records and criteria.
//!
//! ```
//! use reports::RunRecord;
//! use reports::record::{Measurement, Outcome, Status, TransactionType, Verification};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut record = RunRecord::new("example", "2026-01-02T03:04:05Z");
//! record.measurements.push(Measurement {
//!     engine: "memory".into(),
//!     repetition: 1,
//!     status: Status::Ok,
//!     duration_ns: Some(10_000_000_000),
//!     transaction_types: vec![TransactionType { name: "mix".into(), committed: 50_000, ..Default::default() }],
//!     verification: Verification::NotRun { reason: "only an example".into() },
//!     ..Default::default()
//! });
//! assert_eq!(record.measurements[0].throughput(), Some(5_000.0));
//! println!("{}", reports::text_table(&record));
//!
//! // Nothing passes without a measurement that shows it.
//! assert!(reports::evaluate(&record).iter().all(|verdict| verdict.outcome == Outcome::NotMeasured));
//!
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! let files = reports::write_report(directory, &record)?;
//! assert!(files.html.ends_with("report.html"));
//! assert_eq!(RunRecord::load(directory)?.run_id, "example");
//! # Ok(())
//! # }
//! ```

pub mod alike;
pub mod criteria;
mod files;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod html;
mod palette;
pub mod plot;
pub mod record;
pub mod statistics;
pub mod summary;
pub mod table;
mod text;
pub mod time;

pub use criteria::evaluate;
pub use files::{CSV_COLUMNS, to_csv, to_markdown};
pub use html::{ReportError, ReportFiles, compare, render_report, write_comparison, write_report};
pub use record::{RecordError, RunRecord};
pub use text::{
    DEFAULT_WIDTH, text_comparison_within, text_ratios, text_ratios_within, text_table, text_table_within,
};
