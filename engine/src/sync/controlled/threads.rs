//! Threads: started, put to sleep and woken with the scheduler's knowledge inside of an execution.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::wake::Waiters;
use super::{clock, is_controlled, is_inside, point, trail};

/// Threads within one task of the schedule: those of a recovery, beside which nobody else is.
pub(crate) use std::thread::scope;

/// Others are to go on first.
#[track_caller]
pub(crate) fn yield_now() {
    if is_controlled() {
        trail::note(std::panic::Location::caller());
        shuttle::thread::yield_now();
    } else {
        std::thread::yield_now();
    }
}

/// A thread that sleeps can be passed by any others, and need not be.
pub(crate) fn sleep(duration: Duration) {
    if is_controlled() {
        clock::advance(duration);
        shuttle::thread::yield_now();
    } else {
        std::thread::sleep(duration);
    }
}

/// The token of a thread, which lets it pass once where it parks.
#[derive(Debug, Default)]
pub(crate) struct Token {
    is_there: AtomicBool,
    waiters: Waiters,
}

shuttle::thread_local! {
    static TOKEN: Arc<Token> = Arc::default();
}

/// Which thread it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThreadId {
    Controlled(shuttle::thread::ThreadId),
    Free(std::thread::ThreadId),
}

/// A thread that can be woken.
#[derive(Clone, Debug)]
pub(crate) enum Thread {
    Controlled(shuttle::thread::ThreadId, Arc<Token>),
    Free(std::thread::Thread),
}

impl Thread {
    pub(crate) fn id(&self) -> ThreadId {
        match self {
            Self::Controlled(id, _) => ThreadId::Controlled(*id),
            Self::Free(thread) => ThreadId::Free(thread.id()),
        }
    }

    #[track_caller]
    pub(crate) fn unpark(&self) {
        match self {
            Self::Controlled(_, token) => {
                point();
                token.is_there.store(true, Relaxed);
                token.waiters.call_all();
            }
            Self::Free(thread) => thread.unpark(),
        }
    }
}

/// The calling thread.
pub(crate) fn current() -> Thread {
    if is_controlled() {
        Thread::Controlled(shuttle::thread::current().id(), TOKEN.with(Arc::clone))
    } else {
        Thread::Free(std::thread::current())
    }
}

/// A number for a thread that has none yet: in an execution its own, outside the same for all, so that what is done there
/// does not depend on what the process did before.
pub(crate) fn number() -> usize {
    if is_inside() {
        shuttle::thread::current().id().into()
    } else {
        0
    }
}

/// Waits for the calling thread's token, and takes it. It never comes back without: a wake-up that is missing is not made
/// up for by luck.
#[track_caller]
pub(crate) fn park() {
    if !is_controlled() {
        return std::thread::park();
    }
    point();
    let token = TOKEN.with(Arc::clone);
    while !token.is_there.swap(false, Relaxed) {
        token.waiters.join().wait();
    }
}

/// A thread to be waited for.
#[derive(Debug)]
pub(crate) enum JoinHandle<T> {
    Controlled(shuttle::thread::JoinHandle<T>),
    Free(std::thread::JoinHandle<T>),
}

impl<T> JoinHandle<T> {
    pub(crate) fn join(self) -> std::thread::Result<T> {
        match self {
            Self::Controlled(thread) => thread.join(),
            Self::Free(thread) => thread.join(),
        }
    }
}

/// Starts a thread with a name.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    name: Option<String>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn name(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    pub(crate) fn spawn<T: Send + 'static>(
        self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        if is_controlled() {
            let builder = shuttle::thread::Builder::new();
            let builder = match self.name {
                Some(name) => builder.name(name),
                None => builder,
            };
            builder.spawn(f).map(JoinHandle::Controlled)
        } else {
            let builder = std::thread::Builder::new();
            let builder = match self.name {
                Some(name) => builder.name(name),
                None => builder,
            };
            builder.spawn(f).map(JoinHandle::Free)
        }
    }
}
