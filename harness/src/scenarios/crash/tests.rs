use std::time::Duration;

use engine::planted::{self, Fault};

use super::explore::{Effort, check_losses, explore};
use super::minimise::{failure_of, minimise};
use super::play::record;
use super::prove::{ELSEWHERE, find, looked_for};
use super::random::mix;
use super::scripts::scenarios;
use super::{damage, replay};
use crate::error::HarnessError;

#[test]
fn power_loss_at_every_operation_of_every_script_and_of_random_mixes_loses_nothing() {
    let (mut images, mut deepest) = (0, 0);
    let scripted = scenarios();
    // Large databases are left to the harness, all but one.
    let is_quick = |name: &str| !name.starts_with("large-") || name == "large-drop";
    for scenario in scripted.iter().filter(|one| is_quick(&one.script.name)) {
        let name = &scenario.script.name;
        let recording = record(&scenario.script, 1).unwrap_or_else(|what| panic!("{name}: {what}"));
        assert_eq!(
            scenario.missed_goal(&recording),
            None,
            "{name} does not do what it is for: {:?}",
            recording.ledger.reached
        );
        let tally = explore(&recording, &scenario.script.settings, &Effort::QUICK, 1);
        assert!(tally.failures.is_empty(), "{name}: {:#?}", tally.failures);
        println!("{name}: {} images in {:.1?}", tally.images, tally.duration);
        images += tally.images;
        deepest += tally
            .phases
            .get("recovery of a recovery")
            .map_or(0, |phase| phase.images);
    }
    assert!(scripted.len() >= 12);
    for seed in 0..5 {
        let script = mix(seed);
        let recording = record(&script, seed).unwrap_or_else(|what| panic!("{}: {what}", script.name));
        let tally = explore(&recording, &script.settings, &Effort::QUICK, seed);
        assert!(
            tally.failures.is_empty(),
            "{}: {:#?}",
            script.name,
            tally.failures
        );
        images += tally.images;
    }
    println!("{images} images, {deepest} of crashes three deep");
    assert!(
        images >= 8_000 && deepest > 30,
        "{images} images, {deepest} of crashes three deep"
    );
}

#[test]
fn damage_at_rest_is_never_taken_for_data() {
    for scenario in scenarios() {
        let name = &scenario.script.name;
        let recording = record(&scenario.script, 1).unwrap_or_else(|what| panic!("{name}: {what}"));
        let (sweep, miss) = damage::sweep(&recording, &scenario.script.settings, 60, 2, 1);
        assert_eq!(miss, None, "{name}");
        for kind in ["superblock: bit flip", "extent: bit flip", "log frames: bit flip"] {
            let block = sweep.blocks.iter().find(|block| block.kind == kind);
            assert!(block.is_some_and(|block| block.flips > 0), "{name}: {kind}");
        }
        let detected: u64 = sweep.blocks.iter().map(|block| block.detected).sum();
        assert!(detected > 0, "{name}");
    }
}

#[test]
fn every_planted_fault_is_found() {
    if !planted::are_possible() {
        return;
    }
    let scripted = scenarios();
    let mut missed = Vec::new();
    for (fault, description) in looked_for() {
        let (found, _) = find(fault, description, &scripted, &Effort::QUICK, [1]);
        println!(
            "{:24} {:6} images {:8.1?} {} {}",
            found.name,
            found.images,
            Duration::from_nanos(found.duration_ns),
            found.scenario.as_deref().unwrap_or("-"),
            found.finding.as_deref().unwrap_or("NOT FOUND")
        );
        if !found.caught {
            missed.push(found.name);
        }
    }
    assert!(
        looked_for().len() >= 55 && missed.is_empty(),
        "not found: {missed:?}"
    );
}

#[test]
fn every_planted_fault_is_looked_for_somewhere() {
    for (fault, _) in Fault::ALL {
        let here = looked_for().filter(|(other, _)| other == fault).count();
        let elsewhere = ELSEWHERE.iter().filter(|(other, _)| other == fault).count();
        assert_eq!(here + elsewhere, 1, "{fault:?}");
    }
}

#[test]
fn a_failure_is_made_short_and_can_be_replayed() {
    if !planted::are_possible() {
        return;
    }
    let script = (0..)
        .map(mix)
        .find(|script| !script.settings.direct)
        .expect("one with flushes");
    planted::with(Some(Fault::FlushWithoutSync), || {
        let failure = failure_of(&script, &Effort::QUICK, 3).expect("the fault shows");
        let failing = minimise(&script, failure, &Effort::QUICK, 3, Duration::from_secs(20));
        assert!(failing.script.steps.len() <= 4, "{:#?}", failing.script.steps);
        let recording = record(&failing.script, 3).expect("it runs");
        let again = check_losses(&recording, &failing.script.settings, &failing.failure.losses, 3);
        assert_eq!(again.err(), Some(failing.failure.finding.clone()));

        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("failure.json");
        replay::write(&path, &failing, 3).expect("it is written");
        let error = replay(&path).expect_err("it fails again");
        assert!(matches!(error, HarnessError::Verification(_)), "{error}");
        let sound = std::fs::read_to_string(&path)
            .expect("text")
            .replace("FlushWithoutSync", "NoSuchFault");
        std::fs::write(&path, sound).expect("written");
        assert!(
            replay(&path)
                .expect_err("unknown fault")
                .to_string()
                .contains("NoSuchFault")
        );
    });
}

#[test]
fn what_is_no_replay_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x.json");
    assert!(
        replay(&path)
            .expect_err("missing")
            .to_string()
            .contains("cannot be read")
    );
    for (text, what) in [
        ("{}", "not a crash test"),
        (
            r#"{"palimpsest_crash_replay": 9, "seed": 1, "finding": "", "losses": [], "script": {"name": "", "title": "", "steps": []}}"#,
            "version 9",
        ),
        (
            r#"{"palimpsest_crash_replay": 1, "seed": 1, "finding": "", "losses": [], "script": {"name": "", "title": "", "settings": {"cache_pages": 99999999}, "steps": []}}"#,
            "cache_pages is 99999999",
        ),
        (
            r#"{"palimpsest_crash_replay": 1, "seed": 1, "finding": "", "losses": [], "script": {"name": "", "title": "", "steps": [{"put": {"slot": 0, "table": 0, "key": 1, "value": {"len": 4000000000, "version": 1}}}]}}"#,
            "length of a value",
        ),
        (
            r#"{"palimpsest_crash_replay": 1, "seed": 1, "finding": "", "losses": [{"point": 2, "survival": "all"}, {"point": 1}], "script": {"name": "", "title": "", "steps": []}}"#,
            "not the first one",
        ),
    ] {
        std::fs::write(&path, text).expect("written");
        let message = replay(&path).expect_err("refused").to_string();
        assert!(message.contains(what), "{message}");
    }
}
