//! Waiting for somebody else's word, in a way that the scheduler knows.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use shuttle::future::batch_semaphore::{BatchSemaphore, Fairness};

/// One thread's waiting, once.
#[derive(Debug)]
pub(super) struct Wake {
    semaphore: BatchSemaphore,
    is_called: AtomicBool,
}

impl Wake {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            semaphore: BatchSemaphore::const_new(0, Fairness::StrictlyFair),
            is_called: AtomicBool::new(false),
        })
    }

    /// Waits until somebody calls, however long that takes.
    pub(super) fn wait(&self) {
        if !self.is_called() {
            // It is never closed.
            let _ = self.semaphore.acquire_blocking(1);
        }
    }

    pub(super) fn is_called(&self) -> bool {
        self.is_called.load(Relaxed)
    }

    pub(super) fn call(&self) {
        if !self.is_called.swap(true, Relaxed) {
            self.semaphore.release_no_scheduling_point(1);
        }
    }
}

/// Those who wait for one thing, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Waiters(parking_lot::Mutex<VecDeque<Arc<Wake>>>);

impl Waiters {
    pub(super) const fn new() -> Self {
        Self(parking_lot::Mutex::new(VecDeque::new()))
    }

    pub(super) fn join(&self) -> Arc<Wake> {
        let wake = Wake::new();
        self.0.lock().push_back(Arc::clone(&wake));
        wake
    }

    pub(super) fn leave(&self, wake: &Arc<Wake>) {
        self.0.lock().retain(|other| !Arc::ptr_eq(other, wake));
    }

    pub(super) fn call_first(&self) -> bool {
        let first = self.0.lock().pop_front();
        first.inspect(|wake| wake.call()).is_some()
    }

    pub(super) fn call_all(&self) -> usize {
        let mut waiters = self.0.lock();
        if waiters.is_empty() {
            return 0;
        }
        let all = std::mem::take(&mut *waiters);
        drop(waiters);
        all.iter().for_each(|wake| wake.call());
        all.len()
    }
}
