//! Time that passes only by what threads do, so that it is the same in every run of a schedule.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::Duration;

use super::is_inside;

/// How much later it is at each look.
const LOOK: Duration = Duration::from_micros(1);

std::thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// A new execution begins.
pub(super) fn reset() {
    NOW.set(Duration::ZERO);
}

pub(super) fn advance(by: Duration) {
    NOW.set(NOW.get() + by);
}

/// Has the shape of the standard library's, as far as the engine needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
        if !is_inside() {
            return Self(START.elapsed());
        }
        advance(LOOK);
        Self(NOW.get())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}
