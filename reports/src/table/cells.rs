//! Cells that several tables have.

use super::model::{Cell, Mark};
use crate::record::{LatencySummary, Outcome};
use crate::statistics::{Estimate, Spread};
use crate::summary::{EngineSummary, VerificationSummary};
use units::{MISSING, or_missing};

/// A percentile or another figure of a latency.
pub(super) fn latency(summary: Option<LatencySummary>, pick: fn(&LatencySummary) -> Option<u64>) -> String {
    or_missing(summary.and_then(|summary| pick(&summary)), units::duration)
}

/// A figure with three digits.
pub(super) fn figure(value: Option<f64>) -> String {
    or_missing(value, units::number)
}

/// A count, or the median of counts.
pub(super) fn whole(value: Option<f64>) -> String {
    or_missing(value, |value| {
        if value.fract() == 0.0 {
            units::count(value as u64)
        } else {
            units::number(value)
        }
    })
}

/// A size, or the median of sizes.
pub(super) fn size(value: Option<f64>) -> String {
    or_missing(value, |value| units::bytes(value as u64))
}

/// A ratio, for instance `1.40x`.
pub(super) fn times(value: Option<f64>) -> String {
    or_missing(value, |value| format!("{}x", units::number(value)))
}

/// A share of 1.
pub(super) fn percent(value: Option<f64>) -> String {
    or_missing(value, |share| format!("{:.1} %", share * 100.0))
}

/// A word of a record.
pub(super) fn word(value: Option<&String>) -> String {
    or_missing(value, Clone::clone)
}

/// A span of figures.
pub(super) fn span(ends: Option<(f64, f64)>) -> String {
    or_missing(ends, |(low, high)| {
        format!("{} to {}", units::number(low), units::number(high))
    })
}

/// Median with the spread behind it.
pub(super) fn with_spread(estimate: Option<&Estimate>) -> Cell {
    let spread = estimate.and_then(Estimate::spread);
    Cell::from(figure(estimate.map(|estimate| estimate.median))).with_note(spread.map(|of| {
        let (low, high) = of.ends();
        format!("{} {} to {}", of.name(), units::number(low), units::number(high))
    }))
}

/// What the spreads of several estimates are, as a heading.
pub(super) fn spread_heading(spreads: impl IntoIterator<Item = Option<Spread>>) -> String {
    let mut names: Vec<&str> = spreads.into_iter().flatten().map(Spread::name).collect();
    names.sort_unstable();
    names.dedup();
    match names[..] {
        ["95 % interval"] => "95 % interval".to_owned(),
        ["95 % interval", _] => "95 % interval or range".to_owned(),
        _ => "Range".to_owned(),
    }
}

/// The name of an engine, with its colour.
pub(super) fn engine(of: &EngineSummary<'_>) -> Cell {
    Cell::from(of.engine).with_swatch(of.series)
}

/// A sentence.
pub(super) fn long(text: &str) -> Cell {
    Cell::marked(text, Mark::Long)
}

/// A count of what must not be.
pub(super) fn bad(count: u64) -> Cell {
    as_it_must(units::count(count), count == 0)
}

/// A text that does not say itself whether it is as it must be.
pub(super) fn as_it_must(text: impl Into<String>, good: bool) -> Cell {
    Cell::marked(text, if good { Mark::Pass } else { Mark::Alarm })
}

/// Whether an engine's figures are verified.
pub(super) fn verified(engine: &EngineSummary<'_>) -> Cell {
    let (text, mark) = match &engine.verification {
        _ if engine.ran == 0 => (MISSING, Mark::Plain),
        VerificationSummary::Verified { .. } => ("yes", Mark::Pass),
        VerificationSummary::Failed(_) => ("FAILED", Mark::Fail),
        VerificationSummary::NotVerified(_) => ("no", Mark::Open),
    };
    Cell::marked(text, mark)
}

/// What an outcome is called, and whether the stretch target is met too.
pub(super) fn verdict(outcome: Outcome, stretch_met: Option<bool>) -> Cell {
    let cell = Cell::marked(outcome.label(), mark(outcome));
    match (outcome, stretch_met) {
        (Outcome::Pass, Some(true)) => Cell {
            text: format!("{}, stretch", cell.text),
            ..cell.with_note(Some("met".to_owned()))
        },
        _ => cell,
    }
}

/// The mark of an outcome.
pub(super) fn mark(outcome: Outcome) -> Mark {
    match outcome {
        Outcome::Pass => Mark::Pass,
        Outcome::Fail => Mark::Fail,
        Outcome::Inconclusive | Outcome::NotJudged | Outcome::NotMeasured => Mark::Open,
    }
}
