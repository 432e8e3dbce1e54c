//! Threads, locks and atomics under a scheduler: the crate `shuttle` runs the threads of an execution one at a time, as
//! coroutines of one thread of the operating system, and asks a scheduler at every point who goes on.
//!
//! 1. Before everything that others can see (an atomic access, taking and letting go of a lock, a notification) there is a
//!    [`point`]. Since one thread at a time runs, memory is sequentially consistent: reorderings by processors are not
//!    among what schedules show.
//! 2. Who waits, waits with the scheduler ([`wake`]), so that a deadlock is seen at once: nobody can go on.
//! 3. Time is a number that waits and looks at it advance ([`clock`]). A wait with a time limit ends when it is notified or
//!    when the scheduler has come back to it so often that its time is over, so both are among the schedules.
//! 4. What would be random is fixed: hashes, which thread has which number.
//!
//! All of this works outside of executions as well, as the plain things do: pictures of the disk are recovered and checked
//! there, at full speed. Values that outlive an execution must not be used in the next.

mod atomics;
mod clock;
mod condvar;
mod local;
mod locks;
mod threads;
pub mod trail;
mod wake;

use std::cell::Cell;
use std::time::Duration;

pub(crate) use clock::Instant;
pub(crate) use condvar::Condvar;
/// Hashes that are the same in every process.
pub(crate) use foldhash::fast::FixedState as RandomState;
pub(crate) use local::{LocalKey, thread_local};
pub(crate) use locks::{Mutex, MutexGuard, RwLock};

pub(crate) mod atomic {
    pub(crate) use super::atomics::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, fence, zeroed_slice};
    pub(crate) use std::sync::atomic::Ordering;
}

pub(crate) mod hint {
    /// Others have to go on for what is waited for.
    #[track_caller]
    pub(crate) fn spin_loop() {
        super::threads::yield_now();
    }
}

pub(crate) mod thread {
    pub(crate) use super::threads::{
        Builder, JoinHandle, Thread, current, number, park, scope, sleep, yield_now,
    };
}

/// Where a thread of the operating system is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Outside of executions.
    Free,
    /// In one, and the scheduler decides.
    Controlled,
    /// In one, and the scheduler is not asked.
    Aside,
}

std::thread_local! {
    static STANDING: Cell<Standing> = const { Cell::new(Standing::Free) };
}

/// Whether a scheduler decides here. Not while a panic unwinds: the execution has failed, and goes no further.
fn is_controlled() -> bool {
    STANDING.get() == Standing::Controlled && !std::thread::panicking()
}

/// Whether this is a thread of an execution.
fn is_inside() -> bool {
    STANDING.get() != Standing::Free && !std::thread::panicking()
}

/// A point at which a scheduler may let another thread go on.
#[inline]
#[track_caller]
pub(crate) fn point() {
    if is_controlled() {
        trail::note(std::panic::Location::caller());
        // The name is misleading: to shuttle a sleep is a scheduling point and nothing more.
        shuttle::thread::sleep(Duration::ZERO);
    }
}

/// Stands differently while `f` runs.
fn standing<T>(standing: Standing, f: impl FnOnce() -> T) -> T {
    struct Restore(Standing);
    impl Drop for Restore {
        fn drop(&mut self) {
            STANDING.set(self.0);
        }
    }
    let _restore = Restore(STANDING.replace(standing));
    f()
}

/// Runs `f`, the body of an execution, under the scheduler. Everything that it starts must have ended with it. A thread of
/// the operating system in which an execution has panicked is of no use for another.
pub fn execution<T>(f: impl FnOnce() -> T) -> T {
    clock::reset();
    standing(Standing::Controlled, f)
}

/// Runs `f` without asking the scheduler: for what no other thread of the execution takes part in.
pub fn aside<T>(f: impl FnOnce() -> T) -> T {
    standing(Standing::Aside, f)
}
