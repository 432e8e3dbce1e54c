//! The parent's side of the speed table: one child, its rows into the record.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reports::RunRecord;
use reports::record::{Check, CheckStatus, Workload};

use super::{RatioJob, RatioResult, SCENARIO};
use crate::child::directories::Directories;
use crate::child::interrupt::{Interrupt, requested};
use crate::child::process::{content, follow_parent, result_of_child, write_json};
use crate::child::progress::{Display, Interval};
use crate::drivers::factory;
use crate::error::{HarnessError, Result};
use crate::request::Request;
use crate::scenarios::Run;
use crate::scenarios::machine::{flush_sample, new_record};
use crate::values::first;

const ROWS: u64 = 1_000_000;
const VALUE_SIZE: u64 = 100;
const SLICE_MS: u64 = 500;
const PAIRS: u32 = 10;
const SEED: u64 = 42;
/// Fewer rows than a range has make no sense.
const ROWS_MIN: u64 = 1000;
/// More do not fit in memory, where the bound has them all.
const ROWS_MAX: u64 = 1 << 28;

/// The speed table as requested.
///
/// # Errors
/// Usage: senseless sizes, or not one engine.
pub(super) fn prepare(request: &Request) -> Result<Run> {
    let job = job(request)?;
    let settings = request.settings();
    let display = Display::new(Interval::new(request.report_interval));
    Ok(Box::new(move |directories| {
        run(directories, job, settings, display)
    }))
}

/// Measures the table in one child.
fn run(
    directories: &Directories,
    mut job: RatioJob,
    settings: BTreeMap<String, String>,
    mut display: Display,
) -> Result<RunRecord> {
    let trial = directories.data.join("trial");
    job.options.choose(factory(&job.engine)?.as_ref(), &trial)?;
    let job = RatioJob {
        directory: directories.data.clone(),
        result: directories.data.join("ratios.result.json"),
        ..job
    };
    let workload = Workload {
        name: "ratios".into(),
        title: "Ratios to bounds measured in the same run".into(),
        description: format!(
            "{} rows of {} bytes; {} pairs of slices of {} ms for each row of the table",
            job.rows, job.value_size, job.pairs, job.slice_ms
        ),
        spec_toml: String::new(),
        seed: job.seed,
        overrides: settings,
    };
    let mut record = new_record(directories, workload);
    record.probes.raw_flush.push(flush_sample(&directories.data, 1)?);
    display.start(format!("ratios of {}", job.engine));
    let job_file = directories.data.join("ratios.job.json");
    let result: RatioResult = result_of_child(&job_file, SCENARIO.name, &job, &job.result, &mut display)?
        .map_err(HarnessError::Run)?;
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
    record.interrupted = result.interrupted;
    if !record.interrupted && requested() == Interrupt::None {
        record.probes.raw_flush.push(flush_sample(&directories.data, 2)?);
    }
    Ok(record)
}

/// What a child does for the table.
///
/// # Errors
/// What keeps it from measuring, or its result from being written.
pub(super) fn work(job: serde_json::Value) -> Result<()> {
    let job: RatioJob = content(job)?;
    let result = super::measure(&job, follow_parent())?;
    write_json(&job.result, &result)
}

/// Without its places, which only the run has.
fn job(request: &Request) -> Result<RatioJob> {
    let engine = request.one_engine("ratios")?;
    factory(engine)?;
    let rows = first(&request.rows).unwrap_or(ROWS);
    if !(ROWS_MIN..=ROWS_MAX).contains(&rows) {
        return Err(HarnessError::Usage(format!(
            "--rows {rows}: the workload ratios takes {ROWS_MIN} to {ROWS_MAX}"
        )));
    }
    let value_size = first(&request.value_size).unwrap_or(VALUE_SIZE);
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
        slice_ms: request
            .duration
            .map_or(SLICE_MS, |slice| (slice.as_millis() as u64).max(1)),
        pairs: request.repeat.unwrap_or(PAIRS),
        seed: request.seed.unwrap_or(SEED),
        options: request.engine_options(engine)?,
        directory: PathBuf::new(),
        result: PathBuf::new(),
    })
}
