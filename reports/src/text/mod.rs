//! A run as text for a terminal.

mod crash;
mod sections;

use crate::record::RunRecord;
use crate::table;

/// Columns of a terminal whose width is not known.
pub const DEFAULT_WIDTH: usize = 100;

/// The whole run as text: first what was measured and verified, then what to know about it, then the figures behind it, and the
/// criteria of the plan last.
#[must_use]
pub fn text_table(record: &RunRecord) -> String {
    text_table_within(record, DEFAULT_WIDTH)
}

/// Like [`text_table`], for a terminal of `width` columns.
#[must_use]
pub fn text_table_within(record: &RunRecord, width: usize) -> String {
    let verdicts = crate::evaluate(record);
    let record = &*record.by_case();
    let tables = table::of_judged(record, &verdicts);
    let drawn = |id: &str| {
        let table = tables.get(id).filter(|table| !table.page_only);
        table.map_or_else(String::new, |table| table.to_text(width))
    };
    let criteria = drawn("criteria") + &sections::criteria(record, &verdicts, width);
    // Where all criteria were asked for they are the result; else they come last.
    let asked = sections::asks_for_criteria(record);
    let (first, last) = if asked {
        (criteria, String::new())
    } else {
        (String::new(), criteria)
    };
    let parts = [
        sections::heading(record, width),
        drawn("summary")
            + &sections::problems(record, width)
            + &sections::notes(record, width)
            + &sections::verification(record, width),
        drawn("ratios") + &sections::ratio_notes(record, width),
        drawn("recovery_open"),
        drawn("recovery") + &sections::recovery(record, width),
        crash::headline(record, width),
        drawn("crash_scenarios"),
        drawn("crash_faults"),
        drawn("crash_damage"),
        drawn("crash_injected"),
        drawn("crash_orders"),
        drawn("schedules_reach"),
        drawn("crash_reach"),
        crash::failures(record, width),
        drawn("space"),
        drawn("findings"),
        first,
        sections::warnings(record, width),
        drawn("latencies") + &sections::percentiles(record, width),
        drawn("outcomes"),
        drawn("reads"),
        drawn("writes_missed"),
        drawn("storage"),
        drawn("amplification"),
        drawn("resources"),
        drawn("concurrency"),
        last,
    ];
    let filled: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    filled.join("\n")
}

/// The ratio table with what to know about it; empty when the record has no ratios.
#[must_use]
pub fn text_ratios(record: &RunRecord) -> String {
    text_ratios_within(record, DEFAULT_WIDTH)
}

/// Like [`text_ratios`], for a terminal of `width` columns.
#[must_use]
pub fn text_ratios_within(record: &RunRecord, width: usize) -> String {
    let table = table::ratios(record);
    let drawn = table.map_or_else(String::new, |table| table.to_text(width));
    if drawn.is_empty() {
        return drawn;
    }
    let parts = [
        drawn + &sections::ratio_notes(record, width),
        sections::warnings(record, width),
    ];
    let filled: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    filled.join("\n")
}

/// Several runs side by side, the first as the base of relative figures.
#[must_use]
pub fn text_comparison_within(records: &[RunRecord], width: usize) -> String {
    let records: Vec<RunRecord> = records
        .iter()
        .map(|record| record.by_case().into_owned())
        .collect();
    let tables = table::comparison(&records);
    let drawn = tables.values().filter(|table| !table.page_only);
    let drawn: Vec<String> = drawn.map(|table| table.to_text(width)).collect();
    drawn.join("\n")
}
