//! Whether figures of one engine in two runs may be set against each other: with another load, another promise, another machine or
//! another build, their ratio says nothing of the engine.
//!
//! What is meant to differ is not looked at: the revision, and what can be set of an engine (its cache, page size, compression).

use crate::record::{RunRecord, Settings, Survival};
use crate::summary::EngineSummary;

/// Keys of a specification that are settings of their own, or change no figure.
const NOT_THE_LOAD: [&str; 12] = [
    "title",
    "description",
    "source",
    "seed",
    "threads",
    "isolation",
    "durability",
    "repeat",
    "rate",
    "cache-size",
    "warmup",
    "run",
];

/// What is not the same, by name; empty where the figures may be compared.
#[must_use]
pub fn unlike(
    (record, engine): (&RunRecord, &EngineSummary<'_>),
    (other_record, other_engine): (&RunRecord, &EngineSummary<'_>),
) -> Vec<&'static str> {
    let (a, b) = (engine.settings, other_engine.settings);
    let (here, there) = (&record.environment, &other_record.environment);
    [
        ("specification", load(record) != load(other_record)),
        ("threads", a.threads != b.threads),
        ("rows", a.rows != b.rows),
        ("value size", a.value_size_bytes != b.value_size_bytes),
        ("offered rate", a.offered_per_second != b.offered_per_second),
        ("isolation", a.isolation != b.isolation),
        (
            "durability",
            a.durability != b.durability || survives(a).zip(survives(b)).is_some_and(|(a, b)| a != b),
        ),
        (
            "whether databases were prepared",
            record.workload.overrides.contains_key("use")
                != other_record.workload.overrides.contains_key("use"),
        ),
        (
            "checkpoints asked for",
            checkpoints(record) != checkpoints(other_record),
        ),
        (
            "machine",
            (&here.cpu_model, here.cpu_cores, here.memory_bytes)
                != (&there.cpu_model, there.cpu_cores, there.memory_bytes),
        ),
        ("file system", here.file_system != there.file_system),
        (
            "build",
            (record.build.profile, record.build.debug_assertions)
                != (other_record.build.profile, other_record.build.debug_assertions),
        ),
    ]
    .into_iter()
    .filter_map(|(what, differs)| differs.then_some(what))
    .collect()
}

/// What commits survive where it was measured.
fn survives(settings: &Settings) -> Option<&'static str> {
    settings.survival.as_ref().map(Survival::survives)
}

fn checkpoints(record: &RunRecord) -> Option<&String> {
    record.workload.overrides.get("checkpoint-every")
}

/// The specification without what the settings say; as it is where it is no TOML.
fn load(record: &RunRecord) -> toml::Value {
    let text = &record.workload.spec_toml;
    let Ok(mut spec) = text.parse::<toml::Table>() else {
        return toml::Value::String(text.clone());
    };
    for key in NOT_THE_LOAD {
        spec.remove(key);
    }
    let tables = spec.get_mut("table").and_then(toml::Value::as_array_mut);
    for table in tables.into_iter().flatten().filter_map(toml::Value::as_table_mut) {
        table.remove("rows");
        if let Some(value) = table.get_mut("value").and_then(toml::Value::as_table_mut) {
            value.remove("size");
        }
    }
    toml::Value::Table(spec)
}
