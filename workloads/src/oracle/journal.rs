//! What a process told of its transactions before it was killed.
//!
//! The process writes one line for each step to a pipe or file that outlives it; whoever killed it reads them:
//!
//! | line | written |
//! |---|---|
//! | `I thread sequence began_ns table:row,table:rowd,...` | before the commit begins: the writes (`d` for deletes) |
//! | `A thread sequence commit_id acked_ns` | after the commit was acknowledged (`-` if there is no commit ID) |
//! | `R thread sequence` | after the attempt was rolled back |
//!
//! `sequence` is that of the attempt's first write; the others follow by one. An attempt with an `I` line and neither
//! `A` nor `R` is of unknown end. A last line without its end is ignored: an `I` cut short means that the commit had
//! not begun, an `A` cut short leaves the attempt of unknown end.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::stream::{Plan, Transaction};
use crate::target::TableRef;
use crate::version::{NUMBER_LIMIT, RowRef, Version};

use super::history::{Fate, Fates, History};
use super::log::{LoggedWrite, Outcomes, UncertainTransaction};
use super::state::{Held, State};

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalEntry {
    /// An attempt is about to commit.
    Intent {
        /// Its thread.
        thread: u16,
        /// Sequence of its first write.
        sequence: u64,
        /// When it began, in nanoseconds since the process's origin of time.
        began_ns: u64,
        /// Its writes: the row, and whether it is deleted.
        writes: Vec<(RowRef, bool)>,
    },
    /// Its commit was acknowledged.
    Acknowledged {
        /// Its thread.
        thread: u16,
        /// Sequence of its first write.
        sequence: u64,
        /// The commit's place in commit order, if the engine tells.
        commit_id: Option<u64>,
        /// When, in nanoseconds since the process's origin of time.
        acked_ns: u64,
    },
    /// It was rolled back.
    RolledBack {
        /// Its thread.
        thread: u16,
        /// Sequence of its first write.
        sequence: u64,
    },
}

impl JournalEntry {
    /// The line to write before `transaction` commits.
    pub fn intent(transaction: &Transaction, began_ns: u64) -> Self {
        JournalEntry::Intent {
            thread: transaction.thread(),
            sequence: transaction.first_sequence(),
            began_ns,
            writes: transaction
                .writes()
                .map(|(row, _, deletes)| (row, deletes))
                .collect(),
        }
    }
}

impl fmt::Display for JournalEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalEntry::Intent {
                thread,
                sequence,
                began_ns,
                writes,
            } => {
                write!(f, "I {thread} {sequence} {began_ns} ")?;
                for (index, (row, deletes)) in writes.iter().enumerate() {
                    let (comma, mark) = (if index > 0 { "," } else { "" }, if *deletes { "d" } else { "" });
                    write!(f, "{comma}{}:{}{mark}", row.table().0, row.row())?;
                }
                Ok(())
            }
            JournalEntry::Acknowledged {
                thread,
                sequence,
                commit_id,
                acked_ns,
            } => match commit_id {
                Some(id) => write!(f, "A {thread} {sequence} {id} {acked_ns}"),
                None => write!(f, "A {thread} {sequence} - {acked_ns}"),
            },
            JournalEntry::RolledBack { thread, sequence } => write!(f, "R {thread} {sequence}"),
        }
    }
}

/// A journal that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// A line is not of the format.
    #[error("journal line `{line}`: expected {expected}")]
    Syntax {
        /// The line.
        line: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A line speaks of an attempt that no `I` line announced.
    #[error("journal: write {sequence} of thread {thread} was answered without having been announced")]
    Unannounced {
        /// The thread.
        thread: u16,
        /// Sequence of the attempt's first write.
        sequence: u64,
    },
    /// A line names a table that the plan does not have.
    #[error("journal: table number {table} is not one of the plan's")]
    UnknownTable {
        /// Its number.
        table: u16,
    },
    /// The prefix rule needs commit IDs, and the engine gave none.
    #[error(
        "journal: the order of unsynchronised commits can only be checked with commit IDs, and there are none"
    )]
    NoCommitIds,
}

impl FromStr for JournalEntry {
    type Err = JournalError;

    fn from_str(line: &str) -> Result<Self, JournalError> {
        let bad = |expected: &'static str| JournalError::Syntax {
            line: line.to_owned(),
            expected,
        };
        let mut fields = line.split(' ');
        let kind = fields.next().unwrap_or_default();
        let mut field = |expected: &'static str| fields.next().ok_or_else(|| bad(expected));
        fn number<T: FromStr>(text: &str) -> Option<T> {
            text.parse().ok()
        }
        let thread = number(field("a thread")?).ok_or_else(|| bad("a thread"))?;
        let sequence = number(field("a sequence")?)
            .filter(|&s: &u64| s < NUMBER_LIMIT)
            .ok_or_else(|| bad("a sequence"))?;
        let entry = match kind {
            "I" => {
                let began_ns = number(field("a time")?).ok_or_else(|| bad("a time"))?;
                let writes = field("writes")?
                    .split(',')
                    .map(|text| parse_write(text).ok_or_else(|| bad("writes such as 0:17,0:18d")))
                    .collect::<Result<_, _>>()?;
                JournalEntry::Intent {
                    thread,
                    sequence,
                    began_ns,
                    writes,
                }
            }
            "A" => {
                let commit_id = match field("a commit ID or -")? {
                    "-" => None,
                    text => Some(number(text).ok_or_else(|| bad("a commit ID or -"))?),
                };
                let acked_ns = number(field("a time")?).ok_or_else(|| bad("a time"))?;
                JournalEntry::Acknowledged {
                    thread,
                    sequence,
                    commit_id,
                    acked_ns,
                }
            }
            "R" => JournalEntry::RolledBack { thread, sequence },
            _ => return Err(bad("I, A or R")),
        };
        if fields.next().is_some() {
            Err(bad("the end of the line"))
        } else {
            Ok(entry)
        }
    }
}

fn parse_write(text: &str) -> Option<(RowRef, bool)> {
    let (text, deletes) = text.strip_suffix('d').map_or((text, false), |text| (text, true));
    let (table, row) = text.split_once(':')?;
    let row = row.parse().ok().filter(|&row| row < NUMBER_LIMIT)?;
    Some((RowRef::new(TableRef(table.parse().ok()?), row), deletes))
}

/// What an engine promised about acknowledged commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPromise {
    /// Every one of them is there (durability sync; or no-sync when only the process died).
    Acknowledged,
    /// There may be fewer, but then it is the last ones that are missing, in commit order (durability no-sync and loss
    /// of power).
    Prefix,
}

#[derive(Clone, Debug)]
struct Attempt {
    thread: u16,
    began_ns: u64,
    writes: Vec<(RowRef, Version, bool)>,
    answer: Option<(Option<u64>, u64)>,
}

/// The journal of one process, read line by line.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    attempts: BTreeMap<(u16, u64), Attempt>,
    rolled_back: Vec<(u16, u64, u64)>,
    acknowledged: u64,
}

impl Journal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one line, without its end.
    ///
    /// # Errors
    /// If it is not a line of a journal, or answers an attempt that was not announced.
    pub fn line(&mut self, line: &str) -> Result<(), JournalError> {
        self.record(line.parse()?)
    }

    /// Takes all lines of a text; a last line without its end is ignored.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub fn text(&mut self, text: &str) -> Result<(), JournalError> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .filter(|line| !line.is_empty())
            .try_for_each(|line| self.line(line))
    }

    /// Takes one entry.
    ///
    /// # Errors
    /// If it answers an attempt that was not announced.
    pub fn record(&mut self, entry: JournalEntry) -> Result<(), JournalError> {
        match entry {
            JournalEntry::Intent {
                thread,
                sequence,
                began_ns,
                writes,
            } => {
                let writes = (sequence..).zip(writes);
                let writes = writes
                    .map(|(number, (row, deletes))| (row, Version::new(thread, number), deletes))
                    .collect();
                self.attempts.insert(
                    (thread, sequence),
                    Attempt {
                        thread,
                        began_ns,
                        writes,
                        answer: None,
                    },
                );
            }
            JournalEntry::Acknowledged {
                thread,
                sequence,
                commit_id,
                acked_ns,
            } => {
                let attempt = self
                    .attempts
                    .get_mut(&(thread, sequence))
                    .ok_or(JournalError::Unannounced { thread, sequence })?;
                attempt.answer = Some((commit_id, acked_ns));
                self.acknowledged += 1;
            }
            JournalEntry::RolledBack { thread, sequence } => {
                let attempt = self
                    .attempts
                    .remove(&(thread, sequence))
                    .ok_or(JournalError::Unannounced { thread, sequence })?;
                self.rolled_back
                    .push((thread, sequence, sequence + attempt.writes.len() as u64));
            }
        }
        Ok(())
    }

    /// Number of acknowledged transactions.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Number of transactions of unknown end.
    pub fn uncertain(&self) -> u64 {
        self.attempts
            .values()
            .filter(|attempt| attempt.answer.is_none())
            .count() as u64
    }

    /// The history against which to judge `state`, the database as it was after the crash, and the number of
    /// acknowledged transactions that are missing with leave (always 0 for [`CrashPromise::Acknowledged`], where each
    /// missing one is a violation).
    ///
    /// # Errors
    /// If it names unknown tables, or if [`CrashPromise::Prefix`] is to be checked and there are no commit IDs.
    pub fn into_history(
        self,
        plan: &Plan,
        promise: CrashPromise,
        state: &State,
    ) -> Result<(History, u64), JournalError> {
        for attempt in self.attempts.values() {
            if let Some((row, ..)) = attempt
                .writes
                .iter()
                .find(|write| write.0.table().index() >= plan.tables().len())
            {
                return Err(JournalError::UnknownTable { table: row.table().0 });
            }
        }
        let last_id = match promise {
            CrashPromise::Acknowledged => None,
            CrashPromise::Prefix => Some(self.last_visible_id(plan, state)?),
        };
        let mut last: HashMap<(u16, RowRef), LoggedWrite, FixedState> = HashMap::default();
        let mut fates: HashMap<u16, Fates, FixedState> = HashMap::default();
        let mut outcomes = Outcomes::default();
        let mut uncertain = Vec::new();
        let mut missing_with_leave = 0;
        for (thread, first, next) in self.rolled_back {
            fates
                .entry(thread)
                .or_default()
                .ranges
                .push((first, next, Fate::RolledBack));
            outcomes.rolled_back += 1;
        }
        for ((thread, sequence), attempt) in self.attempts {
            let next = sequence + attempt.writes.len() as u64;
            let fate = match attempt.answer {
                Some((id, _)) if last_id.is_some_and(|last_id| id > last_id) => {
                    missing_with_leave += 1;
                    Fate::RolledBack
                }
                Some((commit_id, acked_ns)) => {
                    outcomes.committed += 1;
                    outcomes.writes += attempt.writes.len() as u64;
                    for (row, version, deletes) in attempt.writes {
                        let began_ns = attempt.began_ns;
                        let write = LoggedWrite {
                            row,
                            version,
                            deletes,
                            commit_id,
                            began_ns,
                            acked_ns,
                        };
                        last.insert((thread, row), write);
                    }
                    Fate::Committed
                }
                None => {
                    outcomes.uncertain += 1;
                    uncertain.push(UncertainTransaction {
                        began_ns: attempt.began_ns,
                        writes: attempt.writes,
                    });
                    Fate::Uncertain
                }
            };
            fates
                .entry(thread)
                .or_default()
                .ranges
                .push((sequence, next, fate));
        }
        for of_thread in fates.values_mut() {
            of_thread.ranges.sort_unstable_by_key(|range| range.0);
        }
        Ok((
            History::from_parts(last.into_values().collect(), uncertain, fates, outcomes),
            missing_with_leave,
        ))
    }

    /// The greatest commit ID that the state shows to be there, or that must be there because something later is.
    fn last_visible_id(&self, plan: &Plan, state: &State) -> Result<Option<u64>, JournalError> {
        let mut last = None;
        let mut uncertain_began_ns = None;
        for attempt in self.attempts.values() {
            let shows = |&(row, version, deletes): &(RowRef, Version, bool)| {
                let held = state.held(row);
                matches!(held, Held::Written(_)) && held.is_left_by(plan, row, version, deletes)
            };
            let visible = attempt.writes.iter().any(shows);
            match attempt.answer {
                Some((None, _)) => return Err(JournalError::NoCommitIds),
                Some((id, _)) if visible => last = last.max(id),
                None if visible => uncertain_began_ns = uncertain_began_ns.max(Some(attempt.began_ns)),
                _ => {}
            }
        }
        for attempt in self.attempts.values() {
            if let (Some((id, acked_ns)), Some(began_ns)) = (attempt.answer, uncertain_began_ns)
                && acked_ns < began_ns
            {
                last = last.max(id);
            }
        }
        debug_assert!(self.attempts.iter().all(|(key, attempt)| key.0 == attempt.thread));
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_entry() -> impl Strategy<Value = JournalEntry> {
        let write = (0u16..3, 0..NUMBER_LIMIT, any::<bool>())
            .prop_map(|(table, row, deletes)| (RowRef::new(TableRef(table), row), deletes));
        let id = (any::<u16>(), 0..NUMBER_LIMIT);
        prop_oneof![
            (id.clone(), any::<u64>(), proptest::collection::vec(write, 1..5)).prop_map(
                |((thread, sequence), began_ns, writes)| JournalEntry::Intent {
                    thread,
                    sequence,
                    began_ns,
                    writes
                }
            ),
            (id.clone(), any::<Option<u64>>(), any::<u64>()).prop_map(
                |((thread, sequence), commit_id, acked_ns)| {
                    JournalEntry::Acknowledged {
                        thread,
                        sequence,
                        commit_id,
                        acked_ns,
                    }
                }
            ),
            id.prop_map(|(thread, sequence)| JournalEntry::RolledBack { thread, sequence }),
        ]
    }

    proptest! {
        #[test]
        fn lines_read_back(entry in any_entry()) {
            prop_assert_eq!(entry.to_string().parse(), Ok(entry));
        }

        #[test]
        fn no_line_makes_the_reader_panic(line in "[IAR0-9:,d -]{0,30}") {
            let _ = line.parse::<JournalEntry>();
        }
    }

    #[test]
    fn foreign_lines_are_refused_with_what_was_expected() {
        for (line, expected) in [
            ("X 1 2", "I, A or R"),
            ("I 1 2", "a time"),
            ("I 1 2 3 ", "writes such as"),
            ("I 1 2 3 0:x", "writes such as"),
            ("A 1 2 x 4", "a commit ID"),
            ("R 1", "a sequence"),
            ("R 1 2 3", "the end"),
        ] {
            let error = line.parse::<JournalEntry>().unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn a_torn_last_line_is_ignored_and_an_unannounced_answer_is_an_error() {
        let mut journal = Journal::new();
        journal
            .text("I 0 1 5 0:1\nA 0 1 - 9\nI 0 2 10 0:1\nA 0 2 - 1")
            .unwrap();
        assert_eq!((journal.acknowledged(), journal.uncertain()), (1, 1));
        assert_eq!(
            journal.line("A 1 1 - 9"),
            Err(JournalError::Unannounced {
                thread: 1,
                sequence: 1
            })
        );
    }
}
