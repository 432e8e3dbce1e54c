use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use engine::injected::{self, Bug};

use super::effort::Effort;
use super::explore::{PhaseTally, Tally, check_losses, explore};
use super::minimise::{Failing, failure_of, minimise};
use super::play::record;
use super::prove::{ELSEWHERE, find, looked_for};
use super::random::mix;
use super::scripts::scenarios;
use super::search::{Asked, Found, Search};
use super::watch::{Progress, Watch};
use super::{damage, describe, faults, prove, replay};
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
        let damaged = damage::sweep(&recording, &scenario.script.settings, 60, &Effort::QUICK, 1).unwrap();
        assert_eq!(damaged.misses().next(), None, "{name}");
        let mut outcomes = damaged.outcomes.iter();
        for kind in ["superblock: bit flip", "extent: bit flip", "log frames: bit flip"] {
            assert!(
                outcomes.clone().any(|(other, _)| *other == kind),
                "{name}: {kind}"
            );
        }
        assert!(
            outcomes.any(|(_, outcome)| matches!(outcome, damage::Outcome::Detected)),
            "{name}"
        );
    }
}

#[test]
fn every_injected_bug_is_found() {
    if !injected::are_possible() {
        return;
    }
    let scripted = scenarios();
    let mut missed = Vec::new();
    for (fault, description) in looked_for() {
        let proof = find(fault, description, &scripted, &Effort::QUICK, [1]);
        let search = &proof.searches[0];
        let found = search
            .caught
            .as_ref()
            .map(|(_, script, finding)| (script, finding));
        println!(
            "{fault:?} {} images {:.1?} {found:?}",
            search.images, proof.duration
        );
        if !proof.is_complete() {
            missed.push(fault);
        }
    }
    assert!(
        looked_for().len() >= 55 && missed.is_empty(),
        "not found: {missed:?}"
    );
}

#[test]
fn every_injected_bug_is_looked_for_somewhere() {
    for (fault, _) in Bug::ALL {
        let here = looked_for().filter(|(other, _)| other == fault).count();
        let elsewhere = ELSEWHERE.iter().filter(|(other, _)| other == fault).count();
        assert_eq!(here + elsewhere, 1, "{fault:?}");
    }
}

#[test]
fn a_failure_is_made_short_and_can_be_replayed() {
    if !injected::are_possible() {
        return;
    }
    let script = (0..)
        .map(mix)
        .find(|script| !script.settings.direct)
        .expect("one with flushes");
    injected::with(Some(Bug::FlushWithoutSync), || {
        let failure = failure_of(&script, &Effort::QUICK, 3).expect("the fault shows");
        let failing = Failing {
            script: script.clone(),
            failure,
        };
        let patience = Duration::from_secs(20);
        let failing = minimise(failing, &Effort::QUICK, 3, patience);
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

#[test]
fn what_is_over_ends_every_search_soon_with_what_was_found() {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let effort = Effort {
        // So it is over for all but the first that asks.
        is_over: || ASKED.fetch_add(1, Ordering::Relaxed) > 0,
        ..Effort::QUICK
    };
    let again = || ASKED.store(0, Ordering::Relaxed);
    let scripted = scenarios();
    let script = &scripted[0].script;
    let recording = record(script, 1).unwrap();
    let begun = Instant::now();
    again();
    let tally = explore(&recording, &script.settings, &effort, 1);
    assert!((1..5).contains(&tally.images), "{tally:?}");
    again();
    let damaged = damage::sweep(&recording, &script.settings, 60, &effort, 1).unwrap();
    assert_eq!(damaged.outcomes.len(), 1);
    again();
    let mut runs = Vec::new();
    faults::sweep_script(script, (40, 6), &effort, 1, &mut runs).unwrap();
    assert_eq!(runs.len(), 1);
    for (fault, description) in looked_for() {
        again();
        let proof = find(fault, description, &scripted, &effort, [1, 2, 3]);
        assert!(proof.searches.len() <= 1 && (proof.is_complete() || proof.searches.is_empty()));
    }
    let failure = super::explore::Failure {
        losses: Vec::new(),
        after: String::new(),
        finding: "x".into(),
    };
    let script = script.clone();
    let same = minimise(Failing { script, failure }, &effort, 1, Duration::from_secs(600));
    assert_eq!(
        (same.script, same.failure.finding),
        (scripted[0].script.clone(), "x".into())
    );
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn each_part_tells_how_far_it_is_until_all_of_it_is_done() {
    let told = Mutex::new(Vec::new());
    let counts = Mutex::new(std::collections::BTreeMap::new());
    let watch = Watch {
        tell: &|progress| match progress {
            Progress::Phase { name, total, .. } => told.lock().unwrap().push((name, total, Vec::new())),
            Progress::Done { done, found } => {
                let mut told = told.lock().unwrap();
                let (part, _, so_far) = told.last_mut().unwrap();
                let tried = match *part {
                    "failing operations" => "runs with a failing operation",
                    _ => "images",
                };
                assert_eq!((found[0].1, found[1]), (tried, (0.0, "failures")));
                so_far.push(done);
                counts.lock().unwrap().insert(*part, found[0].0);
            }
            Progress::LeftOut(what) => panic!("{what}"),
        },
        ..Watch::NONE
    };
    let asked = Asked {
        seed: 1,
        threads: 2,
        deep: None,
    };
    let scripted: Vec<_> = scenarios().into_iter().take(2).collect();
    let mut search = Search::new(asked, &scripted, watch);
    for part in &Search::PARTS[..3] {
        part(&mut search, &mut |wrong| panic!("{wrong:?}")).unwrap();
    }
    let told = told.lock().unwrap();
    let parts: Vec<_> = told.iter().map(|(name, total, _)| (*name, *total)).collect();
    assert_eq!(
        parts,
        [("failing operations", 2), ("scripts", 2), ("random mixes", 8)]
    );
    for (name, total, done) in told.iter() {
        assert!(done.is_sorted() && done.last() == Some(total), "{name}: {done:?}");
    }
    let test = describe::test("x", &asked, &search.found, &[], Duration::ZERO);
    // Each part tells what it has found itself.
    let counts = counts.lock().unwrap();
    let scripts: u64 = test.scenarios.iter().map(|of| of.images).sum();
    let mixes = test.random.as_ref().map_or(0, |of| of.images);
    assert_eq!(
        (counts["scripts"], counts["random mixes"]),
        (scripts as f64, mixes as f64)
    );
    assert!(counts["failing operations"] > 0.0);
    assert!(
        test.is_good() && test.scenarios.len() == 2 && test.random.is_some_and(|random| random.mixes == 8)
    );
}

#[test]
fn every_count_of_the_search_is_in_the_record() {
    let scripted = scenarios();
    let tally = |first: u64| Tally {
        commits: first,
        operations: first + 1,
        phases: [(
            "commit".to_owned(),
            PhaseTally {
                points: first + 2,
                images: first + 3,
                by_operation: [("write", first + 4)].into_iter().collect(),
            },
        )]
        .into_iter()
        .collect(),
        choices: first + 5,
        images: first + 6,
        recoveries: first + 7,
        failures: Vec::new(),
        failure_count: first + 8,
        duration: Duration::from_nanos(first + 9),
    };
    let run = |outcome| faults::Run {
        script: String::new(),
        is_opening: true,
        injection: faults::Injection::Room(1),
        outcome,
        duration: Duration::from_nanos(30),
    };
    let went = faults::Outcome {
        struck: 31,
        refused: 32,
        is_poisoned: true,
        reopened: 33,
    };
    let outcomes = [
        damage::Outcome::Detected,
        damage::Outcome::Harmless,
        damage::Outcome::CutOff,
        damage::Outcome::Missed(String::new()),
    ];
    // One of the first, two of the second, ...
    let outcomes = outcomes.into_iter().enumerate();
    let outcomes = outcomes.flat_map(|(at, outcome)| std::iter::repeat_n(("kind", outcome), at + 1));
    let search = |images| prove::Search {
        images,
        caught: Some((prove::Check::Power, "insert".into(), "lost".into())),
    };
    let found = Found {
        faults: vec![run(Ok(went)), run(Ok(went)), run(Err("x".into()))],
        scripts: vec![(&scripted[0].script, tally(10))],
        damage: Some(vec![damage::Damaged {
            outcomes: outcomes.collect(),
            duration: Duration::from_nanos(40),
        }]),
        mixes: Some((50, tally(60))),
        schedules: None,
        reach: vec![("Reached".into(), "what", 70)],
        injected: vec![prove::Proof {
            fault: Bug::NoFrameCrc,
            description: "what",
            searches: vec![search(80), search(81), prove::Search::default()],
            duration: Duration::from_nanos(82),
        }],
    };
    let asked = Asked {
        seed: 90,
        threads: 91,
        deep: None,
    };
    let test = describe::test("x", &asked, &found, &[], Duration::from_nanos(92));
    let mut counts = Vec::new();
    numbers(&serde_json::to_value(test).unwrap(), &mut counts);
    counts.sort_unstable();
    let faults = [3, 62, 64, 2, 66, 1, 90];
    let damage = [10, 1, 2, 3, 4, 40];
    let scripts = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19];
    let mixes = [50, 61, 66, 67, 68, 69];
    let proof = [3, 2, 81, 82];
    let mut all = [&faults[..], &damage, &scripts, &mixes, &proof, &[70, 90, 91, 92]].concat();
    all.sort_unstable();
    assert_eq!(counts, all);
}

fn numbers(value: &serde_json::Value, all: &mut Vec<u64>) {
    match value {
        serde_json::Value::Array(values) => values.iter().for_each(|value| numbers(value, all)),
        serde_json::Value::Object(fields) => fields.values().for_each(|value| numbers(value, all)),
        value => all.extend(value.as_u64()),
    }
}
