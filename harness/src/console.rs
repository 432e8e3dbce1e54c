//! What is said to whoever started the program. A reader that goes away is no reason to end: a run is recorded whether or not
//! somebody watches it. What could not be written for another reason (a full disk) is told by the exit code. Texts come from
//! specifications and records that somebody else has made: what would command the terminal is shown and not obeyed.

use std::fmt::{Display, Write as _};
use std::io::{ErrorKind, Write as _};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// Fewer columns than these no table is made for, and more no terminal has.
const WIDTHS: std::ops::RangeInclusive<usize> = 20..=1000;

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

/// Columns for tables that go to `stream`: what `COLUMNS` says, else those of the terminal, else a width that pages and logs
/// bear.
pub(crate) fn width(stream: impl AsFd) -> usize {
    let told = std::env::var("COLUMNS").ok();
    let terminal = rustix::termios::tcgetwinsize(stream).ok();
    width_of(told.as_deref(), terminal.map(|size| size.ws_col))
}

fn width_of(told: Option<&str>, terminal: Option<u16>) -> usize {
    let told = told.and_then(|text| text.trim().parse().ok());
    let terminal = terminal.map(usize::from);
    let columns = told.filter(|of| *of > 0).or(terminal.filter(|of| *of > 0));
    columns.map_or(reports::DEFAULT_WIDTH, |of| {
        of.clamp(*WIDTHS.start(), *WIDTHS.end())
    })
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
    fn tables_are_as_wide_as_one_is_told_or_as_the_terminal_is() {
        assert_eq!(width_of(None, None), reports::DEFAULT_WIDTH);
        assert_eq!(width_of(None, Some(60)), 60);
        assert_eq!(width_of(Some("70"), Some(60)), 70);
        // A terminal that does not know its width says 0.
        assert_eq!(width_of(Some("wide"), Some(0)), reports::DEFAULT_WIDTH);
        assert_eq!(width_of(Some("0"), Some(60)), 60);
        assert_eq!(width_of(Some("3"), None), 20);
        assert_eq!(width_of(Some("99999999"), None), 1000);
        let file = std::fs::File::open("/dev/null").unwrap();
        if std::env::var_os("COLUMNS").is_none() {
            assert_eq!(width(file), reports::DEFAULT_WIDTH, "it is no terminal");
        }
    }

    #[test]
    fn what_would_command_the_terminal_is_spelled_out() {
        let text = "a\u{1b}[2Jb\tc\nd\u{202e}e ± µ ─\r";
        assert_eq!(shown(&text), "a\\u{1b}[2Jb\tc\nd\\u{202e}e ± µ ─\\u{d}");
    }
}
