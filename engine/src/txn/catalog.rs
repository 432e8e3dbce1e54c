//! Which tables there are.
//!
//! The catalog is a table of its own, number 0 with its root at page 1:
//!
//! ```text
//! "t" name            table number u32 | root page u32
//! "d" number (be)     root page u32          a dropped table whose pages are not all free yet
//! "n"                 next table number u32  numbers are never used again
//! "r" commit (be) number (be)
//!                     table number u32 | length u32 | first page u32 | commit ID u64
//!                                            overflow pages of a value that this commit replaced: to be freed when
//!                                            nobody reads the state before it any more
//! ```
//! The rows are changed like any others, so a crash leaves either all or nothing of a change; but nobody reads them by a
//! snapshot, so they have no versions and leave no ghosts. An index of the names in memory answers lookups. It knows which commit gave a name its meaning: callers are shown what is visible, and so durable;
//! whoever changes tables goes by the newest, under the applier. A change whose flush fails is never shown.

use std::collections::{BTreeMap, VecDeque};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::Table;
use crate::error::{Error, Result};
use crate::ids::{CommitId, PageNumber, TableId};
use crate::mvcc::SnapshotRegistry;
use crate::page::node::OverflowRef;
use crate::sync::RwLock;
use crate::work::{Kind, done};

/// Longest table name in bytes.
pub(crate) const NAME_MAX: usize = 255;

#[derive(Debug, Default)]
pub(crate) struct Catalog {
    names: RwLock<Names>,
}

#[derive(Debug, Default)]
struct Names {
    /// What each name means, oldest first: the visible meaning, and those that are not visible yet.
    meanings: BTreeMap<String, SmallVec<[Meaning; 1]>>,
    /// Names that lost their table, in commit order, to be forgotten when that is visible.
    dropped: VecDeque<(CommitId, String)>,
    /// The newest tables by number.
    tables: HashMap<TableId, Table, FixedState>,
}

/// A name's table from a commit on.
#[derive(Debug)]
struct Meaning {
    since: CommitId,
    table: Option<Table>,
}

/// A dropped table whose pages are still to be freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) table: TableId,
    pub(crate) root: PageNumber,
    /// The commit that dropped it: older snapshots may read it.
    pub(crate) commit: CommitId,
    /// Where its handles look whether they are good; none has been given out for a table that was dropped before the
    /// database was opened.
    pub(crate) slot: Option<u32>,
    /// It is left to the next opening, since a page of it could not be read.
    pub(crate) is_put_aside: bool,
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
    Retired(Retired),
}

/// Overflow pages that no row points to any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retired {
    /// The commit that replaced or deleted the value.
    pub(crate) by: CommitId,
    /// One of several that the commit retired: what the first page was then.
    pub(crate) number: u32,
    pub(crate) table: TableId,
    pub(crate) chain: OverflowRef,
}

impl Retired {
    const KEY: &[u8] = b"r";
    /// Behind the keys of all of them.
    pub(crate) const KEYS_END: &[u8] = b"s";

    /// The least key of chains retired by `commit` or later.
    pub(crate) fn keys_from(commit: CommitId) -> Vec<u8> {
        [Self::KEY, &commit.0.to_be_bytes()].concat()
    }

    pub(crate) fn key(&self) -> Vec<u8> {
        Self::key_of(self.by, self.number)
    }

    pub(crate) fn key_of(by: CommitId, number: u32) -> Vec<u8> {
        [&Self::keys_from(by)[..], &number.to_be_bytes()].concat()
    }

    pub(crate) fn value(&self) -> Vec<u8> {
        [&self.table.0.to_le_bytes()[..], &self.chain.encode()].concat()
    }

    fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        let (by, number) = key.split_first_chunk::<8>()?;
        let (table, chain) = value.split_first_chunk::<4>()?;
        Some(Self {
            by: CommitId(u64::from_be_bytes(*by)),
            number: u32::from_be_bytes(number.try_into().ok()?),
            table: TableId(u32::from_le_bytes(*table)),
            chain: OverflowRef::decode(chain)?,
        })
    }
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
            Self::Retired(retired) => (retired.key(), retired.value()),
        }
    }

    /// The entry of a row; `None` if it is malformed.
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        let (kind, name) = key.split_first()?;
        if *kind == Retired::KEY[0] {
            return Retired::decode(name, value).map(Self::Retired);
        }
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
    /// The table of that name, as is visible.
    pub(crate) fn get(&self, name: &str, registry: &SnapshotRegistry) -> Option<Table> {
        done(Kind::CatalogEntries, 1);
        let names = self.names.read();
        // Looked at with the lock held, so that what it needs has not been forgotten.
        let visible = registry.visible();
        visible_meaning(names.meanings.get(name)?, visible)
    }

    /// The names of all tables, as is visible.
    pub(crate) fn names(&self, registry: &SnapshotRegistry) -> Vec<String> {
        let names = self.names.read();
        done(Kind::CatalogEntries, names.meanings.len());
        let visible = registry.visible();
        let tables = names.meanings.iter();
        tables
            .filter(|(_, meanings)| visible_meaning(meanings, visible).is_some())
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The table of that name after all commits that have been applied.
    pub(super) fn newest(&self, name: &str) -> Option<Table> {
        self.names.read().meanings.get(name)?.last()?.table
    }

    /// The commit that gave a name its newest meaning, if that is remembered.
    pub(crate) fn newest_change(&self, name: &str) -> Option<CommitId> {
        Some(self.names.read().meanings.get(name)?.last()?.since)
    }

    /// The table of that number after all commits that have been applied.
    pub(super) fn newest_of(&self, table: TableId) -> Option<Table> {
        done(Kind::CatalogEntries, 1);
        self.names.read().tables.get(&table).copied()
    }

    /// All tables after all commits that have been applied.
    pub(crate) fn newest_tables(&self) -> Vec<(String, Table)> {
        let names = self.names.read();
        done(Kind::CatalogEntries, names.meanings.len());
        let tables = names.meanings.iter();
        tables
            .filter_map(|(name, meanings)| Some((name.clone(), meanings.last()?.table?)))
            .collect()
    }

    /// Gives a name a table, or none, from `since` on. Only under the applier, so changes come in commit order.
    pub(super) fn set(&self, name: &str, since: CommitId, table: Option<Table>, registry: &SnapshotRegistry) {
        done(Kind::CatalogEntries, 1);
        let names = &mut *self.names.write();
        let visible = registry.visible();
        let meanings = names.meanings.entry(name.to_owned()).or_default();
        if let Some(before) = meanings.last().and_then(|newest| newest.table) {
            names.tables.remove(&before.id);
        }
        if let Some(table) = table {
            names.tables.insert(table.id, table);
        }
        meanings.push(Meaning { since, table });
        forget_replaced(meanings, visible);
        if table.is_none() {
            names.dropped.push_back((since, name.to_owned()));
        }
        while let Some((_, name)) = names.dropped.pop_front_if(|(since, _)| *since <= visible) {
            done(Kind::CatalogEntries, 1);
            if let Some(meanings) = names.meanings.get_mut(&name) {
                forget_replaced(meanings, visible);
                if meanings.iter().all(|m| m.table.is_none() && m.since <= visible) {
                    names.meanings.remove(&name);
                }
            }
        }
    }
}

fn visible_meaning(meanings: &[Meaning], visible: CommitId) -> Option<Table> {
    meanings.iter().rfind(|m| m.since <= visible)?.table
}

/// Drops the meanings that a later visible one has replaced.
fn forget_replaced(meanings: &mut SmallVec<[Meaning; 1]>, visible: CommitId) {
    done(Kind::CatalogEntries, meanings.len());
    if let Some(at) = meanings.iter().rposition(|m| m.since <= visible) {
        meanings.drain(..at);
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
            Entry::Retired(Retired {
                by: CommitId(1 << 40),
                number: 7,
                table: TableId(3),
                chain: OverflowRef {
                    len: 70_000,
                    first: PageNumber(12),
                    commit: CommitId(9),
                },
            }),
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
    fn a_name_means_what_is_visible_and_its_past_is_forgotten() {
        let registry = SnapshotRegistry::new(CommitId(1));
        let catalog = Catalog::default();
        let table = |id| Table {
            id: TableId(id),
            root: PageNumber(2),
            database: 1,
            slot: 0,
        };
        let set = |commit, table| catalog.set("t", CommitId(commit), table, &registry);
        assert_eq!(catalog.get("t", &registry), None);
        set(2, Some(table(1)));
        assert_eq!(catalog.get("t", &registry), None, "not visible yet");
        assert_eq!(catalog.newest("t"), Some(table(1)));
        assert_eq!(catalog.newest_change("t"), Some(CommitId(2)));
        registry.publish(CommitId(2));
        assert_eq!(catalog.get("t", &registry), Some(table(1)));
        set(3, None);
        set(4, Some(table(2)));
        assert_eq!(
            catalog.get("t", &registry),
            Some(table(1)),
            "its drop is not visible"
        );
        assert_eq!(catalog.newest_tables(), [("t".to_owned(), table(2))]);
        assert_eq!(catalog.newest_of(TableId(2)), Some(table(2)));
        assert_eq!(catalog.newest_of(TableId(1)), None, "it has been dropped");
        registry.publish(CommitId(3));
        assert_eq!(catalog.get("t", &registry), None);
        assert!(catalog.names(&registry).is_empty());
        registry.publish(CommitId(4));
        assert_eq!(catalog.names(&registry), ["t"]);
        set(5, None);
        registry.publish(CommitId(5));
        catalog.set("u", CommitId(6), Some(table(3)), &registry);
        assert_eq!(
            catalog.names.read().meanings.len(),
            1,
            "a dropped name is forgotten"
        );
        assert!(catalog.names.read().dropped.is_empty());
        assert_eq!(catalog.newest_change("t"), None);
    }

    #[test]
    fn names_have_limits() {
        assert!(check_name("accounts").is_ok());
        assert!(check_name("").is_err());
        assert!(check_name(&"x".repeat(256)).is_err());
    }
}
