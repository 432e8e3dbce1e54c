//! The tables of a record, made once and drawn as text and as HTML.
//!
//! A [`Table`] is what it says: columns under headings, rows of cells, what is to be noticed about a cell. One function makes each
//! table; a column and what stands in it are said in one place. [`Table::to_text`] draws it for a terminal,
//! [`Table::to_html`] for a page. Both draw the same cells, but for what says of itself that it is only for the page: whole tables,
//! columns of sentences, and notes behind a figure.

mod cells;
mod comparison;
mod crash;
mod engines;
mod html;
pub(crate) mod markdown;
mod model;
mod recovery;
mod run;
pub(crate) mod text;

pub use comparison::comparison;
pub use model::{Cell, Column, Mark, Table};
pub(crate) use run::{criteria, ratios};

use crate::record::{RunRecord, Verdict};
use crate::summary;
use std::collections::BTreeMap;

/// Tables by their ids.
pub type Tables = BTreeMap<&'static str, Table>;

/// Every table that a record has something for.
#[must_use]
pub fn tables(record: &RunRecord) -> Tables {
    of_judged(record, &crate::evaluate(record))
}

/// Likewise, of a record whose criteria were judged already.
pub(crate) fn of_judged(record: &RunRecord, verdicts: &[Verdict]) -> Tables {
    let engines = summary::engines(record);
    // Rows of a ratio table carry their verdict already.
    let measured = verdicts
        .iter()
        .filter(|of| of.outcome.is_measured() && !of.id.starts_with("speed."));
    let tables = [
        engines::summary(&engines),
        engines::latencies(&engines),
        engines::outcomes(&engines),
        engines::reads(&engines),
        engines::writes_missed(&engines),
        engines::storage(&engines),
        engines::amplification(&engines),
        engines::resources(&engines),
        engines::concurrency(&engines),
        engines::settings(&engines),
        engines::options(&engines),
        run::bounds(record),
        run::ratios(record),
        run::ratio_figures(record),
        recovery::open_times(record),
        recovery::recovery(record),
        run::space(record),
        run::findings(record),
        criteria("Success criteria", measured, false),
    ];
    let crash = record.crash.iter().flat_map(crash::crash);
    let all = tables.into_iter().flatten().chain(crash);
    all.map(|table| (table.id, table)).collect()
}
