//! What a child tells its parent while it works, and how the parent shows it: bars on a terminal, lines elsewhere.
//! All of it goes to standard error; standard output belongs to results.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

/// One line of a child's standard output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Progress {
    /// A phase begins.
    Phase {
        /// Its name, for instance `load`.
        name: String,
        /// Its size in units of `unit`; 0 when that is not known.
        total: u64,
        /// What is counted: `rows`, `ms`, ...
        unit: String,
    },
    /// The phase has come this far.
    Done {
        /// In the phase's unit.
        done: u64,
        /// What to know about it now, for instance a throughput.
        note: String,
    },
}

/// Sends one line to the parent. A parent that is gone is not an error: the child ends soon.
pub(crate) fn send(line: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(line) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// Tells the parent that a phase begins.
pub(crate) fn phase(name: &str, total: u64, unit: &str) {
    send(&Progress::Phase {
        name: name.into(),
        total,
        unit: unit.into(),
    });
}

/// Tells the parent how far the phase has come.
pub(crate) fn done(done: u64, note: impl Into<String>) {
    send(&Progress::Done {
        done,
        note: note.into(),
    });
}

/// Shows the progress of one child after another.
#[derive(Debug)]
pub(crate) struct Display {
    bars: bool,
    title: String,
    phase: String,
    last_note: String,
    bar: Option<ProgressBar>,
}

impl Display {
    /// A display on standard error.
    pub(crate) fn new() -> Self {
        Self {
            bars: std::io::stderr().is_terminal(),
            title: String::new(),
            phase: String::new(),
            last_note: String::new(),
            bar: None,
        }
    }

    /// The next measurement begins.
    pub(crate) fn start(&mut self, title: impl Into<String>) {
        self.end_phase();
        self.title = title.into();
    }

    /// Shows one line from the child.
    pub(crate) fn show(&mut self, progress: &Progress) {
        match progress {
            Progress::Phase { name, total, unit } => self.begin_phase(name, *total, unit),
            Progress::Done { done, note } => {
                self.last_note.clone_from(note);
                if let Some(bar) = &self.bar {
                    bar.set_position(*done);
                    bar.set_message(note.clone());
                }
            }
        }
    }

    /// The measurement has ended; `outcome` is the line that stays.
    pub(crate) fn finish(&mut self, outcome: &str) {
        self.end_phase();
        crate::console::note(format_args!("{}: {outcome}", self.title));
    }

    /// Begins a phase that the parent itself works on.
    pub(crate) fn begin_phase(&mut self, name: &str, total: u64, unit: &str) {
        self.end_phase();
        name.clone_into(&mut self.phase);
        if !self.bars {
            return;
        }
        let template = if total == 0 {
            "{prefix:<30} {spinner} {msg}".to_owned()
        } else if unit == "ms" {
            "{prefix:<30} [{bar:24}] {percent:>3} % {msg}".to_owned()
        } else {
            format!("{{prefix:<30}} [{{bar:24}}] {{human_pos}}/{{human_len}} {unit} {{msg}}")
        };
        let style = ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let bar = if total == 0 {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::new(total)
        };
        bar.set_style(style);
        bar.set_prefix(format!("{} {name}", self.title));
        bar.enable_steady_tick(Duration::from_millis(120));
        self.bar = Some(bar);
    }

    fn end_phase(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if !self.phase.is_empty() {
            let note = if self.last_note.is_empty() {
                "done"
            } else {
                &self.last_note
            };
            crate::console::note(format_args!("{}: {}: {note}", self.title, self.phase));
        }
        self.phase.clear();
        self.last_note.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back_as_it_was_sent() {
        let sent = Progress::Done {
            done: 7,
            note: "fast\nand good".into(),
        };
        let line = serde_json::to_string(&sent).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Progress>(&line).unwrap(), sent);
    }
}
