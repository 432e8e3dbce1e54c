//! The scenarios, tiny: the speed table, and kill-and-reopen.

use super::support::harness;

#[test]
fn the_speed_table_measures_every_row() {
    let finished = harness("--workload ratios --rows 10000 --duration 10ms --repeat 2").finish();
    // Nothing is asked of the speed of a test: targets may be missed.
    assert!([0, 1].contains(&finished.code()), "{}", finished.stderr());
    let record = finished.record();
    for row in record["ratios"].as_array().unwrap() {
        assert!(
            row["value"].as_f64().is_some_and(|value| value > 0.0),
            "not measured: {row}"
        );
        assert!(!row["samples"].as_array().unwrap().is_empty(), "{row}");
    }
    assert_eq!(record["ratios"].as_array().unwrap().len(), 15);
    assert_eq!(record["checks"][0]["status"], "passed");
    assert!(finished.stdout().contains("point get"), "{}", finished.stdout());
}

#[test]
fn space_is_drawn_over_time_beside_live_bytes() {
    let run = harness("--workload space --rows 5000 --value-size 2KiB");
    let finished = run.finish();
    // Nothing is asked of a database as small as this.
    assert!([0, 1].contains(&finished.code()), "{}", finished.stderr());
    let record = finished.record();
    let space = &record["space"][0];
    assert_eq!(space["updates"], 5000);
    assert_eq!(space["cache_size_bytes"].as_u64().unwrap(), 5000 * (2048 + 8) / 8);
    let samples = space["samples"].as_array().unwrap();
    assert_eq!(samples.last().unwrap()["live_bytes"], 5000 * (2048 + 8));
    assert!(samples.last().unwrap()["log_bytes"].as_u64().unwrap() > 0);
    assert!(space["largest_ratio"].as_f64().unwrap() >= 1.0, "{space}");
    assert_eq!(record["checks"][0]["status"], "passed");
    let verdicts = record["verdicts"].as_array().unwrap();
    let judged = verdicts.iter().find(|verdict| verdict["id"] == "space-over-time");
    assert_eq!(
        judged.unwrap()["outcome"],
        "not_measured",
        "the target is for 400,000 rows"
    );
    for plot in ["ratio", "bytes"] {
        let path = run
            .out()
            .join(format!("plots/space-{plot}-over-time-palimpsest.png"));
        assert!(path.is_file(), "{}", path.display());
    }
    harness("--workload space --engine memory")
        .finish()
        .expect_code(2);
    harness("--workload space --rows 10")
        .finish()
        .expect_code(2)
        .expect_error(&["4.00 MiB"]);
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    let finished = harness("--workload recovery --rounds 4 --duration 150ms --seed 3").finish();
    finished.expect_code(0);
    let recovery = &finished.record()["recovery"][0];
    assert_eq!(recovery["rounds"], 4);
    assert!(recovery["acknowledged"].as_u64().unwrap() > 0, "{recovery}");
    assert_eq!(
        (recovery["lost"].as_u64(), recovery["partial"].as_u64()),
        (Some(0), Some(0))
    );
    assert!(recovery["redo_bytes"].as_u64().unwrap() > 0, "{recovery}");
}

/// Commits that are not synced may be missing after a kill: the run says how many, and passes no verdict on those that must not.
#[test]
fn commits_that_may_be_missing_after_a_kill_are_counted_and_not_judged() {
    let finished =
        harness("--workload recovery --durability no-sync --rounds 8 --duration 150ms --seed 3").finish();
    finished.expect_code(0);
    let record = finished.record();
    let recovery = &record["recovery"][0];
    assert_eq!(recovery["durability"], "no-sync");
    let missing = recovery["missing_with_leave"].as_u64().unwrap();
    assert!(missing > 0, "{recovery}");
    assert_eq!(recovery["lost"], 0);
    let verdicts = record["verdicts"].as_array().unwrap();
    let judged = verdicts.iter().find(|verdict| verdict["id"] == "wal-recovery");
    assert_eq!(judged.unwrap()["outcome"], "not_measured");
    assert!(
        finished.stdout().contains("missing, as no-sync allows"),
        "{}",
        finished.stdout()
    );
}

#[test]
fn an_engine_that_loses_acknowledged_commits_is_found_out() {
    let run = harness("--workload recovery --engine palimpsest-lossy --rounds 3 --duration 400ms");
    let finished = run.finish();
    finished.expect_code(3);
    let recovery = &finished.record()["recovery"][0];
    assert!(recovery["lost"].as_u64().unwrap() > 0, "{recovery}");
    assert!(!recovery["findings"].as_array().unwrap().is_empty());
}

#[cfg(feature = "sqlite")]
#[test]
fn sqlite_is_killed_and_measured_like_any_other() {
    let finished = harness("--workload recovery --engine sqlite --rounds 12 --seed 5").finish();
    finished.expect_code(0);
    let recovery = &finished.record()["recovery"][0];
    assert_eq!(recovery["kind"], "kill");
    assert!(recovery["acknowledged"].as_u64().unwrap() > 0, "{recovery}");
    assert_eq!(recovery["lost"], 0);
    assert!(recovery["notes"][0].as_str().unwrap().contains("serializable"));
    let unsynced = super::support::tiny("ycsb-a", "sqlite,palimpsest", "--durability no-sync").finish();
    let record = unsynced.record();
    let missing = &super::support::measurement(&record, 0)["settings"]["survival"]["missing"];
    assert_eq!(*missing, 0, "it hands every commit to the kernel");
    let warnings = record["warnings"].to_string();
    assert!(warnings.contains("unequal_survival"), "{warnings}");
    let finished = super::support::tiny("oltp", "sqlite,palimpsest", "").finish();
    finished.expect_code(0);
    let measurement = &finished.record()["measurements"][0];
    assert_eq!(measurement["engine"], "sqlite");
    assert_eq!(measurement["verification"]["state"], "verified");
}

#[cfg(feature = "sqlite")]
#[test]
fn a_killed_sqlite_that_loses_acknowledged_commits_is_found_out() {
    let finished = harness("--workload recovery --engine sqlite-lossy --rounds 6 --duration 300ms").finish();
    finished.expect_code(3);
    assert!(finished.record()["recovery"][0]["lost"].as_u64().unwrap() > 0);
}

#[cfg(not(feature = "sqlite"))]
#[test]
fn a_build_without_sqlite_says_how_to_get_it() {
    harness("--workload recovery --engine sqlite")
        .finish()
        .expect_code(2)
        .expect_error(&["--features sqlite"]);
}

/// An injected bug that almost any order of threads shows.
const SCHEDULE: &str =
    r#"{"palimpsest_schedule_replay":1,"seed":1,"injected":"RowsNotLocked","finding":"as recorded"}"#;

#[test]
fn a_schedule_is_replayed_from_its_file_or_the_build_says_what_it_lacks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("schedule-1.json");
    std::fs::write(&path, SCHEDULE).unwrap();
    let finished = harness(&format!("replay {}", path.display())).finish();
    if cfg!(feature = "schedules") {
        finished.expect_code(3).expect_error(&["it fails again: "]);
        assert!(finished.stdout().contains("as recorded"), "{}", finished.stdout());
    } else {
        finished.expect_code(2).expect_error(&["--features schedules"]);
    }
    std::fs::write(&path, SCHEDULE.replace("replay\":1", "replay\":2")).unwrap();
    harness(&format!("replay {}", path.display()))
        .finish()
        .expect_code(2)
        .expect_error(&["version 2"]);
}
