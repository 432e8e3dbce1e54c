//! `memory`: ordered maps behind reader-writer locks, the in-memory bound that every engine is compared with.
//!
//! Each table is a `RwLock<BTreeMap<Vec<u8>, Vec<u8>>>`. What it does, and so what the bound stands for:
//! - every read takes the table's read lock for that one operation and copies the value out, as engines must;
//! - writes are kept in the session and applied at commit under the write locks of all tables they touch, so a
//!   commit is atomic for each single read, and rollback is forgetting;
//! - there is no snapshot, no row lock, no log and no file: isolation is READ COMMITTED for each operation, durability is
//!   none, and two concurrent read-modify-writes of a row may lose one update.
//!
//! So it does strictly less than a transactional engine. That is its purpose: it shows what the same calls cost when
//! only the data structure and the copying are left.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use workloads::driver::{
    Capabilities, Committed, Direction, Durability, Isolation, OpenMode, OpenOptions, RowBuffer, Session,
    TableRef, Target, TargetError, TargetFactory, TargetStats, TxOptions,
};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Makes [`MemoryTarget`]s.
#[derive(Debug)]
pub(crate) struct MemoryFactory {
    capabilities: Capabilities,
}

impl MemoryFactory {
    /// The factory registered as `memory`.
    pub(crate) fn new() -> Self {
        let capabilities = Capabilities {
            name: "memory".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "ordered maps behind reader-writer locks; nothing survives: the in-memory bound"
                .into(),
            durabilities: BTreeSet::from([Durability::InMemory]),
            isolations: BTreeSet::from([Isolation::ReadCommitted]),
            concurrent_writers: true,
            persistent: false,
            checkpoint: false,
            verify: false,
            commit_ids: true,
            locks_rows: false,
            cache_size: false,
            compressions: BTreeSet::new(),
            key_len_max: None,
            value_len_max: None,
        };
        Self { capabilities }
    }
}

impl TargetFactory for MemoryFactory {
    fn name(&self) -> &str {
        &self.capabilities.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn open(&self, options: &OpenOptions) -> Result<Box<dyn Target>, TargetError> {
        if options.mode == OpenMode::Existing {
            return Err(TargetError::unsupported(
                "memory keeps nothing, so there is no database to open again",
            ));
        }
        self.check(options)?;
        Ok(Box::new(MemoryTarget {
            capabilities: self.capabilities.clone(),
            tables: options.tables.iter().map(|_| RwLock::new(Rows::new())).collect(),
            commits: AtomicU64::new(0),
        }))
    }
}

/// An open `memory` database.
#[derive(Debug)]
struct MemoryTarget {
    capabilities: Capabilities,
    tables: Vec<RwLock<Rows>>,
    commits: AtomicU64,
}

impl MemoryTarget {
    fn table(&self, table: TableRef) -> Result<&RwLock<Rows>, TargetError> {
        self.tables.get(table.index()).ok_or_else(|| {
            TargetError::fatal(format!(
                "table {} of a database with {}",
                table.index(),
                self.tables.len()
            ))
        })
    }

    fn read(&self, table: TableRef) -> Result<RwLockReadGuard<'_, Rows>, TargetError> {
        Ok(self.table(table)?.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, table: TableRef) -> Result<RwLockWriteGuard<'_, Rows>, TargetError> {
        Ok(self.table(table)?.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Target for MemoryTarget {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn session(&self) -> Result<Box<dyn Session + '_>, TargetError> {
        Ok(Box::new(MemorySession {
            target: self,
            open: None,
            writes: Vec::new(),
        }))
    }

    fn sync(&self) -> Result<(), TargetError> {
        Err(TargetError::unsupported("memory is not persistent"))
    }

    fn checkpoint(&self) -> Result<(), TargetError> {
        Err(TargetError::unsupported("memory has no checkpoints"))
    }

    fn stats(&self) -> TargetStats {
        TargetStats {
            commits: Some(self.commits.load(Ordering::Relaxed)),
            ..TargetStats::default()
        }
    }

    fn verify(&self) -> Result<(), TargetError> {
        Err(TargetError::unsupported(
            "memory has no structure of its own to check",
        ))
    }
}

/// One change of the open transaction; `None` deletes.
#[derive(Debug)]
struct Write {
    table: TableRef,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

#[derive(Debug)]
struct MemorySession<'t> {
    target: &'t MemoryTarget,
    open: Option<TxOptions>,
    /// In order of execution; the last change of a row counts.
    writes: Vec<Write>,
}

impl MemorySession<'_> {
    fn options(&self) -> Result<&TxOptions, TargetError> {
        self.open
            .as_ref()
            .ok_or_else(|| TargetError::fatal("no transaction is open in this session"))
    }

    fn writable(&self) -> Result<(), TargetError> {
        if self.options()?.read_only {
            return Err(TargetError::fatal("a write in a read-only transaction"));
        }
        Ok(())
    }

    fn own_write(&self, table: TableRef, key: &[u8]) -> Option<&Write> {
        self.writes
            .iter()
            .rev()
            .find(|write| write.table == table && write.key == key)
    }
}

fn apply(rows: &mut Rows, key: Vec<u8>, value: Option<Vec<u8>>) {
    match value {
        Some(value) => {
            rows.insert(key, value);
        }
        None => {
            rows.remove(&key);
        }
    }
}

impl Session for MemorySession<'_> {
    fn begin(&mut self, options: &TxOptions) -> Result<(), TargetError> {
        if self.open.is_some() {
            return Err(TargetError::fatal(
                "a transaction is open in this session already",
            ));
        }
        if let Some(refusal) = self
            .target
            .capabilities
            .refusal(options.durability, options.isolation)
        {
            return Err(TargetError::unsupported(refusal));
        }
        self.open = Some(*options);
        Ok(())
    }

    fn get(&mut self, table: TableRef, key: &[u8], out: &mut Vec<u8>) -> Result<bool, TargetError> {
        self.options()?;
        out.clear();
        if let Some(own) = self.own_write(table, key) {
            return Ok(own
                .value
                .as_ref()
                .map(|value| out.extend_from_slice(value))
                .is_some());
        }
        let rows = self.target.read(table)?;
        Ok(rows.get(key).map(|value| out.extend_from_slice(value)).is_some())
    }

    fn get_for_update(
        &mut self,
        table: TableRef,
        key: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, TargetError> {
        self.get(table, key, out)
    }

    fn put(&mut self, table: TableRef, key: &[u8], value: &[u8]) -> Result<(), TargetError> {
        self.writable()?;
        self.target.table(table)?;
        self.writes.push(Write {
            table,
            key: key.to_vec(),
            value: Some(value.to_vec()),
        });
        Ok(())
    }

    fn delete(&mut self, table: TableRef, key: &[u8]) -> Result<bool, TargetError> {
        self.writable()?;
        let existed = match self.own_write(table, key) {
            Some(own) => own.value.is_some(),
            None => self.target.read(table)?.contains_key(key),
        };
        // Also of a row that is not there: another session may insert it before this transaction commits.
        self.writes.push(Write {
            table,
            key: key.to_vec(),
            value: None,
        });
        Ok(existed)
    }

    fn scan(
        &mut self,
        table: TableRef,
        start: &[u8],
        limit: usize,
        direction: Direction,
        sink: &mut RowBuffer,
    ) -> Result<usize, TargetError> {
        self.options()?;
        let own: BTreeMap<&[u8], Option<&[u8]>> = self
            .writes
            .iter()
            .filter(|write| write.table == table)
            .map(|write| (write.key.as_slice(), write.value.as_deref()))
            .collect();
        let rows = self.target.read(table)?;
        let committed = |bounds| {
            rows.range::<[u8], _>(bounds)
                .map(|(key, value)| (key.as_slice(), value.as_slice()))
        };
        let pending = |bounds| own.range::<[u8], _>(bounds).map(|(key, value)| (*key, *value));
        let bounds = match direction {
            Direction::Forward => (Bound::Included(start), Bound::Unbounded),
            Direction::Reverse if start.is_empty() => (Bound::Unbounded, Bound::Unbounded),
            Direction::Reverse => (Bound::Unbounded, Bound::Included(start)),
        };
        Ok(match direction {
            Direction::Forward => merge(committed(bounds), pending(bounds), limit, sink, |a, b| a < b),
            Direction::Reverse => merge(
                committed(bounds).rev(),
                pending(bounds).rev(),
                limit,
                sink,
                |a, b| a > b,
            ),
        })
    }

    fn commit(&mut self) -> Result<Committed, TargetError> {
        self.options()?;
        self.open = None;
        if self.writes.is_empty() {
            return Ok(Committed::default());
        }
        // The number is taken under the write locks, so that it is the order in which each row changed.
        let first = self.writes[0].table;
        let commit_id = if self.writes.iter().all(|write| write.table == first) {
            let mut rows = self.target.write(first)?;
            let commit_id = self.target.commits.fetch_add(1, Ordering::Relaxed) + 1;
            for write in self.writes.drain(..) {
                apply(&mut rows, write.key, write.value);
            }
            commit_id
        } else {
            let touched: BTreeSet<TableRef> = self.writes.iter().map(|write| write.table).collect();
            let mut guards = BTreeMap::new();
            for table in touched {
                guards.insert(table, self.target.write(table)?);
            }
            let commit_id = self.target.commits.fetch_add(1, Ordering::Relaxed) + 1;
            for write in self.writes.drain(..) {
                let rows = guards
                    .get_mut(&write.table)
                    .expect("every written table was locked");
                apply(rows, write.key, write.value);
            }
            commit_id
        };
        Ok(Committed {
            commit_id: Some(commit_id),
        })
    }

    fn rollback(&mut self) {
        self.open = None;
        self.writes.clear();
    }
}

/// Merges committed rows with the transaction's own changes into `sink`, both in the order that `before` tells.
fn merge<'a>(
    committed: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    pending: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    limit: usize,
    sink: &mut RowBuffer,
    before: impl Fn(&[u8], &[u8]) -> bool,
) -> usize {
    let mut committed = committed.peekable();
    let mut pending = pending.peekable();
    let mut pushed = 0;
    while pushed < limit {
        let own_first = match (committed.peek(), pending.peek()) {
            (None, None) => break,
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (Some((key, _)), Some((own, _))) => {
                if key == own {
                    // The own change hides the committed row.
                    committed.next();
                    continue;
                }
                before(own, key)
            }
        };
        if own_first {
            if let Some((key, Some(value))) = pending.next() {
                sink.push(key, value);
                pushed += 1;
            }
        } else if let Some((key, value)) = committed.next() {
            sink.push(key, value);
            pushed += 1;
        }
    }
    pushed
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: TableRef = TableRef(0);
    const U: TableRef = TableRef(1);

    fn open() -> Box<dyn Target> {
        MemoryFactory::new()
            .open(&OpenOptions::create("unused", ["t", "u"]))
            .unwrap()
    }

    fn read_write() -> TxOptions {
        TxOptions::read_write(Isolation::ReadCommitted, Durability::InMemory)
    }

    fn keys(session: &mut dyn Session, start: &[u8], limit: usize, direction: Direction) -> Vec<String> {
        let mut rows = RowBuffer::new();
        let count = session.scan(T, start, limit, direction, &mut rows).unwrap();
        assert_eq!(count, rows.len());
        rows.iter()
            .map(|(key, _)| String::from_utf8(key.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn a_commit_shows_all_tables_and_a_rollback_none() {
        let target = open();
        let mut session = target.session().unwrap();
        let mut out = Vec::new();
        session.begin(&read_write()).unwrap();
        session.put(T, b"a", b"1").unwrap();
        session.put(U, b"a", b"2").unwrap();
        assert_eq!(session.commit().unwrap().commit_id, Some(1));
        session.begin(&read_write()).unwrap();
        session.put(T, b"a", b"9").unwrap();
        assert!(session.delete(U, b"a").unwrap());
        assert!(!session.get(U, b"a", &mut out).unwrap(), "its own delete is seen");
        session.rollback();
        session.begin(&read_write()).unwrap();
        assert!(session.get(T, b"a", &mut out).unwrap());
        assert_eq!(out, b"1");
        assert!(session.get_for_update(U, b"a", &mut out).unwrap());
        assert_eq!(out, b"2");
        assert_eq!(session.commit().unwrap().commit_id, None, "nothing was written");
    }

    #[test]
    fn a_delete_counts_at_commit_even_of_a_row_that_came_later() {
        let target = open();
        let (mut one, mut two) = (target.session().unwrap(), target.session().unwrap());
        one.begin(&read_write()).unwrap();
        assert!(!one.delete(T, b"k").unwrap());
        two.begin(&read_write()).unwrap();
        two.put(T, b"k", b"1").unwrap();
        let inserted = two.commit().unwrap().commit_id;
        assert!(one.commit().unwrap().commit_id > inserted);
        one.begin(&read_write()).unwrap();
        assert!(!one.get(T, b"k", &mut Vec::new()).unwrap());
    }

    #[test]
    fn scans_merge_own_changes_in_both_directions() {
        let target = open();
        let mut session = target.session().unwrap();
        session.begin(&read_write()).unwrap();
        for key in ["a", "c", "e", "g"] {
            session.put(T, key.as_bytes(), b"old").unwrap();
        }
        session.commit().unwrap();
        session.begin(&read_write()).unwrap();
        session.put(T, b"d", b"new").unwrap();
        session.put(T, b"z", b"new").unwrap();
        session.delete(T, b"c").unwrap();
        let session = session.as_mut();
        assert_eq!(
            keys(session, b"", 9, Direction::Forward),
            ["a", "d", "e", "g", "z"]
        );
        assert_eq!(keys(session, b"b", 2, Direction::Forward), ["d", "e"]);
        assert_eq!(keys(session, b"f", 9, Direction::Reverse), ["e", "d", "a"]);
        assert_eq!(keys(session, b"", 2, Direction::Reverse), ["z", "g"]);
    }

    #[test]
    fn what_it_cannot_do_is_refused() {
        let factory = MemoryFactory::new();
        assert!(factory.open(&OpenOptions::existing("unused", ["t"])).is_err());
        let target = open();
        let mut session = target.session().unwrap();
        let sync = TxOptions::read_write(Isolation::ReadCommitted, Durability::Sync);
        assert!(session.begin(&sync).unwrap_err().message().contains("durability"));
        assert!(session.put(T, b"a", b"").is_err(), "no transaction is open");
        session
            .begin(&TxOptions {
                read_only: true,
                ..read_write()
            })
            .unwrap();
        assert!(session.put(T, b"a", b"").is_err(), "read-only");
        assert!(
            session.get(TableRef(7), b"a", &mut Vec::new()).is_err(),
            "no such table"
        );
    }
}
