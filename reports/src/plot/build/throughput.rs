//! Throughput over time.

use super::super::frame::Axis;
use super::super::lines::{Band, LineChart, Series, Weight};
use super::super::output::{Chart, Plot};
use super::super::scale::{Format, Kind, Scale};
use super::super::theme::Role;
use super::{condensed, role_of, slug, typical};
use crate::record::{Interval, Measurement, RunRecord};

/// Rates further apart than this are drawn on a logarithmic axis.
const FACTOR_MAX: f64 = 8.0;

/// An engine of a run, and how a page calls it.
pub(super) struct Subject<'a> {
    pub(super) record: &'a RunRecord,
    pub(super) engine: &'a str,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) role: Role,
}

/// One plot for each engine of a run.
pub(super) fn over_time(record: &RunRecord) -> Vec<Plot> {
    let engines = record.engines();
    let subjects: Vec<Subject<'_>> = engines
        .iter()
        .map(|engine| Subject {
            record,
            engine,
            name: (*engine).to_owned(),
            id: slug(engine),
            role: role_of(record, engine),
        })
        .collect();
    of_subjects(&subjects)
}

/// The same axes for all of these, since they are compared.
struct Shared {
    y: Axis,
    end: f64,
}

/// One plot for each: its typical repetition strongly, the others faintly, all on the same axes.
pub(super) fn of_subjects(subjects: &[Subject<'_>]) -> Vec<Plot> {
    let measured = || {
        let all = subjects.iter().flat_map(|of| of.record.of_engine(of.engine));
        all.filter(|one| is_drawn(one))
    };
    let rates = || {
        measured()
            .flat_map(|one| points(&one.intervals))
            .filter_map(|point| point.1)
    };
    let medians = subjects
        .iter()
        .filter_map(|of| typical(of.record, of.engine)?.throughput());
    let shared = Shared {
        y: rate_axis(medians, rates()),
        end: measured()
            .flat_map(|one| &one.intervals)
            .map(Interval::middle_s)
            .fold(0.0, f64::max),
    };
    subjects
        .iter()
        .filter_map(|of| plot(of, subjects.len(), &shared))
        .collect()
}

/// The axis that holds `rates`; logarithmic where `apart`, what is compared, lies far apart, so that each can be seen.
pub(super) fn rate_axis(apart: impl Iterator<Item = f64>, rates: impl Iterator<Item = f64>) -> Axis {
    let (low, high) = apart.fold((f64::INFINITY, 0.0f64), |(low, high), rate| {
        (low.min(rate), high.max(rate))
    });
    let is_log = low > 0.0 && high > FACTOR_MAX * low;
    let (how, scale) = if is_log {
        (
            ", logarithmic",
            Scale::over(Kind::Log, rates.filter(|rate| *rate > 0.0)),
        )
    } else {
        ("", Scale::with_headroom(rates))
    };
    Axis {
        title: format!("committed transactions/s{how}"),
        scale,
        format: Format::Short,
    }
}

fn is_drawn(measurement: &Measurement) -> bool {
    measurement.status.is_ok() && !measurement.intervals.is_empty()
}

fn plot(of: &Subject<'_>, subjects: usize, shared: &Shared) -> Option<Plot> {
    let main = typical(of.record, of.engine).filter(|m| !m.intervals.is_empty())?;
    let mut series = Vec::new();
    for measurement in of.record.of_engine(of.engine).filter(|one| is_drawn(one)) {
        let is_main = std::ptr::eq(measurement, main);
        series.push(Series {
            name: format!("repetition {}", measurement.repetition),
            role: of.role,
            weight: if is_main { Weight::Main } else { Weight::Faint },
            points: points(&measurement.intervals),
        });
    }
    let bands = bands(&[main]);
    let mut caption = "Transactions committed in each interval; the warm-up does not count.".to_owned();
    if subjects > 1 {
        caption.push_str(" All have the same axes.");
    }
    if series.len() > 1 {
        caption.push_str(
            " The strong line is the repetition nearest to the median, faint lines are the others.",
        );
    }
    if bands.iter().any(|band| band.role == Role::Checkpoint) {
        caption.push_str(" Checkpoints are those of the strong line.");
    }
    Some(Plot {
        id: format!("throughput-over-time-{}", of.id),
        title: format!("Throughput over time: {}", of.name),
        caption,
        alt: format!(
            "Throughput of {} over time; {} transactions/s over the timed run of repetition {}.",
            of.name,
            units::or_missing(main.throughput(), units::number),
            main.repetition
        ),
        subject: String::new(),
        chart: Chart::Lines(LineChart {
            x: time_axis([shared.end].into_iter(), &bands),
            y: shared.y.clone(),
            bands,
            series,
        }),
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
