//! A tiny correct engine (one writer at a time, undo on rollback), and ways to make it incorrect.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use workloads::driver::{
    Capabilities, Committed, Direction, Durability, Isolation, RowBuffer, Session, TableRef, Target,
    TargetError, TargetStats, TxOptions,
};

/// An error to plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// None: the engine is correct.
    None,
    /// Now and then a put does nothing.
    LosesPuts,
    /// Deletes do nothing.
    IgnoresDeletes,
    /// Rollback leaves the writes there.
    KeepsRolledBack,
    /// Now and then a put changes only the beginning of the value.
    TearsValues,
    /// Now and then a value is stored under the key of another row.
    MisplacesValues,
    /// A key appears that is none.
    InventsKeys,
    /// Reads for update give the value before the current one.
    StaleReadsForUpdate,
    /// Point reads give values of rolled-back attempts.
    ReadsRolledBack,
    /// Now and then a point read does not find its row.
    MissesRows,
    /// Scans skip a row.
    ScanSkips,
    /// Scans give one row.
    OneRowScans,
    /// Scans give a row more than their limit.
    IgnoresLimits,
    /// Scans tell a row more than they give.
    WrongCounts,
    /// Scans leave out what their own transaction wrote.
    ScansMissOwn,
    /// Point reads give the value before the current one.
    StaleReads,
    /// Scans return a row twice.
    ScanRepeats,
    /// Commit IDs fall instead of rising.
    FallingCommitIds,
    /// Commit IDs are swapped between neighbouring commits.
    SwappedCommitIds,
    /// Values are damaged when point reads return them.
    DamagesReads,
}

pub(crate) type Tables = Vec<BTreeMap<Vec<u8>, Vec<u8>>>;
type Undo = Vec<(usize, Vec<u8>, Option<Vec<u8>>)>;

#[derive(Default)]
struct Data {
    tables: Tables,
    previous: HashMap<(usize, Vec<u8>), Vec<u8>>,
    rolled_back: HashMap<(usize, Vec<u8>), Vec<u8>>,
}

pub(crate) struct Toy {
    capabilities: Capabilities,
    data: RwLock<Data>,
    bug: Bug,
    /// One of this many commits of writers is refused; 0 refuses none.
    refuses: u64,
    commits: AtomicU64,
    counter: AtomicU64,
}

impl Toy {
    pub(crate) fn new(tables: usize, bug: Bug, commit_ids: bool) -> Self {
        let data = Data {
            tables: vec![BTreeMap::new(); tables],
            ..Data::default()
        };
        Toy {
            capabilities: Capabilities {
                name: "toy".into(),
                version: "0".into(),
                description: "one writer at a time".into(),
                durabilities: [Durability::InMemory].into(),
                isolations: [Isolation::Serializable].into(),
                concurrent_writers: false,
                persistent: false,
                checkpoint: false,
                verify: false,
                commit_ids,
                locks_rows: true,
                cache_size: false,
                compressions: Default::default(),
                key_len_max: None,
                value_len_max: None,
            },
            data: RwLock::new(data),
            bug,
            refuses: 0,
            commits: AtomicU64::new(0),
            counter: AtomicU64::new(0),
        }
    }

    pub(crate) fn refusing(mut self, one_of: u64) -> Self {
        self.refuses = one_of;
        self
    }

    pub(crate) fn with_tables(tables: Tables) -> Self {
        let toy = Toy::new(tables.len(), Bug::None, true);
        toy.data.write().unwrap().tables = tables;
        toy
    }

    /// Changes the data behind the engine's back.
    pub(crate) fn tamper(&self, change: impl FnOnce(&mut Tables)) {
        change(&mut self.data.write().unwrap().tables);
    }

    /// True for one call of `every`, while the bug is `bug`.
    fn strikes(&self, bug: Bug, every: u64) -> bool {
        self.bug == bug && self.counter.fetch_add(1, Ordering::Relaxed) % every == every - 1
    }
}

enum Open<'a> {
    Nothing,
    Reader(RwLockReadGuard<'a, Data>),
    Writer(RwLockWriteGuard<'a, Data>, Undo),
}

struct ToySession<'a> {
    toy: &'a Toy,
    open: Open<'a>,
}

impl Target for Toy {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn session(&self) -> Result<Box<dyn Session + '_>, TargetError> {
        Ok(Box::new(ToySession {
            toy: self,
            open: Open::Nothing,
        }))
    }

    fn sync(&self) -> Result<(), TargetError> {
        Err(TargetError::unsupported("in memory"))
    }

    fn checkpoint(&self) -> Result<(), TargetError> {
        Err(TargetError::unsupported("in memory"))
    }

    fn stats(&self) -> TargetStats {
        TargetStats::default()
    }

    fn verify(&self) -> Result<(), TargetError> {
        Err(TargetError::unsupported("nothing to verify"))
    }
}

impl ToySession<'_> {
    fn data(&self) -> Result<&Data, TargetError> {
        match &self.open {
            Open::Nothing => Err(TargetError::fatal("no transaction is open")),
            Open::Reader(data) => Ok(data),
            Open::Writer(data, _) => Ok(data),
        }
    }

    fn writer(&mut self) -> Result<(&mut Data, &mut Undo), TargetError> {
        match &mut self.open {
            Open::Writer(data, undo) => Ok((data, undo)),
            _ => Err(TargetError::fatal("no write transaction is open")),
        }
    }
}

impl Session for ToySession<'_> {
    fn begin(&mut self, options: &TxOptions) -> Result<(), TargetError> {
        if !matches!(self.open, Open::Nothing) {
            return Err(TargetError::fatal("a transaction is open"));
        }
        self.open = if options.read_only {
            Open::Reader(self.toy.data.read().unwrap())
        } else {
            Open::Writer(self.toy.data.write().unwrap(), Vec::new())
        };
        Ok(())
    }

    fn get(&mut self, table: TableRef, key: &[u8], out: &mut Vec<u8>) -> Result<bool, TargetError> {
        let toy = self.toy;
        let data = self.data()?;
        out.clear();
        if toy.bug == Bug::ReadsRolledBack
            && let Some(value) = data.rolled_back.get(&(table.index(), key.to_vec()))
        {
            out.extend_from_slice(value);
            return Ok(true);
        }
        if toy.bug == Bug::StaleReads
            && let Some(value) = data.previous.get(&(table.index(), key.to_vec()))
        {
            out.extend_from_slice(value);
            return Ok(true);
        }
        match data.tables[table.index()].get(key) {
            Some(value) if !toy.strikes(Bug::MissesRows, 50) => {
                out.extend_from_slice(value);
                if toy.strikes(Bug::DamagesReads, 50) {
                    out[0] ^= 1;
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn get_for_update(
        &mut self,
        table: TableRef,
        key: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, TargetError> {
        if self.toy.bug == Bug::StaleReadsForUpdate
            && let Some(value) = self.data()?.previous.get(&(table.index(), key.to_vec()))
        {
            out.clear();
            out.extend_from_slice(value);
            return Ok(true);
        }
        self.get(table, key, out)
    }

    fn put(&mut self, table: TableRef, key: &[u8], value: &[u8]) -> Result<(), TargetError> {
        let toy = self.toy;
        let (data, undo) = self.writer()?;
        let rows = &mut data.tables[table.index()];
        let before = rows.get(key).cloned();
        let mut key = key.to_vec();
        let mut value = value.to_vec();
        if toy.strikes(Bug::LosesPuts, 31) {
            return Ok(());
        }
        if let Some(before) = &before
            && toy.strikes(Bug::TearsValues, 10)
        {
            let half = value.len() / 3; // The second half of values is often alike.
            value.truncate(half);
            value.extend_from_slice(before.get(half..).unwrap_or_default());
        }
        if toy.strikes(Bug::MisplacesValues, 31)
            && let Some(other) = rows.keys().find(|other| **other != key)
        {
            key = other.clone();
        }
        undo.push((table.index(), key.clone(), rows.get(&key).cloned()));
        if matches!(toy.bug, Bug::StaleReadsForUpdate | Bug::StaleReads)
            && let Some(before) = before
        {
            data.previous.insert((table.index(), key.clone()), before);
        }
        rows.insert(key, std::mem::take(&mut value));
        Ok(())
    }

    fn delete(&mut self, table: TableRef, key: &[u8]) -> Result<bool, TargetError> {
        let toy = self.toy;
        let (data, undo) = self.writer()?;
        let rows = &mut data.tables[table.index()];
        if toy.bug == Bug::IgnoresDeletes {
            return Ok(rows.contains_key(key));
        }
        let before = rows.remove(key);
        let existed = before.is_some();
        undo.push((table.index(), key.to_vec(), before));
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
        let toy = self.toy;
        let rows = &self.data()?.tables[table.index()];
        let before = sink.len();
        let (asked, is_own_scan) = (limit, limit < 1000);
        let limit = match toy.bug {
            Bug::OneRowScans if is_own_scan => 1,
            Bug::IgnoresLimits if is_own_scan => limit + 1,
            _ => limit,
        };
        // Verification scans in batches of 1000; those stay correct, so that only the run's own scans are struck.
        let mut found: Vec<_> = match direction {
            Direction::Forward => rows.range(start.to_vec()..).take(limit).collect(),
            Direction::Reverse => rows.range(..=start.to_vec()).rev().take(limit).collect(),
        };
        if toy.bug == Bug::ScansMissOwn
            && let Open::Writer(_, undo) = &self.open
        {
            found.retain(|(key, _)| !undo.iter().any(|(_, own, _)| own == *key));
        }
        if asked < 1000 && found.len() > 2 {
            if toy.strikes(Bug::ScanSkips, 20) {
                found.remove(1);
            }
            if toy.strikes(Bug::ScanRepeats, 20) {
                found[1] = found[0];
            }
        }
        found.iter().for_each(|(key, value)| sink.push(key, value));
        Ok(sink.len() - before + usize::from(toy.bug == Bug::WrongCounts && is_own_scan))
    }

    fn commit(&mut self) -> Result<Committed, TargetError> {
        if let Open::Writer(data, undo) = &mut self.open {
            let number = self.toy.commits.fetch_add(1, Ordering::Relaxed);
            if self.toy.refuses > 0 && number % self.toy.refuses == self.toy.refuses - 1 {
                return Err(TargetError::conflict("refused to see what happens"));
            }
            if self.toy.bug == Bug::InventsKeys && number == 22 {
                data.tables[0].insert(b"what is this".to_vec(), Vec::new());
            }
            undo.clear();
            self.open = Open::Nothing;
            let id = match self.toy.bug {
                Bug::FallingCommitIds => u64::MAX - 1 - number,
                Bug::SwappedCommitIds => number ^ 1,
                _ => number,
            };
            return Ok(Committed {
                commit_id: self.toy.capabilities.commit_ids.then_some(id),
            });
        }
        self.data()?;
        self.open = Open::Nothing;
        Ok(Committed::default())
    }

    fn rollback(&mut self) {
        if let Open::Writer(data, undo) = &mut self.open
            && self.toy.bug != Bug::KeepsRolledBack
        {
            let Data {
                tables, rolled_back, ..
            } = &mut **data;
            for (table, key, before) in undo.drain(..).rev() {
                let now = match before {
                    Some(before) => tables[table].insert(key.clone(), before),
                    None => tables[table].remove(&key),
                };
                if let Some(now) = now {
                    rolled_back.insert((table, key), now);
                }
            }
        }
        self.open = Open::Nothing;
    }
}

impl Drop for ToySession<'_> {
    fn drop(&mut self) {
        self.rollback();
    }
}
