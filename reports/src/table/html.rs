//! A table as HTML: the macro that draws it on pages, by itself.

use super::model::Table;
use crate::html::{self, ReportError};
use serde::Serialize;

impl Table {
    /// The table as HTML without the style of a page; every text is escaped.
    ///
    /// # Errors
    /// [`ReportError::Template`] when it cannot be filled.
    pub fn to_html(&self) -> Result<String, ReportError> {
        #[derive(Serialize)]
        struct Context<'a> {
            table: &'a Table,
        }
        html::fill("table.html", &Context { table: self })
    }
}
