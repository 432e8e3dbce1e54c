//! What storage did: group sizes, bytes written over time, recovery rounds.

use super::super::columns::{ColumnChart, ColumnSeries};
use super::super::frame::Axis;
use super::super::lines::{LineChart, Series, Weight};
use super::super::output::{Chart, Plot};
use super::super::scale::{Format, Kind, Scale};
use super::throughput::{bands, time_axis};
use super::{condensed, role_of, slug, typical};
use crate::record::{Interval, Measurement, Recovery, RunRecord};
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
        subject: String::new(),
        chart: Chart::Columns(ColumnChart {
            x_title: "commits made durable by one flush".to_owned(),
            categories: sizes.iter().map(|size| units::count(*size)).collect(),
            y,
            series,
        }),
    })
}

/// Bytes written to the log and in all over time, one plot for each engine that tells, all on the same axes.
pub(super) fn writing(record: &RunRecord) -> Vec<Plot> {
    let engines = record.engines();
    let drawn: Vec<Written<'_>> = engines
        .iter()
        .filter_map(|engine| written(record, engine))
        .collect();
    let y = Axis {
        title: "bytes written each second".to_owned(),
        scale: Scale::with_headroom(drawn.iter().flat_map(Written::values)),
        format: Format::Bytes,
    };
    let several = drawn.len() > 1;
    drawn
        .into_iter()
        .map(|of| writing_plot(of, several, y.clone()))
        .collect()
}

/// What is drawn of one engine.
struct Written<'a> {
    engine: &'a str,
    measurement: &'a Measurement,
    series: Vec<Series>,
    end: f64,
}

impl Written<'_> {
    fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.series.iter().flat_map(|s| &s.points).filter_map(|p| p.1)
    }
}

fn written<'a>(record: &'a RunRecord, engine: &'a str) -> Option<Written<'a>> {
    let measurement = typical(record, engine)?;
    let intervals = condensed(&measurement.intervals);
    let line = |name: &str, weight: Weight, pick: fn(&Interval) -> Option<u64>| Series {
        name: name.to_owned(),
        role: role_of(record, engine),
        weight,
        points: intervals
            .iter()
            .map(|i| {
                let rate = |bytes| units::per_second(bytes, i.length_ns);
                (i.middle_s(), pick(i).and_then(rate))
            })
            .collect(),
    };
    let mut series = vec![
        line("all files", Weight::Second, |i| i.bytes_written),
        line("WAL", Weight::Area, |i| i.wal_bytes),
    ];
    series.retain(|s| s.points.iter().any(|p| p.1.is_some()));
    (!series.is_empty()).then(|| Written {
        engine,
        measurement,
        series,
        end: intervals.iter().map(Interval::middle_s).fold(0.0, f64::max),
    })
}

fn writing_plot(of: Written<'_>, several: bool, y: Axis) -> Plot {
    let (engine, stats) = (of.engine, &of.measurement.engine_stats);
    let bands = bands(&[of.measurement]);
    let shared = if several {
        " All engines have the same vertical axis."
    } else {
        ""
    };
    Plot {
        id: format!("writing-over-time-{}", slug(engine)),
        title: format!("WAL and checkpoint activity: {engine}"),
        caption: format!(
            "Bytes written in each interval of repetition {}; all files include zeros written to new log files ahead of use. \
             Flushes: {}; checkpoints completed: {}.{shared}",
            of.measurement.repetition,
            units::or_missing(stats.flushes, units::count),
            units::or_missing(stats.checkpoints_completed, units::count),
        ),
        alt: format!(
            "Bytes written each second by {engine} over time, at most {}; WAL bytes in all: {}.",
            units::bytes(of.values().fold(0.0, f64::max) as u64),
            units::or_missing(stats.wal_bytes, units::bytes),
        ),
        subject: String::new(),
        chart: Chart::Lines(LineChart {
            x: time_axis([of.end].into_iter(), &bands),
            y,
            bands,
            series: of.series,
        }),
    }
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
        .map(|recovery| Series {
            name: recovery.engine.clone(),
            role: role_of(record, &recovery.engine),
            weight: Weight::Main,
            points: points(recovery),
        })
        .collect();
    let x = Axis {
        title: "opening".to_owned(),
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
        title: "Time to open after each kill or power loss".to_owned(),
        caption: "From opening the database to its first answer, replay of the log included.".to_owned(),
        alt: format!(
            "Time to open, {longest} times, at most {}.",
            units::duration(slowest.copied().unwrap_or(0))
        ),
        subject: String::new(),
        chart: Chart::Lines(LineChart {
            x,
            y,
            bands: Vec::new(),
            series,
        }),
    })
}

/// Time to open against the bytes of log that were replayed, one point for each opening.
pub(super) fn open_times(record: &RunRecord) -> Option<Plot> {
    let openings: Vec<(&Recovery, Vec<(u64, u64)>)> = record
        .recovery
        .iter()
        .map(|recovery| (recovery, recovery.openings()))
        .filter(|(_, openings)| openings.len() > 1)
        .collect();
    let series: Vec<Series> = openings
        .iter()
        .map(|(recovery, openings)| {
            let size = openings.len().div_ceil(super::POINTS_MAX);
            // The slowest of neighbours stays.
            let slowest = |chunk: &[(u64, u64)]| chunk.iter().copied().max_by_key(|(_, ns)| *ns);
            let kept = openings.chunks(size).filter_map(slowest);
            Series {
                name: recovery.engine.clone(),
                role: role_of(record, &recovery.engine),
                weight: Weight::Dots,
                points: kept.map(|(bytes, ns)| (bytes as f64, Some(ns as f64))).collect(),
            }
        })
        .collect();
    let points = || series.iter().flat_map(|series| &series.points);
    let most = points().map(|point| point.0).fold(0.0, f64::max);
    let longest = points().filter_map(|point| point.1).fold(0.0, f64::max);
    points().next()?;
    Some(Plot {
        id: "recovery-open-times-by-log".to_owned(),
        title: "Time to open against the log replayed".to_owned(),
        caption: "One point for each opening after a kill or power loss: from the call to the open database, logarithmic, against \
                  the bytes of log that it replayed."
            .to_owned(),
        alt: format!(
            "Time to open against bytes of log replayed: at most {} with at most {}.",
            units::duration(longest as u64),
            units::bytes(most as u64)
        ),
        subject: String::new(),
        chart: Chart::Lines(LineChart {
            x: Axis {
                title: "log replayed".to_owned(),
                scale: Scale::with_headroom([most]),
                format: Format::Bytes,
            },
            y: Axis {
                title: "from open to ready, logarithmic".to_owned(),
                scale: Scale::over(Kind::Log, points().filter_map(|point| point.1)),
                format: Format::Duration,
            },
            bands: Vec::new(),
            series,
        }),
    })
}
