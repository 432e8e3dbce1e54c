//! A run, or several, as one self-contained page: no network, pictures inside. A few lines of
//! script sort tables and read values off plots; without them nothing is missing.

mod comparison;
mod context;
mod crash;
mod page;
mod sections;
mod write;

pub use comparison::compare;
pub(crate) use page::fill;
pub use page::{ReportError, render_report};
pub use write::{ReportFiles, write_comparison, write_report};
