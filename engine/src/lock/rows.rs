//! Exclusive row locks with first-in first-out queues.
//!
//! A lock is named by a 64-bit hash of table and key, so taking one copies no key. Two rows whose hashes collide
//! share a lock: they wait for each other needlessly once in 2^64 pairs, and nothing else. A freed lock is handed to
//! the first waiter, not put up for grabs, so nobody starves.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::ids::TableId;
use crate::sync::{Condvar, Instant, Mutex, RandomState};
use crate::work::{Kind, done};

const SHARDS: usize = 64;
/// Room for so many locks stays in each shard.
const KEPT_ROOM: usize = 256;

/// The name of a row's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RowLockKey(u64);

#[derive(Debug)]
struct Waiter {
    transaction: u64,
    granted: Mutex<bool>,
    wake: Condvar,
}

#[derive(Debug)]
struct Held {
    owner: u64,
    waiters: VecDeque<Arc<Waiter>>,
}

type Shard = CachePadded<Mutex<HashMap<RowLockKey, Held, RandomState>>>;

#[derive(Debug)]
pub(crate) struct RowLocks {
    shards: Box<[Shard]>,
    hasher: RandomState,
}

impl RowLocks {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| CachePadded::new(Mutex::default())).collect(),
            hasher: RandomState::default(),
        }
    }

    #[inline]
    pub(crate) fn key(&self, table: TableId, key: &[u8]) -> RowLockKey {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(table.0);
        hasher.write(key);
        RowLockKey(hasher.finish())
    }

    fn shard(&self, key: RowLockKey) -> &Shard {
        &self.shards[(key.0 >> 32) as usize % SHARDS]
    }

    /// Takes the lock for a transaction that does not hold it, waiting up to `timeout`. Returns how long it has waited,
    /// `None` if the lock was free at once; as an error if it never became free.
    pub(crate) fn acquire(
        &self,
        transaction: u64,
        key: RowLockKey,
        timeout: Duration,
    ) -> Result<Option<Duration>, Duration> {
        done(Kind::Locks, 1);
        let waiter = {
            let mut shard = self.shard(key).lock();
            match shard.entry(key) {
                Entry::Vacant(vacant) => {
                    vacant.insert(Held {
                        owner: transaction,
                        waiters: VecDeque::new(),
                    });
                    return Ok(None);
                }
                Entry::Occupied(mut occupied) => {
                    let held = occupied.get_mut();
                    debug_assert_ne!(
                        held.owner, transaction,
                        "a transaction does not take a lock twice"
                    );
                    if timeout.is_zero() {
                        return Err(Duration::ZERO);
                    }
                    let waiter = Arc::new(Waiter {
                        transaction,
                        granted: Mutex::new(false),
                        wake: Condvar::new(),
                    });
                    held.waiters.push_back(Arc::clone(&waiter));
                    waiter
                }
            }
        };
        let start = Instant::now();
        let mut granted = waiter.granted.lock();
        while !*granted {
            let Some(left) = timeout.checked_sub(start.elapsed()) else {
                break;
            };
            waiter.wake.wait_for(&mut granted, left);
        }
        if *granted {
            return Ok(Some(start.elapsed()));
        }
        drop(granted);
        // Out of the queue, unless the lock was handed over just now.
        let mut shard = self.shard(key).lock();
        if *waiter.granted.lock() {
            return Ok(Some(start.elapsed()));
        }
        if let Some(held) = shard.get_mut(&key) {
            done(Kind::Locks, held.waiters.len());
            held.waiters.retain(|w| !Arc::ptr_eq(w, &waiter));
        }
        Err(start.elapsed())
    }

    /// Gives locks back; each goes to its first waiter.
    pub(crate) fn release(&self, transaction: u64, keys: impl IntoIterator<Item = RowLockKey>) {
        for key in keys {
            done(Kind::Locks, 1);
            let mut shard = self.shard(key).lock();
            let Entry::Occupied(mut occupied) = shard.entry(key) else {
                debug_assert!(false, "released a lock that nobody holds");
                continue;
            };
            let held = occupied.get_mut();
            debug_assert_eq!(held.owner, transaction, "released a lock of another transaction");
            match held.waiters.pop_front() {
                Some(waiter) => {
                    held.owner = waiter.transaction;
                    *waiter.granted.lock() = true;
                    waiter.wake.notify_one();
                }
                None => {
                    occupied.remove();
                    if shard.capacity() > KEPT_ROOM && shard.len() < shard.capacity() / 8 {
                        let rest = 2 * shard.len();
                        shard.shrink_to(rest);
                    }
                }
            }
        }
    }

    /// Locks held now.
    pub(crate) fn held(&self) -> usize {
        self.shards.iter().map(|s| s.lock().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    #[test]
    fn a_held_lock_times_out_and_a_freed_one_is_handed_to_the_first_waiter() {
        let locks = RowLocks::new();
        let key = locks.key(TableId(1), b"row");
        assert_ne!(key, locks.key(TableId(2), b"row"));
        assert_eq!(locks.acquire(1, key, Duration::ZERO), Ok(None));
        assert!(locks.acquire(2, key, Duration::ZERO).is_err());
        let waited = locks.acquire(2, key, Duration::from_millis(5)).unwrap_err();
        assert!(waited >= Duration::from_millis(5));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| locks.acquire(3, key, Duration::from_secs(60)));
            while locks.shard(key).lock()[&key].waiters.is_empty() {
                std::thread::yield_now();
            }
            locks.release(1, [key]);
            assert!(waiting.join().unwrap().unwrap().is_some());
        });
        assert!(
            locks.acquire(4, key, Duration::ZERO).is_err(),
            "transaction 3 holds it now"
        );
        locks.release(3, [key]);
        assert_eq!(locks.held(), 0);
    }

    #[test]
    fn locks_exclude_under_contention_and_timeouts() {
        let locks = RowLocks::new();
        let inside = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let (locks, inside) = (&locks, &inside);
                scope.spawn(move || {
                    for round in 0..2000u64 {
                        let key = locks.key(TableId(1), &[(round % 3) as u8]);
                        let timeout = Duration::from_micros(if round % 5 == 0 { 10 } else { 1_000_000 });
                        if locks.acquire(thread + 1, key, timeout).is_ok() {
                            let shift = (round % 3) * 8;
                            let before = inside.fetch_add(1 << shift, SeqCst);
                            assert_eq!((before >> shift) & 0xFF, 0, "two holders");
                            inside.fetch_sub(1 << shift, SeqCst);
                            locks.release(thread + 1, [key]);
                        }
                    }
                });
            }
        });
        assert_eq!(locks.held(), 0);
    }
}
