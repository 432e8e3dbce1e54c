//! What all threads did, put together in commit order: the ledger that the oracle of the crash tests judges by.

use std::sync::Arc;

use engine::CommitId;

use crate::actors::{Done, TableChange};
use crate::base::Base;
use crate::ledger::{Ledger, was_newest};
use crate::session::Committed;
use crate::state::{Rows, State, apply};

/// Something that has a commit of its own.
enum Event {
    Rows(Committed),
    Table(TableChange),
}

impl Event {
    fn commit(&self) -> CommitId {
        match self {
            Self::Rows(committed) => committed.commit,
            Self::Table(change) => change.commit,
        }
    }

    /// Whether what it read under locks is what is there.
    fn has_read(&self, state: &State) -> bool {
        match self {
            Self::Rows(committed) => committed.reads.iter().all(|read| was_newest(state, read).is_ok()),
            Self::Table(_) => true,
        }
    }

    /// Makes its changes.
    fn happen(&self, state: &mut State) {
        match self {
            Self::Rows(committed) => apply(state, &committed.changes),
            Self::Table(change) if change.is_there => {
                state.insert(change.table, Arc::new(Rows::new()));
            }
            Self::Table(change) => drop(state.remove(&change.table)),
        }
    }
}

/// Which of several events with one commit has made it: transactions that changed nothing in the end return the commit of
/// another. Behind the one that is looked for, the others change nothing. Two may change the same in the end, one that deletes a row
/// and one that puts it back and deletes it again: what they have read tells which was first.
fn maker(events: &[Event], state: &State) -> usize {
    let is_maker = |at: &usize| {
        if !events[*at].has_read(state) {
            return false;
        }
        let mut after = state.clone();
        events[*at].happen(&mut after);
        let others = events.iter().enumerate().filter(|(other, _)| other != at);
        others.map(|(_, other)| other).all(|other| {
            let mut later = after.clone();
            other.happen(&mut later);
            later == after
        })
    };
    (0..events.len()).find(is_maker).unwrap_or(0)
}

/// The ledger of a run, and what there is at its end.
///
/// # Errors
/// What cannot have been.
pub(crate) fn put_together(base: &Base, done: Vec<Done>) -> Result<(Ledger, State), String> {
    let (mut ledger, mut state) = (base.ledger.clone(), base.state.clone());
    let (mut events, mut promises, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for one in done {
        promises.extend(one.promises);
        seen.extend(one.seen);
        events.extend(one.tables.into_iter().map(Event::Table));
        for (committed, point) in one.commits {
            if committed.promises {
                promises.push((point, committed.commit));
            }
            events.push(Event::Rows(committed));
        }
    }
    events.sort_by_key(Event::commit);
    while !events.is_empty() {
        let first = events[0].commit();
        let same = events.iter().take_while(|event| event.commit() == first).count();
        let event = events.remove(maker(&events[..same], &state));
        match &event {
            Event::Rows(committed) => ledger.applied(&mut state, committed)?,
            Event::Table(change) => {
                event.happen(&mut state);
                ledger.synced.insert(change.commit);
                ledger.states.insert(change.commit, state.clone());
            }
        }
    }
    promises.sort_by_key(|(point, _)| *point);
    for (point, commit) in promises {
        ledger.promise_at(point, commit);
    }
    ledger.was_seen(&seen)?;
    Ok((ledger, state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Value;
    use crate::session::LockedRead;

    #[test]
    fn of_two_events_that_change_the_same_in_the_end_the_one_that_read_what_was_there_was_first() {
        let (table, key) = (1, 4);
        let value = |version| Some(Value { len: 24, version });
        let event = |changes: Vec<_>, read: Option<Option<u32>>| {
            let reads = read.map(|version| LockedRead { table, key, version });
            Event::Rows(Committed {
                commit: CommitId(8),
                changes,
                reads: reads.into_iter().collect(),
                promises: false,
            })
        };
        let mut state = State::new();
        state.insert(table, Arc::new(Rows::new()));
        apply(&mut state, &[(table, key, value(1))]);
        let deletes = || event(vec![(table, key, None)], None);
        let comes_and_goes = |read| event(vec![(table, key, value(1)), (table, key, None)], Some(read));
        assert_eq!(maker(&[comes_and_goes(None), deletes()], &state), 1);
        assert_eq!(maker(&[deletes(), comes_and_goes(None)], &state), 0);
        assert_eq!(maker(&[comes_and_goes(Some(1)), deletes()], &state), 0);
    }
}
