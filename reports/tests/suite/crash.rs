//! Crash tests in records, text, pages, plots and verdicts.

use crate::crash_test;
use reports::RunRecord;
use reports::record::{CrashTest, Outcome, Verdict};

fn verdict(record: &RunRecord, id: &str) -> Verdict {
    let verdicts = reports::evaluate(record);
    let found = verdicts.into_iter().find(|verdict| verdict.id == id);
    found.unwrap_or_else(|| panic!("no verdict for {id}"))
}

fn outcomes(record: &RunRecord) -> [Outcome; 2] {
    ["crash-nothing-lost", "crash-injected-found"].map(|id| verdict(record, id).outcome)
}

/// A good record after a change of its crash test.
fn changed(change: impl FnOnce(&mut CrashTest)) -> RunRecord {
    let mut record = crash_test::record(3);
    change(record.crash.as_mut().expect("the record has a crash test"));
    record
}

#[test]
fn a_good_crash_test_passes_and_is_shown() {
    let record = crash_test::record(3);
    assert!(!record.verification_failed());
    assert_eq!(outcomes(&record), [Outcome::Pass; 2]);
    let text = reports::text_table(&record);
    let page = reports::render_report(&record).unwrap();
    for expected in [
        "group-commit",
        "240 random mixes",
        "failed sync: marked clean",
        "early-reuse",
        "page map: one bit",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
        assert!(page.contains(expected), "{expected}");
    }
    assert!(
        text.contains("all as promised") && text.contains("36 of 36 injected bugs found"),
        "{text}"
    );
    assert!(page.contains("nothing was lost; all 36 injected bugs were found"));
    for plot in ["crash-points", "crash-recoveries", "crash-injected-faults"] {
        assert!(page.contains(&format!("id=\"{plot}\"")), "{plot}");
    }
}

#[test]
fn a_loss_is_loud_and_says_how_to_see_it_again() {
    let record = crash_test::failed(3);
    assert!(record.verification_failed());
    let page = reports::render_report(&record).unwrap().replace("&#x2f;", "/");
    let text = reports::text_table_within(&record, 200);
    for shown in [&page, &text] {
        assert!(shown.contains("commit 17 was acknowledged as durable"));
        assert!(shown.contains("cargo run -p harness -- replay target/harness/demo-crash/failure-1.toml"));
    }
    assert!(
        text.contains("2 images NOT AS PROMISED") && text.contains("35 of 36 injected bugs found"),
        "{text}"
    );
    assert!(page.contains("class=\"banner fail\""));
    assert!(page.contains("1 of 36 injected bugs were NOT found"));
    assert_eq!(outcomes(&record), [Outcome::Fail, Outcome::Fail]);
    let detail = verdict(&record, "crash-injected-found").detail;
    assert!(detail.contains("checksum-without-salt"), "{detail}");
}

#[test]
fn everything_that_ends_wrong_fails_the_run() {
    type Change = fn(&mut CrashTest);
    let changes: [Change; 4] = [
        |crash| crash.scenarios[0].failures = 1,
        |crash| crash.random.as_mut().unwrap().failures = 1,
        |crash| crash.faults[0].failures = 1,
        |crash| crash.damage.as_mut().unwrap().blocks[0].missed = 1,
    ];
    for change in changes {
        let record = changed(change);
        assert!(record.verification_failed());
        assert_eq!(outcomes(&record)[0], Outcome::Fail);
    }
    let record = changed(|crash| crash.injected[0].caught = false);
    assert!(record.verification_failed());
    assert_eq!(outcomes(&record), [Outcome::Pass, Outcome::Fail]);
}

#[test]
fn too_few_faults_and_too_slow_recoveries_fail_and_nothing_tried_is_not_measured() {
    let record = changed(|crash| crash.injected.truncate(34));
    assert_eq!(outcomes(&record), [Outcome::Pass, Outcome::Fail]);
    let record = changed(|crash| crash.injected.clear());
    assert_eq!(outcomes(&record), [Outcome::Pass, Outcome::NotMeasured]);
    let record = changed(|crash| *crash = CrashTest::default());
    assert_eq!(outcomes(&record), [Outcome::NotMeasured; 2]);
    assert!(reports::plot::plots(&record).is_empty());
}

#[test]
fn phases_of_one_name_are_put_together() {
    let crash = crash_test::record(3).crash.unwrap();
    let phases = crash.phases();
    let names: Vec<&str> = phases.iter().map(|phase| phase.name.as_str()).collect();
    let mut once = names.clone();
    once.dedup();
    assert_eq!(names, once);
    assert_eq!(
        phases.iter().map(|phase| phase.points).sum::<u64>(),
        crash.points()
    );
    for phase in &phases {
        assert_eq!(
            phase.points,
            phase.by_operation.values().sum::<u64>(),
            "{}",
            phase.name
        );
    }
}

#[test]
fn a_record_with_crash_tests_is_the_same_after_saving() {
    let directory = tempfile::tempdir().unwrap();
    let record = crash_test::failed(3);
    let path = directory.path().join("run.json");
    record.save(&path).unwrap();
    assert_eq!(RunRecord::load(&path).unwrap(), record);
}

#[test]
fn schedules_are_judged_and_shown_and_their_absence_is_said() {
    let ids = ["schedules-nothing-broken", "schedules-injected-found"];
    let outcomes = |record: &RunRecord| ids.map(|id| verdict(record, id).outcome);
    let record = crash_test::record(3);
    // One injected bug is too few for a pass.
    assert_eq!(outcomes(&record), [Outcome::Pass, Outcome::Fail]);
    let text = reports::text_table(&record);
    assert!(
        text.contains("200 a second") && text.contains("WaiterNotWoken"),
        "{text}"
    );
    let page = reports::render_report(&record).unwrap();
    assert!(page.contains("2; 3; 1") && page.contains("119,204 of them different"));
    let failed = changed(|crash| crash.schedules.as_mut().unwrap().failures = 1);
    assert_eq!(outcomes(&failed)[0], Outcome::Fail);
    assert!(failed.verification_failed());
    let missed = changed(|crash| crash.schedules.as_mut().unwrap().injected[0].caught = false);
    assert!(missed.verification_failed());
    let absent = changed(|crash| {
        crash.schedules = Some(reports::record::Schedules {
            not_run: Some("not in this build".into()),
            ..Default::default()
        });
    });
    assert_eq!(outcomes(&absent), [Outcome::NotMeasured; 2]);
    assert!(!absent.verification_failed());
    assert!(reports::text_table(&absent).contains("not in this build"));
    assert!(
        reports::render_report(&absent)
            .unwrap()
            .contains("not in this build")
    );
}

#[test]
fn a_run_that_checked_no_image_does_not_say_that_nothing_was_lost() {
    let mut record = reports::RunRecord::new("r", "now");
    record.crash = Some(reports::record::CrashTest {
        engine: "a".into(),
        ..Default::default()
    });
    let page = reports::render_report(&record).unwrap();
    assert!(page.contains("0 images of a: none was checked"));
    assert!(!page.contains("nothing was lost") && page.contains("verdict-line open"));
    assert!(reports::text_table(&record).contains("none checked"));
}
