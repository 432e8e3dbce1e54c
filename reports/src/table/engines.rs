//! Tables with a row for each engine, or for each of its transaction types.

use super::cells::{
    engine, figure, latency, percent, size, span, spread_heading, times, verified, whole, with_spread, word,
};
use super::model::{Cell, Table, number};
use crate::record::{Settings, Varied};
use crate::statistics::{Estimate, Spread};
use crate::summary::{EngineSummary, FigureSummary, TypeSummary};
use units::or_missing;

type Engines<'a> = [EngineSummary<'a>];

/// What each engine achieved.
pub(super) fn summary(engines: &Engines<'_>) -> Option<Table> {
    let caption = "Median over the repetitions, with the range of the repetitions where they are fewer than six, and from six on with a \
                   95 % bootstrap interval of the median. Latency runs from the start a transaction was meant to have to its \
                   acknowledged commit, retries included.";
    let spread = |of: &EngineSummary<'_>| of.throughput.as_ref().and_then(Estimate::spread);
    let heading = spread_heading(engines.iter().map(spread));
    let short = if heading == "Range" { "range" } else { "interval" };
    Table::of("summary", caption, engines)
        .text("Engine", 0, |of| {
            // Behind the words of a case a bare version would be taken for a part of them.
            let is_case = Varied::engine(of.engine) != of.engine;
            let version = |text: &str| {
                if is_case {
                    format!("({text})")
                } else {
                    text.to_owned()
                }
            };
            engine(of).with_note(of.version.map(version))
        })
        .column(number("Transactions/s").short("tx/s"), |of| {
            figure(of.throughput.as_ref().map(|estimate| estimate.median))
        })
        .column(number(heading).short(short).rank(2), |of| {
            span(spread(of).map(Spread::ends))
        })
        .number("p50", 3, |of| latency(of.latency, |l| Some(l.latency_ns_p50)))
        .number("p95", 4, |of| latency(of.latency, |l| l.latency_ns_p95))
        .number("p99", 0, |of| latency(of.latency, |l| l.latency_ns_p99))
        .number("Max", 1, |of| latency(of.latency, |l| Some(l.latency_ns_max)))
        .text("Verified", 5, verified)
        .text("Durability", 6, |of| {
            word(of.settings.durability_words().as_ref())
        })
        .column(number("Operations/s").short("ops/s").rank(7), |of| {
            with_spread(of.operations.as_ref())
        })
        .number("Runs", 8, |of| format!("{}/{}", of.ran, of.recorded))
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
                   deadlock were made again; aborted are transactions that never committed.";
    type Count = fn(&TypeSummary<'_>) -> Option<u64>;
    let counts: [(&str, u8, Count); 7] = [
        ("Committed", 0, |one| Some(one.committed)),
        ("Aborted", 2, |one| Some(one.aborted)),
        ("Retries", 3, |one| Some(one.retries)),
        ("Conflicts", 5, |one| Some(one.conflicts)),
        ("Timeouts", 7, |one| Some(one.busy)),
        ("Deadlocks", 6, |one| Some(one.deadlocks)),
        ("Errors", 1, |one| Some(one.errors)),
    ];
    let mut table = Table::of("outcomes", caption, types(engines))
        .text("Engine", 0, |(of, _)| engine(of))
        .text("Transaction", 0, |(_, one)| one.name);
    for (heading, rank, count) in counts {
        table = table.number(heading, rank, |(_, one)| or_missing(count(one), units::count));
    }
    table.build()
}

/// Updates and deletes that had no row to work on, of transaction types that had any.
pub(super) fn writes_missed(engines: &Engines<'_>) -> Option<Table> {
    let caption = "Inside committed transactions, over all repetitions of the timed run. A read for update that finds no row makes one; a \
                   delete that finds none does nothing, and costs less. An update without a read does not look.";
    let any = |one: &TypeSummary<'_>| one.updates_missed.max(one.deletes_missed) > Some(0);
    let counted = types(engines).filter(|(_, one)| any(one));
    Table::of("writes_missed", caption, counted)
        .text("Engine", 0, |(of, _)| engine(of))
        .text("Transaction", 0, |(_, one)| one.name)
        .number("Updates without a row", 0, |(_, one)| {
            or_missing(one.updates_missed, units::count)
        })
        .number("Deletes without a row", 0, |(_, one)| {
            or_missing(one.deletes_missed, units::count)
        })
        .build()
}

/// What the reads of each transaction type of each engine found, where that was counted.
pub(super) fn reads(engines: &Engines<'_>) -> Option<Table> {
    let caption = "Point reads and ranges inside committed transactions, over all repetitions of the timed run, and the rows that they \
                   returned. A read that finds no row costs less than one that does.";
    let counted = types(engines).filter(|(_, one)| one.reads.is_some());
    Table::of("reads", caption, counted)
        .text("Engine", 0, |(of, _)| engine(of))
        .text("Transaction", 0, |(_, one)| one.name)
        .number("Reads", 0, |(_, one)| or_missing(one.reads, units::count))
        .number("Found nothing", 1, |(_, one)| {
            or_missing(one.reads_missed, units::count)
        })
        .number("Rows returned", 2, |(_, one)| {
            or_missing(one.rows_returned, units::count)
        })
        .number("Rows returned/s", 0, |(_, one)| {
            figure(one.rows_returned_per_second)
        })
        .number("Rows in a range", 3, |(_, one)| {
            let ranges = one.ranges.filter(|ranges| *ranges > 0);
            figure(
                one.rows_scanned
                    .zip(ranges)
                    .map(|(rows, ranges)| rows as f64 / ranges as f64),
            )
        })
        .build()
}

/// Latencies of each transaction type of each engine.
pub(super) fn latencies(engines: &Engines<'_>) -> Option<Table> {
    let caption = "Latency of committed transactions, all repetitions together, retries included. A percentile is told where \
                   at least ten samples lie above it: p90 of 100 samples or more, p95 of 200, p99 of 1,000, p99.9 of 10,000; else \
                   there is a dash.";
    Table::of("latencies", caption, types(engines))
        .text("Engine", 0, |(of, _)| engine(of))
        .text("Transaction", 0, |(_, one)| one.name)
        .number("Samples", 4, |(_, one)| {
            or_missing(one.latency, |l| units::count(l.count))
        })
        .number("Min", 8, |(_, one)| {
            latency(one.latency, |l| Some(l.latency_ns_min))
        })
        .number("Mean", 7, |(_, one)| {
            latency(one.latency, |l| Some(l.latency_ns_mean))
        })
        .number("p50", 1, |(_, one)| {
            latency(one.latency, |l| Some(l.latency_ns_p50))
        })
        .number("p90", 6, |(_, one)| latency(one.latency, |l| l.latency_ns_p90))
        .number("p95", 2, |(_, one)| latency(one.latency, |l| l.latency_ns_p95))
        .number("p99", 0, |(_, one)| latency(one.latency, |l| l.latency_ns_p99))
        .number("p99.9", 5, |(_, one)| latency(one.latency, |l| l.latency_ns_p999))
        .number("Max", 3, |(_, one)| {
            latency(one.latency, |l| Some(l.latency_ns_max))
        })
        .build()
}

/// Engines that ran.
fn ran<'e, 'a>(engines: &'e Engines<'a>) -> impl Iterator<Item = &'e EngineSummary<'a>> {
    engines.iter().filter(|engine| engine.ran > 0)
}

/// What each engine did to storage.
pub(super) fn storage(engines: &Engines<'_>) -> Option<Table> {
    let caption = "Medians over the repetitions. A dash is a figure that the engine does not tell.";
    Table::of("storage", caption, ran(engines))
        .text("Engine", 0, engine)
        .number("Flushes", 1, |of| whole(of.figures.flushes))
        .number("Commits/flush", 0, |of| figure(of.figures.commits_per_flush))
        .number("Checkpoints", 2, |of| whole(of.figures.checkpoints))
        .number("Compression", 3, |of| times(of.figures.compression_ratio))
        .number("Files", 1, |of| size(of.figures.file_bytes))
        .build()
}

/// What each engine wrote and kept for what was changed and is live, the log apart.
pub(super) fn amplification(engines: &Engines<'_>) -> Option<Table> {
    type Part = fn(&FigureSummary) -> Option<f64>;
    let caption = "Write amplification is bytes written to files for each byte of keys and values changed; it is the sum of those to the \
                   data file, those to the log, and zeros that new log files are filled with ahead of use, so that later flushes \
                   are cheap: a short run has many of them. Space amplification is bytes of files for each live byte of keys and \
                   values: the data file, the part of the log that recovery would need, and log files kept ready.";
    let of_changed = |part: Part| {
        move |of: &EngineSummary<'_>| {
            let (part, changed) = (part(&of.figures), of.figures.logical_bytes);
            let amplification = part.zip(changed).filter(|(_, changed)| *changed > 0.0);
            Cell::from(figure(amplification.map(|(part, changed)| part / changed)))
                .with_note(part.map(|part| size(Some(part))))
        }
    };
    let told = ran(engines).filter(|of| {
        let of = &of.figures;
        let all = [
            of.write_amplification,
            of.space_amplification,
            of.wal_bytes_written,
        ];
        all.iter().any(Option::is_some)
    });
    Table::of("amplification", caption, told)
        .title("Amplification")
        .text("Engine", 0, engine)
        .number("Changed", 7, |of| size(of.figures.logical_bytes))
        .column(number("Write ampl.").short("write ampl."), |of| {
            figure(of.figures.write_amplification)
        })
        .column(
            number("To data file").short("data").rank(1),
            of_changed(|of| of.data_bytes_written),
        )
        .column(
            number("To log").short("log").rank(1),
            of_changed(|of| of.wal_bytes_written),
        )
        .column(
            number("Log zeroed ahead").short("log zeroed").rank(2),
            of_changed(|of| of.wal_bytes_zeroed),
        )
        .number("Live", 8, |of| size(of.figures.live_logical_bytes))
        .column(number("Space ampl.").short("space ampl."), |of| {
            figure(of.figures.space_amplification)
        })
        .number("Data file", 4, |of| size(of.figures.data_file_bytes))
        .number("Live log", 5, |of| size(of.figures.wal_live_bytes))
        .column(number("Preallocated log").short("log ahead").rank(6), |of| {
            size(of.figures.wal_bytes_preallocated)
        })
        .build()
}

/// What each engine's process used.
pub(super) fn resources(engines: &Engines<'_>) -> Option<Table> {
    let caption =
        "Medians over the repetitions, of the whole process: the load generator's own share is in them.";
    Table::of("resources", caption, ran(engines))
        .text("Engine", 0, engine)
        .number("Load, rows/s", 4, |of| with_spread(of.load.as_ref()))
        .number("CPUs used", 2, |of| figure(of.figures.cpu_cores_used))
        .number("Peak memory", 0, |of| size(of.figures.rss_bytes_peak))
        .number("Pages made dirty", 7, |of| size(of.figures.process_bytes_written))
        .number("Device wrote", 3, |of| size(of.figures.device_bytes_written))
        .number("Cache", 6, |of| size(of.figures.cache_bytes))
        .number("Cache hits", 1, |of| percent(of.figures.cache_hit_ratio))
        .number("Old versions", 5, |of| size(of.figures.version_bytes))
        .build()
}

/// How transactions met inside each engine.
pub(super) fn concurrency(engines: &Engines<'_>) -> Option<Table> {
    let caption = "Medians over the repetitions, as the engine counts them. A dash is a figure that the engine does not tell.";
    let told = ran(engines).filter(|of| {
        let of = &of.figures;
        let all = [of.rollbacks, of.conflicts, of.lock_waits, of.deadlocks];
        all.iter().any(Option::is_some)
    });
    Table::of("concurrency", caption, told)
        .text("Engine", 0, engine)
        .number("Rolled back", 1, |of| whole(of.figures.rollbacks))
        .number("Conflicts", 0, |of| whole(of.figures.conflicts))
        .number("Deadlocks", 0, |of| whole(of.figures.deadlocks))
        .number("Lock waits", 0, |of| whole(of.figures.lock_waits))
        .number("Time waited", 1, |of| {
            or_missing(of.figures.lock_wait_ns, |ns| units::duration(ns as u64))
        })
        .column(number("Of all threads' time").short("of time").rank(2), |of| {
            percent(of.figures.lock_wait_share)
        })
        .build()
}

/// A size that the engine has, or tells not to have: the way to sync is recorded of every one that was opened.
fn has(settings: &Settings, size: Option<u64>) -> String {
    match size {
        Some(bytes) => units::bytes(bytes),
        None if settings.sync_method.is_some() => "none".to_owned(),
        None => units::MISSING.to_owned(),
    }
}

/// Every option of each engine, defaults included.
pub(super) fn options(engines: &Engines<'_>) -> Option<Table> {
    let caption = "What the open database of the first repetition told of every option: sizes in bytes, times in milliseconds.";
    let told = engines.iter().filter(|of| !of.settings.engine_options.is_empty());
    Table::of("options", caption, told)
        .page()
        .text("Engine", 0, |of| engine(of))
        .text("Options", 0, |of| {
            let options = of.settings.engine_options.iter();
            let words: Vec<String> = options.map(|(name, value)| format!("{name} {value}")).collect();
            words.join(", ")
        })
        .build()
}

/// What each engine ran with.
pub(super) fn settings(engines: &Engines<'_>) -> Option<Table> {
    let caption = "What each engine ran with. Figures at unlike durability, isolation or cache size are not alike; a dash \
                   means that it was not recorded.";
    let settings = engines.iter().map(|of| (of, of.settings));
    Table::of("settings", caption, settings)
        .page()
        .text("Engine", 0, |(of, _)| engine(of))
        .text("Durability", 0, |(_, of)| word(of.durability_words().as_ref()))
        .text("Isolation", 0, |(_, of)| word(of.isolation.as_ref()))
        .number("Cache", 0, |(_, of)| has(of, of.cache_size_bytes))
        .number("Page size", 0, |(_, of)| has(of, of.page_size_bytes))
        .text("Compression", 0, |(_, of)| word(of.compression.as_ref()))
        .text("Sync method", 0, |(_, of)| word(of.sync_method.as_ref()))
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
