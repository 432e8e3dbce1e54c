//! Nothing measured gets lost: not by a killed harness, nor by a reader that goes away, nor by another run.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use super::support::{harness, measurement, record, tiny};

#[test]
fn a_killed_run_leaves_what_it_had_and_the_next_one_names_its_databases() {
    let run = harness("--workload oltp --engine memory --rows 500 --warmup 0s --duration 400ms --repeat 20");
    let mut child = run
        .command()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    // The second repetition begins when the first is on disk.
    assert!(lines.any(|line| line.contains("memory 2/20: load")));
    child.kill().unwrap();
    child.wait().unwrap();

    let left = record(&run.out());
    assert_eq!(left["interrupted"], true);
    assert!(
        left["warnings"].to_string().contains("interrupted"),
        "{}",
        left["warnings"]
    );
    assert_eq!(measurement(&left, 0)["verification"]["state"], "verified");
    let report = harness(&format!("report {}", run.out().display())).finish();
    report.expect_code(0);
    assert!(run.out().join("report.html").exists());

    let again = tiny("oltp", "memory", &format!("--data-dir {}", run.out().display())).finish();
    again.expect_code(0);
    let said = again.stderr();
    assert!(said.contains("was left by a run that was killed"), "{said}");
}

#[test]
fn a_reader_that_goes_away_does_not_end_a_run() {
    for more in ["", "--json"] {
        let run = tiny("oltp", "memory", more);
        let mut child = run
            .command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        drop(child.stderr.take());
        assert!(child.wait().unwrap().success());
        assert_eq!(record(&run.out())["interrupted"], false);
    }
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = harness("list").command().stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write the result"));
}

#[test]
fn a_record_is_written_over_only_when_told_so() {
    let run = tiny("oltp", "memory", "--seed 1");
    run.finish().expect_code(0);
    run.finish()
        .expect_code(2)
        .expect_error(&["another run", "--overwrite"]);
    assert_eq!(record(&run.out())["workload"]["seed"], 1);
    let mut again = run.command();
    assert!(
        again
            .args(["--overwrite", "--seed", "2"])
            .output()
            .unwrap()
            .status
            .success()
    );
    assert_eq!(record(&run.out())["workload"]["seed"], 2);
}

#[test]
fn paths_are_bytes() {
    let run = tiny("oltp", "palimpsest", "");
    let out = run.directory.path().join(OsStr::from_bytes(b"out-\xff\xfe"));
    let output = run.command().arg("--out").arg(&out).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(measurement(&record(&out), 0)["verification"]["state"], "verified");
}
