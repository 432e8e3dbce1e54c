//! Plans of the model of the whole public interface. `MODEL_SEEDS=n` tries n seeds of each plan, from `MODEL_FROM` on.

use crate::model::{Plan, Reached, run};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// Runs a plan with some seeds.
fn run_seeds(plan: Plan, seeds: u64) -> Reached {
    let from = number("MODEL_FROM", plan.seed);
    let mut reached = Reached::default();
    for seed in from..from + number("MODEL_SEEDS", seeds) {
        reached.add(run(Plan { seed, ..plan }));
    }
    println!("{reached:?}");
    reached
}

#[test]
fn the_whole_interface_with_small_pages() {
    let reached = run_seeds(Plan::default(), 3);
    let Reached {
        busy,
        conflicts,
        drops_under_snapshots,
        commits_into_dropped_tables,
        commits_redone,
        ..
    } = reached;
    assert!(
        reached.scans > 1000 && reached.scans_in_motion > 10,
        "{reached:?}"
    );
    assert!(busy > 10 && conflicts > 10, "{reached:?}");
    assert!(
        reached.transactions_at_once == 3 && reached.snapshots_at_once > 64,
        "{reached:?}"
    );
    assert!(
        reached.savepoints_nested >= 3 && reached.savepoints_passed >= 3,
        "{reached:?}"
    );
    assert!(reached.waiting_at_once >= 2, "{reached:?}");
    assert!(
        drops_under_snapshots > 0 && commits_into_dropped_tables > 0,
        "{reached:?}"
    );
    assert!(
        reached.checkpoints > 5 && reached.crash_copies > 5 && commits_redone > 5,
        "{reached:?}"
    );
    assert!(reached.levels >= 2 && reached.overflow_pages > 0, "{reached:?}");
}

#[test]
fn the_whole_interface_with_kept_versions() {
    let plan = Plan {
        seed: 100,
        page_size: 16 << 10,
        keys: 400,
        keep_versions: 3,
        compression: "LZ4",
        ..Plan::default()
    };
    let reached = run_seeds(plan, 2);
    assert!(reached.older_snapshots > 10, "{reached:?}");
}

#[test]
fn the_whole_interface_with_little_memory() {
    let plan = Plan {
        seed: 200,
        keys: 1000,
        version_budget: Some(20_000),
        transaction_max: Some(8000),
        ..Plan::default()
    };
    let reached = run_seeds(plan, 2);
    assert!(
        reached.too_old > 10 && reached.too_large > 10 && reached.evictions > 10,
        "{reached:?}"
    );
}

#[test]
fn the_whole_interface_beside_the_background_thread() {
    let plan = Plan {
        seed: 300,
        background: true,
        ..Plan::default()
    };
    run_seeds(plan, 1);
}
