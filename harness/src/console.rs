//! What is said to whoever started the program. A pipe or terminal that is gone is no reason to end: a run is recorded
//! whether or not somebody watches it.

use std::fmt::Display;
use std::io::Write as _;

/// A line of the result, to standard output.
pub(crate) fn tell(text: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A line about how it goes, to standard error.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
