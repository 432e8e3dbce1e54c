//! From applied to visible: the commits in between, who waits for them, and who flushes.
//!
//! Applied commits are queued in commit order. A commit becomes visible when all before it are and, if it asked
//! to be durable, the log is flushed past it; so visible never passes what a crash could take from under a reader
//! (an unsynchronised commit waits only for synchronised ones before it). One waiting thread at a time leads: it
//! flushes the log for everybody, publishes, hands the lead to the first of those that arrived meanwhile, and then
//! wakes exactly those that its flush covered.
//!
//! When the log is poisoned, what is queued and is not durable fails, and nothing is queued any more: a commit
//! behind a failed one must not become visible, since all before it would with it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition};
use crate::injected::{Bug, makes};
use crate::metrics::GroupSizes;
use crate::mvcc::SnapshotRegistry;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use crate::sync::thread::Thread;
use crate::sync::{Mutex, MutexGuard, thread};
use crate::wal::Wal;
use crate::work::{Kind, done};

const WAITING: u32 = 0;
const LEAD: u32 = 1;
const DONE: u32 = 2;

/// Where a thread waits for its commit.
#[derive(Debug)]
pub(super) struct Waiter {
    state: AtomicU32,
    /// Whether the commit has been applied and is queued.
    queued: AtomicBool,
    /// Whether it is to take the applier and apply what is queued, its own commit among it or not any more.
    is_asked: AtomicBool,
    thread: Thread,
    outcome: OnceLock<Result<CommitId>>,
}

impl Waiter {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU32::new(WAITING),
            queued: AtomicBool::new(false),
            is_asked: AtomicBool::new(false),
            thread: thread::current(),
            outcome: OnceLock::new(),
        })
    }

    pub(super) fn is_done(&self) -> bool {
        self.state.load(Acquire) == DONE
    }

    /// Whether the commit has been applied and is queued, or was.
    pub(super) fn is_queued(&self) -> bool {
        self.queued.load(Acquire)
    }

    /// The commit's outcome, once it is done.
    pub(super) fn outcome(&self) -> Option<Result<CommitId>> {
        self.is_done().then(|| self.outcome.get().cloned()).flatten()
    }

    /// Tells the outcome. Returns `true` if the thread had been given the lead and not taken it up: then it goes to
    /// somebody else.
    #[must_use]
    pub(super) fn finish(&self, outcome: Result<CommitId>) -> bool {
        let _ = self.outcome.set(outcome);
        let before = self.state.swap(DONE, AcqRel);
        debug_assert_ne!(before, DONE, "a commit ends once");
        if self.thread.id() != thread::current().id() && !makes(Bug::WaiterNotWoken) {
            self.thread.unpark();
        }
        before == LEAD
    }

    /// Asks the thread to apply what is queued. It does so, unless its own commit has been applied by then: whoever did that
    /// holds the applier, or has held it, and looks at the queue after letting go.
    pub(super) fn ask_to_apply(&self) {
        self.is_asked.store(true, Release);
        self.thread.unpark();
    }

    /// Takes up the lead, if it was given.
    fn take_up_lead(&self) -> bool {
        self.state
            .compare_exchange(LEAD, WAITING, AcqRel, Relaxed)
            .is_ok()
    }
}

/// Why a thread no longer waits.
#[derive(Debug)]
pub(super) enum Wait {
    Done(Result<CommitId>),
    /// It is to apply what is queued, and to wait on.
    Asked,
}

/// An applied commit that is not visible yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) commit: CommitId,
    /// Where the commit ends in the log.
    pub(super) end: LogPosition,
    /// Whether it becomes visible only when it is durable.
    pub(super) must_be_durable: bool,
    pub(super) waiter: Option<Arc<Waiter>>,
}

impl Pending {
    fn is_settled(&self, durable: LogPosition) -> bool {
        !self.must_be_durable || self.end <= durable
    }
}

#[derive(Debug, Default)]
struct CommitQueue {
    pending: VecDeque<Pending>,
    has_leader: bool,
    /// Commits that the last flush covered: whether it pays to wait a moment for more.
    last_group: usize,
}

#[derive(Debug, Default)]
pub(super) struct GroupCommit {
    queue: Mutex<CommitQueue>,
    /// Where the newest visible commit ends in the log.
    visible_end: AtomicU64,
    pub(super) group_sizes: GroupSizes,
}

impl CommitQueue {
    /// Gives the lead to the first in the queue that waits. A commit of the engine's own has nobody waiting for it.
    fn pass_lead(&mut self) -> Option<Arc<Waiter>> {
        let is_kept = makes(Bug::LeadNotPassed);
        let next = self
            .pending
            .iter()
            .inspect(|_| done(Kind::Queued, 1))
            .find_map(|p| p.waiter.clone().filter(|_| !is_kept));
        self.has_leader = next.is_some();
        crate::reach::mark_if(next.is_some(), crate::reach::Mechanism::LeadPassed);
        if let Some(next) = &next {
            // Under the lock nobody in the queue is done yet.
            let before = next.state.swap(LEAD, AcqRel);
            debug_assert_eq!(before, WAITING);
        }
        next
    }
}

impl GroupCommit {
    /// Queues an applied commit. The caller holds the applier, so they come in commit order. Returns `true` if
    /// the commit is visible at once.
    ///
    /// # Errors
    /// [`Error::Poisoned`]: the commit is not queued, and its waiter knows nothing of it.
    pub(super) fn announce(&self, pending: Pending, wal: &Wal, registry: &SnapshotRegistry) -> Result<bool> {
        let mut queue = self.queue.lock();
        if makes(Bug::VisibleBeforeDurable) {
            registry.publish(pending.commit);
        }
        // The queue is emptied after the log has been poisoned: who finds it emptied finds that out here.
        if let Some(error) = wal.poisoned() {
            return Err(error);
        }
        let has_none_before = queue.pending.is_empty() || makes(Bug::UnsyncedOvertakes);
        if !pending.must_be_durable && has_none_before {
            crate::reach::mark(crate::reach::Mechanism::CommitUnsynced);
            self.publish(&pending, registry);
            drop(queue);
            if let Some(waiter) = pending.waiter {
                let led = waiter.finish(Ok(pending.commit));
                debug_assert!(!led, "a commit that was not queued has not been given the lead");
            }
            return Ok(true);
        }
        debug_assert!(
            queue
                .pending
                .back()
                .is_none_or(|last| last.commit <= pending.commit)
        );
        if let Some(waiter) = &pending.waiter {
            waiter.queued.store(true, Release);
        }
        queue.pending.push_back(pending);
        Ok(false)
    }

    fn publish(&self, newest: &Pending, registry: &SnapshotRegistry) {
        // The position first: whoever finds the commit visible finds at least its end.
        self.visible_end.fetch_max(newest.end.0, AcqRel);
        registry.publish(newest.commit);
    }

    /// How far the log must be durable for everything that was visible before this call to be durable.
    pub(super) fn visible_end(&self) -> LogPosition {
        LogPosition(self.visible_end.load(Acquire))
    }

    /// Makes sure that somebody leads if commits are waiting: for a thread that has applied the commits of others and
    /// does not wait itself.
    pub(super) fn ensure_leader(&self) {
        let next = {
            let mut queue = self.queue.lock();
            if queue.has_leader || queue.pending.is_empty() {
                None
            } else {
                queue.pass_lead()
            }
        };
        if let Some(next) = next {
            next.thread.unpark();
        }
    }

    /// Publishes what a flush up to `durable` has completed and wakes those who waited for it.
    pub(super) fn settle(&self, durable: LogPosition, registry: &SnapshotRegistry) {
        let queue = self.queue.lock();
        self.settle_locked(queue, durable, registry, false);
    }

    fn settle_locked(
        &self,
        mut queue: MutexGuard<'_, CommitQueue>,
        durable: LogPosition,
        registry: &SnapshotRegistry,
        was_leader: bool,
    ) {
        let covered = queue.pending.iter().take_while(|p| p.is_settled(durable)).count();
        let is_mistaken = covered < queue.pending.len() && makes(Bug::GroupAcknowledgesOneMore);
        let covered = covered + usize::from(is_mistaken);
        done(Kind::Queued, covered);
        let done: Vec<Pending> = queue.pending.drain(..covered).collect();
        if let Some(last) = done.last() {
            self.publish(last, registry);
        }
        if was_leader {
            queue.last_group = done.len();
        }
        // Without a leader, one of those covered may have been the one who would have taken the lead.
        let next = (was_leader || !queue.has_leader)
            .then(|| queue.pass_lead())
            .flatten();
        drop(queue);
        let synced = done.iter().filter(|p| p.must_be_durable).count();
        crate::reach::mark_if(synced > 1, crate::reach::Mechanism::GroupFlush);
        if synced > 0 {
            self.group_sizes.record(synced as u64);
        }
        // The next flush starts while the others of this one are woken.
        if let Some(next) = next {
            next.thread.unpark();
        }
        let mut lead_is_free = false;
        for pending in done {
            if let Some(waiter) = pending.waiter {
                lead_is_free |= waiter.finish(Ok(pending.commit));
            }
        }
        if lead_is_free && !makes(Bug::LeadLostWithItsHolder) {
            let next = self.queue.lock().pass_lead();
            if let Some(next) = next {
                next.thread.unpark();
            }
        }
    }

    /// The log has been poisoned, and with it fails everything queued that an earlier flush has not made durable.
    pub(super) fn fail(&self, error: &Error, wal: &Wal, registry: &SnapshotRegistry) {
        let mut queue = self.queue.lock();
        queue.has_leader = false;
        let mut failed = std::mem::take(&mut queue.pending);
        let durable = wal.durable();
        let covered = failed.iter().take_while(|p| p.end <= durable).count();
        let done: Vec<Pending> = failed.drain(..covered).collect();
        if let Some(last) = done.last() {
            self.publish(last, registry);
        }
        drop(queue);
        let outcomes = done
            .into_iter()
            .map(|pending| (Ok(pending.commit), pending.waiter));
        let failures = failed
            .into_iter()
            .map(|pending| (Err(error.clone()), pending.waiter));
        for (outcome, waiter) in outcomes.chain(failures) {
            if let Some(waiter) = waiter {
                // Nobody is left in the queue who could take the lead.
                let _ = waiter.finish(outcome);
            }
        }
    }

    /// Waits until the commit is visible, leading flushes as it falls to this thread.
    pub(super) fn wait(&self, waiter: &Waiter, wal: &Wal, registry: &SnapshotRegistry) -> Wait {
        loop {
            if let Some(outcome) = waiter.outcome() {
                return Wait::Done(outcome);
            }
            if waiter.take_up_lead() || waiter.queued.load(Acquire) && self.take_lead(waiter) {
                self.lead(wal, registry);
                continue;
            }
            // Not if its own commit has been applied: whoever did that looks at the queue after it.
            if waiter.is_asked.swap(false, AcqRel) && !waiter.is_queued() {
                return Wait::Asked;
            }
            thread::park();
        }
    }

    fn take_lead(&self, waiter: &Waiter) -> bool {
        let mut queue = self.queue.lock();
        // Whoever has taken the commit out of the queue is about to tell its outcome: there is nothing to lead for.
        if queue.has_leader || queue.pending.is_empty() || waiter.is_done() {
            return false;
        }
        queue.has_leader = true;
        true
    }

    fn lead(&self, wal: &Wal, registry: &SnapshotRegistry) {
        if self.queue.lock().last_group > 1 {
            // Commits come in groups: a moment for those just woken to come back makes this group larger.
            for _ in 0..3 {
                thread::yield_now();
            }
        }
        match wal.flush() {
            Ok(durable) => {
                crate::interleave::here(crate::interleave::Place::LogFlushed);
                self.settle_locked(self.queue.lock(), durable, registry, true);
            }
            Err(error) => self.fail(&error, wal, registry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PageNumber;
    use crate::vfs::MemoryVfs;
    use crate::wal::{CommitMark, FrameKind, WalOptions};

    /// A log of small segments, and a commit in it.
    fn append(wal: &Wal, commit: u64) -> LogPosition {
        let mark = CommitMark {
            frame_count: 1,
            wall_clock_ms: 0,
        };
        wal.append(
            PageNumber(7),
            CommitId(commit),
            FrameKind::Delta,
            Some(mark),
            b"row",
        )
        .unwrap()
    }

    fn pending(commit: u64, end: LogPosition, must_be_durable: bool) -> (Pending, Arc<Waiter>) {
        let waiter = Waiter::new();
        let pending = Pending {
            commit: CommitId(commit),
            end,
            must_be_durable,
            waiter: Some(Arc::clone(&waiter)),
        };
        (pending, waiter)
    }

    #[test]
    fn what_is_behind_a_failed_commit_never_becomes_visible_and_what_is_durable_does() {
        let options = WalOptions {
            segment_size: 64 << 10,
            ..WalOptions::new("/wal")
        };
        let wal = Wal::start(Arc::new(MemoryVfs::default()), options, LogPosition(0)).unwrap();
        let registry = SnapshotRegistry::new(CommitId(0));
        let group = GroupCommit::default();
        let (durable, of_durable) = pending(1, append(&wal, 1), true);
        assert!(matches!(group.announce(durable, &wal, &registry), Ok(false)));
        wal.flush().unwrap();
        let (failed, of_failed) = pending(2, append(&wal, 2), true);
        assert!(matches!(group.announce(failed, &wal, &registry), Ok(false)));
        let (behind, of_behind) = pending(3, append(&wal, 3), false);
        assert!(matches!(group.announce(behind, &wal, &registry), Ok(false)));
        // Applied and logged before the failure, and queued only after it.
        let (late, of_late) = pending(4, append(&wal, 4), false);
        wal.poison("a sync failed");
        group.fail(&wal.poisoned().unwrap(), &wal, &registry);
        assert!(group.announce(late, &wal, &registry).is_err());
        assert!(!of_late.is_done());
        assert!(matches!(of_durable.outcome(), Some(Ok(CommitId(1)))));
        assert!(of_failed.outcome().unwrap().is_err() && of_behind.outcome().unwrap().is_err());
        assert_eq!(registry.visible(), CommitId(1));
        assert!(group.visible_end() <= wal.durable());
    }

    #[test]
    fn nobody_leads_for_an_empty_queue() {
        let wal = Wal::start(
            Arc::new(MemoryVfs::default()),
            WalOptions::new("/wal"),
            LogPosition(0),
        )
        .unwrap();
        let registry = SnapshotRegistry::new(CommitId(0));
        let group = GroupCommit::default();
        let (pending, waiter) = pending(1, append(&wal, 1), true);
        assert!(matches!(group.announce(pending, &wal, &registry), Ok(false)));
        // A flush has covered the commit, and whoever settles it has not come to its waiter yet.
        let taken = group.queue.lock().pending.pop_front();
        assert!(waiter.is_queued() && !waiter.is_done());
        assert!(
            !group.take_lead(&waiter),
            "it would flush nothing, again and again"
        );
        drop(taken);
    }
}
