//! Commits that are applied and not visible yet, because the log behind them does not become durable.

use std::thread::ScopedJoinHandle;

use engine::{CommitId, Durability, Result};

use super::transactions::Tx;
use super::world::World;

/// Commits that wait at once.
const WAITING_MAX: usize = 3;

pub(super) struct Waiting<'scope> {
    thread: ScopedJoinHandle<'scope, Result<CommitId>>,
    durability: Durability,
}

impl<'scope, 'env: 'scope> World<'scope, 'env> {
    /// Closes the gate before the log.
    pub(super) fn wait_for_commits(&mut self) {
        if !self.waiting.is_empty() {
            return;
        }
        let candidate = |tx: &Tx<'_>| tx.durability == Durability::Sync && self.can_wait(tx);
        if let Some(at) = self.transactions.iter().position(candidate) {
            let tx = self.transactions.swap_remove(at);
            self.gate.close();
            self.commit_behind_gate(tx);
        }
    }

    /// Whether it is known what a commit will do, without waiting for it.
    fn can_wait(&self, tx: &Tx<'_>) -> bool {
        let is_known =
            self.transactions.iter().all(|other| !other.has_unknown_locks) && !tx.has_unknown_locks;
        let is_there = tx
            .own
            .iter()
            .all(|(table, writes)| writes.is_empty() || self.oracle.applied().tables.contains_key(table));
        !self.plan.background
            && is_known
            && is_there
            && !tx.touches_dropped(self.oracle.applied())
            && tx.puts_something()
    }

    /// Commits on another thread and returns when the commit has been applied. The gate is closed.
    pub(super) fn commit_behind_gate(&mut self, tx: Tx<'env>) {
        if self.waiting.len() == WAITING_MAX || !self.can_wait(&tx) {
            self.transactions.push(tx);
            return;
        }
        self.note(format!("{} commits and waits for the log", tx.number));
        self.release_locks(tx.number);
        let (state, changed) = self.oracle.with(&tx.own).expect("a put is a change");
        let durability = tx.durability;
        let thread = self.scope.spawn(move || tx.tx.commit());
        self.commits += 1;
        loop {
            let metrics = self.db.metrics();
            if metrics.commits == self.commits && metrics.row_locks == self.locks.len() as u64 {
                break;
            }
            assert!(!thread.is_finished(), "{:?}", thread.join());
            std::thread::yield_now();
        }
        self.moving.extend_from_slice(&changed);
        self.oracle.apply(state, changed);
        self.waiting.push(Waiting { thread, durability });
        self.reached.waiting_at_once = self.reached.waiting_at_once.max(self.waiting.len() as u64);
    }

    /// Lets the log become durable, and with it all that waits.
    pub(super) fn open_gate(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        self.note(format!("{} commits become durable", self.waiting.len()));
        self.gate.open();
        self.moving.clear();
        for Waiting { thread, durability } in std::mem::take(&mut self.waiting) {
            let commit = thread.join().expect("a commit does not panic").unwrap();
            self.oracle.show(commit);
            if durability == Durability::Sync {
                self.oracle.synced();
            }
        }
    }
}
