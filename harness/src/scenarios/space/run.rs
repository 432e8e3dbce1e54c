//! The parent's side: one child, its series into the record.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reports::RunRecord;
use reports::record::{Check, CheckStatus, Figure, SpaceSample, Workload};

use super::{LIVE_FLOOR_BYTES, SCENARIO, SpaceJob, SpaceResult};
use crate::child::directories::Directories;
use crate::child::process::{content, follow_parent, result_of_child, write_json};
use crate::child::progress::{Display, Interval};
use crate::drivers::factory;
use crate::error::{HarnessError, Result};
use crate::request::Request;
use crate::scenarios::Run;
use crate::scenarios::machine::new_record;
use crate::scenarios::ratios::KEY_LEN;
use crate::values::first;

const ROWS: u64 = 400_000;
const VALUE_SIZE: u64 = 100;
const SEED: u64 = 42;
/// The rows are so many times as large as the cache.
const TIMES_CACHE: u64 = 8;
/// The least cache, whatever the rows.
const CACHE_BYTES_MIN: u64 = 1 << 20;
/// Versions of rows are counted, one number for each.
const ROWS_MAX: u64 = 1 << 28;

/// Space over time as requested.
///
/// # Errors
/// Usage: senseless sizes, not one engine, or one that does not have what it takes.
pub(super) fn prepare(request: &Request) -> Result<Run> {
    let job = job(request)?;
    let settings = request.settings();
    let display = Display::new(Interval::new(request.report_interval));
    Ok(Box::new(move |directories| {
        run(directories, job, settings, display)
    }))
}

/// Measures it in one child.
fn run(
    directories: &Directories,
    job: SpaceJob,
    settings: BTreeMap<String, String>,
    mut display: Display,
) -> Result<RunRecord> {
    let job = SpaceJob {
        directory: directories.data.join("space"),
        result: directories.out.join("space.result.json"),
        ..job
    };
    let workload = Workload {
        name: "space".into(),
        title: "Space over time".into(),
        description: format!(
            "{} rows of {} bytes, loaded in random order beside a cache of {}, and as many replaced at random; the data \
             file beside the live bytes (keys and values of committed rows) at every moment at which there are {} of them",
            units::count(job.rows),
            job.value_size,
            units::bytes(job.cache_size_bytes),
            units::bytes(job.live_floor()),
        ),
        spec_toml: String::new(),
        seed: job.seed,
        overrides: settings,
    };
    let mut record = new_record(directories, workload);
    display.start(format!("space of {}", job.engine));
    // Beside the database, whose files are counted.
    let job_file = directories.out.join("space.job.json");
    let result: SpaceResult = result_of_child(&job_file, SCENARIO.name, &job, &job.result, &mut display)?
        .map_err(HarnessError::Run)?;
    for path in [&job_file, &job.result] {
        std::fs::remove_file(path).map_err(|error| HarnessError::io("remove", path, &error))?;
    }
    display.finish(&format!(
        "file at most {} times the live bytes",
        units::or_missing(result.space.largest_ratio, units::number)
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
    record.interrupted = result.interrupted;
    Ok(record)
}

/// What a child does for it.
///
/// # Errors
/// What keeps it from measuring, or its result from being written.
pub(super) fn work(job: serde_json::Value) -> Result<()> {
    let job: SpaceJob = content(job)?;
    let result = super::measure(&job, follow_parent())?;
    write_json(&job.result, &result)
}

/// Without its places, which only the run has.
fn job(request: &Request) -> Result<SpaceJob> {
    let engine = request.one_engine("space")?;
    let factory = factory(engine)?;
    let capabilities = factory.capabilities();
    let lacks = match (capabilities.persistent, capabilities.cache_size) {
        (true, true) => None,
        (false, _) => Some("keeps nothing in files"),
        (true, false) => Some("has no cache of a settable size"),
    };
    if let Some(lacks) = lacks {
        return Err(HarnessError::Usage(format!(
            "the workload space looks at files that are larger than a cache, and {engine} {lacks}"
        )));
    }
    let rows = first(&request.rows).unwrap_or(ROWS);
    let value_size = first(&request.value_size).unwrap_or(VALUE_SIZE);
    let live = rows.saturating_mul(KEY_LEN as u64 + value_size);
    if rows > ROWS_MAX || !(1..=1 << 20).contains(&value_size) || live < LIVE_FLOOR_BYTES {
        return Err(HarnessError::Usage(format!(
            "--rows {rows} --value-size {value_size}: the workload space takes values of 1 byte to 1 MiB, at most {ROWS_MAX} \
             rows, and at least {} of them in all",
            units::bytes(LIVE_FLOOR_BYTES)
        )));
    }
    let mut options = request.engine_options(engine)?;
    let cache_size_bytes = *options
        .cache_size_bytes
        .get_or_insert((live / TIMES_CACHE).max(CACHE_BYTES_MIN));
    options.compression.get_or_insert_with(|| "NONE".into());
    Ok(SpaceJob {
        engine: engine.to_owned(),
        rows,
        value_size: value_size as usize,
        cache_size_bytes,
        options,
        seed: request.seed.unwrap_or(SEED),
        directory: PathBuf::new(),
        result: PathBuf::new(),
    })
}
