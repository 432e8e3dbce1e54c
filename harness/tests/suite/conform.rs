//! The sub-command `conform`, and what a run's own verification makes of wrong reads.

use super::support::{harness, tiny};

#[test]
fn what_an_engine_breaks_is_named_and_makes_exit_code_3() {
    let good = harness("conform memory --only scan-limit,sync").finish();
    good.expect_code(0);
    assert!(
        good.stdout().contains("passed          scan-limit"),
        "{}",
        good.stdout()
    );
    assert!(
        good.stdout().contains("does not apply  sync: declared"),
        "{}",
        good.stdout()
    );

    let wrong = harness("conform memory,memory-liar-ignores-limit --only scan-limit --json").finish();
    wrong.expect_code(3).expect_error(&[
        "BROKEN          scan-limit",
        "did       A: scan",
        "expected",
        "saw",
    ]);
    let json: serde_json::Value = serde_json::from_str(&wrong.stdout()).unwrap();
    assert_eq!(json[0]["rules"][0]["outcome"], "passed");
    assert_eq!(json[1]["rules"][0]["outcome"], "broken");
    assert!(json[1]["rules"][0]["finding"]["did"][0].is_string());

    harness("conform memory --only scan-limits")
        .finish()
        .expect_code(2)
        .expect_error(&["did you mean `scan-limit`"]);
    harness("conform").finish().expect_code(2);
    let rules = harness("conform --rules").finish();
    rules.expect_code(0);
    assert!(rules.stdout().lines().count() > 40 && rules.stdout().contains("no-write-skew"));
}

#[test]
fn wrong_reads_are_found_by_the_verification_of_a_run() {
    for (lie, kind) in [
        ("one-row-scans", "vanished-row"),
        ("scans-miss-rows", "vanished-row"),
        ("scans-repeat", "key-order"),
        ("wrong-order", "key-order"),
        ("start-exclusive", "vanished-row"),
        ("ignores-limit", "wrong-count"),
        ("wrong-count", "wrong-count"),
    ] {
        for keys in ["oltp", "ycsb-e"] {
            let run = tiny(keys, &format!("memory-liar-{lie}"), "");
            let finished = run.finish();
            finished.expect_code(3);
            let what = finished.record()["measurements"][0]["verification"].to_string();
            assert!(what.contains(kind), "{keys}, {lie}: {what}");
        }
    }
    for lie in ["gets-committed-only", "scans-committed-only"] {
        let finished = tiny("read-your-writes", &format!("memory-liar-{lie}"), "").finish();
        finished.expect_code(3);
        let what = finished.record()["measurements"][0]["verification"].to_string();
        assert!(
            what.contains("own-write: table drafts, key 0x00000000") && what.contains(" (row "),
            "{lie}: {what}"
        );
    }
    for (lie, kind) in [("misses-rows", "vanished-row"), ("stale-values", "stale-read")] {
        let finished = tiny("ycsb-a", &format!("memory-liar-{lie}"), "").finish();
        finished.expect_code(3);
        let what = finished.record()["measurements"][0]["verification"].to_string();
        assert!(what.contains(kind), "{lie}: {what}");
    }
}
