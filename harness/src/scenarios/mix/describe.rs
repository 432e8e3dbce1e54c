//! What was measured, put into the record.

use std::time::{Duration, SystemTime};

use reports::record::{
    EngineStats, GroupSize, Interval, Measurement, Phase, Resources, StorageInfo, Warning,
};
use workloads::driver::{TargetError, TargetStats};
use workloads::oracle::ThreadLog;
use workloads::stream::Plan;

use super::counts::TypeCounts;
use super::timed::Timed;
use crate::error::Result;
use crate::probe::latency::latency_record;
use crate::probe::resources::Usage;

/// Share of the offered transactions below which a run counts as overloaded. Poisson arrivals alone stay well above.
const OVERLOAD: f64 = 0.95;

/// Puts what was measured into the record. Returns the workers' logs and the error that ended the run, if any.
pub(crate) fn describe(
    measurement: &mut Measurement,
    plan: &Plan,
    timed: Timed,
) -> Result<(Vec<ThreadLog>, Option<TargetError>)> {
    let mut by_type = vec![TypeCounts::default(); plan.spec().transactions.len()];
    let (mut offered, mut fatal, mut logs) = (0, None, Vec::new());
    for result in timed.results {
        for (total, own) in by_type.iter_mut().zip(&result.by_type) {
            total.merge(own);
        }
        offered += result.offered;
        fatal = fatal.or(result.fatal);
        logs.extend(result.log);
    }
    let duration_ns = timed.length.as_nanos() as u64;
    let committed: u64 = by_type.iter().map(|counts| counts.committed).sum();
    let operations: u64 = by_type.iter().map(|counts| counts.operations).sum();
    measurement.warmup_ns = Some(timed.warmup.as_nanos() as u64);
    measurement.duration_ns = Some(duration_ns).filter(|length| *length > 0);
    measurement.transactions_per_second = units::per_second(committed, duration_ns);
    measurement.operations_per_second = units::per_second(operations, duration_ns);
    measurement.transaction_types = by_type
        .iter()
        .zip(plan.type_names())
        .map(|(counts, name)| counts.to_record(&name))
        .collect::<Result<_>>()?;
    let errors: u64 = by_type.iter().map(|counts| counts.failures.errors).sum();
    if errors > 0
        && let Some(error) = &fatal
    {
        measurement.warnings.push(Warning::Errors {
            count: errors,
            first: error.to_string(),
        });
    }
    if plan.spec().rate.is_some() {
        let offered_rate = units::per_second(offered, duration_ns);
        measurement.overloaded =
            offered_rate
                .zip(measurement.transactions_per_second)
                .map(|(offered, achieved)| {
                    let overloaded = achieved < OVERLOAD * offered;
                    if overloaded {
                        measurement.warnings.push(Warning::OfferedExceedsAchieved {
                            offered_per_second: offered,
                            achieved_per_second: achieved,
                        });
                    }
                    overloaded
                });
    }
    if let Some(error) = timed.checkpoint_error {
        measurement.warnings.push(Warning::Other {
            message: format!("A checkpoint that was asked for failed: {error}"),
        });
    }
    if timed.interrupted {
        measurement.warnings.push(Warning::Interrupted);
    }
    measurement.hiccup = latency_record(&timed.hiccup)?;
    measurement.resources = resources(&timed.usage);
    let (intervals, spans) = timed.series.finish();
    measurement.intervals = intervals;
    let aborted = by_type.iter().map(|counts| counts.aborted).sum();
    if let Some(message) = disagreement(&measurement.intervals, committed, aborted) {
        measurement.warnings.push(Warning::Other { message });
    }
    measurement.engine_stats = engine_stats(timed.stats);
    measurement.engine_stats.checkpoints = spans;
    measurement.engine_stats.logical_bytes =
        Some(by_type.iter().map(|counts| counts.work.bytes_written).sum());
    Ok((logs, fatal))
}

/// What does not agree between the intervals of the timed run and its totals: they count the same transactions.
fn disagreement(intervals: &[Interval], committed: u64, aborted: u64) -> Option<String> {
    let run = || intervals.iter().filter(|interval| interval.phase == Phase::Run);
    let (in_time, aborted_in_time): (u64, u64) = (
        run().map(|interval| interval.committed).sum(),
        run().map(|interval| interval.aborted).sum(),
    );
    ((in_time, aborted_in_time) != (committed, aborted)).then(|| {
        format!(
            "Figures contradict each other: {committed} transactions committed and {aborted} aborted in all, {in_time} and \
             {aborted_in_time} in the intervals. This is a defect of the harness."
        )
    })
}

fn resources(usage: &Usage) -> Resources {
    Resources {
        cpu_user_ns: usage.cpu_user_ns,
        cpu_system_ns: usage.cpu_system_ns,
        rss_bytes_peak: usage.rss_bytes_peak,
        process_bytes_read: usage.process_bytes_read,
        process_bytes_written: usage.process_bytes_written,
        device_bytes_read: usage.device_bytes_read,
        device_bytes_written: usage.device_bytes_written,
        context_switches_voluntary: usage.context_switches_voluntary,
        context_switches_involuntary: usage.context_switches_involuntary,
    }
}

/// What the engine told. Every figure is named on both sides, so that none is dropped on the way.
fn engine_stats(stats: TargetStats) -> EngineStats {
    let TargetStats {
        commits,
        rollbacks,
        flushes,
        wal_bytes,
        wal_bytes_written,
        wal_bytes_zeroed,
        bytes_written,
        bytes_read,
        checkpoints,
        checkpoint_ns,
        pages_read,
        pages_written,
        pages_evicted,
        cache_hits,
        cache_misses,
        lock_waits,
        lock_wait_ns,
        deadlocks,
        conflicts,
        wal_live_bytes,
        wal_file_bytes,
        file_bytes,
        page_count,
        pages_free,
        pages_dirty,
        cache_bytes,
        version_bytes,
        compression_ratio,
        checkpoint_active,
        redo_bytes,
        redo_ns,
        last_checkpoint_ms,
        commits_per_flush,
    } = stats;
    let storage_info = page_count.map(|page_count| StorageInfo {
        page_count: Some(page_count),
        used_pages: pages_free.and_then(|free| page_count.checked_sub(free)),
        free_pages: pages_free,
        compression_ratio,
        wal_size_bytes: wal_live_bytes,
        last_checkpoint: last_checkpoint_ms
            .map(|ms| reports::time::rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(ms))),
    });
    let group_sizes = commits_per_flush.unwrap_or_default();
    EngineStats {
        commits,
        rollbacks,
        conflicts,
        deadlocks,
        lock_waits,
        lock_wait_ns,
        flushes,
        group_sizes: group_sizes
            .iter()
            .map(|group| GroupSize {
                commits: group.commits_max,
                flushes: group.flushes,
            })
            .collect(),
        wal_bytes,
        wal_bytes_written,
        wal_bytes_zeroed,
        wal_live_bytes,
        wal_file_bytes,
        bytes_read,
        bytes_written,
        pages_read,
        pages_written,
        pages_evicted,
        pages_dirty,
        cache_hits,
        cache_misses,
        cache_bytes,
        version_bytes,
        checkpoints_completed: checkpoints,
        checkpoint_ns,
        checkpoint_active,
        redo_bytes,
        redo_ns,
        file_bytes,
        compression_ratio,
        storage_info,
        // What the harness adds: what the workload changed and kept, and when checkpoints ran.
        logical_bytes: None,
        live_logical_bytes: None,
        checkpoints: Vec::new(),
        write_amplification: None,
        space_amplification: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_and_totals_that_differ_are_reported() {
        let interval = |phase, committed, aborted| Interval {
            phase,
            committed,
            aborted,
            ..Interval::default()
        };
        let intervals = [
            interval(Phase::Warmup, 100, 7),
            interval(Phase::Run, 5, 1),
            interval(Phase::Run, 6, 0),
        ];
        assert_eq!(disagreement(&intervals, 11, 1), None);
        assert_eq!(disagreement(&intervals[..1], 0, 0), None);
        assert!(disagreement(&intervals[..1], 1, 0).is_some());
        for (committed, aborted) in [(10, 1), (12, 1), (11, 0), (111, 8)] {
            assert!(disagreement(&intervals, committed, aborted).is_some());
        }
    }
}
