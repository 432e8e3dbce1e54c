//! What the rounds have found so far.

use std::time::Instant;

use reports::record::{Recovery, RecoveryKind};

use super::Subject;
use super::checker::CheckAnswer;

/// Findings kept in the record.
const FINDINGS_MAX: usize = 40;

/// The record of rounds on one engine, in the making.
#[derive(Debug)]
pub(crate) struct RoundCounts {
    /// So far.
    pub(crate) found: Recovery,
    begun: Instant,
}

impl RoundCounts {
    /// Nothing found yet.
    pub(crate) fn new(subject: &Subject, kind: RecoveryKind, rounds: u32) -> Self {
        Self {
            found: Recovery {
                engine: subject.engine.clone(),
                kind,
                durability: Some(subject.spec.durability.name().to_owned()),
                rounds_planned: Some(u64::from(rounds)),
                notes: subject.notes.clone(),
                ..Recovery::default()
            },
            begun: Instant::now(),
        }
    }

    /// Adds a round's answer; `false` when the database is no good to go on with.
    pub(crate) fn take(&mut self, round: u32, answer: &CheckAnswer) -> bool {
        let found = &mut self.found;
        found.rounds += 1;
        found.acknowledged += answer.acknowledged;
        self.take_image(round, answer)
    }

    /// Adds an answer about another state of a round that was or will be counted.
    pub(crate) fn take_image(&mut self, round: u32, answer: &CheckAnswer) -> bool {
        let found = &mut self.found;
        found.unreadable += u64::from(answer.unreadable);
        found.lost += answer.lost;
        found.partial += answer.partial;
        found.missing_with_leave += answer.missing_with_leave;
        if answer.redo_bytes.is_some() && answer.redo_ns.is_some() {
            found.redo_bytes = Some(found.redo_bytes.unwrap_or(0) + answer.redo_bytes.unwrap_or(0));
            found.redo_duration_ns = Some(found.redo_duration_ns.unwrap_or(0) + answer.redo_ns.unwrap_or(0));
        }
        if answer.open_ns > 0 {
            found.open_duration_ns.push(answer.open_ns);
            found.open_redo_bytes.extend(answer.redo_bytes);
        }
        for finding in &answer.findings {
            self.finding(round, finding);
        }
        answer.findings.is_empty()
    }

    /// Adds something that is wrong.
    pub(crate) fn finding(&mut self, round: u32, what: &str) {
        if self.found.findings.len() < FINDINGS_MAX {
            self.found.findings.push(format!("round {}: {what}", round + 1));
        }
    }

    /// What to know while it goes on.
    pub(crate) fn note(&self) -> String {
        self.found.statement()
    }

    /// What to know at the end.
    pub(crate) fn summary(&self) -> String {
        let found = &self.found;
        let redo = found.redo_bytes_per_second();
        let redo = redo.map_or_else(String::new, |rate| {
            format!("; redo {}/s", units::bytes(rate as u64))
        });
        format!("{} rounds: {}{redo}", found.rounds, found.statement())
    }

    /// The record.
    pub(crate) fn finish(mut self) -> Recovery {
        self.found.duration_ns = Some(self.begun.elapsed().as_nanos() as u64);
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine_options::EngineOptions;
    use workloads::spec::Overrides;

    #[test]
    fn a_database_that_does_not_open_is_told_first_and_loses_no_rows_that_nobody_counted() {
        let subject = Subject::new("palimpsest", &Overrides::default(), EngineOptions::default()).unwrap();
        let mut counts = RoundCounts::new(&subject, RecoveryKind::Kill, 2);
        let good = CheckAnswer {
            acknowledged: 10,
            open_ns: 5,
            ..CheckAnswer::default()
        };
        assert!(counts.take(0, &good));
        assert_eq!(
            counts.note(),
            "10 acknowledged commits, of which 0 rows were missing and 0 transactions partial"
        );
        assert!(!counts.take(1, &CheckAnswer::unreadable(7, "not-opened: no".into())));
        let note = counts.note();
        assert!(
            note.starts_with("the database DID NOT OPEN 1 time; 17 acknowledged"),
            "{note}"
        );
        let found = counts.finish();
        assert_eq!(
            (found.unreadable, found.lost, found.nothing_lost()),
            (1, 0, false)
        );
        assert_eq!(found.findings, ["round 2: not-opened: no"]);
    }
}
