//! Cells that several tables have.

use super::model::{Cell, Mark};
use crate::record::{LatencySummary, Outcome};
use crate::statistics::Estimate;
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
    or_missing(value, |value| units::count(value as u64))
}

/// A size, or the median of sizes.
pub(super) fn size(value: Option<f64>) -> String {
    or_missing(value, |value| units::bytes(value as u64))
}

/// A ratio, for instance `1.40x`.
pub(super) fn times(value: Option<f64>) -> String {
    or_missing(value, |value| format!("{}x", units::number(value)))
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
    let deviation = estimate.and_then(|estimate| estimate.deviation);
    Cell::from(figure(estimate.map(|estimate| estimate.median)))
        .with_note(deviation.map(|deviation| format!("± {}", units::number(deviation))))
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
        Outcome::NotMeasured => Mark::Open,
    }
}
