//! What the page of one run is filled with: everything as text, so that the template only places it.

use super::crash::{self, CrashSection};
use super::sections::{self, RecoveryNotes};
use crate::plot;
use crate::record::{Outcome, RunRecord, Verdict};
use crate::summary::{self, VerificationSummary};
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
}

/// A term and what is known about it.
#[derive(Debug, Serialize)]
pub(super) struct Fact {
    pub(super) term: String,
    pub(super) value: String,
}

/// The statement above everything: a class of `pass`, `fail` or `open`, and words.
#[derive(Debug, Serialize)]
pub(super) struct Banner {
    class: &'static str,
    title: String,
    detail: String,
}

/// Verdicts under one heading: those that were measured and those that were not.
#[derive(Debug, Serialize)]
pub(super) struct VerdictGroup {
    section: String,
    measured: Option<Table>,
    open: Option<Table>,
}

/// Verification of one engine.
#[derive(Debug, Serialize)]
pub(super) struct VerificationLine {
    class: &'static str,
    engine: String,
    statement: String,
    findings: Vec<String>,
}

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
    problems: Vec<String>,
    verification: Vec<VerificationLine>,
    warnings: Vec<String>,
    plots: Vec<Picture>,
    settings_notes: Vec<String>,
    tables: Tables,
    recovery: Vec<RecoveryNotes>,
    crash: Option<CrashSection>,
    verdicts: Vec<VerdictGroup>,
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
            banner: banner(record, &verdicts),
            problems: engines
                .iter()
                .flat_map(|engine| {
                    engine
                        .problems
                        .iter()
                        .map(|problem| format!("{}: {problem}", engine.engine))
                })
                .collect(),
            verification: engines
                .iter()
                .filter(|engine| engine.ran > 0)
                .map(verification_line)
                .collect(),
            warnings: summary::warnings(record),
            plots,
            settings_notes: sections::settings_notes(&engines),
            tables: table::of_judged(record, &verdicts),
            recovery: sections::recovery(record),
            crash: crash::crash(record, crash_plots),
            verdicts: groups(&verdicts),
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
fn banner(record: &RunRecord, verdicts: &[Verdict]) -> Banner {
    let count = |outcome: Outcome| {
        verdicts
            .iter()
            .filter(|verdict| verdict.outcome == outcome)
            .count()
    };
    let (passed, failed, open) = (
        count(Outcome::Pass),
        count(Outcome::Fail),
        count(Outcome::NotMeasured),
    );
    let detail =
        format!("Success criteria: {passed} passed, {failed} failed, {open} not measured by this run.");
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
    } else if passed > 0 {
        ("pass", "Measured criteria passed".to_owned())
    } else {
        ("open", "Nothing was verified".to_owned())
    };
    Banner { class, title, detail }
}

fn verification_line(engine: &summary::EngineSummary<'_>) -> VerificationLine {
    let (class, statement, findings) = match &engine.verification {
        VerificationSummary::Verified {
            transactions,
            rows,
            reads,
        } => {
            let reads = reads.map_or_else(String::new, |reads| {
                format!(" and {} values read", units::count(reads))
            });
            let statement = format!(
                "verified: {} transactions, {} rows{reads} agree with the oracle",
                units::count(*transactions),
                units::count(*rows)
            );
            ("pass", statement, Vec::new())
        }
        VerificationSummary::Failed(findings) => ("fail", "verification failed".to_owned(), findings.clone()),
        VerificationSummary::NotVerified(reason) => ("open", format!("not verified: {reason}"), Vec::new()),
    };
    VerificationLine {
        class,
        engine: engine.engine.to_owned(),
        statement,
        findings,
    }
}

/// The sections of the criteria, in the order in which they come.
fn groups(verdicts: &[Verdict]) -> Vec<VerdictGroup> {
    let mut sections: Vec<&str> = Vec::new();
    for verdict in verdicts {
        if !sections.contains(&verdict.section.as_str()) {
            sections.push(&verdict.section);
        }
    }
    let group = |section: &str| {
        let of = |open: bool| {
            let here = verdicts.iter().filter(|verdict| verdict.section == section);
            let these = here.filter(|verdict| (verdict.outcome == Outcome::NotMeasured) == open);
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
