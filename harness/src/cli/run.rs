//! The main command: make a run, write its report, say how it went.

use std::fmt::Write as _;
use std::path::Path;

use reports::RunRecord;
use reports::record::{Outcome, Status, Workload as WorkloadRecord};

use super::args::RunArgs;
use super::suggest::did_you_mean;
use super::workload::{Workload, names, overrides, recorded_overrides, resolve};
use crate::adapters::factory;
use crate::error::{Exit, HarnessError, Result};
use crate::runner::directories::Directories;
use crate::runner::interrupt;
use crate::runner::parent::{MixRun, run_mix};
#[cfg(all(feature = "fuse", target_os = "linux"))]
use crate::scenarios::powerloss;
use crate::scenarios::{crash, ratios, recovery, space};

/// Makes the run that the command line asks for.
///
/// # Errors
/// Usage, or what kept the run from being made.
pub(crate) fn run(args: &RunArgs) -> Result<Exit> {
    let Some(name) = &args.workload else {
        let known: Vec<&str> = names().collect();
        return Err(HarnessError::Usage(format!(
            "nothing to do: give --workload NAME ({}) or a sub-command; --help explains",
            known.join(", ")
        )));
    };
    check_engines(&args.engine)?;
    if args.drop_syncs && name != "powerloss" {
        return Err(HarnessError::Usage(format!(
            "--drop-syncs does not go with the workload {name}: only powerloss has a file system of its own"
        )));
    }
    if args.deep && name != "crash" {
        return Err(HarnessError::Usage(format!(
            "--deep goes with the workload crash, not with {name}"
        )));
    }
    let workload = resolve(name, &overrides(args)?)?;
    let directories = Directories::create(name, args.out.as_deref(), args.data_dir.as_deref(), args.keep)?;
    interrupt::install()?;
    let record = match workload {
        Workload::Mix { spec, text } => run_mix(
            &directories,
            MixRun {
                engines: &args.engine,
                spec: &spec,
                workload: WorkloadRecord {
                    name: spec.name.clone(),
                    title: spec.title.clone(),
                    description: spec.description.clone(),
                    spec_toml: text,
                    seed: spec.seed,
                    overrides: recorded_overrides(args),
                },
                compression: args.compression.clone(),
                checkpoint_every: args.checkpoint_every,
            },
        )?,
        Workload::Ratios => ratios::run(&directories, args)?,
        Workload::Recovery => recovery::run(&directories, args)?,
        Workload::Space => space::run(&directories, args)?,
        #[cfg(all(feature = "fuse", target_os = "linux"))]
        Workload::PowerLoss => powerloss::run(&directories, args)?,
        Workload::Crash => crash::run(&directories, args)?,
    };
    finish(record, &directories.out, args.json)
}

fn check_engines(engines: &[String]) -> Result<()> {
    if engines.is_empty() {
        return Err(HarnessError::Usage("--engine needs at least one name".into()));
    }
    for (at, name) in engines.iter().enumerate() {
        factory(name)?;
        if engines[..at].contains(name) {
            return Err(HarnessError::Usage(format!(
                "engine `{name}` is given twice; use --repeat for repetitions"
            )));
        }
    }
    Ok(())
}

/// Judges the record, writes it with its report, and prints it.
fn finish(mut record: RunRecord, out: &Path, json: bool) -> Result<Exit> {
    record.verdicts = reports::evaluate(&record);
    let files = reports::write_report(out, &record).map_err(|error| HarnessError::Run(error.to_string()))?;
    let mut text = table(&record);
    let _ = write!(text, "\nreport: {}", files.html.display());
    if json {
        let json = record
            .to_json()
            .map_err(|error| HarnessError::Run(format!("cannot encode the record: {error}")))?;
        eprintln!("{text}");
        println!("{json}");
    } else {
        println!("{text}");
    }
    Ok(exit_of(&record))
}

/// The record as text for a terminal.
pub(super) fn table(record: &RunRecord) -> String {
    if record.ratios.is_empty() {
        reports::text_table(record)
    } else {
        reports::text_ratios(record)
    }
}

/// How a run with this record ends.
fn exit_of(record: &RunRecord) -> Exit {
    if record.verification_failed() {
        return Exit::Verification;
    }
    let failed = record
        .measurements
        .iter()
        .any(|measurement| matches!(measurement.status, Status::Failed { .. }));
    let ran_nothing = !record.measurements.is_empty()
        && record
            .measurements
            .iter()
            .all(|measurement| matches!(measurement.status, Status::Unsupported { .. }));
    let missed = record
        .verdicts
        .iter()
        .any(|verdict| verdict.outcome == Outcome::Fail);
    if failed || ran_nothing || missed {
        Exit::Failed
    } else {
        Exit::Good
    }
}

/// The message for an engine that a scenario cannot use.
pub(crate) fn one_engine<'a>(engines: &'a [String], scenario: &str) -> Result<&'a str> {
    let others: Vec<&String> = engines.iter().filter(|name| name.as_str() != "memory").collect();
    match others.as_slice() {
        [one] => Ok(one),
        _ => Err(HarnessError::Usage(format!(
            "{scenario} works on one engine beside the in-memory bound, and {} were given: {}; {}",
            others.len(),
            engines.join(", "),
            did_you_mean("palimpsest", &["palimpsest"])
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reports::record::{Measurement, Verdict, Verification};

    fn record(status: Status, verification: Verification) -> RunRecord {
        let mut record = RunRecord::new("r", "now");
        record.measurements.push(Measurement {
            status,
            verification,
            ..Measurement::default()
        });
        record
    }

    fn verified() -> Verification {
        Verification::Verified {
            transactions: 1,
            rows: 1,
            reads: None,
            structure: None,
        }
    }

    #[test]
    fn exit_codes_follow_the_worst_finding() {
        assert_eq!(exit_of(&record(Status::Ok, verified())), Exit::Good);
        let wrong = Verification::Failed {
            what: vec!["row 1".into()],
        };
        assert_eq!(exit_of(&record(Status::Ok, wrong)), Exit::Verification);
        let failed = Status::Failed {
            reason: "crash".into(),
        };
        assert_eq!(exit_of(&record(failed, Verification::default())), Exit::Failed);
        let unsupported = Status::Unsupported { reason: "no".into() };
        assert_eq!(
            exit_of(&record(unsupported.clone(), Verification::default())),
            Exit::Failed
        );
        let mut mixed = record(Status::Ok, verified());
        mixed.measurements.push(Measurement {
            status: unsupported,
            ..Measurement::default()
        });
        assert_eq!(
            exit_of(&mixed),
            Exit::Good,
            "one engine ran, and what the other cannot do is recorded"
        );
        mixed.verdicts.push(Verdict {
            outcome: Outcome::Fail,
            ..Verdict::default()
        });
        assert_eq!(exit_of(&mixed), Exit::Failed);
    }

    #[test]
    fn engines_must_exist_once() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(check_engines(&names(&["memory"])).is_ok());
        assert!(
            check_engines(&names(&["memory", "memory"]))
                .unwrap_err()
                .to_string()
                .contains("twice")
        );
        assert!(
            check_engines(&names(&["postgres"]))
                .unwrap_err()
                .to_string()
                .contains("unknown engine")
        );
        assert!(check_engines(&[]).is_err());
        assert_eq!(one_engine(&names(&["a", "memory"]), "ratios").unwrap(), "a");
        assert!(one_engine(&names(&["memory"]), "ratios").is_err());
    }
}
