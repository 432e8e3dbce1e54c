//! The checks by themselves: every rule is where the traits are, and trouble of an engine is a finding.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::driver::{Capabilities, OpenOptions, Target, TargetError};

#[test]
fn every_rule_is_named_once_and_where_the_traits_are() {
    let text = [
        include_str!("../driver/mod.rs"),
        include_str!("../driver/capabilities.rs"),
        include_str!("../driver/options.rs"),
        include_str!("../driver/stats.rs"),
        include_str!("../driver/rows.rs"),
    ]
    .concat();
    for (at, rule) in RULES.iter().enumerate() {
        assert!(
            RULES[..at].iter().all(|other| other.id != rule.id),
            "{} is there twice",
            rule.id
        );
        assert!(
            text.contains(&format!("`{}`", rule.id)),
            "`{}` is not in the documentation of the traits",
            rule.id
        );
    }
}

/// An engine that does not even open.
struct Stubborn {
    capabilities: Capabilities,
    hangs: bool,
}

impl TargetFactory for Stubborn {
    fn name(&self) -> &str {
        "stubborn"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn open(&self, _: &OpenOptions) -> Result<Box<dyn Target>, TargetError> {
        if self.hangs {
            loop {
                std::thread::park();
            }
        }
        panic!("no such luck")
    }
}

fn findings(hangs: bool, limit: Duration) -> Report {
    let mut capabilities = Capabilities::new("stubborn", "0", "opens nothing");
    capabilities.durabilities = [crate::driver::Durability::InMemory].into();
    capabilities.isolations = [crate::driver::Isolation::Snapshot].into();
    let directory = tempfile::tempdir().unwrap();
    let factory = Arc::new(Stubborn { capabilities, hangs });
    check_rules(
        factory,
        directory.path(),
        limit,
        |rule| rule.id == "declared" || rule.id == "reopened",
        |_| {},
    )
}

#[test]
fn panics_and_hangs_are_findings_and_not_the_end() {
    for (hangs, limit, saw) in [
        (false, TIME_LIMIT, "a panic: no such luck"),
        (true, Duration::from_millis(50), "nothing within"),
    ] {
        let report = findings(hangs, limit);
        assert!(!report.is_conforming());
        assert_eq!(report.broken().collect::<Vec<_>>(), ["declared"]);
        let text = report.to_string();
        assert!(text.contains(saw) && text.contains("create a database"), "{text}");
        assert!(
            text.contains("does not apply  reopened: declared that nothing is kept"),
            "{text}"
        );
        assert!(
            text.ends_with("stubborn: 0 rules passed, 1 broken, 1 do not apply"),
            "{text}"
        );
    }
}
