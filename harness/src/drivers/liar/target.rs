//! The open database of a liar.

use std::sync::atomic::{AtomicU64, Ordering};

use workloads::driver::{Capabilities, EffectiveSettings, Session, Target, TargetError, TargetStats};

use super::session::LiarSession;
use super::{Lie, Memory};

/// Every how many commits one gets lost.
const PERIOD: u64 = 50;

pub(super) struct LiarTarget {
    pub(super) inner: Box<dyn Target>,
    pub(super) capabilities: Capabilities,
    pub(super) lie: Lie,
    /// Writes that have not been committed, for dirty reads.
    pub(super) uncommitted: Memory,
    /// What rows held before their last change.
    pub(super) previous: Memory,
    writers: AtomicU64,
    commits: AtomicU64,
    turns: AtomicU64,
}

impl LiarTarget {
    pub(super) fn new(inner: Box<dyn Target>, capabilities: Capabilities, lie: Lie) -> Self {
        LiarTarget {
            inner,
            capabilities,
            lie,
            uncommitted: Memory::default(),
            previous: Memory::default(),
            writers: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            turns: AtomicU64::new(0),
        }
    }

    /// Whether the commit that comes now is one that gets lost.
    pub(super) fn loses(&self) -> bool {
        self.lie == Lie::Lossy && (self.writers.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(PERIOD)
    }

    /// A number of its own for the commit that comes now, from 1.
    pub(super) fn next_commit(&self) -> u64 {
        self.commits.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// True one time in three.
    pub(super) fn third_time(&self) -> bool {
        self.turns.fetch_add(1, Ordering::Relaxed) % 3 == 2
    }
}

impl Target for LiarTarget {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn session(&self) -> Result<Box<dyn Session + '_>, TargetError> {
        Ok(Box::new(LiarSession::new(self)?))
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
        let mut stats = self.inner.stats();
        match self.lie {
            Lie::CountsFall => stats.commits = stats.commits.map(|commits| u64::MAX - commits),
            Lie::ZeroForUnknown => {
                stats.flushes = Some(0);
                stats.bytes_written = Some(0);
            }
            _ => {}
        }
        stats
    }

    fn verify(&self) -> Result<(), TargetError> {
        self.inner.verify()
    }
}
