//! Verdicts: each criterion against a record.

use super::definition::{Criterion, Measure, builtin};
use super::expression::Truth;
use super::ratios;
use crate::record::{Outcome, RunRecord, Verdict};
use serde_json::{Value, json};

/// Judges every built-in criterion and every speed target by a record.
///
/// Pure: the verdicts that the record may carry already are not looked at.
#[must_use]
pub fn evaluate(record: &RunRecord) -> Vec<Verdict> {
    let mut root = serde_json::to_value(record).expect("a record has only text keys, so it has a JSON form");
    if let Some(crash) = &record.crash {
        root["crash"]["totals"] = json!({
            "images": crash.images(),
            "images_lost": crash.images_lost(),
            "recoveries": crash.recoveries(),
            "recoveries_per_second": crash.recoveries_per_second(),
            "failures": crash.failure_count(),
        });
    }
    let mut verdicts: Vec<Verdict> = builtin()
        .iter()
        .map(|criterion| judge(criterion, &root))
        .collect();
    verdicts.extend(ratios::judge(record));
    verdicts
}

/// What one element of a record says about a criterion.
enum Finding {
    Shows(Option<f64>),
    Contradicts(Contradiction, Option<f64>),
    Silent(String),
}

/// A requirement that does not hold, with where, and what the record tells elsewhere about why.
#[derive(PartialEq)]
struct Contradiction {
    words: String,
    cause: Option<String>,
}

/// Judges one criterion: one contradiction fails it, else one proof passes it.
fn judge(criterion: &Criterion, root: &Value) -> Verdict {
    let mut shown: Vec<(&Measure, Vec<Option<f64>>)> = Vec::new();
    let mut contradictions = Vec::new();
    let mut silences = Vec::new();
    for measure in &criterion.measures {
        let mut values = Vec::new();
        for element in measure.each.all(root) {
            if !selects(measure, element) {
                continue;
            }
            match examine(measure, element) {
                Finding::Shows(value) => values.push(value),
                Finding::Contradicts(why, value) => {
                    contradictions.push(why);
                    values.extend(value.map(Some));
                }
                Finding::Silent(why) => silences.push(why),
            }
        }
        if !values.is_empty() {
            shown.push((measure, values));
        }
    }
    contradictions.dedup();
    silences.dedup();
    let value = shown
        .iter()
        .filter_map(|(measure, values)| summary(measure, values))
        .collect::<Vec<_>>()
        .join("; ");
    let elements: usize = shown.iter().map(|(_, values)| values.len()).sum();
    let (outcome, detail) = if !contradictions.is_empty() {
        let words: Vec<&str> = contradictions.iter().map(|of| of.words.as_str()).collect();
        (Outcome::Fail, format!("not so: {}", words.join("; ")))
    } else if elements > 0 {
        let plural = if elements == 1 { "" } else { "s" };
        (
            Outcome::Pass,
            format!("{} ({elements} measurement{plural})", criterion.measured_by),
        )
    } else if silences.is_empty() {
        (
            Outcome::NotMeasured,
            format!("This run does not measure it. {}", criterion.measured_by),
        )
    } else {
        (
            Outcome::NotMeasured,
            format!("{}; {}", silences.join("; "), criterion.measured_by),
        )
    };
    Verdict {
        id: criterion.id.clone(),
        title: criterion.title.clone(),
        section: criterion.section.clone(),
        target: criterion.target.clone(),
        outcome,
        value: (outcome != Outcome::NotMeasured && !value.is_empty()).then_some(value),
        stretch_met: None,
        detail,
        cause: contradictions.into_iter().find_map(|of| of.cause),
    }
}

/// Whether a measure is about an element at all.
fn selects(measure: &Measure, element: &Value) -> bool {
    measure
        .selects
        .iter()
        .all(|predicate| predicate.apply(element) == Truth::True)
}

/// A false requirement outweighs missing ones; anything missing makes the element silent.
fn examine(measure: &Measure, element: &Value) -> Finding {
    let mut missing = None;
    let shown = || {
        let path = measure.show.as_ref()?.path.first(element);
        path.and_then(Value::as_f64)
    };
    for predicate in &measure.requires {
        match predicate.apply(element) {
            Truth::True => {}
            Truth::False => {
                return Finding::Contradicts(contradiction(element, predicate.text()), shown());
            }
            Truth::Missing(path) => missing = missing.or(Some(format!("{path} was not recorded"))),
        }
    }
    for predicate in &measure.evidence {
        match predicate.apply(element) {
            Truth::True => {}
            Truth::False => {
                missing = missing.or(Some(format!("no evidence, since not {}", predicate.text())))
            }
            Truth::Missing(path) => missing = missing.or(Some(format!("{path} was not recorded"))),
        }
    }
    match missing {
        Some(why) => Finding::Silent(why),
        None => Finding::Shows(shown()),
    }
}

/// The requirement that does not hold, with where. What the element says about the reason is its cause where the report tells it
/// in its own place, and else stands with it.
fn contradiction(element: &Value, requirement: &str) -> Contradiction {
    let text = |pointer: &str| match element.pointer(pointer) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => number.as_u64().map(|whole| whole.to_string()).or_else(|| {
            let number = number.as_f64()?;
            Some(units::number(number))
        }),
        _ => None,
    };
    let mut words = requirement.to_owned();
    let repetition = text("/repetition").map(|repetition| format!("repetition {repetition}"));
    let place: Vec<String> = text("/engine")
        .or_else(|| text("/name"))
        .into_iter()
        .chain(repetition)
        .collect();
    if !place.is_empty() {
        words.push_str(&format!(" in {}", place.join(" ")));
    }
    let told = [
        "/status/reason",
        "/verification/what/0",
        "/failures/0/finding",
        "/findings/0",
    ];
    let cause = told.into_iter().find_map(text);
    if cause.is_none() {
        let detail = text("/detail").filter(|detail| !detail.is_empty());
        let value = || text("/value").map(|value| format!("value is {value}"));
        if let Some(reason) = detail.or_else(value) {
            words.push_str(&format!(" ({reason})"));
        }
    }
    Contradiction { words, cause }
}

/// The shown values in words: one, or the span of several.
fn summary(measure: &Measure, values: &[Option<f64>]) -> Option<String> {
    let show = measure.show.as_ref()?;
    let present: Vec<f64> = values.iter().flatten().copied().collect();
    let low = present.iter().copied().reduce(f64::min)?;
    let high = present.iter().copied().reduce(f64::max)?;
    let span = if low == high {
        with_unit(low, &show.unit)
    } else {
        format!(
            "{} to {}",
            with_unit(low, shared(&show.unit)),
            with_unit(high, &show.unit)
        )
    };
    Some(if show.label.is_empty() {
        span
    } else {
        format!("{span} {}", show.label)
    })
}

/// The unit of the lower end of a span: words need not be said twice.
fn shared(unit: &str) -> &str {
    if matches!(unit, "bytes" | "ns" | "x") {
        unit
    } else {
        ""
    }
}

fn with_unit(value: f64, unit: &str) -> String {
    match unit {
        "bytes" => units::bytes(value.max(0.0) as u64),
        "ns" => units::duration(value.max(0.0) as u64),
        "x" => format!("{}x", units::number(value)),
        _ if value >= 0.0 && value.fract() == 0.0 => format!("{} {unit}", units::count(value as u64))
            .trim_end()
            .to_owned(),
        _ => format!("{} {unit}", units::number(value)).trim_end().to_owned(),
    }
}
