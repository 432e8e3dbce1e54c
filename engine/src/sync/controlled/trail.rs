//! The way that an execution went: which thread was where at each point, to be compared or printed.

use std::cell::RefCell;
use std::panic::Location;

/// A thread, by number, and the source that it had come to.
pub type Step = (usize, &'static Location<'static>);

std::thread_local! {
    static TRAIL: RefCell<Option<Vec<Step>>> = const { RefCell::new(None) };
}

/// Notes the ways of the following executions of this thread.
pub fn begin() {
    TRAIL.set(Some(Vec::new()));
}

/// What was noted.
pub fn end() -> Vec<Step> {
    TRAIL.take().unwrap_or_default()
}

pub(super) fn note(place: &'static Location<'static>) {
    TRAIL.with_borrow_mut(|trail| {
        if let Some(trail) = trail {
            trail.push((shuttle::thread::current().id().into(), place));
        }
    });
}
