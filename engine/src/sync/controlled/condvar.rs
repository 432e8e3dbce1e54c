//! Condition variables, with and without a time limit.

use std::time::Duration;

use super::locks::MutexGuard;
use super::wake::{Waiters, Wake};
use super::{clock, is_controlled, point, threads};

/// How often the scheduler comes back to a wait before its time is over.
const TURNS: u32 = 8;

/// Has the shape of `parking_lot::Condvar`.
#[derive(Debug, Default)]
pub(crate) struct Condvar {
    waiters: Waiters,
    inner: parking_lot::Condvar,
}

/// How a wait with a time limit ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waited(bool);

impl Waited {
    #[expect(dead_code, reason = "the shape of parking_lot's; nobody asks at present")]
    pub(crate) fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self {
            waiters: Waiters::new(),
            inner: parking_lot::Condvar::new(),
        }
    }

    #[track_caller]
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        if !is_controlled() {
            return self.inner.wait(guard.inner());
        }
        self.let_go_and(guard, |wake| wake.wait());
    }

    #[track_caller]
    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, limit: Duration) -> Waited {
        if !is_controlled() {
            return Waited(self.inner.wait_for(guard.inner(), limit).timed_out());
        }
        let mut is_called = false;
        self.let_go_and(guard, |wake| {
            for _ in 0..TURNS {
                threads::yield_now();
                is_called = wake.is_called();
                if is_called {
                    return;
                }
                clock::advance(limit / TURNS + Duration::from_nanos(1));
            }
        });
        Waited(!is_called)
    }

    /// Nothing comes between being in line here and letting go of the mutex.
    #[track_caller]
    fn let_go_and<T>(&self, guard: &mut MutexGuard<'_, T>, wait: impl FnOnce(&Wake)) {
        point();
        let wake = self.waiters.join();
        guard.let_go();
        wait(&wake);
        self.waiters.leave(&wake);
        guard.take();
    }

    #[track_caller]
    pub(crate) fn notify_one(&self) -> bool {
        point();
        self.waiters.call_first() || self.inner.notify_one()
    }

    #[track_caller]
    pub(crate) fn notify_all(&self) -> usize {
        point();
        self.waiters.call_all() + self.inner.notify_all()
    }
}
