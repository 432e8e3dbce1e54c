//! A run, or several, as one self-contained page: no network, no scripts, pictures inside.

mod comparison;
mod context;
mod crash;
mod findings;
mod page;
mod sections;
mod tables;
mod write;

pub use comparison::compare;
pub use page::{ReportError, render_report};
pub use write::{ReportFiles, write_comparison, write_report};
