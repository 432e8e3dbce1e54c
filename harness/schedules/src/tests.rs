//! A bounded number of schedules, and the proofs that they would find something. `SCHEDULES=n` runs more, `FIRST=n` others,
//! `FAULTS=all` looks for the faults that take long as well.

use std::sync::{Arc, Mutex, MutexGuard};

use engine::reach::{self, Mechanism};
use engine::sync::controlled::trail;

use crate::one::{Source, describe, run_here};
use crate::prove::{QUICK, SLOW};
use crate::reached::REACHED;
use crate::{Limit, Outcome, prove, replay, run};

/// Schedules of a test run.
const SCHEDULES: u64 = crate::REACHED_AFTER;
const THREADS: usize = 2;

/// Counters of what was reached are the process's: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn no_schedule_breaks_the_engine_and_all_mechanisms_are_gone_through() {
    let _alone = alone();
    let before = reach::counts();
    let schedules = number("SCHEDULES", SCHEDULES);
    let summary = run(number("FIRST", 1), Limit::Schedules(schedules), THREADS, None);
    println!(
        "{} schedules of {} points and {} commits, {} images, {:.0} a second",
        summary.schedules,
        summary.points,
        summary.commits,
        summary.images,
        summary.rate()
    );
    assert!(summary.failures.is_empty(), "{:#?}", summary.failures);
    assert_eq!(summary.schedules, schedules);
    let after = reach::counts();
    let never = Mechanism::ALL.iter().zip(before.iter().zip(&after));
    let never: Vec<_> = never
        .filter(|((mechanism, _), (before, after))| before == after && REACHED.contains(mechanism))
        .collect();
    assert!(
        never.is_empty() || schedules < SCHEDULES || !reach::is_counted(),
        "never reached: {never:?}"
    );
}

/// The way of a schedule, and what it led to, in a thread of its own.
fn way_of(seed: u64) -> (Vec<trail::Step>, Result<Outcome, String>) {
    struct Once(Mutex<Option<u64>>, Mutex<Option<Result<Outcome, String>>>);
    impl Source for Once {
        fn draw(&self) -> Option<u64> {
            let seed = self.0.lock().unwrap().take();
            if seed.is_some() {
                trail::begin();
            }
            seed
        }
        fn note(&self, _: u64, result: Result<Outcome, String>) {
            *self.1.lock().unwrap() = Some(result);
        }
    }
    let once = Arc::new(Once(Mutex::new(Some(seed)), Mutex::default()));
    let thread = {
        let once = Arc::clone(&once);
        std::thread::spawn(move || {
            run_here(&once);
            trail::end()
        })
    };
    let trail = thread.join().unwrap();
    let result = once.1.lock().unwrap().take().unwrap();
    (trail, result)
}

#[test]
fn the_same_seed_is_the_same_schedule_again() {
    let _alone = alone();
    let first = number("FIRST", 100);
    for seed in first..first + number("SCHEDULES", 12) {
        let ((one, led_to), (other, led_to_again)) = (way_of(seed), way_of(seed));
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
        assert_eq!(led_to, led_to_again);
        // In a thread that has run others before, too.
        assert_eq!(led_to, replay(seed, None));
    }
}

#[test]
fn faults_that_take_two_threads_in_an_order_are_found_from_every_seed_on() {
    let _alone = alone();
    let all = std::env::var("FAULTS").is_ok();
    let slow = if all { SLOW } else { &[] };
    let mut missed = Vec::new();
    for fault in QUICK.iter().chain(slow) {
        let proof = prove(*fault, &[1, 1_000_001, 2_000_001], THREADS, &mut || true).unwrap();
        println!(
            "{fault:?}: found after {:?} schedules: {}",
            proof.schedules, proof.finding
        );
        // The slow ones are not promised.
        if !proof.is_complete() && QUICK.contains(fault) {
            missed.push(*fault);
        }
    }
    assert!(
        missed.is_empty() || !engine::injected::are_possible(),
        "not found: {missed:?}"
    );
}
