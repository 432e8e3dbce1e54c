//! What is said to whoever started the program. A reader that goes away is no reason to end: a run is recorded whether or not
//! somebody watches it. What could not be written for another reason (a full disk) is told by the exit code.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

static HAS_FAILED: AtomicBool = AtomicBool::new(false);

/// A line of the result, to standard output.
pub(crate) fn tell(text: impl Display) {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            HAS_FAILED.store(true, Ordering::Relaxed);
            note(format_args!("error: cannot write the result: {error}"));
        }
        _ => {}
    }
}

/// A line about how it goes, to standard error.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Whether something of the result could not be written though somebody wanted it.
pub(crate) fn has_failed() -> bool {
    HAS_FAILED.load(Ordering::Relaxed)
}
