//! Models of group commit: `engine/src/txn/group.rs`.
//!
//! Threads commit as `TransactionManager::commit` has them do: apply and queue it under the applier, wait, and look
//! whether somebody has to be given the lead. In every execution each of them has to come to an end (a deadlock is seen by
//! loom), with what it was promised: visible, durable if it asked for that, and nothing visible that a crash could take
//! away. The registry's sequentially consistent accesses count as no more than acquiring and releasing ones.

use std::sync::Arc;

use super::group::{GroupCommit, Pending, Wait, Waiter};
use crate::check::{Explored, Sometimes, explore};
use crate::error::Result;
use crate::ids::{CommitId, LogPosition};
use crate::mvcc::SnapshotRegistry;
use crate::sync::Mutex;
use crate::sync::Sequential::Unfenced;
use crate::sync::thread::spawn;
use crate::wal::Wal;

/// A commit that a model makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    /// To be visible and durable.
    Sync,
    /// To be visible.
    NoSync,
}
use Asks::{NoSync, Sync};

struct Request {
    asks: Asks,
    waiter: Arc<Waiter>,
}

#[derive(Debug, Default)]
struct Applier {
    last: CommitId,
}

struct Manager {
    group: GroupCommit,
    wal: Wal,
    registry: SnapshotRegistry,
    applier: Mutex<Applier>,
    queue: Mutex<Vec<Request>>,
    /// Where the commits end that are to be visible only when they are durable. No part of the model.
    synced: std::sync::Mutex<Vec<(CommitId, LogPosition)>>,
    together: Sometimes,
    failed: Sometimes,
}

/// What was met in some execution.
#[derive(Clone, Default)]
struct Met {
    together: Sometimes,
    failed: Sometimes,
}

impl Manager {
    fn new(fails_at: u64, met: &Met) -> Arc<Self> {
        Arc::new(Self {
            group: GroupCommit::default(),
            wal: Wal::new(fails_at),
            registry: SnapshotRegistry::new(CommitId(0)),
            applier: Mutex::default(),
            queue: Mutex::default(),
            synced: std::sync::Mutex::default(),
            together: met.together.clone(),
            failed: met.failed.clone(),
        })
    }

    fn synced(&self) -> std::sync::MutexGuard<'_, Vec<(CommitId, LogPosition)>> {
        self.synced.lock().expect("nobody panics with it")
    }

    /// Applies a commit and queues it; whether it is visible.
    fn apply(&self, applier: &mut Applier, asks: Asks, waiter: Arc<Waiter>) -> Result<(CommitId, bool)> {
        let commit = applier.last.next();
        applier.last = commit;
        let end = self.wal.append();
        // One that a flush has covered by now is queued all the same.
        let must_be_durable = asks == Sync;
        if must_be_durable {
            self.synced().push((commit, end));
        }
        let pending = Pending {
            commit,
            end,
            must_be_durable,
            waiter: Some(waiter),
        };
        Ok((commit, self.group.announce(pending, &self.wal, &self.registry)?))
    }

    /// Commits, applying it in this thread.
    fn commit(&self, asks: Asks) {
        let waiter = Waiter::new();
        let applied = self.apply(&mut self.applier.lock(), asks, Arc::clone(&waiter));
        let outcome = match applied {
            Ok((commit, true)) => Ok(commit),
            Ok((_, false)) => self.wait(&waiter),
            Err(error) => Err(error),
        };
        self.judge(asks, &outcome);
        self.group.ensure_leader();
    }

    /// Commits by way of the queue: who gets the applier applies what is there.
    fn commit_through_queue(&self, asks: Asks) {
        let waiter = Waiter::new();
        self.queue.lock().push(Request {
            asks,
            waiter: Arc::clone(&waiter),
        });
        self.serve();
        let outcome = self.wait(&waiter);
        self.judge(asks, &outcome);
    }

    fn serve(&self) {
        let mut applier = self.applier.lock();
        let requests = std::mem::take(&mut *self.queue.lock());
        for Request { asks, waiter } in requests {
            if let Err(error) = self.apply(&mut applier, asks, Arc::clone(&waiter)) {
                let led = waiter.finish(Err(error));
                assert!(!led, "the lead of a commit that was not queued");
            }
        }
        drop(applier);
        self.group.ensure_leader();
    }

    fn wait(&self, waiter: &Waiter) -> Result<CommitId> {
        loop {
            if let Wait::Done(outcome) = self.group.wait(waiter, &self.wal, &self.registry) {
                return outcome;
            }
        }
    }

    /// As `TransactionManager::flush`: by somebody who has nothing queued.
    fn flush(&self) {
        match self.wal.flush() {
            Ok(durable) => self.group.settle(durable, &self.registry),
            Err(error) => self.group.fail(&error, &self.wal, &self.registry),
        }
    }

    fn judge(&self, asks: Asks, outcome: &Result<CommitId>) {
        let visible = self.registry.visible();
        let durable = self.wal.durable();
        let synced = self.synced().clone();
        let end_of = |asked: CommitId| synced.iter().find(|&&(commit, _)| commit == asked);
        let is_durable = |&(_, end): &(CommitId, LogPosition)| end <= durable;
        let is_kept = match outcome {
            Ok(commit) => visible >= *commit && (asks == NoSync || end_of(*commit).is_some_and(is_durable)),
            Err(_) => self.wal.poisoned().is_some(),
        };
        let mut shown = synced.iter().filter(|&&(commit, _)| commit <= visible);
        let is_safe = shown.all(is_durable);
        self.failed.mark_if(outcome.is_err());
        assert!(
            is_kept,
            "{outcome:?} for {asks:?}, and {visible} is visible, {durable} durable"
        );
        assert!(
            is_safe,
            "commit {visible} is visible, and only {durable} is durable"
        );
    }

    /// All threads have ended.
    fn end(&self) {
        let last = self.applier.lock().last;
        let (visible, durable) = (self.registry.visible(), self.wal.durable());
        assert!(
            visible == last || self.wal.poisoned().is_some(),
            "{visible} of {last}"
        );
        for &(commit, end) in &*self.synced() {
            assert!(
                commit > visible || end <= durable,
                "{commit} is visible and not durable"
            );
        }
        assert!(self.group.visible_end() <= LogPosition(last.0));
        let flushes = self.wal.flushes();
        let groups = self.group.group_sizes.counts();
        self.together
            .mark_if(groups.iter().any(|&(largest, _)| largest > 1));
        assert!(flushes <= 2 * last.0 + 1, "{flushes} flushes for {last} commits");
    }
}

type Way = fn(&Manager, Asks);

/// One thread for each commit; the first is the model's own. It flushes afterwards if `flushes`: somebody who does not wait.
fn committing<const N: usize>(
    way: Way,
    commits: [Asks; N],
    fails_at: u64,
    flushes: bool,
    bound: Option<usize>,
) -> (Explored, Met) {
    let met = Met::default();
    let meeting = met.clone();
    let explored = explore(bound, Unfenced, move || {
        let manager = Manager::new(fails_at, &meeting);
        let others: Vec<_> = (1..N)
            .map(|number| {
                let manager = Arc::clone(&manager);
                spawn(number, move || way(&manager, commits[number]))
            })
            .collect();
        way(&manager, commits[0]);
        if flushes {
            manager.flush();
        }
        for other in others {
            other.join().expect("a thread that ends");
        }
        manager.end();
    });
    (explored, met)
}

/// A commit, while somebody flushes who has none; that flush fails, or none.
fn beside_a_flush(fails_at: u64, bound: Option<usize>) -> Explored {
    let met = Met::default();
    let meeting = met.clone();
    let explored = explore(bound, Unfenced, move || {
        let manager = Manager::new(fails_at, &meeting);
        let other = spawn(1, {
            let manager = Arc::clone(&manager);
            move || manager.commit(Sync)
        });
        manager.flush();
        other.join().expect("a thread that ends");
        manager.end();
    });
    if fails_at > 0 {
        met.failed.expect("a commit failed");
    }
    explored
}

/// One commit: its thread leads, and another flushes without leading.
#[must_use]
pub fn a_commit_and_a_flush() -> Explored {
    beside_a_flush(0, None)
}

/// The same, and the first flush fails.
#[must_use]
pub fn a_commit_and_a_flush_of_which_one_fails() -> Explored {
    beside_a_flush(1, Some(5))
}

/// Two commits that need not be durable.
#[must_use]
pub fn two_unsynchronised_commits() -> Explored {
    committing(Manager::commit, [NoSync, NoSync], 0, false, None).0
}

/// Two commits that are to be durable.
#[must_use]
pub fn two_commits() -> Explored {
    let (explored, met) = committing(Manager::commit, [Sync, Sync], 0, false, Some(4));
    met.together.expect("one flush made both durable");
    explored
}

/// One that is to be durable, and one that is not.
#[must_use]
pub fn a_commit_and_an_unsynchronised_one() -> Explored {
    committing(Manager::commit, [Sync, NoSync], 0, false, Some(4)).0
}

/// The first flush fails.
#[must_use]
pub fn a_flush_fails_for_two() -> Explored {
    let (explored, met) = committing(Manager::commit, [Sync, Sync], 1, false, Some(4));
    met.failed.expect("a commit failed");
    explored
}

/// The first flush fails, for one commit that asked to be durable and one that did not.
#[must_use]
pub fn a_flush_fails_for_two_unlike() -> Explored {
    let (explored, met) = committing(Manager::commit, [Sync, NoSync], 1, false, Some(4));
    met.failed.expect("a commit failed");
    explored
}

/// Two commits by way of the queue: one thread may apply both, and the other then finds itself queued.
#[must_use]
pub fn two_commits_through_the_queue() -> Explored {
    committing(Manager::commit_through_queue, [Sync, Sync], 0, false, Some(3)).0
}

/// Three commits.
#[must_use]
pub fn three_commits() -> Explored {
    let (explored, met) = committing(Manager::commit, [Sync, Sync, Sync], 0, false, Some(2));
    met.together.expect("one flush made several durable");
    explored
}

/// Three commits, of which one is not to be durable.
#[must_use]
pub fn three_commits_unlike() -> Explored {
    committing(Manager::commit, [Sync, NoSync, Sync], 0, false, Some(2)).0
}

/// The second flush fails.
#[must_use]
pub fn a_flush_fails_for_three() -> Explored {
    let (explored, met) = committing(Manager::commit, [Sync, Sync, NoSync], 2, false, Some(2));
    met.failed.expect("a commit failed");
    explored
}

/// Three commits, and a flush by somebody who leads nobody: it may cover the one that has just been given the lead.
#[must_use]
pub fn three_commits_and_a_flush() -> Explored {
    committing(Manager::commit, [Sync, Sync, Sync], 0, true, Some(2)).0
}
