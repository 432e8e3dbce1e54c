//! Which specification a name means, and what the request changes about it.

use std::path::Path;

use workloads::names::did_you_mean;
use workloads::spec::{Overrides, Spec, builtin, builtin_text};

use crate::error::{HarnessError, Result};
use crate::scenarios::names;

/// Finds a built-in specification or reads a TOML file, and applies changes. Also returns its text before those.
///
/// # Errors
/// Usage: an unknown name with suggestions, a file that cannot be read, a malformed specification with file, line and
/// what was expected, or changes that make no sense.
pub(super) fn resolve(name: &str, overrides: &Overrides) -> Result<(Spec, String)> {
    let usage = |error: workloads::spec::SpecError| HarnessError::Usage(error.to_string());
    let path = Path::new(name);
    let is_file = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    let (spec, text) = if is_file || name.contains('/') {
        let text = std::fs::read_to_string(path)
            .map_err(|error| HarnessError::Usage(format!("cannot read the workload {name}: {error}")))?;
        (Spec::load(path).map_err(usage)?, text)
    } else if let Some(text) = builtin_text(name) {
        (builtin(name).map_err(usage)?, text.to_owned())
    } else {
        let known: Vec<&str> = names().collect();
        return Err(HarnessError::Usage(format!(
            "unknown workload `{name}`: {}; or give a TOML file, with its .toml",
            did_you_mean(name, &known)
        )));
    };
    Ok((spec.with_overrides(overrides).map_err(usage)?, text))
}

/// A specification in words.
///
/// # Errors
/// Usage, when there is none of that name.
pub(in crate::scenarios) fn explain(name: &str) -> Result<String> {
    let (spec, _) = resolve(name, &Overrides::default())?;
    Ok(spec.explain())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_reach_the_specification_and_senseless_ones_are_refused() {
        let overrides = Overrides {
            rows: Some(77),
            threads: Some(3),
            ..Overrides::default()
        };
        let (spec, text) = resolve("oltp", &overrides).unwrap();
        assert_eq!((spec.tables[0].rows, spec.threads), (77, 3));
        assert!(!text.is_empty());
        let bad = Overrides {
            threads: Some(0),
            ..Overrides::default()
        };
        let message = resolve("oltp", &bad).unwrap_err().to_string();
        assert!(message.contains("--threads"), "{message}");
    }
}
