use std::time::Duration;

use engine::planted::{self, Fault};

use super::explore::{Effort, check_losses, explore};
use super::minimise::{failure_of, minimise};
use super::play::record;
use super::prove::{Breadth, find};
use super::random::mix;
use super::scripts::scenarios;
use super::{damage, replay};
use crate::error::HarnessError;

/// Enough that the scripts and mixes below make more than 20,000 images.
const EFFORT: Effort = Effort {
    choices: 24,
    spread: 8,
    deeper_points: 8,
    deeper_images: 6,
    ..Effort::QUICK
};

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
        let tally = explore(&recording, &scenario.script.settings, &EFFORT, 1);
        assert!(tally.failures.is_empty(), "{name}: {:#?}", tally.failures);
        println!("{name}: {} images in {:.1?}", tally.images, tally.duration);
        images += tally.images;
        deepest += tally
            .phases
            .get("recovery of a recovery")
            .map_or(0, |phase| phase.images);
    }
    assert!(scripted.len() >= 12);
    for seed in 0..8 {
        let script = mix(seed);
        let recording = record(&script, seed).unwrap_or_else(|what| panic!("{}: {what}", script.name));
        let tally = explore(&recording, &script.settings, &EFFORT, seed);
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
        images >= 20_000 && deepest > 30,
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
    for (fault, description) in Fault::ALL {
        let (found, _) = find(
            *fault,
            description,
            &scripted,
            &Effort::QUICK,
            [1],
            Breadth::Everywhere,
        );
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
        Fault::ALL.len() >= 60 && missed.is_empty(),
        "not found: {missed:?}"
    );
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

#[test]
#[ignore = "for development"]
fn dev() {
    let names = std::env::var("CRASH").unwrap_or_default();
    let what = std::env::var("WHAT").unwrap_or("explore".into());
    let seed: u64 = std::env::var("SEED").map_or(1, |s| s.parse().unwrap());
    let fault = std::env::var("FAULT")
        .ok()
        .filter(|_| what != "prove")
        .map(|name| {
            Fault::ALL
                .iter()
                .find(|(fault, _)| format!("{fault:?}") == name)
                .unwrap()
                .0
        });
    let mut scripts: Vec<_> = scenarios().into_iter().map(|s| s.script).collect();
    scripts.extend((0..40).map(mix));
    if what == "prove" {
        let scripted: Vec<_> = scenarios()
            .into_iter()
            .filter(|s| std::env::var("LARGE").is_ok() || !s.script.is_large)
            .collect();
        let chosen = std::env::var("FAULT").ok();
        for (fault, description) in Fault::ALL {
            if chosen
                .as_ref()
                .is_some_and(|c| !c.split(',').any(|c| c == format!("{fault:?}")))
            {
                continue;
            }
            for seed in seed..seed + std::env::var("SEEDS").map_or(1, |s| s.parse().unwrap()) {
                let (found, _) = find(
                    *fault,
                    description,
                    &scripted,
                    &Effort::QUICK,
                    [seed],
                    Breadth::Likely,
                );
                println!(
                    "{:24} {seed} {:6} images {:8.1?} {:?} {} {}",
                    found.name,
                    found.images,
                    Duration::from_nanos(found.duration_ns),
                    found.check,
                    found.scenario.as_deref().unwrap_or("-"),
                    found.finding.as_deref().unwrap_or("NOT FOUND")
                );
            }
        }
        return;
    }
    planted::with(fault, || {
        for script in scripts {
            if !names.is_empty() && !names.split(',').any(|name| name == script.name) {
                continue;
            }
            let begun = std::time::Instant::now();
            let before = engine::reach::counts();
            if what == "faults" {
                let effort = super::faults::FaultEffort {
                    places: 3,
                    ways: 1,
                    threads: 2,
                };
                let mut swept = super::faults::Swept::default();
                let result = super::faults::sweep_script(&script, &effort, seed, &mut swept);
                let runs: u64 = swept.sweeps.iter().map(|s| s.runs).sum();
                println!(
                    "{}: {result:?} {runs} runs {:?} {:#?}",
                    script.name,
                    begun.elapsed(),
                    swept.failures
                );
                continue;
            }
            let recording = super::check::quietly(|| record(&script, seed));
            let recorded = begun.elapsed();
            let recording = match recording {
                Ok(recording) => recording,
                Err(what) => {
                    println!("{}: RUN {what}", script.name);
                    continue;
                }
            };
            if let Some(scenario) = scenarios().iter().find(|s| s.script.name == script.name) {
                if let Some(goal) = scenario.missed_goal(&recording) {
                    println!("MISSED {goal:?} {:?}", recording.ledger.reached);
                }
            }
            if what == "damage" {
                let (sweep, miss) = damage::sweep(&recording, &script.settings, 60, 2, seed);
                let n: u64 = sweep.blocks.iter().map(|b| b.flips).sum();
                println!("{}: {n} damages {:?} {miss:?}", script.name, begun.elapsed());
                continue;
            }
            println!(
                "{} {:?} {recorded:?}",
                recording.bytes,
                recording
                    .trace
                    .replay()
                    .image(engine::vfs::simulated::Survival::All)
                    .files
                    .len()
            );
            let tally = explore(&recording, &script.settings, &Effort::QUICK, seed);
            println!(
                "{}: {} ops, recorded {recorded:?}, {} choices, {} images, {} recoveries in {:?}; {} FAILED {:#?}",
                script.name,
                recording.trace.operations.len(),
                tally.choices,
                tally.images,
                tally.recoveries,
                tally.duration,
                tally.failure_count,
                tally
                    .failures
                    .iter()
                    .map(|f| (format!("{:?}", f.losses), &f.after, &f.finding))
                    .collect::<Vec<_>>()
            );
            if std::env::var("SHOW").is_ok() {
                if let Some(failure) = tally.failures.first() {
                    let mut replay = recording.trace.replay();
                    replay.step_to(failure.losses[0].point);
                    let image = replay.image(failure.losses[0].survival.unwrap());
                    let vfs = engine::vfs::SimulatedVfs::from_image(&image, 1);
                    let options = script.settings.alone().options(&vfs).unwrap();
                    println!("{:#?}", engine::salvage("/db/data", "/db/saved", options));
                    image.export(std::path::Path::new("/tmp/image")).unwrap();
                }
            }
            if std::env::var("REACH").is_ok() {
                let after = engine::reach::counts();
                for ((m, _), (a, b)) in engine::reach::Mechanism::ALL
                    .iter()
                    .zip(before.iter().zip(&after))
                {
                    if b > a {
                        print!("{m:?}:{} ", b - a);
                    }
                }
                println!();
            }
        }
    });
    println!("NEVER:");
    for ((m, _), a) in engine::reach::Mechanism::ALL.iter().zip(engine::reach::counts()) {
        if a == 0 {
            print!("{m:?} ");
        }
    }
    println!();
}

#[test]
#[ignore = "for development"]
fn dev_trace() {
    use super::explore::{Loss, describe};
    use engine::vfs::simulated::Survival;
    let name = std::env::var("CRASH").unwrap_or("insert".into());
    let script = scenarios()
        .into_iter()
        .find(|s| s.script.name == name)
        .unwrap()
        .script;
    let recording = record(&script, 1).unwrap();
    let losses: Vec<Loss> = match std::env::var("CASE").as_deref() {
        Ok("1") => vec![
            Loss {
                point: 4,
                survival: Some(Survival::Torn(10682531704454680323)),
            },
            Loss {
                point: 3,
                survival: Some(Survival::Torn(4194306)),
            },
        ],
        Ok("3") => vec![
            Loss {
                point: 8,
                survival: None,
            },
            Loss {
                point: 8,
                survival: Some(Survival::Torn(8388617)),
            },
        ],
        _ => vec![
            Loss {
                point: 10,
                survival: None,
            },
            Loss {
                point: 5,
                survival: Some(Survival::Torn(10485764)),
            },
        ],
    };
    for (at, op) in recording.trace.operations.iter().take(14).enumerate() {
        println!("{at} {}", describe(op));
    }
    let mut replay = recording.trace.replay();
    replay.step_to(losses[0].point);
    let settings = script.settings.alone();
    let expected = super::check::Expected {
        ledger: &recording.ledger,
        promised: engine::CommitId(0),
        settings: &settings,
    };
    let seed = 1;
    let recovered = match losses[0].survival {
        Some(survival) => {
            let image = replay.image(survival);
            for (path, bytes) in &image.files {
                println!(
                    "{} {} {:?}",
                    path.display(),
                    bytes.len(),
                    bytes.iter().position(|&b| b != 0)
                );
            }
            super::check::check(&image, expected, seed, true)
        }
        None => super::check::check_kill(&replay, expected, seed, true),
    }
    .unwrap();
    println!("found {}", recovered.commit);
    let trace = recovered.trace.unwrap();
    for (at, op) in trace.operations.iter().take(14).enumerate() {
        println!("{at} {}", describe(op));
    }
    let mut replay = trace.replay();
    replay.step_to(losses[1].point);
    let image = replay.image(losses[1].survival.unwrap());
    for (path, bytes) in &image.files {
        println!(
            "{} {} {:?}",
            path.display(),
            bytes.len(),
            bytes.iter().position(|&b| b != 0)
        );
    }
}
