//! What an engine or a scenario does not have is refused before anything is run, with what there is.

use super::support::{harness, measurement, tiny};

#[track_caller]
fn refused(arguments: &str, parts: &[&str]) {
    let run = harness(arguments);
    run.finish().expect_code(2).expect_error(parts);
    assert!(!run.out().exists(), "{arguments}: something was made");
}

#[test]
fn levels_and_codecs_that_an_engine_does_not_have_are_refused_for_every_engine() {
    for engines in ["palimpsest", "memory,palimpsest", "palimpsest,memory"] {
        let asked = |option: &str| format!("--workload oltp --engine {engines} {option}");
        refused(
            &asked("--isolation serializable"),
            &[
                "palimpsest",
                "serializable",
                "it supports read-committed, snapshot",
            ],
        );
        refused(
            &asked("--durability in-memory"),
            &["palimpsest", "in-memory", "it supports sync, no-sync"],
        );
        refused(
            &asked("--compression brotli"),
            &["palimpsest", "brotli", "LZ4, NONE, ZSTD"],
        );
        refused(&asked("--compression zstd:99"), &["palimpsest", "99"]);
        refused(&asked("--value-size 2GiB"), &["value"]);
    }
}

#[test]
fn a_bound_runs_at_what_it_has_and_says_at_what() {
    let finished = tiny(
        "oltp",
        "memory",
        "--isolation serializable --compression LZ4 --cache-size 1MiB",
    )
    .finish();
    finished.expect_code(0);
    finished.expect_error(&["memory has no serializable; it runs at read-committed"]);
    let record = finished.record();
    let settings = &measurement(&record, 0)["settings"];
    assert_eq!(settings["isolation"], "read-committed");
    assert_eq!(settings["durability"], "in-memory");
    assert_eq!(settings["compression"], "none");
    assert!(
        finished.stdout().contains("memory has no serializable"),
        "{}",
        finished.stdout()
    );
}

#[test]
fn scenarios_refuse_what_they_would_ignore() {
    for (arguments, parts) in [
        ("--workload crash --rounds 5", &["--rounds", "--deep"][..]),
        ("--workload crash --duration 5s", &["--duration", "--deep"]),
        (
            "--workload crash --durability no-sync",
            &["--durability", "crash"],
        ),
        ("--workload recovery --deep", &["--deep", "crash"]),
        ("--workload recovery --deep --rounds 5", &["--deep", "crash"]),
        (
            "--workload recovery --isolation serializable",
            &["serializable", "snapshot"],
        ),
        ("--workload recovery --warmup 1s", &["--warmup", "recovery"]),
        (
            "--workload ratios --isolation snapshot",
            &["--isolation", "ratios"],
        ),
        ("--workload ratios --rounds 5", &["--rounds", "ratios"]),
        (
            "--workload recovery --compression brotli",
            &["brotli", "LZ4, NONE, ZSTD"],
        ),
        (
            "--workload space --compression brotli",
            &["brotli", "LZ4, NONE, ZSTD"],
        ),
        ("--workload space --threads 3", &["--threads", "space"]),
        ("--workload oltp --rounds 5", &["--rounds", "oltp"]),
        (
            "--workload space --set memory.busy-timeout=1s",
            &["memory.busy-timeout", "settings of palimpsest only"],
        ),
        ("--workload ratios --rows 1e12", &["--rows", "1000 to 268435456"]),
        (
            "--workload ratios --engine memory",
            &["keeps its data, and memory does not"],
        ),
        ("--workload oltp --drop-syncs", &["--drop-syncs", "powerloss"]),
    ] {
        refused(arguments, parts);
    }
}
