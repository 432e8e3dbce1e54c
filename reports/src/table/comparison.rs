//! Tables over several runs.

use super::Tables;
use super::cells::{latency, mark, times, verified, with_spread, word};
use super::model::{Cell, Mark, Table, number};
use super::run::bound;
use crate::alike;
use crate::palette;
use crate::record::{RatioRow, RunRecord};
use crate::summary::{self, EngineSummary};
use units::MISSING;

/// The tables that compare runs; the first one is the base of relative figures.
#[must_use]
pub fn comparison(records: &[RunRecord]) -> Tables {
    let tables = [summary(records), ratios(records), runs(records)];
    tables
        .into_iter()
        .flatten()
        .map(|table| (table.id, table))
        .collect()
}

/// An engine in a run beside the first that may be set against it.
struct Compared<'r, 'e> {
    record: &'r RunRecord,
    engine: &'e EngineSummary<'r>,
    series: usize,
    unlike: Vec<&'static str>,
    rate: Option<f64>,
    latency_p99: Option<f64>,
}

impl<'r, 'e> Compared<'r, 'e> {
    fn new(
        record: &'r RunRecord,
        engine: &'e EngineSummary<'r>,
        base: Option<(&RunRecord, &EngineSummary<'_>)>,
    ) -> Self {
        let unlike = base.map_or_else(Vec::new, |base| alike::unlike(base, (record, engine)));
        let base = base.map(|(_, base)| base).filter(|_| unlike.is_empty());
        let relative = |figure: fn(&EngineSummary<'_>) -> Option<f64>| {
            let (value, base) = (figure(engine)?, figure(base?)?);
            (base > 0.0).then(|| value / base)
        };
        Self {
            rate: relative(|of| of.throughput.as_ref().map(|estimate| estimate.median)),
            latency_p99: relative(|of| Some(of.latency?.latency_ns_p99? as f64)),
            record,
            engine,
            series: engine.series,
            unlike,
        }
    }
}

fn summary(records: &[RunRecord]) -> Option<Table> {
    let caption = "Medians over the repetitions. Relative figures compare with the first run in which the same engine appears on \
                   the same workload, if what was asked of it, the machine and the kind of build are the same.";
    let summaries: Vec<_> = records
        .iter()
        .map(|record| (record, summary::engines(record)))
        .collect();
    let all = || {
        summaries
            .iter()
            .flat_map(|(record, engines)| engines.iter().map(move |engine| (*record, engine)))
    };
    let places = palette::of_all(records);
    let compared: Vec<Compared<'_, '_>> = all()
        .map(|(record, engine)| {
            let same = || {
                all().filter(|(other, of)| {
                    other.workload.name == record.workload.name && of.engine == engine.engine
                })
            };
            // What is there once is compared with nothing.
            let base = same().next().filter(|_| same().count() > 1);
            Compared {
                series: places.get(engine.engine).copied().unwrap_or(engine.series),
                ..Compared::new(record, engine, base)
            }
        })
        .collect();
    let is_unlike = compared.iter().any(|of| !of.unlike.is_empty());
    let mut table = Table::of("summary", caption, &compared)
        .text("Run", 0, |of| &of.record.run_id)
        .text("Engine", 0, |of| {
            Cell::from(of.engine.engine).with_swatch(of.series)
        })
        .text("Workload", 6, |of| &of.record.workload.name)
        .number("Transactions/s", 0, |of| {
            with_spread(of.engine.throughput.as_ref())
        })
        .number("Relative", 0, |of| times(of.rate))
        .number("p50", 4, |of| {
            latency(of.engine.latency, |l| Some(l.latency_ns_p50))
        })
        .number("p95", 5, |of| latency(of.engine.latency, |l| l.latency_ns_p95))
        .number("p99", 0, |of| latency(of.engine.latency, |l| l.latency_ns_p99))
        .number("p99 relative", 1, |of| times(of.latency_p99))
        .text("Durability", 3, |of| {
            word(of.engine.settings.durability_words().as_ref())
        })
        .text("Verified", 2, |of| verified(of.engine));
    if is_unlike {
        table = table.text("Not comparable for", 0, |of| of.unlike.join(", "));
    }
    table.build()
}

/// Each ratio over the runs that have it.
fn ratios(records: &[RunRecord]) -> Option<Table> {
    let mut rows: Vec<&RatioRow> = Vec::new();
    for row in records.iter().flat_map(|record| &record.ratios) {
        if rows.iter().all(|other| other.id != row.id) {
            rows.push(row);
        }
    }
    let mut table = Table::of("ratios", "Ratios of the runs that measured them.", rows)
        .text("What", 0, |row| &row.what)
        .text("Against", 0, |row| &row.against)
        .number("Target", 0, |row| bound(row, row.target));
    for record in records.iter().filter(|record| !record.ratios.is_empty()) {
        let column = number(&record.run_id).short(&record.run_id);
        table = table.column(column, |row| {
            let found = record.ratios.iter().find(|other| other.id == row.id);
            found.map_or_else(
                || MISSING.into(),
                |found| Cell::marked(found.value_text(), mark(found.outcome())),
            )
        });
    }
    table.build()
}

fn runs(records: &[RunRecord]) -> Option<Table> {
    Table::of("runs", "The runs and the commands that made them.", records)
        .page()
        .text("Run", 0, |of| &of.run_id)
        .text("Started", 0, |of| &of.created)
        .text("Command", 0, |of| Cell::marked(of.command.to_shell(), Mark::Code))
        .build()
}
