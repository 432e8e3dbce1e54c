//! The power supply of the mounted disk: on, cut, or off.
//!
//! Every request of the kernel takes the [`Power`] before it touches the disk and keeps it until it is done, so the cut
//! falls between two requests. While the power is *cut*, requests wait: the process in the mount stands still, as in a
//! machine without power, and sees no error that it could react to. It is killed then, and the power is turned *off*: what waits
//! is answered with an error, which nobody sees any more, so that the process can end.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::disk::Disk;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supply {
    On,
    Cut,
    Off,
}

/// A disk and its power supply.
#[derive(Debug)]
pub(super) struct Power {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    supply: Supply,
    disk: Disk,
    /// Requests so far that change something or make it durable.
    changes: u64,
    /// Cut before the change of this number.
    cut_at: Option<u64>,
}

/// The disk while nobody else has it.
pub(super) struct Powered<'p>(MutexGuard<'p, State>);

impl Deref for Powered<'_> {
    type Target = Disk;

    fn deref(&self) -> &Disk {
        &self.0.disk
    }
}

impl DerefMut for Powered<'_> {
    fn deref_mut(&mut self) -> &mut Disk {
        &mut self.0.disk
    }
}

impl Power {
    /// A disk with its power on.
    pub(super) fn new(disk: Disk) -> Self {
        Self {
            state: Mutex::new(State {
                supply: Supply::On,
                disk,
                changes: 0,
                cut_at: None,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk for a request that changes nothing; waits while the power is cut, `None` when it is off.
    pub(super) fn read(&self) -> Option<Powered<'_>> {
        self.while_on(self.lock())
    }

    /// The disk for a request that changes something, or makes it durable. If this is the request at which the power is to
    /// be cut, calls `on_cut` and waits.
    pub(super) fn change(&self, on_cut: impl FnOnce(&Disk)) -> Option<Powered<'_>> {
        let mut state = self.lock();
        if state.supply == Supply::On {
            if state.cut_at == Some(state.changes) {
                state.supply = Supply::Cut;
                on_cut(&state.disk);
            } else {
                state.changes += 1;
            }
        }
        self.while_on(state)
    }

    fn while_on<'p>(&'p self, state: MutexGuard<'p, State>) -> Option<Powered<'p>> {
        let state = self
            .changed
            .wait_while(state, |state| state.supply == Supply::Cut)
            .unwrap_or_else(PoisonError::into_inner);
        (state.supply == Supply::On).then_some(Powered(state))
    }

    /// Cuts the power before the change that follows the next `changes` ones.
    pub(super) fn cut_after(&self, changes: u64) {
        let mut state = self.lock();
        state.cut_at = Some(state.changes + changes);
    }

    /// Cuts the power now; `false` if it was not on.
    pub(super) fn cut(&self) -> bool {
        let mut state = self.lock();
        let was_on = state.supply == Supply::On;
        if was_on {
            state.supply = Supply::Cut;
        }
        was_on
    }

    /// From now on the disk acknowledges every sync and ignores it.
    pub(super) fn lie(&self) {
        self.lock().disk.lie();
    }

    /// Turns the power off: from now on every request fails, also those that wait.
    pub(super) fn turn_off(&self) {
        self.lock().supply = Supply::Off;
        self.changed.notify_all();
    }

    /// The disk as it is, whatever the power.
    pub(super) fn disk<T>(&self, look: impl FnOnce(&Disk) -> T) -> T {
        look(&self.lock().disk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::time::Duration;

    #[test]
    fn the_cut_falls_between_two_requests_and_those_after_it_wait_and_fail() {
        let empty = tempfile::tempdir().unwrap();
        let power = Power::new(Disk::import(empty.path()).unwrap());
        power.cut_after(2);
        let make = |name: &str| {
            let mut cuts = 0;
            let made = power
                .change(|_| cuts += 1)
                .map(|mut disk| disk.create(1, OsStr::new(name), 0o600).is_ok());
            (made, cuts)
        };
        assert_eq!(make("a"), (Some(true), 0));
        assert_eq!(make("b"), (Some(true), 0));
        assert!(power.read().is_some());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| make("c"));
            let reading = scope.spawn(|| power.read().is_none());
            while power.lock().supply == Supply::On {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(!power.cut(), "it is cut already");
            assert_eq!(power.disk(Disk::pending), 2, "what waits has not happened");
            assert!(!waiting.is_finished());
            power.turn_off();
            assert_eq!(waiting.join().unwrap(), (None, 1));
            // It may have read before the cut.
            let _ = reading.join().unwrap();
        });
        assert_eq!(make("d"), (None, 0));
        assert!(power.read().is_none());
        assert_eq!(power.disk(Disk::pending), 2);
    }
}
