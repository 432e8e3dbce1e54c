//! What the page of one run is filled with: everything as text, so that the template only places it.

use super::crash::{self, CrashSection};
use super::sections::{self, RecoveryNotes};
use crate::plot;
use crate::record::{CheckStatus, Outcome, RunRecord, Verdict};
use crate::summary::{self, EngineSummary, VerificationSummary};
use crate::table::{self, Table, Tables};
use serde::Serialize;

/// A drawn plot.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) caption: String,
    pub(super) wide: String,
    pub(super) narrow: String,
    /// What a pointer or the keyboard can read off, as JSON; empty where the picture says it all.
    pub(super) stops: String,
}

/// A term and what is known about it.
#[derive(Debug, Serialize)]
pub(super) struct Fact {
    pub(super) term: String,
    pub(super) value: String,
}

/// The statement above the results: a class of `pass`, `fail` or `open`, a title, and what is wrong, one line for each thing.
#[derive(Debug, Serialize)]
pub(super) struct Banner {
    class: &'static str,
    title: String,
    wrong: Vec<String>,
    detail: String,
}

/// Verdicts under one heading: those that were measured and those that were not.
#[derive(Debug, Serialize)]
pub(super) struct VerdictGroup {
    section: String,
    measured: Option<Table>,
    open: Option<Table>,
}

/// Verification of one engine whose state is as it must be, or was not looked at.
#[derive(Debug, Serialize)]
pub(super) struct VerificationLine {
    engine: String,
    statement: String,
}

/// Findings of one engine that are told; the record has the rest.
const FINDINGS_MAX: usize = 20;

/// Everything on the page of one run.
#[derive(Debug, Serialize)]
pub(super) struct ReportContext {
    title: String,
    name: String,
    description: String,
    run_id: String,
    created: String,
    synthetic: bool,
    dev_build: bool,
    interrupted: bool,
    banner: Banner,
    verification: Vec<VerificationLine>,
    warnings: Vec<String>,
    plots: Vec<Picture>,
    settings_notes: Vec<String>,
    tables: Tables,
    recovery: Vec<RecoveryNotes>,
    crash: Option<CrashSection>,
    verdicts: Vec<VerdictGroup>,
    /// Whether the run was made for the criteria, which are its result then.
    criteria_first: bool,
    environment: Vec<Fact>,
    command: String,
    spec: String,
    overrides: Vec<Fact>,
    seed: String,
    version: String,
    schema_version: u32,
}

impl ReportContext {
    pub(super) fn new(record: &RunRecord, plots: Vec<Picture>) -> Self {
        let (crash_plots, plots) = plots
            .into_iter()
            .partition(|plot| plot.id.starts_with(plot::CRASH_PREFIX));
        let verdicts = crate::evaluate(record);
        let record = &*record.by_case();
        let engines = summary::engines(record);
        let title = if record.workload.title.is_empty() {
            &record.workload.name
        } else {
            &record.workload.title
        };
        Self {
            title: title.clone(),
            name: record.workload.name.clone(),
            description: record.workload.description.clone(),
            run_id: record.run_id.clone(),
            created: record.created.clone(),
            synthetic: record.synthetic,
            dev_build: summary::is_dev_build(record),
            interrupted: record.interrupted,
            banner: banner(record, &engines, &verdicts),
            verification: engines
                .iter()
                .filter(|engine| engine.ran > 0)
                .filter_map(verification_line)
                .collect(),
            warnings: summary::warnings(record),
            plots,
            settings_notes: sections::settings_notes(&engines),
            tables: table::of_judged(record, &verdicts),
            recovery: sections::recovery(record),
            crash: crash::crash(record, crash_plots),
            verdicts: groups(record, &verdicts),
            criteria_first: record.workload.name == "all",
            environment: sections::environment(record),
            command: record.command.to_shell(),
            spec: record.workload.spec_toml.clone(),
            overrides: record
                .workload
                .overrides
                .iter()
                .map(|(term, value)| Fact {
                    term: term.clone(),
                    value: value.clone(),
                })
                .collect(),
            seed: record.workload.seed.to_string(),
            version: record.build.version.clone(),
            schema_version: record.schema_version,
        }
    }
}

/// The overall statement: failed verification outweighs failed criteria, which outweigh passed ones.
fn banner(record: &RunRecord, engines: &[EngineSummary<'_>], verdicts: &[Verdict]) -> Banner {
    let count = |outcome: Outcome| verdicts.iter().filter(|of| of.outcome == outcome).count();
    let (passed, failed) = (count(Outcome::Pass), count(Outcome::Fail));
    let broken = record
        .measurements
        .iter()
        .any(|m| matches!(m.status, crate::record::Status::Failed { .. }));
    let (class, title) = if record.verification_failed() {
        (
            "fail",
            "Verification failed: the figures below must not be used".to_owned(),
        )
    } else if broken {
        ("fail", "A measurement failed".to_owned())
    } else if failed > 0 {
        let criteria = if failed == 1 { "criterion" } else { "criteria" };
        ("fail", format!("{failed} {criteria} failed"))
    } else if record.all_verified() {
        ("pass", "Verified".to_owned())
    } else if record.measurements.is_empty() && record.recovery.iter().any(|of| of.rounds > 0) {
        ("pass", "Nothing that was promised was lost".to_owned())
    } else if record.measurements.is_empty() && all_checks_passed(record) {
        let title = match count(Outcome::NotJudged) {
            0 => "All checks passed",
            // Green is for the data: its figures may well be past a target that is for another scale.
            _ => "Checks of the data passed; no target is judged at this scale",
        };
        ("pass", title.to_owned())
    } else if passed > 0 {
        ("pass", "Measured criteria passed".to_owned())
    } else {
        ("open", "Nothing was verified".to_owned())
    };
    let detail = [
        (Outcome::Pass, "passed"),
        (Outcome::Fail, "failed"),
        (Outcome::Inconclusive, "inconclusive"),
        (Outcome::NotJudged, "not judged at this scale"),
        (Outcome::NotMeasured, "not measured by this run"),
    ]
    .into_iter()
    .filter(|(outcome, _)| count(*outcome) > 0)
    .map(|(outcome, words)| format!("{} {words}", count(outcome)));
    Banner {
        class,
        title,
        wrong: wrong(engines),
        detail: detail.collect::<Vec<_>>().join(", "),
    }
}

/// Whether there are checks, and all of them were made and passed.
fn all_checks_passed(record: &RunRecord) -> bool {
    !record.checks.is_empty() && record.checks.iter().all(|of| of.status == CheckStatus::Passed)
}

/// Why repetitions did not run, and what verification found: each once.
fn wrong(engines: &[EngineSummary<'_>]) -> Vec<String> {
    let mut wrong = Vec::new();
    for of in engines {
        let mut say = |what: &str| wrong.push(format!("{}: {what}", of.engine));
        for problem in &of.problems {
            say(problem);
        }
        let VerificationSummary::Failed(findings) = &of.verification else {
            continue;
        };
        for finding in findings.iter().take(FINDINGS_MAX) {
            say(finding);
        }
        let more = findings.len().saturating_sub(FINDINGS_MAX);
        if more > 0 {
            say(&format!("and {more} more findings, see the record"));
        }
    }
    wrong
}

/// What verification says of an engine; what it found wrong stands in the banner.
fn verification_line(engine: &EngineSummary<'_>) -> Option<VerificationLine> {
    let statement = match &engine.verification {
        VerificationSummary::Verified {
            transactions,
            rows,
            reads,
        } => {
            let reads = reads.map_or_else(String::new, |reads| {
                format!(" and {} values read", units::count(reads))
            });
            format!(
                "verified: {} transactions, {} rows{reads} agree with the oracle",
                units::count(*transactions),
                units::count(*rows)
            )
        }
        VerificationSummary::Failed(_) => return None,
        VerificationSummary::NotVerified(reason) => format!("not verified: {reason}"),
    };
    Some(VerificationLine {
        engine: engine.engine.to_owned(),
        statement,
    })
}

/// The sections of the criteria, in the order in which they come.
fn groups(record: &RunRecord, verdicts: &[Verdict]) -> Vec<VerdictGroup> {
    // Rows of the ratio table carry their verdict there.
    let is_row = |verdict: &Verdict| {
        let id = verdict.id.strip_prefix("speed.");
        record.ratios.iter().any(|row| Some(row.id.as_str()) == id)
    };
    let verdicts: Vec<&Verdict> = verdicts.iter().filter(|of| !is_row(of)).collect();
    let mut sections: Vec<&str> = Vec::new();
    for verdict in &verdicts {
        if !sections.contains(&verdict.section.as_str()) {
            sections.push(&verdict.section);
        }
    }
    let group = |section: &str| {
        let of = |open: bool| {
            let here = verdicts
                .iter()
                .copied()
                .filter(|verdict| verdict.section == section);
            let these = here.filter(|verdict| verdict.outcome.is_measured() != open);
            table::criteria(section, these, open)
        };
        VerdictGroup {
            section: section.to_owned(),
            measured: of(false),
            open: of(true),
        }
    };
    sections.into_iter().map(group).collect()
}
