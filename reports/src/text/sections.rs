//! The sections of a run's text, each empty when the record has nothing for it.

use super::table::{Align, Table, wrapped};
use crate::record::{CheckStatus, LatencySummary, Outcome, Recovery, RunRecord};
use crate::statistics::Estimate;
use crate::summary::{self, VerificationSummary};
use crate::units::{self, MISSING, or_missing};

pub(super) fn heading(record: &RunRecord, width: usize) -> String {
    let mut text = String::new();
    let title = if record.workload.title.is_empty() {
        String::new()
    } else {
        format!(": {}", record.workload.title)
    };
    text.push_str(&wrapped(&format!("{}{title}", record.workload.name), width, ""));
    text.push_str(&wrapped(
        &format!(
            "run {}, {}, seed {}",
            record.run_id, record.created, record.workload.seed
        ),
        width,
        "",
    ));
    if record.synthetic {
        text.push_str("SYNTHETIC: these figures were made up for a demonstration.\n");
    }
    if summary::is_dev_build(record) {
        text.push_str("DEV BUILD: these figures are not for quoting; build with --release to measure.\n");
    }
    text
}

pub(super) fn engines(record: &RunRecord, width: usize) -> String {
    let summaries = summary::engines(record);
    if summaries.is_empty() {
        return String::new();
    }
    let mut table = Table::new()
        .column("engine", Align::Left, 0)
        .column("tx/s", Align::Right, 0)
        .column("95 % interval", Align::Right, 6)
        .column("ops/s", Align::Right, 4)
        .column("p50", Align::Right, 3)
        .column("p99", Align::Right, 0)
        .column("p99.9", Align::Right, 5)
        .column("max", Align::Right, 1)
        .column("durability", Align::Left, 2)
        .column("runs", Align::Right, 7);
    for engine in &summaries {
        let latency = |pick: fn(&LatencySummary) -> Option<u64>| {
            or_missing(engine.latency.and_then(|l| pick(&l)), units::duration)
        };
        table.row(vec![
            engine.engine.to_owned(),
            rate(engine.throughput.as_ref()),
            interval(engine.throughput.as_ref()),
            rate(engine.operations.as_ref()),
            latency(|l| Some(l.latency_ns_p50)),
            latency(|l| l.latency_ns_p99),
            latency(|l| l.latency_ns_p999),
            latency(|l| Some(l.latency_ns_max)),
            engine
                .settings
                .durability
                .clone()
                .unwrap_or_else(|| MISSING.to_owned()),
            format!("{}/{}", engine.ran, engine.recorded),
        ]);
    }
    let mut text = table.render(width);
    for engine in &summaries {
        for problem in &engine.problems {
            text.push_str(&wrapped(&format!("{}: {problem}", engine.engine), width, "  "));
        }
    }
    text
}

fn rate(estimate: Option<&Estimate>) -> String {
    or_missing(estimate, |estimate| units::number(estimate.median))
}

fn interval(estimate: Option<&Estimate>) -> String {
    or_missing(estimate.and_then(|e| e.interval), |(low, high)| {
        format!("{} to {}", units::number(low), units::number(high))
    })
}

pub(super) fn latencies(record: &RunRecord, width: usize) -> String {
    let summaries = summary::engines(record);
    if summaries.iter().all(|engine| engine.types.is_empty()) {
        return String::new();
    }
    let mut table = Table::new()
        .column("engine", Align::Left, 0)
        .column("transaction", Align::Left, 0)
        .column("committed", Align::Right, 0)
        .column("given up", Align::Right, 4)
        .column("retries", Align::Right, 2)
        .column("p50", Align::Right, 1)
        .column("p90", Align::Right, 6)
        .column("p99", Align::Right, 0)
        .column("p99.9", Align::Right, 5)
        .column("max", Align::Right, 3);
    for engine in &summaries {
        for one in &engine.types {
            let latency = |pick: fn(&LatencySummary) -> Option<u64>| {
                or_missing(one.latency.and_then(|l| pick(&l)), units::duration)
            };
            table.row(vec![
                engine.engine.to_owned(),
                one.name.to_owned(),
                units::count(one.committed),
                units::count(one.aborted),
                units::count(one.retries),
                latency(|l| Some(l.latency_ns_p50)),
                latency(|l| l.latency_ns_p90),
                latency(|l| l.latency_ns_p99),
                latency(|l| l.latency_ns_p999),
                latency(|l| Some(l.latency_ns_max)),
            ]);
        }
    }
    let types = || summaries.iter().flat_map(|engine| &engine.types);
    let has_few = |latency: LatencySummary| latency.latency_ns_p999.is_none();
    let mut text = table.render(width);
    if types().filter_map(|one| one.latency).any(has_few) {
        let why = "A percentile is told where ten samples lie above it: p90 of 100 or more, p99 of 1,000, p99.9 of 10,000.";
        text.push_str(&wrapped(why, width, "  "));
    }
    text
}

pub(super) fn storage(record: &RunRecord, width: usize) -> String {
    let summaries = summary::engines(record);
    let mut table = Table::new()
        .column("engine", Align::Left, 0)
        .column("flushes", Align::Right, 4)
        .column("commits/flush", Align::Right, 0)
        .column("WAL amp.", Align::Right, 2)
        .column("write amp.", Align::Right, 1)
        .column("space amp.", Align::Right, 3)
        .column("checkpoints", Align::Right, 5)
        .column("files", Align::Right, 6)
        .column("peak memory", Align::Right, 7)
        .column("CPUs used", Align::Right, 8);
    for engine in &summaries {
        let figures = &engine.figures;
        let size = |value: Option<f64>| or_missing(value, |value| units::bytes(value as u64));
        let number = |value: Option<f64>| or_missing(value, units::number);
        let whole = |value: Option<f64>| or_missing(value, |value| units::count(value as u64));
        table.row(vec![
            engine.engine.to_owned(),
            whole(figures.flushes),
            number(figures.commits_per_flush),
            number(figures.wal_amplification),
            number(figures.write_amplification),
            number(figures.space_amplification),
            whole(figures.checkpoints),
            size(figures.file_bytes),
            size(figures.rss_bytes_peak),
            number(figures.cpu_cores_used),
        ]);
    }
    if summaries.iter().any(|engine| engine.ran > 0) {
        table.render(width)
    } else {
        String::new()
    }
}

pub(super) fn ratios(record: &RunRecord, width: usize) -> String {
    if record.ratios.is_empty() {
        return String::new();
    }
    let mut table = Table::new()
        .column("what", Align::Left, 0)
        .column("against", Align::Left, 3)
        .column("ratio", Align::Right, 0)
        .column("spread", Align::Right, 2)
        .column("target", Align::Right, 1)
        .column("stretch", Align::Right, 4)
        .column("verdict", Align::Left, 0);
    for row in &record.ratios {
        let spread = Estimate::from_samples(row.samples.iter().copied()).filter(|e| e.samples.len() > 1);
        let bound =
            |bound: Option<f64>| or_missing(bound, |bound| format!("{} {bound}", row.direction.sign()));
        let verdict = match (row.outcome(), row.stretch_met()) {
            (Outcome::Pass, Some(true)) => "PASS, stretch".to_owned(),
            (outcome, _) => outcome.label().to_owned(),
        };
        table.row(vec![
            row.what.clone(),
            row.against.clone(),
            row.value_text(),
            or_missing(spread, |estimate| {
                let (low, high) = estimate.range();
                format!("{} to {}", units::number(low), units::number(high))
            }),
            bound(row.target),
            bound(row.stretch),
            verdict,
        ]);
    }
    let mut text = table.render(width);
    for row in &record.ratios {
        if let Some(note) = &row.note {
            text.push_str(&wrapped(&format!("{}: {note}", row.what), width, "  "));
        }
    }
    text
}

pub(super) fn recovery(record: &RunRecord, width: usize) -> String {
    record
        .recovery
        .iter()
        .map(|recovery| recovery_of_one(recovery, width))
        .collect()
}

fn recovery_of_one(recovery: &Recovery, width: usize) -> String {
    let planned = recovery
        .rounds_planned
        .map_or_else(String::new, |planned| format!(" of {planned}"));
    let mut text = wrapped(
        &format!(
            "recovery of {} ({}): {}{planned} rounds{}, {} commits acknowledged{}, {} lost, {} partial; redo {}",
            recovery.engine,
            recovery.kind.title(),
            recovery.rounds,
            recovery
                .duration_ns
                .map_or_else(String::new, |ns| format!(" in {}", units::duration(ns))),
            units::count(recovery.acknowledged),
            recovery.missing_words(),
            recovery.lost,
            recovery.partial,
            or_missing(recovery.redo_bytes_per_second(), |rate| format!(
                "{}/s",
                units::bytes(rate as u64)
            )),
        ),
        width,
        "",
    );
    for note in &recovery.notes {
        text.push_str(&wrapped(note, width, "  "));
    }
    for finding in &recovery.findings {
        text.push_str(&wrapped(finding, width, "  ! "));
    }
    text
}

pub(super) fn figures(record: &RunRecord, width: usize) -> String {
    if record.figures.is_empty() && record.checks.is_empty() {
        return String::new();
    }
    let mut table = Table::new()
        .column("finding", Align::Left, 0)
        .column("value", Align::Right, 0)
        .column("detail", Align::Left, 1);
    for figure in &record.figures {
        let title = if figure.title.is_empty() {
            &figure.id
        } else {
            &figure.title
        };
        let value = or_missing(figure.value, |value| {
            format!("{} {}", units::number(value), figure.unit)
        });
        table.row(vec![
            title.clone(),
            value.trim_end().to_owned(),
            figure.subject.clone(),
        ]);
    }
    for check in &record.checks {
        let title = if check.title.is_empty() {
            &check.id
        } else {
            &check.title
        };
        let value = match check.status {
            CheckStatus::Passed => "passed",
            CheckStatus::Failed => "FAILED",
            CheckStatus::NotRun => MISSING,
        };
        table.row(vec![title.clone(), value.to_owned(), check.detail.clone()]);
    }
    table.render(width)
}

pub(super) fn verification(record: &RunRecord, width: usize) -> String {
    let mut text = String::new();
    for engine in summary::engines(record).iter().filter(|engine| engine.ran > 0) {
        let words = match &engine.verification {
            VerificationSummary::Verified {
                transactions,
                rows,
                reads,
            } => {
                let reads =
                    reads.map_or_else(String::new, |reads| format!(", {} reads", units::count(reads)));
                format!(
                    "verified: {} transactions, {} rows{reads}",
                    units::count(*transactions),
                    units::count(*rows)
                )
            }
            VerificationSummary::Failed(findings) => {
                let mut words = format!("VERIFICATION FAILED: {} findings", findings.len());
                for finding in findings.iter().take(5) {
                    words.push_str("; ");
                    words.push_str(finding);
                }
                words
            }
            VerificationSummary::NotVerified(reason) => format!("not verified: {reason}"),
        };
        text.push_str(&wrapped(&format!("{}: {words}", engine.engine), width, ""));
    }
    text
}

pub(super) fn criteria(record: &RunRecord, width: usize) -> String {
    let judged = crate::evaluate(record);
    let measured: Vec<_> = judged
        .iter()
        .filter(|v| v.outcome != Outcome::NotMeasured)
        .collect();
    let mut text = String::new();
    // Rows of a ratio table carry their verdict already.
    let listed: Vec<_> = measured.iter().filter(|v| !v.id.starts_with("speed.")).collect();
    if !listed.is_empty() {
        let mut table = Table::new()
            .column("criterion", Align::Left, 0)
            .column("target", Align::Left, 2)
            .column("verdict", Align::Left, 0)
            .column("value", Align::Left, 1);
        for verdict in &listed {
            table.row(vec![
                verdict.title.clone(),
                verdict.target.clone(),
                verdict.outcome.label().to_owned(),
                verdict.value.clone().unwrap_or_else(|| MISSING.to_owned()),
            ]);
        }
        text.push_str(&table.render(width));
    }
    for verdict in measured
        .iter()
        .filter(|v| v.outcome == Outcome::Fail && !v.id.starts_with("speed."))
    {
        text.push_str(&wrapped(
            &format!("{}: {}", verdict.title, verdict.detail),
            width,
            "  ! ",
        ));
    }
    let count = |outcome: Outcome| judged.iter().filter(|v| v.outcome == outcome).count();
    text.push_str(&format!(
        "criteria: {} passed, {} failed, {} not measured by this run\n",
        count(Outcome::Pass),
        count(Outcome::Fail),
        count(Outcome::NotMeasured)
    ));
    text
}

pub(super) fn warnings(record: &RunRecord, width: usize) -> String {
    let mut text = String::new();
    for message in summary::warnings(record) {
        text.push_str(&wrapped(&format!("warning: {message}"), width, ""));
    }
    text
}
