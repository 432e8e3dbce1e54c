//! A run as text for a terminal.

mod crash;
mod sections;
pub(crate) mod table;

use crate::record::RunRecord;

/// Columns of a terminal whose width is not known.
pub const DEFAULT_WIDTH: usize = 100;

/// The whole run as text: engines, latencies, ratios, recovery, crash tests, verification, criteria and warnings.
#[must_use]
pub fn text_table(record: &RunRecord) -> String {
    text_table_within(record, DEFAULT_WIDTH)
}

/// Like [`text_table`], for a terminal of `width` columns.
#[must_use]
pub fn text_table_within(record: &RunRecord, width: usize) -> String {
    let parts = [
        sections::heading(record, width),
        sections::engines(record, width),
        sections::latencies(record, width),
        sections::storage(record, width),
        text_ratios_within(record, width),
        sections::recovery(record, width),
        crash::crash(record, width),
        sections::figures(record, width),
        sections::verification(record, width),
        sections::criteria(record, width),
        sections::warnings(record, width),
    ];
    let filled: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    filled.join("\n")
}

/// The ratio table alone; empty when the record has no ratios.
#[must_use]
pub fn text_ratios(record: &RunRecord) -> String {
    text_ratios_within(record, DEFAULT_WIDTH)
}

/// Like [`text_ratios`], for a terminal of `width` columns.
#[must_use]
pub fn text_ratios_within(record: &RunRecord, width: usize) -> String {
    sections::ratios(record, width)
}
