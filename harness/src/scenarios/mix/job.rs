//! What a parent asks of a child that measures: one engine, one repetition.

use std::path::PathBuf;
use std::time::Duration;

use reports::record::Settings;
use serde::{Deserialize, Serialize};
use workloads::driver::{Capabilities, Durability, OpenOptions};
use workloads::spec::Spec;

use crate::scenarios::levels::{Levels, levels};

/// The job file of a measuring child.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunJob {
    /// The engine, by name.
    pub engine: String,
    /// Repetition, from 1.
    pub repetition: u32,
    /// The specification, overrides applied.
    pub spec: Spec,
    /// Compression of stored data; `None` leaves the engine's default.
    pub compression: Option<String>,
    /// How long a transaction waits for another's lock, in milliseconds.
    pub busy_timeout_ms: u64,
    /// Length of one interval of the series over time, in milliseconds.
    pub interval_ms: u64,
    /// A checkpoint is asked for whenever so many milliseconds of the timed run have passed; `None` leaves checkpoints
    /// to the engine.
    pub checkpoint_every_ms: Option<u64>,
    /// Directory of the database; absent or empty.
    #[serde(with = "crate::child::paths")]
    pub directory: PathBuf,
    /// Where to write the measurement.
    #[serde(with = "crate::child::paths")]
    pub result: PathBuf,
}

impl RunJob {
    /// Length of one interval.
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms.max(1))
    }
}

/// The settings of a measurement, for its record.
pub(crate) fn settings(job: &RunJob, spec: &Spec, capabilities: &Capabilities) -> Settings {
    let levels = levels(capabilities, spec).ok();
    let mean = |table: &workloads::spec::TableSpec| (table.value.size.min + table.value.size.max) / 2;
    let underscored = |name: &str| name.replace('-', "_");
    let mut notes = levels
        .as_ref()
        .map(|levels| levels.notes.clone())
        .unwrap_or_default();
    if spec.cache_size_bytes.is_some() && !capabilities.cache_size {
        notes.push(format!("{} has no cache of a settable size", capabilities.name));
    }
    Settings {
        threads: Some(u32::from(spec.threads)),
        rows: Some(spec.tables.iter().map(|table| table.rows).sum()),
        value_size_bytes: spec.tables.first().map(mean),
        durability: levels.as_ref().map(|levels| match levels.durability {
            Durability::InMemory => "none".to_owned(),
            level => underscored(level.name()),
        }),
        survival: None,
        isolation: levels.as_ref().map(|levels| underscored(levels.isolation.name())),
        cache_size_bytes: spec.cache_size_bytes.filter(|_| capabilities.cache_size),
        page_size_bytes: None,
        compression: job.compression.as_ref().map(|codec| codec.to_lowercase()),
        offered_per_second: spec.rate,
        notes,
    }
}

/// How to open the database of a job.
pub(crate) fn open_options(
    job: &RunJob,
    spec: &Spec,
    capabilities: &Capabilities,
    levels: &Levels,
    tables: Vec<String>,
) -> OpenOptions {
    let mut options = OpenOptions::create(&job.directory, tables);
    options.durability = levels.durability;
    options.cache_size_bytes = spec.cache_size_bytes.filter(|_| capabilities.cache_size);
    options.busy_timeout = Duration::from_millis(job.busy_timeout_ms);
    options.compression.clone_from(&job.compression);
    options
}
