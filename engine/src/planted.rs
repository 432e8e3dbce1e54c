//! Planted durability faults: mistakes that a storage engine can make, each behind a switch, so that the crash checker
//! can be shown to find every one of them.
//!
//! A fault is switched on for the calling thread and what it calls. Builds without debug assertions have no faults:
//! there every question is answered with a constant `false`.

use std::cell::Cell;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A flush of the log writes and does not sync.
    FlushWithoutSync,
}

impl Fault {
    /// All of them, with a description each.
    pub const ALL: &'static [(Fault, &'static str)] = &[(
        Fault::FlushWithoutSync,
        "a flush of the log writes and does not sync",
    )];
}

thread_local! {
    static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// Whether faults can be planted in this build.
#[must_use]
pub const fn are_possible() -> bool {
    cfg!(debug_assertions)
}

/// The fault that this thread has.
#[must_use]
pub fn current() -> Option<Fault> {
    PLANTED.get()
}

/// Runs `f` with this fault planted, or with none.
pub fn with<T>(fault: Option<Fault>, f: impl FnOnce() -> T) -> T {
    struct Restore(Option<Fault>);
    impl Drop for Restore {
        fn drop(&mut self) {
            PLANTED.set(self.0);
        }
    }
    let _restore = Restore(PLANTED.replace(fault));
    f()
}

/// Whether the engine makes this mistake now.
#[inline]
pub(crate) fn makes(fault: Fault) -> bool {
    are_possible() && PLANTED.get() == Some(fault)
}
