//! Which specification a name means, and what the request changes about it.

use std::path::Path;

use workloads::names::did_you_mean;
use workloads::spec::{Overrides, Spec, SpecError, builtin, builtin_text};

use crate::error::{HarnessError, Result};
use crate::scenarios::names;

/// Finds a built-in specification or reads a TOML file. Also returns its text.
///
/// # Errors
/// Usage: an unknown name with suggestions, a file that cannot be read, a malformed specification with file, line and
/// what was expected.
pub(super) fn resolve(name: &str) -> Result<(Spec, String)> {
    let path = Path::new(name);
    let is_file = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    if is_file || name.contains('/') {
        let text = std::fs::read_to_string(path)
            .map_err(|error| HarnessError::Usage(format!("cannot read the workload {name}: {error}")))?;
        Ok((Spec::load(path).map_err(usage)?, text))
    } else if let Some(text) = builtin_text(name) {
        Ok((builtin(name).map_err(usage)?, text.to_owned()))
    } else {
        let known: Vec<&str> = names().collect();
        Err(HarnessError::Usage(format!(
            "unknown workload `{name}`: {}; or give a TOML file, with its .toml",
            did_you_mean(name, &known)
        )))
    }
}

/// A specification with changes.
///
/// # Errors
/// Usage, when they make no sense.
pub(super) fn changed(spec: &Spec, overrides: &Overrides) -> Result<Spec> {
    spec.clone().with_overrides(overrides).map_err(usage)
}

fn usage(error: SpecError) -> HarnessError {
    HarnessError::Usage(error.to_string())
}

/// A specification in words.
///
/// # Errors
/// Usage, when there is none of that name.
pub(in crate::scenarios) fn explain(name: &str) -> Result<String> {
    let (spec, _) = resolve(name)?;
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
        let (base, text) = resolve("oltp").unwrap();
        let spec = changed(&base, &overrides).unwrap();
        assert_eq!((spec.tables[0].rows, spec.threads), (77, 3));
        assert!(!text.is_empty());
        let bad = Overrides {
            threads: Some(0),
            ..Overrides::default()
        };
        let message = changed(&base, &bad).unwrap_err().to_string();
        assert!(message.contains("--threads"), "{message}");
    }
}
