//! Bars that compare: engines of one run, runs with each other, ratios with their targets.

use super::super::bars::{Bar, BarChart};
use super::super::lines::Weight;
use super::super::output::{Chart, Plot};
use super::super::ratio::RatioChart;
use super::latency::{Curve, percentiles_of};
use super::throughput::{Subject, of_subjects};
use super::{role_of, slug};
use crate::palette;
use crate::record::{Outcome, RunRecord, Settings};
use crate::statistics::Spread;
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

/// More than that cannot be told apart.
const CURVES_MAX: usize = 12;

/// Plots that set several runs side by side, on the same axes.
#[must_use]
pub fn comparison_plots(records: &[RunRecord]) -> Vec<Plot> {
    let places = palette::of_all(records);
    let role = |engine: &str| super::Role::Series(places.get(engine).copied().unwrap_or(0));
    let mut bars = Vec::new();
    let (mut curves, mut subjects) = (Vec::new(), Vec::new());
    for (at, record) in records.iter().enumerate() {
        for of in summary::engines(record) {
            let (engine, role) = (of.engine, role(of.engine));
            let name = format!("{engine} · {}", record.run_id);
            bars.push(bar(&of, name.clone(), role));
            curves.push(Curve {
                record,
                engine,
                name: name.clone(),
                role,
                weight: [Weight::Main, Weight::Second, Weight::Third][at.min(2)],
            });
            subjects.push(Subject {
                record,
                engine,
                id: format!("{}-{}", at + 1, slug(engine)),
                name,
                role,
            });
        }
    }
    tell_apart(&mut curves);
    let mut plots: Vec<Plot> = throughput_plot("throughput", "Throughput by run", bars)
        .into_iter()
        .collect();
    plots.extend(super::scaling::compared(records));
    if curves.len() <= CURVES_MAX {
        plots.extend(percentiles_of(&curves));
        plots.extend(of_subjects(&subjects));
    }
    let runs: Vec<&str> = records.iter().map(|record| record.run_id.as_str()).collect();
    for plot in &mut plots {
        plot.subject = format!("runs {}", runs.join(", "));
    }
    plots
}

/// Gives each curve a colour of its own where two would look the same: an engine has several cases in a run, or there are many runs.
fn tell_apart(curves: &mut [Curve<'_>]) {
    let alike = curves.iter().enumerate().any(|(at, one)| {
        let mut before = curves.iter().take(at);
        before.any(|other| (other.role, other.weight) == (one.role, one.weight))
    });
    if alike {
        for (at, one) in curves.iter_mut().enumerate() {
            one.role = super::Role::Series(at % palette::COLOURS);
            one.weight = if at < palette::COLOURS {
                Weight::Main
            } else {
                Weight::Second
            };
        }
    }
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
        interval: engine
            .throughput
            .as_ref()
            .and_then(|of| of.spread().map(Spread::ends)),
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
        let plural = if threads == 1 { "" } else { "s" };
        parts.push(format!("{threads} thread{plural}"));
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
            "Median of the repetitions; each dot is one repetition. The whisker is the range of the repetitions, and from six on \
                  a 95 % bootstrap interval of the median."
                .to_owned(),
        alt: format!("Bars of throughput. {}.", words.join("; ")),
        subject: String::new(),
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
                  is the target, the short tick the stretch target, small dots the interleaved pairs. A question mark: the pairs lie on \
                  both sides of the target."
                .to_owned(),
        alt: format!("Ratios against targets. {}.", words.join("; ")),
        subject: String::new(),
        chart: Chart::Ratios(RatioChart {
            rows: record.ratios.clone(),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn curves_that_would_look_the_same_get_colours_of_their_own_and_others_keep_theirs() {
        let record = RunRecord::new("r", "now");
        let looks = |of: &[(usize, Weight)]| {
            let curve = |(series, weight): &(usize, Weight)| Curve {
                record: &record,
                engine: "a",
                name: String::new(),
                role: Role::Series(*series),
                weight: *weight,
            };
            let mut curves: Vec<Curve<'_>> = of.iter().map(curve).collect();
            tell_apart(&mut curves);
            let look = |curve: &Curve<'_>| format!("{:?} {:?}", curve.role, curve.weight);
            curves.iter().map(look).collect::<Vec<_>>()
        };
        let engines = looks(&[(0, Weight::Main), (4, Weight::Main), (0, Weight::Second)]);
        assert_eq!(engines, ["Series(0) Main", "Series(4) Main", "Series(0) Second"]);
        let cases = looks(&[(0, Weight::Main); CURVES_MAX]);
        assert_eq!(
            cases.iter().collect::<BTreeSet<_>>().len(),
            CURVES_MAX,
            "{cases:?}"
        );
    }
}
