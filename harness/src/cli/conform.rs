//! The sub-command `conform`: which rules of the driver contract an engine breaks, for whoever writes one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use workloads::conformance::{self, RULES, Report, Rule};
use workloads::names::did_you_mean;

use crate::drivers::factory;
use crate::error::{Exit, HarnessError, Result};

/// What to check.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Conform {
    /// Engines to check, in turn.
    #[arg(
        value_name = "ENGINES",
        value_delimiter = ',',
        required_unless_present = "rules"
    )]
    pub engines: Vec<String>,
    /// Check these rules only.
    #[arg(long, value_name = "RULES", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Where the databases are made; they are removed [default: the system's temporary directory].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Write what was found as JSON to standard output; lines for people go to standard error.
    #[arg(long)]
    pub json: bool,
    /// List the rules, and check nothing.
    #[arg(long)]
    pub rules: bool,
}

/// Checks the engines, and tells each rule's outcome when it is there. Good when none is broken.
///
/// # Errors
/// Usage, when there is no such engine or rule; what keeps a directory from being made.
pub(super) fn conform(request: &Conform) -> Result<Exit> {
    if request.rules {
        for Rule { id, about, .. } in RULES {
            crate::console::tell(format_args!("{id:<22} {about}"));
        }
        return Ok(Exit::Good);
    }
    let known: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    if let Some(unknown) = request.only.iter().find(|rule| !known.contains(&rule.as_str())) {
        return Err(HarnessError::Usage(format!(
            "unknown rule `{unknown}`: {}",
            did_you_mean(unknown, &known)
        )));
    }
    let engines = request
        .engines
        .iter()
        .map(|name| factory(name))
        .collect::<Result<Vec<_>>>()?;
    let directory = directory(request.data_dir.as_deref())?;
    let mut reports: Vec<Report> = Vec::new();
    for engine in engines {
        let place = directory.path().join(engine.name());
        let say = |line: &dyn std::fmt::Display| {
            if request.json {
                crate::console::note(line);
            } else {
                crate::console::tell(line);
            }
        };
        say(&format_args!(
            "{} {}",
            engine.name(),
            engine.capabilities().version
        ));
        let wanted = |rule: &Rule| request.only.is_empty() || request.only.iter().any(|id| id == rule.id);
        let report = conformance::check_rules(
            Arc::from(engine),
            &place,
            conformance::TIME_LIMIT,
            wanted,
            |checked| say(checked),
        );
        say(&report.sum());
        reports.push(report);
    }
    if request.json {
        let json = serde_json::to_string_pretty(&reports)
            .map_err(|error| HarnessError::Run(format!("cannot encode what was found: {error}")))?;
        crate::console::tell(json);
    }
    Ok(if reports.iter().all(Report::is_conforming) {
        Exit::Good
    } else {
        Exit::Verification
    })
}

/// A new directory below the one that is given; removed at the end.
fn directory(parent: Option<&Path>) -> Result<tempfile::TempDir> {
    let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
    std::fs::create_dir_all(&parent).map_err(|error| HarnessError::io("make", &parent, &error))?;
    let mut builder = tempfile::Builder::new();
    builder
        .prefix("conform-")
        .tempdir_in(&parent)
        .map_err(|error| HarnessError::io("make a directory in", &parent, &error))
}
