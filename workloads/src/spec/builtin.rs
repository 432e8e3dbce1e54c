//! The specs that ship with the program, as the files in `workloads/specs`.

use crate::names;

use super::{Spec, SpecError};

macro_rules! builtin {
    ($($name:literal),* $(,)?) => {
        /// Names of the built-in specs, in the order in which they are listed.
        pub const BUILTIN_NAMES: &[&str] = &[$($name),*];

        /// The text of a built-in spec.
        pub fn builtin_text(name: &str) -> Option<&'static str> {
            match name {
                $($name => Some(include_str!(concat!("../../specs/", $name, ".toml"))),)*
                _ => None,
            }
        }
    };
}

builtin!(
    "oltp",
    "oltp-read-only",
    "oltp-write-only",
    "ycsb-a",
    "ycsb-b",
    "ycsb-c",
    "ycsb-d",
    "ycsb-e",
    "ycsb-f",
    "mixed",
    "read-your-writes",
);

/// The built-in spec of that name.
///
/// # Errors
/// If there is none; the message suggests the nearest name.
pub fn builtin(name: &str) -> Result<Spec, SpecError> {
    match builtin_text(name) {
        Some(text) => Spec::parse(name, &format!("built-in {name}"), text),
        None => Err(SpecError::new(
            "workload",
            names::unknown("workload", name, BUILTIN_NAMES.iter().copied()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_spec_parses_and_says_what_it_is() {
        for name in BUILTIN_NAMES {
            let spec = builtin(name).unwrap();
            assert_eq!(spec.name, *name);
            assert!(
                !spec.title.is_empty() && spec.description.len() > 60 && !spec.source.is_empty(),
                "{name}"
            );
            let words = spec.explain();
            for transaction in &spec.transactions {
                assert!(words.contains(&transaction.name), "{words}");
            }
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let error = builtin("ycsb_a").unwrap_err().to_string();
        assert!(error.contains("did you mean `ycsb-a`"), "{error}");
    }
}
