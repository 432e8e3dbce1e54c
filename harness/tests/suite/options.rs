//! Settings of engines, several values of an option, and databases that are loaded once.

use std::path::Path;

use serde_json::Value;

use super::support::{Run, harness, measurement, tiny};

#[test]
fn settings_of_an_engine_are_in_effect_and_recorded_with_those_that_nobody_gave() {
    let set = "--set palimpsest.page-size=8KiB --set palimpsest.wal-sync=direct --busy-timeout 70ms";
    let finished = tiny("ycsb-a", "palimpsest,memory", set).finish();
    finished.expect_code(0);
    let record = finished.record();
    let settings = &measurement(&record, 0)["settings"];
    assert_eq!(settings["page_size_bytes"], 8192);
    assert_eq!(settings["sync_method"], "direct");
    let options = &settings["engine_options"];
    for (name, value) in [
        ("page-size", "8192"),
        ("wal-sync", "direct"),
        ("busy-timeout", "70"),
        ("wal-segment-size", "16777216"),
        ("compression", "NONE"),
    ] {
        assert_eq!(options[name], value, "{options}");
    }
    let bound = &measurement(&record, 1)["settings"];
    assert_eq!(
        (&bound["sync_method"], &bound["compression"]),
        (&"none".into(), &"none".into())
    );
    assert_eq!(
        record["workload"]["overrides"]["set"],
        "palimpsest.page-size=8KiB palimpsest.wal-sync=direct"
    );
}

#[test]
fn the_way_to_sync_is_the_same_in_all_repetitions() {
    let finished = tiny("ycsb-a", "palimpsest", "--repeat 3").finish();
    finished.expect_code(0);
    let record = finished.record();
    let first = &measurement(&record, 0)["settings"]["sync_method"];
    assert!(first == "fdatasync" || first == "direct", "{first}");
    for repetition in 1..3 {
        let settings = &measurement(&record, repetition)["settings"];
        assert_eq!(&settings["sync_method"], first);
        assert_eq!(&settings["engine_options"]["wal-sync"], first);
    }
}

#[test]
fn several_values_make_a_measurement_of_each_in_one_record() {
    let finished = tiny(
        "ycsb-a",
        "palimpsest,memory",
        "--threads 1,2 --set palimpsest.page-size=4KiB,8KiB",
    )
    .finish();
    finished
        .expect_code(0)
        .expect_error(&["6 cases", "threads 2, page-size 8KiB"]);
    let record = finished.record();
    let found: Vec<String> = (0..6)
        .map(|index| {
            let one = measurement(&record, index);
            assert_eq!(one["verification"]["state"], "verified");
            let page_size = &one["settings"]["page_size_bytes"];
            format!("{} {} {page_size}", one["engine"], one["settings"]["threads"])
        })
        .collect();
    assert_eq!(
        found,
        [
            "\"palimpsest\" 1 4096",
            "\"palimpsest\" 1 8192",
            "\"memory\" 1 null",
            "\"palimpsest\" 2 4096",
            "\"palimpsest\" 2 8192",
            "\"memory\" 2 null",
        ]
    );
    assert_eq!(
        measurement(&record, 4)["varied"],
        serde_json::json!([
            {"name": "threads", "value": "2", "number": 2.0},
            {"name": "palimpsest.page-size", "value": "8KiB", "number": 8192.0},
        ])
    );
}

#[test]
fn what_cannot_be_varied_or_set_is_refused_before_anything_runs() {
    for (arguments, parts) in [
        (
            "--workload ratios --rows 1000,2000",
            ["--rows takes one value", "mixes"],
        ),
        (
            "--workload oltp --threads 1,200",
            ["may be one number or several", "1200"],
        ),
        (
            "--workload oltp --set palimpsest.page-size=5000",
            ["page_size", "power of two"],
        ),
        (
            "--workload oltp --set palimpsest.pagesize=8KiB",
            ["has no setting `pagesize`", "did you mean `page-size`"],
        ),
        (
            "--workload oltp --set memory.cache-size=1MiB",
            ["memory", "no cache of a settable size"],
        ),
        (
            "--workload oltp --set oltp.page-size=1MiB",
            ["no engine `oltp`", "palimpsest, memory"],
        ),
        (
            "--workload crash --set palimpsest.page-size=8KiB",
            ["--set does not go with", "crash"],
        ),
        (
            "--workload crash --prepare there",
            ["--prepare does not go with", "mixes"],
        ),
    ] {
        let run = harness(arguments);
        run.finish().expect_code(2).expect_error(&parts);
        assert!(!run.out().exists(), "{arguments}");
    }
}

fn prepare(directory: &Path, more: &str) -> Run {
    harness(&format!(
        "--workload ycsb-a --engine palimpsest,memory --rows 500 {more} --prepare {}",
        directory.display()
    ))
}

fn on(directory: &Path, more: &str) -> Run {
    tiny(
        "ycsb-a",
        "palimpsest,memory",
        &format!("--use {} {more}", directory.display()),
    )
}

#[test]
fn a_prepared_database_is_used_by_many_runs_and_stays_as_it_is() {
    let parent = tempfile::tempdir().unwrap();
    let prepared = parent.path().join("prepared");
    let finished = prepare(&prepared, "--set palimpsest.page-size=8KiB").finish();
    finished.expect_code(0).expect_error(&["memory keeps nothing"]);
    assert!(finished.stdout().contains("--use"), "{}", finished.stdout());
    let bytes = std::fs::read(prepared.join("palimpsest/palimpsest.db")).unwrap();
    for _ in 0..2 {
        let finished = on(&prepared, "--repeat 2").finish();
        finished.expect_code(0);
        let record = finished.record();
        for index in 0..4 {
            let one = measurement(&record, index);
            assert_eq!(one["verification"]["state"], "verified", "{one}");
            let is_loaded = one["engine"] == "memory";
            assert_eq!(one["load"] != Value::Null, is_loaded);
            if !is_loaded {
                assert_eq!(one["settings"]["page_size_bytes"], 8192, "as it was made");
                assert!(one["settings"]["notes"].to_string().contains("prepared"));
            }
        }
    }
    assert_eq!(
        std::fs::read(prepared.join("palimpsest/palimpsest.db")).unwrap(),
        bytes
    );
}

#[test]
fn what_was_not_prepared_for_a_run_is_refused_with_the_difference() {
    let parent = tempfile::tempdir().unwrap();
    let prepared = parent.path().join("prepared");
    prepare(&prepared, "").finish().expect_code(0);
    prepare(&prepared, "")
        .finish()
        .expect_code(2)
        .expect_error(&["something in it"]);
    for (more, difference) in [
        ("--rows 501", "it has rows 500, and the run 501"),
        ("--value-size 10", "it has values"),
        (
            "--compression LZ4",
            "compression the default, and the run has LZ4",
        ),
        (
            "--set palimpsest.page-size=8KiB",
            "page-size the default, and the run has 8KiB",
        ),
    ] {
        on(&prepared, more)
            .finish()
            .expect_code(2)
            .expect_error(&[difference, "prepare again"]);
    }
    let none = parent.path().join("none");
    on(&none, "")
        .finish()
        .expect_code(2)
        .expect_error(&["no prepared.json", "--prepare DIR"]);
}

#[test]
fn a_prepared_database_that_is_not_what_its_file_says_fails_verification() {
    let parent = tempfile::tempdir().unwrap();
    let prepared = parent.path().join("prepared");
    prepare(&prepared, "--rows 400").finish().expect_code(0);
    let file = prepared.join("prepared.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"rows\": 400", "\"rows\": 500")).unwrap();
    let run = tiny("ycsb-c", "palimpsest", &format!("--use {}", prepared.display()));
    run.finish().expect_code(3);
}

/// Every setting of every engine of this build, and those that all engines have, as `--set` takes them.
fn all_settings() -> Vec<String> {
    let list = harness("list").finish();
    let text = list.stdout();
    let engines = text.split("\nEngines").nth(1).unwrap();
    let (engines, common) = engines.split_once("\nSettings of an engine").unwrap();
    let (mut engine, mut found) = (String::new(), Vec::new());
    for line in engines.lines().skip(1) {
        let words = line.trim_start();
        let indent = line.len() - words.len();
        if indent == 2 && line.contains("not in this build") {
            engine.clear();
        } else if indent == 2 {
            engine = words.split_whitespace().next().unwrap().to_owned();
            let names = common.lines().skip(1).filter(|line| line.starts_with("     "));
            let names = names.filter_map(|line| line.split_whitespace().next());
            found.extend(names.map(|name| format!("{engine}.{name}")));
        } else if let Some((name, _)) = words.split_once('=')
            && !engine.is_empty()
            && !name.contains(' ')
        {
            found.push(format!("{engine}.{name}"));
        }
    }
    found
}

#[test]
fn a_setting_of_nothing_or_of_far_too_much_is_refused_before_the_run_or_works() {
    let settings = all_settings();
    assert!(
        settings.contains(&"palimpsest.max-transaction-size".to_owned()),
        "{settings:?}"
    );
    assert!(
        settings.contains(&"palimpsest.cache-size".to_owned()),
        "{settings:?}"
    );
    let mut refused = 0;
    for setting in &settings {
        let engine = setting.split('.').next().unwrap();
        for value in ["0", "1", "18446744073709551615", "1EiB", "900000000000d"] {
            let run = harness(&format!(
                "--workload ycsb-a --engine {engine} --rows 100 --threads 1 --warmup 0s --duration 20ms --set {setting}={value}"
            ));
            let finished = run.finish();
            match finished.code() {
                0 => {}
                2 => {
                    assert!(!run.out().exists(), "{setting}={value} was refused late");
                    refused += 1;
                }
                code => panic!("{setting}={value}: exit code {code}: {}", finished.stderr()),
            }
        }
    }
    assert!(refused > settings.len(), "{refused}");
}

#[test]
fn a_load_that_passes_the_transaction_size_names_the_row_and_the_option() {
    let arguments = "--rows 5000 --value-size 10KiB --set palimpsest.max-transaction-size=2MiB";
    let finished = tiny("ycsb-a", "palimpsest", arguments).finish();
    finished.expect_code(1).expect_error(&[
        // A row takes its 10 KiB, its key and less than 200 bytes more.
        "load row 20",
        " of table usertable: ",
        "transaction too large",
        "limit of 2097152",
        "--set palimpsest.max-transaction-size",
    ]);
    // What fits is not refused by an estimate.
    let arguments = "--rows 1000 --value-size 1000B --set palimpsest.max-transaction-size=1200KiB";
    tiny("ycsb-c", "palimpsest", arguments).finish().expect_code(0);
}

#[test]
fn one_engine_takes_no_settings_of_another_nor_those_that_it_does_not_have() {
    for workload in ["ratios", "space", "recovery"] {
        for set in ["memory.busy-timeout=1s", "memory.x=1"] {
            let run = harness(&format!(
                "--workload {workload} --engine palimpsest,memory --set {set}"
            ));
            run.finish()
                .expect_code(2)
                .expect_error(&["memory.", "settings of palimpsest only"]);
            assert!(!run.out().exists(), "{workload} {set}: refused late");
        }
    }
}

#[test]
fn a_cache_that_does_not_fit_is_refused_with_the_memory_that_there_is() {
    for given in ["--cache-size 1EiB", "--set palimpsest.cache-size=1EiB"] {
        let run = tiny("ycsb-c", "palimpsest", given);
        run.finish()
            .expect_code(2)
            .expect_error(&["a cache of 1.00 EiB is more than the memory of this machine"]);
        assert!(!run.out().exists(), "{given}: refused late");
    }
    let run = tiny("ycsb-c", "palimpsest", "--set palimpsest.cache-size=1");
    run.finish().expect_code(2).expect_error(&["at least 64KiB"]);
}

#[test]
fn damaged_files_of_a_prepared_database_fail_verification_whether_it_opens_or_not() {
    let parent = tempfile::tempdir().unwrap();
    let prepared = parent.path().join("prepared");
    prepare(&prepared, "").finish().expect_code(0);
    let file = prepared.join("palimpsest/palimpsest.db");
    let whole = std::fs::read(&file).unwrap();
    let half = whole.len() / 2;
    let mut zeroed = whole.clone();
    // All pages but those that say what kind of file it is.
    zeroed[64 << 10..].fill(0);
    // It opens, and the run ends at the first row that is in there.
    let mut hole = whole.clone();
    hole[half..half + (64 << 10)].fill(0);
    for (bytes, how, kinds) in [
        (zeroed, "zeroed", &["not-opened: ", "structure: "][..]),
        (
            whole[..half].to_vec(),
            "cut off",
            &["not-opened: ", "structure: "],
        ),
        (vec![7; half], "foreign", &["not-opened: "]),
        (hole, "with a hole", &["structure: "]),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let finished = on(&prepared, "").finish();
        finished.expect_code(3);
        let verification = &finished.record()["measurements"][0]["verification"];
        assert_eq!(verification["state"], "failed", "{how}: {verification}");
        let kind = verification["what"][0].as_str().unwrap();
        assert!(
            kinds.iter().any(|expected| kind.starts_with(expected)),
            "{how}: {kind}"
        );
    }
}
