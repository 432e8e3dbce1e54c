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
    text.push_str(&wrapped(&provenance(record), width, ""));
    if record.synthetic {
        let words = "SYNTHETIC: these figures were made up for a demonstration.";
        text.push_str(&wrapped(words, width, ""));
    }
    if record.interrupted {
        text.push_str("INTERRUPTED: what was measured until then is shown.\n");
    }
    if summary::is_dev_build(record) {
        let words = "DEV BUILD: these figures are not for quoting; build with --release to measure.";
        text.push_str(&wrapped(words, width, ""));
    }
    text
}

/// What the run is called, what it was built from, and where it ran; empty where nothing of it is known.
fn provenance(record: &RunRecord) -> String {
    let label = record.label.as_ref().map(|label| format!("label: {label}"));
    let revision = record
        .build
        .revision_words()
        .map(|words| format!("revision {words}"));
    let host = record
        .environment
        .host
        .as_ref()
        .map(|host| format!("host {host}"));
    let known: Vec<String> = [label, revision, host].into_iter().flatten().collect();
    known.join("; ")
}

/// What there is to know about the levels at which engines were run.
pub(super) fn notes(record: &RunRecord, width: usize) -> String {
    let engines = summary::engines(record);
    let mut notes: Vec<&String> = Vec::new();
    for note in engines.iter().flat_map(|engine| &engine.settings.notes) {
        // Cases of one engine have the same.
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes
        .into_iter()
        .map(|note| wrapped(&format!("note: {note}"), width, "  "))
        .collect()
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
    let why = "A percentile is told where ten samples lie above it: p90 of 100 or more, p95 of 200, p99 of 1,000, \
               p99.9 of 10,000.";
    wrapped(why, width, "  ")
}

pub(super) fn ratio_notes(record: &RunRecord, width: usize) -> String {
    let noted = record
        .ratios
        .iter()
        .filter_map(|row| Some((&row.what, row.note.as_ref()?)));
    let lines = noted.map(|(what, note)| wrapped(&format!("{what}: {note}"), width, "  "));
    let mut text: String = lines.collect();
    let needed = record
        .ratios
        .iter()
        .find_map(|row| Some((row.rows?, row.scale_needed()?)));
    if let Some((rows, scale)) = needed {
        let rows = units::count(rows);
        text.push_str(&wrapped(
            &format!("not judged: needs {scale}; this run has {rows}."),
            width,
            "  ",
        ));
    }
    text
}

/// Whether a run was made for the criteria.
pub(super) fn asks_for_criteria(record: &RunRecord) -> bool {
    record.workload.name == "all"
}

/// What the table above does not say: what was missing with leave, notes, and what was wrong.
pub(super) fn recovery(record: &RunRecord, width: usize) -> String {
    let mut text = String::new();
    for recovery in &record.recovery {
        let missing = recovery.missing_words();
        let missing = missing.trim_start_matches(", ");
        for note in recovery.notes.iter().map(String::as_str).chain([missing]) {
            if !note.is_empty() {
                text.push_str(&wrapped(&format!("{}: {note}", recovery.engine), width, "  "));
            }
        }
        for finding in &recovery.findings {
            text.push_str(&wrapped(
                &format!("{}: {finding}", recovery.engine),
                width,
                "  ! ",
            ));
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
                let reads = reads.map_or_else(String::new, |reads| {
                    format!(", {} values read", units::count(reads))
                });
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

/// Why criteria failed, unless that is told above already, and how many did what.
pub(super) fn criteria(record: &RunRecord, judged: &[Verdict], width: usize) -> String {
    let mut text = String::new();
    // Rows of a ratio table carry their verdict already.
    let failed = judged
        .iter()
        .filter(|v| v.outcome == Outcome::Fail && v.cause.is_none() && !v.id.starts_with("speed."));
    for verdict in failed {
        let line = format!("{}: {}", verdict.title, verdict.detail);
        text.push_str(&wrapped(&line, width, "  ! "));
    }
    let mut counts: Vec<String> = Vec::new();
    for (outcome, words) in [
        (Outcome::Pass, "passed"),
        (Outcome::Fail, "failed"),
        (Outcome::Inconclusive, "inconclusive"),
        (Outcome::NotJudged, "not judged at this scale"),
        (Outcome::NotMeasured, "not measured by this run"),
    ] {
        let count = judged.iter().filter(|v| v.outcome == outcome).count();
        let always = matches!(outcome, Outcome::Pass | Outcome::Fail | Outcome::NotMeasured);
        if always || count > 0 {
            counts.push(format!("{count} {words}"));
        }
    }
    let measured = judged.iter().any(|v| v.outcome.is_measured());
    if measured || asks_for_criteria(record) {
        text.push_str(&wrapped(&format!("criteria: {}", counts.join(", ")), width, ""));
    }
    text
}

pub(super) fn warnings(record: &RunRecord, width: usize) -> String {
    let mut text = String::new();
    for message in summary::warnings(record) {
        text.push_str(&wrapped(&format!("warning: {message}"), width, ""));
    }
    text
}
