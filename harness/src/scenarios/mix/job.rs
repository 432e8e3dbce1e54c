//! What a parent asks of a child that measures: one engine, one repetition.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reports::record::{Settings, Varied};
use serde::{Deserialize, Serialize};
use workloads::driver::{Capabilities, OpenOptions};
use workloads::spec::Spec;

use super::prepared::Prepared;
use crate::engine_options::EngineOptions;
use crate::scenarios::levels::{Levels, levels};

/// How long a transaction waits for another's lock, where nobody says.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// The job file of a measuring child.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunJob {
    /// The engine, by name.
    pub engine: String,
    /// Repetition, from 1.
    pub repetition: u32,
    /// The specification, overrides applied.
    pub spec: Spec,
    /// Options that have several values in the run, with those of this job.
    pub varied: Vec<Varied>,
    /// How the database is opened.
    pub options: EngineOptions,
    /// Length of one interval of the series over time, in milliseconds.
    pub interval_ms: u64,
    /// What the phases came to is told so often, in milliseconds.
    pub report_every_ms: u64,
    /// A checkpoint is asked for whenever so many milliseconds of the timed run have passed; `None` leaves checkpoints
    /// to the engine.
    pub checkpoint_every_ms: Option<u64>,
    /// A loaded database to begin with, in place of loading one.
    pub prepared: Option<Prepared>,
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
    let mut notes = levels
        .as_ref()
        .map(|levels| levels.notes.clone())
        .unwrap_or_default();
    notes.extend(job.options.notes.iter().cloned());
    if let Some(prepared) = &job.prepared {
        notes.push(format!(
            "the database was prepared on {} and copied",
            prepared.created
        ));
    }
    Settings {
        threads: Some(u32::from(spec.threads)),
        rows: Some(spec.tables.iter().map(|table| table.rows).sum()),
        value_size_bytes: spec.tables.first().map(mean),
        durability: levels.as_ref().map(|levels| levels.durability.name().to_owned()),
        survival: None,
        isolation: levels.as_ref().map(|levels| levels.isolation.name().to_owned()),
        cache_size_bytes: job.options.cache_size_bytes,
        page_size_bytes: None,
        compression: job.options.compression.as_ref().map(|codec| codec.to_lowercase()),
        sync_method: None,
        engine_options: BTreeMap::new(),
        offered_per_second: spec.rate,
        notes,
    }
}

/// How to open a database of a mix.
pub(crate) fn open_options(
    directory: &Path,
    engine: &EngineOptions,
    levels: &Levels,
    tables: Vec<String>,
) -> OpenOptions {
    let mut options = OpenOptions::create(directory, tables);
    options.durability = levels.durability;
    options.busy_timeout = BUSY_TIMEOUT;
    engine.apply(&mut options);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use workloads::driver::{Durability, Isolation};
    use workloads::spec::builtin;

    #[test]
    fn levels_are_spelled_as_on_the_command_line() {
        let job = |engine: &str, spec: Spec| RunJob {
            engine: engine.into(),
            repetition: 1,
            spec,
            varied: Vec::new(),
            options: EngineOptions::default(),
            interval_ms: 1,
            report_every_ms: 1,
            checkpoint_every_ms: None,
            prepared: None,
            directory: PathBuf::new(),
            result: PathBuf::new(),
        };
        for (engine, durability) in [
            ("palimpsest", Durability::NoSync),
            ("palimpsest", Durability::Sync),
            ("memory", Durability::InMemory),
        ] {
            let mut spec = builtin("oltp").unwrap();
            (spec.durability, spec.isolation) = (durability, Isolation::ReadCommitted);
            let factory = crate::drivers::factory(engine).unwrap();
            let settings = settings(&job(engine, spec.clone()), &spec, factory.capabilities());
            assert_eq!(settings.durability.as_deref(), Some(durability.name()));
            assert_eq!(settings.isolation.as_deref(), Some("read-committed"));
            // A record reads them as they are.
            let read = |name: &str| reports::record::level_name(name);
            assert_eq!(read(durability.name()), durability.name());
        }
    }
}
