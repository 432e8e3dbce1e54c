//! The tables of a page as cells of text.

use crate::record::{LatencySummary, Outcome};
use crate::statistics::Estimate;
use crate::summary::EngineSummary;
use crate::units::{self, MISSING, or_missing};
use serde::Serialize;

/// A table: a caption, column heads, rows whose first cell is a head.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) heads: Vec<Head>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// A column head.
#[derive(Debug, Serialize)]
pub(super) struct Head {
    pub(super) text: String,
    pub(super) number: bool,
}

/// A cell with an optional class.
#[derive(Debug, Serialize)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) class: &'static str,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, class: "" }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// A table without rows; heads that begin with `#` are over numbers.
pub(super) fn table(caption: &str, heads: &[&str]) -> Table {
    let heads = heads
        .iter()
        .map(|head| Head {
            text: head.trim_start_matches('#').to_owned(),
            number: head.starts_with('#'),
        })
        .collect();
    Table {
        caption: caption.to_owned(),
        heads,
        rows: Vec::new(),
    }
}

/// The class of an outcome.
pub(super) fn outcome_class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "fail",
        Outcome::NotMeasured => "open",
    }
}

pub(super) fn filled(table: Table) -> Option<Table> {
    (!table.rows.is_empty()).then_some(table)
}

pub(super) fn latency(summary: Option<LatencySummary>, pick: fn(&LatencySummary) -> Option<u64>) -> Cell {
    or_missing(summary.and_then(|summary| pick(&summary)), units::duration).into()
}

pub(super) fn number(value: Option<f64>) -> Cell {
    or_missing(value, units::number).into()
}

fn whole(value: Option<f64>) -> Cell {
    or_missing(value, |value| units::count(value as u64)).into()
}

fn size(value: Option<f64>) -> Cell {
    or_missing(value, |value| units::bytes(value as u64)).into()
}

fn text(value: Option<&String>) -> Cell {
    or_missing(value, Clone::clone).into()
}

/// Median with the spread behind it.
pub(super) fn with_spread(estimate: Option<&Estimate>) -> String {
    or_missing(estimate, |estimate| {
        let deviation = estimate
            .deviation
            .map_or_else(String::new, |d| format!(" ± {}", units::number(d)));
        format!("{}{deviation}", units::number(estimate.median))
    })
}

/// One row for each engine.
pub(super) fn summary(engines: &[EngineSummary<'_>]) -> Option<Table> {
    let mut table = table(
        "Median over the repetitions, ± their median absolute deviation. Latency runs from the start a \
         transaction was meant to have to its acknowledged commit, retries included.",
        &[
            "Engine",
            "#Transactions/s",
            "#Operations/s",
            "#p50",
            "#p99",
            "#p99.9",
            "#Largest",
            "Durability",
            "#Repetitions",
            "Verified",
        ],
    );
    for engine in engines {
        let (verified, class) = match &engine.verification {
            _ if engine.ran == 0 => (MISSING, ""),
            crate::summary::VerificationSummary::Verified { .. } => ("yes", "pass"),
            crate::summary::VerificationSummary::Failed(_) => ("FAILED", "fail"),
            crate::summary::VerificationSummary::NotVerified(_) => ("no", "open"),
        };
        let version = engine
            .version
            .map_or_else(String::new, |version| format!(" {version}"));
        table.rows.push(vec![
            format!("{}{version}", engine.engine).into(),
            with_spread(engine.throughput.as_ref()).into(),
            with_spread(engine.operations.as_ref()).into(),
            latency(engine.latency, |l| Some(l.latency_ns_p50)),
            latency(engine.latency, |l| l.latency_ns_p99),
            latency(engine.latency, |l| l.latency_ns_p999),
            latency(engine.latency, |l| Some(l.latency_ns_max)),
            text(engine.settings.durability.as_ref()),
            format!("{} of {}", engine.ran, engine.recorded).into(),
            Cell {
                text: verified.to_owned(),
                class,
            },
        ]);
    }
    filled(table)
}

/// What became of each transaction type of each engine.
pub(super) fn outcomes(engines: &[EngineSummary<'_>]) -> Option<Table> {
    let mut table = table(
        "Counts over all repetitions of the timed run. Attempts that ended in a conflict, a lock timeout or a \
         deadlock were made again; given up are those that never committed. Reads are point reads and ranges inside \
         committed transactions; one that finds no row costs less than one that does.",
        &[
            "Engine",
            "Transaction",
            "#Committed",
            "#Given up",
            "#Retries",
            "#Conflicts",
            "#Timeouts",
            "#Deadlocks",
            "#Errors",
            "#Reads",
            "#Found nothing",
        ],
    );
    for engine in engines {
        for one in &engine.types {
            let mut row: Vec<Cell> = vec![engine.engine.into(), one.name.into()];
            let counts = [
                one.committed,
                one.aborted,
                one.retries,
                one.conflicts,
                one.busy,
                one.deadlocks,
                one.errors,
            ];
            row.extend(counts.map(|count| Cell::from(units::count(count))));
            row.extend([one.reads, one.reads_missed].map(|count| or_missing(count, units::count).into()));
            table.rows.push(row);
        }
    }
    filled(table)
}

/// Latencies of each transaction type of each engine.
pub(super) fn latencies(engines: &[EngineSummary<'_>]) -> Option<Table> {
    let mut table = table(
        "Latency of committed transactions, all repetitions together, retries included. A percentile is told where at least ten \
         samples lie above it: p90 of 100 samples or more, p99 of 1,000, p99.9 of 10,000; else there is a dash.",
        &[
            "Engine",
            "Transaction",
            "#Samples",
            "#Fastest",
            "#Mean",
            "#p50",
            "#p90",
            "#p99",
            "#p99.9",
            "#Largest",
        ],
    );
    for engine in engines {
        for one in &engine.types {
            table.rows.push(vec![
                engine.engine.into(),
                one.name.into(),
                or_missing(one.latency, |l| units::count(l.count)).into(),
                latency(one.latency, |l| Some(l.latency_ns_min)),
                latency(one.latency, |l| Some(l.latency_ns_mean)),
                latency(one.latency, |l| Some(l.latency_ns_p50)),
                latency(one.latency, |l| l.latency_ns_p90),
                latency(one.latency, |l| l.latency_ns_p99),
                latency(one.latency, |l| l.latency_ns_p999),
                latency(one.latency, |l| Some(l.latency_ns_max)),
            ]);
        }
    }
    filled(table)
}

/// What each engine did to storage.
pub(super) fn storage(engines: &[EngineSummary<'_>]) -> Option<Table> {
    let mut table = table(
        "Medians over the repetitions. Amplification is bytes logged, written or kept over bytes of keys and values \
         changed or kept. A dash is a figure that the engine does not tell.",
        &[
            "Engine",
            "#Flushes",
            "#Commits/flush",
            "#WAL ampl.",
            "#Write ampl.",
            "#Space ampl.",
            "#Compression",
            "#Checkpoints",
            "#Files",
        ],
    );
    for engine in engines.iter().filter(|engine| engine.ran > 0) {
        let figures = &engine.figures;
        table.rows.push(vec![
            engine.engine.into(),
            whole(figures.flushes),
            number(figures.commits_per_flush),
            number(figures.wal_amplification),
            number(figures.write_amplification),
            number(figures.space_amplification),
            or_missing(figures.compression_ratio, |ratio| {
                format!("{}x", units::number(ratio))
            })
            .into(),
            whole(figures.checkpoints),
            size(figures.file_bytes),
        ]);
    }
    filled(table)
}

/// What each engine's process used.
pub(super) fn resources(engines: &[EngineSummary<'_>]) -> Option<Table> {
    let mut table = table(
        "Medians over the repetitions, of the whole process: the load generator's own share is in them.",
        &[
            "Engine",
            "#Load, rows/s",
            "#CPUs used",
            "#Peak memory",
            "#Pages made dirty",
            "#Device wrote",
            "#Cache",
            "#Cache hits",
            "#Old versions",
        ],
    );
    for engine in engines.iter().filter(|engine| engine.ran > 0) {
        let figures = &engine.figures;
        table.rows.push(vec![
            engine.engine.into(),
            with_spread(engine.load.as_ref()).into(),
            number(figures.cpu_cores_used),
            size(figures.rss_bytes_peak),
            size(figures.process_bytes_written),
            size(figures.device_bytes_written),
            size(figures.cache_bytes),
            or_missing(figures.cache_hit_ratio, |ratio| format!("{:.1} %", ratio * 100.0)).into(),
            size(figures.version_bytes),
        ]);
    }
    filled(table)
}

/// How transactions met inside each engine.
pub(super) fn concurrency(engines: &[EngineSummary<'_>]) -> Option<Table> {
    let mut table = table(
        "Medians over the repetitions, as the engine counts them. A dash is a figure that the engine does not tell.",
        &[
            "Engine",
            "#Rolled back",
            "#Conflicts",
            "#Deadlocks",
            "#Lock waits",
            "#Waited in all",
        ],
    );
    for engine in engines.iter().filter(|engine| engine.ran > 0) {
        let figures = &engine.figures;
        let told = [
            figures.rollbacks,
            figures.conflicts,
            figures.lock_waits,
            figures.deadlocks,
        ];
        if told.iter().all(Option::is_none) {
            continue;
        }
        table.rows.push(vec![
            engine.engine.into(),
            whole(figures.rollbacks),
            whole(figures.conflicts),
            whole(figures.deadlocks),
            whole(figures.lock_waits),
            or_missing(figures.lock_wait_ns, |ns| units::duration(ns as u64)).into(),
        ]);
    }
    filled(table)
}

/// What each engine ran with.
pub(super) fn settings(engines: &[EngineSummary<'_>]) -> Option<Table> {
    let mut table = table(
        "What each engine ran with. Figures at unlike durability, isolation or cache size are not alike; a dash \
         means that the engine has no such setting.",
        &[
            "Engine",
            "Durability",
            "Isolation",
            "#Cache",
            "#Page size",
            "Compression",
            "#Threads",
            "#Rows",
            "#Value",
            "#Offered/s",
        ],
    );
    for engine in engines {
        let settings = engine.settings;
        table.rows.push(vec![
            engine.engine.into(),
            text(settings.durability.as_ref()),
            text(settings.isolation.as_ref()),
            or_missing(settings.cache_size_bytes, units::bytes).into(),
            or_missing(settings.page_size_bytes, units::bytes).into(),
            text(settings.compression.as_ref()),
            or_missing(settings.threads, |threads| threads.to_string()).into(),
            or_missing(settings.rows, units::count).into(),
            or_missing(settings.value_size_bytes, units::bytes).into(),
            or_missing(settings.offered_per_second, units::number).into(),
        ]);
    }
    filled(table)
}
