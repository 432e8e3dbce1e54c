//! How long `Database::write` waits, and how often it tries.

use std::sync::Barrier;
use std::time::Duration;

use engine::{Error, TxOptions};

use crate::common::{fresh, get, nosync, put, snapshot_isolation};

#[test]
fn the_busy_timeout_bounds_all_attempts_of_a_write_together() {
    let (_vfs, db, table) = fresh();
    let mut holder = db.begin().unwrap();
    holder.put(table, b"k", b"held").unwrap();
    let timeout = Duration::from_millis(20);
    let mut attempts = 0;
    let result = db.write_with(nosync().busy_timeout(timeout), |tx| {
        attempts += 1;
        tx.put(table, b"k", b"v")
    });
    // Each attempt waits for a part of what is left of the time, and there are not many parts.
    assert!((1..10).contains(&attempts), "{attempts} attempts");
    assert_eq!(db.metrics().busy, attempts);
    assert!(
        matches!(result, Err(Error::Busy { waited }) if waited >= timeout),
        "{result:?}"
    );
    assert_eq!(db.metrics().row_locks, 1);
    holder.commit().unwrap();
}

#[test]
fn several_locked_rows_share_the_busy_timeout() {
    let (_vfs, db, table) = fresh();
    let mut holder = db.begin().unwrap();
    for n in 0..10u8 {
        holder.put(table, &[n], b"held").unwrap();
    }
    let mut waits = 0;
    let result = db.write_with(nosync().busy_timeout(Duration::from_millis(20)), |tx| {
        for n in 0..10u8 {
            match tx.put(table, &[n], b"v") {
                Err(Error::Busy { waited }) => waits += u32::from(!waited.is_zero()),
                other => other?,
            }
        }
        tx.put(table, &[0], b"v")
    });
    assert!(matches!(result, Err(Error::Busy { .. })), "{result:?}");
    // The first refused row has used up the time of an attempt, and the others are not waited for.
    assert!((1..10).contains(&waits), "{waits} waits");
}

#[test]
fn without_a_busy_timeout_there_is_one_attempt_at_a_locked_row() {
    let (_vfs, db, table) = fresh();
    let mut holder = db.begin().unwrap();
    holder.put(table, b"k", b"held").unwrap();
    let mut attempts = 0;
    let result = db.write_with(nosync().busy_timeout(Duration::ZERO), |tx| {
        attempts += 1;
        tx.put(table, b"k", b"v")
    });
    assert!(matches!(result, Err(Error::Busy { .. })), "{result:?}");
    assert_eq!(attempts, 1);
}

/// Conflicts are not waits: they are tried again whatever the busy timeout is, up to the number of attempts.
#[test]
fn conflicts_are_tried_again_whatever_the_busy_timeout_is() {
    let (_vfs, db, table) = fresh();
    put(&db, table, b"k", b"0");
    let options = snapshot_isolation().busy_timeout(Duration::ZERO);
    for (conflicts, succeeds) in [(3, true), (99, true), (1000, false)] {
        let mut attempts = 0;
        let result = db.write_with(options, |tx| {
            attempts += 1;
            if attempts <= conflicts {
                put(&db, table, b"k", b"other");
            }
            tx.put(table, b"k", b"own")
        });
        assert_eq!(result.is_ok(), succeeds, "{result:?}");
        assert_eq!(attempts, if succeeds { conflicts + 1 } else { 100 });
        assert!(succeeds || matches!(result, Err(Error::WriteConflict { .. })));
    }
}

/// One of two that wait for each other gives up early enough to try again.
#[test]
fn a_deadlock_of_two_writes_ends_within_the_busy_timeout() {
    let (_vfs, db, table) = fresh();
    let both_hold_one = Barrier::new(2);
    let write = |timeout: Duration, first: &[u8], second: &[u8]| {
        let mut attempts = 0;
        let result = db.write_with(nosync().busy_timeout(timeout), |tx| {
            attempts += 1;
            tx.put(table, first, b"v")?;
            if attempts == 1 {
                both_hold_one.wait();
            }
            tx.put(table, second, b"v")
        });
        (result, attempts)
    };
    std::thread::scope(|scope| {
        let patient = scope.spawn(|| write(Duration::from_secs(60), b"a", b"b"));
        let (impatient, attempts) = write(Duration::from_millis(200), b"b", b"a");
        let (result, patient_attempts) = patient.join().unwrap();
        assert!(
            result.is_ok() && patient_attempts == 1,
            "{result:?}, {patient_attempts}"
        );
        // On a machine that stands still meanwhile the time may be over.
        assert!(
            impatient.is_ok() && attempts > 1 || matches!(impatient, Err(Error::Busy { .. })),
            "{impatient:?}, {attempts}"
        );
    });
    assert!(get(&db, table, b"a").is_some());
}

#[test]
fn a_transaction_of_its_own_waits_for_each_row() {
    let (_vfs, db, table) = fresh();
    let mut holder = db.begin().unwrap();
    holder.put(table, b"k", b"held").unwrap();
    let timeout = Duration::from_millis(5);
    let mut tx = db.begin_with(TxOptions::new().busy_timeout(timeout)).unwrap();
    for _ in 0..3 {
        let refused = tx.put(table, b"k", b"v");
        assert!(
            matches!(refused, Err(Error::Busy { waited }) if waited >= timeout),
            "{refused:?}"
        );
    }
}
