//! A run in forms for other programs and documents, beside its record and its page.

mod csv;
mod markdown;

pub use csv::{CSV_COLUMNS, to_csv};
pub use markdown::to_markdown;
