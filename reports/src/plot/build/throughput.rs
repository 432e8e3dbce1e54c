//! Throughput over time.

use super::super::frame::Axis;
use super::super::lines::{Band, LineChart, Series, Weight};
use super::super::output::{Chart, Plot};
use super::super::scale::{Format, Scale};
use super::super::theme::Role;
use super::{condensed, role_of, slug, typical};
use crate::record::{Interval, Measurement, RunRecord};

/// One plot for each engine: its typical repetition strongly, the others faintly. Engines differ by factors, so
/// each has its own axis; how they compare is shown by bars.
pub(super) fn over_time(record: &RunRecord) -> Vec<Plot> {
    record
        .engines()
        .iter()
        .filter_map(|engine| over_time_plot(record, engine))
        .collect()
}

fn over_time_plot(record: &RunRecord, engine: &str) -> Option<Plot> {
    let main = typical(record, engine).filter(|m| !m.intervals.is_empty())?;
    let mut series = Vec::new();
    let drawn = |m: &&Measurement| m.status.is_ok() && !m.intervals.is_empty();
    for measurement in record.of_engine(engine).filter(drawn) {
        let is_main = std::ptr::eq(measurement, main);
        series.push(Series {
            name: format!("repetition {}", measurement.repetition),
            role: role_of(record, engine),
            weight: if is_main { Weight::Main } else { Weight::Faint },
            points: points(&measurement.intervals),
        });
    }
    let bands = bands(&[main]);
    let x = time_axis(series.iter().flat_map(|s| &s.points).map(|p| p.0), &bands);
    let y = Axis {
        title: "committed transactions/s".to_owned(),
        scale: Scale::with_headroom(series.iter().flat_map(|s| &s.points).filter_map(|p| p.1)),
        format: Format::Short,
    };
    let mut caption = "Transactions committed in each interval; the warm-up does not count.".to_owned();
    if series.len() > 1 {
        caption.push_str(
            " The strong line is the repetition nearest to the median, faint lines are the others.",
        );
    }
    if bands.iter().any(|band| band.role == Role::Checkpoint) {
        caption.push_str(" Checkpoints are those of the strong line.");
    }
    Some(Plot {
        id: format!("throughput-over-time-{}", slug(engine)),
        title: format!("Throughput over time: {engine}"),
        caption,
        alt: format!(
            "Throughput of {engine} over time; {} transactions/s over the timed run of repetition {}.",
            units::or_missing(main.throughput(), units::number),
            main.repetition
        ),
        chart: Chart::Lines(LineChart { x, y, bands, series }),
    })
}

fn points(intervals: &[Interval]) -> Vec<(f64, Option<f64>)> {
    condensed(intervals)
        .iter()
        .map(|i| (i.middle_s(), i.throughput()))
        .collect()
}

/// The warm-up and the checkpoints of measurements as shaded spans, in seconds.
pub(super) fn bands(measurements: &[&Measurement]) -> Vec<Band> {
    let mut bands = Vec::new();
    let warmup = measurements
        .iter()
        .filter_map(|m| m.warmup_ns)
        .max()
        .filter(|warmup| *warmup > 0);
    if let Some(warmup) = warmup {
        bands.push(Band {
            name: "warm-up".to_owned(),
            role: Role::Warmup,
            from: 0.0,
            to: warmup as f64 / 1e9,
        });
    }
    for measurement in measurements {
        let end = measurement
            .intervals
            .last()
            .map_or(0, |i| i.start_ns.saturating_add(i.length_ns));
        let spans = &measurement.engine_stats.checkpoints;
        let recorded = spans
            .iter()
            .map(|span| (span.start_ns, span.end_ns.unwrap_or(end)));
        let noticed = measurement
            .intervals
            .iter()
            .filter(|i| spans.is_empty() && i.checkpoint_active == Some(true))
            .map(|i| (i.start_ns, i.start_ns.saturating_add(i.length_ns)));
        for (from, to) in recorded.chain(noticed).take(super::POINTS_MAX) {
            bands.push(Band {
                name: "checkpoint".to_owned(),
                role: Role::Checkpoint,
                from: from as f64 / 1e9,
                to: to.max(from) as f64 / 1e9,
            });
        }
    }
    bands
}

/// The time axis that holds points and spans.
pub(super) fn time_axis(times: impl Iterator<Item = f64>, bands: &[Band]) -> Axis {
    let end = times.chain(bands.iter().map(|band| band.to)).fold(0.0, f64::max);
    Axis {
        title: "seconds since the start of the warm-up".to_owned(),
        scale: Scale::exact(0.0, end),
        format: Format::Seconds,
    }
}
