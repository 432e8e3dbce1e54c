//! What storage did: group sizes, bytes written over time, recovery rounds.

use super::super::columns::{ColumnChart, ColumnSeries};
use super::super::frame::Axis;
use super::super::lines::{LineChart, Series, Weight};
use super::super::output::{Chart, Plot};
use super::super::scale::{Format, Kind, Scale};
use super::super::theme::Role;
use super::throughput::{bands, time_axis};
use super::{condensed, role_of, slug, typical};
use crate::record::{Interval, Recovery, RunRecord};
use std::collections::BTreeMap;

/// Commits made durable by each flush, for every engine that tells, over its repetitions.
pub(super) fn group_sizes(record: &RunRecord) -> Option<Plot> {
    let mut totals: Vec<(&str, BTreeMap<u64, u64>)> = Vec::new();
    for engine in record.engines() {
        let mut groups: BTreeMap<u64, u64> = BTreeMap::new();
        for group in record.of_engine(engine).flat_map(|m| &m.engine_stats.group_sizes) {
            let flushes = groups.entry(group.commits).or_default();
            *flushes = flushes.saturating_add(group.flushes);
        }
        if groups.values().any(|flushes| *flushes > 0) {
            totals.push((engine, groups));
        }
    }
    if totals.is_empty() {
        return None;
    }
    let mut sizes: Vec<u64> = totals
        .iter()
        .flat_map(|(_, groups)| {
            groups
                .iter()
                .filter(|(_, flushes)| **flushes > 0)
                .map(|(size, _)| *size)
        })
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut words = Vec::new();
    let mut series = Vec::new();
    for (engine, groups) in &totals {
        let all: u64 = groups
            .values()
            .fold(0, |sum, flushes| sum.saturating_add(*flushes));
        let share = |size: &u64| {
            groups
                .get(size)
                .filter(|f| **f > 0)
                .map(|flushes| *flushes as f64 / all as f64)
        };
        if let Some((size, flushes)) = groups.iter().max_by_key(|(_, flushes)| **flushes) {
            words.push(format!(
                "{engine}: most often {size}, in {:.0} % of flushes",
                *flushes as f64 / all as f64 * 100.0
            ));
        }
        series.push(ColumnSeries {
            name: (*engine).to_owned(),
            role: role_of(record, engine),
            values: sizes.iter().map(share).collect(),
        });
    }
    let y = Axis {
        title: "share of flushes".to_owned(),
        scale: Scale::with_headroom(series.iter().flat_map(|s| s.values.iter().copied().flatten())),
        format: Format::Percent,
    };
    Some(Plot {
        id: "group-commit-sizes".to_owned(),
        title: "Group commit sizes".to_owned(),
        caption:
            "How many commits one flush of the log made durable. Where sizes are counted in ranges, a column \
                  carries the largest size of its range."
                .to_owned(),
        alt: format!("Columns of group sizes. {}.", words.join("; ")),
        chart: Chart::Columns(ColumnChart {
            x_title: "commits made durable by one flush".to_owned(),
            categories: sizes.iter().map(|size| units::count(*size)).collect(),
            y,
            series,
        }),
    })
}

/// Bytes written to the log and in all over time, one plot for each engine that tells.
pub(super) fn writing(record: &RunRecord) -> Vec<Plot> {
    record
        .engines()
        .iter()
        .filter_map(|engine| writing_plot(record, engine))
        .collect()
}

fn writing_plot(record: &RunRecord, engine: &str) -> Option<Plot> {
    let measurement = typical(record, engine)?;
    let intervals = condensed(&measurement.intervals);
    let line = |name: &str, role: Role, weight: Weight, pick: fn(&Interval) -> Option<u64>| Series {
        name: name.to_owned(),
        role,
        weight,
        points: intervals
            .iter()
            .map(|i| {
                (
                    i.middle_s(),
                    pick(i).and_then(|bytes| units::per_second(bytes, i.length_ns)),
                )
            })
            .collect(),
    };
    let mut series = vec![
        line("all files", Role::Series(1), Weight::Main, |i| i.bytes_written),
        line("WAL", Role::Series(0), Weight::Area, |i| i.wal_bytes),
    ];
    series.retain(|s| s.points.iter().any(|p| p.1.is_some()));
    if series.is_empty() {
        return None;
    }
    let values = || series.iter().flat_map(|s| &s.points).filter_map(|p| p.1);
    let bands = bands(&[measurement]);
    let x = time_axis(intervals.iter().map(Interval::middle_s), &bands);
    let y = Axis {
        title: "bytes written each second".to_owned(),
        scale: Scale::with_headroom(values()),
        format: Format::Bytes,
    };
    let stats = &measurement.engine_stats;
    Some(Plot {
        id: format!("writing-over-time-{}", slug(engine)),
        title: format!("WAL and checkpoint activity: {engine}"),
        caption: format!(
            "Bytes written in each interval of repetition {}. Flushes: {}; checkpoints completed: {}.",
            measurement.repetition,
            units::or_missing(stats.flushes, units::count),
            units::or_missing(stats.checkpoints_completed, units::count),
        ),
        alt: format!(
            "Bytes written each second by {engine} over time, at most {}; WAL bytes in all: {}.",
            units::bytes(values().fold(0.0, f64::max) as u64),
            units::or_missing(stats.wal_bytes, units::bytes),
        ),
        chart: Chart::Lines(LineChart { x, y, bands, series }),
    })
}

/// Time to reopen after each kill or power loss.
pub(super) fn recovery(record: &RunRecord) -> Option<Plot> {
    let shown: Vec<&Recovery> = record
        .recovery
        .iter()
        .filter(|recovery| !recovery.open_duration_ns.is_empty())
        .collect();
    let longest = shown
        .iter()
        .map(|recovery| recovery.open_duration_ns.len())
        .max()?;
    let size = longest.div_ceil(super::POINTS_MAX);
    let points = |recovery: &Recovery| -> Vec<(f64, Option<f64>)> {
        let chunks = recovery.open_duration_ns.chunks(size).enumerate();
        chunks
            .map(|(index, chunk)| ((index * size + 1) as f64, chunk.iter().max().map(|ns| *ns as f64)))
            .collect()
    };
    let slowest = shown.iter().flat_map(|recovery| &recovery.open_duration_ns).max();
    let series: Vec<Series> = shown
        .iter()
        .enumerate()
        .map(|(at, recovery)| Series {
            name: recovery.engine.clone(),
            role: Role::Series(at),
            weight: Weight::Main,
            points: points(recovery),
        })
        .collect();
    let x = Axis {
        title: "round".to_owned(),
        scale: Scale::exact(0.0, longest as f64),
        format: Format::Short,
    };
    let y = Axis {
        title: "from open to ready, logarithmic".to_owned(),
        scale: Scale::over(
            Kind::Log,
            series
                .iter()
                .flat_map(|series| &series.points)
                .filter_map(|p| p.1),
        ),
        format: Format::Duration,
    };
    Some(Plot {
        id: "recovery-open-times".to_owned(),
        title: "Time to reopen after each kill or power loss".to_owned(),
        caption: "From opening the database to its first answer, replay of the log included.".to_owned(),
        alt: format!(
            "Time to reopen over {longest} rounds, at most {}.",
            units::duration(slowest.copied().unwrap_or(0))
        ),
        chart: Chart::Lines(LineChart {
            x,
            y,
            bands: Vec::new(),
            series,
        }),
    })
}
