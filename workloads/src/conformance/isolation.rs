//! Rules about transactions that are open at once. The steps of two sessions are interleaved by hand on one thread, so what a
//! session waits for cannot end: a wait ends with the busy timeout, and then there is nothing to see. That is allowed.

use crate::driver::{Direction, ErrorKind, Isolation, Target};

use super::bench::{Actor, Bench, Check, Row, T, does_not_apply, show_rows, show_value};

const BEFORE: [(&[u8], &[u8]); 2] = [(b"a", b"1"), (b"b", b"2")];

fn prepare(bench: &Bench, target: &dyn Target) -> Check {
    bench
        .actor("A", target)?
        .write(&[(T, b"a", Some(b"1")), (T, b"b", Some(b"2"))])
        .map(drop)
}

/// At each declared level from one on, a database with some rows and two sessions at that level, for as many rounds.
fn meet(
    bench: &Bench,
    from: Isolation,
    rounds: usize,
    mut check: impl for<'t> FnMut(&mut Actor<'t>, &mut Actor<'t>, usize) -> Check,
) -> Check {
    for level in bench.levels(from)? {
        for round in 0..rounds {
            let target = bench.open()?;
            prepare(bench, target.as_ref())?;
            let mut a = bench.actor_at("A", target.as_ref(), level)?;
            let mut b = bench.actor_at("B", target.as_ref(), level)?;
            check(&mut a, &mut b, round)?;
        }
    }
    Ok(())
}

/// That what the open transaction reads, if nothing refuses it, is the table before.
fn sees_before(actor: &mut Actor<'_>) -> Check {
    for (key, value) in [(&b"a"[..], Some(&b"1"[..])), (b"b", Some(b"2")), (b"c", None)] {
        if let Ok(found) = actor.try_get(T, key)? {
            actor
                .steps
                .same(&value, &found.as_deref(), |value| show_value(*value))?;
        }
    }
    let expected: Vec<Row> = BEFORE
        .iter()
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect();
    if let Ok(found) = actor.try_scan(T, b"", 10, Direction::Forward)? {
        actor.steps.same(&expected, &found, |rows| show_rows(rows))?;
    }
    Ok(())
}

pub(super) fn no_dirty_read(bench: &Bench) -> Check {
    meet(bench, Isolation::ReadCommitted, 2, |a, b, round| {
        let read_only = round == 0;
        a.begin()?;
        a.put(T, b"a", b"not committed")?;
        a.put(T, b"c", b"not committed")?;
        a.delete(T, b"b")?;
        if b.try_begin(read_only)?.is_ok() {
            sees_before(b)?;
        }
        b.rollback();
        a.rollback();
        b.expect_table(T, &BEFORE)
    })
}

pub(super) fn snapshot_stands(bench: &Bench) -> Check {
    meet(bench, Isolation::Snapshot, 2, |a, b, round| {
        let read_only = round == 0;
        if read_only {
            b.begin_read_only()?;
        } else {
            b.begin()?;
        }
        b.expect(T, b"a", Some(b"1"))?;
        let committed = a.try_write(&[
            (T, b"a", Some(b"later")),
            (T, b"c", Some(b"later")),
            (T, b"b", None),
        ])?;
        sees_before(b)?;
        b.rollback();
        if committed.is_ok() {
            b.expect_table(T, &[(b"a", b"later"), (b"c", b"later")])?;
        }
        Ok(())
    })
}

/// What the loser of two writers does to the row that both have read.
fn second_write(actor: &mut Actor<'_>, deletes: bool) -> Check<bool> {
    let wrote = if deletes {
        actor.try_delete(T, b"a")?.map(drop)
    } else {
        actor.try_put(T, b"a", b"by B")?
    };
    let is_committed = wrote.is_ok() && actor.try_commit()?.is_ok();
    actor.rollback();
    Ok(is_committed)
}

pub(super) fn no_lost_update(bench: &Bench) -> Check {
    meet(bench, Isolation::Snapshot, 2, |a, b, round| {
        let deletes = round == 1;
        b.begin()?;
        b.expect(T, b"a", Some(b"1"))?;
        let first = read_and_write(a, b"a", b"by A")?;
        if second_write(b, deletes)? && first {
            return Err(bench.broken(
                "one of the two commits refused",
                "both committed after reading the same value",
            ));
        }
        Ok(())
    })
}

/// A whole transaction that reads a row and writes it; `true` if it committed.
fn read_and_write(actor: &mut Actor<'_>, key: &[u8], value: &[u8]) -> Check<bool> {
    let is_committed = actor.try_begin(false)?.is_ok()
        && actor.try_get(T, key)?.is_ok()
        && actor.try_put(T, key, value)?.is_ok()
        && actor.try_commit()?.is_ok();
    if !is_committed {
        actor.rollback();
    }
    Ok(is_committed)
}

pub(super) fn no_write_skew(bench: &Bench) -> Check {
    meet(bench, Isolation::Serializable, 1, |a, b, _| {
        a.begin()?;
        a.expect(T, b"a", Some(b"1"))?;
        a.expect(T, b"b", Some(b"2"))?;
        let reads = b.try_begin(false)?.is_ok() && b.try_get(T, b"a")?.is_ok() && b.try_get(T, b"b")?.is_ok();
        let first = a.try_put(T, b"a", b"by A")?.is_ok() && a.try_commit()?.is_ok();
        let second = reads && b.try_put(T, b"b", b"by B")?.is_ok() && b.try_commit()?.is_ok();
        if first && second {
            return Err(bench.broken(
                "one of the two commits refused",
                "both committed, and each wrote what the other had read",
            ));
        }
        Ok(())
    })
}

pub(super) fn no_phantom(bench: &Bench) -> Check {
    meet(bench, Isolation::Serializable, 1, |a, b, _| {
        a.begin()?;
        a.expect_keys(T, b"", 10, Direction::Forward, &[b"a", b"b"])?;
        let reads = b.try_begin(false)?.is_ok() && b.try_scan(T, b"", 10, Direction::Forward)?.is_ok();
        let first = a.try_put(T, b"c", b"by A")?.is_ok() && a.try_commit()?.is_ok();
        let second = reads && b.try_put(T, b"d", b"by B")?.is_ok() && b.try_commit()?.is_ok();
        if first && second {
            return Err(bench.broken(
                "one of the two commits refused",
                "both committed, and each inserted into what the other had scanned",
            ));
        }
        Ok(())
    })
}

pub(super) fn rows_locked(bench: &Bench) -> Check {
    if !bench.capabilities().locks_rows {
        return does_not_apply("declared locks_rows = false");
    }
    meet(bench, Isolation::ReadUncommitted, 1, |a, b, _| {
        a.begin()?;
        let read = a.try_get_for_update(T, b"a")?;
        bench
            .steps
            .same(&Ok(Some(b"1".to_vec())), &read, |read| format!("{read:?}"))?;
        let second_read = b.try_begin(false)?.is_ok() && b.try_get_for_update(T, b"a")?.is_ok();
        a.put(T, b"a", b"by A")?;
        let first = a.try_commit()?.is_ok();
        if second_read && second_write(b, false)? && first {
            return Err(bench.broken(
                "one of the two commits refused",
                "both committed after getting the same value for update",
            ));
        }
        Ok(())
    })
}

pub(super) fn concurrent_writers(bench: &Bench) -> Check {
    if !bench.capabilities().concurrent_writers {
        return does_not_apply("declared concurrent_writers = false");
    }
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    let mut b = bench.actor("B", target.as_ref())?;
    a.begin()?;
    a.put(T, b"a", b"by A")?;
    b.begin()?;
    b.put(T, b"b", b"by B")?;
    a.commit()?;
    b.commit()?;
    a.expect_table(T, &[(b"a", b"by A"), (b"b", b"by B")])
}

pub(super) fn busy(bench: &Bench) -> Check {
    meet(bench, Isolation::ReadUncommitted, 1, |a, b, _| {
        a.begin()?;
        a.put(T, b"a", b"by A")?;
        // One that waits for ever is ended by the time limit.
        let begun = b.try_begin(false)?;
        if let (Err(error), false) = (&begun, bench.capabilities().concurrent_writers)
            && error.kind() != ErrorKind::Busy
        {
            return Err(bench.broken(
                "an error of kind busy, since there is one writer at a time",
                error.to_string(),
            ));
        }
        if begun.is_ok() && b.try_put(T, b"a", b"by B")?.is_ok() {
            drop(b.try_commit()?);
        }
        b.rollback();
        if a.try_commit()?.is_err() {
            a.rollback();
        }
        b.write(&[(T, b"a", Some(b"afterwards"))])?;
        a.expect_table(T, &[(b"a", b"afterwards"), (b"b", b"2")])
    })
}

pub(super) fn retry(bench: &Bench) -> Check {
    let mut refusals = 0;
    meet(bench, Isolation::ReadUncommitted, 1, |a, b, _| {
        a.begin()?;
        a.expect(T, b"a", Some(b"1"))?;
        let first = read_and_write(b, b"a", b"by B")?;
        let second = second_write(a, false)?;
        for (actor, is_committed, value) in [(b, first, b"B again"), (a, second, b"A again")] {
            if !is_committed {
                refusals += 1;
                actor.write(&[(T, b"a", Some(value))])?;
                actor.expect_table(T, &[(b"a", value), (b"b", b"2")])?;
            }
        }
        Ok(())
    })?;
    if refusals > 0 {
        Ok(())
    } else {
        does_not_apply("nothing was refused, at no declared level")
    }
}
