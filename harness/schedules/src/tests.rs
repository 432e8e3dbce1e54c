//! A bounded number of schedules, and the proofs that they would find something.

use crate::{Limit, replay, run};

#[test]
fn smoke() {
    let n = std::env::var("N").map_or(20, |n| n.parse().unwrap());
    let first = std::env::var("FIRST").map_or(0, |n| n.parse().unwrap());
    let s = run(first, Limit::Schedules(n), 2, None);
    eprintln!(
        "{} schedules, {:.0}/s, {} points, {} commits, {} images",
        s.schedules,
        s.rate(),
        s.points,
        s.commits,
        s.images
    );
    for (_, f) in &s.failures {
        eprintln!("{f}");
    }
    assert!(s.failures.is_empty());
    let _ = replay;
}
