//! The queue of those who found the applier taken, and who serves it.
//!
//! The holder of the applier applies what is queued as well as its own (flat combining), and after letting go looks at the
//! queue once more: whoever queued while it held the applier relies on that. After many commits of others it asks the first
//! of those who wait to go on in its place, so nobody serves the others for ever.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Durability;
use super::apply::Applier;
use super::group::{Wait, Waiter};
use super::manager::{TransactionManager, Work};
use super::panics::PANICKED;
use crate::error::Result;
use crate::ids::CommitId;
use crate::injected::{self, Bug};
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{MutexGuard, hint};

/// Commits of others that one holder of the applier applies at most.
const APPLIED_AT_ONCE: usize = 64;
/// Commits between two collections of old versions.
const COLLECT_EVERY: usize = 32;
/// Or more, if there are many slots of snapshots, all of which a collection looks at: so many for each commit.
const SLOTS_FOR_A_COMMIT: usize = 16;

/// A transaction in the queue.
#[derive(Debug)]
pub(super) struct Request {
    work: Work,
    durability: Durability,
    waiter: Arc<Waiter>,
}

impl TransactionManager {
    pub(super) fn commit_through_queue(&self, work: Work, durability: Durability) -> Result<CommitId> {
        let waiter = self.enqueue(work, durability);
        // Whoever holds the applier looks at the queue once more after letting go, so from here on the request
        // will be applied; taking the applier is only a chance to be quicker.
        let patience = if durability == Durability::Sync { 20 } else { 400 };
        for spin in 0..patience {
            if let Some(outcome) = waiter.outcome() {
                return outcome;
            }
            if spin % 16 == 0
                && let Some(applier) = self.applier.try_lock()
            {
                self.serve(applier);
                break;
            }
            hint::spin_loop();
        }
        let result = loop {
            match self.group.wait(&waiter, &self.wal, &self.registry) {
                Wait::Done(outcome) => break outcome,
                Wait::Asked => self.serve(self.applier.lock()),
            }
        };
        self.relieve();
        result
    }

    fn enqueue(&self, work: Work, durability: Durability) -> Arc<Waiter> {
        let waiter = Waiter::new();
        self.queue.lock().push_back(Request {
            work,
            durability,
            waiter: Arc::clone(&waiter),
        });
        waiter
    }

    /// Applies what is queued, for a thread that waits there itself.
    fn serve<'s>(&'s self, mut applier: MutexGuard<'s, Applier>) {
        let finished = self.apply_queue(&mut applier);
        self.end_apply(applier, finished);
        // Its own commit may have been done before those that it applied were queued.
        self.group.ensure_leader();
    }

    /// Applies what is in the queue, up to a number, and returns the works whose locks are to be released.
    pub(super) fn apply_queue(&self, applier: &mut Applier) -> Vec<Work> {
        let mut finished = Vec::new();
        while finished.len() < APPLIED_AT_ONCE {
            let requests = {
                let mut queue = self.queue.lock();
                let count = queue.len().min(APPLIED_AT_ONCE - finished.len());
                queue.drain(..count).collect()
            };
            let mut batch = Batch {
                manager: self,
                requests,
            };
            if batch.requests.is_empty() {
                break;
            }
            while let Some(request) = batch.requests.front() {
                crate::reach::mark(crate::reach::Mechanism::CommitQueued);
                crate::work::done(crate::work::Kind::Queued, 1);
                let waiter = Some(Arc::clone(&request.waiter));
                let applied = self.apply(applier, &request.work, request.durability, waiter);
                let Some(Request { work, waiter, .. }) = batch.requests.pop_front() else {
                    break;
                };
                if let Err(error) = applied {
                    let led = waiter.finish(Err(error));
                    debug_assert!(!led, "a commit that was not queued has not been given the lead");
                }
                finished.push(work);
            }
        }
        finished
    }

    /// Lets go of the applier and does what need not be done under it; sees to what was queued meanwhile, or has one of
    /// those do it who wait there: nobody serves the others for ever.
    pub(super) fn end_apply<'s>(&'s self, mut applier: MutexGuard<'s, Applier>, mut finished: Vec<Work>) {
        let mut served = 0;
        loop {
            served += finished.len();
            applier.since_collect += finished.len();
            let commits = self.registry.slots() / SLOTS_FOR_A_COMMIT;
            let due = commits.max(COLLECT_EVERY);
            if applier.since_collect >= due {
                if self.collect_versions(&mut applier, CommitId(u64::MAX)) {
                    // The rest after the next commits.
                    applier.since_collect = due - commits;
                }
                if self.is_tended_by_committers && self.has_due_pages(&applier) {
                    self.wants_tending.store(true, Relaxed);
                }
            }
            drop(applier);
            for work in finished.drain(..) {
                self.release(work);
            }
            let next = self.queue.lock().front().map(|first| Arc::clone(&first.waiter));
            let Some(next) = next.filter(|_| !injected::makes(Bug::QueueNotLookedAtAgain)) else {
                return;
            };
            if served >= APPLIED_AT_ONCE {
                next.ask_to_apply();
                return;
            }
            let Some(again) = self.applier.try_lock() else {
                return;
            };
            applier = again;
            finished = self.apply_queue(&mut applier);
        }
    }

    /// Ends requests that will not be applied, because a panic has stopped the database.
    pub(super) fn refuse(&self, requests: VecDeque<Request>) {
        for Request { work, waiter, .. } in requests {
            // What is queued ends with the queue.
            if !waiter.is_queued() && !waiter.is_done() {
                let _ = waiter.finish(Err(self.poison.set(PANICKED)));
            }
            self.release(work);
        }
    }
}

/// What was taken from the queue. If applying it panics, the rest is refused: nobody else knows of it any more.
#[derive(Debug)]
struct Batch<'m> {
    manager: &'m TransactionManager,
    requests: VecDeque<Request>,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.manager.refuse(std::mem::take(&mut self.requests));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Options;
    use crate::vfs::MemoryVfs;

    #[test]
    fn a_queue_longer_than_what_one_thread_applies_is_emptied_by_those_who_wait_in_it() {
        const COMMITTERS: u64 = 3 * APPLIED_AT_ONCE as u64;
        let options = Options::new().vfs(Arc::new(MemoryVfs::default()));
        let opened = crate::opening::open("/t.db".as_ref(), &options).expect("opens");
        let manager = &opened.manager;
        let (send, done) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let paused = manager.pause();
            for number in 0..COMMITTERS {
                let send = send.clone();
                scope.spawn(move || {
                    let name = format!("t{number}");
                    let created = Arc::default();
                    let durability = match number % 2 {
                        0 => Durability::Sync,
                        _ => Durability::NoSync,
                    };
                    let commit = manager.commit(Work::CreateTable { name, created }, durability);
                    send.send(commit.expect("a commit")).expect("somebody listens");
                });
            }
            while manager.queue.lock().len() < COMMITTERS as usize {
                std::thread::yield_now();
            }
            let before = manager.applied();
            drop(paused);
            let mut commits = Vec::new();
            while commits.len() < COMMITTERS as usize {
                let commit = done.recv_timeout(Duration::from_secs(120));
                // Nobody comes any more: those who wait are let go, so that the test ends.
                commits.push(
                    commit
                        .inspect_err(|_| manager.abandon())
                        .expect("a commit in two minutes"),
                );
            }
            commits.sort_unstable();
            commits.dedup();
            assert_eq!(commits.len() as u64, COMMITTERS);
            assert_eq!(manager.applied(), CommitId(before.0 + COMMITTERS));
        });
    }
}
