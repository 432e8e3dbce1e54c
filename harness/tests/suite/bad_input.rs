//! Wrong input: exit code 2, and a text that says what is wrong, where, and what would do.

use super::support::{harness, tiny};

#[test]
fn unknown_names_get_suggestions() {
    harness("--workload oltpp")
        .finish()
        .expect_code(2)
        .expect_error(&["`oltpp`", "did you mean `oltp`"]);
    tiny("oltp", "palimpset", "")
        .finish()
        .expect_code(2)
        .expect_error(&["`palimpset`", "did you mean `palimpsest`"]);
    harness("explain ycsb_a")
        .finish()
        .expect_code(2)
        .expect_error(&["did you mean `ycsb-a`"]);
    harness("")
        .finish()
        .expect_code(2)
        .expect_error(&["--workload", "oltp", "--help"]);
}

#[test]
fn bad_options_name_themselves() {
    for (arguments, parts) in [
        ("--rows many", ["--rows", "100k"]),
        ("--duration 10", ["--duration", "10s"]),
        ("--cache-size 5parsecs", ["--cache-size", "64MiB"]),
        ("--durability maybe", ["--durability", "no-sync"]),
        ("--isolation total", ["--isolation", "snapshot"]),
        ("--rate 0", ["--rate", "above 0"]),
        ("--threads 100000", ["--threads", "65535"]),
        ("--frobnicate", ["--frobnicate", "--help"]),
    ] {
        harness(&format!("--workload oltp --engine memory {arguments}"))
            .finish()
            .expect_code(2)
            .expect_error(&parts);
    }
}

#[test]
fn a_malformed_specification_is_shown_with_line_and_expectation() {
    let run = harness("--workload bad.toml --engine memory");
    let text = "title = \"t\"\nthreads = 2\n\n[[table]]\nname = \"t\"\nrows = \"many\"\n";
    std::fs::write(run.directory.path().join("bad.toml"), text).unwrap();
    run.finish().expect_code(2).expect_error(&["bad.toml:6", "rows"]);

    let run = harness("--workload typo.toml --engine memory");
    std::fs::write(run.directory.path().join("typo.toml"), "titel = \"t\"\n").unwrap();
    run.finish()
        .expect_code(2)
        .expect_error(&["typo.toml:1", "titel", "title"]);

    harness("--workload absent.toml --engine memory")
        .finish()
        .expect_code(2)
        .expect_error(&["absent.toml"]);
}

#[test]
fn a_specification_of_ones_own_runs() {
    let run = harness("--workload mine.toml --engine memory --duration 100ms --warmup 0s");
    let explained = harness("explain oltp").finish();
    explained.expect_code(0);
    let text = r#"
title = "Mine"
description = "One row read at a time."
[[table]]
name = "rows"
rows = 100
[[transaction]]
name = "look"
operations = [{ op = "point-read" }]
"#;
    std::fs::write(run.directory.path().join("mine.toml"), text).unwrap();
    let finished = run.finish();
    finished.expect_code(0);
    assert_eq!(finished.record()["workload"]["title"], "Mine");
    assert!(finished.record()["run_id"].as_str().unwrap().starts_with("mine-"));
}

#[test]
fn an_output_directory_that_cannot_be_made_is_refused() {
    let run = harness("--workload oltp --engine memory");
    std::fs::write(run.out(), "a file stands where the directory should be").unwrap();
    run.finish().expect_code(2).expect_error(&["out", "--out"]);
}

#[test]
fn options_of_other_workloads_are_refused_by_scenarios() {
    harness("--workload ratios --threads 3")
        .finish()
        .expect_code(2)
        .expect_error(&["--threads", "ratios"]);
    harness("--workload ratios --engine memory")
        .finish()
        .expect_code(2)
        .expect_error(&["ratios"]);
    harness("--workload ratios --rows 5")
        .finish()
        .expect_code(2)
        .expect_error(&["--rows 5", "1000"]);
    harness("--workload recovery --engine memory")
        .finish()
        .expect_code(2)
        .expect_error(&["recovery"]);
    harness("--workload recovery --rate 5")
        .finish()
        .expect_code(2)
        .expect_error(&["--rate", "recovery"]);
}
