//! The engines under test, by name: those of this crate, then those that a program of an author has added.

#[cfg(debug_assertions)]
mod liar;
mod memory;
mod palimpsest;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::path::Path;
use std::sync::{Arc, OnceLock};

pub(crate) use palimpsest::FILE_NAME;
use workloads::driver::{Capabilities, EngineSetting, OpenOptions, Target, TargetError, TargetFactory};

use crate::error::{HarnessError, Result};
use workloads::names::did_you_mean;

/// Engines of the program's author. They are the program's for good: child processes are the same program, and add the same.
static ADDED: OnceLock<Vec<Arc<dyn TargetFactory>>> = OnceLock::new();

/// Adds the engines of the program's author; once in a process.
///
/// # Errors
/// Usage, when a name is taken or cannot be given on a command line, or a factory declares another name than it has.
pub(crate) fn register(engines: Vec<Arc<dyn TargetFactory>>) -> Result<()> {
    for (at, engine) in engines.iter().enumerate() {
        let name = engine.name();
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('-') || !name.chars().all(is_word) {
            return Err(HarnessError::Usage(format!(
                "`{name}` is no name for an engine: lower case letters, digits, `-`, `_` and `.` are"
            )));
        }
        if engine.capabilities().name != name {
            return Err(HarnessError::Usage(format!(
                "the factory `{name}` declares the name `{}` in its capabilities",
                engine.capabilities().name
            )));
        }
        let is_own = built_in().iter().any(|known| known.name() == name);
        if is_own || engines[..at].iter().any(|other| other.name() == name) {
            return Err(HarnessError::Usage(format!("there are two engines `{name}`")));
        }
    }
    ADDED
        .set(engines)
        .map_err(|_| HarnessError::Usage("engines are added once in a process".into()))
}

/// Every engine, in the order of listings.
pub(crate) fn factories() -> Vec<Box<dyn TargetFactory>> {
    let mut all = built_in();
    for engine in ADDED.get().into_iter().flatten() {
        all.push(Box::new(Added(Arc::clone(engine))));
    }
    all
}

/// Those of this crate.
fn built_in() -> Vec<Box<dyn TargetFactory>> {
    vec![
        Box::new(palimpsest::PalimpsestFactory::new()),
        Box::new(memory::MemoryFactory::new()),
        #[cfg(feature = "sqlite")]
        Box::new(sqlite::SqliteFactory::new()),
    ]
}

/// One handle of an added engine.
struct Added(Arc<dyn TargetFactory>);

impl TargetFactory for Added {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn settings(&self) -> &[EngineSetting] {
        self.0.settings()
    }

    fn check(&self, options: &OpenOptions) -> Result<(), TargetError> {
        self.0.check(options)
    }

    fn chosen(&self, dir: &Path) -> Result<Vec<(String, String)>, TargetError> {
        self.0.chosen(dir)
    }

    fn open(&self, options: &OpenOptions) -> Result<Box<dyn Target>, TargetError> {
        self.0.open(options)
    }
}

/// An engine that this build does not have.
pub(crate) struct Absent {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// How to get it.
    pub lacks: &'static str,
}

/// The engines that other builds have.
pub(crate) fn absent() -> impl Iterator<Item = Absent> {
    let sqlite = Absent {
        name: "sqlite",
        about: "SQLite, built from its source",
        lacks: "build with --features sqlite, or in a crate of your own with features = [\"sqlite\"] on the dependency",
    };
    cfg!(not(feature = "sqlite")).then_some(sqlite).into_iter()
}

/// Engines with injected bugs, known by name only, to test the harness itself.
#[cfg(debug_assertions)]
fn injected(name: &str) -> Option<Box<dyn TargetFactory>> {
    #[cfg(feature = "sqlite")]
    if name == "sqlite-unsynced" {
        return Some(Box::new(sqlite::SqliteFactory::unsynced()));
    }
    let engine = |inner: &str| factories().into_iter().find(|factory| factory.name() == inner);
    Some(Box::new(liar::LiarFactory::named(name, engine)?))
}

#[cfg(not(debug_assertions))]
fn injected(_name: &str) -> Option<Box<dyn TargetFactory>> {
    None
}

/// The engine called `name`.
///
/// # Errors
/// Usage, with the nearest known names.
pub(crate) fn factory(name: &str) -> Result<Box<dyn TargetFactory>> {
    if let Some(factory) = factories().into_iter().find(|factory| factory.name() == name) {
        return Ok(factory);
    }
    injected(name).ok_or_else(|| {
        // Also with an injected bug, such as `sqlite-lossy`.
        if let Some(absent) = absent().find(|absent| name.starts_with(absent.name)) {
            return HarnessError::Usage(format!(
                "the engine `{name}` is not in this build: {}",
                absent.lacks
            ));
        }
        let engines = factories();
        let known: Vec<&str> = engines.iter().map(|factory| factory.name()).collect();
        HarnessError::Usage(format!("unknown engine `{name}`: {}", did_you_mean(name, &known)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_found_by_name_and_typos_get_suggestions() {
        assert_eq!(factory("memory").unwrap().name(), "memory");
        let message = factory("memroy").err().unwrap().to_string();
        assert!(
            message.contains("`memroy`") && message.contains("did you mean `memory`"),
            "{message}"
        );
    }

    #[test]
    fn sqlite_is_there_or_the_message_says_how_to_get_it() {
        match factory("sqlite") {
            Ok(factory) => assert!(cfg!(feature = "sqlite") && factory.name() == "sqlite"),
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains("--features sqlite"), "{message}");
                assert_eq!(error.exit(), crate::error::Exit::Usage);
            }
        }
    }

    #[test]
    fn what_a_factory_declares_bears_its_name() {
        for factory in factories() {
            assert_eq!(factory.name(), factory.capabilities().name);
        }
    }
}
