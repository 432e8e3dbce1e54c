//! A liar's session: what it does otherwise than the engine that it wraps.

use workloads::driver::{
    Committed, Direction, Durability, ErrorKind, Isolation, RowBuffer, Session, TableRef, TargetError,
    TxOptions,
};

use super::Lie;
use super::target::LiarTarget;

pub(super) struct LiarSession<'t> {
    target: &'t LiarTarget,
    inner: Box<dyn Session + 't>,
    /// How the open transaction was begun.
    open: Option<TxOptions>,
    /// Rows that it has written.
    wrote: Vec<(TableRef, Vec<u8>)>,
}

impl<'t> LiarSession<'t> {
    pub(super) fn new(target: &'t LiarTarget) -> Result<Self, TargetError> {
        Ok(LiarSession {
            target,
            inner: target.inner.session()?,
            open: None,
            wrote: Vec::new(),
        })
    }

    fn lies(&self, lie: Lie) -> bool {
        self.target.lie == lie
    }

    fn table(&self, table: TableRef) -> TableRef {
        if self.lies(Lie::OneTable) && table.0 < 2 {
            TableRef(0)
        } else {
            table
        }
    }

    fn key<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        match key {
            [rest @ .., 0] if self.lies(Lie::CutsKeys) && !rest.is_empty() => rest,
            key => key,
        }
    }

    /// The error as the liar tells it.
    fn told<T>(&self, result: Result<T, TargetError>) -> Result<T, TargetError> {
        result.map_err(|error| match error.kind() {
            ErrorKind::Busy | ErrorKind::Conflict if self.lies(Lie::BusyIsFatal) => {
                TargetError::fatal(error.message())
            }
            _ => error,
        })
    }

    /// Does something in a transaction of its own, which sees what is committed.
    fn elsewhere<T>(
        &self,
        act: impl FnOnce(&mut dyn Session) -> Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        let mut session = self.target.inner.session()?;
        let own = self
            .open
            .ok_or_else(|| TargetError::fatal("no transaction is open in this session"))?;
        session.begin(&TxOptions {
            read_only: true,
            ..own
        })?;
        let result = act(session.as_mut());
        session.rollback();
        result
    }

    /// What the row holds now is what it held before its next change.
    fn remember(&mut self, table: TableRef, key: &[u8]) -> Result<(), TargetError> {
        if self.lies(Lie::StaleValues) {
            let mut now = Vec::new();
            if self.inner.get(table, key, &mut now)? {
                self.target.previous.keep(table, key, &now);
            } else {
                self.target.previous.forget(table, key);
            }
        }
        Ok(())
    }

    fn ended(&mut self) {
        if self.lies(Lie::DirtyReads) {
            for (table, key) in &self.wrote {
                self.target.uncommitted.forget(*table, key);
            }
        }
        self.wrote.clear();
        self.open = None;
    }
}

impl Session for LiarSession<'_> {
    fn begin(&mut self, options: &TxOptions) -> Result<(), TargetError> {
        let mut options = *options;
        let capabilities = self.target.inner.capabilities();
        match self.target.lie {
            Lie::MovingSnapshot => {
                options.isolation = Isolation::ReadCommitted;
                options.read_only = false;
            }
            Lie::DeclaresSerializable if options.isolation == Isolation::Serializable => {
                options.isolation = Isolation::Snapshot;
            }
            Lie::WeakensIsolation if !capabilities.isolations.contains(&options.isolation) => {
                options.isolation = capabilities.isolations.first().copied().unwrap_or_default();
            }
            Lie::WeakensDurability if !capabilities.durabilities.contains(&options.durability) => {
                options.durability = capabilities
                    .durabilities
                    .last()
                    .copied()
                    .unwrap_or(Durability::InMemory);
            }
            Lie::ReadOnlyWrites => options.read_only = false,
            _ => {}
        }
        let begun = self.inner.begin(&options);
        self.told(begun)?;
        self.open = Some(options);
        Ok(())
    }

    fn get(&mut self, table: TableRef, key: &[u8], out: &mut Vec<u8>) -> Result<bool, TargetError> {
        let (table, key) = (self.table(table), self.key(key));
        let own = self
            .wrote
            .iter()
            .any(|(of, wrote)| (*of, wrote.as_slice()) == (table, key));
        let remembered = match self.target.lie {
            Lie::GetsCommittedOnly => return self.elsewhere(|session| session.get(table, key, out)),
            Lie::StaleBuffer => {
                let mut found = Vec::new();
                let exists = self.inner.get(table, key, &mut found)?;
                if exists {
                    *out = found;
                }
                return Ok(exists);
            }
            Lie::DirtyReads if !own => self.target.uncommitted.get(table, key),
            Lie::StaleValues if !own => self.target.previous.get(table, key),
            _ => None,
        };
        let exists = self.inner.get(table, key, out)?;
        if let Some(value) = remembered {
            *out = value;
            return Ok(true);
        }
        if self.lies(Lie::MissesRows) && exists && self.target.third_time() {
            out.clear();
            return Ok(false);
        }
        Ok(exists)
    }

    fn get_for_update(
        &mut self,
        table: TableRef,
        key: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, TargetError> {
        if self.lies(Lie::UnlockedUpdates) {
            return self.inner.get(table, key, out);
        }
        let (table, key) = (self.table(table), self.key(key));
        let read = self.inner.get_for_update(table, key, out);
        self.told(read)
    }

    fn put(&mut self, table: TableRef, key: &[u8], value: &[u8]) -> Result<(), TargetError> {
        let (table, key) = (self.table(table), self.key(key));
        self.remember(table, key)?;
        let len = if self.lies(Lie::CutsValues) {
            value.len().min(50_000)
        } else {
            value.len()
        };
        let put = self.inner.put(table, key, &value[..len]);
        self.told(put)?;
        if self.lies(Lie::DirtyReads) {
            self.target.uncommitted.keep(table, key, value);
        }
        self.wrote.push((table, key.to_vec()));
        Ok(())
    }

    fn delete(&mut self, table: TableRef, key: &[u8]) -> Result<bool, TargetError> {
        assert!(!self.lies(Lie::Panics), "this engine does not delete");
        let (table, key) = (self.table(table), self.key(key));
        self.remember(table, key)?;
        let deleted = self.inner.delete(table, key);
        let existed = self.told(deleted)?;
        self.wrote.push((table, key.to_vec()));
        Ok(existed || self.lies(Lie::DeletesAlways))
    }

    fn scan(
        &mut self,
        table: TableRef,
        start: &[u8],
        limit: usize,
        direction: Direction,
        sink: &mut RowBuffer,
    ) -> Result<usize, TargetError> {
        let (table, start) = (self.table(table), self.key(start));
        let asked = match self.target.lie {
            Lie::OneRowScans => limit.min(1),
            Lie::IgnoresLimit | Lie::StartExclusive | Lie::ScansMissRows => limit.saturating_add(1),
            _ => limit,
        };
        let mut found = RowBuffer::new();
        if self.lies(Lie::ScansCommittedOnly) {
            self.elsewhere(|session| session.scan(table, start, asked, direction, &mut found))?;
        } else {
            self.inner.scan(table, start, asked, direction, &mut found)?;
        }
        let mut rows: Vec<(&[u8], &[u8])> = found.iter().collect();
        match self.target.lie {
            Lie::ScansMissRows if rows.len() > 1 => drop(rows.remove(rows.len() / 2)),
            Lie::ScansRepeat if rows.len() > 1 => rows[1] = rows[0],
            Lie::WrongOrder => rows.reverse(),
            Lie::StartExclusive if rows.first().is_some_and(|row| row.0 == start) => drop(rows.remove(0)),
            _ => {}
        }
        if !self.lies(Lie::IgnoresLimit) {
            rows.truncate(limit);
        }
        if self.lies(Lie::ClearsSink) {
            sink.clear();
        }
        for (key, value) in &rows {
            sink.push(key, value);
        }
        Ok(rows.len() + usize::from(self.lies(Lie::WrongCount)))
    }

    fn commit(&mut self) -> Result<Committed, TargetError> {
        let wrote = !self.wrote.is_empty();
        if wrote && self.target.loses() {
            self.inner.rollback();
            self.ended();
            return Ok(Committed::default());
        }
        let committed = self.inner.commit();
        let mut committed = self.told(committed)?;
        self.ended();
        committed.commit_id = committed.commit_id.map(|id| match self.target.lie {
            Lie::CommitIdsRestart => self.target.next_commit(),
            Lie::CommitIdsFall => u64::MAX - id,
            _ => id,
        });
        Ok(committed)
    }

    fn rollback(&mut self) {
        if self.lies(Lie::KeepsRolledBack) && self.open.is_some() {
            // Nobody is told that it cannot be kept.
            let _ = self.inner.commit();
        }
        self.inner.rollback();
        self.ended();
    }
}

impl Drop for LiarSession<'_> {
    fn drop(&mut self) {
        if self.lies(Lie::CommitsDropped) && self.open.is_some() {
            let _ = self.inner.commit();
        }
        self.ended();
    }
}
