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
        return match scenarios::load_only(request, directory) {
            Ok(()) => Ok(Exit::Good),
            Err(error) => ended(error),
        };
    }
    let run = scenarios::prepare(request)?;
    let directories = Directories::create(request)?;
    interrupt::install()?;
    match scenarios::make(run, &directories) {
        Ok(record) => finish(record, &directories.out, request.json),
        Err(error) => ended(error),
    }
}

/// What was killed because somebody wanted it leaves no result, and is no failure; what there was before it is on disk.
fn ended(error: HarnessError) -> Result<Exit> {
    match (interrupt::exit(), &error) {
        (Some(exit), HarnessError::Run(_)) => {
            crate::console::note(format_args!("error: {error}"));
            Ok(exit)
        }
        _ => Err(error),
    }
}

/// Judges the record, writes it with its report, and prints it.
fn finish(mut record: RunRecord, out: &Path, json: bool) -> Result<Exit> {
    record.verdicts = reports::evaluate(&record);
    let files = reports::write_report(out, &record).map_err(|error| HarnessError::Run(error.to_string()))?;
    let columns = if json {
        crate::console::width(std::io::stderr())
    } else {
        crate::console::width(std::io::stdout())
    };
    let mut text = table(&record, columns);
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
    Ok(exit_of(&record, interrupt::exit()))
}

/// The record as text for a terminal of so many columns.
pub(super) fn table(record: &RunRecord, columns: usize) -> String {
    if record.ratios.is_empty() {
        reports::text_table_within(record, columns)
    } else {
        reports::text_ratios_within(record, columns)
    }
}

/// How a run with this record ends. What was found wrong comes before that somebody has ended it, and that before what is
/// missing for it.
fn exit_of(record: &RunRecord, signal: Option<Exit>) -> Exit {
    if record.verification_failed() {
        return Exit::Verification;
    }
    // A signal that comes when everything is measured interrupts nothing.
    if let Some(exit) = signal.filter(|_| record.interrupted) {
        return exit;
    }
    let failed = record
        .measurements
        .iter()
        .any(|measurement| matches!(measurement.status, Status::Failed { .. }));
    // What can be known is refused before a run; what an engine refuses in it was asked for and was not done.
    let refused = record
        .measurements
        .iter()
        .any(|measurement| matches!(measurement.status, Status::Unsupported { .. }));
    let missed = record
        .verdicts
        .iter()
        .any(|verdict| verdict.outcome == Outcome::Fail);
    if failed || refused || missed {
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
        let exit_of = |record: &RunRecord| exit_of(record, None);
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
        let mut mixed = record(Status::Ok, verified());
        assert_eq!(exit_of(&mixed), Exit::Good);
        mixed.measurements.push(Measurement {
            status: unsupported,
            ..Measurement::default()
        });
        assert_eq!(
            exit_of(&mixed),
            Exit::Failed,
            "one engine ran, and the other was asked for too"
        );
        mixed.measurements.pop();
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

    #[test]
    fn an_interrupted_run_says_so_unless_something_was_wrong() {
        let mut record = record(Status::NotRun, Verification::default());
        record.interrupted = true;
        for signal in [Exit::Interrupted, Exit::Terminated] {
            assert_eq!(exit_of(&record, Some(signal)), signal);
        }
        record.measurements[0].verification = Verification::Failed {
            what: vec!["row 1".into()],
        };
        assert_eq!(exit_of(&record, Some(Exit::Interrupted)), Exit::Verification);
        record.measurements[0].verification = verified();
        record.interrupted = false;
        assert_eq!(
            exit_of(&record, Some(Exit::Interrupted)),
            Exit::Good,
            "it came too late to interrupt"
        );
        assert_eq!((Exit::Interrupted.code(), Exit::Terminated.code()), (130, 143));
    }
}
