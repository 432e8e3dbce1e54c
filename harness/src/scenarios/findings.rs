//! What a check can find wrong beside what the oracle tells apart ([`ViolationKind`](workloads::oracle::ViolationKind)): databases
//! that do not open, and processes that die. `docs/methodology.md` says what each kind means.

use std::fmt;

/// A kind of finding. Its name leads the finding in records and on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FindingKind {
    /// The engine refused to open the database.
    NotOpened,
    /// It opened the database, and failed while all rows were read.
    NotRead,
    /// Its own check of the database's structure failed.
    Structure,
    /// The process that opens and compares died, or said nothing for a minute.
    CheckFailed,
    /// A process that was to work until it is killed ended with an error or a panic, by itself, or stood still.
    WorkFailed,
    /// The first process on a fresh database never got to its work.
    NotStarted,
}

impl FindingKind {
    /// Every kind.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 6] = [
        Self::NotOpened,
        Self::NotRead,
        Self::Structure,
        Self::CheckFailed,
        Self::WorkFailed,
        Self::NotStarted,
    ];

    /// The name used in records.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NotOpened => "not-opened",
            Self::NotRead => "not-read",
            Self::Structure => "structure",
            Self::CheckFailed => "check-failed",
            Self::WorkFailed => "work-failed",
            Self::NotStarted => "not-started",
        }
    }

    /// A finding of this kind.
    pub(crate) fn with(self, what: impl fmt::Display) -> String {
        format!("{}: {what}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use workloads::oracle::ViolationKind;

    #[test]
    fn the_methodology_explains_every_kind_of_finding_and_no_other() {
        let text = include_str!("../../../docs/methodology.md");
        let section = text.split("### What can be found").nth(1).unwrap();
        let section = section.split("\n#").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let mut explained: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        let mut kinds: Vec<&str> = ViolationKind::ALL.iter().map(|kind| kind.name()).collect();
        kinds.extend(FindingKind::ALL.iter().map(|kind| kind.name()));
        explained.sort_unstable();
        kinds.sort_unstable();
        assert_eq!(explained, kinds);
    }
}
