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
        format!(
            "{} acknowledged{}, {} lost, {} partial",
            self.found.acknowledged,
            self.found.missing_words(),
            self.found.lost,
            self.found.partial
        )
    }

    /// What to know at the end.
    pub(crate) fn summary(&self) -> String {
        let found = &self.found;
        format!(
            "{} rounds, {} acknowledged commits{}, {} lost, {} partial; redo {}/s",
            found.rounds,
            units::count(found.acknowledged),
            found.missing_words(),
            found.lost,
            found.partial,
            units::or_missing(found.redo_bytes_per_second(), |rate| units::bytes(rate as u64)),
        )
    }

    /// The record.
    pub(crate) fn finish(mut self) -> Recovery {
        self.found.duration_ns = Some(self.begun.elapsed().as_nanos() as u64);
        self.found
    }
}
