//! The child's side of a measurement: load, warm-up, timed run, verification.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};

use reports::record::{
    EngineStats, GroupSize, Measurement, Phase, Resources, Status, StorageInfo, Verification, Warning,
};
use workloads::keys::Frontier;
use workloads::oracle::{LogOptions, ThreadLog};
use workloads::spec::Spec;
use workloads::stream::{Plan, StreamOptions};
use workloads::target::{ErrorKind, OpenMode, OpenOptions, Target, TargetError, TargetFactory, TargetStats};
use workloads::worker::Worker as Work;

use super::job::{Levels, RunJob, levels, open_options, settings};
use super::load::load;
use super::pacing::Pacer;
use super::progress;
use super::series::{Series, Slots};
use super::tally::{Tally, latency_record};
use super::worker::{Harvest, Shared, Window, Worker};
use crate::adapters::factory;
use crate::error::{HarnessError, Result};
use crate::measure::hiccup::HiccupMeter;
use crate::measure::latency::Recorder;
use crate::measure::resources::{Usage, usage_now};

/// How often the engine is looked at between interval ends.
const POLL: Duration = Duration::from_millis(50);

/// Makes the measurement that `job` asks for. What goes wrong with the engine is part of the measurement.
///
/// # Errors
/// Only for what is not the engine's: an unknown engine, an unreadable specification.
pub(crate) fn measure(job: &RunJob, stop: &AtomicBool) -> Result<Measurement> {
    let factory = factory(&job.engine)?;
    let spec = job.spec()?;
    let capabilities = factory.capabilities();
    let mut measurement = Measurement {
        engine: job.engine.clone(),
        engine_version: Some(capabilities.version.clone()),
        repetition: job.repetition,
        settings: settings(job, &spec, capabilities),
        ..Measurement::default()
    };
    let levels = match levels(capabilities, &spec) {
        Ok(levels) => levels,
        Err(reason) => {
            measurement.status = Status::Unsupported { reason };
            return Ok(measurement);
        }
    };
    if let Err(error) = run(job, spec, &levels, factory.as_ref(), stop, &mut measurement)? {
        let reason = error.to_string();
        measurement.status = match error.kind() {
            ErrorKind::Unsupported => Status::Unsupported { reason },
            _ => Status::Failed { reason },
        };
    }
    Ok(measurement)
}

/// The outer result is the harness's own trouble, the inner one the engine's.
fn run(
    job: &RunJob,
    spec: Spec,
    levels: &Levels,
    factory: &dyn TargetFactory,
    stop: &AtomicBool,
    measurement: &mut Measurement,
) -> Result<Result<(), TargetError>> {
    // What the engine is asked for is what it is judged by.
    let spec = Spec {
        isolation: levels.isolation,
        durability: levels.durability,
        ..spec
    };
    let plan = Arc::new(Plan::new(spec));
    let spec = plan.spec();
    let options = open_options(job, spec, factory.capabilities(), levels, plan.table_names());
    let target = match factory.open(&options) {
        Ok(target) => target,
        Err(error) => return Ok(Err(error.context("open"))),
    };
    match load(target.as_ref(), &plan, levels.isolation, stop) {
        Ok(Some(load)) => measurement.load = Some(load),
        Ok(None) => {
            measurement.status = Status::NotRun;
            measurement.warnings.push(Warning::Interrupted);
            return Ok(Ok(()));
        }
        Err(error) => return Ok(Err(error.context("load"))),
    }
    let timed = timed_run(job, &plan, target.as_ref(), stop)?;
    let stats_end = target.stats();
    let (logs, fatal) = describe(measurement, &plan, timed)?;
    if let Some(error) = fatal {
        return Ok(Err(error));
    }
    measurement.status = Status::Ok;
    progress::phase("verify", 0, "");
    let (verification, live_logical_bytes) = verify(target, factory, &options, &plan, logs);
    progress::done(
        0,
        match &verification {
            Verification::Verified {
                transactions, rows, ..
            } => {
                format!(
                    "{} transactions, {} rows agree",
                    reports::units::count(*transactions),
                    reports::units::count(*rows)
                )
            }
            Verification::Failed { .. } => "failed".to_owned(),
            Verification::NotRun { reason } => format!("not verified: {reason}"),
        },
    );
    measurement.verification = verification;
    measurement.engine_stats.live_logical_bytes = live_logical_bytes;
    measurement.engine_stats.file_bytes = measurement
        .engine_stats
        .file_bytes
        .or_else(|| directory_bytes(&job.directory))
        .or(stats_end.file_bytes);
    Ok(Ok(()))
}

/// Everything measured between the first and the last transaction.
struct Timed {
    harvests: Vec<Harvest>,
    series: Series,
    warmup: Duration,
    length: Duration,
    stats: TargetStats,
    usage: Usage,
    hiccup: Recorder,
    interrupted: bool,
}

fn timed_run(job: &RunJob, plan: &Arc<Plan>, target: &dyn Target, stop: &AtomicBool) -> Result<Timed> {
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

    let worker = |index: usize| -> Harvest {
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
                return Harvest {
                    tallies: Vec::new(),
                    offered: 0,
                    log: None,
                    fatal,
                };
            }
        };
        let (plan, frontier) = (Arc::clone(plan), Arc::clone(&frontier));
        let work = Work::new(
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
        Worker::new(&shared, index, session, work).run(window, pacer)
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
            harvests: Vec::new(),
            series: Series::new(target.stats()),
            warmup: spec.warmup,
            length: Duration::ZERO,
            stats: TargetStats::default(),
            usage: Usage::default(),
            hiccup: Recorder::default(),
            interrupted: false,
        };
        go.wait();
        let mut sampler = Sampler {
            job,
            target,
            slots: &slots,
            over: &over,
            stop,
            begin,
            series: &mut timed.series,
        };
        timed.interrupted |= sampler.phase("warm-up", Phase::Warmup, planned.run_start);
        let run_start = Instant::now();
        let (stats, usage) = (target.stats(), usage_now());
        let hiccup = HiccupMeter::start().ok();
        if !timed.interrupted {
            timed.interrupted |= sampler.phase("run", Phase::Run, planned.run_end);
            timed.length = run_start
                .elapsed()
                .min(planned.run_end.saturating_duration_since(planned.run_start));
        }
        // Before the workers end, because the kernel forgets the context switches of threads that have.
        timed.usage = usage_now().since(&usage);
        timed.stats = target.stats().since(&stats);
        over.store(true, Ordering::Relaxed);
        timed.hiccup = hiccup.map(HiccupMeter::stop).unwrap_or_default();
        for handle in handles {
            let harvest = handle
                .join()
                .map_err(|_| HarnessError::Run("a worker thread panicked".into()))?;
            timed.harvests.push(harvest);
        }
        Ok(timed)
    })
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
    /// Samples until `end`; `true` when the user asked to stop. An interrupted phase ends with its interval.
    fn phase(&mut self, name: &str, phase: Phase, end: Instant) -> bool {
        let start = Instant::now();
        let total = end.saturating_duration_since(start).as_millis() as u64;
        if total == 0 {
            return false;
        }
        progress::phase(name, total, "ms");
        let mut committed = 0;
        let mut interval_end = start + self.job.interval();
        loop {
            let now = Instant::now();
            let last = now >= end || self.over.load(Ordering::Relaxed);
            if last || now >= interval_end {
                let stats = self.target.stats();
                let interval = self
                    .series
                    .end_interval(now - self.begin, phase, self.slots, stats);
                committed += interval.committed;
                let done = (now - start).as_millis() as u64;
                let shown = if last {
                    Some(committed as f64 / (now - start).as_secs_f64())
                } else {
                    interval.throughput()
                };
                let rate = shown.map_or_else(String::new, |rate| {
                    format!("{} transactions/s", reports::units::short(rate))
                });
                progress::done(done.min(total), rate);
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

/// Puts what was measured into the record. Returns the workers' logs and the error that ended the run, if any.
fn describe(
    measurement: &mut Measurement,
    plan: &Plan,
    timed: Timed,
) -> Result<(Vec<ThreadLog>, Option<TargetError>)> {
    let mut tallies = vec![Tally::default(); plan.spec().transactions.len()];
    let (mut offered, mut fatal, mut logs) = (0, None, Vec::new());
    for harvest in timed.harvests {
        for (total, own) in tallies.iter_mut().zip(&harvest.tallies) {
            total.merge(own);
        }
        offered += harvest.offered;
        fatal = fatal.or(harvest.fatal);
        logs.extend(harvest.log);
    }
    let duration_ns = timed.length.as_nanos() as u64;
    let committed: u64 = tallies.iter().map(|tally| tally.committed).sum();
    let operations: u64 = tallies.iter().map(|tally| tally.operations).sum();
    measurement.warmup_ns = Some(timed.warmup.as_nanos() as u64);
    measurement.duration_ns = Some(duration_ns).filter(|length| *length > 0);
    measurement.transactions_per_second = reports::units::per_second(committed, duration_ns);
    measurement.operations_per_second = reports::units::per_second(operations, duration_ns);
    measurement.transaction_types = tallies
        .iter()
        .zip(plan.type_names())
        .map(|(tally, name)| tally.to_record(&name))
        .collect::<Result<_>>()?;
    let errors: u64 = tallies.iter().map(|tally| tally.errors).sum();
    if errors > 0
        && let Some(error) = &fatal
    {
        measurement.warnings.push(Warning::Errors {
            count: errors,
            first: error.to_string(),
        });
    }
    if plan.spec().rate.is_some() {
        let offered_rate = reports::units::per_second(offered, duration_ns);
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
    if timed.interrupted {
        measurement.warnings.push(Warning::Interrupted);
    }
    measurement.hiccup = latency_record(&timed.hiccup)?;
    measurement.resources = resources(&timed.usage);
    let (intervals, spans) = timed.series.finish();
    measurement.intervals = intervals;
    measurement.engine_stats = engine_stats(timed.stats);
    measurement.engine_stats.checkpoints = spans;
    measurement.engine_stats.logical_bytes = Some(tallies.iter().map(|tally| tally.logical_bytes).sum());
    Ok((logs, fatal))
}

/// Share of the offered transactions below which a run counts as overloaded. Poisson arrivals alone stay well above.
const OVERLOAD: f64 = 0.95;

fn resources(usage: &Usage) -> Resources {
    Resources {
        cpu_user_ns: usage.cpu_user_ns,
        cpu_system_ns: usage.cpu_system_ns,
        rss_bytes_peak: usage.rss_bytes_peak,
        bytes_read: usage.device_bytes_read,
        bytes_written: usage.device_bytes_written,
        context_switches_voluntary: usage.context_switches_voluntary,
        context_switches_involuntary: usage.context_switches_involuntary,
    }
}

fn engine_stats(stats: TargetStats) -> EngineStats {
    let storage_info = stats.page_count.map(|page_count| StorageInfo {
        page_count: Some(page_count),
        used_pages: stats.pages_free.and_then(|free| page_count.checked_sub(free)),
        free_pages: stats.pages_free,
        compression_ratio: stats.compression_ratio,
        wal_size_bytes: stats.wal_live_bytes,
        last_checkpoint: None,
    });
    EngineStats {
        commits: stats.commits,
        flushes: stats.flushes,
        group_sizes: stats
            .commits_per_flush
            .unwrap_or_default()
            .iter()
            .map(|group| GroupSize {
                commits: group.commits_max,
                flushes: group.flushes,
            })
            .collect(),
        wal_bytes: stats.wal_bytes,
        wal_live_bytes: stats.wal_live_bytes,
        bytes_read: stats.bytes_read,
        bytes_written: stats.bytes_written,
        pages_read: stats.pages_read,
        pages_written: stats.pages_written,
        pages_evicted: stats.pages_evicted,
        cache_hits: stats.cache_hits,
        cache_misses: stats.cache_misses,
        checkpoints_completed: stats.checkpoints,
        file_bytes: stats.file_bytes,
        compression_ratio: stats.compression_ratio,
        storage_info,
        ..EngineStats::default()
    }
}

/// Compares the end state with the oracle. A persistent database is closed and opened again before, so that what is
/// compared is what was kept. Also returns the bytes of live keys and values.
fn verify(
    target: Box<dyn Target>,
    factory: &dyn TargetFactory,
    options: &OpenOptions,
    plan: &Plan,
    logs: Vec<ThreadLog>,
) -> (Verification, Option<u64>) {
    let failed = |what: String| (Verification::Failed { what: vec![what] }, None);
    let target = if factory.capabilities().persistent {
        drop(target);
        match factory.open(&OpenOptions {
            mode: OpenMode::Existing,
            ..options.clone()
        }) {
            Ok(target) => target,
            Err(error) => return failed(format!("the database cannot be opened again: {error}")),
        }
    } else {
        target
    };
    let structure = match target.verify() {
        Ok(()) => Some(true),
        Err(error) if error.kind() == ErrorKind::Unsupported => None,
        Err(error) => return failed(format!("structure: {error}")),
    };
    super::verification::judge(target.as_ref(), plan, logs, structure)
}

fn directory_bytes(directory: &Path) -> Option<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(directory).ok()? {
        let entry = entry.ok()?;
        let metadata = entry.metadata().ok()?;
        total += if metadata.is_dir() {
            directory_bytes(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Some(total)
}
