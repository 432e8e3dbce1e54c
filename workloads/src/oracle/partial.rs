//! All or nothing: of a transaction whose end is unknown, either every write is in the final state or none.
//!
//! A row *shows* the transaction if it holds what the transaction left there, and *excludes* it if it holds something that
//! was there before the transaction began. A row whose value may have been written after it proves nothing. Showing in one
//! row and excluding in another is a partial transaction. Acknowledged transactions need no such check: their writes
//! must all be there anyway.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::stream::Plan;
use crate::version::{RowRef, Version};

use super::history::History;
use super::log::UncertainTransaction;
use super::state::{Held, State};
use super::violation::{ViolationKind, Violations};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    Shows,
    Excludes,
    Nothing,
}

impl History {
    pub(super) fn judge_partial(
        &self,
        plan: &Plan,
        before: &State,
        state: &State,
        violations: &mut Violations,
    ) {
        for transaction in self.uncertain() {
            let last: HashMap<RowRef, (Version, bool), FixedState> = transaction
                .writes
                .iter()
                .map(|&(row, version, deletes)| (row, (version, deletes)))
                .collect();
            let (mut shown, mut excluded) = (None, None);
            for (&row, &(version, deletes)) in &last {
                let write = (row, version, deletes);
                match self.evidence(plan, before.held(row), state.held(row), write, transaction) {
                    Evidence::Shows => shown = shown.max(Some(row)),
                    Evidence::Excludes => excluded = excluded.max(Some(row)),
                    Evidence::Nothing => {}
                }
            }
            if let (Some(shown), Some(excluded)) = (shown, excluded) {
                violations.add(ViolationKind::PartialTransaction, Some(excluded), || {
                    let found = state.held(excluded);
                    let (version, deletes) = last[&excluded];
                    format!(
                        "holds {found}, which was there before the transaction of {} began, but {} shows that \
                         it committed, so here it must be {}",
                        version,
                        super::names::row_words(plan, shown),
                        super::history::name_write(version, deletes, None)
                    )
                });
            }
        }
    }

    /// What a row that holds `held`, and held `before` before the run, says about one write of `transaction`.
    fn evidence(
        &self,
        plan: &Plan,
        before: Held,
        held: Held,
        (row, version, deletes): (RowRef, Version, bool),
        transaction: &UncertainTransaction,
    ) -> Evidence {
        if held == Held::Damaged {
            return Evidence::Nothing;
        }
        let committed = self.writes_to(row);
        let left_by_other_uncertain = || {
            let mut others = self
                .uncertain_writes_to(row)
                .iter()
                .filter(|other| other.1 != version);
            others.any(|&(_, other, deletes)| held.is_left_by(plan, row, other, deletes))
        };
        if held.is_left_by(plan, row, version, deletes) {
            // A row that is absent, and a value that does not name its write, may have come about in several ways.
            let ambiguous = !matches!(held, Held::Written(_))
                && (left_by_other_uncertain()
                    || committed
                        .iter()
                        .any(|write| held.is_left_by(plan, row, write.version, write.deletes))
                    || committed.is_empty() && held == before);
            return if ambiguous {
                Evidence::Nothing
            } else {
                Evidence::Shows
            };
        }
        let may_be_later = committed.iter().any(|write| {
            write.acked_ns >= transaction.began_ns && held.is_left_by(plan, row, write.version, write.deletes)
        });
        if may_be_later || left_by_other_uncertain() {
            Evidence::Nothing
        } else {
            Evidence::Excludes
        }
    }
}
