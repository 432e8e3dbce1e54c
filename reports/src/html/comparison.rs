//! Several runs on one page: who did what, relative to the first, and in what the runs differ.

use super::context::Picture;
use super::page::{ReportError, fill, pictures};
use super::tables::{self, Cell, Table, table};
use crate::alike;
use crate::plot::Plot;
use crate::record::{RunRecord, Settings};
use crate::summary::{self, VerificationSummary};
use crate::units::{self, MISSING, or_missing};
use serde::Serialize;

#[derive(Debug, Serialize)]
struct ComparisonContext {
    count: usize,
    synthetic: bool,
    dev_build: bool,
    summary: Option<Table>,
    ratios: Option<Table>,
    runs: Table,
    differences: Vec<Difference>,
    warnings: Vec<String>,
    plots: Vec<Picture>,
}

/// A setting that is not the same in all runs.
#[derive(Debug, Serialize)]
struct Difference {
    what: &'static str,
    values: Vec<String>,
}

/// The page that compares runs; the first one is the base of relative figures.
///
/// # Errors
/// [`ReportError::NothingToCompare`] without records, else as for a report.
pub fn compare(records: &[RunRecord]) -> Result<String, ReportError> {
    render_with(records, &crate::plot::comparison_plots(records))
}

/// The page with its plots already made.
pub(super) fn render_with(records: &[RunRecord], plots: &[Plot]) -> Result<String, ReportError> {
    if records.is_empty() {
        return Err(ReportError::NothingToCompare);
    }
    let warnings = records
        .iter()
        .flat_map(|record| {
            summary::warnings(record)
                .into_iter()
                .map(|message| format!("{}: {message}", record.run_id))
        })
        .collect();
    let context = ComparisonContext {
        count: records.len(),
        synthetic: records.iter().any(|record| record.synthetic),
        dev_build: records.iter().any(summary::is_dev_build),
        summary: summary_table(records),
        ratios: ratio_table(records),
        runs: run_table(records),
        differences: differences(records),
        warnings,
        plots: pictures(plots)?,
    };
    fill("comparison.html", &context)
}

/// A figure relative to the base's; unknown when either is.
fn relative(value: Option<f64>, base: Option<f64>) -> String {
    match (value, base) {
        (Some(value), Some(base)) if base > 0.0 => format!("{}x", units::number(value / base)),
        _ => MISSING.to_owned(),
    }
}

fn summary_table(records: &[RunRecord]) -> Option<Table> {
    let mut table = table(
        "Medians over the repetitions. Relative figures compare with the first run in which the same engine \
         appears on the same workload, if what was asked of it, the machine and the kind of build are the same.",
        &[
            "Run",
            "Engine",
            "Workload",
            "#Transactions/s",
            "#Relative",
            "#p50",
            "#p99",
            "#p99 relative",
            "Not comparable for",
            "Durability",
            "Verified",
        ],
    );
    let summaries: Vec<_> = records
        .iter()
        .map(|record| (record, summary::engines(record)))
        .collect();
    for (record, engines) in &summaries {
        for engine in engines {
            let all = summaries
                .iter()
                .flat_map(|(other, engines)| engines.iter().map(move |engine| (*other, engine)));
            let base = all
                .filter(|(other, _)| other.workload.name == record.workload.name)
                .find(|(_, other)| other.engine == engine.engine);
            let unlike = base.map_or_else(Vec::new, |base| alike::unlike(base, (record, engine)));
            let base = base.map(|(_, base)| base).filter(|_| unlike.is_empty());
            let rate = engine.throughput.as_ref().map(|estimate| estimate.median);
            let base_rate = base
                .and_then(|base| base.throughput.as_ref())
                .map(|estimate| estimate.median);
            let p99 = engine.latency.and_then(|l| l.latency_ns_p99).map(|ns| ns as f64);
            let base_p99 = base
                .and_then(|base| base.latency?.latency_ns_p99)
                .map(|ns| ns as f64);
            let (verified, class) = match engine.verification {
                _ if engine.ran == 0 => (MISSING, ""),
                VerificationSummary::Verified { .. } => ("yes", "pass"),
                VerificationSummary::Failed(_) => ("FAILED", "fail"),
                VerificationSummary::NotVerified(_) => ("no", "open"),
            };
            table.rows.push(vec![
                record.run_id.clone().into(),
                engine.engine.into(),
                record.workload.name.clone().into(),
                tables::with_spread(engine.throughput.as_ref()).into(),
                relative(rate, base_rate).into(),
                tables::latency(engine.latency, |l| Some(l.latency_ns_p50)),
                tables::latency(engine.latency, |l| l.latency_ns_p99),
                relative(p99, base_p99).into(),
                unlike.join(", ").into(),
                or_missing(engine.settings.durability.clone(), |text| text).into(),
                Cell {
                    text: verified.to_owned(),
                    class,
                },
            ]);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Each ratio over the runs that have it.
fn ratio_table(records: &[RunRecord]) -> Option<Table> {
    let with_ratios: Vec<&RunRecord> = records
        .iter()
        .filter(|record| !record.ratios.is_empty())
        .collect();
    let mut heads = vec!["What".to_owned(), "Against".to_owned(), "#Target".to_owned()];
    heads.extend(with_ratios.iter().map(|record| format!("#{}", record.run_id)));
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut table = table("Ratios of the runs that measured them.", &heads);
    let mut seen: Vec<&str> = Vec::new();
    for row in with_ratios.iter().flat_map(|record| &record.ratios) {
        if seen.contains(&row.id.as_str()) {
            continue;
        }
        seen.push(&row.id);
        let target = or_missing(row.target, |target| format!("{} {target}", row.direction.sign()));
        let mut cells: Vec<Cell> = vec![row.what.clone().into(), row.against.clone().into(), target.into()];
        for record in &with_ratios {
            cells.push(match record.ratios.iter().find(|other| other.id == row.id) {
                Some(found) => Cell {
                    text: found.value_text(),
                    class: tables::outcome_class(found.outcome()),
                },
                None => MISSING.into(),
            });
        }
        table.rows.push(cells);
    }
    (!table.rows.is_empty()).then_some(table)
}

fn run_table(records: &[RunRecord]) -> Table {
    let mut table = table(
        "The runs and the commands that made them.",
        &["Run", "Started", "Command"],
    );
    for record in records {
        table.rows.push(vec![
            record.run_id.clone().into(),
            record.created.clone().into(),
            Cell {
                text: record.command.to_shell(),
                class: "code",
            },
        ]);
    }
    table
}

/// A setting of each engine.
fn by_engine(record: &RunRecord, read: fn(&Settings) -> Option<String>) -> String {
    let engines = summary::engines(record);
    let all: Vec<String> = engines
        .iter()
        .map(|of| format!("{} {}", of.engine, or_missing(read(of.settings), |text| text)))
        .collect();
    all.join(", ")
}

/// What is not the same in all runs and so may explain a difference.
fn differences(records: &[RunRecord]) -> Vec<Difference> {
    type Reading = fn(&RunRecord) -> String;
    let readings: [(&'static str, Reading); 17] = [
        ("Workload", |r| r.workload.name.clone()),
        ("Seed", |r| r.workload.seed.to_string()),
        ("Overrides", |r| {
            let overrides: Vec<String> = r
                .workload
                .overrides
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect();
            overrides.join(", ")
        }),
        ("Version", |r| r.build.version.clone()),
        ("Revision", |r| or_missing(r.build.revision.clone(), |text| text)),
        ("Build profile", |r| {
            format!("{:?}", r.build.profile).to_lowercase()
        }),
        ("CPU", |r| {
            or_missing(r.environment.cpu_model.clone(), |text| text)
        }),
        ("Processors", |r| {
            or_missing(r.environment.cpu_cores, |cores| cores.to_string())
        }),
        ("Memory", |r| or_missing(r.environment.memory_bytes, units::bytes)),
        ("Kernel", |r| {
            or_missing(r.environment.kernel.clone(), |text| text)
        }),
        ("File system", |r| {
            or_missing(r.environment.file_system.clone(), |text| text)
        }),
        ("Threads", |r| {
            by_engine(r, |of| of.threads.map(|threads| threads.to_string()))
        }),
        ("Rows", |r| by_engine(r, |of| of.rows.map(units::count))),
        ("Value size", |r| {
            by_engine(r, |of| of.value_size_bytes.map(units::bytes))
        }),
        ("Cache", |r| {
            by_engine(r, |of| of.cache_size_bytes.map(units::bytes))
        }),
        ("Isolation", |r| by_engine(r, |of| of.isolation.clone())),
        ("Durability", |r| by_engine(r, |of| of.durability.clone())),
    ];
    readings
        .into_iter()
        .filter_map(|(what, read)| {
            let values: Vec<String> = records.iter().map(read).collect();
            let differ = values.iter().any(|value| *value != values[0]);
            differ.then(|| Difference {
                what,
                values: records
                    .iter()
                    .zip(values)
                    .map(|(r, value)| format!("{}: {value}", r.run_id))
                    .collect(),
            })
        })
        .collect()
}
