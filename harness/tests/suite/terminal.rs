//! What a person sees while a run goes on and when it is over: lines, widths, and readers that go away.

use std::io::Read as _;
use std::process::Stdio;

use super::support::{harness, record, tiny};

/// Lines about parts of a phase that write a rate and latencies.
fn interval_lines(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.contains("transactions/s, p95 ") && line.contains(" retries"))
        .collect()
}

#[test]
fn a_run_tells_how_it_goes_where_there_is_no_terminal() {
    let more = "--duration 600ms --report-interval 250ms";
    for json in ["", "--json"] {
        let finished = tiny("oltp", "memory", &format!("{more} {json}")).finish();
        finished.expect_code(0);
        let text = finished.stderr();
        let lines = interval_lines(&text);
        // The end of a phase is the end of its last part, however late one is woken.
        let of = |phase: &str| lines.iter().filter(|line| line.contains(phase)).count();
        assert!(of(": warm-up: ") >= 1 && of(": run: ") >= 1, "{text}");
        let last = lines.last().unwrap();
        assert!(last.starts_with("memory 1/1: run: 600 ms of 600 ms: "), "{last}");
        assert!(
            last.contains("p99 ") && last.contains("max ") && last.contains(" aborted, "),
            "{last}"
        );
        assert!(interval_lines(&finished.stdout()).is_empty());
    }
    let finished = tiny("oltp", "memory", "--report-interval 0").finish();
    finished.expect_code(0);
    assert!(
        interval_lines(&finished.stderr()).is_empty(),
        "{}",
        finished.stderr()
    );
}

#[test]
fn phases_that_do_not_report_themselves_get_lines_too() {
    let run = harness("--workload recovery --rounds 6 --duration 300ms --report-interval 250ms");
    let finished = run.finish();
    finished.expect_code(0);
    // Six rounds of processes that are started take longer than this.
    let text = finished.stderr();
    assert!(
        text.contains("kill and reopen: ") && text.contains(" of 6 rounds: "),
        "{text}"
    );
}

#[test]
fn a_narrow_terminal_is_told_what_was_left_out_and_a_wide_one_gets_it() {
    let run = tiny("oltp", "memory", "");
    run.finish().expect_code(0);
    let report = |columns: &str| {
        let again = harness(&format!("report {}", run.out().display()));
        let output = again.command().env("COLUMNS", columns).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let narrow = report("60");
    assert!(narrow.contains("left out for width: "), "{narrow}");
    let wide = report("400");
    assert!(!wide.contains("left out for width"), "{wide}");
    let longest = |text: &str| text.lines().map(|line| line.chars().count()).max();
    assert!(longest(&narrow) < longest(&wide), "{narrow}");
}

/// Runs with a reader that goes away after some bytes.
#[track_caller]
fn read_a_little(command: &mut std::process::Command) -> String {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn output_that_breaks_off_ends_quietly_and_the_run_is_recorded() {
    for arguments in ["list", "explain oltp", "--help"] {
        assert_eq!(
            read_a_little(&mut harness(arguments).command()),
            "",
            "{arguments}"
        );
    }
    let run = tiny("oltp", "memory", "--json");
    let text = read_a_little(&mut run.command());
    assert!(!text.contains("error:") && !text.contains("panicked"), "{text}");
    assert_eq!(record(&run.out())["interrupted"], false);
}

#[test]
fn a_record_says_where_it_is_from_and_what_it_is_called() {
    let run = tiny("oltp", "memory", "").label("a larger cache");
    let finished = run.finish();
    finished.expect_code(0);
    let record = finished.record();
    assert_eq!(record["label"], "a larger cache");
    assert!(
        record["environment"]["host"]
            .as_str()
            .is_some_and(|host| !host.is_empty())
    );
    assert!(
        record["build"]["compiler"]
            .as_str()
            .unwrap()
            .starts_with("rustc ")
    );
    assert!(
        finished.stdout().contains("label: a larger cache; "),
        "{}",
        finished.stdout()
    );
    let page = std::fs::read_to_string(run.out().join("report.html")).unwrap();
    assert!(page.contains("a larger cache"));
    let out = run.out().display().to_string();
    let both = harness(&format!("report {out} {out}"));
    let compared = both.finish();
    compared.expect_code(0);
    assert!(
        compared.stdout().contains("comparison of oltp-") && compared.stdout().contains(" (a larger cache)"),
        "{}",
        compared.stdout()
    );
    let page = both
        .directory
        .path()
        .join("target/harness/comparison/comparison.html");
    assert!(
        std::fs::read_to_string(page)
            .unwrap()
            .contains("a larger cache · a larger cache")
    );
}
