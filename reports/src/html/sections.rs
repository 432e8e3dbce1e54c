//! Lists of facts: environment, notes on recovery and on fairness.

use serde::Serialize;

use super::context::Fact;
use crate::record::{Profile, Recovery, RunRecord, Varied};
use crate::summary::EngineSummary;
use units::or_missing;

pub(super) fn fact(term: &str, value: String) -> Fact {
    Fact {
        term: term.to_owned(),
        value,
    }
}

/// The machine and the build.
pub(super) fn environment(record: &RunRecord) -> Vec<Fact> {
    let environment = &record.environment;
    let build = &record.build;
    let text = |value: &Option<String>| or_missing(value.clone(), |value| value);
    let profile = match build.profile {
        Profile::Dev => "dev",
        Profile::Release => "release",
    };
    let assertions = if build.debug_assertions { "with" } else { "without" };
    vec![
        fact("Label", text(&record.label)),
        fact("Host", text(&environment.host)),
        fact("CPU", text(&environment.cpu_model)),
        fact(
            "Processors",
            or_missing(environment.cpu_cores, |cores| cores.to_string()),
        ),
        fact("Memory", or_missing(environment.memory_bytes, units::bytes)),
        fact("CPU governor", text(&environment.cpu_governor)),
        fact("Operating system", text(&environment.os)),
        fact("Kernel", text(&environment.kernel)),
        fact("File system of the data", text(&environment.file_system)),
        fact("Device", text(&environment.device)),
        fact("Mount options", text(&environment.mount_options)),
        fact("Build", format!("{profile}, {assertions} debug assertions")),
        fact("Version", build.version.clone()),
        fact(
            "Revision",
            or_missing(build.revision.clone(), |revision| match build.dirty {
                Some(true) => format!("{revision}, with changes that were not committed"),
                _ => revision,
            }),
        ),
        fact("Compiler", text(&build.compiler)),
        fact("Target", text(&build.target)),
    ]
}

/// What there is to say about one engine's rounds of cutting off and reopening, beside its row of figures.
#[derive(Debug, Serialize)]
pub(super) struct RecoveryNotes {
    title: String,
    notes: Vec<String>,
    findings: Vec<String>,
}

/// Rounds of cutting off and reopening, for each engine.
pub(super) fn recovery(record: &RunRecord) -> Vec<RecoveryNotes> {
    let section = |recovery: &Recovery| RecoveryNotes {
        title: format!("{}: {}", recovery.engine, recovery.kind.title()),
        notes: recovery.notes.clone(),
        findings: recovery.findings.clone(),
    };
    record.recovery.iter().map(section).collect()
}

/// What each engine's adapter says about fair comparison.
pub(super) fn settings_notes(engines: &[EngineSummary<'_>]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for engine in engines {
        for note in &engine.settings.notes {
            // Notes name their engine; cases of one engine have the same.
            let named = if note.starts_with(Varied::engine(engine.engine)) {
                note.clone()
            } else {
                format!("{}: {note}", engine.engine)
            };
            if !notes.contains(&named) {
                notes.push(named);
            }
        }
    }
    notes
}
