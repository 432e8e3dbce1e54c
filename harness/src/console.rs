//! What is said to whoever started the program. A reader that goes away is no reason to end: a run is recorded whether or not
//! somebody watches it. What could not be written for another reason (a full disk) is told by the exit code. Texts come from
//! specifications and records that somebody else has made: what would command the terminal is shown and not obeyed.

use std::fmt::{Display, Write as _};
use std::io::{ErrorKind, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

static HAS_FAILED: AtomicBool = AtomicBool::new(false);

/// A line of the result, to standard output.
pub(crate) fn tell(text: impl Display) {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", shown(&text)).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            HAS_FAILED.store(true, Ordering::Relaxed);
            note(format_args!("error: cannot write the result: {error}"));
        }
        _ => {}
    }
}

/// A line about how it goes, to standard error.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{}", shown(&text));
}

/// The text with control characters, and those that turn the direction of writing, spelled out.
fn shown(text: &impl Display) -> String {
    let text = text.to_string();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let is_turning =
            matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if is_turning || c.is_control() && !matches!(c, '\n' | '\t') {
            // Writing to a string cannot fail.
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether something of the result could not be written though somebody wanted it.
pub(crate) fn has_failed() -> bool {
    HAS_FAILED.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_command_the_terminal_is_spelled_out() {
        let text = "a\u{1b}[2Jb\tc\nd\u{202e}e ± µ ─\r";
        assert_eq!(shown(&text), "a\\u{1b}[2Jb\tc\nd\\u{202e}e ± µ ─\\u{d}");
    }
}
