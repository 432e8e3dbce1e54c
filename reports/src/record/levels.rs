//! Names of durability and isolation levels: one spelling, that of the command line (`no-sync`, `read-committed`). Older records
//! and criteria have others; they are read as the same.

use serde::{Deserialize, Deserializer};

/// Older spellings of levels that are more than an underscore for a hyphen.
const OLD: [(&str, &str); 3] = [
    ("none", "in-memory"),
    ("memory", "in-memory"),
    ("nosync", "no-sync"),
];

/// The name of a level in its one spelling.
#[must_use]
pub fn level_name(text: &str) -> String {
    let name = text.replace('_', "-");
    let old = OLD.iter().find(|(old, _)| *old == name);
    old.map_or(name, |(_, new)| (*new).to_owned())
}

/// Reads the name of a level, or `null`, in whichever spelling.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| level_name(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_level_is_one_name() {
        for (text, name) in [
            ("no_sync", "no-sync"),
            ("no-sync", "no-sync"),
            ("nosync", "no-sync"),
            ("none", "in-memory"),
            ("in_memory", "in-memory"),
            ("read_committed", "read-committed"),
            ("sync", "sync"),
            ("serializable", "serializable"),
            ("of my own", "of my own"),
        ] {
            assert_eq!(level_name(text), name);
        }
    }
}
