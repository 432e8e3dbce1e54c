//! Loss of power, tiny: where FUSE can be used and where not.

use super::support::harness;
#[cfg(all(feature = "fuse", target_os = "linux"))]
use super::support::{Finished, Run};

#[cfg(not(all(feature = "fuse", target_os = "linux")))]
#[test]
fn a_build_without_the_file_system_says_how_to_get_it() {
    harness("--workload powerloss")
        .finish()
        .expect_code(2)
        .expect_error(&["--features fuse"]);
}

#[test]
fn dropping_syncs_needs_the_file_system_that_can_do_it() {
    harness("--workload recovery --drop-syncs")
        .finish()
        .expect_code(2)
        .expect_error(&["--drop-syncs", "powerloss"]);
}

/// The run's end, or `None` where nothing can be mounted, after a look at what the harness says of that.
#[cfg(all(feature = "fuse", target_os = "linux"))]
fn finish(run: &Run) -> Option<Finished> {
    let finished = run.finish();
    if finished.code() == 2 && finished.stderr().contains("the workload powerloss") {
        let message = finished.stderr();
        eprintln!("skipped: {message}");
        let why = ["needs /dev/fuse", "it needs the right to mount"];
        assert!(why.iter().any(|why| message.contains(why)), "{message}");
        return None;
    }
    Some(finished)
}

#[cfg(all(feature = "fuse", target_os = "linux"))]
#[test]
fn nothing_acknowledged_is_lost_with_the_power() {
    let engines = if cfg!(feature = "sqlite") {
        "palimpsest,sqlite"
    } else {
        "palimpsest"
    };
    let run = harness(&format!(
        "--workload powerloss --engine {engines} --rounds 6 --seed 11"
    ));
    let Some(finished) = finish(&run) else { return };
    finished.expect_code(0);
    let record = finished.record();
    let recovery = record["recovery"].as_array().unwrap();
    assert_eq!(recovery.len(), engines.split(',').count());
    for found in recovery {
        assert_eq!(
            (&found["kind"], &found["rounds"]),
            (&"power_loss".into(), &6.into())
        );
        assert!(found["acknowledged"].as_u64().unwrap() > 0, "{found}");
        assert!(found["unsynced_changes"].as_u64().unwrap() > 0, "{found}");
        // Three states of each cut were opened.
        assert_eq!(found["open_duration_ns"].as_array().unwrap().len(), 18, "{found}");
    }
    // Nothing stays mounted.
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let place = run.out().display().to_string();
    assert!(!mounts.contains(&place), "{mounts}");
}

#[cfg(all(feature = "fuse", target_os = "linux"))]
fn expect_losses(arguments: &str) {
    let Some(finished) = finish(&harness(arguments)) else {
        return;
    };
    finished.expect_code(3);
    for found in finished.record()["recovery"].as_array().unwrap() {
        assert!(found["lost"].as_u64().unwrap() > 0, "{found}");
        assert!(!found["findings"].as_array().unwrap().is_empty());
    }
}

#[cfg(all(feature = "fuse", target_os = "linux"))]
#[test]
fn a_disk_that_ignores_syncs_is_found_out() {
    expect_losses("--workload powerloss --engine palimpsest --rounds 8 --drop-syncs");
    #[cfg(feature = "sqlite")]
    expect_losses("--workload powerloss --engine sqlite --rounds 8 --drop-syncs");
}

#[cfg(all(feature = "fuse", feature = "sqlite", target_os = "linux"))]
#[test]
fn an_engine_that_does_not_sync_is_found_out() {
    expect_losses("--workload powerloss --engine sqlite-unsynced --rounds 4");
}
