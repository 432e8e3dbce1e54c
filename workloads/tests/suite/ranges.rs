//! Which rows a range must return is known for every form and order of keys, in both directions, beside deletes and own writes.

use std::sync::Arc;

use workloads::oracle::{History, LogOptions, State, Verification, ViolationKind, verify};
use workloads::spec::Spec;
use workloads::stream::Plan;

use crate::run::{load, run};
use crate::toy::{Bug, Toy};

/// Ranges over a table of some form, and what else transactions do, for a moment.
fn plan(form: &str, order: &str, direction: &str, more: &str) -> Arc<Plan> {
    let text = format!(
        r#"
        title = "Ranges"
        threads = 4
        isolation = "serializable"
        durability = "in-memory"

        [[table]]
        name = "rows"
        rows = 200
        key = {{ form = "{form}", order = "{order}" }}
        value = {{ size = 40 }}
        keys = {{ distribution = "uniform" }}

        [[transaction]]
        name = "scan"
        weight = 5
        operations = [{{ op = "range", length = {{ min = 1, max = 60 }}, direction = "{direction}" }}]
        {more}
        "#
    );
    Arc::new(Plan::new(Spec::parse("ranges", "ranges.toml", &text).unwrap()))
}

const CHANGES: &str = r#"
    [[transaction]]
    name = "change"
    weight = 1
    operations = [{ op = "update" }, { op = "insert" }, { op = "delete" }]
"#;

const OWN: &str = r#"
    [[transaction]]
    name = "own"
    weight = 5
    operations = [{ op = "update", count = 5 }, { op = "insert" }, { op = "delete" }, { op = "range", length = 50 }, { op = "point-read" }]
"#;

fn verified(plan: &Arc<Plan>, bug: Bug) -> Verification {
    let loaded = Toy::new(1, Bug::None, true);
    load(&loaded, plan);
    let toy = Toy::new(1, bug, true).refusing(7);
    loaded.tamper(|tables| toy.tamper(|own| own.clone_from(tables)));
    let history = History::merge(plan, run(&toy, plan, 150, LogOptions::thorough()));
    verify(&toy, plan, &State::loaded(plan), &history).unwrap().0
}

#[track_caller]
fn assert_only(verification: &Verification, kind: ViolationKind) {
    let found: Vec<_> = verification.violations.counts().map(|(kind, _)| kind).collect();
    assert_eq!(found, [kind], "{:?}", verification.violations.examples());
}

#[test]
fn missing_rows_are_noticed_in_every_form_and_order_and_both_directions() {
    for form in ["integer", "text"] {
        for order in ["sequential", "hashed"] {
            for direction in ["forward", "reverse"] {
                for more in ["", CHANGES] {
                    let plan = plan(form, order, direction, more);
                    let clean = verified(&plan, Bug::None);
                    assert!(clean.is_clean(), "{:?}", clean.violations.examples());
                    assert!(clean.ranges_checked > 100 && clean.statement().contains("ranges without a gap"));
                    for bug in [Bug::OneRowScans, Bug::ScanSkips] {
                        assert_only(&verified(&plan, bug), ViolationKind::VanishedRow);
                    }
                }
            }
        }
    }
}

#[test]
fn limits_and_counts_are_checked_in_every_transaction() {
    let plan = plan("text", "hashed", "forward", CHANGES);
    for bug in [Bug::IgnoresLimits, Bug::WrongCounts] {
        let verification = verified(&plan, bug);
        assert_only(&verification, ViolationKind::WrongCount);
        assert!(verification.violations.count(ViolationKind::WrongCount) > 300);
    }
}

#[test]
fn a_transaction_must_see_what_it_wrote_itself() {
    for order in ["sequential", "hashed"] {
        let plan = plan("integer", order, "forward", OWN);
        let clean = verified(&plan, Bug::None);
        assert!(clean.is_clean(), "{:?}", clean.violations.examples());
        let found = verified(&plan, Bug::ScansMissOwn);
        assert!(
            found.violations.count(ViolationKind::OwnWrite) > 0,
            "{:?}",
            found.violations.examples()
        );
    }
}

#[test]
fn values_that_were_replaced_before_a_transaction_began_are_stale() {
    let more = r#"
        [[transaction]]
        name = "read"
        weight = 5
        operations = [{ op = "point-read" }]
        [[transaction]]
        name = "update"
        weight = 1
        operations = [{ op = "update" }]
    "#;
    for commit_ids in [true, false] {
        let plan = plan("text", "hashed", "forward", more);
        let toy = Toy::new(1, Bug::StaleReads, commit_ids);
        load(&toy, &plan);
        let history = History::merge(&plan, run(&toy, &plan, 300, LogOptions::thorough()));
        let (found, _) = verify(&toy, &plan, &State::loaded(&plan), &history).unwrap();
        assert_only(&found, ViolationKind::StaleRead);
    }
}

#[test]
fn few_places_for_ranges_are_enough_for_a_long_run() {
    let plan = plan("text", "hashed", "reverse", CHANGES);
    let toy = Toy::new(1, Bug::ScanSkips, true);
    load(&toy, &plan);
    let options = LogOptions {
        ranges_max: 80,
        read_check_interval: 1,
        ..LogOptions::default()
    };
    let history = History::merge(&plan, run(&toy, &plan, 1000, options));
    assert_eq!(history.ranges_kept(), 80);
    let (found, _) = verify(&toy, &plan, &State::loaded(&plan), &history).unwrap();
    assert_only(&found, ViolationKind::VanishedRow);
}
