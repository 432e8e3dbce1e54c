//! The history that a journal proves.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::oracle::history::{Fate, Fates, History};
use crate::oracle::log::{LoggedWrite, Outcomes, UncertainTransaction};
use crate::oracle::state::{Held, State};
use crate::stream::Plan;
use crate::version::{RowRef, Version};

use super::entry::{JournalEntry, JournalError};

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
