//! The models' door to what threads share and wait with, in the shape of the engine's (`engine/src/sync.rs`).

mod atomics;
mod threads;

pub(crate) use atomics::{Sequential, new_execution};
pub(crate) use loom::sync::MutexGuard;
pub(crate) use threads::{LocalKey, of_thread as thread_local};

pub(crate) mod atomic {
    pub(crate) use super::atomics::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
    pub(crate) use std::sync::atomic::Ordering;
}

pub(crate) mod word {
    pub(crate) use super::atomics::AtomicU64;
    pub(crate) use loom::sync::atomic::fence;
}

pub(crate) mod hint {
    pub(crate) use loom::hint::spin_loop;
}

pub(crate) mod thread {
    pub(crate) use super::threads::{JoinHandle, Thread, current, number, park, spawn, yield_now};
}

/// Every access is a point here.
pub(crate) fn point() {}

/// Has the shape of `parking_lot`'s.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("loom poisons no lock")
    }
}
