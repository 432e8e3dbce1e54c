//! Panics of whoever holds the applier.
//!
//! A panic in the middle of a commit leaves half of it on the pages, so nothing may be committed after it. And others
//! rely on the holder: those whose commits it has taken from the queue, those who have queued since, and those that
//! are queued. All of them get an error instead of waiting for ever.

use super::manager::TransactionManager;

/// Why the database stops.
pub(super) const PANICKED: &str = "a panic while a commit was being applied";

/// Tells a panic that began after this was made from one that was under way before: a database can also be closed by a
/// thread that is unwinding already.
#[derive(Debug)]
pub(super) struct NewPanic {
    was_panicking: bool,
}

impl NewPanic {
    pub(super) fn watch() -> Self {
        Self {
            was_panicking: std::thread::panicking(),
        }
    }

    pub(super) fn is_happening(&self) -> bool {
        std::thread::panicking() && !self.was_panicking
    }
}

/// Sees to those who rely on the holder of the applier when it panics. Made before the applier is taken, so that it
/// is dropped after the applier is free: whoever queues later finds that out.
#[derive(Debug)]
pub(super) struct Abandoned<'m> {
    manager: &'m TransactionManager,
    panic: NewPanic,
}

impl<'m> Abandoned<'m> {
    pub(super) fn watch(manager: &'m TransactionManager) -> Self {
        Self {
            manager,
            panic: NewPanic::watch(),
        }
    }
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if self.panic.is_happening() {
            self.manager.abandon();
        }
    }
}
