//! The main command: make a run, write its report, say how it went.

use std::fmt::Write as _;
use std::path::Path;

use reports::RunRecord;
use reports::record::{Outcome, Status};

use crate::child::directories::Directories;
use crate::child::interrupt;
use crate::error::{Exit, HarnessError, Result};
use crate::request::Request;
use crate::scenarios;

/// Makes the run that is requested.
///
/// # Errors
/// Usage, or what kept the run from being made.
pub(super) fn run(request: &Request) -> Result<Exit> {
    if let Some(directory) = &request.prepare {
        return scenarios::load_only(request, directory).map(|()| Exit::Good);
    }
    let run = scenarios::prepare(request)?;
    let directories = Directories::create(request)?;
    interrupt::install()?;
    let record = scenarios::make(run, &directories)?;
    finish(record, &directories.out, request.json)
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
        crate::console::note(&text);
        crate::console::tell(&json);
    } else {
        crate::console::tell(&text);
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
        for outcome in [Outcome::Inconclusive, Outcome::NotJudged, Outcome::NotMeasured] {
            mixed.verdicts[0].outcome = outcome;
            assert_eq!(exit_of(&mixed), Exit::Good, "{outcome:?} is no failure");
        }
    }
}
