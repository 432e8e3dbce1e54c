//! What a pointer or the keyboard can read off a plot: places in its plane with the values there in words. A page has them as
//! JSON, `{"by": .., "stops": [[x, [y, ..], words], ..]}`, with places from 0 to 1 along each axis; its script shows them.
//! Both shapes of a picture share them, since each says where its plane is.

use super::bars::BarChart;
use super::columns::ColumnChart;
use super::lines::{LineChart, Series, Weight};
use super::ratio::{RatioChart, multiple};
use serde_json::json;
use std::collections::BTreeMap;

/// A place, and what there is to say about it.
type Stop = (f64, Vec<f64>, String);

/// `by` says along what the nearest stop is looked for: `x`, `y` or `xy`.
fn text(by: &str, stops: &[Stop]) -> String {
    if stops.is_empty() {
        return String::new();
    }
    let short = |place: f64| (place * 1e4).round() / 1e4;
    let stops: Vec<_> = stops
        .iter()
        .map(|(x, ys, words)| {
            (
                short(*x),
                ys.iter().map(|y| short(*y)).collect::<Vec<f64>>(),
                words,
            )
        })
        .collect();
    json!({"by": by, "stops": stops}).to_string()
}

/// All lines at each place; points that are not joined one by one.
pub(crate) fn of_lines(chart: &LineChart) -> String {
    let drawn = || {
        chart
            .series
            .iter()
            .filter(|series| series.weight != Weight::Faint)
    };
    let position = |x: f64, y: f64| (chart.x.scale.position(x), chart.y.scale.position(y));
    let words = |series: &Series, y: f64| format!("{}: {}", series.name, chart.y.format.value(y));
    if drawn().any(|series| series.weight == Weight::Dots) {
        let mut stops: Vec<Stop> = drawn()
            .flat_map(|series| {
                series
                    .points
                    .iter()
                    .filter_map(move |(x, y)| Some((series, *x, (*y)?)))
            })
            .map(|(series, x, y)| {
                let (across, up) = position(x, y);
                (
                    across,
                    vec![up],
                    format!("{}\n{}", chart.x.format.value(x), words(series, y)),
                )
            })
            .collect();
        stops.sort_by(|a, b| a.0.total_cmp(&b.0));
        return text("xy", &stops);
    }
    // Places are not negative, so the order of their bits is their own.
    let mut places: BTreeMap<u64, Stop> = BTreeMap::new();
    for series in drawn() {
        for (x, y) in series.points.iter().filter_map(|(x, y)| Some((*x, (*y)?))) {
            let (across, up) = position(x, y);
            let fresh = || (across, Vec::new(), chart.x.format.value(x));
            let stop = places.entry(x.max(0.0).to_bits()).or_insert_with(fresh);
            stop.1.push(up);
            stop.2.push_str(&format!("\n{}", words(series, y)));
        }
    }
    let stops: Vec<Stop> = places.into_values().collect();
    text("x", &stops)
}

/// Each bar with its repetitions.
pub(crate) fn of_bars(chart: &BarChart) -> String {
    let scale = chart.scale();
    let bars = chart.bars.iter().enumerate().filter_map(|(at, bar)| {
        let value = bar.value?;
        let samples: Vec<String> = bar.samples.iter().map(|sample| units::number(*sample)).collect();
        let words = format!(
            "{}: {} {}\nrepetitions: {}",
            bar.name,
            units::number(value),
            chart.unit,
            samples.join(", ")
        );
        Some((scale.position(value), vec![middle(at, chart.bars.len())], words))
    });
    text("y", &bars.collect::<Vec<Stop>>())
}

/// Each ratio with its spread.
pub(crate) fn of_ratios(chart: &RatioChart) -> String {
    let scale = chart.scale();
    let rows = chart.rows.iter().enumerate().filter_map(|(at, row)| {
        let mut words = format!("{}: {}", row.what, row.value_text());
        if let Some(spread) = row.spread() {
            let (low, high) = spread.ends();
            words.push_str(&format!(
                "\n{} {} to {}",
                spread.name(),
                units::number(low),
                units::number(high)
            ));
        }
        let place = scale.position(multiple(row, row.value?)?);
        Some((place, vec![middle(at, chart.rows.len())], words))
    });
    text("y", &rows.collect::<Vec<Stop>>())
}

/// All columns of each category.
pub(crate) fn of_columns(chart: &ColumnChart) -> String {
    let categories = chart.categories.iter().enumerate().map(|(at, category)| {
        let mut words = format!("{}: {category}", chart.x_title);
        let mut tops = Vec::new();
        for series in &chart.series {
            if let Some(value) = series.values.get(at).copied().flatten() {
                words.push_str(&format!("\n{}: {}", series.name, exact(chart, value)));
                tops.push(chart.y.scale.position(value));
            }
        }
        (1.0 - middle(at, chart.categories.len()), tops, words)
    });
    text("x", &categories.collect::<Vec<Stop>>())
}

/// A share of columns to a tenth of a percent.
fn exact(chart: &ColumnChart, value: f64) -> String {
    match chart.y.format {
        super::scale::Format::Percent => format!("{:.1} %", value * 100.0),
        format => format.value(value),
    }
}

/// The middle of one of several rows, counted from below.
fn middle(at: usize, all: usize) -> f64 {
    1.0 - (at as f64 + 0.5) / all as f64
}
