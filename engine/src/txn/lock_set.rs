//! The row locks of one transaction.

use hashbrown::HashSet;
use smallvec::SmallVec;

use crate::lock::RowLockKey;
use crate::sync::RandomState;

/// Up to this many locks are searched one by one.
const SMALL: usize = 16;
/// Bytes counted for each lock.
const LOCK_BYTES: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct LockSet {
    small: SmallVec<[RowLockKey; SMALL]>,
    large: HashSet<RowLockKey, RandomState>,
}

impl LockSet {
    pub(crate) fn contains(&self, key: RowLockKey) -> bool {
        self.small.contains(&key) || !self.large.is_empty() && self.large.contains(&key)
    }

    pub(crate) fn insert(&mut self, key: RowLockKey) {
        if self.small.len() < SMALL {
            self.small.push(key);
        } else {
            self.large.insert(key);
        }
    }

    /// Bytes that the locks take, in the lock table too.
    pub(crate) fn bytes(&self) -> usize {
        (self.small.len() + self.large.len()) * LOCK_BYTES
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = RowLockKey> {
        self.small.drain(..).chain(self.large.drain())
    }
}
