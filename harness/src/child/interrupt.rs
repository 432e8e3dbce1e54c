//! Ctrl-C, in the parent: the first asks for a clean end, the second kills the children.
//!
//! Child processes get the same signal from a terminal, and ignore it: only the parent decides, and tells them over
//! their standard input, which also ends when the parent dies.

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::{Exit, HarnessError, Result};

static REQUESTS: AtomicU32 = AtomicU32::new(0);
/// The signal that asked first.
static FIRST: AtomicI32 = AtomicI32::new(0);

/// How urgently the run is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Not at all.
    None,
    /// Cleanly: measure to the end of the interval, verify, write the record.
    Clean,
    /// At once: kill what runs, write the record with what there is.
    Now,
}

/// Listens for SIGINT and SIGTERM. A terminal that goes away (SIGHUP) ends no run: what it measures is written to files.
///
/// # Errors
/// When the operating system refuses.
pub(crate) fn install() -> Result<()> {
    listen(|signal| {
        if signal == SIGHUP {
            return;
        }
        let _ = FIRST.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
        if REQUESTS.fetch_add(1, Ordering::SeqCst) == 0 {
            crate::console::note(format_args!(
                "\ninterrupted: finishing what runs and writing the record; press Ctrl-C again to kill it"
            ));
        }
    })
}

/// Makes the process deaf to these signals, for children.
///
/// # Errors
/// When the operating system refuses.
pub(crate) fn ignore() -> Result<()> {
    listen(|_| {})
}

fn listen(heard: impl Fn(i32) + Send + 'static) -> Result<()> {
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP]);
    let mut signals =
        signals.map_err(|error| HarnessError::Run(format!("cannot listen for Ctrl-C: {error}")))?;
    std::thread::spawn(move || signals.forever().for_each(heard));
    Ok(())
}

/// How a run ends that was asked to end before its time; `None` if nobody has.
pub(crate) fn exit() -> Option<Exit> {
    match FIRST.load(Ordering::SeqCst) {
        0 => None,
        SIGTERM => Some(Exit::Terminated),
        _ => Some(Exit::Interrupted),
    }
}

/// What has been asked for so far.
pub(crate) fn requested() -> Interrupt {
    match REQUESTS.load(Ordering::SeqCst) {
        0 => Interrupt::None,
        1 => Interrupt::Clean,
        _ => Interrupt::Now,
    }
}
