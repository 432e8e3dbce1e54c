//! The parent's side of the speed table: one child, its rows into the record.

use reports::RunRecord;
use reports::record::{Check, CheckStatus, Workload};

use super::{RatioJob, RatioResult};
use crate::adapters::factory;
use crate::cli::args::RunArgs;
use crate::cli::run::one_engine;
use crate::cli::workload::recorded_overrides;
use crate::error::{HarnessError, Result};
use crate::runner::directories::Directories;
use crate::runner::process::{ChildProcess, read_json, write_json};
use crate::runner::progress::{Display, Progress};
use crate::runner::{Job, interrupt, parent, warnings};

const ROWS: u64 = 1_000_000;
const VALUE_SIZE: u64 = 100;
const SLICE_MS: u64 = 500;
const PAIRS: u32 = 10;
const SEED: u64 = 42;
/// Fewer rows than a range has make no sense.
const ROWS_MIN: u64 = 1000;

/// Measures the speed table as the command line asks.
///
/// # Errors
/// Usage: options that the table does not have, or senseless sizes. Run: when the child crashed.
pub(crate) fn run(directories: &Directories, args: &RunArgs) -> Result<RunRecord> {
    let job = job(directories, args)?;
    let workload = Workload {
        name: "ratios".into(),
        title: "Ratios to bounds measured in the same run".into(),
        description: format!(
            "{} rows of {} bytes; {} pairs of slices of {} ms for each row of the table",
            job.rows, job.value_size, job.pairs, job.slice_ms
        ),
        spec_toml: String::new(),
        seed: job.seed,
        overrides: recorded_overrides(args),
    };
    let mut record = parent::new_record(directories, workload);
    record
        .probes
        .raw_flush
        .push(parent::flush_sample(&directories.data, 1)?);
    let path = write_json(
        directories.data.join("ratios.job.json"),
        &Job::Ratios(job.clone()),
    )?;
    let child: ChildProcess<Progress> = ChildProcess::start(&path)?;
    let mut display = Display::new();
    display.start(format!("ratios of {}", job.engine));
    let ended = child.watch(|progress| display.show(progress))?;
    if let Some(failure) = ended.failure() {
        return Err(HarnessError::Run(failure));
    }
    let result: RatioResult = read_json(&job.result)?;
    let measured = result.rows.iter().filter(|row| row.value.is_some()).count();
    display.finish(&format!("{measured} of {} rows measured", result.rows.len()));
    record.ratios = result.rows;
    record.checks.push(Check {
        id: format!("ratios.{}.verified", job.engine),
        title: format!(
            "{} {}: answers and structure while measuring",
            job.engine, result.engine_version
        ),
        status: if result.findings.is_empty() {
            CheckStatus::Passed
        } else {
            CheckStatus::Failed
        },
        detail: result.findings.join("; "),
    });
    record.interrupted = result.interrupted || interrupt::requested() != interrupt::Interrupt::None;
    if !record.interrupted {
        record
            .probes
            .raw_flush
            .push(parent::flush_sample(&directories.data, 2)?);
    }
    record.warnings = warnings::warnings(&record);
    Ok(record)
}

fn job(directories: &Directories, args: &RunArgs) -> Result<RatioJob> {
    let refused = [
        ("--threads", args.threads.is_some(), "each row has its own"),
        ("--rate", args.rate.is_some(), "each row runs as fast as it can"),
        ("--durability", args.durability.is_some(), "each row has its own"),
        (
            "--isolation",
            args.isolation.is_some(),
            "it runs at read-committed",
        ),
        (
            "--compression",
            args.compression.is_some(),
            "the rows about file sizes have their own",
        ),
        (
            "--warmup",
            args.warmup.is_some(),
            "the first pair of each row is its warm-up",
        ),
        (
            "--checkpoint-every",
            args.checkpoint_every.is_some(),
            "it decides that itself",
        ),
        (
            "--rounds",
            args.rounds.is_some(),
            "that belongs to the workload recovery",
        ),
    ];
    if let Some((option, _, why)) = refused.iter().find(|(_, given, _)| *given) {
        return Err(HarnessError::Usage(format!(
            "{option} does not go with the workload ratios: {why}"
        )));
    }
    let engine = one_engine(&args.engine, "ratios")?;
    factory(engine)?;
    let rows = args.rows.unwrap_or(ROWS);
    if rows < ROWS_MIN {
        return Err(HarnessError::Usage(format!(
            "--rows {rows}: the workload ratios needs at least {ROWS_MIN}"
        )));
    }
    let value_size = args.value_size.unwrap_or(VALUE_SIZE);
    let value_size = usize::try_from(value_size)
        .ok()
        .filter(|size| (1..=1 << 20).contains(size))
        .ok_or_else(|| {
            HarnessError::Usage(format!(
                "--value-size {value_size}: the workload ratios takes 1 byte to 1 MiB"
            ))
        })?;
    Ok(RatioJob {
        engine: engine.to_owned(),
        bound: "memory".into(),
        rows,
        value_size,
        slice_ms: args
            .duration
            .map_or(SLICE_MS, |slice| (slice.as_millis() as u64).max(1)),
        pairs: args.repeat.unwrap_or(PAIRS),
        seed: args.seed.unwrap_or(SEED),
        cache_size_bytes: args.cache_size,
        directory: directories.data.clone(),
        result: directories.data.join("ratios.result.json"),
    })
}
