//! What crash tests tried and found.

use super::super::legend::Entry;
use super::super::output::{Chart, Plot};
use super::super::rows::{Row, RowChart, Rule};
use super::super::scale::Kind;
use super::super::theme::Role;
use crate::record::{CrashPhase, CrashTest, RunRecord};

/// What the identifiers of these plots begin with.
pub(crate) const CRASH_PREFIX: &str = "crash-";
/// Kinds of operations with a colour of their own; the rest are put together.
const KINDS_MAX: usize = 5;
/// The recoveries each second that are asked for.
const RATE_WANTED: f64 = 2_000.0;

/// All plots of a crash test.
pub(super) fn plots(record: &RunRecord) -> Vec<Plot> {
    let Some(crash) = &record.crash else {
        return Vec::new();
    };
    [points(crash), rates(crash), injected(crash)]
        .into_iter()
        .flatten()
        .collect()
}

/// Where power was lost: phases, and the file operation just before.
fn points(crash: &CrashTest) -> Option<Plot> {
    let phases = crash.phases();
    let kinds = kinds(&phases);
    if kinds.is_empty() {
        return None;
    }
    let named = &kinds[..kinds.len().min(KINDS_MAX)];
    let mut legend: Vec<Entry> = named
        .iter()
        .enumerate()
        .map(|(at, (name, _))| entry(name, Role::Series(at)))
        .collect();
    if kinds.len() > named.len() {
        legend.push(entry("other", Role::Series(KINDS_MAX)));
    }
    let rows = phases
        .iter()
        .map(|phase| {
            let count = |name: &str| phase.by_operation.get(name).copied().unwrap_or(0);
            let mut parts: Vec<(Role, f64)> = named
                .iter()
                .enumerate()
                .map(|(at, (name, _))| (Role::Series(at), count(name) as f64))
                .collect();
            let rest = kinds[named.len()..].iter().map(|(name, _)| count(name) as f64);
            parts.push((Role::Series(KINDS_MAX), rest.sum()));
            parts.retain(|part| part.1 > 0.0);
            Row {
                name: phase.name.clone(),
                value: units::count(phase.points),
                alarming: false,
                parts,
            }
        })
        .collect();
    let words: Vec<String> = phases
        .iter()
        .map(|phase| format!("{}: {}", phase.name, units::count(phase.points)))
        .collect();
    Some(Plot {
        id: "crash-points".to_owned(),
        title: "Crash points by phase".to_owned(),
        caption:
            "Where power was lost in the scripted scenarios: what the engine was doing, coloured by the file \
                  operation just before. Each point was tried with many choices of what survives."
                .to_owned(),
        alt: format!("Bars of crash points. {}.", words.join("; ")),
        subject: String::new(),
        chart: Chart::Rows(RowChart {
            kind: Kind::Linear,
            legend,
            rule: None,
            rows,
        }),
    })
}

/// Operations and their points in all phases, most first.
fn kinds(phases: &[CrashPhase]) -> Vec<(String, u64)> {
    let mut kinds: Vec<(String, u64)> = Vec::new();
    for (name, points) in phases.iter().flat_map(|phase| &phase.by_operation) {
        match kinds.iter_mut().find(|kind| kind.0 == *name) {
            Some(kind) => kind.1 = kind.1.saturating_add(*points),
            None => kinds.push((name.clone(), *points)),
        }
    }
    kinds.retain(|kind| kind.1 > 0);
    kinds.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    kinds
}

fn entry(name: &str, role: Role) -> Entry {
    Entry {
        name: name.to_owned(),
        role,
        line: false,
        tone: 1.0,
    }
}

/// How fast images were opened and checked.
fn rates(crash: &CrashTest) -> Option<Plot> {
    let scripted = crash
        .scenarios
        .iter()
        .filter_map(|scenario| Some((scenario.name.as_str(), scenario.recoveries_per_second()?)));
    let random = crash
        .random
        .iter()
        .filter_map(|random| Some(("random mixes", random.recoveries_per_second()?)));
    let rated: Vec<(&str, f64)> = scripted.chain(random).collect();
    let overall = crash.recoveries_per_second()?;
    if rated.is_empty() {
        return None;
    }
    let rows = rated
        .iter()
        .map(|(name, rate)| Row {
            name: (*name).to_owned(),
            value: format!("{}/s", units::number(*rate)),
            alarming: false,
            parts: vec![(Role::Series(0), *rate)],
        })
        .collect();
    let words: Vec<String> = rated
        .iter()
        .map(|(name, rate)| format!("{name}: {}", units::number(*rate)))
        .collect();
    Some(Plot {
        id: "crash-recoveries".to_owned(),
        title: "Recoveries per second".to_owned(),
        caption: format!(
            "Openings of the database each second on {} thread{}, every check of its contents included; {} over all. \
             The line is what is asked of the whole.",
            crash.threads,
            if crash.threads == 1 { "" } else { "s" },
            units::number(overall),
        ),
        alt: format!("Bars of recoveries each second. {}.", words.join("; ")),
        subject: String::new(),
        chart: Chart::Rows(RowChart {
            kind: Kind::Linear,
            legend: Vec::new(),
            rule: Some(Rule {
                value: RATE_WANTED,
                words: format!("target {}/s", units::number(RATE_WANTED)),
            }),
            rows,
        }),
    })
}

/// How many images it took to find each injected bug.
fn injected(crash: &CrashTest) -> Option<Plot> {
    if crash.injected.is_empty() {
        return None;
    }
    let rows = crash
        .injected
        .iter()
        .map(|fault| {
            let images = units::count(fault.images);
            Row {
                name: fault.name.clone(),
                value: if fault.caught {
                    format!("{images} in {}", units::duration(fault.duration_ns))
                } else {
                    format!("✗ not in {images}")
                },
                alarming: !fault.caught,
                parts: vec![(
                    if fault.caught { Role::Series(2) } else { Role::Fail },
                    fault.images.max(1) as f64,
                )],
            }
        })
        .collect();
    let missed: Vec<&str> = crash
        .injected
        .iter()
        .filter(|fault| !fault.caught)
        .map(|fault| fault.name.as_str())
        .collect();
    let missed = if missed.is_empty() {
        "every one was found".to_owned()
    } else {
        format!("not found: {}", missed.join(", "))
    };
    Some(Plot {
        id: "crash-injected-faults".to_owned(),
        title: "Injected bugs: images until found".to_owned(),
        caption: "Mistakes that were injected in the engine, one at a time: the images checked, and the time, until the \
                  checks found each; logarithmic, with a line at every power of ten."
            .to_owned(),
        alt: format!(
            "Bars of the images it took to find each of {} injected bugs; {missed}.",
            crash.injected.len()
        ),
        subject: String::new(),
        chart: Chart::Rows(RowChart {
            kind: Kind::Log,
            legend: Vec::new(),
            rule: None,
            rows,
        }),
    })
}
