//! What a child tells its parent while it works, and how the parent shows it: bars on a terminal, lines elsewhere.
//! All of it goes to standard error; standard output belongs to results.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

/// How often a line is written where there is no bar, unless somebody says otherwise.
const LINES_EVERY: Duration = Duration::from_secs(10);
/// How often the figures beside a bar change, unless somebody says otherwise.
const BAR_EVERY: Duration = Duration::from_secs(1);

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
    /// What the part of the phase since the report before came to. A phase that reports does so as often as it was asked to;
    /// others get a line from the parent now and then.
    Report {
        /// How far the phase is, in its unit.
        done: u64,
        /// Figures of this part alone.
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

/// Tells the parent what the last part of the phase came to.
pub(crate) fn report(done: u64, note: impl Into<String>) {
    send(&Progress::Report {
        done,
        note: note.into(),
    });
}

/// How often something is told about a phase while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    /// Lines; `None` for none.
    lines: Option<Duration>,
    /// Figures, in lines or beside a bar.
    pub(crate) figures: Duration,
}

impl Interval {
    /// As asked for, zero being no lines; else by whether there is a terminal, which has a bar.
    pub(crate) fn new(asked: Option<Duration>) -> Self {
        Self::of(asked, std::io::stderr().is_terminal())
    }

    fn of(asked: Option<Duration>, is_terminal: bool) -> Self {
        let lines = match asked {
            Some(every) => Some(every).filter(|every| !every.is_zero()),
            None => (!is_terminal).then_some(LINES_EVERY),
        };
        Self {
            lines,
            figures: lines.unwrap_or(BAR_EVERY),
        }
    }
}

/// Shows the progress of one child after another.
#[derive(Debug)]
pub(crate) struct Display {
    bars: bool,
    interval: Interval,
    title: String,
    phase: String,
    total: u64,
    unit: String,
    /// When the phase began or its last line was written.
    last_line: Instant,
    /// Whether it reports by itself.
    has_reports: bool,
    last_note: String,
    bar: Option<ProgressBar>,
}

impl Display {
    /// A display on standard error.
    pub(crate) fn new(interval: Interval) -> Self {
        Self {
            bars: std::io::stderr().is_terminal(),
            interval,
            title: String::new(),
            phase: String::new(),
            total: 0,
            unit: String::new(),
            last_line: Instant::now(),
            has_reports: false,
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
                }
                if self.has_reports {
                    return;
                }
                self.set_message(note);
                let since = self.last_line.elapsed();
                // The end of a phase has a line of its own.
                let is_over = self.total > 0 && *done >= self.total;
                if !is_over && self.interval.lines.is_some_and(|every| since >= every) {
                    self.line(*done, note);
                }
            }
            Progress::Report { done, note } => {
                self.has_reports = true;
                self.set_message(note);
                if self.interval.lines.is_some() {
                    self.line(*done, note);
                }
            }
        }
    }

    fn set_message(&self, note: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(note.to_owned());
        }
    }

    /// A line while the phase runs.
    fn line(&mut self, done: u64, note: &str) {
        self.last_line = Instant::now();
        let far = far(done, self.total, &self.unit);
        let parts = [&self.title, &self.phase, &far, note];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let line = parts.join(": ");
        match &self.bar {
            Some(bar) => bar.suspend(|| crate::console::note(line)),
            None => crate::console::note(line),
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
        unit.clone_into(&mut self.unit);
        self.total = total;
        self.last_line = Instant::now();
        self.has_reports = false;
        if !self.bars {
            return;
        }
        let template = if total == 0 {
            "{prefix:<30} {spinner} {wide_msg}".to_owned()
        } else if unit == "ms" {
            "{prefix:<30} [{bar:24}] {percent:>3} % {wide_msg}".to_owned()
        } else {
            format!("{{prefix:<30}} [{{bar:24}}] {{human_pos}}/{{human_len}} {unit} {{wide_msg}}")
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

/// How far a phase is, and of how much; empty where that says nothing.
fn far(done: u64, total: u64, unit: &str) -> String {
    let shown = |value: u64| match unit {
        "ms" => units::duration(value.saturating_mul(1_000_000)),
        _ => units::count(value),
    };
    let unit = if unit == "ms" { "" } else { unit };
    let text = match total {
        0 if done == 0 => String::new(),
        0 => format!("{} {unit}", shown(done)),
        _ => format!("{} of {} {unit}", shown(done), shown(total)),
    };
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_as_asked_and_else_where_there_is_no_bar() {
        let (none, second) = (Some(Duration::ZERO), Some(BAR_EVERY));
        assert_eq!(Interval::of(None, true).lines, None);
        assert_eq!(Interval::of(None, true).figures, BAR_EVERY);
        assert_eq!(Interval::of(None, false).lines, Some(LINES_EVERY));
        assert_eq!(Interval::of(None, false).figures, LINES_EVERY);
        for is_terminal in [true, false] {
            assert_eq!(Interval::of(none, is_terminal).lines, None);
            assert_eq!(Interval::of(second, is_terminal).lines, second);
        }
    }

    #[test]
    fn how_far_a_phase_is_has_units() {
        assert_eq!(far(1500, 30_000, "ms"), "1.50 s of 30.0 s");
        assert_eq!(far(1500, 0, "rows"), "1,500 rows");
        assert_eq!(far(3, 40, "rounds"), "3 of 40 rounds");
        assert_eq!(far(0, 0, ""), "");
    }

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
