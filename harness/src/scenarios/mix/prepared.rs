//! Databases that are loaded once and used by many runs.
//!
//! `--prepare DIR` loads a database for each engine that keeps any, and writes `prepared.json` last, so that an unfinished
//! preparation is never taken for one. `--use DIR` copies a database for each repetition: what was prepared is only read, and
//! every repetition begins with the same bytes. What was loaded must be what the run expects to find: tables, rows, keys and
//! values are compared before anything runs (the seed chooses what is done to rows, and not what they hold), and the oracle
//! compares every row after it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};
use workloads::driver::{EngineSetting, TargetError};
use workloads::spec::{Spec, TableSpec};
use workloads::stream::Plan;

use super::Job;
use super::cases::{Case, cases};
use super::job::open_options;
use super::load::load;
use super::specification::resolve;
use crate::child::files::{copy_files, synchronise};
use crate::child::interrupt::{self, Interrupt, requested};
use crate::child::process::{follow_parent, read_json, result_of_child, write_json};
use crate::child::progress::{self, Display, Interval};
use crate::drivers::factory;
use crate::engine_options::EngineOptions;
use crate::error::{HarnessError, Result};
use crate::request::Request;
use crate::scenarios::levels::levels;

/// The file that says what was prepared.
const MANIFEST: &str = "prepared.json";

/// What a directory of prepared databases holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The workload that it was prepared for.
    workload: String,
    /// When, RFC 3339 in UTC.
    created: String,
    /// The tables that were loaded.
    tables: Vec<TableSpec>,
    /// The databases.
    databases: Vec<Database>,
}

/// One engine's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Database {
    engine: String,
    engine_version: String,
    options: EngineOptions,
}

/// A loaded database that a run begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prepared {
    /// When it was made.
    pub created: String,
    #[serde(with = "crate::child::paths")]
    directory: PathBuf,
}

/// What a child that prepares has to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PrepareJob {
    engine: String,
    spec: Spec,
    options: EngineOptions,
    #[serde(with = "crate::child::paths")]
    directory: PathBuf,
    #[serde(with = "crate::child::paths")]
    result: PathBuf,
}

/// Why a database was not prepared; the text of the engine's error.
type Answer = std::result::Result<(), String>;

impl Manifest {
    /// Reads that of a directory.
    ///
    /// # Errors
    /// Usage, when there is none, with how to make one.
    pub(crate) fn read(directory: &Path) -> Result<Self> {
        let file = directory.join(MANIFEST);
        if !file.exists() {
            return Err(HarnessError::Usage(format!(
                "{} has no {MANIFEST}: databases are made by --prepare DIR, which writes that file when it is done (what --keep \
                 leaves was changed by its run)",
                directory.display()
            )));
        }
        read_json(&file).map_err(|error| HarnessError::Usage(error.to_string()))
    }

    /// The database for a case; `None` for an engine that keeps nothing, which loads its own each time.
    ///
    /// # Errors
    /// Usage, when there is none for its engine, or it is another than the case needs; says in what it differs.
    pub(super) fn database(&self, directory: &Path, case: &Case) -> Result<Option<Prepared>> {
        let factory = factory(&case.engine)?;
        let capabilities = factory.capabilities();
        if !capabilities.persistent {
            return Ok(None);
        }
        let refused = |why: String| HarnessError::Usage(format!("--use {}: {why}", directory.display()));
        let Some(found) = self.databases.iter().find(|one| one.engine == case.engine) else {
            let there: Vec<&str> = self.databases.iter().map(|one| one.engine.as_str()).collect();
            return Err(refused(format!(
                "there is no database for {}, but for {}",
                case.engine,
                there.join(", ")
            )));
        };
        let difference = self
            .difference(&case.spec)
            .or_else(|| found.difference(&capabilities.version, factory.settings(), &case.options));
        if let Some(difference) = difference {
            return Err(refused(format!(
                "{difference}; prepare again, with the same options"
            )));
        }
        let directory = std::path::absolute(directory.join(&case.engine))
            .map_err(|error| HarnessError::io("find", directory, &error))?;
        if !directory.is_dir() {
            return Err(refused(format!("{} is missing", directory.display())));
        }
        Ok(Some(Prepared {
            created: self.created.clone(),
            directory,
        }))
    }

    /// In what the loaded rows differ from those that a specification begins with.
    fn difference(&self, spec: &Spec) -> Option<String> {
        if self.tables.len() != spec.tables.len() {
            return Some(format!(
                "it has {} tables, and the run {}",
                self.tables.len(),
                spec.tables.len()
            ));
        }
        self.tables.iter().zip(&spec.tables).find_map(|(there, asked)| {
            let differs = |what: &str, there: String, asked_for: String| {
                (there != asked_for).then(|| {
                    format!(
                        "table {}: it has {what} {there}, and the run {asked_for}",
                        asked.name
                    )
                })
            };
            differs("name", there.name.clone(), asked.name.clone())
                .or_else(|| differs("rows", there.rows.to_string(), asked.rows.to_string()))
                .or_else(|| differs("keys", format!("{:?}", there.key), format!("{:?}", asked.key)))
                .or_else(|| {
                    differs(
                        "values",
                        format!("{:?}", there.value),
                        format!("{:?}", asked.value),
                    )
                })
        })
    }
}

impl Database {
    /// In what it differs from one that these options would make, as far as opening it does not change that.
    fn difference(
        &self,
        version: &str,
        settings: &[EngineSetting],
        options: &EngineOptions,
    ) -> Option<String> {
        if self.engine_version != version {
            return Some(format!("it was made by {} {}", self.engine, self.engine_version));
        }
        let codec = |options: &EngineOptions| {
            options
                .compression
                .clone()
                .unwrap_or_else(|| "the default".into())
        };
        let (there, asked) = (codec(&self.options), codec(options));
        if !there.eq_ignore_ascii_case(&asked) {
            return Some(format!(
                "it was made with compression {there}, and the run has {asked}"
            ));
        }
        let value = |options: &EngineOptions, name: &str| {
            let found = options.settings.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        settings.iter().filter(|setting| setting.is_fixed).find_map(|setting| {
            let asked = value(options, setting.name)?;
            let there = value(&self.options, setting.name).unwrap_or_else(|| "the default".into());
            let is_same = there == asked
                || matches!((units::parse_size(&there), units::parse_size(&asked)), (Ok(a), Ok(b)) if a == b);
            (!is_same).then(|| format!("it was made with {} {there}, and the run has {asked}", setting.name))
        })
    }
}

impl Prepared {
    /// Copies it to `target`, with what is written made durable, so that no write-back of the copy disturbs the run.
    ///
    /// # Errors
    /// A file operation that failed.
    pub(super) fn copy_to(&self, target: &Path) -> Result<()> {
        let begun = Instant::now();
        progress::phase("copy", 0, "");
        let bytes = copy_files(&self.directory, target)?;
        synchronise(target)?;
        let seconds = begun.elapsed().as_secs_f64();
        progress::done(
            0,
            format!(
                "{} of prepared database in {}",
                units::bytes(bytes),
                units::duration((seconds * 1e9) as u64)
            ),
        );
        Ok(())
    }
}

/// Loads a database for each engine of the request into `directory`.
///
/// # Errors
/// Usage: a directory with something in it, lists, engines or options that do not go. Run: what failed.
pub(crate) fn prepare(request: &Request, directory: &Path) -> Result<()> {
    if let Some(list) = request.lists().first() {
        return Err(HarnessError::Usage(format!(
            "{list}: one set of databases is prepared at a time; give one value"
        )));
    }
    let (base, _) = resolve(request.workload.as_deref().unwrap_or_default())?;
    let cases = cases(request, &base)?;
    let mut kept = Vec::new();
    for case in &cases {
        let factory = factory(&case.engine)?;
        if factory.capabilities().persistent {
            kept.push(case);
        } else {
            crate::console::note(format_args!(
                "{} keeps nothing: it loads its rows in each run",
                case.engine
            ));
        }
    }
    let Some(spec) = kept.first().map(|case| &case.spec) else {
        return Err(HarnessError::Usage(
            "none of the engines keeps anything to prepare".into(),
        ));
    };
    let is_used = std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    if is_used {
        return Err(HarnessError::Usage(format!(
            "{} has something in it; give --prepare a directory that is new or empty",
            directory.display()
        )));
    }
    std::fs::create_dir_all(directory).map_err(|error| HarnessError::io("make", directory, &error))?;
    interrupt::install()?;
    let mut display = Display::new(Interval::new(request.report_interval));
    let mut manifest = Manifest {
        workload: spec.name.clone(),
        created: reports::time::rfc3339(SystemTime::now()),
        tables: spec.tables.clone(),
        databases: Vec::new(),
    };
    for case in kept {
        if let Err(error) = load_one(case, directory, &mut display) {
            // The directory was empty: what is in it now is of no use.
            remove_below(directory)?;
            return Err(error);
        }
        manifest.databases.push(Database {
            engine: case.engine.clone(),
            engine_version: factory(&case.engine)?.capabilities().version.clone(),
            options: case.options.clone(),
        });
    }
    let file = directory.join(MANIFEST);
    write_json(&file, &manifest)?;
    std::fs::File::open(&file)
        .and_then(|file| file.sync_all())
        .map_err(|error| HarnessError::io("synchronise", &file, &error))?;
    crate::console::tell(format_args!(
        "prepared: {} (give the same options with --use {0} to run on it)",
        directory.display()
    ));
    Ok(())
}

/// Loads the database of one case, in a process of its own.
fn load_one(case: &Case, directory: &Path, display: &mut Display) -> Result<()> {
    display.start(case.engine.clone());
    let file = directory.join(format!("{}.job.json", case.engine));
    let result = directory.join(format!("{}.result.json", case.engine));
    let content = Job::Prepare(Box::new(PrepareJob {
        engine: case.engine.clone(),
        spec: case.spec.clone(),
        options: case.options.clone(),
        directory: directory.join(&case.engine),
        result: result.clone(),
    }));
    let answer: std::result::Result<Answer, String> =
        result_of_child(&file, super::SCENARIO.name, &content, &result, display)?;
    if requested() != Interrupt::None {
        return Err(HarnessError::Run(format!(
            "interrupted: what was loaded into {} is removed",
            directory.display()
        )));
    }
    answer
        .and_then(|answer| answer)
        .map_err(|error| HarnessError::Run(format!("{}: {error}", case.engine)))?;
    display.finish("loaded");
    for file in [&file, &result] {
        // It tells nobody anything any more.
        let _ = std::fs::remove_file(file);
    }
    Ok(())
}

/// Removes what is in a directory, and leaves the directory: it may be a place where something is mounted.
fn remove_below(directory: &Path) -> Result<()> {
    let failed = |error| HarnessError::io("empty", directory, &error);
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(failed)?;
    }
    Ok(())
}

/// What a child does that prepares.
///
/// # Errors
/// The harness's own trouble; the engine's is in the result.
pub(super) fn work(job: &PrepareJob) -> Result<()> {
    let answer = fill(job).map_err(|error| error.to_string());
    write_json(&job.result, &answer)
}

fn fill(job: &PrepareJob) -> std::result::Result<(), TargetError> {
    let stop = follow_parent();
    let factory = factory(&job.engine).map_err(|error| TargetError::fatal(error.to_string()))?;
    let levels = levels(factory.capabilities(), &job.spec).map_err(TargetError::unsupported)?;
    let plan = Arc::new(Plan::new(Spec {
        isolation: levels.isolation,
        durability: levels.durability,
        ..job.spec.clone()
    }));
    let options = open_options(&job.directory, &job.options, &levels, plan.table_names());
    let target = factory.open(&options)?;
    match load(target.as_ref(), &plan, levels.isolation, stop)? {
        Some(_) => Ok(()),
        None => Err(TargetError::fatal("interrupted")),
    }
}
