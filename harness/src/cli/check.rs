//! The sub-command `verify`: the engine's own check of a database at rest.

use std::path::Path;

use workloads::target::{ErrorKind, OpenOptions};

use crate::adapters::factory;
use crate::error::{Exit, HarnessError, Result};

/// Opens the database (with whatever recovery that takes) and checks its structure.
///
/// # Errors
/// Usage, when there is no such database. Verification, when it cannot be opened or something in it is damaged.
pub(crate) fn verify(database: &Path, engine: &str) -> Result<Exit> {
    if !database.exists() {
        return Err(HarnessError::Usage(format!(
            "there is no database at {}",
            database.display()
        )));
    }
    let factory = factory(engine)?;
    if !factory.capabilities().verify {
        return Err(HarnessError::Usage(format!(
            "{engine} has no check of its structure"
        )));
    }
    let wrong = |error: workloads::target::TargetError| match error.kind() {
        ErrorKind::Unsupported => HarnessError::Usage(error.message().to_owned()),
        _ => HarnessError::Verification(format!("{}: {}", database.display(), error.message())),
    };
    let target = factory
        .open(&OpenOptions::existing(database, Vec::<String>::new()))
        .map_err(wrong)?;
    target.verify().map_err(wrong)?;
    let stats = target.stats();
    let pages = reports::units::or_missing(stats.page_count, reports::units::count);
    let bytes = reports::units::or_missing(stats.file_bytes, reports::units::bytes);
    println!(
        "{}: structure is sound ({pages} pages, {bytes})",
        database.display()
    );
    Ok(Exit::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_checked_is_said() {
        let message = verify(Path::new("/nonexistent/db"), "palimpsest")
            .unwrap_err()
            .to_string();
        assert!(message.contains("no database at /nonexistent/db"), "{message}");
        let message = verify(Path::new("."), "memory").unwrap_err().to_string();
        assert!(message.contains("memory has no check"), "{message}");
    }
}
