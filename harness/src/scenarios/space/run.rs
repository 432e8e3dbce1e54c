//! The parent's side: one child, its series into the record.

use reports::RunRecord;
use reports::record::{Check, CheckStatus, Figure, SpaceSample, Workload};

use super::{LIVE_FLOOR_BYTES, SpaceJob, SpaceResult};
use crate::adapters::factory;
use crate::cli::args::RunArgs;
use crate::cli::run::one_engine;
use crate::cli::workload::recorded_overrides;
use crate::error::{HarnessError, Result};
use crate::runner::directories::Directories;
use crate::runner::process::{ChildProcess, read_json, write_json};
use crate::runner::progress::{Display, Progress};
use crate::runner::{Job, interrupt, parent, warnings};
use crate::scenarios::ratios::KEY_LEN;

const ROWS: u64 = 400_000;
const VALUE_SIZE: u64 = 100;
const SEED: u64 = 42;
/// The rows are so many times as large as the cache.
const TIMES_CACHE: u64 = 8;
/// The least cache, whatever the rows.
const CACHE_BYTES_MIN: u64 = 1 << 20;
/// Versions of rows are counted, one number for each.
const ROWS_MAX: u64 = 1 << 28;

/// Measures space over time as the command line asks.
///
/// # Errors
/// Usage: options that do not go with it, senseless sizes. Run: when the child crashed.
pub(crate) fn run(directories: &Directories, args: &RunArgs) -> Result<RunRecord> {
    let job = job(directories, args)?;
    let workload = Workload {
        name: "space".into(),
        title: "Space over time".into(),
        description: format!(
            "{} rows of {} bytes, loaded in random order beside a cache of {}, and as many replaced at random; the data \
             file beside the live bytes (keys and values of committed rows) at every moment at which there are {} of them",
            reports::units::count(job.rows),
            job.value_size,
            reports::units::bytes(job.cache_size_bytes),
            reports::units::bytes(job.live_floor()),
        ),
        spec_toml: String::new(),
        seed: job.seed,
        overrides: recorded_overrides(args),
    };
    let mut record = parent::new_record(directories, workload);
    let path = write_json(directories.out.join("space.job.json"), &Job::Space(job.clone()))?;
    let child: ChildProcess<Progress> = ChildProcess::start(&path)?;
    let mut display = Display::new();
    display.start(format!("space of {}", job.engine));
    let ended = child.watch(|progress| display.show(progress))?;
    if let Some(failure) = ended.failure() {
        return Err(HarnessError::Run(failure));
    }
    let result: SpaceResult = read_json(&job.result)?;
    for path in [&path, &job.result] {
        std::fs::remove_file(path).map_err(|error| HarnessError::io("remove", path, &error))?;
    }
    display.finish(&format!(
        "file at most {} times the live bytes",
        reports::units::or_missing(result.space.largest_ratio, reports::units::number)
    ));
    let figure = |id: &str, title: &str, value: Option<f64>| Figure {
        id: format!("space.{id}"),
        title: title.into(),
        subject: job.engine.clone(),
        value,
        unit: "x live bytes".into(),
    };
    let counted = result
        .space
        .samples
        .iter()
        .filter(|sample| sample.live_bytes >= LIVE_FLOOR_BYTES);
    let whole = counted.filter_map(SpaceSample::ratio).max_by(f64::total_cmp);
    record.figures = vec![
        figure("largest", "Data file, at its largest", result.space.largest_ratio),
        figure("whole", "Data file, at its largest from 4 MiB of rows on", whole),
        figure("last", "Data file, at the end", result.space.last_ratio),
    ];
    record.checks.push(Check {
        id: format!("space.{}.verified", job.engine),
        title: format!("{} {}: rows and structure", job.engine, result.engine_version),
        status: match (result.findings.is_empty(), result.interrupted) {
            (false, _) => CheckStatus::Failed,
            (true, true) => CheckStatus::NotRun,
            (true, false) => CheckStatus::Passed,
        },
        detail: result.findings.join("; "),
    });
    record.space = vec![result.space];
    record.interrupted = result.interrupted || interrupt::requested() != interrupt::Interrupt::None;
    record.warnings = warnings::warnings(&record);
    Ok(record)
}

fn job(directories: &Directories, args: &RunArgs) -> Result<SpaceJob> {
    let refused = [
        ("--threads", args.threads.is_some(), "one thread writes"),
        ("--rate", args.rate.is_some(), "it runs as fast as it can"),
        (
            "--durability",
            args.durability.is_some(),
            "it commits without sync",
        ),
        (
            "--isolation",
            args.isolation.is_some(),
            "it runs at read-committed",
        ),
        ("--warmup", args.warmup.is_some(), "every moment counts"),
        (
            "--duration",
            args.duration.is_some(),
            "--rows says how much it does",
        ),
        ("--repeat", args.repeat.is_some(), "it runs once"),
        (
            "--checkpoint-every",
            args.checkpoint_every.is_some(),
            "checkpoints are the engine's own",
        ),
        (
            "--rounds",
            args.rounds.is_some(),
            "that belongs to the workload recovery",
        ),
    ];
    if let Some((option, _, why)) = refused.iter().find(|(_, given, _)| *given) {
        return Err(HarnessError::Usage(format!(
            "{option} does not go with the workload space: {why}"
        )));
    }
    let engine = one_engine(&args.engine, "space")?;
    let factory = factory(engine)?;
    let capabilities = factory.capabilities();
    if !capabilities.persistent || !capabilities.cache_size {
        return Err(HarnessError::Usage(format!(
            "{engine} has no files, or no cache of a settable size, which the workload space needs"
        )));
    }
    let rows = args.rows.unwrap_or(ROWS);
    let value_size = args.value_size.unwrap_or(VALUE_SIZE);
    let live = rows.saturating_mul(KEY_LEN as u64 + value_size);
    if rows > ROWS_MAX || !(1..=1 << 20).contains(&value_size) || live < LIVE_FLOOR_BYTES {
        return Err(HarnessError::Usage(format!(
            "--rows {rows} --value-size {value_size}: the workload space takes values of 1 byte to 1 MiB, at most {ROWS_MAX} \
             rows, and at least {} of them in all",
            reports::units::bytes(LIVE_FLOOR_BYTES)
        )));
    }
    Ok(SpaceJob {
        engine: engine.to_owned(),
        rows,
        value_size: value_size as usize,
        cache_size_bytes: args
            .cache_size
            .unwrap_or((live / TIMES_CACHE).max(CACHE_BYTES_MIN)),
        compression: args.compression.clone().unwrap_or_else(|| "NONE".into()),
        seed: args.seed.unwrap_or(SEED),
        directory: directories.data.join("space"),
        // Beside the database and not in its directory, whose files are counted.
        result: directories.out.join("space.result.json"),
    })
}
