//! What is wrong with a measurement, as data: shown wherever its figures are shown.

use serde::{Deserialize, Serialize};

/// One reason to distrust figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Warning {
    /// The program was not built for measuring.
    DevBuild,
    /// The timed run was shorter than figures need to settle.
    ShortRun {
        /// Length of the run in nanoseconds.
        duration_ns: u64,
        /// What would have been long enough.
        recommended_ns: u64,
    },
    /// An idle thread was delayed: other work disturbed this machine.
    NoisyMachine {
        /// 99th percentile of an idle thread's delay, in nanoseconds.
        hiccup_ns_p99: u64,
        /// Its largest delay, in nanoseconds.
        hiccup_ns_max: u64,
    },
    /// Open loop: the engine did not keep up, so latencies hold time spent waiting for their turn.
    OfferedExceedsAchieved {
        /// Transactions offered each second.
        offered_per_second: f64,
        /// Transactions achieved each second.
        achieved_per_second: f64,
    },
    /// The run was stopped early.
    Interrupted,
    /// More threads than processors: latencies hold scheduling delays.
    MoreThreadsThanCores {
        /// Threads asked for.
        threads: u32,
        /// Processors there are.
        cores: u32,
    },
    /// The measuring loop is a good part of what was measured.
    LoopCost {
        /// The engine.
        engine: String,
        /// What the loop costs by itself, in nanoseconds for each transaction.
        loop_ns: f64,
        /// The median latency of the engine's transactions, in nanoseconds.
        latency_ns_p50: u64,
    },
    /// Reads that found no row: they cost less than those that do.
    ReadsMissed {
        /// The engine.
        engine: String,
        /// The transaction type.
        transaction: String,
        /// Its point reads and ranges.
        reads: u64,
        /// Those of them that found no row at all.
        missed: u64,
    },
    /// Many transactions were aborted for good: they are in no latency.
    ManyAborted {
        /// The engine.
        engine: String,
        /// Transactions aborted.
        aborted: u64,
        /// Transactions begun.
        transactions: u64,
    },
    /// Threads spent much of their time waiting for locks.
    LockWaits {
        /// The engine.
        engine: String,
        /// Time spent waiting, all threads together, in nanoseconds.
        lock_wait_ns: u64,
        /// That as a share of the time of all threads.
        share: f64,
    },
    /// Ranges returned another number of rows than those of the in-memory bound: one of the two returns too few or too many.
    RowsReturnedDiffer {
        /// The engine.
        engine: String,
        /// The transaction type.
        transaction: String,
        /// Rows that a range returned, in the mean.
        rows_per_range: f64,
        /// The bound.
        bound: String,
        /// Rows that a range of the bound returned, in the mean.
        bound_rows_per_range: f64,
    },
    /// Who counts bytes written do not agree.
    BytesDisagree {
        /// The engine.
        engine: String,
        /// What the engine says that it wrote, log included.
        engine_bytes: Option<u64>,
        /// What the kernel counts for the process.
        process_bytes: Option<u64>,
        /// What the device wrote, for all programs.
        device_bytes: Option<u64>,
    },
    /// Commits were to be synchronised, and there was no flush, or nothing reached the device.
    NothingFlushed {
        /// The engine.
        engine: String,
        /// Bytes of keys and values that commits changed.
        logical_bytes: u64,
        /// Flushes that it told; `null` where it tells none.
        flushes: Option<u64>,
        /// What the device wrote, for all programs; `null` where it is not known.
        device_bytes: Option<u64>,
    },
    /// Commits under one name survive a killed process on some engines and nothing on others.
    UnequalSurvival {
        /// Engines whose commits survive it.
        survive: Vec<String>,
        /// Engines whose commits do not.
        lose: Vec<String>,
    },
    /// One repetition only: no spread is known.
    SingleRepetition,
    /// Repetitions differ so much that their middle says little.
    UnstableRepetitions {
        /// The engine.
        engine: String,
        /// Largest over smallest throughput.
        spread: f64,
    },
    /// Raw flushes differ between repetitions: the device is not steady.
    UnstableFlush {
        /// Largest over smallest flush rate.
        spread: f64,
    },
    /// An engine flushed more often than the raw-flush probe could: the bound is none, or its flushes are not.
    FlushBoundExceeded {
        /// The engine.
        engine: String,
        /// Its flushes each second of the timed run.
        flushes_per_second: f64,
        /// The fastest probe of raw flushes, likewise.
        raw_flushes_per_second: f64,
    },
    /// Engines in one comparison ran at different durability.
    UnequalDurability {
        /// Each engine with its durability, as `name: level`.
        levels: Vec<String>,
    },
    /// The data directory is in memory, so that flushes cost nothing.
    MemoryFileSystem {
        /// Type of the file system.
        file_system: String,
    },
    /// Some attempts ended with errors.
    Errors {
        /// How many.
        count: u64,
        /// The first one.
        first: String,
    },
    /// Anything else, in words.
    Other {
        /// The words.
        message: String,
    },
}

impl Warning {
    /// The warning in words, as a sentence.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::DevBuild => {
                "This is a dev build: its figures are not for quoting. Build with --release to measure."
                    .to_owned()
            }
            Self::ShortRun {
                duration_ns,
                recommended_ns,
            } => format!(
                "The timed run lasted {}; at least {} is recommended.",
                units::duration(*duration_ns),
                units::duration(*recommended_ns)
            ),
            Self::NoisyMachine {
                hiccup_ns_p99,
                hiccup_ns_max,
            } => format!(
                "The machine was noisy: an idle thread was delayed by up to {} (p99 {}).",
                units::duration(*hiccup_ns_max),
                units::duration(*hiccup_ns_p99)
            ),
            Self::OfferedExceedsAchieved {
                offered_per_second,
                achieved_per_second,
            } => format!(
                "Overloaded: {} transactions/s were offered, {} were achieved; latencies include time spent queueing.",
                units::number(*offered_per_second),
                units::number(*achieved_per_second)
            ),
            Self::Interrupted => "The run was interrupted; what was measured until then is shown.".to_owned(),
            Self::MoreThreadsThanCores { threads, cores } => {
                format!("{threads} threads ran on {cores} processors; latencies include scheduling delays.")
            }
            Self::LoopCost {
                engine,
                loop_ns,
                latency_ns_p50,
            } => format!(
                "Of the median latency of {engine}, {}, the measuring loop itself is about {} ({:.0} %): ratios between \
                 engines are further from 1 than they look.",
                units::duration(*latency_ns_p50),
                units::duration(*loop_ns as u64),
                loop_ns / *latency_ns_p50 as f64 * 100.0
            ),
            Self::ReadsMissed {
                engine,
                transaction,
                reads,
                missed,
            } => format!(
                "Of {} reads of {transaction} on {engine}, {} ({:.1} %) found no row, which costs less than finding one.",
                units::count(*reads),
                units::count(*missed),
                *missed as f64 / *reads as f64 * 100.0
            ),
            Self::ManyAborted {
                engine,
                aborted,
                transactions,
            } => format!(
                "Of {} transactions of {engine}, {} ({:.1} %) were aborted for good; they are in no rate and no latency.",
                units::count(*transactions),
                units::count(*aborted),
                *aborted as f64 / *transactions as f64 * 100.0
            ),
            Self::LockWaits {
                engine,
                lock_wait_ns,
                share,
            } => format!(
                "Threads of {engine} waited for locks for {} in a repetition, {:.0} % of their time: rate and latency are those of the \
                 contention.",
                units::duration(*lock_wait_ns),
                share * 100.0
            ),
            Self::RowsReturnedDiffer {
                engine,
                transaction,
                rows_per_range,
                bound,
                bound_rows_per_range,
            } => format!(
                "A range of {transaction} returned {} rows on {engine} and {} on {bound}, in the mean: one of them may return too \
                 few.",
                units::number(*rows_per_range),
                units::number(*bound_rows_per_range)
            ),
            Self::BytesDisagree {
                engine,
                engine_bytes,
                process_bytes,
                device_bytes,
            } => {
                let size = |known: &Option<u64>| known.map_or_else(|| "unknown".to_owned(), units::bytes);
                format!(
                    "Bytes written in a timed run of {engine} do not agree: {} by its own count, {} of pages made dirty \
                     (some kernels count whole folios), {} on the device (all programs; what is still in memory is not in \
                     it). Amplification is worked out from its own count.",
                    size(engine_bytes),
                    size(process_bytes),
                    size(device_bytes)
                )
            }
            Self::NothingFlushed {
                engine,
                logical_bytes,
                flushes,
                device_bytes,
            } => format!(
                "Commits of {engine} were to survive a loss of power and changed {}, but it tells {} flushes, and {} reached the \
                 device: they are not synchronised. `--workload powerloss` shows what is lost.",
                units::bytes(*logical_bytes),
                units::or_missing(*flushes, units::count),
                units::or_missing(*device_bytes, units::bytes),
            ),
            Self::UnequalSurvival { survive, lose } => format!(
                "no-sync is not one promise here: commits survive a killed process on {}, and do not on {}. Their figures \
                 are not alike.",
                survive.join(", "),
                lose.join(", ")
            ),
            Self::SingleRepetition => {
                "One repetition only: the spread between repetitions is not known.".to_owned()
            }
            Self::UnstableRepetitions { engine, spread } => format!(
                "Repetitions of {engine} differ by a factor of {}; their median says little.",
                units::number(*spread)
            ),
            Self::UnstableFlush { spread } => format!(
                "Raw flushes differ by a factor of {} between repetitions: the device is not steady.",
                units::number(*spread)
            ),
            Self::FlushBoundExceeded {
                engine,
                flushes_per_second,
                raw_flushes_per_second,
            } => format!(
                "{engine} flushed {} times/s, and raw flushes reached only {}/s: either the probe was disturbed or \
                 these flushes are not flushes. Ratios to the raw flush mean nothing here.",
                units::number(*flushes_per_second),
                units::number(*raw_flushes_per_second)
            ),
            Self::UnequalDurability { levels } => format!(
                "Engines ran at different durability ({}); their figures are not alike.",
                levels.join(", ")
            ),
            Self::MemoryFileSystem { file_system } => {
                format!("The data directory is on {file_system}, in memory: flushes cost nothing here.")
            }
            Self::Errors { count, first } => {
                format!("{count} attempts ended with errors; the first: {first}")
            }
            Self::Other { message } => message.clone(),
        }
    }
}
