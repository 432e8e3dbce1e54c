//! A record in which nothing is missing.

use crate::{crash_test, synthetic};
use reports::RunRecord;
use reports::record::{LoopCost, RecoveryKind, SpaceOverTime};

pub(super) fn record() -> RunRecord {
    let mut record = synthetic::record(5);
    let other = synthetic::ratios(5);
    (record.ratios, record.recovery) = (other.ratios, other.recovery);
    (record.figures, record.checks) = (other.figures, other.checks);
    record.crash = crash_test::record(5).crash;
    if let Some(crash) = &mut record.crash {
        let reach = crash.reach.clone();
        if let Some(schedules) = &mut crash.schedules {
            schedules.reach = reach;
        }
    }
    for row in &mut record.ratios {
        row.unit = "flushes/s".into();
    }
    for recovery in &mut record.recovery {
        recovery.kind = RecoveryKind::default();
        recovery.duration_ns = Some(1_000_000_000);
        recovery.durability = Some("sync".into());
        recovery.unsynced_changes = Some(12);
    }
    record.space.push(SpaceOverTime {
        engine: "palimpsest".into(),
        rows: 10_000,
        updates: 20_000,
        cache_size_bytes: 1 << 20,
        live_floor_bytes: 4 << 20,
        looks: 300,
        largest_ratio: Some(1.9),
        last_ratio: Some(1.5),
        ..SpaceOverTime::default()
    });
    for measurement in &mut record.measurements {
        measurement.settings.offered_per_second = Some(5_000.0);
        measurement.loop_cost = Some(LoopCost {
            transaction_ns: Some(900.0),
            transaction_ns_all_threads: Some(1_100.0),
            ..LoopCost::default()
        });
        for one in &mut measurement.transaction_types {
            (one.reads, one.reads_missed) = (Some(9_000), Some(90));
            (one.updates_missed, one.deletes_missed) = (Some(0), Some(7));
        }
        measurement.resources.process_bytes_written = Some(2 << 20);
        measurement.resources.device_bytes_written = Some(1 << 20);
        let stats = &mut measurement.engine_stats;
        for figure in [
            &mut stats.rollbacks,
            &mut stats.conflicts,
            &mut stats.deadlocks,
            &mut stats.lock_waits,
            &mut stats.lock_wait_ns,
            &mut stats.cache_bytes,
            &mut stats.version_bytes,
        ] {
            *figure = Some(1_234);
        }
    }
    record
}
