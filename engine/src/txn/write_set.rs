//! What a transaction has written and not committed: private to it, in key order.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::Table;
use crate::ids::TableId;
use crate::work::{Kind, done};

/// Changes of one table: a value to put, or `None` to delete.
pub(crate) type TableWrites = BTreeMap<Box<[u8]>, Option<Box<[u8]>>>;

/// Bookkeeping bytes counted for each changed row beside its key and value.
const ROW_OVERHEAD: usize = 64;
/// Up to this many tables a linear search is quicker than hashing.
const LINEAR: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct WriteSet {
    tables: SmallVec<[(Table, TableWrites); 1]>,
    /// Where they are, once there are many. Tables of one database differ in their numbers.
    index: HashMap<TableId, u32, FixedState>,
    bytes: usize,
    undo_bytes: usize,
    /// How to go back to each open savepoint: what each change replaced.
    undo: Vec<Undo>,
    /// Savepoints to which the transaction can go back, oldest first.
    open: Vec<u32>,
    /// Savepoints made so far; numbers are not used again.
    made: u32,
}

#[derive(Debug)]
struct Undo {
    table: Table,
    key: Box<[u8]>,
    /// What the write set held for the key: nothing, or a change.
    before: Option<Option<Box<[u8]>>>,
}

impl Undo {
    fn bytes(&self) -> usize {
        let value = self.before.as_ref().and_then(Option::as_ref);
        ROW_OVERHEAD + self.key.len() + value.map_or(0, |value| value.len())
    }
}

/// A place in a transaction to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint {
    /// Of which database, since each counts its transactions from 1.
    pub(crate) database: u32,
    pub(crate) transaction: u64,
    number: u32,
    undo_len: usize,
}

impl WriteSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.iter().all(|(_, writes)| writes.is_empty())
    }

    /// Bytes held, with what it takes to go back to savepoints.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.undo_bytes
    }

    /// Tables and their changes, in the order in which the tables were first written.
    pub(crate) fn tables(&self) -> &[(Table, TableWrites)] {
        &self.tables
    }

    fn position(&self, table: Table) -> Option<usize> {
        if self.tables.len() > LINEAR {
            done(Kind::OwnChanges, 1);
            let at = self.index.get(&table.id).map(|&at| at as usize);
            return at.filter(|&at| self.tables[at].0 == table);
        }
        done(Kind::OwnChanges, self.tables.len());
        self.tables.iter().position(|(t, _)| *t == table)
    }

    pub(crate) fn table(&self, table: Table) -> Option<&TableWrites> {
        self.position(table).map(|at| &self.tables[at].1)
    }

    /// The pending change of a row, if there is one.
    #[inline]
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Option<Option<&[u8]>> {
        self.table(table)?.get(key).map(|value| value.as_deref())
    }

    fn writes_mut(&mut self, table: Table) -> &mut TableWrites {
        let at = self.position(table).unwrap_or_else(|| {
            self.tables.push((table, TableWrites::new()));
            let known = self.index.len();
            if self.tables.len() > LINEAR {
                let new = self.tables.iter().enumerate().skip(known);
                self.index
                    .extend(new.map(|(at, (table, _))| (table.id, at as u32)));
            }
            self.tables.len() - 1
        });
        &mut self.tables[at].1
    }

    fn size(key: &[u8], change: Option<&Option<Box<[u8]>>>) -> usize {
        change.map_or(0, |v| {
            ROW_OVERHEAD + key.len() + v.as_ref().map_or(0, |v| v.len())
        })
    }

    /// Puts (`Some`) or deletes (`None`) a row.
    pub(crate) fn set(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) {
        done(Kind::Bytes, key.len() + value.map_or(0, <[u8]>::len));
        let value = value.map(Box::from);
        self.replace(table, key.into(), Some(value), !self.open.is_empty());
    }

    fn replace(&mut self, table: Table, key: Box<[u8]>, change: Option<Option<Box<[u8]>>>, undo: bool) {
        self.bytes += Self::size(&key, change.as_ref());
        let kept = undo.then(|| key.clone());
        let writes = self.writes_mut(table);
        let freed_key = key.len();
        let before = match change {
            Some(value) => writes.insert(key, value),
            None => writes.remove(&key),
        };
        let freed = before.as_ref().map_or(0, |v| {
            ROW_OVERHEAD + freed_key + v.as_ref().map_or(0, |v| v.len())
        });
        self.bytes -= freed;
        if let Some(key) = kept {
            let undo = Undo { table, key, before };
            self.undo_bytes += undo.bytes();
            self.undo.push(undo);
        }
    }

    pub(crate) fn savepoint(&mut self, database: u32, transaction: u64) -> Savepoint {
        self.made += 1;
        self.open.push(self.made);
        crate::reach::mark_if(self.open.len() >= 3, crate::reach::Mechanism::NestedSavepoints);
        Savepoint {
            database,
            transaction,
            number: self.made,
            undo_len: self.undo.len(),
        }
    }

    /// Undoes everything since the savepoint, which stays open; later ones are gone. `false` if it is gone itself.
    pub(crate) fn rollback_to(&mut self, savepoint: Savepoint) -> bool {
        // Their numbers rise.
        done(Kind::OwnChanges, 1);
        let Ok(at) = self.open.binary_search(&savepoint.number) else {
            return false;
        };
        crate::reach::mark(crate::reach::Mechanism::RolledBackToSavepoint);
        while self.undo.len() > savepoint.undo_len {
            if let Some(undo) = self.undo.pop() {
                done(Kind::OwnChanges, 1);
                self.undo_bytes -= undo.bytes();
                let Undo { table, key, before } = undo;
                self.replace(table, key, before, false);
            }
        }
        self.open.truncate(at + 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{PageNumber, TableId};

    #[test]
    fn savepoints_restore_the_write_set_and_its_size() {
        let table = Table {
            id: TableId(1),
            root: PageNumber(2),
            database: 0,
            slot: 0,
        };
        let mut set = WriteSet::default();
        set.set(table, b"a", Some(b"1"));
        let bytes = set.bytes();
        let first = set.savepoint(1, 7);
        set.set(table, b"a", Some(b"22"));
        set.set(table, b"b", None);
        let second = set.savepoint(1, 7);
        set.set(table, b"b", Some(b"3"));
        assert!(set.rollback_to(second));
        assert_eq!(set.get(table, b"b"), Some(None));
        assert!(set.rollback_to(first));
        assert_eq!(set.get(table, b"a"), Some(Some(&b"1"[..])));
        assert_eq!(set.get(table, b"b"), None);
        assert_eq!(set.bytes(), bytes);
        assert!(
            !set.rollback_to(second),
            "a savepoint after the one gone back to is gone"
        );
        assert!(set.rollback_to(first), "the savepoint itself stays");
        set.set(table, b"x", Some(b"4"));
        set.set(table, b"y", Some(b"5"));
        let _third = set.savepoint(1, 7);
        assert!(!set.rollback_to(second), "its number is not used again");
        assert_eq!(set.get(table, b"y"), Some(Some(&b"5"[..])));
    }
}
