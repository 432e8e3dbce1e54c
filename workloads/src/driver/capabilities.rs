//! Isolation levels, durability levels, and what an engine declares that it can do.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// How far concurrent transactions are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// May see writes of transactions that have not committed.
    ReadUncommitted,
    /// Each statement sees what was committed when it began (`no-dirty-read`).
    #[default]
    ReadCommitted,
    /// The whole transaction sees one snapshot; of two that write the same row one fails (`snapshot-stands`, `no-lost-update`).
    Snapshot,
    /// As if the transactions had run one after another (`no-write-skew`, `no-phantom`).
    Serializable,
}

impl Isolation {
    /// Every level, weakest first.
    pub const ALL: [Isolation; 4] = [
        Isolation::ReadUncommitted,
        Isolation::ReadCommitted,
        Isolation::Snapshot,
        Isolation::Serializable,
    ];

    /// The name used in specs, on the command line and in records.
    pub const fn name(self) -> &'static str {
        match self {
            Isolation::ReadUncommitted => "read-uncommitted",
            Isolation::ReadCommitted => "read-committed",
            Isolation::Snapshot => "snapshot",
            Isolation::Serializable => "serializable",
        }
    }
}

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Loss of power: the commit waits for a flush to the device.
    #[default]
    Sync,
    /// At most the death of the process; the engine flushes when it pleases.
    NoSync,
    /// Nothing: the data lives in memory only.
    InMemory,
}

impl Durability {
    /// Every level, strongest first.
    pub const ALL: [Durability; 3] = [Durability::Sync, Durability::NoSync, Durability::InMemory];

    /// The name used in specs, on the command line and in records.
    pub const fn name(self) -> &'static str {
        match self {
            Durability::Sync => "sync",
            Durability::NoSync => "no-sync",
            Durability::InMemory => "in-memory",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A level's name as it is listed: people write `READ COMMITTED` and `read_committed` too.
fn listed(text: &str) -> String {
    text.trim().to_lowercase().replace(['_', ' '], "-")
}

impl FromStr for Isolation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = |name: &str| Self::ALL.into_iter().find(|level| level.name() == name);
        level(&listed(text)).map_or_else(
            || crate::names::parse("isolation level", text, &Self::ALL, |level| level.name()),
            Ok,
        )
    }
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match &*listed(text) {
            "sync" => Ok(Self::Sync),
            "no-sync" | "nosync" => Ok(Self::NoSync),
            "in-memory" | "memory" | "none" => Ok(Self::InMemory),
            _ => crate::names::parse("durability", text, &Self::ALL, |level| level.name()),
        }
    }
}

/// Reads a level in any spelling that the command line takes.
struct Named<T>(PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for Named<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Isolation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Named(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Durability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Named(PhantomData))
    }
}

/// What an engine can do, declared before it is opened. All of it is checked: `declared`, `declared-levels`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capabilities {
    /// The engine's name, as on the command line.
    pub name: String,
    /// The version of the engine (not of the adapter).
    pub version: String,
    /// One sentence about the engine, for listings.
    pub description: String,
    /// The durability levels that a transaction may ask for.
    pub durabilities: BTreeSet<Durability>,
    /// The isolation levels that a transaction may ask for.
    pub isolations: BTreeSet<Isolation>,
    /// Several write transactions may be open at once (`concurrent-writers`). If false, `begin` of a writer waits for the one before.
    pub concurrent_writers: bool,
    /// The database is still there after it was closed and opened again (`reopened`, `reopened-many`), and what is committed goes on
    /// having rising IDs (`commit-ids-reopened`).
    pub persistent: bool,
    /// [`Target::checkpoint`](super::Target::checkpoint) does something (`checkpoint`).
    pub checkpoint: bool,
    /// [`Target::verify`](super::Target::verify) does something (`verify`).
    pub verify: bool,
    /// [`Session::commit`](super::Session::commit) gives commit IDs (`commit-ids`).
    pub commit_ids: bool,
    /// [`Session::get_for_update`](super::Session::get_for_update) really locks the row (or the engine is
    /// single-writer), so that a read-modify-write cannot lose an update at any isolation level (`rows-locked`, `increments`).
    pub locks_rows: bool,
    /// [`OpenOptions::cache_size_bytes`](super::OpenOptions::cache_size_bytes) is honoured (`cache-size`).
    pub cache_size: bool,
    /// The values that [`OpenOptions::compression`](super::OpenOptions::compression) may have; empty if none
    /// (`declared-compressions`).
    pub compressions: BTreeSet<String>,
    /// Longest key, in bytes, with the engine's default settings; `None` if the engine sets no limit (`keys`).
    pub key_len_max: Option<usize>,
    /// Longest value, in bytes, with the engine's default settings; `None` if the engine sets no limit (`values`).
    pub value_len_max: Option<usize>,
}

impl Capabilities {
    /// Of an engine that can nothing yet: no level, no limit, nothing declared. What it can is then filled in.
    pub fn new(name: &str, version: &str, description: &str) -> Self {
        Capabilities {
            name: name.to_owned(),
            version: version.to_owned(),
            description: description.to_owned(),
            durabilities: BTreeSet::new(),
            isolations: BTreeSet::new(),
            concurrent_writers: false,
            persistent: false,
            checkpoint: false,
            verify: false,
            commit_ids: false,
            locks_rows: false,
            cache_size: false,
            compressions: BTreeSet::new(),
            key_len_max: None,
            value_len_max: None,
        }
    }

    /// Why a run at these levels is not possible, in words; `None` if it is.
    pub fn refusal(&self, durability: Durability, isolation: Isolation) -> Option<String> {
        if !self.durabilities.contains(&durability) {
            return Some(format!(
                "{} does not support durability {durability} (it supports {})",
                self.name,
                list(self.durabilities.iter().map(|d| d.name()))
            ));
        }
        if !self.isolations.contains(&isolation) {
            return Some(format!(
                "{} does not support isolation {isolation} (it supports {})",
                self.name,
                list(self.isolations.iter().map(|i| i.name()))
            ));
        }
        None
    }

    /// The weakest supported isolation level that is at least as strong as `asked`, if there is one. The runner may
    /// use it for an engine that only has stronger levels, and must record that it did.
    pub fn isolation_at_least(&self, asked: Isolation) -> Option<Isolation> {
        self.isolations.range(asked..).next().copied()
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let joined = names.collect::<Vec<_>>().join(", ");
    if joined.is_empty() {
        "none".to_owned()
    } else {
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(durability: Durability, isolation: Isolation) -> Capabilities {
        Capabilities {
            durabilities: [durability].into(),
            isolations: [isolation].into(),
            locks_rows: true,
            ..Capabilities::new("toy", "1", "")
        }
    }

    #[test]
    fn refusal_names_what_is_missing_and_what_there_is() {
        let engine = only(Durability::NoSync, Isolation::Snapshot);
        assert_eq!(engine.refusal(Durability::NoSync, Isolation::Snapshot), None);
        let text = engine.refusal(Durability::Sync, Isolation::Snapshot).unwrap();
        assert!(
            text.contains("sync") && text.contains("it supports no-sync"),
            "{text}"
        );
        let text = engine
            .refusal(Durability::NoSync, Isolation::Serializable)
            .unwrap();
        assert!(
            text.contains("serializable") && text.contains("it supports snapshot"),
            "{text}"
        );
    }

    #[test]
    fn a_stronger_level_may_stand_in_and_a_weaker_one_never() {
        let engine = only(Durability::Sync, Isolation::Snapshot);
        assert_eq!(
            engine.isolation_at_least(Isolation::ReadCommitted),
            Some(Isolation::Snapshot)
        );
        assert_eq!(engine.isolation_at_least(Isolation::Serializable), None);
    }

    #[test]
    fn names_parse_back_and_unknown_ones_get_a_suggestion() {
        for level in Isolation::ALL {
            assert_eq!(level.name().parse(), Ok(level));
        }
        for level in Durability::ALL {
            assert_eq!(level.name().parse(), Ok(level));
        }
        for (text, level) in [
            ("READ COMMITTED", Isolation::ReadCommitted),
            ("read_committed", Isolation::ReadCommitted),
            ("Snapshot", Isolation::Snapshot),
        ] {
            assert_eq!(text.parse(), Ok(level));
        }
        for (text, level) in [
            ("nosync", Durability::NoSync),
            ("NO_SYNC", Durability::NoSync),
            ("none", Durability::InMemory),
        ] {
            assert_eq!(text.parse(), Ok(level));
        }
        let error = "serialisable".parse::<Isolation>().unwrap_err();
        assert!(error.contains("did you mean `serializable`"), "{error}");
        let error = "x".parse::<Durability>().unwrap_err();
        assert!(error.contains("sync, no-sync, in-memory"), "{error}");
    }
}
