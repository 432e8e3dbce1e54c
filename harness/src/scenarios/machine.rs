//! What a record says about the machine and the command, whatever the run.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use reports::RunRecord;
use reports::record::{Command, FlushSample, Probes, Workload};

use crate::child::directories::Directories;
use crate::error::{HarnessError, Result};
use crate::probe::clock::clock_read_ns;
use crate::probe::environment::{build, environment};
use crate::probe::flush_probe::{self, probe_flushes};
use crate::probe::hiccup::HiccupMeter;
use crate::probe::latency::latency_record;

/// Length of one flush probe.
const PROBE: Duration = Duration::from_millis(300);
/// Length of the look at an idle thread before anything runs.
const IDLE: Duration = Duration::from_millis(250);

/// A record with everything about the machine and the command, and nothing measured yet.
pub(crate) fn new_record(directories: &Directories, workload: Workload) -> RunRecord {
    let mut record = RunRecord::new(
        directories.run_id.clone(),
        reports::time::rfc3339(SystemTime::now()),
    );
    record.label.clone_from(&directories.label);
    record.command = Command {
        argv: arguments(0),
        display: Some(command_to_type()),
    };
    record.build = build();
    record.environment = environment(&directories.data);
    record.workload = workload;
    record.probes = Probes {
        raw_flush: Vec::new(),
        idle_hiccup: idle_hiccup(),
        clock_read_ns: Some(clock_read_ns()),
    };
    // A run that is killed before anything is measured was still a run.
    super::save(&record, directories);
    record
}

/// The arguments from one on, those that are no text with what can be read of them.
fn arguments(first: usize) -> Vec<String> {
    std::env::args_os()
        .skip(first)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect()
}

/// The command as a person would type it in a checkout: where the program's file happens to lie says nothing.
fn command_to_type() -> String {
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    let arguments = Command {
        argv: arguments(1),
        display: None,
    };
    let program = std::env::current_exe().ok();
    let name = program
        .as_deref()
        .and_then(Path::file_stem)
        .and_then(OsStr::to_str);
    // Of an author's own program, only the name is known.
    let target = match name {
        None | Some("harness") => "-p harness".to_owned(),
        Some(name) => format!("--bin {name}"),
    };
    format!("cargo run{release} {target} -- {}", arguments.to_shell())
}

fn idle_hiccup() -> Option<reports::record::Latency> {
    let meter = HiccupMeter::start().ok()?;
    std::thread::sleep(IDLE);
    latency_record(&meter.stop()).ok().flatten()
}

/// Probes the device under `directory` once.
///
/// # Errors
/// When the directory cannot be written or synchronised.
pub(crate) fn flush_sample(directory: &Path, repetition: u32) -> Result<FlushSample> {
    let probe = probe_flushes(directory, PROBE)
        .map_err(|error| HarnessError::io("measure flushes in", directory, &error))?;
    let flushes = probe.latency_ns.count();
    Ok(FlushSample {
        repetition,
        method: probe.method.name().to_owned(),
        write_bytes: flush_probe::BLOCK as u64,
        flushes,
        duration_ns: (flushes as f64 / probe.flushes_per_second * 1e9) as u64,
        latency: latency_record(&probe.latency_ns)?,
    })
}
