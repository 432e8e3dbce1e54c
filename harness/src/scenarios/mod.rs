//! Every kind of run, in one table: its name, what it takes, how it is made, and what its child processes do. A new one is a
//! folder and a line here. The timed mixes are one of them; `--workload` names their specifications.
//!
//! Scenarios use `child`, `drivers` and `probe`, which know none of them.

pub(crate) mod crash;
#[cfg(test)]
mod example;
mod findings;
mod levels;
mod machine;
pub(crate) mod mix;
mod powerloss;
mod ratios;
mod recovery;
mod space;
mod warnings;

use std::path::Path;

use reports::RunRecord;
use workloads::names::did_you_mean;
use workloads::spec::BUILTIN_NAMES;

use crate::child::directories::Directories;
use crate::child::interrupt::{self, Interrupt, requested};
use crate::child::process::{Job, read_json};
use crate::error::{HarnessError, Result};
use crate::request::Request;

/// A kind of run.
pub(crate) struct Scenario {
    /// What `--workload` calls it.
    pub name: &'static str,
    /// A line for listings.
    pub about: &'static str,
    /// What it does, in a page.
    pub text: &'static str,
    /// The settings that it takes, by the names of their options, and what each means to it. Others are refused.
    pub accepts: &'static [(&'static str, &'static str)],
    /// Whether options may have several values.
    pub takes_lists: bool,
    /// What the build lacks that it needs, and how to get it.
    pub lacks: Option<&'static str>,
    /// A part of it that the build lacks, and how to get it.
    pub lacks_part: Option<&'static str>,
    /// Checks a request, before anything is made, and returns what makes the run.
    pub prepare: fn(&Request) -> Result<Run>,
    /// What a child process does that this scenario has started.
    pub work: fn(serde_json::Value) -> Result<()>,
}

impl Scenario {
    /// Its name in texts: mixes have one each.
    fn shown(&self) -> &'static str {
        if self.text.is_empty() { "mixes" } else { self.name }
    }
}

/// Makes a run in its directories, and returns what came out.
pub(crate) type Run = Box<dyn FnOnce(&Directories) -> Result<RunRecord>>;

/// All of them, in the order of listings. Specifications of mixes are no scenarios of their own.
static SCENARIOS: [Scenario; 6] = [
    mix::SCENARIO,
    crash::SCENARIO,
    ratios::SCENARIO,
    recovery::SCENARIO,
    space::SCENARIO,
    powerloss::SCENARIO,
];

/// Those that have one name: all but the mixes.
pub(crate) fn named() -> &'static [Scenario] {
    &SCENARIOS[1..]
}

/// The names that `--workload` takes, scenarios last.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let scenarios = named().iter().map(|scenario| scenario.name);
    BUILTIN_NAMES.iter().copied().chain(scenarios)
}

/// The scenario that a workload belongs to.
pub(crate) fn of_workload(name: &str) -> &'static Scenario {
    let named = named().iter().find(|scenario| scenario.name == name);
    named.unwrap_or(&SCENARIOS[0])
}

/// Settings that not all scenarios take, each with the names of those that do.
pub(crate) fn settings() -> Vec<(&'static str, String)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for scenario in &SCENARIOS {
        for (setting, _) in scenario.accepts {
            match found.iter_mut().find(|(name, _)| name == setting) {
                Some((_, takers)) => takers.push(scenario.shown()),
                None => found.push((setting, vec![scenario.shown()])),
            }
        }
    }
    found.retain(|(_, takers)| takers.len() < SCENARIOS.len());
    found
        .into_iter()
        .map(|(setting, takers)| (setting, takers.join(", ")))
        .collect()
}

/// A workload in words.
///
/// # Errors
/// Usage, when there is no such workload.
pub(crate) fn explain(name: &str) -> Result<String> {
    let scenario = of_workload(name);
    let mut text = if scenario.text.is_empty() {
        mix::explain(name)?
    } else {
        scenario.text.to_owned()
    };
    text.push_str("\nSettings:\n");
    for (setting, meaning) in scenario.accepts {
        text.push_str(&format!("  --{setting:<17} {meaning}\n"));
    }
    if let Some(lacks) = scenario.lacks {
        text.push_str(&format!("\nNot in this build: {lacks}.\n"));
    }
    if let Some(lacks) = scenario.lacks_part {
        text.push_str(&format!("\nIn part: {lacks}.\n"));
    }
    Ok(text)
}

/// Checks what was asked, and returns what makes the run.
///
/// # Errors
/// Usage: no or an unknown workload, engines that are not there, settings that do not go with it.
pub(crate) fn prepare(request: &Request) -> Result<Run> {
    let Some(name) = &request.workload else {
        let known: Vec<&str> = names().collect();
        return Err(HarnessError::Usage(format!(
            "nothing to do: give --workload NAME ({}) or a sub-command; --help explains",
            known.join(", ")
        )));
    };
    request.check_engines()?;
    let scenario = of_workload(name);
    if let Some(lacks) = scenario.lacks {
        return Err(HarnessError::Usage(format!(
            "the workload {name} is not in this build: {lacks}"
        )));
    }
    refuse(scenario, name, request)?;
    if !scenario.takes_lists
        && let Some(option) = request.lists().first()
    {
        return Err(HarnessError::Usage(format!(
            "{option} takes one value with the workload {name}; lists go with mixes, for instance oltp"
        )));
    }
    (scenario.prepare)(request)
}

/// Loads databases for runs of a workload, and keeps them in `directory`.
///
/// # Errors
/// Usage: a workload that does not begin with loaded rows, or options that do not go with it. Run: what failed.
pub(crate) fn load_only(request: &Request, directory: &Path) -> Result<()> {
    let name = request.workload.as_deref().unwrap_or_default();
    let scenario = of_workload(name);
    if scenario.name != mix::SCENARIO.name {
        return Err(HarnessError::Usage(format!(
            "--prepare does not go with the workload {name}, but with mixes, for instance oltp"
        )));
    }
    request.check_engines()?;
    refuse(scenario, name, request)?;
    mix::prepared::prepare(request, directory)
}

/// Refuses settings that a scenario does not take.
fn refuse(scenario: &Scenario, name: &str, request: &Request) -> Result<()> {
    let accepted: Vec<&str> = scenario.accepts.iter().map(|(setting, _)| *setting).collect();
    let given = request.settings();
    let Some(setting) = given.keys().find(|setting| !accepted.contains(&setting.as_str())) else {
        return Ok(());
    };
    let takers = settings()
        .into_iter()
        .find(|(taken, _)| taken == setting)
        .map(|(_, takers)| takers)
        .unwrap_or_default();
    Err(HarnessError::Usage(format!(
        "--{setting} does not go with the workload {name}, but with {takers}; {name} takes --{} (`harness explain {name}` says \
         what they mean)",
        accepted.join(", --")
    )))
}

/// Makes a run; what is true of every one is filled in here.
///
/// # Errors
/// What kept it from being made.
pub(crate) fn make(run: Run, directories: &Directories) -> Result<RunRecord> {
    let mut record = run(directories)?;
    record.interrupted |= requested() != Interrupt::None;
    record.warnings = warnings::warnings(&record);
    Ok(record)
}

/// Puts what there is of a record on disk, as that of an interrupted run, in case this one does not come to its end.
fn save(record: &RunRecord, directories: &Directories) {
    let mut so_far = record.clone();
    so_far.interrupted = true;
    so_far.warnings = warnings::warnings(&so_far);
    directories.save(&so_far);
}

/// What a child process does: its job file says for which scenario, and what.
///
/// # Errors
/// What the parent records as the reason of a failure.
pub(crate) fn work(job: &Path) -> Result<()> {
    interrupt::ignore()?;
    let Job { scenario, content } = read_json(job)?;
    match SCENARIOS.iter().find(|known| known.name == scenario) {
        Some(known) => (known.work)(content),
        None => {
            let known: Vec<&str> = SCENARIOS.iter().map(|known| known.name).collect();
            Err(HarnessError::Usage(format!(
                "{}: unknown scenario `{scenario}`: {}",
                job.display(),
                did_you_mean(&scenario, &known)
            )))
        }
    }
}

/// What entries of the table begin with: it lacks everything.
const EMPTY: Scenario = Scenario {
    name: "",
    about: "",
    text: "",
    accepts: &[],
    takes_lists: false,
    lacks: None,
    lacks_part: None,
    prepare: |_| Err(HarnessError::Usage("this scenario is not in this build".into())),
    work: |_| Err(HarnessError::Usage("this scenario has no child processes".into())),
};

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args as _, Command};

    #[test]
    fn every_listed_name_is_explained_with_its_settings_and_an_unknown_one_not() {
        for name in names() {
            let text = explain(name).unwrap();
            assert!(text.len() > 100 && text.contains("\n  --"), "{name}: {text}");
        }
        assert!(explain("nonsense").is_err());
    }

    #[test]
    fn the_example_of_the_documentation_is_this_one_and_runs() {
        let documentation = include_str!("../../../docs/adding.md");
        assert!(documentation.contains(include_str!("example/mod.rs")));
        let parent = tempfile::tempdir().unwrap();
        let request = Request {
            engine: vec!["memory".into(), "palimpsest".into()],
            out: Some(parent.path().join("out")),
            rounds: Some(2),
            ..Request::default()
        };
        refuse(&example::SCENARIO, "opening", &request).unwrap();
        let run = (example::SCENARIO.prepare)(&request).unwrap();
        let record = make(run, &Directories::create(&request).unwrap()).unwrap();
        assert!(record.figures[0].value.is_some_and(|value| value > 0.0));
        assert_eq!(record.workload.overrides["rounds"], "2");
    }

    #[test]
    fn what_a_scenario_takes_are_options_and_each_is_taken_by_one() {
        let command = Request::augment_args(Command::new("harness"));
        for scenario in &SCENARIOS {
            for (setting, meaning) in scenario.accepts {
                let is_option = command
                    .get_arguments()
                    .any(|option| option.get_long() == Some(setting));
                assert!(is_option && !meaning.is_empty(), "{}: --{setting}", scenario.name);
            }
        }
        for setting in Request::all_settings().settings().keys() {
            let is_taken = |scenario: &Scenario| scenario.accepts.iter().any(|(name, _)| name == setting);
            assert!(SCENARIOS.iter().any(is_taken), "--{setting}");
        }
    }

    #[test]
    fn settings_that_do_not_go_with_a_workload_are_refused_with_what_does() {
        for scenario in &SCENARIOS {
            let mut request = Request::all_settings();
            let name = if scenario.name == "mix" {
                "oltp"
            } else {
                scenario.name
            };
            request.workload = Some(name.into());
            let message = refuse(scenario, name, &request).unwrap_err().to_string();
            assert!(
                message.contains(&format!("does not go with the workload {name}")),
                "{message}"
            );
            assert!(message.contains(&format!("{name} takes --")), "{message}");
        }
    }

    #[test]
    fn unknown_names_get_suggestions_and_missing_files_their_reason() {
        for (name, expected) in [
            ("oltpp", "did you mean `oltp`"),
            ("recover", "`recovery`"),
            ("mix", "did you mean `mixed`"),
            ("absent.toml", "cannot read the workload absent.toml"),
        ] {
            let message = explain(name).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
