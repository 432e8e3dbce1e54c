//! Several runs on one page: who did what, relative to the first, and in what the runs differ.

use std::collections::BTreeMap;

use super::context::Picture;
use super::page::{ReportError, fill, pictures};
use crate::plot::Plot;
use crate::record::{RunRecord, Settings, Varied, Warning};
use crate::summary;
use crate::table::{self, Tables};
use serde::Serialize;
use units::or_missing;

#[derive(Debug, Serialize)]
struct ComparisonContext {
    count: usize,
    /// Of the runs that have one.
    labels: Vec<String>,
    synthetic: bool,
    dev_build: bool,
    tables: Tables,
    differences: Vec<Difference>,
    warnings: Vec<String>,
    plots: Vec<Picture>,
}

/// A setting that is not the same in all runs.
#[derive(Debug, Serialize)]
struct Difference {
    what: String,
    values: Vec<String>,
}

/// The page that compares runs; the first one is the base of relative figures.
///
/// # Errors
/// [`ReportError::NothingToCompare`] without records, else as for a report.
pub fn compare(records: &[RunRecord]) -> Result<String, ReportError> {
    let records: Vec<RunRecord> = records
        .iter()
        .map(|record| record.by_case().into_owned())
        .collect();
    render_with(&records, &crate::plot::comparison_plots(&records))
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
                .chain(record.interrupted.then(|| Warning::Interrupted.message()))
                .map(|message| format!("{}: {message}", record.run_id))
        })
        .collect();
    let context = ComparisonContext {
        count: records.len(),
        labels: records.iter().filter_map(|record| record.label.clone()).collect(),
        synthetic: records.iter().any(|record| record.synthetic),
        dev_build: records.iter().any(summary::is_dev_build),
        tables: table::comparison(records),
        differences: differences(records),
        warnings,
        plots: pictures(plots)?,
    };
    fill("comparison.html", &context)
}

/// A setting of each engine.
fn by_engine(record: &RunRecord, read: fn(&Settings) -> Option<String>) -> String {
    let engines = summary::engines(record);
    let mut all: Vec<String> = Vec::new();
    for of in engines {
        let value = or_missing(read(of.settings), |text| text);
        let words = format!("{} {value}", Varied::engine(of.engine));
        // Cases of one engine often have the same.
        if !all.contains(&words) {
            all.push(words);
        }
    }
    all.join(", ")
}

/// What is not the same in all runs and so may explain a difference.
fn differences(records: &[RunRecord]) -> Vec<Difference> {
    type Reading = fn(&RunRecord) -> String;
    let readings: [(&'static str, Reading); 20] = [
        ("Completeness", |r| {
            let words = ["complete", "interrupted before its end"];
            words[usize::from(r.interrupted)].to_owned()
        }),
        ("Label", |r| or_missing(r.label.clone(), |text| text)),
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
        ("Revision", |r| or_missing(r.build.revision_words(), |text| text)),
        ("Build profile", |r| {
            format!("{:?}", r.build.profile).to_lowercase()
        }),
        ("Host", |r| or_missing(r.environment.host.clone(), |text| text)),
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
        ("Durability", |r| by_engine(r, Settings::durability_words)),
    ];
    readings
        .into_iter()
        .filter_map(|(what, read)| {
            let values: Vec<String> = records.iter().map(read).collect();
            let differ = values.iter().any(|value| *value != values[0]);
            differ.then(|| Difference {
                what: what.to_owned(),
                values: records
                    .iter()
                    .zip(values)
                    .map(|(r, value)| format!("{}: {value}", r.run_id))
                    .collect(),
            })
        })
        .chain(options(records))
        .collect()
}

/// Options of engines that are not the same in all runs that have them.
fn options(records: &[RunRecord]) -> Vec<Difference> {
    let mut found: BTreeMap<(&str, &str), Vec<(&RunRecord, &str)>> = BTreeMap::new();
    for record in records {
        for of in summary::engines(record) {
            for (option, value) in &of.settings.engine_options {
                let values = found.entry((of.engine, option)).or_default();
                values.push((record, value));
            }
        }
    }
    found.retain(|_, values| values.iter().any(|(_, value)| *value != values[0].1));
    found
        .into_iter()
        .map(|((engine, option), values)| Difference {
            what: format!("{engine}: {option}"),
            values: values
                .into_iter()
                .map(|(record, value)| format!("{}: {value}", record.run_id))
                .collect(),
        })
        .collect()
}
