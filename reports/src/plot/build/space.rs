//! The data file beside the live rows, over time.

use super::super::frame::Axis;
use super::super::lines::{Band, LineChart, Series, Weight};
use super::super::output::{Chart, Plot};
use super::super::scale::{Format, Scale};
use super::super::theme::Role;
use super::{POINTS_MAX, role_of, slug};
use crate::record::{RunRecord, SpaceOverTime, SpaceSample};

/// The largest ratio that is wanted.
const RATIO_WANTED: f64 = 2.0;

/// Plots for each engine: the ratio with its target, the bytes of data, and those of the log, which has a scale of its own: it
/// would dwarf the data.
pub(super) fn over_time(record: &RunRecord) -> Vec<Plot> {
    let drawn = record.space.iter().filter(|space| !space.samples.is_empty());
    drawn
        .flat_map(|space| {
            let role = role_of(record, &space.engine);
            [
                Some(ratio(space, role)),
                Some(bytes(space, role)),
                log(space, role),
            ]
            .into_iter()
            .flatten()
        })
        .collect()
}

/// Of neighbouring samples the one with the largest ratio, so that few enough remain and no peak is lost.
fn condensed(space: &SpaceOverTime) -> Vec<&SpaceSample> {
    let size = space.samples.len().div_ceil(POINTS_MAX).max(1);
    let largest = |chunk: &'_ [SpaceSample]| {
        let mut largest = 0;
        for at in 1..chunk.len() {
            if chunk[at].is_larger_than(&chunk[largest]) {
                largest = at;
            }
        }
        largest
    };
    space
        .samples
        .chunks(size)
        .map(|chunk| &chunk[largest(chunk)])
        .collect()
}

fn seconds(sample: &SpaceSample) -> f64 {
    sample.at_ns as f64 / 1e9
}

fn time_axis(space: &SpaceOverTime) -> Axis {
    Axis {
        title: "seconds".to_owned(),
        scale: Scale::exact(0.0, space.samples.last().map_or(0.0, seconds)),
        format: Format::Seconds,
    }
}

/// The load, shaded, so that one sees where the updates begin.
fn bands(space: &SpaceOverTime) -> Vec<Band> {
    let end = space.samples.iter().find(|sample| sample.phase != "load");
    end.map(|end| Band {
        name: "load".to_owned(),
        role: Role::Warmup,
        from: 0.0,
        to: seconds(end),
    })
    .into_iter()
    .collect()
}

fn ratio(space: &SpaceOverTime, role: Role) -> Plot {
    let points: Vec<(f64, Option<f64>)> = condensed(space)
        .into_iter()
        .map(|sample| {
            let counts = sample.live_bytes >= space.live_floor_bytes;
            (seconds(sample), sample.ratio().filter(|_| counts))
        })
        .collect();
    let x = time_axis(space);
    let end = space.samples.last().map_or(0.0, seconds);
    let target = Series {
        name: format!("target: at most {RATIO_WANTED:.1}"),
        role: Role::Fail,
        weight: Weight::Main,
        points: vec![(0.0, Some(RATIO_WANTED)), (end, Some(RATIO_WANTED))],
    };
    let values = points.iter().filter_map(|point| point.1).chain([RATIO_WANTED]);
    let y = Axis {
        title: "bytes of the data file for each live byte".to_owned(),
        scale: Scale::with_headroom(values),
        format: Format::Short,
    };
    let largest = units::or_missing(space.largest_ratio, units::number);
    Plot {
        id: format!("space-ratio-over-time-{}", slug(&space.engine)),
        title: format!("Data file beside live bytes over time: {}", space.engine),
        caption: format!(
            "{} rows loaded in random order into a cache of {}, then {} replaced at random. Live bytes are keys and values \
             of committed rows; moments with less than {} of them do not count. {} at most, by {} looks; each point is \
             the largest of its time.",
            units::count(space.rows),
            units::bytes(space.cache_size_bytes),
            units::count(space.updates),
            units::bytes(space.live_floor_bytes),
            largest,
            units::count(space.looks),
        ),
        alt: format!(
            "Bytes of the data file of {} for each live byte over time: {largest} at most, {} at the end; the target is \
             {RATIO_WANTED:.1}.",
            space.engine,
            units::or_missing(space.last_ratio, units::number)
        ),
        subject: String::new(),
        chart: Chart::Lines(LineChart {
            x,
            y,
            bands: bands(space),
            series: vec![
                Series {
                    name: "file / live".to_owned(),
                    role,
                    weight: Weight::Area,
                    points,
                },
                target,
            ],
        }),
    }
}

fn line(samples: &[&SpaceSample], role: Role, name: &str, bytes: fn(&SpaceSample) -> u64) -> Series {
    Series {
        name: name.to_owned(),
        role,
        weight: Weight::Main,
        points: samples
            .iter()
            .map(|sample| (seconds(sample), Some(bytes(sample) as f64)))
            .collect(),
    }
}

fn of_bytes(space: &SpaceOverTime, series: Vec<Series>) -> Chart {
    let values = series.iter().flat_map(|series| &series.points);
    let y = Axis {
        title: "bytes".to_owned(),
        scale: Scale::with_headroom(values.filter_map(|point| point.1)),
        format: Format::Bytes,
    };
    Chart::Lines(LineChart {
        x: time_axis(space),
        y,
        bands: bands(space),
        series,
    })
}

fn bytes(space: &SpaceOverTime, role: Role) -> Plot {
    let samples = condensed(space);
    let live = Series {
        weight: Weight::Second,
        ..line(&samples, role, "live rows", |sample| sample.live_bytes)
    };
    let series = vec![
        line(&samples, role, "data file", |sample| sample.file_bytes),
        live,
    ];
    let last = samples.last().copied().cloned().unwrap_or_default();
    Plot {
        id: format!("space-bytes-over-time-{}", slug(&space.engine)),
        title: format!("Bytes of data over time: {}", space.engine),
        caption: "The data file, and the rows in it.".to_owned(),
        alt: format!(
            "Bytes of {} over time; at the end a data file of {}, live rows of {}.",
            space.engine,
            units::bytes(last.file_bytes),
            units::bytes(last.live_bytes),
        ),
        subject: String::new(),
        chart: of_bytes(space, series),
    }
}

/// None where there is no log.
fn log(space: &SpaceOverTime, role: Role) -> Option<Plot> {
    let largest = space.samples.iter().map(|sample| sample.log_bytes).max();
    let largest = largest.filter(|largest| *largest > 0)?;
    let samples = condensed(space);
    let series = vec![line(&samples, role, "log", |sample| sample.log_bytes)];
    let last = samples.last().map_or(0, |sample| sample.log_bytes);
    Some(Plot {
        id: format!("space-log-over-time-{}", slug(&space.engine)),
        title: format!("Bytes of the log over time: {}", space.engine),
        caption: "All files of the log, live or kept for use again. They do not count for the ratio."
            .to_owned(),
        alt: format!(
            "Bytes of the log of {} over time: {} at most, {} at the end.",
            space.engine,
            units::bytes(largest),
            units::bytes(last)
        ),
        subject: String::new(),
        chart: of_bytes(space, series),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_drawn_however_long_the_series() {
        let samples = (0..10_000u64).map(|at| SpaceSample {
            at_ns: at * 1_000_000,
            live_bytes: 100,
            file_bytes: if at == 7_777 { 350 } else { 150 },
            ..SpaceSample::default()
        });
        let space = SpaceOverTime {
            samples: samples.collect(),
            ..SpaceOverTime::default()
        };
        let condensed = condensed(&space);
        assert!(condensed.len() <= POINTS_MAX);
        let peaks = condensed.iter().filter(|sample| sample.ratio() == Some(3.5));
        assert_eq!(peaks.count(), 1);
    }

    #[test]
    fn the_target_is_drawn_and_few_live_bytes_leave_a_gap() {
        let sample = |at: u64, live_bytes, file_bytes| SpaceSample {
            at_ns: at * 1_000_000_000,
            live_bytes,
            file_bytes,
            ..SpaceSample::default()
        };
        let space = SpaceOverTime {
            live_floor_bytes: 50,
            samples: vec![sample(0, 10, 900), sample(1, 100, 150), sample(2, 100, 160)],
            ..SpaceOverTime::default()
        };
        let Chart::Lines(chart) = ratio(&space, Role::Series(0)).chart else {
            panic!("lines");
        };
        assert_eq!(chart.series[0].points[0].1, None);
        assert_eq!(chart.series[0].points[2].1, Some(1.6));
        assert_eq!(chart.series[1].points[1], (2.0, Some(2.0)));
    }

    #[test]
    fn a_log_many_times_larger_than_the_data_does_not_press_the_data_flat() {
        let sample = |at: u64, log_bytes| SpaceSample {
            at_ns: at * 1_000_000_000,
            live_bytes: 100,
            file_bytes: 150,
            log_bytes,
            ..SpaceSample::default()
        };
        let mut record = RunRecord::new("r", "now");
        record.space.push(SpaceOverTime {
            engine: "a".into(),
            samples: vec![sample(0, 0), sample(1, 1_000_000)],
            ..SpaceOverTime::default()
        });
        let plots = over_time(&record);
        let ids: Vec<&str> = plots.iter().map(|plot| plot.id.as_str()).collect();
        let [_, data, log] = plots.as_slice() else {
            panic!("{ids:?}")
        };
        let largest = |plot: &Plot| match &plot.chart {
            Chart::Lines(chart) => {
                let points = chart.series.iter().flat_map(|series| &series.points);
                points.filter_map(|point| point.1).fold(0.0, f64::max)
            }
            _ => panic!("lines"),
        };
        assert_eq!((largest(data), largest(log)), (150.0, 1_000_000.0));
        record.space[0].samples.truncate(1);
        assert_eq!(
            over_time(&record).len(),
            2,
            "without a log there is no plot of it"
        );
    }
}
