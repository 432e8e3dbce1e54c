//! The run over time: every worker counts into a slot of its own, and the sampler empties all slots once an interval.
//!
//! A worker locks its own slot for a few instructions at the end of each transaction; the sampler is the only other
//! one to lock it, a few times a second. A transaction counts in the interval in which it ended, and in the phase: what a
//! worker has counted for a phase whose last interval the sampler has ended already is added to that one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use hdrhistogram::Histogram;
use reports::record::{CheckpointSpan, Interval, Phase, percentile};
use workloads::driver::TargetStats;

use crate::probe::latency::LATENCY_NS_MAX;

/// What one worker did in one phase since the sampler last looked.
#[derive(Debug)]
struct Count {
    committed: u64,
    aborted: u64,
    retries: u64,
    latency: Histogram<u64>,
}

impl Count {
    fn clear(&mut self) {
        (self.committed, self.aborted, self.retries) = (0, 0, 0);
        self.latency.reset();
    }

    fn add(&mut self, other: &Self) {
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.retries += other.retries;
        self.latency
            .add(&other.latency)
            .expect("all have the same bounds");
    }
}

impl Default for Count {
    fn default() -> Self {
        // Two digits are enough for a line on a plot, and a tenth of the memory.
        let latency = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 2)
            .expect("the bounds are constants that the histogram accepts");
        Self {
            committed: 0,
            aborted: 0,
            retries: 0,
            latency,
        }
    }
}

/// Those of both phases.
#[derive(Debug, Default)]
struct Slot {
    warmup: Count,
    run: Count,
}

impl Slot {
    fn of(&mut self, phase: Phase) -> &mut Count {
        match phase {
            Phase::Warmup => &mut self.warmup,
            Phase::Run => &mut self.run,
        }
    }
}

/// One slot for each worker.
#[derive(Debug)]
pub(crate) struct Slots(Vec<CachePadded<Mutex<Slot>>>);

impl Slots {
    /// Slots for this many workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| CachePadded::default()).collect())
    }

    /// A transaction of `worker` committed, after so many failed attempts.
    pub(crate) fn committed(&self, worker: usize, phase: Phase, latency_ns: u64, retries: u64) {
        let mut slot = self.0[worker].lock().unwrap_or_else(PoisonError::into_inner);
        let count = slot.of(phase);
        count.committed += 1;
        count.retries += retries;
        count.latency.saturating_record(latency_ns);
    }

    /// A transaction of `worker` was given up, after so many further attempts.
    pub(crate) fn aborted(&self, worker: usize, phase: Phase, retries: u64) {
        let mut slot = self.0[worker].lock().unwrap_or_else(PoisonError::into_inner);
        let count = slot.of(phase);
        count.aborted += 1;
        count.retries += retries;
    }

    fn take(&self, phase: Phase, into: &mut Count) {
        into.clear();
        for slot in &self.0 {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            let count = slot.of(phase);
            into.add(count);
            count.clear();
        }
    }
}

/// Collects intervals and checkpoint spans.
#[derive(Debug)]
pub(crate) struct Series {
    intervals: Vec<Interval>,
    spans: Vec<CheckpointSpan>,
    scratch: Count,
    /// What ended since the last report.
    unreported: Count,
    reported_until: Duration,
    last_end: Duration,
    last_stats: TargetStats,
    last_checkpoints: Option<u64>,
    last_checkpoint_ns: Option<u64>,
}

impl Series {
    /// An empty series that begins with these figures of the engine.
    pub(crate) fn new(stats: TargetStats) -> Self {
        Self {
            intervals: Vec::new(),
            spans: Vec::new(),
            scratch: Count::default(),
            unreported: Count::default(),
            reported_until: Duration::ZERO,
            last_end: Duration::ZERO,
            last_checkpoints: stats.checkpoints,
            last_checkpoint_ns: stats.checkpoint_ns,
            last_stats: stats,
        }
    }

    /// Looks at the engine between interval ends, to notice when checkpoints begin and end. `now` counts from the
    /// start of the warm-up.
    pub(crate) fn poll(&mut self, now: Duration, stats: &TargetStats) {
        let difference = |after: Option<u64>, before: Option<u64>| after?.checked_sub(before?);
        let finished = difference(stats.checkpoints, self.last_checkpoints).unwrap_or(0);
        let spent_ns = difference(stats.checkpoint_ns, self.last_checkpoint_ns).unwrap_or(0);
        self.last_checkpoints = stats.checkpoints;
        self.last_checkpoint_ns = stats.checkpoint_ns;
        let now = now.as_nanos() as u64;
        if let Some(mean_ns) = spent_ns.checked_div(finished) {
            match self.spans.last_mut().filter(|span| span.end_ns.is_none()) {
                Some(span) => span.end_ns = Some(now),
                // It began and ended between two looks, or the engine only tells when it is over.
                None => self.spans.push(CheckpointSpan {
                    start_ns: now.saturating_sub(mean_ns),
                    end_ns: Some(now),
                    ..CheckpointSpan::default()
                }),
            }
        }
        let open = self.spans.last().is_some_and(|span| span.end_ns.is_none());
        if stats.checkpoint_active == Some(true) && !open {
            self.spans.push(CheckpointSpan {
                start_ns: now,
                ..CheckpointSpan::default()
            });
        }
    }

    /// Ends an interval at `now`, which counts from the start of the warm-up.
    pub(crate) fn end_interval(
        &mut self,
        now: Duration,
        phase: Phase,
        slots: &Slots,
        stats: TargetStats,
    ) -> &Interval {
        self.poll(now, &stats);
        slots.take(phase, &mut self.scratch);
        self.unreported.add(&self.scratch);
        let since = stats.since(&self.last_stats);
        let latency = &self.scratch.latency;
        let told = |value: u64| (!latency.is_empty()).then_some(value);
        self.intervals.push(Interval {
            start_ns: self.last_end.as_nanos() as u64,
            length_ns: now.saturating_sub(self.last_end).as_nanos() as u64,
            phase,
            committed: self.scratch.committed,
            aborted: self.scratch.aborted,
            latency_ns_p50: told(latency.value_at_quantile(0.5)),
            latency_ns_p99: percentile(latency, 0.99),
            latency_ns_max: told(latency.max()),
            wal_bytes: since.wal_bytes,
            flushes: since.flushes,
            bytes_written: since.bytes_written,
            wal_live_bytes: stats.wal_live_bytes,
            checkpoint_active: None,
        });
        self.last_end = now;
        self.last_stats = stats;
        &self.intervals[self.intervals.len() - 1]
    }

    /// The intervals since the last report in words: rate, latency, and what did not go through. `None` if none has ended.
    pub(crate) fn report(&mut self) -> Option<String> {
        let length = self.last_end.saturating_sub(self.reported_until);
        let rate = units::per_second(self.unreported.committed, length.as_nanos() as u64)?;
        let latency = &self.unreported.latency;
        let largest = (!latency.is_empty()).then(|| latency.max());
        let shown = |value: Option<u64>| units::or_missing(value, units::duration);
        let text = format!(
            "{} transactions/s, p95 {}, p99 {}, max {}, {} aborted, {} retries",
            units::short(rate),
            shown(percentile(latency, 0.95)),
            shown(percentile(latency, 0.99)),
            shown(largest),
            units::count(self.unreported.aborted),
            units::count(self.unreported.retries),
        );
        self.unreported.clear();
        self.reported_until = self.last_end;
        Some(text)
    }

    /// Adds what workers have counted since to the last interval of its phase. To be called when they have ended.
    pub(crate) fn settle(&mut self, slots: &Slots) {
        for phase in [Phase::Warmup, Phase::Run] {
            slots.take(phase, &mut self.scratch);
            let mut intervals = self.intervals.iter_mut().rev();
            if let Some(last) = intervals.find(|interval| interval.phase == phase) {
                last.committed += self.scratch.committed;
                last.aborted += self.scratch.aborted;
            }
        }
    }

    /// Everything collected.
    pub(crate) fn finish(mut self) -> (Vec<Interval>, Vec<CheckpointSpan>) {
        if self.last_checkpoints.is_some() {
            for interval in &mut self.intervals {
                let end_ns = interval.start_ns + interval.length_ns;
                let overlaps = |span: &CheckpointSpan| {
                    span.start_ns < end_ns && span.end_ns.is_none_or(|span_end| span_end > interval.start_ns)
                };
                interval.checkpoint_active = Some(self.spans.iter().any(overlaps));
            }
        }
        (self.intervals, self.spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(checkpoints: u64, active: bool, wal: u64) -> TargetStats {
        TargetStats {
            checkpoints: Some(checkpoints),
            checkpoint_active: Some(active),
            wal_bytes: Some(wal),
            ..TargetStats::default()
        }
    }

    #[test]
    fn intervals_hold_what_ended_in_them_and_the_engines_differences() {
        let slots = Slots::new(2);
        let mut series = Series::new(stats(0, false, 100));
        slots.committed(0, Phase::Warmup, 1000, 0);
        slots.committed(1, Phase::Warmup, 3000, 2);
        slots.aborted(1, Phase::Warmup, 9);
        let ms = Duration::from_millis;
        let first = series
            .end_interval(ms(250), Phase::Warmup, &slots, stats(0, false, 160))
            .clone();
        assert_eq!(
            (first.committed, first.aborted, first.wal_bytes),
            (2, 1, Some(60))
        );
        assert!(first.latency_ns_max.is_some_and(|max| max >= 3000));
        let second = series
            .end_interval(ms(500), Phase::Run, &slots, stats(0, false, 160))
            .clone();
        assert_eq!((second.start_ns, second.length_ns), (250_000_000, 250_000_000));
        assert_eq!(
            (second.committed, second.latency_ns_p50),
            (0, None),
            "nothing is not zero nanoseconds"
        );
        assert_eq!(second.flushes, None, "the engine does not count flushes");
    }

    #[test]
    fn a_report_is_of_the_intervals_since_the_one_before() {
        let slots = Slots::new(2);
        let mut series = Series::new(TargetStats::default());
        assert_eq!(series.report(), None, "no interval has ended");
        let end = |series: &mut Series, ms, phase| {
            series.end_interval(Duration::from_millis(ms), phase, &slots, TargetStats::default());
        };
        for _ in 0..1000 {
            slots.committed(0, Phase::Run, 1_000_000, 0);
        }
        slots.committed(1, Phase::Run, 8_000_000, 2);
        end(&mut series, 250, Phase::Run);
        slots.aborted(1, Phase::Run, 9);
        end(&mut series, 500, Phase::Run);
        let report = series.report().unwrap();
        for part in [
            "2 k transactions/s",
            "p95 1.0",
            "p99 1.0",
            "max 8",
            "1 aborted",
            "11 retries",
        ] {
            assert!(report.contains(part), "{part} is not in {report}");
        }
        slots.committed(0, Phase::Run, 1_000_000, 0);
        end(&mut series, 1500, Phase::Run);
        let report = series.report().unwrap();
        assert!(
            report.starts_with("1 transactions/s, p95 –, p99 –, max 1.0")
                && report.ends_with("0 aborted, 0 retries"),
            "{report}"
        );
        end(&mut series, 2500, Phase::Run);
        assert!(
            series
                .report()
                .unwrap()
                .starts_with("0 transactions/s, p95 –, p99 –, max –")
        );
    }

    #[test]
    fn what_is_counted_late_belongs_to_the_last_interval_of_its_phase() {
        let slots = Slots::new(1);
        let mut series = Series::new(TargetStats::default());
        for (at, phase) in [(1, Phase::Warmup), (2, Phase::Warmup), (3, Phase::Run)] {
            series.end_interval(Duration::from_millis(at), phase, &slots, TargetStats::default());
            slots.committed(0, Phase::Warmup, 10, 0);
        }
        slots.committed(0, Phase::Run, 10, 0);
        slots.aborted(0, Phase::Run, 0);
        series.settle(&slots);
        let counts: Vec<_> = series
            .finish()
            .0
            .iter()
            .map(|interval| (interval.committed, interval.aborted))
            .collect();
        assert_eq!(counts, [(0, 0), (3, 0), (1, 1)]);
    }

    #[test]
    fn checkpoints_become_spans_even_when_shorter_than_a_look() {
        let slots = Slots::new(1);
        let mut series = Series::new(stats(0, false, 0));
        let ms = Duration::from_millis;
        series.poll(ms(10), &stats(0, true, 0));
        series.poll(ms(20), &stats(0, true, 0));
        series.end_interval(ms(30), Phase::Run, &slots, stats(1, false, 0));
        // This one is only known from the counters: it took 4 ms.
        let told_later = TargetStats {
            checkpoint_ns: Some(4_000_000),
            ..stats(2, false, 0)
        };
        series.last_checkpoint_ns = Some(0);
        series.poll(ms(40), &told_later);
        series.end_interval(ms(50), Phase::Run, &slots, told_later.clone());
        series.end_interval(ms(60), Phase::Run, &slots, told_later);
        let (intervals, spans) = series.finish();
        let spans: Vec<_> = spans
            .iter()
            .map(|span| (span.start_ns / 1_000_000, span.end_ns.map(|end| end / 1_000_000)))
            .collect();
        assert_eq!(spans, [(10, Some(30)), (36, Some(40))]);
        let active: Vec<_> = intervals
            .iter()
            .map(|interval| interval.checkpoint_active)
            .collect();
        assert_eq!(active, [Some(true), Some(true), Some(false)]);
    }

    #[test]
    fn an_engine_that_tells_nothing_of_checkpoints_has_no_flags() {
        let mut series = Series::new(TargetStats::default());
        let slots = Slots::new(1);
        series.end_interval(
            Duration::from_millis(1),
            Phase::Run,
            &slots,
            TargetStats::default(),
        );
        assert_eq!(series.finish().0[0].checkpoint_active, None);
    }
}
