//! The sweeps, reduced; and the proof that they see what they are for.

use engine::planted::{self, Fault as Planted};

use super::super::scripts::scenarios;
use super::*;

/// The scenarios that move the most bytes are left to the harness.
fn is_slow(script: &Script) -> bool {
    script.is_large || ["eviction", "dropped"].contains(&&*script.name)
}

fn sweep<'s>(
    scripts: impl IntoIterator<Item = &'s Script>,
    effort: &FaultEffort,
    seed: u64,
) -> Result<Swept, String> {
    let mut swept = Swept::default();
    for script in scripts {
        sweep_script(script, effort, seed, &mut swept)?;
    }
    Ok(swept)
}

fn failures(scenario: &str, places: u64) -> Vec<CrashFailure> {
    let scripted = scenarios();
    let chosen = scripted.iter().filter(|one| one.script.name == scenario);
    let effort = FaultEffort {
        places,
        ways: 6,
        threads: 2,
        first_only: false,
    };
    let swept = sweep(chosen.map(|one| &one.script), &effort, 1).unwrap();
    assert!(!swept.sweeps.is_empty());
    swept.failures
}

#[test]
fn failing_operations_lose_nothing() {
    let scripted = scenarios();
    let scripts = scripted.iter().map(|one| &one.script);
    let effort = FaultEffort {
        places: 3,
        ways: 1,
        threads: 2,
        first_only: false,
    };
    let swept = sweep(scripts.filter(|script| !is_slow(script)), &effort, 3).unwrap();
    assert!(swept.failures.is_empty(), "{:#?}", swept.failures);
    for sweep in &swept.sweeps {
        assert!(sweep.runs > 0 && sweep.failures == 0, "{sweep:?}");
    }
    // Every way to fail has struck, and some runs were stopped for good.
    for kind in [
        "read",
        "write",
        "set length",
        "sync",
        "sync directory",
        "open",
        "rename",
        "growth",
    ] {
        let of_kind = swept.sweeps.iter().filter(|sweep| sweep.kind == kind);
        let (struck, refused) =
            of_kind.fold((0, 0), |sum, sweep| (sum.0 + sweep.struck, sum.1 + sweep.refused));
        assert!(
            struck > 0 && refused > 0,
            "{kind}: {struck} struck, {refused} refused"
        );
    }
    let of_sync = swept.sweeps.iter().filter(|sweep| sweep.kind == "sync");
    assert!(of_sync.map(|sweep| sweep.poisoned).sum::<u64>() > 0);
}

#[test]
fn a_failed_sync_that_is_tried_again_is_found() {
    if !planted::are_possible() {
        return;
    }
    let found = planted::with(Some(Planted::FailedSyncForgotten), || failures("insert", 40));
    let is_it = |failure: &CrashFailure| {
        failure.choice.starts_with("failed sync") && failure.finding.starts_with("power lost")
    };
    assert!(found.iter().any(is_it), "{found:#?}");
}

#[test]
fn a_script_that_goes_wrong_by_itself_is_an_error() {
    if !planted::are_possible() {
        return;
    }
    let scripted = scenarios();
    let script = scripted.iter().find(|one| one.script.name == "checkpoint");
    let effort = FaultEffort {
        places: 3,
        ways: 1,
        threads: 2,
        first_only: false,
    };
    let result = planted::with(Some(Planted::DirtyPageForgotten), || {
        sweep(script.map(|one| &one.script), &effort, 1)
    });
    assert!(result.is_err_and(|what| what.starts_with("checkpoint: ")));
}

#[test]
fn places_are_spread_over_all_operations() {
    assert_eq!(places(10, 100, 7).count(), 10);
    assert_eq!(places(10, 3, 0).collect::<Vec<_>>(), [0, 4, 8]);
    assert_eq!(places(10, 3, 6).collect::<Vec<_>>(), [2, 6]);
    assert_eq!(places(0, 3, 1).count(), 0);
}
