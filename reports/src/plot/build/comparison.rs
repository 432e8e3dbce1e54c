//! Bars that compare: engines of one run, runs with each other, ratios with their targets.

use super::super::bars::{Bar, BarChart};
use super::super::output::{Chart, Plot};
use super::super::ratio::RatioChart;
use super::role_of;
use crate::record::{Outcome, RunRecord, Settings};
use crate::summary::{self, EngineSummary};

/// Throughput of the engines of one run.
pub(super) fn engines(record: &RunRecord) -> Option<Plot> {
    let summaries = summary::engines(record);
    let bars: Vec<Bar> = summaries
        .iter()
        .map(|engine| bar(engine, engine.engine.to_owned(), role_of(record, engine.engine)))
        .collect();
    throughput_plot("throughput", "Throughput by engine", bars)
}

/// Plots that set several runs side by side.
#[must_use]
pub fn comparison_plots(records: &[RunRecord]) -> Vec<Plot> {
    let mut names: Vec<&str> = Vec::new();
    let mut bars = Vec::new();
    for record in records {
        for engine in summary::engines(record) {
            let index = names
                .iter()
                .position(|name| *name == engine.engine)
                .unwrap_or_else(|| {
                    names.push(engine.engine);
                    names.len() - 1
                });
            let name = format!("{} · {}", engine.engine, record.run_id);
            bars.push(bar(&engine, name, super::Role::Series(index)));
        }
    }
    throughput_plot("throughput", "Throughput by run", bars)
        .into_iter()
        .collect()
}

fn bar(engine: &EngineSummary<'_>, name: String, role: super::Role) -> Bar {
    Bar {
        name,
        note: if engine.ran == 0 {
            engine.problems.join("; ")
        } else {
            settings_note(engine.settings)
        },
        role,
        value: engine.throughput.as_ref().map(|estimate| estimate.median),
        interval: engine.throughput.as_ref().and_then(|estimate| estimate.interval),
        samples: engine
            .throughput
            .as_ref()
            .map(|estimate| estimate.samples.clone())
            .unwrap_or_default(),
    }
}

/// What must be known beside a figure to compare it fairly.
fn settings_note(settings: &Settings) -> String {
    let mut parts = Vec::new();
    if let Some(durability) = &settings.durability {
        parts.push(format!("durability {durability}"));
    }
    if let Some(cache) = settings.cache_size_bytes {
        parts.push(format!("cache {}", units::bytes(cache)));
    }
    if let Some(threads) = settings.threads {
        parts.push(format!("{threads} threads"));
    }
    parts.join(", ")
}

fn throughput_plot(id: &str, title: &str, bars: Vec<Bar>) -> Option<Plot> {
    if bars.iter().all(|bar| bar.value.is_none()) {
        return None;
    }
    let words: Vec<String> = bars
        .iter()
        .map(|bar| {
            format!(
                "{}: {} transactions/s",
                bar.name,
                units::or_missing(bar.value, units::number)
            )
        })
        .collect();
    Some(Plot {
        id: id.to_owned(),
        title: title.to_owned(),
        caption:
            "Median of the repetitions; each dot is one repetition, the whisker a 95 % bootstrap interval of \
                  the median (with three repetitions or more)."
                .to_owned(),
        alt: format!("Bars of throughput. {}.", words.join("; ")),
        chart: Chart::Bars(BarChart {
            unit: "tx/s".to_owned(),
            bars,
        }),
    })
}

/// Ratios against their targets.
pub(super) fn ratios(record: &RunRecord) -> Option<Plot> {
    if record.ratios.is_empty() {
        return None;
    }
    let words: Vec<String> = record
        .ratios
        .iter()
        .map(|row| match row.outcome() {
            Outcome::NotMeasured => format!("{}: not measured", row.what),
            outcome => format!("{}: {}, {}", row.what, row.value_text(), outcome.label()),
        })
        .collect();
    Some(Plot {
        id: "ratios".to_owned(),
        title: "Ratios against their targets".to_owned(),
        caption:
            "Each ratio as a multiple of its own target, logarithmic, better to the right. The vertical line \
                  is the target, the short tick the stretch target, small dots the interleaved pairs."
                .to_owned(),
        alt: format!("Ratios against targets. {}.", words.join("; ")),
        chart: Chart::Ratios(RatioChart {
            rows: record.ratios.clone(),
        }),
    })
}
