//! What comes out: text for people, JSON for programs, reports again and comparisons, and what `list` and `explain` tell.

use super::support::{harness, tiny};

#[test]
fn json_goes_to_standard_output_alone() {
    let finished = tiny("ycsb-b", "memory", "--json").finish();
    finished.expect_code(0);
    let record: serde_json::Value = serde_json::from_str(&finished.stdout()).unwrap();
    assert_eq!(record, finished.record(), "what is printed is what is kept");
    assert!(
        finished.stderr().contains("tx/s"),
        "the table for people goes to standard error"
    );
}

#[test]
fn a_report_can_be_made_again_and_runs_compared() {
    let (one, two) = (
        tiny("ycsb-c", "memory", ""),
        tiny("ycsb-c", "memory", "--threads 1"),
    );
    one.finish().expect_code(0);
    two.finish().expect_code(0);
    let html = one.out().join("report.html");
    std::fs::remove_file(&html).unwrap();
    harness(&format!("report {}", one.out().display()))
        .finish()
        .expect_code(0);
    assert!(std::fs::read_to_string(&html).unwrap().contains("<svg"));

    let both = harness(&format!(
        "report {} {}",
        one.out().display(),
        two.out().join("run.json").display()
    ));
    let finished = both.finish();
    finished.expect_code(0);
    // Two other numbers of threads give no ratio, and the reason.
    let said = finished.stdout();
    assert!(
        said.contains("comparison of ") && said.contains("threads"),
        "{said}"
    );
    assert!(
        both.directory
            .path()
            .join("target/harness/comparison/comparison.html")
            .exists()
    );

    harness("report absent")
        .finish()
        .expect_code(2)
        .expect_error(&["absent"]);
}

#[test]
fn list_and_explain_tell_what_there_is() {
    let list = harness("list").finish();
    list.expect_code(0);
    for name in [
        "oltp",
        "ycsb-f",
        "ratios",
        "recovery",
        "palimpsest",
        "memory",
        "sqlite",
    ] {
        assert!(list.stdout().contains(name), "{name}");
    }
    assert!(
        !list.stdout().contains("lossy"),
        "injected bugs are not for listings"
    );
    let explained = harness("explain oltp").finish();
    explained.expect_code(0);
    assert!(explained.stdout().contains("10 rows") && explained.stdout().contains("sysbench"));
    let help = harness("--help").finish();
    help.expect_code(0);
    assert!(help.stdout().contains("Exit codes") && help.stdout().contains("Examples"));
}

#[test]
fn verify_answers_for_what_is_no_database() {
    harness("verify absent")
        .finish()
        .expect_code(2)
        .expect_error(&["no database at absent"]);
    let run = harness("verify foreign.db");
    std::fs::write(run.directory.path().join("foreign.db"), vec![7; 20_000]).unwrap();
    run.finish()
        .expect_code(1)
        .expect_error(&["foreign.db", "cannot read"]);
}
