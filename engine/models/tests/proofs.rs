//! The models would find something: with a mistake injected that is one of their protocol's, they fail.

use std::panic::{AssertUnwindSafe, catch_unwind};

use engine_models::injected::{self, Bug};
use engine_models::mvcc::models as registry;
use engine_models::pool::models as latch;
use engine_models::txn::models as group;

/// What the model says that finds the mistake.
#[track_caller]
fn found<T>(fault: Bug, model: impl FnOnce() -> T) -> String {
    assert!(injected::are_possible(), "a build without faults");
    let result = catch_unwind(AssertUnwindSafe(|| injected::with(Some(fault), model)));
    let panic = result.err().expect("a model that fails");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .expect("a message")
}

macro_rules! proofs {
    ($($name:ident: $fault:ident, $model:path, $says:literal;)*) => {
        $(#[test]
        fn $name() {
            let said = found(Bug::$fault, $model);
            assert!(said.contains($says), "for another reason: {said}");
        })*
    };
}

proofs! {
    a_read_that_is_not_validated: ReadNotValidated, latch::a_change_and_a_reader, "half of a change";
    a_snapshot_that_looks_once: SnapshotLooksOnce, registry::a_snapshot_begins_beside_a_commit, "below the horizon";
    a_horizon_that_is_read_backwards: HorizonLooksBackwards, registry::a_snapshot_begins_beside_a_commit, "below the horizon";
    a_lead_that_is_not_passed: LeadNotPassed, group::two_commits, "deadlock";
    a_lead_that_is_lost_with_its_holder: LeadLostWithItsHolder, group::three_commits_and_a_flush, "deadlock";
    a_waiter_that_is_not_woken: WaiterNotWoken, group::two_commits, "deadlock";
    an_unsynchronised_commit_that_overtakes: UnsyncedOvertakes, group::a_commit_and_an_unsynchronised_one, "is visible, and only";
    a_group_that_acknowledges_one_more: GroupAcknowledgesOneMore, group::two_commits, "is visible";
    a_commit_that_is_visible_before_it_is_durable: VisibleBeforeDurable, group::two_commits, "is visible";
}
