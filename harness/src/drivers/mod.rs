//! The engines under test, by name.

#[cfg(debug_assertions)]
mod lossy;
mod memory;
mod palimpsest;
#[cfg(feature = "sqlite")]
mod sqlite;

pub(crate) use palimpsest::FILE_NAME;
use workloads::driver::TargetFactory;

use crate::error::{HarnessError, Result};
use workloads::names::did_you_mean;

/// Every engine, in the order of listings.
pub(crate) fn factories() -> Vec<Box<dyn TargetFactory>> {
    vec![
        Box::new(palimpsest::PalimpsestFactory::new()),
        Box::new(memory::MemoryFactory::new()),
        #[cfg(feature = "sqlite")]
        Box::new(sqlite::SqliteFactory::new()),
    ]
}

/// Engines with injected bugs, known by name only, to test the harness itself.
#[cfg(debug_assertions)]
fn injected(name: &str) -> Option<Box<dyn TargetFactory>> {
    #[cfg(feature = "sqlite")]
    if name == "sqlite-unsynced" {
        return Some(Box::new(sqlite::SqliteFactory::unsynced()));
    }
    let inner = name.strip_suffix("-lossy")?;
    let inner = factories().into_iter().find(|factory| factory.name() == inner)?;
    Some(Box::new(lossy::LossyFactory::new(inner, 50)))
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
        if cfg!(not(feature = "sqlite")) && name.starts_with("sqlite") {
            return HarnessError::Usage(format!(
                "the engine `{name}` is not in this build: build with --features sqlite"
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
