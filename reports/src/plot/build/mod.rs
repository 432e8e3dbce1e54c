//! Charts from records.

mod activity;
mod comparison;
mod crash;
mod latency;
mod scaling;
mod space;
mod throughput;

use super::output::Plot;
use super::theme::Role;
use crate::palette;
use crate::record::{Interval, Measurement, RunRecord};
use crate::statistics::median;
pub use comparison::comparison_plots;
pub(crate) use crash::CRASH_PREFIX;

/// Points of a line at most; longer series are condensed.
const POINTS_MAX: usize = 600;

/// All plots that a record has figures for, in the order of the report.
#[must_use]
pub fn plots(record: &RunRecord) -> Vec<Plot> {
    let mut plots = if record.is_varied() {
        // What happened over time in each of many cases nobody could look at.
        let mut plots = scaling::plots(record);
        plots.extend(comparison::engines(&record.by_case()));
        plots
    } else {
        all(record)
    };
    let subject = subject(record);
    for plot in &mut plots {
        plot.subject.clone_from(&subject);
    }
    plots
}

/// Those of a run in which nothing is varied.
fn all(record: &RunRecord) -> Vec<Plot> {
    let mut plots = Vec::new();
    plots.extend(comparison::engines(record));
    plots.extend(comparison::ratios(record));
    plots.extend(crash::plots(record));
    plots.extend(space::over_time(record));
    plots.extend(throughput::over_time(record));
    plots.extend(latency::percentiles(record));
    plots.extend(latency::over_time(record));
    plots.extend(activity::group_sizes(record));
    plots.extend(activity::writing(record));
    plots.extend(activity::open_times(record));
    plots.extend(activity::recovery(record));
    plots
}

/// Of what a picture is: workload, engines, run.
fn subject(record: &RunRecord) -> String {
    let mut engines: Vec<&str> = record.engines();
    engines.extend(record.recovery.iter().map(|of| of.engine.as_str()));
    engines.extend(record.space.iter().map(|of| of.engine.as_str()));
    engines.extend(record.crash.iter().map(|of| of.engine.as_str()));
    let mut named: Vec<&str> = Vec::new();
    for engine in engines {
        if !named.contains(&engine) && !engine.is_empty() {
            named.push(engine);
        }
    }
    let named = named.join(", ");
    let parts = [&record.workload.name, &named, &record.run_id];
    let filled: Vec<&str> = parts
        .into_iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    filled.join(" · ")
}

/// The colour of an engine: the same in every plot and table of a record.
fn role_of(record: &RunRecord, engine: &str) -> Role {
    let mut engines = record.engines();
    if !engines.contains(&engine) {
        engines.push(engine);
    }
    let places = palette::places(&engines);
    let at = engines.iter().position(|name| *name == engine);
    Role::Series(at.map_or(0, |at| places[at]))
}

/// The repetition whose throughput is nearest to the median: the one to look at in detail.
fn typical<'a>(record: &'a RunRecord, engine: &str) -> Option<&'a Measurement> {
    let ran: Vec<&Measurement> = record
        .measurements
        .iter()
        .filter(|m| m.engine == engine && m.status.is_ok())
        .collect();
    let rates: Vec<f64> = ran.iter().filter_map(|m| m.throughput()).collect();
    let Some(middle) = median(&rates) else {
        return ran.into_iter().next();
    };
    let distance = |m: &Measurement| m.throughput().map_or(f64::INFINITY, |rate| (rate - middle).abs());
    ran.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

/// Neighbouring intervals put together so that few enough remain: counts add up; of latencies the largest stays,
/// since percentiles cannot be averaged.
fn condensed(intervals: &[Interval]) -> Vec<Interval> {
    let size = intervals.len().div_ceil(POINTS_MAX).max(1);
    intervals
        .chunk_by(|a, b| a.phase == b.phase)
        .flat_map(|phase| phase.chunks(size))
        .filter_map(|chunk| {
            let mut merged = chunk.first()?.clone();
            for next in &chunk[1..] {
                let sum = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_add(b?));
                merged.length_ns = merged.length_ns.saturating_add(next.length_ns);
                merged.committed = merged.committed.saturating_add(next.committed);
                merged.aborted = merged.aborted.saturating_add(next.aborted);
                merged.latency_ns_p50 = merged.latency_ns_p50.max(next.latency_ns_p50);
                merged.latency_ns_p99 = merged.latency_ns_p99.max(next.latency_ns_p99);
                merged.latency_ns_max = merged.latency_ns_max.max(next.latency_ns_max);
                merged.wal_bytes = sum(merged.wal_bytes, next.wal_bytes);
                merged.flushes = sum(merged.flushes, next.flushes);
                merged.bytes_written = sum(merged.bytes_written, next.bytes_written);
            }
            Some(merged)
        })
        .collect()
}

/// A name as part of a file name: lower case letters, digits and hyphens.
pub(crate) fn slug(name: &str) -> String {
    let dashed: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let parts: Vec<&str> = dashed.split('-').filter(|part| !part.is_empty()).collect();
    let mut slug = parts.join("-");
    slug.truncate(40);
    if slug.is_empty() {
        "unnamed".to_owned()
    } else {
        slug
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Phase;

    #[test]
    fn long_series_are_condensed_without_losing_counts_or_peaks() {
        let intervals: Vec<Interval> = (0..10_000)
            .map(|index| Interval {
                start_ns: index * 10,
                length_ns: 10,
                phase: if index < 100 { Phase::Warmup } else { Phase::Run },
                committed: 2,
                latency_ns_max: (index == 5_000).then_some(99),
                wal_bytes: (index != 7_000).then_some(1),
                ..Interval::default()
            })
            .collect();
        let condensed = condensed(&intervals);
        assert!(condensed.len() <= POINTS_MAX + 2, "{}", condensed.len());
        assert_eq!(condensed.iter().map(|i| i.committed).sum::<u64>(), 20_000);
        assert_eq!(condensed.iter().filter_map(|i| i.latency_ns_max).max(), Some(99));
        assert_eq!(condensed.iter().filter(|i| i.wal_bytes.is_none()).count(), 1);
    }

    #[test]
    fn slugs_are_safe_file_names() {
        assert_eq!(slug("Point get / 2 threads"), "point-get-2-threads");
        assert_eq!(slug("../../etc"), "etc");
        assert_eq!(slug("→"), "unnamed");
    }
}
