//! Tables about a run as a whole: the machine's bounds, ratios, recovery, space, single findings, criteria.

use super::cells::{figure, long, span, spread_heading, times, verdict, word};
use super::model::{Cell, Mark, Table, number, text};
use crate::record::{CheckStatus, LatencySummary, LoopCost, RatioRow, RunRecord, Verdict};
use crate::statistics::{Spread, merged_summary};
use units::{MISSING, count, or_missing};

/// What this machine did without an engine.
struct Bound {
    name: String,
    flushes_per_second: Option<f64>,
    /// The 50th and the 99th percentile, and the maximum.
    latency_ns: [Option<u64>; 3],
}

impl Bound {
    fn of(name: String, summary: Option<LatencySummary>) -> Self {
        Self {
            name,
            flushes_per_second: None,
            latency_ns: summary.map_or([None; 3], |of| {
                [
                    Some(of.latency_ns_p50),
                    of.latency_ns_p99,
                    Some(of.latency_ns_max),
                ]
            }),
        }
    }

    fn single(name: String, ns: u64) -> Self {
        Self {
            name,
            flushes_per_second: None,
            latency_ns: [Some(ns), None, None],
        }
    }
}

/// Bounds and noise of the machine.
pub(super) fn bounds(record: &RunRecord) -> Option<Table> {
    let caption = "What this machine did without any engine, in the same run: flushes of small writes, and delays that an \
                   idle thread saw.";
    let latency = |index: usize| move |of: &Bound| or_missing(of.latency_ns[index], units::duration);
    Table::of("bounds", caption, &all_bounds(record))
        .page()
        .text("Probe", 0, |of| &of.name)
        .number("Rate", 0, |of| {
            or_missing(of.flushes_per_second, |rate| format!("{}/s", units::number(rate)))
        })
        .number("p50", 0, latency(0))
        .number("p99", 0, latency(1))
        .number("Max", 0, latency(2))
        .build()
}

fn all_bounds(record: &RunRecord) -> Vec<Bound> {
    let mut bounds = Vec::new();
    let last = record.measurements.iter().map(|one| one.repetition).max();
    for sample in &record.probes.raw_flush {
        let when = match last {
            Some(last) if sample.repetition > last => "after the last repetition".to_owned(),
            _ => format!("before repetition {}", sample.repetition),
        };
        let size = units::bytes(sample.write_bytes);
        let name = format!("raw flush of {size} by {}, {when}", sample.method);
        bounds.push(Bound {
            flushes_per_second: sample.flushes_per_second(),
            ..Bound::of(name, sample.latency.as_ref().map(|latency| latency.summary))
        });
    }
    let idle = record.probes.idle_hiccup.as_ref().map(|latency| latency.summary);
    let beside = record.engines().into_iter().map(|engine| {
        let hiccups = record.of_engine(engine).filter_map(|one| one.hiccup.as_ref());
        (format!(" beside {engine}"), merged_summary(hiccups))
    });
    for (place, summary) in [(", at rest".to_owned(), idle)].into_iter().chain(beside) {
        if summary.is_some() {
            bounds.push(Bound::of(format!("delay of an idle thread{place}"), summary));
        }
    }
    for engine in record.engines() {
        // The least disturbed one.
        let least = |of: fn(&LoopCost) -> Option<f64>| {
            let costs = record
                .of_engine(engine)
                .filter_map(|one| of(one.loop_cost.as_ref()?));
            costs.min_by(f64::total_cmp)
        };
        let allocations = least(|cost| cost.allocations).map_or_else(String::new, |each| {
            format!(" ({} allocations each)", units::number(each))
        });
        for (what, ns) in [
            (
                "an operation on one thread".to_owned(),
                least(|cost| cost.operation_ns),
            ),
            (
                "a transaction on one thread".to_owned(),
                least(|cost| cost.transaction_ns),
            ),
            (
                format!("a transaction on all threads{allocations}"),
                least(|cost| cost.transaction_ns_all_threads),
            ),
        ] {
            let name = format!("measuring loop beside {engine}, without it: {what}");
            bounds.extend(ns.map(|ns| Bound::single(name, ns as u64)));
        }
    }
    let clock = record.probes.clock_read_ns;
    bounds.extend(clock.map(|ns| Bound::single("reading the clock once".to_owned(), ns)));
    bounds
}

/// A target of a ratio in words.
pub(super) fn bound(row: &RatioRow, bound: Option<f64>) -> String {
    or_missing(bound, |bound| format!("{} {bound}", row.direction.sign()))
}

/// Ratios and their targets.
pub(crate) fn ratios(record: &RunRecord) -> Option<Table> {
    let caption = "Each ratio is the median over interleaved pairs of the engine and its bound, with a 95 % interval of the median, or \
                   the range of the pairs where they are fewer than six. A verdict is inconclusive where that holds the target.";
    let heading = spread_heading(record.ratios.iter().map(RatioRow::spread));
    Table::of("ratios", caption, &record.ratios)
        .text("What", 0, |row| &row.what)
        .text("Against", 3, |row| &row.against)
        .number("Ratio", 0, RatioRow::value_text)
        .column(number(heading).short("spread").rank(2), |row| {
            let of = row.spread();
            let few = of.is_some_and(|of| matches!(of, Spread::Range(..)));
            Cell::from(span(of.map(Spread::ends)))
                .with_note(few.then(|| format!("range of {}", row.samples.len())))
        })
        .number("Target", 1, |row| bound(row, row.target))
        .number("Stretch", 4, |row| bound(row, row.stretch))
        .text("Verdict", 0, |row| {
            let needs = row.scale_needed().map(|scale| format!("needs {scale}"));
            let cell = verdict(row.outcome(), row.stretch_met());
            if needs.is_some() {
                cell.with_note(needs)
            } else {
                cell
            }
        })
        .build()
}

/// The figures behind the ratios.
pub(super) fn ratio_figures(record: &RunRecord) -> Option<Table> {
    let caption = "The figures behind the ratios, each the median over the pairs.";
    Table::of("ratio_figures", caption, &record.ratios)
        .page()
        .text("What", 0, |row| &row.what)
        .number("Engine", 0, |row| figure(row.engine_value))
        .number("Bound", 0, |row| figure(row.bound_value))
        .text("Unit", 0, |row| &row.unit)
        .number("Pairs", 0, |row| row.samples.len().to_string())
        .text("Note", 0, |row| long(row.note.as_deref().unwrap_or_default()))
        .build()
}

/// A figure or a check of a scenario.
struct Finding<'a> {
    title: &'a str,
    value: Cell,
    detail: &'a str,
}

/// Figures and checks of scenarios.
pub(super) fn findings(record: &RunRecord) -> Option<Table> {
    fn titled<'a>(title: &'a str, id: &'a str) -> &'a str {
        if title.is_empty() { id } else { title }
    }
    let figures = record.figures.iter().map(|of| {
        let value = or_missing(of.value, |value| format!("{} {}", units::number(value), of.unit));
        Finding {
            title: titled(&of.title, &of.id),
            value: value.trim_end().into(),
            detail: &of.subject,
        }
    });
    let checks = record.checks.iter().map(|of| Finding {
        title: titled(&of.title, &of.id),
        value: match of.status {
            CheckStatus::Passed => Cell::marked("passed", Mark::Pass),
            CheckStatus::Failed => Cell::marked("FAILED", Mark::Fail),
            CheckStatus::NotRun => Cell::marked(MISSING, Mark::Open),
        },
        detail: &of.detail,
    });
    let all: Vec<Finding<'_>> = figures.chain(checks).collect();
    Table::of("findings", "Single figures and checks of this scenario.", &all)
        .text("Finding", 0, |of| of.title)
        .number("Value", 0, |of| of.value.clone())
        .text("Detail", 1, |of| of.detail)
        .build()
}

/// What the files of each engine took while rows were written.
pub(super) fn space(record: &RunRecord) -> Option<Table> {
    let caption = "Bytes of the data file over bytes of live keys and values, looked at all the time while rows were loaded and \
                   replaced. Ratios count from a number of live bytes on.";
    Table::of("space", caption, &record.space)
        .text("Engine", 0, |of| &of.engine)
        .column(number("Rows loaded").short("rows").rank(1), |of| count(of.rows))
        .column(number("Rows replaced").short("replaced").rank(2), |of| {
            count(of.updates)
        })
        .number("Cache", 3, |of| units::bytes(of.cache_size_bytes))
        .number("Counted from", 4, |of| units::bytes(of.live_floor_bytes))
        .number("Looks", 5, |of| count(of.looks))
        .number("Max ratio", 0, |of| times(of.largest_ratio))
        .number("Ratio at the end", 0, |of| times(of.last_ratio))
        .build()
}

/// Verdicts on criteria: measured ones with their values, open ones with how they are measured.
pub(crate) fn criteria<'a>(
    section: &str,
    verdicts: impl IntoIterator<Item = &'a Verdict>,
    open: bool,
) -> Option<Table> {
    let mut table = Table::of("criteria", "", verdicts)
        .title(format!("{section}: criteria"))
        .text("Criterion", 0, |of| &of.title)
        .text("Target", 2, |of| &of.target)
        .text("Verdict", 0, |of| verdict(of.outcome, of.stretch_met));
    if !open {
        table = table.text("Value", 1, |of| word(of.value.as_ref()));
    }
    let detail = if open { "How it is measured" } else { "Detail" };
    table.column(text(detail).page(), |of| long(&of.detail)).build()
}
