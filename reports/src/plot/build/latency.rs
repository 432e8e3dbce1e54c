//! Latency: percentile curves for each transaction type, and percentiles over time for each engine.

use super::super::frame::Axis;
use super::super::lines::{LineChart, Series, Weight};
use super::super::output::{Chart, Plot};
use super::super::scale::{Format, Kind, Scale};
use super::super::theme::Role;
use super::throughput::{bands, time_axis};
use super::{condensed, role_of, slug, typical};
use crate::record::{Interval, Latency, RunRecord};
use crate::statistics::{merge, merged_summary};

/// Transaction types drawn at most; the table has them all.
const TYPES_MAX: usize = 12;
/// Points of a curve for each factor of ten of the tail.
const POINTS_PER_DECADE: u32 = 40;

/// One plot for each transaction type, one curve for each engine.
pub(super) fn percentiles(record: &RunRecord) -> Vec<Plot> {
    let mut names: Vec<&str> = Vec::new();
    for one in record
        .measurements
        .iter()
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
        .filter_map(|(index, name)| percentile_plot(record, index, name))
        .collect()
}

fn percentile_plot(record: &RunRecord, index: usize, name: &str) -> Option<Plot> {
    let mut series = Vec::new();
    let mut words = Vec::new();
    for engine in record.engines() {
        let latencies: Vec<&Latency> = record
            .of_engine(engine)
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
                "{engine}: median {}{p99}, largest {}",
                units::duration(summary.latency_ns_p50),
                units::duration(summary.latency_ns_max)
            ));
        }
        series.push(Series {
            name: engine.to_owned(),
            role: role_of(record, engine),
            weight: Weight::Main,
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
        (0.99, summary.latency_ns_p99),
        (0.999, summary.latency_ns_p999),
    ]
    .into_iter()
    .filter_map(|(quantile, latency)| Some((quantile, Some(latency? as f64))))
    .collect()
}

fn latency_axis(values: impl IntoIterator<Item = f64>) -> Axis {
    Axis {
        title: "latency, logarithmic".to_owned(),
        scale: Scale::over(Kind::Log, values),
        format: Format::Duration,
    }
}

/// One plot for each engine: median, 99th percentile and largest latency of each interval.
pub(super) fn over_time(record: &RunRecord) -> Vec<Plot> {
    record
        .engines()
        .iter()
        .filter_map(|engine| over_time_plot(record, engine))
        .collect()
}

fn over_time_plot(record: &RunRecord, engine: &str) -> Option<Plot> {
    let measurement = typical(record, engine)?;
    let intervals = condensed(&measurement.intervals);
    let line = |name: &str, index: usize, pick: fn(&Interval) -> Option<u64>| Series {
        name: name.to_owned(),
        role: Role::Series(index),
        weight: Weight::Main,
        points: intervals
            .iter()
            .map(|i| (i.middle_s(), pick(i).map(|ns| ns as f64)))
            .collect(),
    };
    let mut series = vec![
        line("largest", 1, |i| i.latency_ns_max),
        line("99th percentile", 3, |i| i.latency_ns_p99),
        line("median", 0, |i| i.latency_ns_p50),
    ];
    series.retain(|one| one.points.iter().any(|point| point.1.is_some()));
    let values = || series.iter().flat_map(|s| &s.points).filter_map(|p| p.1);
    values().next()?;
    let bands = bands(&[measurement]);
    let x = time_axis(intervals.iter().map(Interval::middle_s), &bands);
    let y = latency_axis(values());
    let worst = values().fold(0.0, f64::max);
    Some(Plot {
        id: format!("latency-over-time-{}", slug(engine)),
        title: format!("Latency over time: {engine}"),
        caption: format!(
            "Latency of the transactions that ended in each interval, repetition {} (nearest to the median). The 99th \
             percentile is told of intervals with 1,000 transactions or more.",
            measurement.repetition
        ),
        alt: format!(
            "Median, 99th percentile where it is told, and largest latency of {engine} over time; the largest of all is {}.",
            units::duration(worst as u64)
        ),
        chart: Chart::Lines(LineChart { x, y, bands, series }),
    })
}
