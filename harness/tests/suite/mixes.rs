//! Mixes of transactions: every built-in one runs, is verified, and leaves a complete record.

use super::support::{harness, measurement, tiny};

const SPECS: [&str; 11] = [
    "oltp",
    "oltp-read-only",
    "oltp-write-only",
    "ycsb-a",
    "ycsb-b",
    "ycsb-c",
    "ycsb-d",
    "ycsb-e",
    "ycsb-f",
    "mixed",
    "read-your-writes",
];

fn every_mix_is_verified_on(engine: &str) {
    for spec in SPECS {
        let finished = tiny(spec, engine, "").finish();
        finished.expect_code(0);
        let record = finished.record();
        let measured = measurement(&record, 0);
        assert_eq!(measured["status"]["state"], "ok", "{spec}");
        assert_eq!(
            measured["verification"]["state"], "verified",
            "{spec}: {measured}"
        );
        assert!(
            measured["verification"]["transactions"].as_u64().unwrap() > 0,
            "{spec}"
        );
        assert!(
            measured["transactions_per_second"].as_f64().unwrap() > 0.0,
            "{spec}"
        );
    }
}

#[test]
fn settings_are_recorded_as_they_are_also_those_that_nobody_gave() {
    for (more, cache) in [
        ("", 256 << 20),
        // The least that the engine does not raise by itself.
        ("--cache-size 1MiB", 1 << 20),
        ("--cache-size 64MiB", 64 << 20),
    ] {
        let finished = tiny("ycsb-c", "palimpsest,memory", more).finish();
        finished.expect_code(0);
        let record = finished.record();
        let settings = &measurement(&record, 0)["settings"];
        let bytes = settings["cache_size_bytes"].as_u64().unwrap();
        // A little of it is for finding the pages.
        assert!((cache - cache / 64..=cache).contains(&bytes), "{more}: {bytes}");
        assert_eq!(settings["page_size_bytes"], 16 << 10);
        assert_eq!(settings["compression"], "none");
        assert!(measurement(&record, 1)["settings"]["cache_size_bytes"].is_null());
    }
    tiny("ycsb-c", "palimpsest", "--cache-size 64KiB")
        .finish()
        .expect_code(2)
        .expect_error(&["cache-size=64KiB", "at least 64 pages, which is 1MiB"]);
}

#[test]
fn every_mix_is_verified_on_memory() {
    every_mix_is_verified_on("memory");
}

#[test]
fn every_mix_is_verified_on_palimpsest() {
    every_mix_is_verified_on("palimpsest");
}

#[test]
fn repetitions_of_both_engines_interleave_and_probes_stand_between_them() {
    let finished = tiny(
        "oltp",
        "palimpsest,memory",
        "--repeat 2 --seed 9 --durability nosync",
    )
    .finish();
    finished.expect_code(0);
    let record = finished.record();
    let order: Vec<String> = record["measurements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{}{}", one["engine"].as_str().unwrap(), one["repetition"]))
        .collect();
    assert_eq!(order, ["palimpsest1", "memory1", "memory2", "palimpsest2"]);
    assert_eq!(measurement(&record, 0)["settings"]["durability"], "no-sync");
    assert_eq!(measurement(&record, 1)["settings"]["durability"], "in-memory");
    // The engine keeps such commits in the process for a while: the killed ones took theirs with them.
    let survival = &measurement(&record, 0)["settings"]["survival"];
    assert_eq!(survival["kills"], 3);
    assert!(survival["acknowledged"].as_u64() >= Some(300), "{survival}");
    assert!(survival["missing"].as_u64() > Some(0), "{survival}");
    assert!(measurement(&record, 1)["settings"]["survival"].is_null());
    assert!(
        measurement(&record, 1)["settings"]["notes"][0]
            .as_str()
            .unwrap()
            .contains("bound")
    );
    assert_eq!(record["workload"]["seed"], 9);
    assert_eq!(record["workload"]["overrides"]["repeat"], "2");
    let probes: Vec<u64> = record["probes"]["raw_flush"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sample| sample["repetition"].as_u64().unwrap())
        .collect();
    assert_eq!(probes, [1, 2, 3], "before each repetition and after the last");
}

#[test]
fn a_record_says_what_was_measured_where_and_what_was_not() {
    let finished = tiny("oltp", "memory", "").finish();
    let record = finished.record();
    assert_eq!(record["schema_version"], 1);
    let command = record["command"]["display"].as_str().unwrap();
    assert!(
        command.starts_with("cargo run -p harness -- --workload oltp --engine memory"),
        "{command}"
    );
    for field in ["kernel", "cpu_cores", "memory_bytes", "file_system"] {
        assert!(!record["environment"][field].is_null(), "{field}");
    }
    let measured = measurement(&record, 0);
    assert_eq!(measured["load"]["rows"], 500);
    assert_eq!(measured["transaction_types"][0]["name"], "read-write");
    for figure in ["transaction_ns", "operation_ns", "transaction_ns_all_threads"] {
        assert!(measured["loop_cost"][figure].as_f64().unwrap() > 0.0, "{figure}");
    }
    assert!(measured["loop_cost"]["allocations"].as_f64().unwrap() < 0.01);
    assert!(
        measured["transaction_types"][0]["latency"]["latency_ns_p99"]
            .as_u64()
            .unwrap()
            > 0
    );
    assert!(
        measured["engine_stats"]["flushes"].is_null(),
        "memory has no flushes, and that is not 0"
    );
    assert!(measured["hiccup"]["count"].as_u64().unwrap() > 0);
    let intervals = measured["intervals"].as_array().unwrap();
    let phases: Vec<&str> = intervals
        .iter()
        .map(|one| one["phase"].as_str().unwrap())
        .collect();
    assert_eq!(phases, ["warmup", "run"]);
    let warnings = record["warnings"].to_string();
    for warning in ["dev_build", "short_run", "single_repetition"] {
        assert!(warnings.contains(warning), "{warning} is missing in {warnings}");
    }
}

#[test]
fn the_default_durability_is_flushed_and_counted() {
    let finished = tiny("oltp-write-only", "palimpsest", "").finish();
    finished.expect_code(0);
    let record = finished.record();
    let measured = measurement(&record, 0);
    assert_eq!(measured["settings"]["durability"], "sync");
    let stats = &measured["engine_stats"];
    assert!(
        stats["flushes"].as_u64().unwrap() > 0 && stats["wal_bytes"].as_u64().unwrap() > 0,
        "{stats}"
    );
    assert_eq!(measured["verification"]["structure"], true);
    assert_eq!(stats["checkpoints_completed"], 1, "one in the middle of the run");
    assert!(stats["checkpoints"][0]["start_ns"].is_u64(), "{stats}");
    let verdicts = record["verdicts"].as_array().unwrap();
    let append = verdicts
        .iter()
        .find(|verdict| verdict["id"] == "wal-append")
        .unwrap();
    assert_eq!(append["outcome"], "pass");

    let without = tiny("oltp-write-only", "palimpsest", "--checkpoint-every 0").finish();
    without.expect_code(0);
    assert_eq!(
        measurement(&without.record(), 0)["engine_stats"]["checkpoints_completed"],
        0
    );
}

#[test]
fn too_high_a_rate_is_flagged_and_latency_counts_the_waiting() {
    let finished = tiny("oltp", "memory", "--rate 5000000").finish();
    finished.expect_code(0);
    let record = finished.record();
    let measured = measurement(&record, 0);
    assert_eq!(measured["overloaded"], true);
    assert!(
        measured["warnings"]
            .to_string()
            .contains("offered_exceeds_achieved")
    );
    // Whoever waits for its turn waits for a good part of the run, which no single transaction takes.
    let latency = &measured["transaction_types"][0]["latency"];
    assert!(
        latency["latency_ns_p99"].as_u64().unwrap() > 10_000_000,
        "{latency}"
    );
}

#[test]
fn a_low_rate_is_kept() {
    let finished = tiny("ycsb-c", "memory", "--rate 200 --duration 500ms").finish();
    finished.expect_code(0);
    let record = finished.record();
    let measured = measurement(&record, 0);
    let achieved = measured["transactions_per_second"].as_f64().unwrap();
    assert!(
        (50.0..400.0).contains(&achieved),
        "a hundred Poisson arrivals: {achieved}"
    );
    assert_eq!(measured["settings"]["offered_per_second"], 200.0);
}

#[test]
fn lost_commits_are_found_and_make_exit_code_3() {
    for engine in ["memory-lossy", "palimpsest-lossy"] {
        let finished = tiny("oltp", engine, "--durability nosync --duration 400ms").finish();
        finished.expect_code(3);
        let record = finished.record();
        let verification = &measurement(&record, 0)["verification"];
        assert_eq!(verification["state"], "failed");
        assert!(
            verification["what"].to_string().contains("lost-write"),
            "{verification}"
        );
    }
}

#[test]
fn writes_that_find_no_row_are_counted_one_by_one() {
    // One row: in each transaction the first of two deletes finds it, and the second of two updates the row that the first made.
    // Blind updates do not look.
    let spec = r#"
title = "misses"
isolation = "read-committed"
durability = "sync"
threads = 1
warmup = "0s"
run = "100ms"
[[table]]
name = "t"
rows = 1
[[transaction]]
name = "over-and-over"
operations = [
  { op = "delete", count = 2 },
  { op = "read-modify-write", count = 2 },
  { op = "update" },
]
"#;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("misses.toml");
    std::fs::write(&path, spec).unwrap();
    for engine in ["memory", "palimpsest"] {
        let finished = harness(&format!("--workload {} --engine {engine}", path.display())).finish();
        finished.expect_code(0);
        let record = finished.record();
        let counted = &measurement(&record, 0)["transaction_types"][0];
        let committed = counted["committed"].as_u64().unwrap();
        assert!(committed > 0, "{counted}");
        for count in ["updates_missed", "deletes_missed"] {
            assert_eq!(counted[count], committed, "{engine}, {count}: {counted}");
        }
        assert!(
            finished.stdout().contains("deletes without a row"),
            "{}",
            finished.stdout()
        );
    }
}
