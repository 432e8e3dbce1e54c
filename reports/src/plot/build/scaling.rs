//! Curves over an option that has several values in a run: how throughput and latency change with it.
//!
//! Each curve is one engine with one value of every other option that is varied. A point is the median of its repetitions;
//! latencies of repetitions are put together.

use std::collections::BTreeSet;

use super::super::frame::Axis;
use super::super::lines::{LineChart, Series, Weight};
use super::super::output::{Chart, Plot};
use super::super::scale::{Format, Kind, Scale};
use super::super::theme::Role;
use super::latency::latency_axis;
use super::throughput::rate_axis;
use super::{role_of, slug};
use crate::record::{Measurement, RunRecord, Varied};
use crate::statistics::{median, merged_summary};

/// Values that lie further apart, as a factor, are drawn on a logarithmic axis.
const LINEAR_SPAN_MAX: f64 = 16.0;

/// What was found for one value of the option.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    value: f64,
    throughput: Option<f64>,
    latency_ns_p99: Option<f64>,
}

/// One engine, with one value of every other option.
#[derive(Debug)]
struct Curve {
    name: String,
    role: Role,
    /// By rising value.
    points: Vec<Point>,
}

/// The measurements of a curve, by value.
struct Group<'a> {
    name: String,
    record: &'a RunRecord,
    engine: &'a str,
    values: Vec<(f64, Vec<&'a Measurement>)>,
}

/// More curves than that cannot be told apart.
const COMPARED_MAX: usize = 12;

/// For each option with several values that are numbers: throughput and p99 against it, and against each other.
pub(super) fn plots(record: &RunRecord) -> Vec<Plot> {
    options(record)
        .iter()
        .flat_map(|option| of_option(option, &curves(&[record], &option.name)))
        .collect()
}

/// The same for several runs: the curves of all of them in one plot, for each option that has several values in two or more.
pub(super) fn compared(records: &[RunRecord]) -> Vec<Plot> {
    let mut found: Vec<(Varying, Vec<&RunRecord>)> = Vec::new();
    for record in records {
        for option in options(record) {
            match found.iter_mut().find(|(known, _)| known.name == option.name) {
                Some((_, with)) => with.push(record),
                None => found.push((option, vec![record])),
            }
        }
    }
    found
        .iter()
        .filter(|(_, with)| with.len() > 1)
        .map(|(option, with)| (option, curves(with, &option.name)))
        .filter(|(_, curves)| curves.len() <= COMPARED_MAX)
        .flat_map(|(option, curves)| of_option(option, &curves))
        .collect()
}

fn of_option(option: &Varying, curves: &[Curve]) -> Vec<Plot> {
    let plots = [
        throughput(option, curves),
        latency(option, curves),
        tradeoff(option, curves),
    ];
    plots.into_iter().flatten().collect()
}

/// An option with several values that are numbers.
#[derive(Debug, PartialEq)]
struct Varying {
    name: String,
    /// How its values are written.
    format: Format,
}

fn options(record: &RunRecord) -> Vec<Varying> {
    let mut options: Vec<Varying> = Vec::new();
    for one in record.measurements.iter().flat_map(|of| &of.varied) {
        if one.number.is_none() || options.iter().any(|known| known.name == one.name) {
            continue;
        }
        let is_plain = units::parse_number(&one.value).is_ok();
        let format = if is_plain {
            Format::Short
        } else if units::parse_size(&one.value).is_ok() {
            Format::Bytes
        } else {
            Format::Duration
        };
        options.push(Varying {
            name: one.name.clone(),
            format,
        });
    }
    options
}

/// The curves of some runs, which are named where they are several.
fn curves(records: &[&RunRecord], option: &str) -> Vec<Curve> {
    let mut found: Vec<Group<'_>> = Vec::new();
    let all = records
        .iter()
        .flat_map(|record| record.measurements.iter().map(move |one| (*record, one)));
    for (record, measurement) in all.filter(|(_, one)| one.status.is_ok()) {
        let own = measurement.varied.iter().find(|one| one.name == option);
        let Some(value) = own.and_then(|one| one.number) else {
            continue;
        };
        let others = measurement.varied.iter().filter(|one| one.name != option);
        // A record of cases has what is varied in the names of its engines.
        let engine = Varied::engine(&measurement.engine);
        let mut name = Varied::words(engine, others);
        if records.len() > 1 {
            name.push_str(&format!(" · {}", record.run_id));
        }
        let index = found
            .iter()
            .position(|group| group.name == name)
            .unwrap_or_else(|| {
                found.push(Group {
                    name,
                    record,
                    engine,
                    values: Vec::new(),
                });
                found.len() - 1
            });
        let values = &mut found[index].values;
        match values.iter_mut().find(|(known, _)| *known == value) {
            Some((_, all)) => all.push(measurement),
            None => values.push((value, vec![measurement])),
        }
    }
    let is_one_each = found.len()
        == found
            .iter()
            .map(|group| group.engine)
            .collect::<BTreeSet<_>>()
            .len();
    found
        .iter()
        .enumerate()
        .map(|(index, group)| {
            let points = group.values.iter().map(|(value, all)| point(*value, all));
            let mut points: Vec<Point> = points.collect();
            points.sort_by(|a, b| a.value.total_cmp(&b.value));
            Curve {
                name: group.name.clone(),
                // An engine has its own colour, unless there are several curves of one, which are told apart.
                role: if is_one_each {
                    role_of(group.record, group.engine)
                } else {
                    Role::Series(index)
                },
                points,
            }
        })
        .collect()
}

fn point(value: f64, measurements: &[&Measurement]) -> Point {
    let rates: Vec<f64> = measurements.iter().filter_map(|one| one.throughput()).collect();
    let latencies = measurements
        .iter()
        .flat_map(|one| &one.transaction_types)
        .filter_map(|one| one.latency.as_ref());
    Point {
        value,
        throughput: median(&rates),
        latency_ns_p99: merged_summary(latencies).and_then(|summary| Some(summary.latency_ns_p99? as f64)),
    }
}

/// The axis of the option's values.
fn axis(option: &Varying, curves: &[Curve]) -> Axis {
    let values = || {
        curves
            .iter()
            .flat_map(|curve| &curve.points)
            .map(|point| point.value)
    };
    let (low, high) = (
        values().fold(f64::INFINITY, f64::min),
        values().fold(f64::NEG_INFINITY, f64::max),
    );
    let is_power = |value: f64| value >= 1.0 && value.log2().fract() == 0.0;
    let scale = if high > low && values().all(is_power) {
        Scale::over(Kind::Doubling, values())
    } else if low > 0.0 && high / low > LINEAR_SPAN_MAX {
        Scale::exact_log(low, high)
    } else {
        Scale::exact(low.min(high), high)
    };
    Axis {
        title: option.name.clone(),
        scale,
        format: option.format,
    }
}

fn rates(curves: &[Curve]) -> impl Iterator<Item = f64> {
    curves
        .iter()
        .flat_map(|curve| &curve.points)
        .filter_map(|point| point.throughput)
}

fn latencies(curves: &[Curve]) -> impl Iterator<Item = f64> {
    curves
        .iter()
        .flat_map(|curve| &curve.points)
        .filter_map(|point| point.latency_ns_p99)
}

/// The curves as lines; a point is left out where the function has no place for it.
fn series(curves: &[Curve], of: impl Fn(&Point) -> Option<(f64, Option<f64>)>) -> Vec<Series> {
    curves
        .iter()
        .map(|curve| Series {
            name: curve.name.clone(),
            role: curve.role,
            weight: Weight::Marked,
            points: curve.points.iter().filter_map(&of).collect(),
        })
        .collect()
}

fn throughput(option: &Varying, curves: &[Curve]) -> Option<Plot> {
    rates(curves).next()?;
    Some(Plot {
        id: format!("throughput-by-{}", slug(&option.name)),
        title: format!("Throughput by {}", option.name),
        subject: String::new(),
        caption: "Each point is the median of its repetitions. All curves share the axes.".to_owned(),
        alt: format!(
            "Curves of throughput over {}. {}.",
            option.name,
            words(curves, |point| {
                units::or_missing(point.throughput, units::number)
            })
        ),
        chart: Chart::Lines(LineChart {
            x: axis(option, curves),
            y: rate_axis(rates(curves), rates(curves)),
            bands: Vec::new(),
            series: series(curves, |point| Some((point.value, point.throughput))),
        }),
    })
}

fn latency(option: &Varying, curves: &[Curve]) -> Option<Plot> {
    latencies(curves).next()?;
    Some(Plot {
        id: format!("latency-by-{}", slug(&option.name)),
        title: format!("p99 latency by {}", option.name),
        subject: String::new(),
        caption: "The 99th percentile over all transactions of all repetitions; the axis is logarithmic."
            .to_owned(),
        alt: format!(
            "Curves of p99 latency over {}. {}.",
            option.name,
            words(curves, |point| {
                units::or_missing(point.latency_ns_p99, |ns| units::duration(ns as u64))
            })
        ),
        chart: Chart::Lines(LineChart {
            x: axis(option, curves),
            y: latency_axis(latencies(curves)),
            bands: Vec::new(),
            series: series(curves, |point| Some((point.value, point.latency_ns_p99))),
        }),
    })
}

/// Latency against throughput, in the order of the option's values.
fn tradeoff(option: &Varying, curves: &[Curve]) -> Option<Plot> {
    latencies(curves).next()?;
    rates(curves).next()?;
    Some(Plot {
        id: format!("latency-by-throughput-{}", slug(&option.name)),
        title: format!("p99 latency against throughput, by {}", option.name),
        subject: String::new(),
        caption: format!(
            "A point for each value of {}, joined in rising order: what more throughput costs in latency. Better is to \
             the right and down.",
            option.name
        ),
        alt: format!(
            "Curves of p99 latency against throughput, a point for each {}. {}.",
            option.name,
            words(curves, |point| {
                format!(
                    "{} transactions/s at {}",
                    units::or_missing(point.throughput, units::number),
                    units::or_missing(point.latency_ns_p99, |ns| units::duration(ns as u64))
                )
            })
        ),
        chart: Chart::Lines(LineChart {
            x: rate_axis(rates(curves), rates(curves)),
            y: latency_axis(latencies(curves)),
            bands: Vec::new(),
            series: series(curves, |point| Some((point.throughput?, point.latency_ns_p99))),
        }),
    })
}

fn words(curves: &[Curve], of: impl Fn(&Point) -> String) -> String {
    let words = curves.iter().map(|curve| {
        let points: Vec<String> = curve
            .points
            .iter()
            .map(|point| format!("{} at {}", of(point), units::number(point.value)))
            .collect();
        format!("{}: {}", curve.name, points.join(", "))
    });
    words.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Status;

    fn measurement(engine: &str, rate: f64, varied: &[(&str, &str)]) -> Measurement {
        Measurement {
            engine: engine.into(),
            status: Status::Ok,
            transactions_per_second: Some(rate),
            varied: varied
                .iter()
                .map(|(name, value)| Varied::new(*name, *value))
                .collect(),
            ..Measurement::default()
        }
    }

    fn record() -> RunRecord {
        let mut record = RunRecord::new("r", "now");
        for repetition in 1..=3 {
            for (threads, rate) in [("4", 400.0), ("1", 100.0), ("2", 200.0)] {
                let rate = rate + f64::from(repetition);
                for page in ["4KiB", "16KiB"] {
                    record.measurements.push(measurement(
                        "a",
                        rate,
                        &[("threads", threads), ("a.page-size", page)],
                    ));
                }
                record
                    .measurements
                    .push(measurement("b", 2.0 * rate, &[("threads", threads)]));
            }
        }
        record
    }

    #[test]
    fn a_curve_is_an_engine_with_its_other_options_and_rises_by_value() {
        let record = record();
        let found = options(&record);
        let found: Vec<(&str, Format)> = found.iter().map(|of| (of.name.as_str(), of.format)).collect();
        assert_eq!(
            found,
            [("threads", Format::Short), ("a.page-size", Format::Bytes)]
        );
        let curves = curves(&[&record], "threads");
        let names: Vec<&str> = curves.iter().map(|curve| curve.name.as_str()).collect();
        assert_eq!(names, ["a, page-size 4KiB", "a, page-size 16KiB", "b"]);
        let points: Vec<(f64, Option<f64>)> = curves[2]
            .points
            .iter()
            .map(|point| (point.value, point.throughput))
            .collect();
        assert_eq!(
            points,
            [(1.0, Some(204.0)), (2.0, Some(404.0)), (4.0, Some(804.0))]
        );
        assert_ne!(curves[0].role, curves[1].role, "they are told apart");
        assert_ne!(curves[0].role, curves[2].role);
    }

    #[test]
    fn a_setting_of_one_engine_has_no_curve_of_another() {
        let record = record();
        let curves = curves(&[&record], "a.page-size");
        assert_eq!(curves.len(), 3, "one for each number of threads");
        assert!(curves.iter().all(|curve| curve.name.starts_with("a, threads")));
    }

    #[test]
    fn without_latencies_there_is_throughput_alone_and_without_values_nothing() {
        let ids: Vec<String> = plots(&record()).into_iter().map(|plot| plot.id).collect();
        assert_eq!(ids, ["throughput-by-threads", "throughput-by-a-page-size"]);
        let mut words = RunRecord::new("r", "now");
        words
            .measurements
            .push(measurement("a", 1.0, &[("a.wal-sync", "direct")]));
        assert!(plots(&words).is_empty());
    }

    #[test]
    fn runs_that_vary_the_same_option_are_drawn_in_one_plot_and_others_not() {
        let (mut one, mut two) = (record(), record());
        (one.run_id, two.run_id) = ("one".into(), "two".into());
        two.measurements.retain(|of| of.engine == "b");
        // As pages have them: what is varied is in the name of the engine too.
        let records = [one.by_case().into_owned(), two.by_case().into_owned()];
        let found = compared(&records);
        let ids: Vec<&str> = found.iter().map(|plot| plot.id.as_str()).collect();
        assert_eq!(
            ids,
            ["throughput-by-threads"],
            "page-size is varied in one run only"
        );
        let Chart::Lines(chart) = &found[0].chart else {
            panic!("curves are lines")
        };
        let names: Vec<&str> = chart.series.iter().map(|of| of.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "a, page-size 4KiB · one",
                "a, page-size 16KiB · one",
                "b · one",
                "b · two"
            ]
        );
        let roles: BTreeSet<String> = chart.series.iter().map(|of| format!("{:?}", of.role)).collect();
        assert_eq!(roles.len(), 4, "each has a colour of its own");
        assert!(chart.series.iter().all(|of| of.points.len() == 3));
        assert!(compared(&records[..1]).is_empty());
        let drawn = super::super::comparison_plots(&records);
        assert!(
            drawn.iter().any(|plot| plot.id == "throughput-by-threads"),
            "the page has them"
        );
    }
}
