//! A run as CSV (RFC 4180, UTF-8, a header, lines that end in CR LF): one line for each measurement and transaction type. A measurement
//! without types (it failed, or never ran) has one line without a type. What was not measured is empty, never zero. Durations are whole
//! nanoseconds, rates have all their digits. Columns are only added, at the end.

use crate::record::{LatencySummary, Measurement, RunRecord, Status, TransactionType, Verification};
use std::fmt::Display;

/// A column: its name, what it is, and how it is read.
type Column = (&'static str, &'static str, fn(&Line<'_>) -> String);

/// What a line is about.
struct Line<'a> {
    record: &'a RunRecord,
    measurement: &'a Measurement,
    of: Option<&'a TransactionType>,
}

fn told<T: Display>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn typed<T: Display>(line: &Line<'_>, read: fn(&TransactionType) -> Option<T>) -> String {
    told(line.of.and_then(read))
}

fn latency(line: &Line<'_>, read: fn(&LatencySummary) -> Option<u64>) -> String {
    told(line.of.and_then(|of| read(&of.latency.as_ref()?.summary)))
}

/// All columns, in order.
const COLUMNS: [Column; 42] = [
    ("run", "name of the run", |l| l.record.run_id.clone()),
    ("created", "when it started, RFC 3339", |l| {
        l.record.created.clone()
    }),
    ("workload", "name of the workload", |l| {
        l.record.workload.name.clone()
    }),
    ("seed", "seed of the workload", |l| {
        l.record.workload.seed.to_string()
    }),
    ("engine", "name of the engine", |l| l.measurement.engine.clone()),
    ("engine_version", "its version", |l| {
        told(l.measurement.engine_version.as_ref())
    }),
    ("repetition", "repetition, from 1", |l| {
        l.measurement.repetition.to_string()
    }),
    ("status", "`ok`, `unsupported`, `failed` or `not_run`", |l| {
        status(l.measurement).to_owned()
    }),
    ("verification", "`verified`, `failed` or `not_run`", |l| {
        verification(l.measurement).to_owned()
    }),
    ("threads", "concurrent sessions", |l| {
        told(l.measurement.settings.threads)
    }),
    ("rows", "rows loaded", |l| told(l.measurement.settings.rows)),
    ("value_size_bytes", "size of a value", |l| {
        told(l.measurement.settings.value_size_bytes)
    }),
    ("durability", "`sync`, `no-sync` or `in-memory`", |l| {
        told(l.measurement.settings.durability.as_ref())
    }),
    ("isolation", "isolation level", |l| {
        told(l.measurement.settings.isolation.as_ref())
    }),
    ("cache_size_bytes", "memory of the engine's cache", |l| {
        told(l.measurement.settings.cache_size_bytes)
    }),
    ("page_size_bytes", "size of a page", |l| {
        told(l.measurement.settings.page_size_bytes)
    }),
    ("compression", "compression of stored data", |l| {
        told(l.measurement.settings.compression.as_ref())
    }),
    (
        "offered_per_second",
        "transactions offered each second, in an open loop",
        |l| told(l.measurement.settings.offered_per_second),
    ),
    ("duration_ns", "length of the timed run", |l| {
        told(l.measurement.duration_ns)
    }),
    (
        "all_transactions_per_second",
        "committed each second, over all types",
        |l| told(l.measurement.throughput()),
    ),
    ("transaction", "name of the transaction type", |l| {
        typed(l, |of| Some(of.name.clone()))
    }),
    ("committed", "transactions of the type committed", |l| {
        typed(l, |of| Some(of.committed))
    }),
    ("transactions_per_second", "the same each second", |l| {
        let rate = |of: &TransactionType| units::per_second(of.committed, l.measurement.duration_ns?);
        told(l.of.and_then(rate))
    }),
    ("aborted", "transactions aborted for good", |l| {
        typed(l, |of| Some(of.aborted))
    }),
    ("retries", "attempts made again", |l| {
        typed(l, |of| Some(of.retries))
    }),
    ("conflicts", "attempts ended by a write conflict", |l| {
        typed(l, |of| Some(of.conflicts))
    }),
    ("busy", "attempts ended by a lock timeout", |l| {
        typed(l, |of| Some(of.busy))
    }),
    ("deadlocks", "attempts ended by a deadlock", |l| {
        typed(l, |of| Some(of.deadlocks))
    }),
    ("errors", "attempts ended by another error", |l| {
        typed(l, |of| Some(of.errors))
    }),
    ("operations", "operations inside committed transactions", |l| {
        typed(l, |of| of.operations)
    }),
    ("rows_returned", "rows that their reads returned", |l| {
        typed(l, |of| of.rows_returned)
    }),
    ("latency_count", "latencies recorded", |l| {
        latency(l, |of| Some(of.count))
    }),
    ("latency_ns_min", "smallest latency", |l| {
        latency(l, |of| Some(of.latency_ns_min))
    }),
    ("latency_ns_mean", "mean", |l| {
        latency(l, |of| Some(of.latency_ns_mean))
    }),
    ("latency_ns_p50", "median", |l| {
        latency(l, |of| Some(of.latency_ns_p50))
    }),
    ("latency_ns_p90", "90th percentile, of 100 or more", |l| {
        latency(l, |of| of.latency_ns_p90)
    }),
    ("latency_ns_p95", "95th percentile, of 200 or more", |l| {
        latency(l, |of| of.latency_ns_p95)
    }),
    ("latency_ns_p99", "99th percentile, of 1,000 or more", |l| {
        latency(l, |of| of.latency_ns_p99)
    }),
    ("latency_ns_p999", "99.9th percentile, of 10,000 or more", |l| {
        latency(l, |of| of.latency_ns_p999)
    }),
    ("latency_ns_max", "largest latency", |l| {
        latency(l, |of| Some(of.latency_ns_max))
    }),
    (
        "varied",
        "options with several values in the run, as `name=value`",
        |l| {
            let varied = l.measurement.varied.iter();
            let words: Vec<String> = varied.map(|of| format!("{}={}", of.name, of.value)).collect();
            words.join("; ")
        },
    ),
    (
        "sync_method",
        "how commits are made durable, `none` where nothing is",
        |l| told(l.measurement.settings.sync_method.as_ref()),
    ),
];

/// Name and meaning of each column, in order.
pub const CSV_COLUMNS: [(&str, &str); COLUMNS.len()] = {
    let mut columns = [("", ""); COLUMNS.len()];
    let mut at = 0;
    while at < COLUMNS.len() {
        columns[at] = (COLUMNS[at].0, COLUMNS[at].1);
        at += 1;
    }
    columns
};

fn status(measurement: &Measurement) -> &'static str {
    match measurement.status {
        Status::Ok => "ok",
        Status::Unsupported { .. } => "unsupported",
        Status::Failed { .. } => "failed",
        Status::NotRun => "not_run",
    }
}

fn verification(measurement: &Measurement) -> &'static str {
    match measurement.verification {
        Verification::Verified { .. } => "verified",
        Verification::Failed { .. } => "failed",
        Verification::NotRun { .. } => "not_run",
    }
}

/// The whole file.
#[must_use]
pub fn to_csv(record: &RunRecord) -> String {
    let mut text = line(CSV_COLUMNS.iter().map(|(name, _)| (*name).to_owned()));
    for measurement in &record.measurements {
        let types = measurement.transaction_types.iter().map(Some);
        let without = measurement.transaction_types.is_empty().then_some(None);
        for of in types.chain(without) {
            let about = Line {
                record,
                measurement,
                of,
            };
            text.push_str(&line(COLUMNS.iter().map(|(_, _, read)| read(&about))));
        }
    }
    text
}

fn line(fields: impl Iterator<Item = String>) -> String {
    let fields: Vec<String> = fields.map(|field| quoted(&field)).collect();
    fields.join(",") + "\r\n"
}

/// A field that holds what separates fields or lines is put in quotes.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_would_break_a_line_are_quoted() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"x\"\n"), "\"say \"\"x\"\"\n\"");
    }
}
