//! A bounded number of schedules, and the proofs that they would find something.

use std::sync::{Arc, Mutex};

use engine::sync::controlled::trail;

use crate::one::{Source, describe, run_here};
use crate::{Limit, Outcome, replay, run};

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

fn trail_tail() {
    let t = trail::end();
    for s in &t[t.len().saturating_sub(60)..] {
        eprintln!("{} {}:{}", s.0, s.1.file(), s.1.line());
    }
}
/// The way of a schedule, from a thread of its own.
fn trail_of(seed: u64) -> Vec<trail::Step> {
    struct Once(Mutex<Option<u64>>);
    impl Source for Once {
        fn draw(&self) -> Option<u64> {
            let seed = self.0.lock().unwrap().take();
            if seed.is_some() {
                trail::begin();
            }
            seed
        }
        fn note(&self, _: u64, result: Result<Outcome, String>) {
            if let Err(e) = result {
                eprintln!("failed {e}");
                trail_tail();
            }
        }
    }
    let once = Arc::new(Once(Mutex::new(Some(seed))));
    std::thread::spawn(move || {
        run_here(&once);
        trail::end()
    })
    .join()
    .unwrap()
}

#[test]
fn the_same_seed_is_the_same_schedule_again() {
    let n = std::env::var("N").map_or(20, |n| n.parse().unwrap());
    let first = std::env::var("FIRST").map_or(100_000, |n| n.parse().unwrap());
    for seed in first..first + n {
        let (one, other) = (trail_of(seed), trail_of(seed));
        let differs = one.iter().zip(&other).position(|(one, other)| one != other);
        if let Some(at) = differs {
            panic!(
                "{} differs at point {at}: {:?} and {:?} behind {:?}",
                describe(seed),
                one[at],
                other[at],
                &one[at.saturating_sub(5)..at]
            );
        }
        assert_eq!(one.len(), other.len());
    }
}

#[test]
fn twice() {
    let n = std::env::var("N").map_or(200, |n| n.parse().unwrap());
    let (a, b) = (
        run(100_000, Limit::Schedules(n), 2, None),
        run(100_000, Limit::Schedules(n), 2, None),
    );
    let mut bad = 0;
    for (a, b) in a.fingerprints.iter().zip(&b.fingerprints) {
        if a != b {
            bad += 1;
            if bad < 5 {
                eprintln!("{a:?} {b:?} {}", crate::one::describe(a.0));
            }
        }
    }
    eprintln!("bad {bad} {:?} {:?}", a.failures, b.failures);
}
