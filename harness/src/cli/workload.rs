//! Which workload a name means, and what the command line changes about it.

use std::collections::BTreeMap;
use std::path::Path;

use workloads::spec::{BUILTIN_NAMES, Overrides, Spec, builtin, builtin_text};

use super::args::RunArgs;
use super::suggest::did_you_mean;
use crate::error::{HarnessError, Result};

/// Workloads that are more than a mix of transactions, with a line about each.
pub(crate) const SCENARIOS: &[(&str, &str)] = &[
    (
        "crash",
        "power loss between file operations, on a simulated disk: thousands of images recovered and compared",
    ),
    (
        "ratios",
        "the speed table: an engine's figures over bounds of the same machine, measured in alternating slices",
    ),
    (
        "recovery",
        "kill a process in the middle of synchronous commits, reopen, verify that nothing acknowledged is lost",
    ),
    (
        "space",
        "what the data file takes at every moment of a random-order load and of updates, beside the live rows",
    ),
    #[cfg(all(feature = "fuse", target_os = "linux"))]
    (
        "powerloss",
        "cut the power under a working process, reopen what may have survived, verify the same",
    ),
];

/// A workload as asked for.
#[derive(Debug)]
pub(crate) enum Workload {
    /// The speed table.
    Ratios,
    /// Kill and reopen.
    Recovery,
    /// Space over time.
    Space,
    /// Cut the power and reopen.
    #[cfg(all(feature = "fuse", target_os = "linux"))]
    PowerLoss,
    /// Power loss on a simulated disk.
    Crash,
    /// A mix of transactions.
    Mix {
        /// With the command line's changes.
        spec: Box<Spec>,
        /// Its text before those changes.
        text: String,
    },
}

/// Finds a workload: a scenario, a built-in specification, or a TOML file.
///
/// # Errors
/// Usage: an unknown name with suggestions, a file that cannot be read, a malformed specification with file, line and
/// what was expected, or changes that make no sense.
pub(crate) fn resolve(name: &str, overrides: &Overrides) -> Result<Workload> {
    match name {
        "ratios" => return Ok(Workload::Ratios),
        "crash" => return Ok(Workload::Crash),
        "recovery" => return Ok(Workload::Recovery),
        "space" => return Ok(Workload::Space),
        #[cfg(all(feature = "fuse", target_os = "linux"))]
        "powerloss" => return Ok(Workload::PowerLoss),
        #[cfg(not(all(feature = "fuse", target_os = "linux")))]
        "powerloss" => {
            return Err(HarnessError::Usage(
                "the workload powerloss is not in this build: on Linux, build with --features fuse".into(),
            ));
        }
        _ => {}
    }
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
    let spec = spec.with_overrides(overrides).map_err(usage)?;
    Ok(Workload::Mix {
        spec: Box::new(spec),
        text,
    })
}

/// The names of all built-in workloads, scenarios last.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    BUILTIN_NAMES
        .iter()
        .copied()
        .chain(SCENARIOS.iter().map(|(name, _)| *name))
}

/// What the command line changes in a specification.
///
/// # Errors
/// Usage, when a number does not fit.
pub(crate) fn overrides(args: &RunArgs) -> Result<Overrides> {
    let threads = args
        .threads
        .map(|threads| {
            u16::try_from(threads).map_err(|_| {
                HarnessError::Usage(format!("--threads {threads}: at most {} are possible", u16::MAX))
            })
        })
        .transpose()?;
    Ok(Overrides {
        rows: args.rows,
        value_size: args.value_size,
        threads,
        run: args.duration,
        warmup: args.warmup,
        repeat: args.repeat,
        rate: args.rate.map(Some),
        isolation: args.isolation,
        durability: args.durability,
        cache_size_bytes: args.cache_size,
        seed: args.seed,
        ..Overrides::default()
    })
}

/// The changes of the command line by option name, as they are recorded.
pub(crate) fn recorded_overrides(args: &RunArgs) -> BTreeMap<String, String> {
    let nanoseconds = |time: std::time::Duration| reports::units::duration(time.as_nanos() as u64);
    let entries = [
        ("threads", args.threads.map(|value| value.to_string())),
        ("rows", args.rows.map(|value| value.to_string())),
        ("value-size", args.value_size.map(|value| value.to_string())),
        ("duration", args.duration.map(nanoseconds)),
        ("warmup", args.warmup.map(nanoseconds)),
        ("repeat", args.repeat.map(|value| value.to_string())),
        ("rate", args.rate.map(|value| value.to_string())),
        ("durability", args.durability.map(|value| value.to_string())),
        ("isolation", args.isolation.map(|value| value.to_string())),
        ("cache-size", args.cache_size.map(|value| value.to_string())),
        ("compression", args.compression.clone()),
        ("checkpoint-every", args.checkpoint_every.map(nanoseconds)),
        ("seed", args.seed.map(|value| value.to_string())),
        ("deep", args.deep.then(|| "yes".into())),
        ("rounds", args.rounds.map(|value| value.to_string())),
        ("drop-syncs", args.drop_syncs.then(|| "yes".to_owned())),
    ];
    entries
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str) -> String {
        resolve(name, &Overrides::default()).unwrap_err().to_string()
    }

    #[test]
    fn every_listed_name_is_found() {
        for name in names() {
            assert!(resolve(name, &Overrides::default()).is_ok(), "{name}");
        }
    }

    #[test]
    fn unknown_names_get_suggestions_and_missing_files_their_reason() {
        assert!(
            message("oltpp").contains("did you mean `oltp`"),
            "{}",
            message("oltpp")
        );
        assert!(
            message("recover").contains("`recovery`"),
            "{}",
            message("recover")
        );
        assert!(message("absent.toml").contains("cannot read the workload absent.toml"));
    }

    #[test]
    fn changes_reach_the_specification_and_senseless_ones_are_refused() {
        let overrides = Overrides {
            rows: Some(77),
            threads: Some(3),
            ..Overrides::default()
        };
        let Workload::Mix { spec, text } = resolve("oltp", &overrides).unwrap() else {
            panic!("oltp is a mix")
        };
        assert_eq!((spec.tables[0].rows, spec.threads), (77, 3));
        assert!(!text.is_empty());
        let bad = Overrides {
            threads: Some(0),
            ..Overrides::default()
        };
        assert!(
            resolve("oltp", &bad)
                .unwrap_err()
                .to_string()
                .contains("--threads")
        );
    }
}
