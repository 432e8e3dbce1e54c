//! Latency: percentile curves for each transaction type, and percentiles over time for each engine.

use super::super::frame::Axis;
use super::super::lines::{LineChart, Series, Weight};
use super::super::output::{Chart, Plot};
use super::super::scale::{Format, Kind, Scale};
use super::super::theme::Role;
use super::throughput::{bands, time_axis};
use super::{condensed, role_of, slug, typical};
use crate::record::{Interval, Latency, Measurement, RunRecord};
use crate::statistics::{merge, merged_summary};

/// Transaction types drawn at most; the table has them all.
const TYPES_MAX: usize = 12;
/// Points of a curve for each factor of ten of the tail.
const POINTS_PER_DECADE: u32 = 40;

/// One curve: an engine of a run.
pub(super) struct Curve<'a> {
    pub(super) record: &'a RunRecord,
    pub(super) engine: &'a str,
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) weight: Weight,
}

/// One plot for each transaction type, one curve for each engine.
pub(super) fn percentiles(record: &RunRecord) -> Vec<Plot> {
    let curves: Vec<Curve<'_>> = record
        .engines()
        .into_iter()
        .map(|engine| Curve {
            record,
            engine,
            name: engine.to_owned(),
            role: role_of(record, engine),
            weight: Weight::Main,
        })
        .collect();
    percentiles_of(&curves)
}

/// The same of these curves.
pub(super) fn percentiles_of(curves: &[Curve<'_>]) -> Vec<Plot> {
    let mut names: Vec<&str> = Vec::new();
    for one in curves
        .iter()
        .flat_map(|of| of.record.of_engine(of.engine))
        .filter(|m| m.status.is_ok())
        .flat_map(|m| &m.transaction_types)
    {
        if !names.contains(&one.name.as_str()) {
            names.push(&one.name);
        }
    }
    names.truncate(TYPES_MAX);
    names
        .iter()
        .enumerate()
        .filter_map(|(index, name)| percentile_plot(curves, index, name))
        .collect()
}

fn percentile_plot(curves: &[Curve<'_>], index: usize, name: &str) -> Option<Plot> {
    let mut series = Vec::new();
    let mut words = Vec::new();
    for of in curves {
        let latencies: Vec<&Latency> = of
            .record
            .of_engine(of.engine)
            .filter(|m| m.status.is_ok())
            .flat_map(|m| &m.transaction_types)
            .filter(|t| t.name == name)
            .filter_map(|t| t.latency.as_ref())
            .collect();
        let points = curve(&latencies);
        if points.is_empty() {
            continue;
        }
        if let Some(summary) = merged_summary(latencies) {
            let p99 = summary.latency_ns_p99.map_or_else(String::new, |ns| {
                format!(", 99th percentile {}", units::duration(ns))
            });
            words.push(format!(
                "{}: median {}{p99}, max {}",
                of.name,
                units::duration(summary.latency_ns_p50),
                units::duration(summary.latency_ns_max)
            ));
        }
        series.push(Series {
            name: of.name.clone(),
            role: of.role,
            weight: of.weight,
            points,
        });
    }
    if series.is_empty() {
        return None;
    }
    let points = || series.iter().flat_map(|s| &s.points);
    let x = Axis {
        title: "percentile".to_owned(),
        scale: Scale::over(Kind::Tail, points().map(|p| p.0)),
        format: Format::Percent,
    };
    let y = latency_axis(points().filter_map(|p| p.1));
    Some(Plot {
        id: format!("latency-percentiles-{}-{}", index + 1, slug(name)),
        title: format!("Latency percentiles: {name}"),
        caption:
            "Share of transactions (all repetitions together) that took no longer than the latency on the \
                  vertical axis; each step to the right of 90 % is ten times rarer."
                .to_owned(),
        alt: format!("Latency percentile curves of {name}. {}.", words.join("; ")),
        subject: String::new(),
        chart: Chart::Lines(LineChart {
            x,
            y,
            bands: Vec::new(),
            series,
        }),
    })
}

/// Quantiles and latencies of the merged distribution; of the kept percentiles where no histogram was kept.
fn curve(latencies: &[&Latency]) -> Vec<(f64, Option<f64>)> {
    if let Ok(Some(histogram)) = merge(latencies.iter().copied()) {
        let count = histogram.len() as f64;
        let mut points = Vec::new();
        for step in 0.. {
            let rarity = 10f64.powf(f64::from(step) / f64::from(POINTS_PER_DECADE));
            // Beyond one in `count` there is only the largest value.
            if rarity >= count || step > 12 * POINTS_PER_DECADE {
                break;
            }
            let quantile = 1.0 - 1.0 / rarity;
            points.push((quantile, Some(histogram.value_at_quantile(quantile) as f64)));
        }
        if count > 0.0 {
            points.push((1.0 - 1.0 / count.max(2.0), Some(histogram.max() as f64)));
        }
        return points;
    }
    let [only] = latencies else { return Vec::new() };
    let summary = &only.summary;
    [
        (0.0, Some(summary.latency_ns_min)),
        (0.5, Some(summary.latency_ns_p50)),
        (0.9, summary.latency_ns_p90),
        (0.95, summary.latency_ns_p95),
        (0.99, summary.latency_ns_p99),
        (0.999, summary.latency_ns_p999),
    ]
    .into_iter()
    .filter_map(|(quantile, latency)| Some((quantile, Some(latency? as f64))))
    .collect()
}

/// A logarithmic axis of latencies.
pub(super) fn latency_axis(values: impl IntoIterator<Item = f64>) -> Axis {
    Axis {
        title: "latency, logarithmic".to_owned(),
        scale: Scale::over(Kind::Log, values),
        format: Format::Duration,
    }
}

/// One plot for each engine: median, 99th percentile and largest latency of each interval, all on the same axes.
pub(super) fn over_time(record: &RunRecord) -> Vec<Plot> {
    let engines = record.engines();
    let drawn: Vec<Lines<'_>> = engines
        .iter()
        .filter_map(|engine| lines(record, engine))
        .collect();
    let y = latency_axis(drawn.iter().flat_map(Lines::values));
    let end = drawn
        .iter()
        .flat_map(|of| &of.intervals)
        .map(Interval::middle_s)
        .fold(0.0, f64::max);
    let several = drawn.len() > 1;
    drawn
        .into_iter()
        .map(|of| over_time_plot(of, several, y.clone(), end))
        .collect()
}

/// What is drawn of one engine.
struct Lines<'a> {
    engine: &'a str,
    measurement: &'a Measurement,
    intervals: Vec<Interval>,
    series: Vec<Series>,
}

impl Lines<'_> {
    fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.series.iter().flat_map(|s| &s.points).filter_map(|p| p.1)
    }
}

fn lines<'a>(record: &'a RunRecord, engine: &'a str) -> Option<Lines<'a>> {
    let measurement = typical(record, engine)?;
    let intervals = condensed(&measurement.intervals);
    let line = |name: &str, weight: Weight, pick: fn(&Interval) -> Option<u64>| Series {
        name: name.to_owned(),
        role: role_of(record, engine),
        weight,
        points: intervals
            .iter()
            .map(|i| (i.middle_s(), pick(i).map(|ns| ns as f64)))
            .collect(),
    };
    let mut series = vec![
        line("max", Weight::Third, |i| i.latency_ns_max),
        line("p99", Weight::Second, |i| i.latency_ns_p99),
        line("p50", Weight::Main, |i| i.latency_ns_p50),
    ];
    series.retain(|one| one.points.iter().any(|point| point.1.is_some()));
    (!series.is_empty()).then_some(Lines {
        engine,
        measurement,
        intervals,
        series,
    })
}

fn over_time_plot(of: Lines<'_>, several: bool, y: Axis, end: f64) -> Plot {
    let bands = bands(&[of.measurement]);
    let worst = of.values().fold(0.0, f64::max);
    let engine = of.engine;
    let shared = if several {
        " All engines have the same axes."
    } else {
        ""
    };
    Plot {
        id: format!("latency-over-time-{}", slug(engine)),
        title: format!("Latency over time: {engine}"),
        caption: format!(
            "Latency of the transactions that ended in each interval, repetition {} (nearest to the median). The p99 is told of \
             intervals with 1,000 transactions or more.{shared}",
            of.measurement.repetition
        ),
        alt: format!(
            "Median, 99th percentile where it is told, and max of the latency of {engine} over time; the max of all is {}.",
            units::duration(worst as u64)
        ),
        subject: String::new(),
        chart: Chart::Lines(LineChart {
            x: time_axis([end].into_iter(), &bands),
            y,
            bands,
            series: of.series,
        }),
    }
}
