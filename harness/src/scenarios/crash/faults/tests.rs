//! The sweeps, reduced; and the proof that they see what they are for.

use engine::injected::{self, Bug};

use super::super::scripts::scenarios;
use super::*;

/// The scenarios that move the most bytes are left to the harness.
fn is_slow(script: &Script) -> bool {
    script.is_large || ["eviction", "dropped"].contains(&&*script.name)
}

fn sweep<'s>(
    scripts: impl IntoIterator<Item = &'s Script>,
    places_and_ways: (u64, usize),
    seed: u64,
) -> Result<Vec<Run>, String> {
    let mut runs = Vec::new();
    for script in scripts {
        sweep_script(script, places_and_ways, &Effort::QUICK, seed, &mut runs)?;
    }
    Ok(runs)
}

fn failures(scenario: &str, places: u64) -> Vec<Run> {
    let scripted = scenarios();
    let chosen = scripted.iter().filter(|one| one.script.name == scenario);
    let mut runs = sweep(chosen.map(|one| &one.script), (places, 6), 1).unwrap();
    assert!(!runs.is_empty());
    runs.retain(|run| run.outcome.is_err());
    runs
}

#[test]
fn failing_operations_lose_nothing() {
    let scripted = scenarios();
    let scripts = scripted.iter().map(|one| &one.script);
    let runs = sweep(scripts.filter(|script| !is_slow(script)), (3, 1), 3).unwrap();
    let wrong: Vec<_> = runs.iter().filter(|run| run.outcome.is_err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
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
        let of_kind = of_kind(&runs, kind);
        let (struck, refused) = of_kind.fold((0, 0), |sum, went| (sum.0 + went.struck, sum.1 + went.refused));
        assert!(
            struck > 0 && refused > 0,
            "{kind}: {struck} struck, {refused} refused"
        );
    }
    assert!(of_kind(&runs, "sync").any(|went| went.is_poisoned));
}

fn of_kind<'r>(runs: &'r [Run], kind: &str) -> impl Iterator<Item = &'r Outcome> {
    let of_kind = runs.iter().filter(move |run| run.kind() == kind);
    of_kind.filter_map(|run| run.outcome.as_ref().ok())
}

#[test]
fn a_failed_sync_that_is_tried_again_is_found() {
    if !injected::are_possible() {
        return;
    }
    let found = injected::with(Some(Bug::FailedSyncForgotten), || failures("insert", 40));
    let is_it = |run: &Run| {
        let finding = run.outcome.as_ref().err();
        run.injection.effect().starts_with("failed sync")
            && finding.is_some_and(|what| what.starts_with("power lost"))
    };
    assert!(found.iter().any(is_it), "{found:#?}");
}

#[test]
fn a_script_that_goes_wrong_by_itself_is_an_error() {
    if !injected::are_possible() {
        return;
    }
    let scripted = scenarios();
    let script = scripted.iter().find(|one| one.script.name == "checkpoint");
    let result = injected::with(Some(Bug::DirtyPageForgotten), || {
        sweep(script.map(|one| &one.script), (3, 1), 1)
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
