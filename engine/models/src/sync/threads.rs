//! Threads of an execution.
//!
//! Loom's own `unpark` wakes whoever does not run, also one that waits for a lock, and forgets the token then. So a token
//! is kept beside, and loom's is only used to wake a thread that does wait for it.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::atomics::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

pub(crate) use loom::thread::{JoinHandle, yield_now};

/// A thread, to be woken.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    thread: loom::thread::Thread,
    waiting: Arc<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    token: AtomicBool,
    /// No part of the model: only one thread of an execution runs, and between the look at the token and the wait there is
    /// no point at which another could.
    is_parked: std::sync::atomic::AtomicBool,
}

loom::thread_local! {
    static WAITING: Arc<Waiting> = Arc::new(Waiting {
        token: AtomicBool::new(false),
        is_parked: std::sync::atomic::AtomicBool::new(false),
    });
    static NUMBER: Cell<usize> = Cell::new(0);
}

impl Thread {
    pub(crate) fn id(&self) -> loom::thread::ThreadId {
        self.thread.id()
    }

    pub(crate) fn unpark(&self) {
        // Not a store: loom knows no order between a store and a swap of another thread that came before it.
        self.waiting.token.swap(true, AcqRel);
        if self.waiting.is_parked.swap(false, Relaxed) {
            self.thread.unpark();
        }
    }
}

pub(crate) fn current() -> Thread {
    Thread {
        thread: loom::thread::current(),
        waiting: WAITING.with(Arc::clone),
    }
}

pub(crate) fn park() {
    let waiting = WAITING.with(Arc::clone);
    while !waiting.token.swap(false, Acquire) {
        waiting.is_parked.store(true, Relaxed);
        loom::thread::park();
        waiting.is_parked.store(false, Relaxed);
    }
}

/// The number that the thread was started with.
pub(crate) fn number() -> usize {
    NUMBER.with(Cell::get)
}

/// Starts a thread of this number.
pub(crate) fn spawn<T: 'static>(number: usize, f: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    loom::thread::spawn(move || {
        NUMBER.with(|own| own.set(number));
        f()
    })
}

/// Has the shape of the standard library's.
pub(crate) struct LocalKey<T: 'static>(pub(crate) &'static loom::thread::LocalKey<T>);

impl<T: Copy + 'static> LocalKey<Cell<T>> {
    pub(crate) fn set(&'static self, value: T) {
        self.0.with(|cell| cell.set(value));
    }

    pub(crate) fn get(&'static self) -> T {
        self.0.with(Cell::get)
    }
}

macro_rules! of_thread {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = $init:expr;) => {
        static $name: $crate::sync::LocalKey<$type> = {
            loom::thread_local! {
                static KEY: $type = $init;
            }
            $crate::sync::LocalKey(&KEY)
        };
    };
}
pub(crate) use of_thread;
