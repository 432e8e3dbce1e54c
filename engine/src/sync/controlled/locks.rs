//! Mutexes and reader-writer locks. A lock that is let go of is up for grabs: whoever comes next, or wakes first, has it.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::wake::Waiters;
use super::{is_controlled, point};

/// Tries until it works, waiting in between for somebody to let go. Outside of executions `block` is what waits.
#[track_caller]
fn take<G>(waiters: &Waiters, attempt: impl Fn() -> Option<G>, block: impl FnOnce() -> G) -> G {
    point();
    while is_controlled() {
        if let Some(guard) = attempt() {
            return guard;
        }
        waiters.join().wait();
    }
    block()
}

/// Has the shape of `parking_lot::Mutex`.
#[derive(Default)]
pub(crate) struct Mutex<T> {
    waiters: Waiters,
    inner: parking_lot::Mutex<T>,
}

pub(crate) struct MutexGuard<'m, T> {
    mutex: &'m Mutex<T>,
    /// Always there, but while a condition variable has let go of the mutex.
    inner: Option<parking_lot::MutexGuard<'m, T>>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            waiters: Waiters::new(),
            inner: parking_lot::Mutex::new(value),
        }
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let mut guard = MutexGuard {
            mutex: self,
            inner: None,
        };
        guard.take();
        guard
    }

    #[track_caller]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        point();
        let inner = self.inner.try_lock();
        inner.map(|inner| MutexGuard {
            mutex: self,
            inner: Some(inner),
        })
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    pub(crate) fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<'m, T> MutexGuard<'m, T> {
    #[track_caller]
    pub(super) fn take(&mut self) {
        let mutex = self.mutex;
        self.inner = Some(take(
            &mutex.waiters,
            || mutex.inner.try_lock(),
            || mutex.inner.lock(),
        ));
    }

    /// Lets go; there is no point between that and what the caller does next.
    pub(super) fn let_go(&mut self) {
        self.inner = None;
        self.mutex.waiters.call_all();
    }

    pub(super) fn inner(&mut self) -> &mut parking_lot::MutexGuard<'m, T> {
        self.inner.as_mut().expect("the mutex is held")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.inner.is_some() {
            point();
            self.let_go();
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner.as_ref().expect("the mutex is held")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner()
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Has the shape of `parking_lot::RwLock`.
#[derive(Default)]
pub(crate) struct RwLock<T> {
    waiters: Waiters,
    inner: parking_lot::RwLock<T>,
}

/// A hold of a [`RwLock`], shared or exclusive.
pub(crate) struct RwGuard<'l, G> {
    waiters: &'l Waiters,
    inner: Option<G>,
}

impl<T> RwLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            waiters: Waiters::new(),
            inner: parking_lot::RwLock::new(value),
        }
    }

    #[track_caller]
    pub(crate) fn read(&self) -> RwGuard<'_, parking_lot::RwLockReadGuard<'_, T>> {
        RwGuard {
            waiters: &self.waiters,
            inner: Some(take(
                &self.waiters,
                || self.inner.try_read(),
                || self.inner.read(),
            )),
        }
    }

    #[track_caller]
    pub(crate) fn write(&self) -> RwGuard<'_, parking_lot::RwLockWriteGuard<'_, T>> {
        RwGuard {
            waiters: &self.waiters,
            inner: Some(take(
                &self.waiters,
                || self.inner.try_write(),
                || self.inner.write(),
            )),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<G> Drop for RwGuard<'_, G> {
    fn drop(&mut self) {
        point();
        self.inner = None;
        self.waiters.call_all();
    }
}

impl<G: Deref> Deref for RwGuard<'_, G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        self.inner.as_ref().expect("the lock is held")
    }
}

impl<G: DerefMut> DerefMut for RwGuard<'_, G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        self.inner.as_mut().expect("the lock is held")
    }
}
