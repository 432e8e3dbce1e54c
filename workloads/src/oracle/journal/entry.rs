//! One line of a journal, and why a journal may be refused.

use std::fmt;
use std::str::FromStr;

use crate::driver::TableRef;
use crate::stream::Transaction;
use crate::version::{NUMBER_LIMIT, RowRef};

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
}
