//! Tables about the run as a whole: the machine's bounds, ratios, single findings.

use super::tables::{Cell, Table, filled, latency, number, outcome_class, table};
use crate::record::{CheckStatus, LatencySummary, LoopCost, Outcome, RunRecord};
use crate::statistics::{Estimate, merged_summary};
use crate::units::{self, MISSING, or_missing};

/// Bounds and noise of the machine.
pub(super) fn bounds(record: &RunRecord) -> Option<Table> {
    let mut table = table(
        "What this machine did without any engine, in the same run: flushes of small writes, and delays that an \
         idle thread saw.",
        &["Probe", "#Rate", "#p50", "#p99", "#Largest"],
    );
    let last = record
        .measurements
        .iter()
        .map(|measurement| measurement.repetition)
        .max();
    for sample in &record.probes.raw_flush {
        let summary = sample.latency.as_ref().map(|latency| latency.summary);
        let when = match last {
            Some(last) if sample.repetition > last => "after the last repetition".to_owned(),
            _ => format!("before repetition {}", sample.repetition),
        };
        table.rows.push(vec![
            format!(
                "raw flush of {} by {}, {when}",
                units::bytes(sample.write_bytes),
                sample.method,
            )
            .into(),
            or_missing(sample.flushes_per_second(), |rate| {
                format!("{}/s", units::number(rate))
            })
            .into(),
            latency(summary, |l| Some(l.latency_ns_p50)),
            latency(summary, |l| l.latency_ns_p99),
            latency(summary, |l| Some(l.latency_ns_max)),
        ]);
    }
    let mut hiccup = |name: String, summary: Option<LatencySummary>| {
        if summary.is_some() {
            table.rows.push(vec![
                name.into(),
                MISSING.into(),
                latency(summary, |l| Some(l.latency_ns_p50)),
                latency(summary, |l| l.latency_ns_p99),
                latency(summary, |l| Some(l.latency_ns_max)),
            ]);
        }
    };
    hiccup(
        "delay of an idle thread, at rest".to_owned(),
        record.probes.idle_hiccup.as_ref().map(|l| l.summary),
    );
    for engine in record.engines() {
        let latencies = record
            .of_engine(engine)
            .filter_map(|measurement| measurement.hiccup.as_ref());
        hiccup(
            format!("delay of an idle thread beside {engine}"),
            merged_summary(latencies),
        );
    }
    for engine in record.engines() {
        // The least disturbed one.
        let least = |of: fn(&LoopCost) -> Option<f64>| {
            let costs = record
                .of_engine(engine)
                .filter_map(|one| of(one.loop_cost.as_ref()?));
            costs.min_by(f64::total_cmp)
        };
        let figures = [
            ("one thread", least(|cost| cost.transaction_ns)),
            ("all threads", least(|cost| cost.transaction_ns_all_threads)),
        ];
        for (threads, ns) in figures
            .into_iter()
            .filter_map(|(threads, ns)| Some((threads, ns?)))
        {
            let mut row: Vec<Cell> = vec![
                format!("measuring loop, a transaction without an engine, beside {engine}, {threads}").into(),
                MISSING.into(),
                units::duration(ns as u64).into(),
            ];
            row.extend([Cell::from(MISSING), Cell::from(MISSING)]);
            table.rows.push(row);
        }
    }
    if let Some(ns) = record.probes.clock_read_ns {
        let mut row: Vec<Cell> = vec![
            "reading the clock once".into(),
            MISSING.into(),
            units::duration(ns).into(),
        ];
        row.extend([Cell::from(MISSING), Cell::from(MISSING)]);
        table.rows.push(row);
    }
    filled(table)
}

/// Ratios and their targets.
pub(super) fn ratios(record: &RunRecord) -> Option<Table> {
    let mut table = table(
        "Each ratio is the median over interleaved pairs of the engine and its bound; the spread is the smallest \
         and the largest pair.",
        &[
            "What", "Against", "#Ratio", "#Spread", "#Target", "#Stretch", "Verdict",
        ],
    );
    for row in &record.ratios {
        let spread = Estimate::from_samples(row.samples.iter().copied()).filter(|e| e.samples.len() > 1);
        let bound =
            |bound: Option<f64>| or_missing(bound, |bound| format!("{} {bound}", row.direction.sign()));
        let verdict = match (row.outcome(), row.stretch_met()) {
            (Outcome::Pass, Some(true)) => "PASS, stretch met".to_owned(),
            (outcome, _) => outcome.label().to_owned(),
        };
        table.rows.push(vec![
            row.what.clone().into(),
            row.against.clone().into(),
            row.value_text().into(),
            or_missing(spread, |estimate| {
                let (low, high) = estimate.range();
                format!("{} to {}", units::number(low), units::number(high))
            })
            .into(),
            bound(row.target).into(),
            bound(row.stretch).into(),
            Cell {
                text: verdict,
                class: outcome_class(row.outcome()),
            },
        ]);
    }
    filled(table)
}

/// The figures behind the ratios.
pub(super) fn ratio_figures(record: &RunRecord) -> Option<Table> {
    let mut table = table(
        "The figures behind the ratios, each the median over the pairs.",
        &["What", "#Engine", "#Bound", "Unit", "#Pairs", "Note"],
    );
    for row in &record.ratios {
        table.rows.push(vec![
            row.what.clone().into(),
            number(row.engine_value),
            number(row.bound_value),
            row.unit.clone().into(),
            row.samples.len().to_string().into(),
            Cell {
                text: row.note.clone().unwrap_or_default(),
                class: "long",
            },
        ]);
    }
    filled(table)
}

/// Figures and checks of scenarios.
pub(super) fn findings(record: &RunRecord) -> Option<Table> {
    let mut table = table(
        "Single figures and checks of this scenario.",
        &["Finding", "#Value", "Detail"],
    );
    for figure in &record.figures {
        let title = if figure.title.is_empty() {
            &figure.id
        } else {
            &figure.title
        };
        let value = or_missing(figure.value, |value| {
            format!("{} {}", units::number(value), figure.unit)
        });
        table.rows.push(vec![
            title.clone().into(),
            value.trim_end().into(),
            figure.subject.clone().into(),
        ]);
    }
    for check in &record.checks {
        let title = if check.title.is_empty() {
            &check.id
        } else {
            &check.title
        };
        let (text, class) = match check.status {
            CheckStatus::Passed => ("passed", "pass"),
            CheckStatus::Failed => ("FAILED", "fail"),
            CheckStatus::NotRun => (MISSING, "open"),
        };
        table.rows.push(vec![
            title.clone().into(),
            Cell {
                text: text.to_owned(),
                class,
            },
            check.detail.clone().into(),
        ]);
    }
    filled(table)
}
