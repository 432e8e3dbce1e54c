//! Which tables there are.
//!
//! The catalog is a table of its own, number 0 with its root at page 1:
//!
//! ```text
//! "t" name            table number u32 | root page u32
//! "d" number (be)     root page u32          a dropped table whose pages are not all free yet
//! "n"                 next table number u32  numbers are never used again
//! ```
//! The rows are changed like any others, so a crash leaves either all or nothing of a change. An index of it in memory
//! answers lookups.

use std::collections::BTreeMap;

use parking_lot::RwLock;

use super::Table;
use crate::error::{Error, Result};
use crate::ids::{CommitId, PageNumber, TableId};

/// Longest table name in bytes.
pub(crate) const NAME_MAX: usize = 255;

#[derive(Debug, Default)]
pub(crate) struct Catalog {
    names: RwLock<BTreeMap<String, Table>>,
}

/// A dropped table whose pages are still to be freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) table: TableId,
    pub(crate) root: PageNumber,
    /// The commit that dropped it: older snapshots may read it.
    pub(crate) commit: CommitId,
}

/// A row of the catalog.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Table {
        name: String,
        id: TableId,
        root: PageNumber,
    },
    Dropped {
        id: TableId,
        root: PageNumber,
    },
    NextTable(TableId),
}

impl Entry {
    pub(crate) fn table_key(name: &str) -> Vec<u8> {
        [b"t", name.as_bytes()].concat()
    }

    pub(crate) fn dropped_key(id: TableId) -> Vec<u8> {
        [&b"d"[..], &id.0.to_be_bytes()].concat()
    }

    pub(crate) const NEXT_KEY: &[u8] = b"n";

    /// The row that holds this entry.
    pub(crate) fn encode(&self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::Table { name, id, root } => (
                Self::table_key(name),
                [id.0.to_le_bytes(), root.0.to_le_bytes()].concat(),
            ),
            Self::Dropped { id, root } => (Self::dropped_key(*id), root.0.to_le_bytes().to_vec()),
            Self::NextTable(id) => (Self::NEXT_KEY.to_vec(), id.0.to_le_bytes().to_vec()),
        }
    }

    /// The entry of a row; `None` if it is malformed.
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        let (kind, name) = key.split_first()?;
        let (first, rest) = value.split_first_chunk::<4>()?;
        let first = u32::from_le_bytes(*first);
        match kind {
            b't' => {
                let root = u32::from_le_bytes(rest.try_into().ok()?);
                let name = String::from_utf8(name.to_vec()).ok()?;
                Some(Self::Table {
                    name,
                    id: TableId(first),
                    root: PageNumber(root),
                })
            }
            b'd' if rest.is_empty() => {
                let id = TableId(u32::from_be_bytes(name.try_into().ok()?));
                Some(Self::Dropped {
                    id,
                    root: PageNumber(first),
                })
            }
            b'n' if name.is_empty() && rest.is_empty() => Some(Self::NextTable(TableId(first))),
            _ => None,
        }
    }
}

impl Catalog {
    pub(crate) fn get(&self, name: &str) -> Option<Table> {
        self.names.read().get(name).copied()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.names.read().keys().cloned().collect()
    }

    pub(crate) fn tables(&self) -> Vec<(String, Table)> {
        self.names
            .read()
            .iter()
            .map(|(name, table)| (name.clone(), *table))
            .collect()
    }

    pub(crate) fn insert(&self, name: &str, table: Table) {
        self.names.write().insert(name.to_owned(), table);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.names.write().remove(name);
    }
}

/// Refuses names that no table can have.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(Error::InvalidOption {
            name: "table name",
            value: format!("{name:?} ({} bytes)", name.len()),
            expected: format!("1 to {NAME_MAX} bytes of text"),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_encoding_and_malformed_rows_are_refused() {
        for entry in [
            Entry::Table {
                name: "t\u{e9}".into(),
                id: TableId(7),
                root: PageNumber(9),
            },
            Entry::Dropped {
                id: TableId(300),
                root: PageNumber(1),
            },
            Entry::NextTable(TableId(8)),
        ] {
            let (key, value) = entry.encode();
            assert_eq!(Entry::decode(&key, &value), Some(entry));
            assert_eq!(Entry::decode(&key, &value[1..]), None);
        }
        assert_eq!(Entry::decode(b"", b"12345678"), None);
        assert_eq!(Entry::decode(b"t\xFF", b"12345678"), None);
        assert_eq!(Entry::decode(b"x", b"1234"), None);
    }

    #[test]
    fn names_have_limits() {
        assert!(check_name("accounts").is_ok());
        assert!(check_name("").is_err());
        assert!(check_name(&"x".repeat(256)).is_err());
    }
}
