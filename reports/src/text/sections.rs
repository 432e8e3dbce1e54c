//! The words around the tables of a run's text, each empty when the record has nothing for it.

use crate::record::{Outcome, RunRecord, Verdict};
use crate::summary::{self, VerificationSummary};
use crate::table::text::wrapped;

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

pub(super) fn problems(record: &RunRecord, width: usize) -> String {
    let engines = summary::engines(record);
    let lines = engines.iter().flat_map(|engine| {
        let problems = engine.problems.iter();
        problems.map(|problem| wrapped(&format!("{}: {problem}", engine.engine), width, "  "))
    });
    lines.collect()
}

/// Why a percentile is missing.
pub(super) fn percentiles(record: &RunRecord, width: usize) -> String {
    let engines = summary::engines(record);
    let mut latencies = engines
        .iter()
        .flat_map(|engine| &engine.types)
        .filter_map(|one| one.latency);
    if !latencies.any(|latency| latency.latency_ns_p999.is_none()) {
        return String::new();
    }
    let why = "A percentile is told where ten samples lie above it: p90 of 100 or more, p99 of 1,000, p99.9 of 10,000.";
    wrapped(why, width, "  ")
}

pub(super) fn ratio_notes(record: &RunRecord, width: usize) -> String {
    let noted = record
        .ratios
        .iter()
        .filter_map(|row| Some((&row.what, row.note.as_ref()?)));
    let lines = noted.map(|(what, note)| wrapped(&format!("{what}: {note}"), width, "  "));
    lines.collect()
}

/// Whether each engine kept what it had acknowledged; its figures are in the table below.
pub(super) fn recovery(record: &RunRecord, width: usize) -> String {
    let mut text = String::new();
    for recovery in &record.recovery {
        let words = format!(
            "recovery of {} ({}): {} lost, {} partial{}",
            recovery.engine,
            recovery.kind.title(),
            units::count(recovery.lost),
            units::count(recovery.partial),
            recovery.missing_words(),
        );
        text.push_str(&wrapped(&words, width, ""));
        for note in &recovery.notes {
            text.push_str(&wrapped(note, width, "  "));
        }
        for finding in &recovery.findings {
            text.push_str(&wrapped(finding, width, "  ! "));
        }
    }
    text
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

/// Why criteria failed, and how many did what.
pub(super) fn criteria(judged: &[Verdict], width: usize) -> String {
    let mut text = String::new();
    // Rows of a ratio table carry their verdict already.
    let failed = judged
        .iter()
        .filter(|v| v.outcome == Outcome::Fail && !v.id.starts_with("speed."));
    for verdict in failed {
        let line = format!("{}: {}", verdict.title, verdict.detail);
        text.push_str(&wrapped(&line, width, "  ! "));
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
