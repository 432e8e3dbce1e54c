//! Warm-up and timed run: the workers, and beside them the sampler, the hiccup meter and whoever asks for checkpoints.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};

use reports::record::Phase;
use workloads::driver::{Target, TargetError, TargetStats};
use workloads::executor::Executor;
use workloads::keys::Frontier;
use workloads::oracle::LogOptions;
use workloads::stream::{Plan, StreamOptions};

use super::job::RunJob;
use super::pacing::{Pacer, wait_or_stop};
use super::series::{Series, Slots};
use super::worker::{Shared, Window, Worker, WorkerResult};
use crate::child::progress;
use crate::error::{HarnessError, Result};
use crate::probe::hiccup::HiccupMeter;
use crate::probe::latency::Recorder;
use crate::probe::resources::{Device, Usage, usage_now};

/// How often the engine is looked at between interval ends.
const POLL: Duration = Duration::from_millis(50);

/// Everything measured between the first and the last transaction.
pub(crate) struct Timed {
    /// What each worker brought home.
    pub results: Vec<WorkerResult>,
    /// The run over time.
    pub series: Series,
    /// Length of the warm-up.
    pub warmup: Duration,
    /// Length of the timed run.
    pub length: Duration,
    /// What the engine did in the timed run.
    pub stats: TargetStats,
    /// What the process used in the timed run.
    pub usage: Usage,
    /// By how much an idle thread overslept in the timed run.
    pub hiccup: Recorder,
    /// It was stopped before its planned end.
    pub interrupted: bool,
    /// Why a checkpoint that was asked for failed.
    pub checkpoint_error: Option<TargetError>,
}

/// Runs warm-up and timed run on as many threads as the plan says.
///
/// # Errors
/// The harness's own trouble: no threads to be had, or one that panicked. An engine's error is in its worker's result.
pub(crate) fn timed_run(
    job: &RunJob,
    plan: &Arc<Plan>,
    target: &dyn Target,
    stop: &AtomicBool,
) -> Result<Timed> {
    let spec = plan.spec();
    let threads = usize::from(spec.threads);
    let slots = Slots::new(threads);
    let frontier = Arc::new(Frontier::new(plan.tables().len(), spec.threads));
    // The workers' own flag, so that an engine's failure ends the run without looking like Ctrl-C.
    let over = AtomicBool::new(false);
    let shared = Shared {
        plan,
        slots: &slots,
        stop: &over,
    };
    let ready = Barrier::new(threads + 1);
    let go = Barrier::new(threads + 1);
    let window: OnceLock<Window> = OnceLock::new();
    let origin = Instant::now();

    let worker = |index: usize| -> WorkerResult {
        let thread = index as u16;
        let session = target.session();
        ready.wait();
        go.wait();
        let window = *window.get().expect("the window is set between the two barriers");
        let session = match session {
            Ok(session) => session,
            Err(error) => {
                over.store(true, Ordering::Relaxed);
                let fatal = Some(error.context("session"));
                return WorkerResult {
                    by_type: Vec::new(),
                    offered: 0,
                    log: None,
                    fatal,
                };
            }
        };
        let (plan, frontier) = (Arc::clone(plan), Arc::clone(&frontier));
        let executor = Executor::new(
            plan,
            frontier,
            StreamOptions::fresh(thread),
            LogOptions::default(),
            origin,
        );
        let begin = window.run_start - spec.warmup;
        let pacer = Pacer::new(
            spec.rate,
            u32::from(thread),
            u32::from(spec.threads),
            spec.seed,
            begin,
        );
        Worker::new(&shared, index, session, executor).run(window, pacer)
    };

    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|index| {
                let worker = &worker;
                std::thread::Builder::new()
                    .name(format!("worker-{index}"))
                    .spawn_scoped(scope, move || worker(index))
            })
            .collect::<std::io::Result<_>>()
            .map_err(|error| HarnessError::Run(format!("cannot start {threads} worker threads: {error}")))?;
        ready.wait();
        let begin = Instant::now();
        let planned = Window {
            run_start: begin + spec.warmup,
            run_end: begin + spec.warmup + spec.run,
        };
        window.set(planned).expect("the window is set once");
        let mut timed = Timed {
            results: Vec::new(),
            series: Series::new(target.stats()),
            warmup: spec.warmup,
            length: Duration::ZERO,
            stats: TargetStats::default(),
            usage: Usage::default(),
            hiccup: Recorder::default(),
            interrupted: false,
            checkpoint_error: None,
        };
        go.wait();
        let checkpoints = scope.spawn({
            let over = &over;
            move || request_checkpoints(job, target, planned, over)
        });
        let mut sampler = Sampler {
            job,
            target,
            slots: &slots,
            over: &over,
            stop,
            begin,
            series: &mut timed.series,
        };
        timed.interrupted |= sampler.phase("warm-up", Phase::Warmup, begin, planned.run_start);
        let device = Device::below(&job.directory);
        let (stats, usage) = (target.stats(), usage_now(device));
        let hiccup = HiccupMeter::start().ok();
        let is_run = !timed.interrupted;
        if is_run {
            timed.interrupted |= sampler.phase("run", Phase::Run, planned.run_start, planned.run_end);
        }
        // Before the workers end, because the kernel forgets the context switches of threads that have.
        timed.usage = usage_now(device).since(&usage);
        timed.stats = target.stats().since(&stats);
        over.store(true, Ordering::Relaxed);
        if is_run {
            timed.length = planned.length_until(Instant::now());
        }
        timed.hiccup = hiccup.map(HiccupMeter::stop).unwrap_or_default();
        for handle in handles {
            let result = handle
                .join()
                .map_err(|_| HarnessError::Run("a worker thread panicked".into()))?;
            timed.results.push(result);
        }
        timed.series.settle(&slots);
        let checkpoints = checkpoints
            .join()
            .map_err(|_| HarnessError::Run("the thread that asks for checkpoints panicked".into()))?;
        timed.checkpoint_error = checkpoints.err();
        Ok(timed)
    })
}

/// Asks for a checkpoint at the job's intervals until the timed run is over.
fn request_checkpoints(
    job: &RunJob,
    target: &dyn Target,
    window: Window,
    over: &AtomicBool,
) -> Result<(), TargetError> {
    let Some(every) = job.checkpoint_every_ms.map(Duration::from_millis) else {
        return Ok(());
    };
    if !target.capabilities().checkpoint {
        return Ok(());
    }
    let mut due = window.run_start + every;
    while due < window.run_end {
        if !wait_or_stop(due, over) {
            return Ok(());
        }
        target.checkpoint()?;
        // One that took longer than the interval is not followed by those that it swallowed.
        while due <= Instant::now() {
            due += every;
        }
    }
    Ok(())
}

/// Watches a phase of the run from the child's first thread.
struct Sampler<'a> {
    job: &'a RunJob,
    target: &'a dyn Target,
    slots: &'a Slots,
    over: &'a AtomicBool,
    stop: &'a AtomicBool,
    begin: Instant,
    series: &'a mut Series,
}

impl Sampler<'_> {
    /// Samples until `end`; `true` when the user asked to stop. An interrupted phase ends with its interval. Who is woken so late
    /// that the phase is over by then still ends an interval for it.
    fn phase(&mut self, name: &str, phase: Phase, start: Instant, end: Instant) -> bool {
        let total = end.saturating_duration_since(start).as_millis() as u64;
        if end == start {
            return false;
        }
        progress::phase(name, total, "ms");
        let mut committed = 0;
        let mut interval_end = start + self.job.interval();
        let report_every = Duration::from_millis(self.job.report_every_ms.max(1));
        let mut report_end = start + report_every;
        loop {
            let now = Instant::now();
            let last = now >= end || self.over.load(Ordering::Relaxed);
            if last || now >= interval_end {
                let stats = self.target.stats();
                let interval = self
                    .series
                    .end_interval(now - self.begin, phase, self.slots, stats);
                committed += interval.committed;
                let done = now.saturating_duration_since(start).as_millis() as u64;
                let shown = if last {
                    let length = now.min(end).saturating_duration_since(start).as_secs_f64();
                    (length > 0.0).then(|| committed as f64 / length)
                } else {
                    interval.throughput()
                };
                let rate = shown.map_or_else(String::new, |rate| {
                    format!("{} transactions/s", units::short(rate))
                });
                progress::done(done.min(total), rate);
                if (last || now >= report_end)
                    && let Some(report) = self.series.report()
                {
                    progress::report(done.min(total), report);
                }
                while report_end <= now {
                    report_end += report_every;
                }
                while interval_end <= now {
                    interval_end += self.job.interval();
                }
                let interrupted = self.stop.load(Ordering::Relaxed);
                if last || interrupted {
                    return interrupted;
                }
            } else {
                self.series.poll(now - self.begin, &self.target.stats());
            }
            let next = interval_end.min(end).min(Instant::now() + POLL);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
}
