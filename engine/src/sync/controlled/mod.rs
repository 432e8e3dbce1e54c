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
    pub(crate) use super::atomics::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, zeroed_slice};
    pub(crate) use std::sync::atomic::Ordering;
}

pub(crate) mod hint {
    /// Others have to go on for what is waited for.
    pub(crate) fn spin_loop() {
        super::threads::yield_now();
    }
}

pub(crate) mod thread {
    pub(crate) use super::threads::{
        Builder, JoinHandle, Thread, current, number, park, scope, sleep, yield_now,
    };
}

std::thread_local! {
    static IS_CONTROLLED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a scheduler decides here. Not while a panic unwinds: the execution has failed, and goes no further.
fn is_controlled() -> bool {
    IS_CONTROLLED.get() && !std::thread::panicking()
}

/// A point at which a scheduler may let another thread go on.
#[inline]
pub(crate) fn point() {
    if is_controlled() {
        // The name is misleading: to shuttle a sleep is a scheduling point and nothing more.
        shuttle::thread::sleep(Duration::ZERO);
    }
}

/// Runs `f`, the body of an execution, under the scheduler. Everything that it starts must have ended with it.
pub fn execution<T>(f: impl FnOnce() -> T) -> T {
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            // A panic leaves the thread unusable for further executions in any case.
            IS_CONTROLLED.set(false);
        }
    }
    clock::reset();
    IS_CONTROLLED.set(true);
    let _end = End;
    f()
}

/// Runs `f` as outside of the execution: for what no other thread of it takes part in.
pub fn aside<T>(f: impl FnOnce() -> T) -> T {
    let was_controlled = IS_CONTROLLED.replace(false);
    let result = f();
    IS_CONTROLLED.set(was_controlled);
    result
}
