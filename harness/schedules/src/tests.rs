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

#[test]
fn twice() {
    let n = std::env::var("N").map_or(200, |n| n.parse().unwrap());
    let (a, b) = (run(100_000, Limit::Schedules(n), 2, None), run(100_000, Limit::Schedules(n), 2, None));
    let mut bad = 0;
    for (a, b) in a.fingerprints.iter().zip(&b.fingerprints) { if a != b { bad += 1; eprintln!("{a:?} {b:?} {}", crate::one::describe(a.0)); } }
    for (a, b) in a.fingerprints.iter().zip(&b.fingerprints) { if a != b {
        let r: Vec<_> = (0..3).map(|_| replay(a.0, None).unwrap()).collect();
        eprintln!("{} {:?}", a.0, r.iter().map(|r| (r.points, r.operations, r.fingerprint)).collect::<Vec<_>>());
        break;
    } }
    assert_eq!(bad, 0);
}
