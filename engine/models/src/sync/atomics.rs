//! Atomics under loom, and what a sequentially consistent access is there.
//!
//! Loom takes an access that is to be sequentially consistent for one that acquires and releases; only fences are
//! sequentially consistent to it. Compilers have the same choice of two ways: they make the access one that acquires or
//! releases, and put a full fence either *before* each of them, or *after* each (C++11 mappings of loads and stores, of
//! Batty et al., "Clarifying and compiling C/C++ concurrency"). A protocol has to be right with both, so models of
//! protocols that need sequential consistency are explored with both ([`Sequential`]); the others with neither, which
//! allows more than the language does.
//!
//! This is not the language's rule itself. Both ways forbid some outcomes that the language allows where sequentially
//! consistent accesses are mixed with weaker ones; and loom lets a fence see all that was before an earlier one, where the
//! language lets it only be ordered behind. A protocol that is wrong in these corners alone would pass.
//!
//! What loom leaves out, and is put in here:
//! - Of the accesses to an atomic it remembers the last one to find out which orders there are to explore. Where a thread
//!   loads an atomic and then changes it, its load hides those of other threads, and that they could come after the change
//!   is not explored. So each access first passes a [`Gate`] of the atomic, which is something that all of them change.
//! - The order of two fences is nothing to be explored to it either. They all pass one gate.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Release, SeqCst};

use loom::sync::{Condvar, atomic};

/// Where the fences of sequentially consistent accesses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequential {
    /// The accesses acquire and release, and nothing more.
    Unfenced,
    FenceBefore,
    FenceAfter,
}

thread_local! {
    static SEQUENTIAL: Cell<Sequential> = const { Cell::new(Sequential::Unfenced) };
    /// What all fences of the execution pass.
    static FENCES: RefCell<Option<Rc<Gate>>> = const { RefCell::new(None) };
}

/// Begins an execution; its threads are all of this thread of the operating system.
pub(crate) fn new_execution(sequential: Sequential) {
    SEQUENTIAL.set(sequential);
    FENCES.set(Some(Rc::default()));
}

/// Explores all orders of those who pass it, and makes nothing visible from one to the other: a condition variable for
/// which nobody waits.
#[derive(Debug, Default)]
struct Gate(Condvar);

impl Gate {
    fn pass(&self) {
        self.0.notify_one();
    }

    /// Passes, and makes a change. Its order is that of the gate, and not to be explored once more.
    fn change<T>(&self, f: impl FnOnce() -> T) -> T {
        self.pass();
        loom::stop_exploring();
        let result = f();
        loom::explore();
        result
    }
}

fn fence_if(place: Sequential, order: Ordering) {
    if order == SeqCst && SEQUENTIAL.get() == place {
        let fences = FENCES.with_borrow(Clone::clone);
        fences.expect("an execution has begun").pass();
        atomic::fence(SeqCst);
    }
}

/// The order without the fence.
fn without_fence(order: Ordering, fenced: Ordering) -> Ordering {
    if order == SeqCst { fenced } else { order }
}

macro_rules! atomic {
    ($name:ident, $of:ty) => {
        /// Has the shape of the standard library's.
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            value: atomic::$name,
            gate: Gate,
        }

        #[expect(
            clippy::allow_attributes,
            reason = "which of them are used changes with the engine"
        )]
        #[allow(
            dead_code,
            reason = "the shape of the standard library's, as far as the engine may need it"
        )]
        impl $name {
            pub(crate) fn new(value: $of) -> Self {
                Self {
                    value: atomic::$name::new(value),
                    gate: Gate::default(),
                }
            }

            pub(crate) fn load(&self, order: Ordering) -> $of {
                fence_if(Sequential::FenceBefore, order);
                self.gate.pass();
                let value = self.value.load(without_fence(order, Acquire));
                fence_if(Sequential::FenceAfter, order);
                value
            }

            pub(crate) fn store(&self, value: $of, order: Ordering) {
                fence_if(Sequential::FenceBefore, order);
                self.gate
                    .change(|| self.value.store(value, without_fence(order, Release)));
                fence_if(Sequential::FenceAfter, order);
            }

            pub(crate) fn swap(&self, value: $of, order: Ordering) -> $of {
                fence_if(Sequential::FenceBefore, order);
                let before = self
                    .gate
                    .change(|| self.value.swap(value, without_fence(order, AcqRel)));
                fence_if(Sequential::FenceAfter, order);
                before
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $of,
                new: $of,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$of, $of> {
                fence_if(Sequential::FenceBefore, success);
                let (plain, failed) = (
                    without_fence(success, AcqRel),
                    without_fence(failure, Acquire),
                );
                let result = self
                    .gate
                    .change(|| self.value.compare_exchange(current, new, plain, failed));
                fence_if(
                    Sequential::FenceAfter,
                    if result.is_ok() { success } else { failure },
                );
                result
            }
        }
    };
}

macro_rules! counting {
    ($name:ident, $of:ty, $($operation:ident)*) => {
        #[expect(clippy::allow_attributes, reason = "which of them are used changes with the engine")]
        #[allow(dead_code, reason = "the shape of the standard library's, as far as the engine may need it")]
        impl $name {
            $(pub(crate) fn $operation(&self, value: $of, order: Ordering) -> $of {
                fence_if(Sequential::FenceBefore, order);
                let before = self.gate.change(|| self.value.$operation(value, without_fence(order, AcqRel)));
                fence_if(Sequential::FenceAfter, order);
                before
            })*
        }
    };
}

atomic!(AtomicBool, bool);
atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
atomic!(AtomicUsize, usize);
counting!(AtomicU64, u64, fetch_add fetch_max);
counting!(AtomicUsize, usize, fetch_add fetch_max);
