//! How transactions end: committed, rolled back, or run to their end by a closure.

use engine::{Durability, Error, IsolationLevel, Transaction, TxOptions};
use rand::RngExt;

use super::keys;
use super::oracle::{Own, TableNo};
use super::rules::{DROPPED_TABLES_ARE_TYPED, says_dropped};
use super::transactions::Tx;
use super::world::World;

impl<'env> World<'_, 'env> {
    pub(super) fn release_locks(&mut self, number: u64) {
        self.locks.retain(|_, owner| *owner != number);
    }

    pub(super) fn roll_back(&mut self, tx: Tx<'env>) {
        self.note(format!("{} rolls back", tx.number));
        self.release_locks(tx.number);
        if self.rng.random() {
            tx.tx.rollback()
        } else {
            drop(tx)
        }
    }

    pub(super) fn commit(&mut self, tx: Tx<'env>) {
        self.note(format!("{} commits", tx.number));
        self.release_locks(tx.number);
        let is_there = |table: &TableNo| self.oracle.visible.tables.contains_key(table);
        let has_writes = tx.own.values().any(|writes| !writes.is_empty());
        let is_lost = tx
            .own
            .iter()
            .any(|(table, writes)| !writes.is_empty() && !is_there(table));
        let took_back = tx.touches_dropped(&self.oracle.visible);
        let next = if is_lost { None } else { self.oracle.with(&tx.own) };
        let before = self.db.snapshot().commit_id();
        match tx.tx.commit() {
            Ok(_) if is_lost => panic!("committed changes of a dropped table"),
            Ok(commit) => match next {
                Some((state, changed)) => {
                    if !self.plan.background {
                        assert_eq!(commit, before.next(), "commit IDs are dense");
                    }
                    self.commits += 1;
                    self.oracle.apply(state, changed);
                    self.oracle.show(commit);
                    if tx.durability == Durability::Sync {
                        self.oracle.synced();
                    }
                }
                None => assert!(commit <= self.db.snapshot().commit_id()),
            },
            Err(error) => {
                let may_fail = is_lost || !DROPPED_TABLES_ARE_TYPED && has_writes && took_back;
                assert!(may_fail && says_dropped(&error), "{error:?}");
                self.reached.commits_into_dropped_tables += 1;
            }
        }
    }

    /// A whole transaction by [`engine::Database::write`], on rows that nobody has locked.
    pub(super) fn write_by_closure(&mut self) {
        let handle = self.handle().filter(|handle| handle.dropped.is_none());
        let keys: Vec<_> = (0..4).map(|_| self.key()).collect();
        let Some(handle) =
            handle.filter(|h| keys.iter().all(|k| !self.locks.contains_key(&(h.no, k.clone()))))
        else {
            return;
        };
        self.note(format!(
            "a closure changes {} rows of {}",
            keys.len(),
            handle.name
        ));
        let values: Vec<_> = keys.iter().map(|_| keys::value(&mut self.rng, 1000)).collect();
        let (gives_up, is_unlucky, is_default) = (self.chance(5), self.chance(5), self.rng.random::<bool>());
        let rows = self
            .oracle
            .visible
            .tables
            .get(&handle.no)
            .cloned()
            .unwrap_or_default();
        let winner = self.db.snapshot().commit_id();
        let mut attempts = 0;
        let work = |tx: &mut Transaction<'_>| {
            attempts += 1;
            let existed = tx.delete(handle.table, &keys[0])?;
            assert_eq!(existed, rows.contains_key(&keys[0]));
            for (key, value) in keys.iter().zip(&values).skip(1) {
                tx.put(handle.table, key, value)?;
            }
            assert!(tx.get(handle.table, &keys[1])?.is_some());
            match attempts {
                // Not `Busy`: the databases here wait for nobody, so that would be final.
                1 if is_unlucky => Err(Error::WriteConflict { winner }),
                _ if gives_up => Err(Error::NoSuchTable {
                    name: "the closure's own error".into(),
                }),
                attempts => Ok(attempts),
            }
        };
        let answer = if is_default {
            self.db.write(work)
        } else {
            let options = TxOptions::new()
                .isolation(IsolationLevel::Snapshot)
                .durability(Durability::NoSync);
            self.db.write_with(options, work)
        };
        match answer {
            Err(Error::NoSuchTable { .. }) if gives_up => {}
            Err(Error::TransactionTooLarge { .. }) if self.plan.transaction_max.is_some() => {}
            Ok(attempts) => {
                assert!(!gives_up && attempts == 1 + i32::from(is_unlucky));
                let mut own = Own::new();
                let writes = own.entry(handle.no).or_default();
                if rows.contains_key(&keys[0]) {
                    writes.insert(keys[0].clone(), None);
                }
                writes.extend(
                    keys.iter()
                        .zip(&values)
                        .skip(1)
                        .map(|(k, v)| (k.clone(), Some(v.clone()))),
                );
                let (state, changed) = self.oracle.with(&own).expect("a put is a change");
                self.commits += 1;
                self.oracle.apply(state, changed);
                self.oracle.show(self.db.snapshot().commit_id());
                if is_default {
                    self.oracle.synced();
                }
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}
