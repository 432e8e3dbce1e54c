//! What a check found wrong.

use std::collections::BTreeMap;
use std::fmt;

use super::names::row_words;
use crate::stream::Plan;
use crate::values::ValueFault;
use crate::version::RowRef;

/// The kinds of error that the oracle tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViolationKind {
    /// A row holds a committed value that a later commit had replaced: that commit's write is lost, or the two were
    /// applied in the wrong order.
    LostWrite,
    /// A row that must exist does not.
    MissingRow,
    /// A row exists although the last commit that touched it deleted it.
    ResurrectedRow,
    /// A row exists that nobody inserted.
    UnexpectedRow,
    /// A row holds the value of an attempt that was rolled back.
    AbortedWrite,
    /// A row holds a value that nobody wrote.
    UnknownWrite,
    /// A stored value is torn, damaged, or belongs to another row.
    DamagedValue,
    /// A stored key is none that the workload makes.
    BadKey,
    /// A scan returned keys out of order, or one twice.
    KeyOrder,
    /// Of a transaction that was under way at a crash, some writes are there and some are not.
    PartialTransaction,
    /// Commit IDs contradict the order in which transactions ended and began.
    CommitOrder,
    /// Two committed transactions both read the same version of a row for update and replaced it.
    LostUpdate,
    /// A transaction read the value of an attempt that was rolled back.
    AbortedRead,
    /// A transaction read a value that nobody wrote.
    UnknownRead,
    /// A transaction read a value that is torn, damaged, or belongs to another row.
    DamagedRead,
    /// A transaction did not find a row that was certainly there, or a range passed over it.
    VanishedRow,
    /// A transaction read what a row held before a write that was acknowledged when the transaction began.
    StaleRead,
    /// A transaction did not read what it had written itself.
    OwnWrite,
    /// A range told another number of rows than it gave, or gave more than its limit.
    WrongCount,
}

impl ViolationKind {
    /// Every kind.
    pub const ALL: [ViolationKind; 19] = [
        ViolationKind::LostWrite,
        ViolationKind::MissingRow,
        ViolationKind::ResurrectedRow,
        ViolationKind::UnexpectedRow,
        ViolationKind::AbortedWrite,
        ViolationKind::UnknownWrite,
        ViolationKind::DamagedValue,
        ViolationKind::BadKey,
        ViolationKind::KeyOrder,
        ViolationKind::PartialTransaction,
        ViolationKind::CommitOrder,
        ViolationKind::LostUpdate,
        ViolationKind::AbortedRead,
        ViolationKind::UnknownRead,
        ViolationKind::DamagedRead,
        ViolationKind::VanishedRow,
        ViolationKind::StaleRead,
        ViolationKind::OwnWrite,
        ViolationKind::WrongCount,
    ];

    /// How many kinds there are; the last one is the last that is declared.
    #[cfg(test)]
    const COUNT: usize = ViolationKind::WrongCount as usize + 1;

    /// The name used in records.
    pub const fn name(self) -> &'static str {
        match self {
            ViolationKind::LostWrite => "lost-write",
            ViolationKind::MissingRow => "missing-row",
            ViolationKind::ResurrectedRow => "resurrected-row",
            ViolationKind::UnexpectedRow => "unexpected-row",
            ViolationKind::AbortedWrite => "aborted-write",
            ViolationKind::UnknownWrite => "unknown-write",
            ViolationKind::DamagedValue => "damaged-value",
            ViolationKind::BadKey => "bad-key",
            ViolationKind::KeyOrder => "key-order",
            ViolationKind::PartialTransaction => "partial-transaction",
            ViolationKind::CommitOrder => "commit-order",
            ViolationKind::LostUpdate => "lost-update",
            ViolationKind::AbortedRead => "aborted-read",
            ViolationKind::UnknownRead => "unknown-read",
            ViolationKind::DamagedRead => "damaged-read",
            ViolationKind::VanishedRow => "vanished-row",
            ViolationKind::StaleRead => "stale-read",
            ViolationKind::OwnWrite => "own-write",
            ViolationKind::WrongCount => "wrong-count",
        }
    }
}

impl fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What kind of error it is.
    pub kind: ViolationKind,
    /// The row, if it is about one.
    pub row: Option<RowRef>,
    /// What was found and what was expected.
    pub message: String,
    /// Another row, with which the message ends: only who has the plan can name it.
    pub other: Option<RowRef>,
}

impl Violation {
    /// In words, with the table's name and the row's key as the engine has them.
    pub fn words(&self, plan: &Plan) -> String {
        let row = self.row.map(|row| format!("{}: ", row_words(plan, row)));
        let other = self.other.map(|other| format!(" {}", row_words(plan, other)));
        format!(
            "{}: {}{}{}",
            self.kind,
            row.unwrap_or_default(),
            self.message,
            other.unwrap_or_default()
        )
    }
}

/// How many violations of each kind are kept with their text.
const EXAMPLES_PER_KIND: u64 = 10;

/// All that is wrong: every violation counted, the first of each kind kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    counts: BTreeMap<ViolationKind, u64>,
    examples: Vec<Violation>,
}

impl Violations {
    /// Adds one. `message` is only made if it is kept.
    pub fn add(&mut self, kind: ViolationKind, row: Option<RowRef>, message: impl FnOnce() -> String) {
        self.add_with(kind, row, || (message(), None));
    }

    /// Adds a value that `row` holds and that is not whole, or not of this row.
    pub(super) fn add_fault(&mut self, kind: ViolationKind, row: RowRef, fault: ValueFault) {
        self.add_with(kind, Some(row), || match fault {
            ValueFault::OfAnotherRow(other) => ("it was written to".to_owned(), Some(other)),
            fault => (fault.to_string(), None),
        });
    }

    fn add_with(
        &mut self,
        kind: ViolationKind,
        row: Option<RowRef>,
        message: impl FnOnce() -> (String, Option<RowRef>),
    ) {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if *count <= EXAMPLES_PER_KIND {
            let (message, other) = message();
            self.examples.push(Violation {
                kind,
                row,
                message,
                other,
            });
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Violations) {
        for example in other.examples {
            let kept = self
                .examples
                .iter()
                .filter(|own| own.kind == example.kind)
                .count() as u64;
            if kept < EXAMPLES_PER_KIND {
                self.examples.push(example);
            }
        }
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
    }

    /// True if nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Number of violations of all kinds.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Number of violations of one kind.
    pub fn count(&self, kind: ViolationKind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    /// Number of violations of each kind that occurred.
    pub fn counts(&self) -> impl Iterator<Item = (ViolationKind, u64)> + '_ {
        self.counts.iter().map(|(&kind, &count)| (kind, count))
    }

    /// The first violations of each kind.
    pub fn examples(&self) -> &[Violation] {
        &self.examples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_few_are_kept() {
        let mut one = Violations::default();
        for number in 0..25 {
            one.add(ViolationKind::LostWrite, None, || number.to_string());
        }
        let mut other = Violations::default();
        other.add(ViolationKind::BadKey, None, || "x".into());
        other.merge(one);
        assert_eq!((other.total(), other.count(ViolationKind::LostWrite)), (26, 25));
        assert_eq!(other.examples().len(), 11);
        let plan = Plan::new(crate::spec::builtin("oltp").unwrap());
        assert_eq!(other.examples()[0].words(&plan), "bad-key: x");
        assert!(Violations::default().is_empty());
    }

    #[test]
    fn the_list_of_kinds_has_each_once() {
        // The discriminants count, so a kind that is missing from the list leaves a gap or cuts off its end.
        let listed: Vec<usize> = ViolationKind::ALL.iter().map(|kind| *kind as usize).collect();
        assert_eq!(listed, (0..ViolationKind::COUNT).collect::<Vec<_>>());
    }
}
