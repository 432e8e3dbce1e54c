//! Tables with a row for each engine, or for each of its transaction types.

use super::cells::{figure, latency, size, span, times, verified, whole, with_spread, word};
use super::model::{Cell, Table, number};
use crate::summary::{EngineSummary, FigureSummary, TypeSummary};
use units::or_missing;

type Engines<'a> = [EngineSummary<'a>];

/// What each engine achieved.
pub(super) fn summary(engines: &Engines<'_>) -> Option<Table> {
    let caption = "Median over the repetitions, ± their median absolute deviation, and a bootstrap interval of it from three \
                   repetitions on. Latency runs from the start a \
                   transaction was meant to have to its acknowledged commit, retries included.";
    Table::of("summary", caption, engines)
        .text("Engine", 0, |of| {
            Cell::from(of.engine).with_note(of.version.map(str::to_owned))
        })
        .column(number("Transactions/s").short("tx/s"), |of| {
            with_spread(of.throughput.as_ref())
        })
        .number("95 % interval", 6, |of| {
            span(of.throughput.as_ref().and_then(|estimate| estimate.interval))
        })
        .column(number("Operations/s").short("ops/s").rank(4), |of| {
            with_spread(of.operations.as_ref())
        })
        .number("p50", 3, |of| latency(of.latency, |l| Some(l.latency_ns_p50)))
        .number("p99", 0, |of| latency(of.latency, |l| l.latency_ns_p99))
        .number("p99.9", 5, |of| latency(of.latency, |l| l.latency_ns_p999))
        .column(number("Largest").short("max").rank(1), |of| {
            latency(of.latency, |l| Some(l.latency_ns_max))
        })
        .text("Durability", 2, |of| {
            word(of.settings.durability_words().as_ref())
        })
        .number("Runs", 7, |of| format!("{}/{}", of.ran, of.recorded))
        .text("Verified", 8, verified)
        .build()
}

/// Each transaction type with its engine.
fn types<'e, 'a>(
    engines: &'e Engines<'a>,
) -> impl Iterator<Item = (&'e EngineSummary<'a>, &'e TypeSummary<'a>)> {
    engines
        .iter()
        .flat_map(|engine| engine.types.iter().map(move |one| (engine, one)))
}

/// What became of each transaction type of each engine.
pub(super) fn outcomes(engines: &Engines<'_>) -> Option<Table> {
    let caption = "Counts over all repetitions of the timed run. Attempts that ended in a conflict, a lock timeout or a \
                   deadlock were made again; given up are those that never committed. Reads are point reads and ranges \
                   inside committed transactions; one that finds no row costs less than one that does.";
    type Count = fn(&TypeSummary<'_>) -> Option<u64>;
    let counts: [(&str, u8, Count); 9] = [
        ("Committed", 0, |one| Some(one.committed)),
        ("Given up", 2, |one| Some(one.aborted)),
        ("Retries", 3, |one| Some(one.retries)),
        ("Conflicts", 5, |one| Some(one.conflicts)),
        ("Timeouts", 7, |one| Some(one.busy)),
        ("Deadlocks", 6, |one| Some(one.deadlocks)),
        ("Errors", 1, |one| Some(one.errors)),
        ("Reads", 8, |one| one.reads),
        ("Found nothing", 4, |one| one.reads_missed),
    ];
    let mut table = Table::of("outcomes", caption, types(engines))
        .text("Engine", 0, |(engine, _)| engine.engine)
        .text("Transaction", 0, |(_, one)| one.name);
    for (heading, rank, count) in counts {
        table = table.number(heading, rank, |(_, one)| or_missing(count(one), units::count));
    }
    table.build()
}

/// Latencies of each transaction type of each engine.
pub(super) fn latencies(engines: &Engines<'_>) -> Option<Table> {
    let caption = "Latency of committed transactions, all repetitions together, retries included. A percentile is told where \
                   at least ten samples lie above it: p90 of 100 samples or more, p99 of 1,000, p99.9 of 10,000; else there \
                   is a dash.";
    Table::of("latencies", caption, types(engines))
        .text("Engine", 0, |(engine, _)| engine.engine)
        .text("Transaction", 0, |(_, one)| one.name)
        .number("Samples", 4, |(_, one)| {
            or_missing(one.latency, |l| units::count(l.count))
        })
        .number("Fastest", 8, |(_, one)| {
            latency(one.latency, |l| Some(l.latency_ns_min))
        })
        .number("Mean", 7, |(_, one)| {
            latency(one.latency, |l| Some(l.latency_ns_mean))
        })
        .number("p50", 1, |(_, one)| {
            latency(one.latency, |l| Some(l.latency_ns_p50))
        })
        .number("p90", 6, |(_, one)| latency(one.latency, |l| l.latency_ns_p90))
        .number("p99", 0, |(_, one)| latency(one.latency, |l| l.latency_ns_p99))
        .number("p99.9", 5, |(_, one)| latency(one.latency, |l| l.latency_ns_p999))
        .column(number("Largest").short("max").rank(3), |(_, one)| {
            latency(one.latency, |l| Some(l.latency_ns_max))
        })
        .build()
}

/// The figures of engines that ran.
fn figures<'e>(engines: &'e Engines<'_>) -> impl Iterator<Item = (&'e str, &'e FigureSummary)> {
    let ran = engines.iter().filter(|engine| engine.ran > 0);
    ran.map(|engine| (engine.engine, &engine.figures))
}

/// What each engine did to storage.
pub(super) fn storage(engines: &Engines<'_>) -> Option<Table> {
    let caption = "Medians over the repetitions. Amplification is bytes logged, written or kept over bytes of keys and values \
                   changed or kept. A dash is a figure that the engine does not tell.";
    Table::of("storage", caption, figures(engines))
        .text("Engine", 0, |(engine, _)| engine)
        .number("Flushes", 4, |(_, of)| whole(of.flushes))
        .number("Commits/flush", 0, |(_, of)| figure(of.commits_per_flush))
        .number("WAL ampl.", 2, |(_, of)| figure(of.wal_amplification))
        .number("Write ampl.", 1, |(_, of)| figure(of.write_amplification))
        .number("Space ampl.", 3, |(_, of)| figure(of.space_amplification))
        .number("Compression", 7, |(_, of)| times(of.compression_ratio))
        .number("Checkpoints", 5, |(_, of)| whole(of.checkpoints))
        .number("Files", 6, |(_, of)| size(of.file_bytes))
        .build()
}

/// What each engine's process used.
pub(super) fn resources(engines: &Engines<'_>) -> Option<Table> {
    let caption =
        "Medians over the repetitions, of the whole process: the load generator's own share is in them.";
    let ran = engines.iter().filter(|engine| engine.ran > 0);
    Table::of("resources", caption, ran)
        .text("Engine", 0, |of| of.engine)
        .number("Load, rows/s", 4, |of| with_spread(of.load.as_ref()))
        .number("CPUs used", 2, |of| figure(of.figures.cpu_cores_used))
        .number("Peak memory", 0, |of| size(of.figures.rss_bytes_peak))
        .number("Pages made dirty", 7, |of| size(of.figures.process_bytes_written))
        .number("Device wrote", 3, |of| size(of.figures.device_bytes_written))
        .number("Cache", 6, |of| size(of.figures.cache_bytes))
        .number("Cache hits", 1, |of| {
            or_missing(of.figures.cache_hit_ratio, |ratio| {
                format!("{:.1} %", ratio * 100.0)
            })
        })
        .number("Old versions", 5, |of| size(of.figures.version_bytes))
        .build()
}

/// How transactions met inside each engine.
pub(super) fn concurrency(engines: &Engines<'_>) -> Option<Table> {
    let caption = "Medians over the repetitions, as the engine counts them. A dash is a figure that the engine does not tell.";
    let told = figures(engines).filter(|(_, of)| {
        let all = [of.rollbacks, of.conflicts, of.lock_waits, of.deadlocks];
        all.iter().any(Option::is_some)
    });
    Table::of("concurrency", caption, told)
        .text("Engine", 0, |(engine, _)| engine)
        .number("Rolled back", 1, |(_, of)| whole(of.rollbacks))
        .number("Conflicts", 0, |(_, of)| whole(of.conflicts))
        .number("Deadlocks", 0, |(_, of)| whole(of.deadlocks))
        .number("Lock waits", 2, |(_, of)| whole(of.lock_waits))
        .number("Waited in all", 3, |(_, of)| {
            or_missing(of.lock_wait_ns, |ns| units::duration(ns as u64))
        })
        .build()
}

/// What each engine ran with.
pub(super) fn settings(engines: &Engines<'_>) -> Option<Table> {
    let caption = "What each engine ran with. Figures at unlike durability, isolation or cache size are not alike; a dash \
                   means that the engine has no such setting.";
    let settings = engines.iter().map(|engine| (engine.engine, engine.settings));
    Table::of("settings", caption, settings)
        .page()
        .text("Engine", 0, |(engine, _)| engine)
        .text("Durability", 0, |(_, of)| word(of.durability_words().as_ref()))
        .text("Isolation", 0, |(_, of)| word(of.isolation.as_ref()))
        .number("Cache", 0, |(_, of)| {
            or_missing(of.cache_size_bytes, units::bytes)
        })
        .number("Page size", 0, |(_, of)| {
            or_missing(of.page_size_bytes, units::bytes)
        })
        .text("Compression", 0, |(_, of)| word(of.compression.as_ref()))
        .number("Threads", 0, |(_, of)| {
            or_missing(of.threads, |threads| threads.to_string())
        })
        .number("Rows", 0, |(_, of)| or_missing(of.rows, units::count))
        .number("Value", 0, |(_, of)| {
            or_missing(of.value_size_bytes, units::bytes)
        })
        .number("Offered/s", 0, |(_, of)| {
            or_missing(of.offered_per_second, units::number)
        })
        .build()
}
