//! One line for each engine: its repetitions condensed, in the form that tables and reports share.

use crate::palette;
use crate::record::{
    EngineStats, Latency, LatencySummary, Measurement, RunRecord, Settings, Status, Verification, Warning,
};
use crate::statistics::{Estimate, median, merged_summary};

/// An engine's repetitions, condensed.
#[derive(Debug, Clone)]
pub struct EngineSummary<'a> {
    /// Engine name.
    pub engine: &'a str,
    /// Its place among the colours of series.
    pub(crate) series: usize,
    /// Engine version.
    pub version: Option<&'a str>,
    /// Settings of its first measurement.
    pub settings: &'a Settings,
    /// Repetitions that ran.
    pub ran: usize,
    /// Repetitions recorded.
    pub recorded: usize,
    /// Committed transactions each second, over the repetitions.
    pub throughput: Option<Estimate>,
    /// Operations inside committed transactions each second.
    pub operations: Option<Estimate>,
    /// Rows loaded each second.
    pub load: Option<Estimate>,
    /// Latency over all transaction types and repetitions.
    pub latency: Option<LatencySummary>,
    /// Each transaction type over all repetitions, in order of first appearance.
    pub types: Vec<TypeSummary<'a>>,
    /// Why repetitions did not run, each reason once.
    pub problems: Vec<String>,
    /// What verification found, in words.
    pub verification: VerificationSummary,
    /// Median of each engine figure over the repetitions that ran.
    pub figures: FigureSummary,
}

/// One transaction type of one engine.
#[derive(Debug, Clone)]
pub struct TypeSummary<'a> {
    /// Its name.
    pub name: &'a str,
    /// Transactions committed, over the repetitions.
    pub committed: u64,
    /// Transactions aborted for good.
    pub aborted: u64,
    /// Attempts made again.
    pub retries: u64,
    /// Attempts ended by a write conflict.
    pub conflicts: u64,
    /// Attempts ended by a lock timeout.
    pub busy: u64,
    /// Attempts ended by a deadlock.
    pub deadlocks: u64,
    /// Attempts ended by other errors.
    pub errors: u64,
    /// Point reads and ranges inside the committed transactions, when counted.
    pub reads: Option<u64>,
    /// Those of them that found no row.
    pub reads_missed: Option<u64>,
    /// Reads for update that found no row, when counted.
    pub updates_missed: Option<u64>,
    /// Deletes that found no row, when counted.
    pub deletes_missed: Option<u64>,
    /// Ranges among the reads, when counted.
    pub ranges: Option<u64>,
    /// Rows that the ranges returned.
    pub rows_scanned: Option<u64>,
    /// Rows that all reads returned.
    pub rows_returned: Option<u64>,
    /// The same each second of the timed runs.
    pub rows_returned_per_second: Option<f64>,
    /// Latency over the repetitions.
    pub latency: Option<LatencySummary>,
}

/// What verification found over an engine's repetitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerificationSummary {
    /// Everything that ran was verified.
    Verified {
        /// Transactions, over the repetitions.
        transactions: u64,
        /// Rows compared, likewise.
        rows: u64,
        /// Reads checked, when counted.
        reads: Option<u64>,
    },
    /// At least one repetition does not agree: the findings.
    Failed(Vec<String>),
    /// At least one repetition was not verified: why.
    NotVerified(String),
}

/// Medians over repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FigureSummary {
    /// Commits for each flush.
    pub commits_per_flush: Option<f64>,
    /// Bytes written over logical bytes.
    pub write_amplification: Option<f64>,
    /// File bytes over logical bytes.
    pub space_amplification: Option<f64>,
    /// Bytes of keys and values changed.
    pub logical_bytes: Option<f64>,
    /// Bytes written to the data file.
    pub data_bytes_written: Option<f64>,
    /// Bytes written to the log, without zeros ahead of use; bytes appended where no more is told.
    pub wal_bytes_written: Option<f64>,
    /// Bytes of zeros written to the log ahead of use.
    pub wal_bytes_zeroed: Option<f64>,
    /// Bytes of live keys and values.
    pub live_logical_bytes: Option<f64>,
    /// Size of the data file, in bytes.
    pub data_file_bytes: Option<f64>,
    /// Live bytes of the log.
    pub wal_live_bytes: Option<f64>,
    /// Bytes of the log's files that hold nothing live.
    pub wal_bytes_preallocated: Option<f64>,
    /// Raw over stored bytes of pages.
    pub compression_ratio: Option<f64>,
    /// Share of page accesses answered from the cache.
    pub cache_hit_ratio: Option<f64>,
    /// Size of all files, in bytes.
    pub file_bytes: Option<f64>,
    /// Checkpoints completed.
    pub checkpoints: Option<f64>,
    /// Flushes.
    pub flushes: Option<f64>,
    /// Transactions rolled back.
    pub rollbacks: Option<f64>,
    /// Write conflicts.
    pub conflicts: Option<f64>,
    /// Deadlocks resolved.
    pub deadlocks: Option<f64>,
    /// Waits for locks.
    pub lock_waits: Option<f64>,
    /// Time spent in them, in nanoseconds.
    pub lock_wait_ns: Option<f64>,
    /// The same as a share of the time of all threads.
    pub lock_wait_share: Option<f64>,
    /// Bytes of cached pages.
    pub cache_bytes: Option<f64>,
    /// Bytes of old row versions.
    pub version_bytes: Option<f64>,
    /// Largest resident set, in bytes.
    pub rss_bytes_peak: Option<f64>,
    /// Processors kept busy, in the mean.
    pub cpu_cores_used: Option<f64>,
    /// Bytes of pages that the process made dirty, as the kernel counts them.
    pub process_bytes_written: Option<f64>,
    /// Bytes written to the device that holds the data, by all programs.
    pub device_bytes_written: Option<f64>,
}

/// The summary of every engine, in order of first appearance.
#[must_use]
pub fn engines(record: &RunRecord) -> Vec<EngineSummary<'_>> {
    let engines = record.engines();
    let places = palette::places(&engines);
    let both = engines.into_iter().zip(places);
    both.filter_map(|(engine, series)| summarise(record, engine, series))
        .collect()
}

fn summarise<'a>(record: &'a RunRecord, engine: &'a str, series: usize) -> Option<EngineSummary<'a>> {
    let all: Vec<&Measurement> = record.of_engine(engine).collect();
    let first = *all.first()?;
    let ran: Vec<&Measurement> = all.iter().copied().filter(|m| m.status.is_ok()).collect();
    let estimate = |figure: fn(&Measurement) -> Option<f64>| {
        Estimate::from_samples(ran.iter().filter_map(|m| figure(m)))
    };
    Some(EngineSummary {
        engine,
        series,
        version: all.iter().find_map(|m| m.engine_version.as_deref()),
        settings: &first.settings,
        ran: ran.len(),
        recorded: all.len(),
        throughput: estimate(Measurement::throughput),
        operations: estimate(|m| m.operations_per_second),
        load: estimate(|m| m.load.as_ref()?.rows_per_second()),
        latency: merged_summary(latencies(&ran, None)),
        types: types(&ran),
        problems: problems(&all),
        verification: verification(&ran),
        figures: figures(&ran),
    })
}

/// The latencies of a transaction type, or of all, that hold anything.
fn latencies<'a>(measurements: &[&'a Measurement], name: Option<&str>) -> Vec<&'a Latency> {
    measurements
        .iter()
        .flat_map(|m| &m.transaction_types)
        .filter(|t| name.is_none_or(|name| t.name == name))
        .filter_map(|t| t.latency.as_ref())
        .collect()
}

fn types<'a>(ran: &[&'a Measurement]) -> Vec<TypeSummary<'a>> {
    let mut types: Vec<TypeSummary<'a>> = Vec::new();
    for one in ran.iter().flat_map(|m| &m.transaction_types) {
        let index = types.iter().position(|t| t.name == one.name).unwrap_or_else(|| {
            types.push(TypeSummary {
                name: &one.name,
                committed: 0,
                aborted: 0,
                retries: 0,
                conflicts: 0,
                busy: 0,
                deadlocks: 0,
                errors: 0,
                reads: None,
                reads_missed: None,
                updates_missed: None,
                deletes_missed: None,
                ranges: None,
                rows_scanned: None,
                rows_returned: None,
                rows_returned_per_second: None,
                latency: merged_summary(latencies(ran, Some(&one.name))),
            });
            types.len() - 1
        });
        let total = &mut types[index];
        for (sum, count) in [
            (&mut total.committed, one.committed),
            (&mut total.aborted, one.aborted),
            (&mut total.retries, one.retries),
            (&mut total.conflicts, one.conflicts),
            (&mut total.busy, one.busy),
            (&mut total.deadlocks, one.deadlocks),
            (&mut total.errors, one.errors),
        ] {
            *sum = sum.saturating_add(count);
        }
        for (sum, count) in [
            (&mut total.reads, one.reads),
            (&mut total.reads_missed, one.reads_missed),
            (&mut total.updates_missed, one.updates_missed),
            (&mut total.deletes_missed, one.deletes_missed),
            (&mut total.ranges, one.ranges),
            (&mut total.rows_scanned, one.rows_scanned),
            (&mut total.rows_returned, one.rows_returned),
        ] {
            *sum = sum.map_or(count, |sum| Some(sum.saturating_add(count?)));
        }
    }
    let durations = ran.iter().filter_map(|m| m.duration_ns);
    let duration_ns = durations.fold(0u64, u64::saturating_add);
    for total in &mut types {
        let rate = |rows| units::per_second(rows, duration_ns);
        total.rows_returned_per_second = total.rows_returned.and_then(rate);
    }
    types
}

fn problems(all: &[&Measurement]) -> Vec<String> {
    let mut problems: Vec<String> = Vec::new();
    for measurement in all {
        let was_cut_short = measurement.warnings.contains(&Warning::Interrupted);
        let repetition = measurement.repetition;
        let problem = match &measurement.status {
            Status::Ok if was_cut_short => format!(
                "repetition {repetition} was cut short, after {}",
                units::or_missing(measurement.duration_ns, units::duration)
            ),
            Status::Ok => continue,
            Status::Unsupported { reason } => format!("unsupported: {reason}"),
            Status::Failed { reason } => format!("failed: {reason}"),
            Status::NotRun if all.len() > 1 => format!("repetition {repetition} was not run"),
            Status::NotRun => "not run".to_owned(),
        };
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    problems
}

fn verification(ran: &[&Measurement]) -> VerificationSummary {
    let mut findings = Vec::new();
    let mut unverified = None;
    let (mut transactions, mut rows, mut reads) = (0u64, 0u64, None::<u64>);
    for measurement in ran {
        match &measurement.verification {
            Verification::Verified {
                transactions: t,
                rows: r,
                reads: checked,
                ..
            } => {
                transactions = transactions.saturating_add(*t);
                rows = rows.saturating_add(*r);
                if let Some(checked) = checked {
                    reads = Some(reads.unwrap_or(0).saturating_add(*checked));
                }
            }
            Verification::Failed { what } => findings.extend(what.iter().cloned()),
            Verification::NotRun { reason } => unverified = Some(reason.clone()),
        }
    }
    let failed = ran
        .iter()
        .any(|m| matches!(m.verification, Verification::Failed { .. }));
    match unverified {
        _ if failed => VerificationSummary::Failed(findings),
        Some(reason) => VerificationSummary::NotVerified(reason),
        None if ran.is_empty() => VerificationSummary::NotVerified("it did not run".to_owned()),
        None => VerificationSummary::Verified {
            transactions,
            rows,
            reads,
        },
    }
}

fn figures(ran: &[&Measurement]) -> FigureSummary {
    let of = |figure: &dyn Fn(&Measurement) -> Option<f64>| {
        let samples: Vec<f64> = ran.iter().filter_map(|m| figure(m)).collect();
        median(&samples)
    };
    let stat = |figure: fn(&EngineStats) -> Option<f64>| of(&|m| figure(&m.engine_stats));
    let float = |value: u64| value as f64;
    FigureSummary {
        commits_per_flush: stat(EngineStats::commits_per_flush),
        write_amplification: stat(EngineStats::write_amplification),
        space_amplification: stat(EngineStats::space_amplification),
        logical_bytes: stat(|s| s.logical_bytes.map(|v| v as f64)),
        data_bytes_written: stat(|s| s.data_bytes_written().map(|v| v as f64)),
        wal_bytes_written: stat(|s| s.wal_bytes_written.or(s.wal_bytes).map(|v| v as f64)),
        wal_bytes_zeroed: stat(|s| s.wal_bytes_zeroed.map(|v| v as f64)),
        live_logical_bytes: stat(|s| s.live_logical_bytes.map(|v| v as f64)),
        data_file_bytes: stat(|s| s.data_file_bytes().map(|v| v as f64)),
        wal_live_bytes: stat(|s| s.wal_live_bytes.map(|v| v as f64)),
        wal_bytes_preallocated: stat(|s| s.wal_bytes_preallocated().map(|v| v as f64)),
        compression_ratio: stat(|s| s.compression_ratio),
        cache_hit_ratio: stat(EngineStats::cache_hit_ratio),
        file_bytes: stat(|s| s.file_bytes.map(|v| v as f64)),
        checkpoints: stat(|s| s.checkpoints_completed.map(|v| v as f64)),
        flushes: stat(|s| s.flushes.map(|v| v as f64)),
        rollbacks: stat(|s| s.rollbacks.map(|v| v as f64)),
        conflicts: stat(|s| s.conflicts.map(|v| v as f64)),
        deadlocks: stat(|s| s.deadlocks.map(|v| v as f64)),
        lock_waits: stat(|s| s.lock_waits.map(|v| v as f64)),
        lock_wait_ns: stat(|s| s.lock_wait_ns.map(|v| v as f64)),
        lock_wait_share: of(&Measurement::lock_wait_share),
        cache_bytes: stat(|s| s.cache_bytes.map(|v| v as f64)),
        version_bytes: stat(|s| s.version_bytes.map(|v| v as f64)),
        rss_bytes_peak: of(&|m| m.resources.rss_bytes_peak.map(float)),
        cpu_cores_used: of(&|m| {
            let busy = m.resources.cpu_user_ns?.checked_add(m.resources.cpu_system_ns?)?;
            units::quotient(busy, m.duration_ns?)
        }),
        process_bytes_written: of(&|m| m.resources.process_bytes_written.map(float)),
        device_bytes_written: of(&|m| m.resources.device_bytes_written.map(float)),
    }
}

/// Whether figures of a record must not be quoted because of how the program was built.
#[must_use]
pub fn is_dev_build(record: &RunRecord) -> bool {
    let warned = |warnings: &[Warning]| warnings.contains(&Warning::DevBuild);
    !record.build.is_for_quoting()
        || warned(&record.warnings)
        || record
            .measurements
            .iter()
            .any(|measurement| warned(&measurement.warnings))
}

/// How much faster than the fastest probe an engine may flush before the probe is doubted.
const FLUSH_BOUND_TOLERANCE: f64 = 1.25;

/// Measurements whose flushes beat the bound that was measured for them; one warning for each engine, its worst.
#[must_use]
pub fn flush_bound_warnings(record: &RunRecord) -> Vec<Warning> {
    let probes = record
        .probes
        .raw_flush
        .iter()
        .filter_map(|sample| sample.flushes_per_second());
    let Some(raw_flushes_per_second) = probes.reduce(f64::max) else {
        return Vec::new();
    };
    let rate = |m: &Measurement| units::per_second(m.engine_stats.flushes?, m.duration_ns?);
    record
        .engines()
        .into_iter()
        .filter_map(|engine| {
            let flushes_per_second = record.of_engine(engine).filter_map(rate).reduce(f64::max)?;
            (flushes_per_second > raw_flushes_per_second * FLUSH_BOUND_TOLERANCE).then(|| {
                Warning::FlushBoundExceeded {
                    engine: engine.to_owned(),
                    flushes_per_second,
                    raw_flushes_per_second,
                }
            })
        })
        .collect()
}

/// Warnings of the run and of its measurements as sentences, each once; those of measurements say whose they are. What stands
/// elsewhere is left out: a dev build and an interrupted run, which stand above everything (see [`is_dev_build`]), and errors that
/// ended a measurement, which are the reason of its failure.
#[must_use]
pub fn warnings(record: &RunRecord) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    let mut add = |message: String| {
        if !messages.contains(&message) {
            messages.push(message);
        }
    };
    let stands_above = |warning: &Warning| match warning {
        Warning::DevBuild => true,
        Warning::Interrupted => record.interrupted,
        _ => false,
    };
    for warning in record.warnings.iter().filter(|warning| !stands_above(warning)) {
        add(warning.message());
    }
    for warning in flush_bound_warnings(record) {
        add(warning.message());
    }
    for measurement in &record.measurements {
        let is_reason = |warning: &Warning| match (warning, &measurement.status) {
            (Warning::Errors { first, .. }, Status::Failed { reason }) => reason.contains(first.as_str()),
            _ => false,
        };
        for warning in &measurement.warnings {
            if stands_above(warning) || is_reason(warning) || record.warnings.contains(warning) {
                continue;
            }
            add(format!(
                "{}, repetition {}: {}",
                measurement.engine,
                measurement.repetition,
                warning.message()
            ));
        }
    }
    messages
}
