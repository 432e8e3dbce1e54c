//! Every lie is found by the rule that it breaks, and no rule is broken by engines that do not lie.

use std::sync::Arc;
use std::time::Duration;

use workloads::conformance::{self, RULES, Report, TIME_LIMIT};

use super::*;
use crate::drivers::{factories, factory};

fn check(engine: &str, wanted: impl Fn(&str) -> bool, limit: Duration) -> Report {
    let directory = tempfile::tempdir().unwrap();
    let factory = Arc::from(factory(engine).unwrap());
    conformance::check_rules(factory, directory.path(), limit, |rule| wanted(rule.id), |_| {})
}

#[test]
fn the_engines_here_keep_every_rule() {
    for engine in factories() {
        let report = check(engine.name(), |_| true, TIME_LIMIT);
        assert!(report.is_conforming(), "{report}");
        assert_eq!(report.rules.len(), RULES.len());
    }
}

#[test]
fn every_lie_is_found_by_the_rule_that_it_breaks() {
    let mut wrong = Vec::new();
    for (lie, name, rule, engine) in Lie::ALL {
        // What waits for ever is given less time.
        let limit = if lie == Lie::WaitsForEver {
            Duration::from_secs(2)
        } else {
            TIME_LIMIT
        };
        let report = check(&format!("{engine}-liar-{name}"), |id| id == rule, limit);
        if report.broken().collect::<Vec<_>>() != [rule] {
            wrong.push(format!("{lie:?}: {report}"));
        }
        // The engine that does not lie keeps this rule, so it was the lie.
        let honest = check(engine, |id| id == rule, TIME_LIMIT);
        assert!(honest.is_conforming(), "{honest}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn of_many_broken_rules_the_one_that_the_others_rest_on_is_named() {
    let report = check("memory-liar-one-row-scans", |_| true, TIME_LIMIT);
    assert!(report.broken().count() > 5, "{report}");
    assert_eq!(report.cause(), Some("scan-order"));
    assert!(
        report
            .sum()
            .ends_with("begin with scan-order, on which other checks rest")
    );
}

#[test]
fn liars_are_found_by_name_only() {
    assert_eq!(factory("memory-lossy").unwrap().name(), "memory-lossy");
    assert_eq!(
        factory("memory-liar-wrong-order").unwrap().name(),
        "memory-liar-wrong-order"
    );
    assert!(factory("memory-liar-nonsense").is_err());
    assert!(factories().iter().all(|engine| !engine.name().contains("-l")));
}
