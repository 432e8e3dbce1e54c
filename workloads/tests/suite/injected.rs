//! Every detector fires on the error that it is for.

use std::sync::Arc;

use workloads::oracle::{History, LogOptions, State, Verification, ViolationKind, verify};
use workloads::version::Version;

use crate::run::{load, run, run_attempts, small, verified_run};
use crate::toy::{Bug, Toy};

#[track_caller]
fn assert_found(verification: &Verification, kinds: &[ViolationKind]) {
    for &kind in kinds {
        assert!(
            verification.violations.count(kind) > 0,
            "{kind} was not found; found: {:?}",
            verification.violations.counts().collect::<Vec<_>>()
        );
    }
    assert!(verification.statement().starts_with("VERIFICATION FAILED"));
}

#[test]
fn lost_puts_are_lost_writes_and_missing_rows() {
    for commit_ids in [true, false] {
        let verification = verified_run("mixed", 200, 500, Bug::LosesPuts, commit_ids);
        assert_found(
            &verification,
            &[ViolationKind::LostWrite, ViolationKind::MissingRow],
        );
    }
}

#[test]
fn ignored_deletes_are_resurrected_rows() {
    for commit_ids in [true, false] {
        let verification = verified_run("mixed", 200, 500, Bug::IgnoresDeletes, commit_ids);
        assert_found(&verification, &[ViolationKind::ResurrectedRow]);
    }
}

#[test]
fn writes_that_survive_their_rollback_are_aborted_writes() {
    let plan = Arc::new(small("oltp-write-only", 1000));
    let toy = Toy::new(1, Bug::KeepsRolledBack, true).refusing(7);
    load(&toy, &plan);
    // A second attempt would write the same rows and hide it.
    let history = History::merge(&plan, run_attempts(&toy, &plan, 300, LogOptions::thorough(), 1));
    let (verification, _) = verify(&toy, &plan, &State::loaded(&plan), &history).unwrap();
    assert_found(&verification, &[ViolationKind::AbortedWrite]);
}

#[test]
fn whole_values_that_nobody_wrote_are_unknown_writes_and_unexpected_rows() {
    let plan = Arc::new(small("oltp-write-only", 1000));
    let toy = Toy::new(1, Bug::None, true);
    load(&toy, &plan);
    let history = History::merge(&plan, run(&toy, &plan, 100, LogOptions::thorough()));
    for (row, version, kind) in [
        (7, Version::new(2, 1 << 40), ViolationKind::UnknownWrite),
        (7, Version::new(77, 1), ViolationKind::UnknownWrite),
        (1_000_000, Version::new(2, 1 << 40), ViolationKind::UnexpectedRow),
        (1_000_000, Version::LOADED, ViolationKind::UnexpectedRow),
    ] {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        plan.tables()[0].key(row, &mut key);
        plan.tables()[0].value(row, version, &mut value);
        let mut before = None;
        toy.tamper(|tables| before = tables[0].insert(key.clone(), value));
        let (verification, _) = verify(&toy, &plan, &State::loaded(&plan), &history).unwrap();
        let counts: Vec<_> = verification.violations.counts().collect();
        assert_eq!(counts, [(kind, 1)], "row {row}, {version}");
        toy.tamper(|tables| match before {
            Some(value) => drop(tables[0].insert(key, value)),
            None => drop(tables[0].remove(&key)),
        });
    }
}

#[test]
fn torn_values_are_found_in_the_database_and_when_they_are_read() {
    let verification = verified_run("oltp", 200, 300, Bug::TearsValues, true);
    assert_found(
        &verification,
        &[ViolationKind::DamagedValue, ViolationKind::DamagedRead],
    );
}

#[test]
fn values_in_the_wrong_row_are_damage() {
    let verification = verified_run("oltp-write-only", 1000, 500, Bug::MisplacesValues, true);
    assert_found(
        &verification,
        &[ViolationKind::DamagedValue, ViolationKind::LostWrite],
    );
}

#[test]
fn invented_keys_are_found() {
    let verification = verified_run("oltp-write-only", 200, 300, Bug::InventsKeys, true);
    assert_eq!(
        verification.violations.counts().collect::<Vec<_>>(),
        [(ViolationKind::BadKey, 1)]
    );
}

#[test]
fn stale_reads_for_update_are_lost_updates() {
    let verification = verified_run("ycsb-f", 200, 500, Bug::StaleReadsForUpdate, true);
    assert_found(&verification, &[ViolationKind::LostUpdate]);
}

#[test]
fn reads_of_rolled_back_values_are_found() {
    let verification = verified_run("ycsb-f", 200, 500, Bug::ReadsRolledBack, true);
    assert_found(&verification, &[ViolationKind::AbortedRead]);
}

#[test]
fn rows_that_are_not_found_are_noticed_by_point_reads_and_ranges() {
    let verification = verified_run("oltp", 200, 200, Bug::MissesRows, true);
    assert_found(&verification, &[ViolationKind::VanishedRow]);
    let verification = verified_run("oltp", 200, 200, Bug::ScanSkips, true);
    assert_found(&verification, &[ViolationKind::VanishedRow]);
    let verification = verified_run("oltp", 200, 200, Bug::ScanRepeats, true);
    assert_found(&verification, &[ViolationKind::KeyOrder]);
}

#[test]
fn damaged_answers_are_found_although_the_database_is_whole() {
    let verification = verified_run("ycsb-c", 200, 200, Bug::DamagesReads, true);
    assert_found(&verification, &[ViolationKind::DamagedRead]);
    assert_eq!(verification.violations.count(ViolationKind::DamagedValue), 0);
}

#[test]
fn commit_ids_in_the_wrong_order_are_found() {
    let verification = verified_run("oltp-write-only", 100, 300, Bug::FallingCommitIds, true);
    assert_found(&verification, &[ViolationKind::CommitOrder]);
    // Neighbouring commits are often of one thread, and else of the same hot rows.
    let verification = verified_run("oltp-write-only", 10, 2000, Bug::SwappedCommitIds, true);
    assert_found(&verification, &[ViolationKind::CommitOrder]);
}

#[test]
fn a_detector_stays_silent_on_the_errors_of_others() {
    let verification = verified_run("oltp", 200, 200, Bug::ScanSkips, true);
    assert_eq!(
        verification
            .violations
            .counts()
            .map(|(kind, _)| kind)
            .collect::<Vec<_>>(),
        [ViolationKind::VanishedRow]
    );
}
