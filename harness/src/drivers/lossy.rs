//! An injected bug: an engine that acknowledges some commits and drops them.
//!
//! It proves that verification fails when it should. It exists only in builds with debug assertions, is left out of
//! every listing, and wraps a real adapter: every `period`-th commit that wrote something is rolled back instead,
//! and its caller is told that it committed.

use std::sync::atomic::{AtomicU64, Ordering};

use workloads::driver::{
    Capabilities, Committed, Direction, EffectiveSettings, OpenOptions, RowBuffer, Session, TableRef, Target,
    TargetError, TargetFactory, TargetStats, TxOptions,
};

/// Wraps another factory.
pub(crate) struct LossyFactory {
    inner: Box<dyn TargetFactory>,
    capabilities: Capabilities,
    period: u64,
}

impl LossyFactory {
    /// An engine named like `inner` with `-lossy` after it, that drops every `period`-th writing commit.
    pub(crate) fn new(inner: Box<dyn TargetFactory>, period: u64) -> Self {
        let mut capabilities = inner.capabilities().clone();
        capabilities.name.push_str("-lossy");
        Self {
            inner,
            capabilities,
            period,
        }
    }
}

impl TargetFactory for LossyFactory {
    fn name(&self) -> &str {
        &self.capabilities.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn open(&self, options: &OpenOptions) -> Result<Box<dyn Target>, TargetError> {
        Ok(Box::new(LossyTarget {
            inner: self.inner.open(options)?,
            capabilities: self.capabilities.clone(),
            writers: AtomicU64::new(0),
            period: self.period,
        }))
    }
}

struct LossyTarget {
    inner: Box<dyn Target>,
    capabilities: Capabilities,
    writers: AtomicU64,
    period: u64,
}

impl Target for LossyTarget {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn session(&self) -> Result<Box<dyn Session + '_>, TargetError> {
        Ok(Box::new(LossySession {
            target: self,
            inner: self.inner.session()?,
            wrote: false,
        }))
    }

    fn sync(&self) -> Result<(), TargetError> {
        self.inner.sync()
    }

    fn checkpoint(&self) -> Result<(), TargetError> {
        self.inner.checkpoint()
    }

    fn settings(&self) -> EffectiveSettings {
        self.inner.settings()
    }

    fn stats(&self) -> TargetStats {
        self.inner.stats()
    }

    fn verify(&self) -> Result<(), TargetError> {
        self.inner.verify()
    }
}

struct LossySession<'t> {
    target: &'t LossyTarget,
    inner: Box<dyn Session + 't>,
    wrote: bool,
}

impl Session for LossySession<'_> {
    fn begin(&mut self, options: &TxOptions) -> Result<(), TargetError> {
        self.wrote = false;
        self.inner.begin(options)
    }

    fn get(&mut self, table: TableRef, key: &[u8], out: &mut Vec<u8>) -> Result<bool, TargetError> {
        self.inner.get(table, key, out)
    }

    fn get_for_update(
        &mut self,
        table: TableRef,
        key: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, TargetError> {
        self.inner.get_for_update(table, key, out)
    }

    fn put(&mut self, table: TableRef, key: &[u8], value: &[u8]) -> Result<(), TargetError> {
        self.wrote = true;
        self.inner.put(table, key, value)
    }

    fn delete(&mut self, table: TableRef, key: &[u8]) -> Result<bool, TargetError> {
        self.wrote = true;
        self.inner.delete(table, key)
    }

    fn scan(
        &mut self,
        table: TableRef,
        start: &[u8],
        limit: usize,
        direction: Direction,
        sink: &mut RowBuffer,
    ) -> Result<usize, TargetError> {
        self.inner.scan(table, start, limit, direction, sink)
    }

    fn commit(&mut self) -> Result<Committed, TargetError> {
        if self.wrote
            && (self.target.writers.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.target.period)
        {
            self.inner.rollback();
            return Ok(Committed::default());
        }
        self.inner.commit()
    }

    fn rollback(&mut self) {
        self.inner.rollback();
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryFactory;
    use super::*;
    use workloads::driver::{Durability, Isolation};

    #[test]
    fn every_third_commit_is_acknowledged_and_lost() {
        let factory = LossyFactory::new(Box::new(MemoryFactory::new()), 3);
        assert_eq!(factory.name(), "memory-lossy");
        let target = factory.open(&OpenOptions::create("unused", ["t"])).unwrap();
        let mut session = target.session().unwrap();
        let options = TxOptions::read_write(Isolation::ReadCommitted, Durability::InMemory);
        for key in 1..=6_u8 {
            session.begin(&options).unwrap();
            session.put(TableRef(0), &[key], b"v").unwrap();
            session.commit().unwrap();
        }
        session.begin(&options).unwrap();
        let mut rows = RowBuffer::new();
        session
            .scan(TableRef(0), b"", 10, Direction::Forward, &mut rows)
            .unwrap();
        let keys: Vec<u8> = rows.iter().map(|(key, _)| key[0]).collect();
        assert_eq!(keys, [1, 2, 4, 5]);
    }
}
