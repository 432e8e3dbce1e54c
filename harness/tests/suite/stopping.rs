//! Ctrl-C and crashes: what was measured is kept.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::support::{Run, harness, measurement, record};

/// Starts a run, waits until the timed run has begun, and sends it signals.
fn interrupt(run: &Run, begun: &str, signals: &[Signal]) -> Option<i32> {
    let mut child = run
        .command()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(
        lines.any(|line| line.contains(begun)),
        "it never came to `{begun}`"
    );
    std::thread::sleep(Duration::from_millis(300));
    for signal in signals {
        kill_process(Pid::from_child(&child), *signal).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    // The pipe must be read to its end, or a full one would stop the harness.
    lines.for_each(drop);
    child.wait().unwrap().code()
}

#[test]
fn an_interrupted_run_is_verified_and_recorded() {
    let run = harness("--workload oltp --engine memory --rows 500 --warmup 0s --duration 60s --repeat 2");
    assert_eq!(interrupt(&run, "load", &[Signal::INT]), Some(130));
    let record = record(&run.out());
    assert_eq!(record["interrupted"], true);
    let first = measurement(&record, 0);
    assert_eq!(first["verification"]["state"], "verified");
    assert!(
        first["duration_ns"].as_u64().unwrap() < 30_000_000_000,
        "it did not run to its planned end"
    );
    assert!(first["warnings"].to_string().contains("interrupted"));
    assert_eq!(measurement(&record, 1)["status"]["state"], "not_run");
    assert!(run.out().join("report.html").exists());
}

#[test]
fn a_terminal_that_goes_away_ends_no_run() {
    let run = harness("--workload oltp --engine memory --rows 500 --warmup 0s --duration 1s");
    assert_eq!(interrupt(&run, "load", &[Signal::HUP; 3]), Some(0));
    let record = record(&run.out());
    assert_eq!(record["interrupted"], false);
    assert!(measurement(&record, 0)["duration_ns"].as_u64() >= Some(900_000_000));
}

#[test]
fn a_second_signal_kills_and_still_leaves_a_record() {
    // So many rows that the load is what gets interrupted twice.
    let run = harness("--workload oltp --engine memory --rows 500 --warmup 0s --duration 60s");
    assert_eq!(interrupt(&run, "load", &[Signal::INT; 2]), Some(130));
    assert_eq!(record(&run.out())["interrupted"], true);
}

#[test]
fn a_terminated_run_tells_which_signal_it_was() {
    let run = harness("--workload oltp --engine memory --rows 500 --warmup 0s --duration 60s");
    assert_eq!(interrupt(&run, "load", &[Signal::TERM]), Some(143));
    assert_eq!(record(&run.out())["interrupted"], true);
}

#[test]
fn an_interrupted_preparation_leaves_nothing_and_is_no_database_to_use() {
    let run =
        harness("--workload oltp --engine palimpsest --rows 50M --report-interval 250ms --prepare there");
    let place = run.directory.path().join("there");
    std::fs::create_dir(&place).unwrap();
    assert_eq!(interrupt(&run, "load", &[Signal::INT]), Some(130));
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0);
    super::support::tiny("oltp", "palimpsest", &format!("--use {}", place.display()))
        .finish()
        .expect_code(2)
        .expect_error(&["no prepared.json"]);
}

#[test]
fn databases_are_removed_unless_they_are_to_be_kept() {
    let leftovers = |run: &Run| {
        let entries = std::fs::read_dir(run.out())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        entries
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| name.starts_with("data"))
            .collect::<Vec<_>>()
    };
    let run = super::support::tiny("ycsb-c", "palimpsest", "");
    run.finish().expect_code(0);
    assert!(leftovers(&run).is_empty());

    let run = super::support::tiny("ycsb-c", "palimpsest", "--keep");
    let finished = run.finish();
    finished.expect_code(0).expect_error(&["databases are kept in"]);
    let left = leftovers(&run);
    assert!(
        matches!(&left[..], [one] if one.starts_with("databases-")),
        "{left:?}"
    );
    let data = std::fs::read_dir(run.out())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let database = data
        .into_iter()
        .find(|path| path.is_dir() && path.join("palimpsest-1").is_dir())
        .unwrap();
    let check = harness(&format!("verify {}", database.join("palimpsest-1").display()));
    let finished = check.finish();
    finished.expect_code(0);
    assert!(finished.stdout().contains("sound"));
    let salvage = harness(&format!(
        "salvage {} new.db",
        database.join("palimpsest-1").display()
    ));
    let finished = salvage.finish();
    finished.expect_code(0);
    assert!(finished.stdout().contains("everything was recovered"));
}
